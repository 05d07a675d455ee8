//! The host's name servers, as its `resolv.conf` names them now.

use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::lock;

/// The host's file, read again when it is another or has changed: a look at it is little beside a question to others.
pub(super) struct HostServers {
    path: PathBuf,
    known: Mutex<Option<(Stamp, Arc<[IpAddr]>)>>,
}

/// By which a file is known not to have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

// === impl HostServers ===

impl HostServers {
    /// The servers of this file.
    pub(super) fn of(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), known: Mutex::new(None) }
    }

    /// The servers now. A machine without the file has none.
    pub(super) fn now(&self) -> Arc<[IpAddr]> {
        let mut known = lock(&self.known);
        let stamp = std::fs::metadata(&self.path).ok().map(|found| Stamp {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        });
        match (&*known, stamp) {
            (Some((old, servers)), Some(stamp)) if *old == stamp => return Arc::clone(servers),
            _ => {}
        }
        let text = std::fs::read(&self.path).unwrap_or_default();
        let servers: Arc<[IpAddr]> = network::nameservers(&String::from_utf8_lossy(&text)).into();
        *known = stamp.map(|stamp| (stamp, Arc::clone(&servers)));
        servers
    }
}

impl Default for HostServers {
    fn default() -> Self {
        Self::of("/etc/resolv.conf")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_followed() {
        let directory = std::env::temp_dir().join(format!("gantry-servers-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let file = directory.join("resolv.conf");
        let servers = HostServers::of(&file);
        let now = || servers.now().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        assert_eq!(now(), "");
        std::fs::write(&file, "nameserver 192.0.2.1\n").expect("written");
        assert_eq!((now().as_str(), now().as_str()), ("192.0.2.1", "192.0.2.1"));
        std::fs::write(&file, "nameserver 192.0.2.1\nnameserver 2001:db8::1\n").expect("written");
        assert_eq!(now(), "192.0.2.1 2001:db8::1");
        // Most programs put another file in its place.
        let other = directory.join("other");
        std::fs::write(&other, "nameserver 192.0.2.1\nnameserver 2001:db8::2\n").expect("written");
        std::fs::rename(&other, &file).expect("renamed");
        assert_eq!(now(), "192.0.2.1 2001:db8::2");
        std::fs::remove_file(&file).expect("removed");
        assert_eq!(now(), "");
        std::fs::remove_dir_all(&directory).expect("removed");
    }
}
