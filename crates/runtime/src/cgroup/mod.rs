//! Control groups: one [`Cgroup`] over version 1, hybrid and pure version 2.
//!
//! A group is named by a path such as `/docker/<id>`, relative to the mount point of each hierarchy. Version 1
//! hierarchies that cost much and are seldom asked for (cpuset, hugetlb, net_cls, net_prio, rdma) get a group
//! of their own only when a limit needs one; on a hybrid machine the unified hierarchy does the freezing, killing
//! and listing.
//!
//! Joining is what costs on a start: writing a process id to `cgroup.procs` waits for an RCU grace period, 4 to
//! 20 ms on a two-core machine. [`Entry`] avoids it: the new process is born in the unified group
//! (`CLONE_INTO_CGROUP`) and puts itself into the version 1 groups through `tasks`, about 30 µs each.

mod convert;
mod device_program;
mod devices;
mod error;
mod files;
mod freezer;
mod layout;
mod legacy;
mod legacy_limits;
mod oom;
mod processes;
mod remove;
mod stats;
mod stats_legacy;
mod stats_unified;
mod unified;

use std::path::{Component, Path, PathBuf};

use crate::spec::Resources;

pub use convert::{cpu_weight, io_weight, swap_limit};
pub use error::{Error, Warning};
pub use layout::{Controller, Layout, Legacy, MOUNT_POINT, Unified};
pub use oom::OomWatch;
pub use processes::Entry;
pub use stats::{BlkioEntry, BlkioStats, CpuStats, HugetlbStats, MemoryStats, PidsStats, Stats, Throttling};

/// The group of one container.
#[derive(Clone, Debug)]
pub struct Cgroup {
    layout: Layout,
    /// Relative to the mount points.
    path: PathBuf,
    warnings: Vec<Warning>,
}

/// A hierarchy that the group is in, for mounting it inside the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// Name below `/sys/fs/cgroup`, for example `memory` or `cpu,cpuacct`; empty on pure version 2.
    pub name: String,
    /// True for the unified hierarchy.
    pub unified: bool,
    /// Directory of the group on the host. It is the parent's where the group has none of its own.
    pub directory: PathBuf,
}

/// Looks at what is mounted at `/sys/fs/cgroup`.
pub fn observe() -> Result<Layout, Error> {
    Layout::observe()
}

// === impl Cgroup ===

impl Cgroup {
    /// Creates the group `path` and applies `resources`. Nothing stays behind on failure, except for the
    /// ancestors. What could not be enforced and does not matter to Docker either is in [`Cgroup::warnings`].
    pub fn create(path: impl AsRef<Path>, resources: &Resources) -> Result<Self, Error> {
        Self::create_in(Layout::observe()?, path, resources)
    }

    /// The same on a layout observed earlier.
    pub fn create_in(layout: Layout, path: impl AsRef<Path>, resources: &Resources) -> Result<Self, Error> {
        let mut group = Self::open_in(layout, path)?;
        let mut warnings = Vec::new();
        let created = match &group.layout {
            Layout::Legacy(legacy) => legacy::create(legacy, &group.path, resources, &mut warnings),
            Layout::Unified(unified) => unified::create(unified, &group.path, resources, &mut warnings),
        };
        if let Err(error) = created {
            // The first failure is the one to report.
            drop(group.remove());
            return Err(error);
        }
        group.warnings = warnings;
        Ok(group)
    }

    /// Names a group that exists (or did): for a daemon that restarted, and for cleaning up.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_in(Layout::observe()?, path)
    }

    /// The same on a layout observed earlier.
    pub fn open_in(layout: Layout, path: impl AsRef<Path>) -> Result<Self, Error> {
        Ok(Self { layout, path: relative(path.as_ref())?, warnings: Vec::new() })
    }

    /// Changes limits. Unset values stay as they are.
    pub fn update(&mut self, resources: &Resources) -> Result<(), Error> {
        match &self.layout {
            Layout::Legacy(legacy) => legacy::update(legacy, &self.path, resources, &mut self.warnings),
            Layout::Unified(unified) => unified::apply(&unified.root.join(&self.path), resources, &mut self.warnings),
        }
    }

    /// The path it was created with, for example `/docker/<id>`.
    pub fn path(&self) -> PathBuf {
        Path::new("/").join(&self.path)
    }

    /// What this machine has mounted.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What create and update asked for in vain.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// True while any of its directories is there.
    pub fn exists(&self) -> bool {
        self.directories().iter().any(|directory| directory.exists())
    }

    /// The hierarchies the container's processes are in, and where.
    pub fn memberships(&self) -> Vec<Membership> {
        let name = |mount: &Path| mount.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        match &self.layout {
            Layout::Unified(unified) => {
                vec![Membership { name: String::new(), unified: true, directory: unified.root.join(&self.path) }]
            }
            Layout::Legacy(legacy) => {
                let version1 = legacy::joined(legacy, &self.path).into_iter().map(|(mount, directory)| Membership {
                    name: name(&mount),
                    unified: false,
                    directory,
                });
                let own = legacy.unified.as_ref().zip(self.unified_directory());
                let unified =
                    own.map(|(unified, directory)| Membership { name: name(&unified.root), unified: true, directory });
                version1.chain(unified).collect()
            }
        }
    }

    /// Every directory it may have, in all hierarchies.
    fn directories(&self) -> Vec<PathBuf> {
        match &self.layout {
            Layout::Unified(unified) => vec![unified.root.join(&self.path)],
            Layout::Legacy(legacy) => {
                let mut all: Vec<PathBuf> = legacy.mounts.iter().map(|(_, mount)| mount.join(&self.path)).collect();
                all.extend(legacy.unified.iter().map(|unified| unified.root.join(&self.path)));
                all.dedup();
                all
            }
        }
    }

    /// Its directory in the unified hierarchy: always on pure version 2, on a hybrid machine where it is there.
    fn unified_directory(&self) -> Option<PathBuf> {
        match &self.layout {
            Layout::Unified(unified) => Some(unified.root.join(&self.path)),
            Layout::Legacy(legacy) => {
                let directory = legacy.unified.as_ref().map(|unified| unified.root.join(&self.path));
                directory.filter(|directory| directory.is_dir())
            }
        }
    }

    /// Its directory in one version 1 hierarchy.
    fn legacy_directory(&self, controller: Controller) -> Option<PathBuf> {
        match &self.layout {
            Layout::Unified(_) => None,
            Layout::Legacy(legacy) => legacy.mount(controller).map(|mount| mount.join(&self.path)),
        }
    }
}

/// `/docker/x` as `docker/x`; refuses anything that could leave the hierarchy, and the root itself.
fn relative(path: &Path) -> Result<PathBuf, Error> {
    let invalid = || Error::InvalidPath(path.to_owned());
    let mut result = PathBuf::new();
    for component in path.components() {
        match component {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) => result.push(name),
            _ => return Err(invalid()),
        }
    }
    if result.as_os_str().is_empty() { Err(invalid()) } else { Ok(result) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_inside_the_hierarchy() {
        assert_eq!(relative(Path::new("/docker/x")).ok(), Some(PathBuf::from("docker/x")));
        for bad in ["/", "", "/docker/../..", ".."] {
            assert!(relative(Path::new(bad)).is_err(), "{bad}");
        }
    }
}
