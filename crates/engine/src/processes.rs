//! `top`: what the host's `ps` says about the container's processes, as in Docker.

use std::process::Command;

use crate::error::{Error, Invalid};
use crate::model::ProcessList;

/// What `docker top` shows without arguments.
const DEFAULT_ARGUMENTS: &str = "-ef";

/// Runs `ps` with the given arguments and keeps the lines of `pids`.
///
/// # Errors
/// [`Invalid::Ps`] when `ps` refuses the arguments, [`Invalid::PsWithoutPid`] when they hide the PID column.
pub(crate) fn list(pids: &[i32], arguments: &str) -> Result<ProcessList, Error> {
    let arguments = if arguments.trim().is_empty() { DEFAULT_ARGUMENTS } else { arguments };
    let output = Command::new("ps")
        .args(arguments.split_whitespace())
        .env("LC_ALL", "C")
        .output()
        .map_err(Error::file("execute", "ps"))?;
    if !output.status.success() {
        // Its first line says why; the others explain ps.
        let said = String::from_utf8_lossy(&output.stderr);
        let reason = said.lines().next().map_or_else(|| output.status.to_string(), str::to_owned);
        return Err(Invalid::Ps(reason).into());
    }
    parse(&String::from_utf8_lossy(&output.stdout), pids)
}

/// The first line names the columns; the last column takes the rest of its line.
fn parse(text: &str, pids: &[i32]) -> Result<ProcessList, Error> {
    let mut lines = text.lines();
    let titles: Vec<String> = lines.next().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    let pid_column = titles.iter().position(|title| title == "PID").ok_or(Invalid::PsWithoutPid)?;
    let rows = lines.map(|line| row(line, titles.len()));
    let mine =
        |row: &Vec<String>| row.get(pid_column).and_then(|pid| pid.parse().ok()).is_some_and(|pid| pids.contains(&pid));
    Ok(ProcessList { processes: rows.filter(mine).collect(), titles })
}

fn row(line: &str, columns: usize) -> Vec<String> {
    let mut fields: Vec<String> = Vec::with_capacity(columns);
    let mut rest = line.trim_start();
    while fields.len() + 1 < columns && !rest.is_empty() {
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        fields.push(rest[..end].to_owned());
        rest = rest[end..].trim_start();
    }
    fields.push(rest.trim_end().to_owned());
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_lines_of_the_container() {
        let text = "UID        PID  CMD\nroot         1  init\nroot        42  sh -c  sleep 5\n";
        let list = parse(text, &[42]).expect("has a PID column");
        assert_eq!(list.titles, ["UID", "PID", "CMD"]);
        assert_eq!(list.processes, [["root", "42", "sh -c  sleep 5"]]);
    }

    #[test]
    fn a_list_without_pids_is_refused() {
        assert!(parse("CMD\nsh\n", &[1]).is_err());
    }
}
