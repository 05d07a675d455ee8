//! Which cgroup hierarchies this machine has, seen at `/sys/fs/cgroup`.

use std::path::{Path, PathBuf};

use rustix::fs::statfs;

use super::{Error, files};

/// Where hierarchies are mounted on every distribution (file-hierarchy(7)).
pub const MOUNT_POINT: &str = "/sys/fs/cgroup";

/// `CGROUP2_SUPER_MAGIC` and `CGROUP_SUPER_MAGIC` of statfs(2).
const CGROUP2_MAGIC: u64 = 0x6367_7270;
const CGROUP_MAGIC: u64 = 0x0027_e0eb;

/// A version 1 controller, or the controllerless hierarchy that systemd tracks services with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    /// CPU time.
    Cpu,
    /// CPU accounting.
    CpuAcct,
    /// CPU and memory node placement.
    CpuSet,
    /// Memory.
    Memory,
    /// Device access.
    Devices,
    /// Freezer.
    Freezer,
    /// Block devices.
    Blkio,
    /// Number of processes.
    Pids,
    /// Huge pages.
    Hugetlb,
    /// Traffic class.
    NetCls,
    /// Traffic priority.
    NetPrio,
    /// RDMA.
    Rdma,
    /// `name=systemd`.
    Systemd,
}

/// The unified (version 2) hierarchy.
#[derive(Clone, Debug)]
pub struct Unified {
    /// Mount point.
    pub root: PathBuf,
    /// Controllers that the root can hand down, as in `cgroup.controllers`.
    pub controllers: Vec<String>,
}

/// The version 1 hierarchies, and the unified one where it is mounted beside them (hybrid).
#[derive(Clone, Debug)]
pub struct Legacy {
    /// Controllers and the mount point of each; co-mounted ones share it.
    pub mounts: Vec<(Controller, PathBuf)>,
    /// The unified hierarchy of a hybrid machine.
    pub unified: Option<Unified>,
}

/// What is mounted.
#[derive(Clone, Debug)]
pub enum Layout {
    /// Pure version 2.
    Unified(Unified),
    /// Version 1, alone or hybrid.
    Legacy(Legacy),
}

impl Layout {
    /// Looks at `/sys/fs/cgroup`.
    pub fn observe() -> Result<Self, Error> {
        Self::observe_at(Path::new(MOUNT_POINT))
    }

    /// Looks at another mount point.
    pub fn observe_at(root: &Path) -> Result<Self, Error> {
        if magic(root) == Some(CGROUP2_MAGIC) {
            return Ok(Self::Unified(Unified::at(root)?));
        }
        let mut legacy = Legacy { mounts: Vec::new(), unified: None };
        let entries = std::fs::read_dir(root).map_err(|source| Error::Read { path: root.to_owned(), source })?;
        for entry in entries.flatten() {
            // Names like `cpu` are links to `cpu,cpuacct` on many machines: only the real directory counts.
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let path = entry.path();
            match magic(&path) {
                Some(CGROUP_MAGIC) => {
                    let name = entry.file_name();
                    for controller in name.to_string_lossy().split(',').filter_map(Controller::named) {
                        legacy.mounts.push((controller, path.clone()));
                    }
                }
                Some(CGROUP2_MAGIC) => legacy.unified = Some(Unified::at(&path)?),
                _ => {}
            }
        }
        if legacy.mounts.is_empty() && legacy.unified.is_none() {
            return Err(Error::NotMounted(root.to_owned()));
        }
        Ok(Self::Legacy(legacy))
    }

    /// True on a machine with version 2 alone.
    pub fn is_unified(&self) -> bool {
        matches!(self, Self::Unified(_))
    }
}

impl Controller {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "cpu" => Self::Cpu,
            "cpuacct" => Self::CpuAcct,
            "cpuset" => Self::CpuSet,
            "memory" => Self::Memory,
            "devices" => Self::Devices,
            "freezer" => Self::Freezer,
            "blkio" => Self::Blkio,
            "pids" => Self::Pids,
            "hugetlb" => Self::Hugetlb,
            "net_cls" => Self::NetCls,
            "net_prio" => Self::NetPrio,
            "rdma" => Self::Rdma,
            "systemd" => Self::Systemd,
            _ => return None,
        })
    }
}

impl Unified {
    fn at(root: &Path) -> Result<Self, Error> {
        let text = files::read(&root.join("cgroup.controllers"))?;
        Ok(Self { root: root.to_owned(), controllers: text.split_whitespace().map(str::to_owned).collect() })
    }
}

impl Legacy {
    /// Where a controller is mounted.
    pub fn mount(&self, controller: Controller) -> Option<&Path> {
        self.mounts.iter().find(|(name, _)| *name == controller).map(|(_, path)| path.as_path())
    }
}

fn magic(path: &Path) -> Option<u64> {
    statfs(path).ok().map(|info| info.f_type.cast_unsigned())
}
