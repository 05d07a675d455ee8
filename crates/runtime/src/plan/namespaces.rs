//! Which namespaces are made, which are joined, and whether that takes a launcher in between.

use std::path::PathBuf;

use crate::error::Error;
use crate::spec::{IdMapping, Linux, NamespaceKind};

/// The namespaces of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NamespacePlan {
    /// `CLONE_NEW*` bits for clone3. The cgroup namespace is not among them: its root is where its maker is, so the
    /// process makes it after it has joined its cgroup.
    pub clone: u64,
    /// Make a cgroup namespace.
    pub new_cgroup: bool,
    /// Make a time namespace, with this text for `timens_offsets` (may be empty).
    pub new_time: Option<String>,
    /// Namespace files to join.
    pub joins: Vec<(NamespaceKind, PathBuf)>,
    /// Text for `uid_map`, when a user namespace is made.
    pub uid_map: String,
    /// Text for `gid_map`, when a user namespace is made.
    pub gid_map: String,
    /// Whether a process in between has to make the container's process. A namespace of processes, users or time
    /// can only be entered by being born in it, and what a new user namespace has no power over (namespaces to
    /// join, overlay mounts) comes before it.
    pub launcher: bool,
}

// === impl NamespacePlan ===

impl NamespacePlan {
    /// Works out the namespaces of a configuration.
    pub fn new(linux: &Linux, mounts_rootfs: bool) -> Result<Self, Error> {
        let mut plan = Self::default();
        let mut seen = Vec::new();
        for namespace in &linux.namespaces {
            if seen.contains(&namespace.kind) {
                return Err(Error::invalid("linux.namespaces", format!("{:?} is named twice", namespace.kind)));
            }
            seen.push(namespace.kind);
            match &namespace.path {
                Some(path) if !path.as_os_str().is_empty() => {
                    if !path.is_absolute() {
                        let reason = format!("{} is not an absolute path", path.display());
                        return Err(Error::invalid("linux.namespaces", reason));
                    }
                    plan.joins.push((namespace.kind, path.clone()));
                }
                _ => plan.create(namespace.kind, linux)?,
            }
        }
        plan.check_mappings(linux)?;
        if plan.new_time.is_none() && !linux.time_offsets.is_empty() {
            return Err(Error::invalid("linux.timeOffsets", "needs a new time namespace"));
        }
        let joins_by_birth = |kind| matches!(kind, NamespaceKind::Pid | NamespaceKind::User);
        let new_user = plan.clone & flag(NamespaceKind::User) != 0;
        plan.launcher = plan.joins.iter().any(|(kind, _)| joins_by_birth(*kind))
            || plan.new_time.is_some()
            || (new_user && (mounts_rootfs || !plan.joins.is_empty()));
        Ok(plan)
    }

    /// Whether the container has a namespace of this kind apart from the host's, made or joined.
    pub fn has(&self, kind: NamespaceKind) -> bool {
        let made = match kind {
            NamespaceKind::Cgroup => self.new_cgroup,
            NamespaceKind::Time => self.new_time.is_some(),
            other => self.clone & flag(other) != 0,
        };
        made || self.joins.iter().any(|(joined, _)| *joined == kind)
    }

    /// Whether a namespace of this kind is made by the clone.
    pub fn makes(&self, kind: NamespaceKind) -> bool {
        self.clone & flag(kind) != 0
    }

    /// Whether a user namespace is made.
    pub fn new_user(&self) -> bool {
        self.clone & flag(NamespaceKind::User) != 0
    }

    /// Whether the process lives in a user namespace of its own, made or joined.
    pub fn in_user(&self) -> bool {
        self.has(NamespaceKind::User)
    }

    fn create(&mut self, kind: NamespaceKind, linux: &Linux) -> Result<(), Error> {
        match kind {
            NamespaceKind::Cgroup => self.new_cgroup = true,
            NamespaceKind::Time => self.new_time = Some(time_offsets(linux)?),
            other => self.clone |= flag(other),
        }
        Ok(())
    }

    fn check_mappings(&mut self, linux: &Linux) -> Result<(), Error> {
        let mapped = !linux.uid_mappings.is_empty() || !linux.gid_mappings.is_empty();
        if self.new_user() {
            if linux.uid_mappings.is_empty() || linux.gid_mappings.is_empty() {
                return Err(Error::invalid("linux.uidMappings", "a new user namespace needs uid and gid mappings"));
            }
            self.uid_map = map_text(&linux.uid_mappings);
            self.gid_map = map_text(&linux.gid_mappings);
        } else if mapped && !self.in_user() {
            return Err(Error::invalid("linux.uidMappings", "mappings need a user namespace"));
        }
        Ok(())
    }
}

