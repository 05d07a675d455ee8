//! File sizes: 400 lines are a wish, 600 a bound. (Function sizes are clippy's `too_many_lines`.)

use std::fs;

use anyhow::{Result, ensure};
use privileged_tests::fixtures::workspace;

use crate::cargo::{command, output};

const WISH: usize = 400;
const BOUND: usize = 600;

/// Files that are tables of data: path from the root, and what they hold.
const DATA_TABLES: &[(&str, &str)] = &[];

/// Prints what is over the wish, fails on what is over the bound.
pub fn check() -> Result<()> {
    let mut over = Vec::new();
    for path in sources()? {
        let Ok(text) = fs::read_to_string(workspace().join(&path)) else { continue };
        let lines = text.lines().count();
        if DATA_TABLES.iter().any(|(table, _)| *table == path) || lines <= WISH {
            continue;
        }
        if lines > BOUND {
            over.push(format!("{path}: {lines} lines"));
        } else if !path.contains("/tests/") {
            println!("note: {path} has {lines} lines, over the wished-for {WISH}");
        }
    }
    ensure!(over.is_empty(), "over {BOUND} lines:\n  {}", over.join("\n  "));
    Ok(())
}

/// The Rust files of the tree, known to git or about to be, as paths from the root.
pub fn sources() -> Result<Vec<String>> {
    let list = ["ls-files", "--cached", "--others", "--exclude-standard", "*.rs"];
    let text = output(command("git").args(list))?;
    Ok(text.lines().map(str::to_owned).collect())
}
