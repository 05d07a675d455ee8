//! Mounts, from the configuration's words to steps.

use std::path::{Component, Path, PathBuf};

use super::mount_options::{MountOptions, Recursion, propagation};
use crate::error::Error;
use crate::spec::{IdMapping, Mount};

/// One mount to perform.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MountStep {
    /// Absolute and without `.` or `..`.
    pub destination: PathBuf,
    pub action: MountAction,
    pub options: MountOptions,
    pub uid_mappings: Vec<IdMapping>,
    pub gid_mappings: Vec<IdMapping>,
}

/// What appears there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MountAction {
    /// A file or directory of the host.
    Bind {
        source: PathBuf,
        recursion: Recursion,
        /// The part of it that is mounted; empty for all.
        subpath: PathBuf,
    },
    /// The container's view of the control groups.
    Cgroup,
    /// A new instance of a file system.
    FileSystem { kind: String, source: String },
}

// === impl MountStep ===

impl MountStep {
    /// What is mounted, for messages.
    pub fn origin(&self) -> String {
        match &self.action {
            MountAction::Bind { source, subpath, .. } if subpath.as_os_str().is_empty() => source.display().to_string(),
            MountAction::Bind { source, subpath, .. } => source.join(subpath).display().to_string(),
            MountAction::Cgroup => "cgroup".to_owned(),
            MountAction::FileSystem { source, .. } => source.clone(),
        }
    }

    /// The kernel's answer to this mount as an error.
    pub fn failed(&self, source: impl Into<std::io::Error>) -> Error {
        Error::Mount { origin: self.origin(), destination: self.destination.clone(), source: source.into() }
    }
}

/// Reads one mount of a configuration.
pub(crate) fn mount_step(mount: &Mount, bundle: &Path) -> Result<MountStep, Error> {
    let options = MountOptions::parse(&mount.options);
    let texts = [mount.source.as_str(), mount.subpath.as_str(), mount.kind.as_str()];
    for text in texts.into_iter().chain(mount.options.iter().map(String::as_str)) {
        if text.contains('\0') {
            return Err(Error::invalid("mounts", format!("{text:?} contains a zero byte")));
        }
    }
    let recursion = options.bind.or((mount.kind == "bind").then_some(Recursion::Single));
    let action = match (recursion, mount.kind.as_str()) {
        (Some(recursion), _) => {
            MountAction::Bind { source: bundle.join(&mount.source), recursion, subpath: PathBuf::from(&mount.subpath) }
        }
        (None, "cgroup" | "cgroup2") => MountAction::Cgroup,
        (None, "") => return Err(Error::invalid("mounts", format!("{}: no type", mount.destination.display()))),
        (None, kind) => MountAction::FileSystem { kind: kind.to_owned(), source: mount.source.clone() },
    };
    if options.copy_up && mount.kind != "tmpfs" {
        return Err(Error::invalid("mounts", "tmpcopyup is for tmpfs only"));
    }
    Ok(MountStep {
        destination: clean(&mount.destination),
        action,
        options,
        uid_mappings: mount.uid_mappings.clone(),
        gid_mappings: mount.gid_mappings.clone(),
    })
}

/// Reads the mounts that make the root file system.
pub(crate) fn rootfs_mounts(mounts: &[types::Mount], bundle: &Path) -> Result<Vec<MountStep>, Error> {
    let convert = |mount: &types::Mount| {
        let mount = Mount {
            destination: PathBuf::from(&mount.destination),
            kind: mount.kind.clone(),
            source: mount.source.clone(),
            options: mount.options.clone(),
            ..Mount::default()
        };
        mount_step(&mount, bundle)
    };
    mounts.iter().map(convert).collect()
}

/// Whether the container brings its own `/dev`, which is then not filled.
pub(crate) fn binds_dev(mounts: &[MountStep]) -> bool {
    mounts.iter().any(|step| step.destination == Path::new("/dev") && matches!(step.action, MountAction::Bind { .. }))
}

/// Reads `linux.rootfsPropagation`.
pub(crate) fn root_propagation(word: &str) -> Result<Option<libc::c_ulong>, Error> {
    if word.is_empty() {
        return Ok(None);
    }
    let flag = propagation(word).ok_or_else(|| Error::invalid("linux.rootfsPropagation", format!("unknown {word:?}")));
    flag.map(Some)
}

/// Lexically absolute and without `.` and `..`, as runc takes destinations.
fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => cleaned.push(name),
            Component::ParentDir => {
                cleaned.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    cleaned
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn step(destination: &str, kind: &str, source: &str, options: &str) -> MountStep {
        let mount = Mount {
            destination: destination.into(),
            kind: kind.into(),
            source: source.into(),
            options: options.split(',').map(str::to_owned).collect(),
            ..Mount::default()
        };
        mount_step(&mount, Path::new("/bundle")).unwrap()
    }

    #[test]
    fn binds_are_recognised_by_option_or_type() {
        let bind = |step: MountStep| match step.action {
            MountAction::Bind { source, recursion, .. } => (source, recursion),
            other => panic!("{other:?}"),
        };
        assert_eq!(bind(step("/a", "", "/src", "rbind")), ("/src".into(), Recursion::Recursive));
        assert_eq!(bind(step("/a", "bind", "src", "ro")), ("/bundle/src".into(), Recursion::Single));
        assert_eq!(step("/sys/fs/cgroup", "cgroup2", "cgroup", "ro").action, MountAction::Cgroup);
    }

    #[test]
    fn destinations_are_cleaned() {
        assert_eq!(step("a/../../b/./c", "tmpfs", "x", "").destination, Path::new("/b/c"));
        assert!(binds_dev(&[step("/dev/", "bind", "/dev", "")]));
        assert!(!binds_dev(&[step("/dev", "tmpfs", "tmpfs", "")]));
        assert!(root_propagation("sideways").is_err());
        assert_eq!(root_propagation("rshared").unwrap(), Some(libc::MS_SHARED | libc::MS_REC));
    }
}
