//! The container's view of the control groups, at `/sys/fs/cgroup`.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::mounts::{attach_bind, make_readonly, mount, open_bind, propagate};
use crate::error::Error;
use crate::plan::{MountAction, MountStep, Recursion};
use crate::root::Root;

/// Where this process is in each hierarchy, read before it has a cgroup namespace of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Membership {
    /// Controllers as the kernel lists them (`cpu,cpuacct`, `name=systemd`), and the path in that hierarchy.
    legacy: Vec<(String, String)>,
    /// Path in the unified hierarchy.
    unified: Option<String>,
}

const HOST: &str = "/sys/fs/cgroup";
const CGROUP2_SUPER_MAGIC: i64 = 0x6367_7270;

// === impl Membership ===

impl Membership {
    /// Reads `/proc/self/cgroup`.
    pub fn observe() -> io::Result<Self> {
        Ok(Self::parse(&std::fs::read_to_string("/proc/self/cgroup")?))
    }

    fn parse(text: &str) -> Self {
        let mut membership = Self::default();
        for line in text.lines() {
            let mut parts = line.splitn(3, ':').skip(1);
            match (parts.next(), parts.next()) {
                (Some(""), Some(path)) => membership.unified = Some(path.to_owned()),
                (Some(controllers), Some(path)) => membership.legacy.push((controllers.to_owned(), path.to_owned())),
                _ => {}
            }
        }
        membership
    }
}

/// What a container that shares its parent's group still finds of it, by hierarchy. Programs size themselves by these.
const SHARED_FILES: [(&str, &str); 4] = [
    ("cpuset", "cpuset.cpus"),
    ("cpuset", "cpuset.mems"),
    ("cpuset", "cpuset.effective_cpus"),
    ("cpuset", "cpuset.effective_mems"),
];

/// Mounts the hierarchies. With a cgroup namespace of its own the container mounts them afresh and sees itself as
/// their root; without one it gets its own directories of the host's.
pub(crate) fn mount_cgroups(
    root: &Root,
    step: &MountStep,
    place: &Membership,
    (own_name, private): (&OsStr, bool),
) -> Result<(), Error> {
    let host = std::fs::File::open(HOST).map_err(|error| step.failed(error))?;
    let magic = rustix::fs::fstatfs(&host).map_err(|error| step.failed(error))?.f_type as i64;
    if magic == CGROUP2_SUPER_MAGIC {
        return mount_unified(root, step, place, private);
    }
    mount_legacy(root, step, place, (own_name, private))
}

fn mount_unified(root: &Root, step: &MountStep, place: &Membership, private: bool) -> Result<(), Error> {
    let target = root.directory(&step.destination).map_err(|error| step.failed(error))?;
    match mount("cgroup", &target, "cgroup2", step.options.flags, &step.options.data.join(",")) {
        Ok(()) => {}
        // A user namespace may mount it only from inside a cgroup namespace of its own.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EPERM | libc::EBUSY)) => {
            let path = place.unified.as_deref().filter(|_| private).unwrap_or("/");
            return bind(root, step, Path::new(HOST).join(path.trim_start_matches('/')), &step.destination);
        }
        Err(error) => return Err(step.failed(error)),
    }
    let mounted = open(root, &step.destination).map_err(|error| step.failed(error))?;
    propagate(&mounted, &step.options).map_err(|error| step.failed(error))
}

