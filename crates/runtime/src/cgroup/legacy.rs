//! Creating and changing a group on version 1 and hybrid machines.

use std::path::{Path, PathBuf};

use super::layout::{Controller, Legacy};
use super::{Error, Warning, files, legacy_limits, processes, unified};
use crate::spec::Resources;

/// Every group has a directory in these, where they are mounted: what limits, statistics and systemd's
/// bookkeeping (which would otherwise end the containers with the daemon's unit) need. The freezer, last, only
/// where the unified hierarchy does not do its work.
const ALWAYS: [Controller; 8] = [
    Controller::Cpu,
    Controller::CpuAcct,
    Controller::Memory,
    Controller::Devices,
    Controller::Blkio,
    Controller::Pids,
    Controller::Systemd,
    Controller::Freezer,
];

/// Creates the directories and applies the limits.
pub(super) fn create(
    legacy: &Legacy,
    path: &Path,
    resources: &Resources,
    warnings: &mut Vec<Warning>,
) -> Result<(), Error> {
    let unified = match &legacy.unified {
        Some(unified) => make_or_warn(&unified.root, path, warnings)?,
        None => false,
    };
    for mount in mounts(legacy, if unified { &ALWAYS[..ALWAYS.len() - 1] } else { &ALWAYS }) {
        make_or_warn(mount, path, warnings)?;
    }
    if let Some(parent) = shared_cpuset(legacy, path) {
        // Only for show: limits on placement make a group of their own.
        drop(populate_cpuset(legacy.mount(Controller::CpuSet).unwrap_or(&parent), parent_of(path)));
    }
    for controller in on_demand(legacy, resources) {
        make_on_demand(legacy, controller, path)?;
    }
    apply(legacy, path, resources, warnings)
}

/// Applies changed limits; hierarchies that were not needed before are joined by every process of the group.
pub(super) fn update(
    legacy: &Legacy,
    path: &Path,
    resources: &Resources,
    warnings: &mut Vec<Warning>,
) -> Result<(), Error> {
    for controller in on_demand(legacy, resources) {
        let Some(mount) = legacy.mount(controller) else { continue };
        let directory = mount.join(path);
        if directory.is_dir() {
            continue;
        }
        make_on_demand(legacy, controller, path)?;
        if let Some(source) = mounts(legacy, &[Controller::Pids, Controller::Memory, Controller::Devices]).next() {
            processes::move_all(&source.join(path), &directory)?;
        }
    }
    apply(legacy, path, resources, warnings)
}

/// Mount point and directory of every hierarchy that the group's processes are in, the unified one excepted.
/// Without a cpuset of its own a group shares its parent's.
pub(super) fn joined(legacy: &Legacy, path: &Path) -> Vec<(PathBuf, PathBuf)> {
    let mut all: Vec<(PathBuf, PathBuf)> = Vec::with_capacity(legacy.mounts.len());
    for (controller, mount) in &legacy.mounts {
        if all.iter().any(|(known, _)| known == mount) {
            continue;
        }
        let own = mount.join(path);
        if own.is_dir() {
            all.push((mount.clone(), own));
        } else if *controller == Controller::CpuSet
            && let Some(shared) = shared_cpuset(legacy, path).filter(|shared| shared.is_dir())
        {
            all.push((mount.clone(), shared));
        }
    }
    all
}

/// The parent's cpuset directory. A cpuset costs about 0.3 ms to make; programs (Java's for one) want to be in
/// some cpuset group to believe that they are in a container.
fn shared_cpuset(legacy: &Legacy, path: &Path) -> Option<PathBuf> {
    let mount = legacy.mount(Controller::CpuSet)?;
    let parent = parent_of(path);
    if parent.as_os_str().is_empty() { None } else { Some(mount.join(parent)) }
}

fn parent_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// Distinct mount points of some controllers, in the order given.
fn mounts<'a>(legacy: &'a Legacy, controllers: &[Controller]) -> impl Iterator<Item = &'a Path> {
    let mut found: Vec<&Path> = Vec::with_capacity(controllers.len());
    for mount in controllers.iter().filter_map(|controller| legacy.mount(*controller)) {
        if !found.contains(&mount) {
            found.push(mount);
        }
    }
    found.into_iter()
}

/// Controllers that these limits need and that are mounted.
fn on_demand(legacy: &Legacy, resources: &Resources) -> Vec<Controller> {
    let placed = resources.cpu.as_ref().is_some_and(|cpu| !cpu.cpus.is_empty() || !cpu.mems.is_empty());
    let network = resources.network.as_ref();
    let wanted = [
        (Controller::CpuSet, placed),
        (Controller::Hugetlb, !resources.hugepage_limits.is_empty()),
        (Controller::NetCls, network.is_some_and(|network| network.class_id.is_some_and(|id| id != 0))),
        (Controller::NetPrio, network.is_some_and(|network| !network.priorities.is_empty())),
        (Controller::Rdma, !resources.rdma.is_empty()),
    ];
    wanted
        .into_iter()
        .filter(|(controller, wanted)| *wanted && legacy.mount(*controller).is_some())
        .map(|w| w.0)
        .collect()
}

