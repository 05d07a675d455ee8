//! Output and errors. The caller reads errors from the log, in logrus' formats, and users from standard error.

use std::fs::{File, OpenOptions};
use std::io::Write as _;

use anyhow::{Context as _, bail};

/// Where errors go besides standard error.
#[derive(Debug, Default)]
pub(crate) struct Log {
    file: Option<File>,
    json: bool,
}

// === impl Log ===

impl Log {
    /// Opens the log.
    pub fn new(path: Option<&str>, format: Option<&str>) -> anyhow::Result<Self> {
        let json = match format {
            None | Some("text") => false,
            Some("json") => true,
            Some(other) => bail!("unknown log format {other:?}"),
        };
        let open = |path: &str| {
            let opened = OpenOptions::new().append(true).create(true).open(path);
            opened.with_context(|| format!("open log {path}"))
        };
        let file = path.filter(|path| !path.is_empty()).map(open).transpose()?;
        Ok(Self { file, json })
    }

    /// Writes an error with all its causes.
    pub fn error(&mut self, error: &anyhow::Error) {
        let message = message(error);
        if let Some(file) = &mut self.file {
            let time = now();
            let line = match self.json {
                true => serde_json::json!({ "level": "error", "msg": message, "time": time }).to_string(),
                false => format!("time={time:?} level=error msg={message:?}"),
            };
            // There is no further place to complain about the log itself.
            let _ = writeln!(file, "{line}");
        }
        let _ = writeln!(std::io::stderr(), "{message}");
    }
}

/// The causes of an error joined by colons. The kernel's are in its own words, without Rust's number.
fn message(error: &anyhow::Error) -> String {
    let causes: Vec<String> = error
        .chain()
        .map(|cause| match cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error) {
            Some(_) => types::go_words(&cause.to_string()),
            None => cause.to_string(),
        })
        .collect();
    causes.join(": ")
}

/// The present time in RFC 3339, with nanoseconds.
pub(crate) fn now() -> String {
    jiff::Timestamp::now().to_string()
}

/// Writes to standard output.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("write to standard output")
}

/// Writes a value as JSON, in one line or indented, and a line feed.
pub(crate) fn print_json(value: &impl serde::Serialize, indented: bool) -> anyhow::Result<()> {
    let text = if indented { serde_json::to_string_pretty(value)? } else { serde_json::to_string(value)? };
    print(&format!("{text}\n"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_kernels_words_are_gos() {
        let error = anyhow::Error::from(std::io::Error::from_raw_os_error(2)).context("open x");
        assert_eq!(message(&error), "open x: no such file or directory");
    }
}
