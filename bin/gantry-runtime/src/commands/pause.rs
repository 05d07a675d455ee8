//! `pause` and `resume`.

use anyhow::bail;

use crate::Global;
use crate::arguments::Parsed;
use crate::record::{Record, Status};

/// Suspends every process of a container.
pub(crate) fn pause(global: &Global, parsed: &Parsed) -> anyhow::Result<u8> {
    let record = Record::load(global, parsed.id()?)?;
    match record.status(global) {
        Status::Running | Status::Created => record.cgroup()?.freeze()?,
        _ => bail!("container not running"),
    }
    Ok(0)
}

/// Resumes every process of a paused container.
pub(crate) fn resume(global: &Global, parsed: &Parsed) -> anyhow::Result<u8> {
    let record = Record::load(global, parsed.id()?)?;
    let cgroup = record.cgroup()?;
    if !cgroup.is_frozen()? {
        bail!("container not paused");
    }
    cgroup.thaw()?;
    Ok(0)
}
