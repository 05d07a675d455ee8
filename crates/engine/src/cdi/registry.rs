//! The files on disk: read when a container asks for a device, so that a new file needs no restart.

use std::path::{Path, PathBuf};

use super::name;
use super::spec::{Edits, File};
use crate::error::{Error, Invalid};

/// All devices known at this moment, by directory; later directories win.
#[derive(Debug, Default)]
pub(super) struct Registry {
    directories: Vec<Vec<File>>,
}

impl Registry {
    /// Reads `*.json`, `*.yaml` and `*.yml`. A file that is no CDI file is told in the log and left out.
    pub(super) fn read(directories: &[PathBuf]) -> Self {
        Self { directories: directories.iter().map(|directory| files(directory)).collect() }
    }

    /// Names of all devices of a kind, in the order of the files.
    pub(super) fn names(&self, kind: &str) -> Vec<&str> {
        let files = self.directories.iter().flatten().filter(|file| file.kind == kind);
        let mut names: Vec<&str> = files.flat_map(|file| file.devices.iter().map(|device| &*device.name)).collect();
        names.dedup();
        names
    }

    /// Full names of all devices that can be asked for, in order.
    fn all(&self) -> Vec<String> {
        let files = self.directories.iter().flatten();
        let names = files.flat_map(|file| file.devices.iter().map(|device| format!("{}={}", file.kind, device.name)));
        let mut names: Vec<String> = names.filter(|name| self.find(name).is_some()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The edits for these devices: each device's, and once those of its file.
    pub(super) fn edits(&self, wanted: &[String]) -> Result<Vec<Edits>, Error> {
        let mut edits = Vec::new();
        let (mut files, mut missing) = (Vec::new(), Vec::new());
        for qualified in wanted {
            let Some((file, edit)) = self.find(qualified) else {
                missing.push(qualified.as_str());
                continue;
            };
            if !files.iter().any(|known| std::ptr::eq(*known, file)) {
                files.push(file);
                edits.push(file.container_edits.clone());
            }
            edits.push(edit.clone());
        }
        if missing.is_empty() { Ok(edits) } else { Err(Invalid::CdiDevices(missing.join(", ")).into()) }
    }

    /// In the last directory that has it. Two files of one directory that both have it leave it undefined.
    fn find(&self, qualified: &str) -> Option<(&File, &Edits)> {
        let (kind, name) = name::split(qualified)?;
        let in_file = |file: &'_ File| file.devices.iter().position(|device| file.kind == kind && device.name == name);
        self.directories.iter().rev().find_map(|files| {
            let found: Vec<(&File, usize)> = files.iter().filter_map(|file| Some((file, in_file(file)?))).collect();
            match found.as_slice() {
                [] => None,
                [(file, at)] => Some(Some((*file, &file.devices[*at].container_edits))),
                _ => Some(None),
            }
        })?
    }
}

/// Full names of all devices that the files in these directories define at this moment, in order.
pub(crate) fn devices(directories: &[PathBuf]) -> Vec<String> {
    Registry::read(directories).all()
}

fn files(directory: &Path) -> Vec<File> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let parsed = paths.iter().filter_map(|path| {
        let extension = path.extension()?.to_str()?;
        if !matches!(extension, "json" | "yaml" | "yml") {
            return None;
        }
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string());
        match text.and_then(|text| File::parse(&text, extension == "json")) {
            Ok(file) => Some(file),
            Err(error) => {
                tracing::warn!(file = %path.display(), error, "not a CDI specification");
                None
            }
        }
    });
    parsed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(kind: &str, name: &str, env: &str) -> File {
        let text = format!(
            r#"{{"cdiVersion":"0.6.0","kind":"{kind}","containerEdits":{{"env":["ALL=1"]}},
                "devices":[{{"name":"{name}","containerEdits":{{"env":["{env}"]}}}}]}}"#
        );
        File::parse(&text, true).expect("valid")
    }

    #[test]
    fn later_directories_win_and_conflicts_are_no_device() {
        let registry = Registry {
            directories: vec![
                vec![file("v/c", "a", "FROM=etc"), file("v/c", "b", "FROM=etc")],
                vec![file("v/c", "a", "FROM=run"), file("v/d", "x", "X=1"), file("v/d", "x", "X=2")],
            ],
        };
        let env = |name: &str| {
            let edits = registry.edits(&[name.to_owned()]).map_err(|error| error.to_string())?;
            Ok::<_, String>(edits.iter().flat_map(|edit| edit.env.clone()).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(env("v/c=a").as_deref(), Ok("ALL=1 FROM=run"));
        assert_eq!(env("v/c=b").as_deref(), Ok("ALL=1 FROM=etc"));
        assert!(env("v/d=x").is_err() && env("v/c=z").is_err() && env("nonsense").is_err());
        assert_eq!(registry.names("v/c"), ["a", "b", "a"]);
        assert_eq!(registry.all(), ["v/c=a", "v/c=b"]);
    }
}
