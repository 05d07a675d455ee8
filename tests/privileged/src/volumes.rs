//! Volumes, looked at from the host, for the tests of commands that copy them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::{Client, Daemon, skip};

/// Gantry's own client of an engine; none on the reference.
pub fn own(daemon: &Daemon) -> Option<Client> {
    if daemon.is_reference() {
        skip("Docker has no such command");
        return None;
    }
    daemon.clients().pop()
}

/// Where a volume's files are.
pub fn files(daemon: &Daemon, volume: &str) -> PathBuf {
    daemon.docker(&["volume", "inspect", "-f", "{{.Mountpoint}}", volume]).ok().into()
}

/// A volume with a file in it.
pub fn volume_with(daemon: &Daemon, stem: &str, text: &str) -> String {
    let name = daemon.name(stem);
    daemon.docker(&["volume", "create", "--label", "who=me", &name]).ok();
    fs::write(files(daemon, &name).join("file"), text).unwrap();
    name
}

/// The names of all volumes.
pub fn volumes(daemon: &Daemon) -> Vec<String> {
    daemon.docker(&["volume", "ls", "-q"]).ok().lines().map(str::to_owned).collect()
}

/// What is half done in the data root.
pub fn drafts(daemon: &Daemon) -> Vec<PathBuf> {
    let entries = fs::read_dir(daemon.data_root().join("tmp")).unwrap();
    let drafts = entries.map(|entry| entry.unwrap().path());
    drafts.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("volume-")).collect()
}

/// A volume's backup.
pub fn archive(client: &Client, volume: &str, options: &[&str]) -> Vec<u8> {
    let output = client.command(&[&["volume", "backup"], options, &[volume]].concat()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Everything that can be seen of a tree, by path.
pub fn seen(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut inodes: BTreeMap<u64, usize> = BTreeMap::new();
    let mut pending = vec![root.to_owned()];
    while let Some(path) = pending.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let kind = metadata.mode() & 0o170_000;
        let mut text = format!(
            "{:o} {}:{} {}.{:09} {}",
            metadata.mode(),
            metadata.uid(),
            metadata.gid(),
            metadata.mtime(),
            metadata.mtime_nsec(),
            metadata.rdev(),
        );
        if kind != 0o040_000 {
            text += &format!(" {} names {}", metadata.len(), metadata.nlink());
        }
        match kind {
            0o040_000 => pending.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path())),
            0o120_000 => text += &format!(" {}", fs::read_link(&path).unwrap().display()),
            0o100_000 if metadata.len() < 1 << 20 => text += &format!(" {:?}", fs::read(&path).unwrap()),
            _ => {}
        }
        for name in ["user.note", "trusted.overlay.opaque", "security.capability", "system.posix_acl_access"] {
            let mut value = [0; 200];
            if let Ok(length) = rustix::fs::lgetxattr(&path, name, &mut value[..]) {
                text += &format!(" {name}={:?}", &value[..length]);
            }
        }
        *inodes.entry(metadata.ino()).or_default() += 1;
        found.insert(path.strip_prefix(root).unwrap().display().to_string(), text);
    }
    found
}
