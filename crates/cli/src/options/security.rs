//! `--security-opt`.

use std::fs;

use super::keyvalue::go_error;
use crate::format::json;

/// Security options as the engine takes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Security {
    /// For the engine, seccomp profiles read in.
    pub options: Vec<String>,
    /// `systempaths=unconfined` was among them.
    pub unconfined_paths: bool,
}

/// Reads all `--security-opt` texts.
///
/// # Errors
/// Docker's text.
pub fn parse(given: &[&str]) -> Result<Security, String> {
    let mut security = Security::default();
    for text in given {
        let (key, value) = match text.split_once('=') {
            Some(pair) => pair,
            None if *text == "no-new-privileges" => (*text, "true"),
            None => text.split_once(':').unwrap_or((text, "")),
        };
        if value.is_empty() && key != "no-new-privileges" {
            return Err(format!("Invalid --security-opt: {text:?}"));
        }
        if *text == "systempaths=unconfined" {
            security.unconfined_paths = true;
        } else if key == "seccomp" && !matches!(value, "builtin" | "unconfined") {
            security.options.push(format!("seccomp={}", profile(value)?));
        } else {
            security.options.push((*text).to_owned());
        }
    }
    Ok(security)
}

/// Capability names as the engine keeps them: capitals, the `CAP_` prefix, sorted, once each; `ALL` stands for all.
#[must_use]
pub fn capabilities(given: &[&str]) -> Vec<String> {
    let full = |name: &&str| {
        let name = name.trim().to_ascii_uppercase();
        if name == "ALL" || name.starts_with("CAP_") { name } else { format!("CAP_{name}") }
    };
    let mut names: Vec<String> = given.iter().map(full).collect();
    if names.iter().any(|name| name == "ALL") {
        return vec!["ALL".to_owned()];
    }
    names.sort_unstable();
    names.dedup();
    names
}

fn profile(path: &str) -> Result<String, String> {
    let text = fs::read_to_string(path)
        .map_err(|e| format!("opening seccomp profile ({path}) failed: open {path}: {}", go_error(&e)))?;
    if let Err(e) = serde_json::from_str::<serde::de::IgnoredAny>(&text) {
        return Err(format!("compacting json for seccomp profile ({path}) failed: {e}"));
    }
    Ok(json::compact(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completes_capability_names() {
        assert_eq!(capabilities(&["net_admin", "CAP_CHOWN", "NET_ADMIN"]), ["CAP_CHOWN", "CAP_NET_ADMIN"]);
        assert_eq!(capabilities(&["all", "chown"]), ["ALL"]);
    }

    #[test]
    fn reads_options_and_profiles() {
        let security = parse(&["no-new-privileges", "seccomp=unconfined", "systempaths=unconfined"]).expect("valid");
        assert_eq!(security.options, ["no-new-privileges", "seccomp=unconfined"]);
        assert!(security.unconfined_paths);
        assert_eq!(parse(&["foo"]), Err("Invalid --security-opt: \"foo\"".to_owned()));
        assert_eq!(
            parse(&["seccomp=/nope"]),
            Err("opening seccomp profile (/nope) failed: open /nope: no such file or directory".to_owned())
        );
    }
}
