//! From a configuration to what will be done: pure, so that whatever is wrong with a configuration is found before
//! anything has been touched.

pub(crate) mod capabilities;
mod devices;
mod mount_options;
mod mounts;
mod namespaces;
mod process;
mod sysctl;

use std::path::{Path, PathBuf};

pub(crate) use capabilities::CapabilityPlan;
pub(crate) use devices::DeviceStep;
pub(crate) use mount_options::{Attributes, MountOptions, Recursion, names as mount_option_names};
pub(crate) use mounts::{MountAction, MountStep, mount_step};
pub(crate) use namespaces::{NamespacePlan, flag as namespace_flag, map_text};
pub(crate) use process::ProcessPlan;

use crate::error::Error;
use crate::request::{CreateOptions, Rootfs};
use crate::spec::{Hooks, IdMapping, Linux, Spec};

/// A container, ready to be made.
#[derive(Debug)]
pub(crate) struct Plan {
    pub id: String,
    /// Path of the control group; by the id where the configuration names none.
    pub cgroup: PathBuf,
    pub namespaces: NamespacePlan,
    pub rootfs: PathBuf,
    pub rootfs_mounts: Vec<MountStep>,
    /// Propagation of `/` asked for (`MS_*`); `None` is the usual `rslave` while it is made.
    pub propagation: Option<libc::c_ulong>,
    pub readonly: bool,
    pub mounts: Vec<MountStep>,
    /// Empty when the container brings a `/dev` of its own.
    pub devices: Vec<DeviceStep>,
    /// Whether `/dev` is ours to fill with links.
    pub own_dev: bool,
    pub masked: Vec<PathBuf>,
    pub readonly_paths: Vec<PathBuf>,
    /// Paths below `/proc/sys`, with their values.
    pub sysctl: Vec<(PathBuf, String)>,
    pub hostname: String,
    pub domainname: String,
    pub personality: Option<u64>,
    pub process: ProcessPlan,
    pub hooks: Hooks,
    pub uid_mappings: Vec<IdMapping>,
    pub gid_mappings: Vec<IdMapping>,
    pub options: CreateOptions,
}

/// Works out how to make the container.
///
/// # Errors
/// [`Error::InvalidSpec`] and [`Error::Unsupported`] only.
pub(crate) fn plan(
    id: &str,
    spec: &Spec,
    bundle: &Path,
    rootfs: &Rootfs,
    options: CreateOptions,
) -> Result<Plan, Error> {
    let linux = spec.linux.clone().unwrap_or_default();
    refuse_unsupported(&linux)?;
    let namespaces = NamespacePlan::new(&linux, !rootfs.mounts.is_empty())?;
    if !namespaces.has(crate::spec::NamespaceKind::Mount) {
        return Err(Error::invalid("linux.namespaces", "a container needs a mount namespace"));
    }
    let mounts = spec.mounts.iter().map(|mount| mount_step(mount, bundle)).collect::<Result<Vec<_>, _>>()?;
    let own_dev = !mounts::binds_dev(&mounts);
    let process = spec.process.as_ref().ok_or_else(|| Error::invalid("process", "missing"))?;
    Ok(Plan {
        id: id.to_owned(),
        cgroup: if linux.cgroups_path.is_empty() { Path::new("/").join(id) } else { linux.cgroups_path.clone().into() },
        sysctl: sysctl::plan(&linux.sysctl, &namespaces)?,
        process: ProcessPlan::new(process)?,
        rootfs: rootfs.path.clone(),
        rootfs_mounts: mounts::rootfs_mounts(&rootfs.mounts, bundle)?,
        propagation: mounts::root_propagation(&linux.rootfs_propagation)?,
        readonly: spec.root.as_ref().is_some_and(|root| root.readonly),
        devices: if own_dev { devices::plan(&linux.devices)? } else { Vec::new() },
        own_dev,
        mounts,
        masked: absolute("linux.maskedPaths", &linux.masked_paths)?,
        readonly_paths: absolute("linux.readonlyPaths", &linux.readonly_paths)?,
        hostname: needs_uts(&namespaces, "hostname", &spec.hostname)?,
        domainname: needs_uts(&namespaces, "domainname", &spec.domainname)?,
        personality: personality(&linux)?,
        hooks: hooks(spec)?,
        uid_mappings: linux.uid_mappings,
        gid_mappings: linux.gid_mappings,
        namespaces,
        options,
    })
}

fn refuse_unsupported(linux: &Linux) -> Result<(), Error> {
    if linux.intel_rdt.as_ref().is_some_and(|rdt| *rdt != crate::spec::IntelRdt::default()) {
        return Err(Error::unsupported("linux.intelRdt", "cache allocation is not implemented"));
    }
    if !linux.net_devices.is_empty() {
        return Err(Error::unsupported("linux.netDevices", "moving host interfaces is not implemented"));
    }
    if !linux.mount_label.is_empty() {
        return Err(Error::unsupported("linux.mountLabel", "SELinux is not supported"));
    }
    Ok(())
}

fn needs_uts(namespaces: &NamespacePlan, field: &str, value: &str) -> Result<String, Error> {
    if !value.is_empty() && !namespaces.has(crate::spec::NamespaceKind::Uts) {
        return Err(Error::invalid(field, "unable to set it without a private UTS namespace"));
    }
    Ok(value.to_owned())
}

fn absolute(field: &str, paths: &[String]) -> Result<Vec<PathBuf>, Error> {
    let check = |path: &String| match path.starts_with('/') && !path.contains('\0') {
        true => Ok(PathBuf::from(path)),
        false => Err(Error::invalid(field, format!("{path:?} is not an absolute path"))),
    };
    paths.iter().map(check).collect()
}

fn personality(linux: &Linux) -> Result<Option<u64>, Error> {
    let Some(personality) = &linux.personality else { return Ok(None) };
    match personality.domain.as_str() {
        "LINUX" => Ok(Some(0)),
        "LINUX32" => Ok(Some(8)),
        other => Err(Error::invalid("linux.personality.domain", format!("unknown domain {other:?}"))),
    }
}

fn hooks(spec: &Spec) -> Result<Hooks, Error> {
    let hooks = spec.hooks.clone().unwrap_or_default();
    let lists = [
        &hooks.prestart,
        &hooks.create_runtime,
        &hooks.create_container,
        &hooks.start_container,
        &hooks.poststart,
        &hooks.poststop,
    ];
    let relative = lists.into_iter().flatten().find(|hook| !hook.path.is_absolute());
    match relative.map(|hook| hook.path.display().to_string()) {
        Some(path) => Err(Error::invalid("hooks", format!("{path} is not an absolute path"))),
        None => Ok(hooks),
    }
}