fn mount_legacy(
    root: &Root,
    step: &MountStep,
    place: &Membership,
    (own_name, private): (&OsStr, bool),
) -> Result<(), Error> {
    let failed = |error: io::Error| step.failed(error);
    let target = root.directory(&step.destination).map_err(failed)?;
    let flags = libc::MS_NOSUID | libc::MS_NOEXEC | libc::MS_NODEV;
    mount("tmpfs", &target, "tmpfs", flags, "mode=755").map_err(failed)?;
    let top = open(root, &step.destination).map_err(failed)?;
    for (controllers, path) in &place.legacy {
        let Some(name) = directory_name(controllers) else { continue };
        let destination = step.destination.join(&name);
        if !is_own(path, own_name) {
            // A group shared with others shows them, or even the whole host: only a few values of it are for here.
            share_values(root, step, &host_directory(&name, path), &destination)?;
        } else if private {
            let target = root.directory(&destination).map_err(failed)?;
            mount("cgroup", &target, "cgroup", step.options.flags, controllers).map_err(failed)?;
        } else {
            bind(root, step, host_directory(&name, path), &destination)?;
        }
        // Docker's images expect /sys/fs/cgroup/cpu also where the hierarchy is called cpu,cpuacct.
        for alias in controllers.split(',').filter(|alias| *alias != name && !alias.contains('=')) {
            let linked = rustix::fs::symlinkat(&name, &top, alias);
            linked.or_else(ignore_existing).map_err(|error| failed(error.into()))?;
        }
    }
    propagate(&top, &step.options).map_err(failed)?;
    if step.options.flags & libc::MS_RDONLY != 0 {
        make_readonly(&top).map_err(failed)?;
    }
    Ok(())
}

fn bind(root: &Root, step: &MountStep, source: PathBuf, destination: &Path) -> Result<(), Error> {
    let tree = open_bind(&source, Recursion::Recursive).map_err(|error| step.failed(error))?;
    let bind = MountStep {
        destination: destination.to_owned(),
        action: MountAction::Bind { source, recursion: Recursion::Recursive, subpath: PathBuf::new() },
        ..step.clone()
    };
    attach_bind(root, &bind, tree)
}

/// Whether a group is the container's and not one further up, in which it is when a hierarchy is not limited.
fn is_own(path: &str, own_name: &OsStr) -> bool {
    Path::new(path).file_name() == Some(own_name)
}

fn share_values(root: &Root, step: &MountStep, group: &Path, destination: &Path) -> Result<(), Error> {
    root.directory(destination).map_err(|error| step.failed(error))?;
    for (hierarchy, file) in SHARED_FILES {
        let source = group.join(file);
        if destination.ends_with(hierarchy) && source.exists() {
            bind(root, step, source, &destination.join(file))?;
        }
    }
    Ok(())
}

/// The host's directory of a hierarchy: usually the list of its controllers, or the name behind `name=`.
fn directory_name(controllers: &str) -> Option<String> {
    let exists = |name: &str| Path::new(HOST).join(name).is_dir();
    let name = controllers.strip_prefix("name=").unwrap_or(controllers);
    if exists(name) {
        return Some(name.to_owned());
    }
    // Mounted under another order or under one controller only.
    name.split(',').find(|part| exists(part)).map(str::to_owned)
}

/// The container's directory in a hierarchy; the hierarchy itself where the host shows only a part of it, as inside
/// another container.
fn host_directory(name: &str, path: &str) -> PathBuf {
    let hierarchy = Path::new(HOST).join(name);
    let own = hierarchy.join(path.trim_start_matches('/'));
    if own.is_dir() { own } else { hierarchy }
}

fn open(root: &Root, path: &Path) -> io::Result<OwnedFd> {
    root.open(path, OFlags::PATH | OFlags::DIRECTORY)
}

fn ignore_existing(error: rustix::io::Errno) -> rustix::io::Result<()> {
    if error == rustix::io::Errno::EXIST { Ok(()) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn membership_of_hybrid_hierarchies() {
        let text = "12:pids:/docker/a\n3:cpu,cpuacct:/docker/a\n1:name=systemd:/x:y\n0::/\n";
        let place = Membership::parse(text);
        assert_eq!(place.unified.as_deref(), Some("/"));
        assert_eq!(place.legacy[1], ("cpu,cpuacct".to_owned(), "/docker/a".to_owned()));
        assert_eq!(place.legacy[2].1, "/x:y");
    }
}
