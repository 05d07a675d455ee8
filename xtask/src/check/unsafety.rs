//! `unsafe` lives in `crates/sys` only, and no manifest opts out of the workspace's lints.

use std::fs;

use anyhow::{Result, ensure};
use privileged_tests::fixtures::workspace;
use regex_lite::Regex;

use super::sizes::sources;
use crate::cargo::{command, output};

/// The one room that may.
const ROOM: &str = "crates/sys/";

/// Fails on `unsafe` code outside `sys` and on a member without `[lints] workspace = true`.
pub fn check() -> Result<()> {
    let code = Regex::new(r"(?m)^[^/\n]*\bunsafe\s*(\{|fn\b|impl\b|extern\b|trait\b)|allow\(unsafe_code\)")?;
    let mut wrong = Vec::new();
    for path in sources()? {
        let Ok(text) = fs::read_to_string(workspace().join(&path)) else { continue };
        if !path.starts_with(ROOM) && path != "xtask/src/check/unsafety.rs" && code.is_match(&text) {
            wrong.push(format!("{path} has unsafe code"));
        }
    }
    let manifests = output(command("git").args(["ls-files", "*/Cargo.toml"]))?;
    for path in manifests.lines().filter(|path| !path.starts_with(ROOM)) {
        let Ok(text) = fs::read_to_string(workspace().join(path)) else { continue };
        if !text.contains("[lints]\nworkspace = true") {
            wrong.push(format!("{path} lacks [lints] workspace = true"));
        }
    }
    ensure!(wrong.is_empty(), "\n  {}", wrong.join("\n  "));
    Ok(())
}
