//! `ps`.

use std::process::Command;

use anyhow::{Context as _, bail};

use crate::arguments::{Flag, Parsed};
use crate::record::Record;
use crate::{Global, report};

/// Its flags.
pub(crate) const FLAGS: &[Flag] = &[Flag::value("format", Some('f'))];

/// Shows the processes of a container: their ids as JSON, or the lines that the host's `ps` has for them.
pub(crate) fn ps(global: &Global, parsed: &Parsed) -> anyhow::Result<u8> {
    let record = Record::load(global, parsed.id()?)?;
    let pids = record.cgroup()?.pids()?;
    match parsed.last("format").unwrap_or("table") {
        "json" => report::print_json(&pids, false)?,
        "table" => {
            let options = parsed.positional.get(1..).filter(|options| !options.is_empty());
            let default = ["-ef".to_owned()];
            report::print(&lines(&pids, options.unwrap_or(&default))?)?;
        }
        other => bail!("invalid format option {other:?}"),
    }
    Ok(0)
}

fn lines(pids: &[i32], options: &[String]) -> anyhow::Result<String> {
    let output = Command::new("ps").args(options).output().context("run ps")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines = text.lines();
    let header = lines.next().unwrap_or_default();
    let column = header.split_ascii_whitespace().position(|word| word == "PID");
    let column = column.context("couldn't find PID field in ps output")?;
    let ours = |line: &&str| {
        let pid = line.split_ascii_whitespace().nth(column).and_then(|word| word.parse::<i32>().ok());
        pid.is_some_and(|pid| pids.contains(&pid))
    };
    Ok([header].into_iter().chain(lines.filter(ours)).map(|line| format!("{line}\n")).collect())
}
