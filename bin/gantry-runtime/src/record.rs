//! What is remembered of a container between commands: `<root>/<id>/state.json`.
//!
//! ```text
//! <root>/<id>/state.json   this record
//! <root>/<id>/start.sock   there until the container is started
//! ```

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use runtime::cgroup::Cgroup;
use runtime::spec::Spec;
use serde::{Deserialize, Serialize};

use crate::Global;

/// A container.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub id: String,
    pub pid: i32,
    /// Field 22 of `/proc/<pid>/stat`: with the pid it names a process for good.
    pub start_time: u64,
    pub bundle: PathBuf,
    pub rootfs: PathBuf,
    /// RFC 3339.
    pub created: String,
    pub cgroup: PathBuf,
    pub spec: Spec,
}

/// What a container is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Created,
    Running,
    Paused,
    Stopped,
}

// === impl Status ===

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

// === impl Record ===

impl Record {
    /// Reserves the directory of a new container.
    pub fn reserve(global: &Global, id: &str) -> anyhow::Result<PathBuf> {
        check_id(id)?;
        std::fs::create_dir_all(&global.root).with_context(|| format!("make {}", global.root.display()))?;
        let directory = global.root.join(id);
        match std::os::unix::fs::DirBuilderExt::mode(&mut std::fs::DirBuilder::new(), 0o700).create(&directory) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                bail!("container with given ID already exists")
            }
            result => result.with_context(|| format!("make {}", directory.display()))?,
        }
        Ok(directory)
    }

    /// Reads a container's record.
    pub fn load(global: &Global, id: &str) -> anyhow::Result<Self> {
        check_id(id)?;
        let path = global.root.join(id).join("state.json");
        match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).with_context(|| format!("read {}", path.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => bail!("container does not exist"),
            Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
        }
    }

    /// Writes the record, whole or not at all. It is for this boot only, so nothing waits for a disk.
    pub fn save(&self, global: &Global) -> anyhow::Result<()> {
        let directory = global.root.join(&self.id);
        let (new, path) = (directory.join("state.json.new"), directory.join("state.json"));
        let written = std::fs::write(&new, serde_json::to_vec(self)?).and_then(|()| std::fs::rename(&new, &path));
        written.with_context(|| format!("write {}", path.display()))
    }

    /// The socket on which the container waits to be started.
    pub fn start_socket(global: &Global, id: &str) -> PathBuf {
        global.root.join(id).join("start.sock")
    }

    /// Looks at what the container is doing.
    pub fn status(&self, global: &Global) -> Status {
        if !self.is_alive() {
            Status::Stopped
        } else if Self::start_socket(global, &self.id).exists() {
            Status::Created
        } else if self.cgroup().is_ok_and(|cgroup| cgroup.is_frozen().unwrap_or(false)) {
            Status::Paused
        } else {
            Status::Running
        }
    }

    /// Whether the container's first process is there and not a zombie.
    pub fn is_alive(&self) -> bool {
        matches!(process_stat(self.pid), Some((state, start)) if start == self.start_time && !"ZX".contains(state))
    }

    /// Fails with runc's words unless the container has a process.
    pub fn must_be_alive(&self) -> anyhow::Result<()> {
        if self.is_alive() { Ok(()) } else { bail!("container not running") }
    }

    /// The container's control group.
    pub fn cgroup(&self) -> anyhow::Result<Cgroup> {
        Ok(Cgroup::open(&self.cgroup)?)
    }

    /// The state as the specification prints it.
    pub fn state(&self, status: Status) -> runtime::State {
        runtime::State {
            oci_version: self.spec.oci_version.clone(),
            id: self.id.clone(),
            status: status.as_str().to_owned(),
            pid: if status == Status::Stopped { 0 } else { self.pid },
            bundle: self.bundle.clone(),
            annotations: self.spec.annotations.clone(),
        }
    }
}

/// Every container, in order of their ids; directories without a readable record are left out.
pub(crate) fn all(global: &Global) -> anyhow::Result<Vec<Record>> {
    let entries = match std::fs::read_dir(&global.root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        result => result.with_context(|| format!("read {}", global.root.display()))?,
    };
    let mut records: Vec<Record> =
        entries.flatten().filter_map(|entry| Record::load(global, &entry.file_name().to_string_lossy()).ok()).collect();
    records.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(records)
}

/// State letter and start time of a process (proc(5)); the command name in front may hold anything.
pub(crate) fn process_stat(pid: i32) -> Option<(char, u64)> {
    let text = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

fn check_id(id: &str) -> anyhow::Result<()> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-.".contains(&byte);
    if id.is_empty() || id == "." || id == ".." || !id.bytes().all(allowed) {
        bail!("invalid container ID format: {id:?}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_cannot_be_paths() {
        for bad in ["", ".", "..", "a/b", "a b", "é"] {
            assert!(check_id(bad).is_err(), "{bad:?}");
        }
        assert!(check_id("0a_B+c-d.e").is_ok());
        assert!(process_stat(std::process::id() as i32).is_some());
    }
}