fn make_on_demand(legacy: &Legacy, controller: Controller, path: &Path) -> Result<(), Error> {
    let Some(mount) = legacy.mount(controller) else { return Ok(()) };
    if controller == Controller::CpuSet { populate_cpuset(mount, path) } else { make(mount, path) }
}

/// A hierarchy that may not be written to (inside another container, say) is done without, as Docker does: asking for
/// one of its limits fails later, at its file. Gives whether the group is there.
fn make_or_warn(mount: &Path, path: &Path, warnings: &mut Vec<Warning>) -> Result<bool, Error> {
    match make(mount, path) {
        Ok(()) => Ok(true),
        Err(Error::Create { source, .. })
            if matches!(source.raw_os_error(), Some(libc::EROFS | libc::EACCES | libc::EPERM)) =>
        {
            let controller = mount.file_name().unwrap_or_default().to_string_lossy().into_owned();
            warnings.push(Warning::ControllerUnavailable { controller, path: mount.to_owned() });
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// mkdir, with the ancestors when they are missing.
fn make(mount: &Path, path: &Path) -> Result<(), Error> {
    match files::make_directory(&mount.join(path)) {
        Err(Error::Create { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            let mut directory = mount.to_owned();
            for component in path {
                directory.push(component);
                files::make_directory(&directory)?;
            }
            Ok(())
        }
        other => other.map(drop),
    }
}

/// Makes every directory down to `path` and fills empty cpusets from their parents: an empty one admits nobody.
fn populate_cpuset(mount: &Path, path: &Path) -> Result<(), Error> {
    let mut directory = mount.to_owned();
    for component in path {
        let parent = directory.clone();
        directory.push(component);
        if !files::make_directory(&directory)? && directory.ends_with(path) {
            // Someone made it earlier: its ancestors were filled then.
            let filled = |file| files::read(&directory.join(file)).is_ok_and(|text| !text.trim().is_empty());
            if filled("cpuset.cpus") && filled("cpuset.mems") {
                return Ok(());
            }
        }
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if files::read(&directory.join(file))?.trim().is_empty() {
                files::set(&directory, file, files::read(&parent.join(file))?.trim())?;
            }
        }
    }
    Ok(())
}

fn apply(legacy: &Legacy, path: &Path, resources: &Resources, warnings: &mut Vec<Warning>) -> Result<(), Error> {
    if !resources.unified.is_empty() {
        return Err(Error::Unsupported { setting: "unified", reason: "this machine mounts cgroup v1 controllers" });
    }
    legacy_limits::apply(&|controller| legacy.mount(controller).map(|mount| mount.join(path)), resources, warnings)?;
    apply_in_unified(legacy, path, resources, warnings)
}

/// On a hybrid machine some controllers live in the unified hierarchy.
fn apply_in_unified(
    legacy: &Legacy,
    path: &Path,
    resources: &Resources,
    warnings: &mut Vec<Warning>,
) -> Result<(), Error> {
    let hugetlb = !resources.hugepage_limits.is_empty() && legacy.mount(Controller::Hugetlb).is_none();
    let rdma = !resources.rdma.is_empty() && legacy.mount(Controller::Rdma).is_none();
    let devices = !resources.devices.is_empty() && legacy.mount(Controller::Devices).is_none();
    if !(hugetlb || rdma || devices) {
        return Ok(());
    }
    let Some(hierarchy) = &legacy.unified else {
        let setting = if devices {
            "devices"
        } else if hugetlb {
            "hugepageLimits"
        } else {
            "rdma"
        };
        return Err(Error::Unsupported { setting, reason: "the controller is not mounted" });
    };
    let part = Resources {
        hugepage_limits: if hugetlb { resources.hugepage_limits.clone() } else { Vec::new() },
        rdma: if rdma { resources.rdma.clone() } else { Default::default() },
        devices: if devices { resources.devices.clone() } else { Vec::new() },
        ..Resources::default()
    };
    unified::make(hierarchy, path, warnings)?;
    unified::apply(&hierarchy.root.join(path), &part, warnings)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::{Cgroup, Layout};
    use super::*;
    use crate::spec::Pids;

    #[test]
    fn a_closed_hierarchy_is_done_without() {
        // Nobody can make a directory there, root included.
        let closed = Legacy { mounts: vec![(Controller::Pids, PathBuf::from("/sys/kernel"))], unified: None };
        let layout = Layout::Legacy(closed);
        let group = Cgroup::create_in(layout.clone(), "/docker/closed", &Resources::default()).unwrap();
        assert!(
            matches!(group.warnings(), [Warning::ControllerUnavailable { controller, .. }] if controller == "kernel")
        );
        assert!(group.entry().unwrap().clone_target().is_none());
        let limited = Resources { pids: Some(Pids { limit: 5 }), ..Resources::default() };
        assert!(Cgroup::create_in(layout, "/docker/closed", &limited).is_err());
    }
}