/// Text for `uid_map` and `gid_map` (user_namespaces(7)).
pub(crate) fn map_text(mappings: &[IdMapping]) -> String {
    mappings.iter().map(|map| format!("{} {} {}\n", map.container_id, map.host_id, map.size)).collect()
}

/// The clone flag of a kind.
pub(crate) fn flag(kind: NamespaceKind) -> u64 {
    let flag = match kind {
        NamespaceKind::Pid => libc::CLONE_NEWPID,
        NamespaceKind::Network => libc::CLONE_NEWNET,
        NamespaceKind::Mount => libc::CLONE_NEWNS,
        NamespaceKind::Ipc => libc::CLONE_NEWIPC,
        NamespaceKind::Uts => libc::CLONE_NEWUTS,
        NamespaceKind::User => libc::CLONE_NEWUSER,
        NamespaceKind::Cgroup => libc::CLONE_NEWCGROUP,
        NamespaceKind::Time => libc::CLONE_NEWTIME,
    };
    flag as u64
}

fn time_offsets(linux: &Linux) -> Result<String, Error> {
    let line = |(clock, offset): (&String, &crate::spec::TimeOffset)| match clock.as_str() {
        "monotonic" | "boottime" => Ok(format!("{clock} {} {}\n", offset.secs, offset.nanosecs)),
        _ => Err(Error::invalid("linux.timeOffsets", format!("unknown clock {clock:?}"))),
    };
    linux.time_offsets.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::spec::Namespace;

    fn linux(namespaces: &[(NamespaceKind, Option<&str>)]) -> Linux {
        let namespaces =
            namespaces.iter().map(|(kind, path)| Namespace { kind: *kind, path: path.map(PathBuf::from) }).collect();
        Linux { namespaces, ..Linux::default() }
    }

    #[test]
    fn ordinary_containers_need_no_launcher() {
        use NamespaceKind::{Cgroup, Ipc, Mount, Network, Pid, Uts};
        let spec = linux(&[
            (Mount, None),
            (Pid, None),
            (Ipc, None),
            (Uts, None),
            (Cgroup, None),
            (Network, Some("/run/netns/a")),
        ]);
        let plan = NamespacePlan::new(&spec, true).unwrap();
        assert!(!plan.launcher && plan.new_cgroup);
        assert_eq!(plan.joins, [(Network, PathBuf::from("/run/netns/a"))]);
        assert_eq!(plan.clone & flag(Network), 0);
        assert!(plan.has(Network) && plan.has(Pid) && !plan.has(NamespaceKind::User));
    }

    #[test]
    fn joining_by_birth_needs_a_launcher() {
        use NamespaceKind::{Mount, Network, Pid, Time, User};
        assert!(NamespacePlan::new(&linux(&[(Mount, None), (Pid, Some("/p"))]), false).unwrap().launcher);
        assert!(NamespacePlan::new(&linux(&[(Mount, None), (User, Some("/u"))]), false).unwrap().launcher);
        assert!(NamespacePlan::new(&linux(&[(Mount, None), (Time, None)]), false).unwrap().launcher);
        let mut user = linux(&[(Mount, None), (User, None)]);
        assert!(NamespacePlan::new(&user, false).is_err());
        user.uid_mappings = vec![IdMapping { container_id: 0, host_id: 100_000, size: 65536 }];
        user.gid_mappings = user.uid_mappings.clone();
        let plan = NamespacePlan::new(&user, false).unwrap();
        assert_eq!(plan.uid_map, "0 100000 65536\n");
        assert!(!plan.launcher);
        user.namespaces.push(Namespace { kind: Network, path: Some("/n".into()) });
        assert!(NamespacePlan::new(&user, false).unwrap().launcher);
    }

    #[test]
    fn contradictions_are_refused() {
        use NamespaceKind::{Mount, Pid};
        assert!(NamespacePlan::new(&linux(&[(Pid, None), (Pid, Some("/p"))]), false).is_err());
        assert!(NamespacePlan::new(&linux(&[(Pid, Some("relative"))]), false).is_err());
        let mut spec = linux(&[(Mount, None)]);
        spec.uid_mappings = vec![IdMapping { size: 1, ..IdMapping::default() }];
        assert!(NamespacePlan::new(&spec, false).is_err());
    }
}
