//! What several commands share.

use futures_util::future::join_all;

use crate::Failure;
use crate::context::Context;
use crate::flags::Flag;

/// Help of `--format` where a table is the default.
pub const TABLE_FORMAT: &str = "Format output using a custom template:
'table':            Print output in table format with column headers (default)
'table TEMPLATE':   Print output in table format using the given Go template
'json':             Print in JSON format
'TEMPLATE':         Print output using the given Go template.
Refer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates";

/// Help of `--format` elsewhere.
pub const PLAIN_FORMAT: &str = "Format output using a custom template:
'json':             Print in JSON format
'TEMPLATE':         Print output using the given Go template.
Refer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates";

/// `--disable-content-trust`: nothing here verifies signatures, so only asking for verification is refused.
pub const TRUST: Flag =
    Flag::switch("disable-content-trust", "Skip image verification").default("true").check(|text| match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(()),
        _ => Err("image verification is not supported".to_owned()),
    });

/// Does `each` for every name at once, then prints the names that succeeded, in order, and fails with the rest.
///
/// # Errors
/// [`Failure::Several`] with one text a failed name.
pub fn for_all<F>(context: &Context, names: &[String], each: impl Fn(String) -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<(), client::Error>>,
{
    let results = context.wait(async { Ok(join_all(names.iter().map(|name| each(name.clone()))).await) })?;
    let mut failed = Vec::new();
    for (name, result) in names.iter().zip(results) {
        match result {
            Ok(()) => context.line(name),
            Err(error) => failed.push(error.to_string()),
        }
    }
    Failure::all(failed)
}

/// The path of a container's resource.
#[must_use]
pub fn container_path(name: &str, tail: &str) -> String {
    format!("/containers/{}{tail}", client::escape(name))
}
