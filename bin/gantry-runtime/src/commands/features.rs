//! `features` (runtime-spec `features.md`).

use runtime::features::document;

use crate::Global;
use crate::arguments::Parsed;
use crate::commands::spec::OCI_VERSION;
use crate::report;

/// Shows what this runtime can do, whatever the machine can.
pub(crate) fn features(_: &Global, _: &Parsed) -> anyhow::Result<u8> {
    report::print_json(&document(OCI_VERSION), true)?;
    Ok(0)
}
