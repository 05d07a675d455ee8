//! The layer law of ARCHITECTURE.md, held against `cargo metadata`.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::cargo::metadata;

/// What a room may import.
struct Room {
    name: &'static str,
    /// Shown in messages.
    level: &'static str,
    may: &'static [&'static str],
}

/// Rooms not named here (programs, xtask, tests) compose and may import anything.
const ROOMS: &[Room] = &[
    Room { name: "types", level: "L0", may: &[] },
    Room { name: "api", level: "L0", may: &[] },
    Room { name: "sys", level: "L1", may: &["types"] },
    Room { name: "codec", level: "L1", may: &[] },
    Room { name: "plugin", level: "L1", may: &["types"] },
    Room { name: "logs", level: "L2", may: &["types", "sys"] },
    Room { name: "store", level: "L2", may: &["types", "sys", "codec", "plugin"] },
    Room { name: "network", level: "L2", may: &["types", "sys", "plugin"] },
    Room { name: "runtime", level: "L2", may: &["types", "sys"] },
    Room { name: "build", level: "L2", may: &["types", "sys"] },
    Room { name: "transfer", level: "L3", may: &["types", "sys", "codec", "store"] },
    Room { name: "registry", level: "L3", may: &["types", "sys", "store"] },
    Room { name: "monitor", level: "L3", may: &["types", "sys", "logs", "runtime"] },
    Room {
        name: "engine",
        level: "L4",
        may: &["types", "sys", "logs", "store", "network", "runtime", "build", "transfer", "registry", "monitor"],
    },
    Room { name: "cluster", level: "L5", may: &["types", "sys", "engine"] },
    Room { name: "server", level: "L6", may: &["types", "sys", "api", "engine", "cluster"] },
    Room { name: "client", level: "C1", may: &["types", "sys", "api"] },
    Room { name: "compose", level: "C2", may: &["types", "sys", "api", "client"] },
    Room { name: "cli", level: "C3", may: &["types", "sys", "api", "build", "client", "compose"] },
];

/// Fails on every edge the table does not allow; a dev-dependency is exempt when its manifest says why.
pub fn check() -> Result<()> {
    let metadata = metadata()?;
    let mut wrong = Vec::new();
    for package in metadata["packages"].as_array().context("packages")? {
        let name = package["name"].as_str().context("name")?;
        let manifest = package["manifest_path"].as_str().context("manifest_path")?;
        let Some(room) = ROOMS.iter().find(|room| room.name == name) else {
            if Path::new(manifest).components().any(|part| part.as_os_str() == "crates") {
                wrong.push(format!("{name} stands in no row of the table in xtask/src/check/layers.rs"));
            }
            continue;
        };
        let text = fs::read_to_string(manifest).with_context(|| manifest.to_owned())?;
        wrong.extend(edges(room, package, &text));
    }
    ensure!(wrong.is_empty(), "\n  {}", wrong.join("\n  "));
    Ok(())
}

fn edges(room: &Room, package: &Value, manifest: &str) -> Vec<String> {
    let dependencies = package["dependencies"].as_array().map(Vec::as_slice).unwrap_or_default();
    let inside = dependencies.iter().filter(|dependency| dependency["path"].is_string());
    inside
        .filter_map(|dependency| {
            let target = dependency["name"].as_str()?;
            if room.may.contains(&target) {
                return None;
            }
            if dependency["kind"] == "dev" {
                let reason = reasoned(manifest, target);
                return (!reason)
                    .then(|| format!("{} tests with {target} and its manifest does not say why", room.name));
            }
            Some(format!("{} ({}) imports {target}", room.name, room.level))
        })
        .collect()
}

/// Whether the manifest's line of a dependency carries a comment, or the line above it is one.
fn reasoned(manifest: &str, dependency: &str) -> bool {
    let lines: Vec<&str> = manifest.lines().collect();
    let development = lines.iter().position(|line| line.starts_with("[dev-dependencies")).unwrap_or(lines.len());
    (development..lines.len()).any(|index| {
        let names = lines[index].split(['.', ' ', '=']).next() == Some(dependency);
        names && (lines[index].contains('#') || lines[index - 1].trim_start().starts_with('#'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(room: &str, dependency: &str, kind: Option<&str>, manifest: &str) -> Vec<String> {
        let room = ROOMS.iter().find(|row| row.name == room).expect("a room");
        let package = serde_json::json!({"dependencies": [{"name": dependency, "kind": kind, "path": "/x"}]});
        edges(room, &package, manifest)
    }

    #[test]
    fn an_edge_upwards_or_sideways_is_refused() {
        assert_eq!(wrong("engine", "store", None, ""), Vec::<String>::new());
        assert_eq!(wrong("store", "logs", None, ""), ["store (L2) imports logs"]);
        assert_eq!(wrong("cli", "engine", None, ""), ["cli (C3) imports engine"]);
        assert_eq!(wrong("sys", "engine", Some("build"), ""), ["sys (L1) imports engine"]);
    }

    #[test]
    fn a_test_may_reach_further_with_a_reason() {
        let bare = "[dev-dependencies]\nstore.workspace = true\n";
        assert_eq!(wrong("logs", "store", Some("dev"), bare).len(), 1);
        let reasoned = "[dev-dependencies]\n# real layers to log into\nstore.workspace = true\n";
        assert_eq!(wrong("logs", "store", Some("dev"), reasoned), Vec::<String>::new());
    }

    #[test]
    fn every_room_imports_downwards_only() {
        for (index, room) in ROOMS.iter().enumerate() {
            for target in room.may {
                let below = ROOMS.iter().position(|other| other.name == *target).expect("a known room");
                assert!(below < index && ROOMS[below].level != room.level, "{} -> {target}", room.name);
            }
        }
    }
}
