//! What a start must know of the world before it decides.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;

use runtime::cgroup;
use runtime::spec::{Device, DeviceRule};

use super::files::HostResolvConf;
use super::users::{self, ProcessUser};
use super::{devices, rootfs_file, security};
use crate::cdi;
use crate::engine::Engine;
use crate::error::{Error, Invalid, StateConflict};
use crate::model::{ContainerSpec, MountPoint, NamespaceMode, Resources, ThrottleDevice};

/// A device that a limit names: path, major and minor number.
pub(super) type BlockDevice = (String, i64, i64);

/// The observed world.
#[derive(Debug)]
pub(super) struct Observed {
    /// Who the process is.
    pub user: ProcessUser,
    /// Capabilities of the process.
    pub capabilities: Vec<String>,
    /// Device nodes beyond the default ones, and their rules.
    pub devices: Vec<(Device, DeviceRule)>,
    /// Pids of the containers whose namespaces are joined.
    pub ipc_pid: Option<i32>,
    /// As above.
    pub pid_pid: Option<i32>,
    /// Whether the users of the container behind either are mapped too.
    pub shares_users: bool,
    /// Whether the machine has pure cgroup v2.
    pub unified: bool,
    /// The program that is PID 1 with `--init`.
    pub init: Option<String>,
    /// Whether no process may gain privileges.
    pub no_new_privileges: bool,
    /// Numbers of the devices that limits name: path, major, minor.
    pub block_devices: Vec<BlockDevice>,
    /// What devices with a CDI name add.
    pub cdi: Vec<cdi::Edits>,
    /// Host ids for a user namespace.
    pub remap: Option<crate::config::Remap>,
    /// User and group that own the sources of binds whose ids are mapped, by destination.
    pub source_owners: BTreeMap<String, (u32, u32)>,
    /// The host's name servers, for whom it may concern.
    pub resolv_conf: HostResolvConf,
}

/// Reads what the plan needs.
pub(super) fn observe(engine: &Engine, spec: &ContainerSpec, rootfs: &store::Rootfs) -> Result<Observed, Error> {
    let passwd = rootfs_file::read(rootfs, "etc/passwd");
    let group = rootfs_file::read(rootfs, "etc/group");
    let user = users::resolve(&spec.config.user, &spec.host.group_add, &passwd, &group)?;
    let init = spec.host.init.unwrap_or(engine.config.init);
    let remap = engine.config.userns_remap.filter(|_| spec.host.userns_mode != NamespaceMode::Host);
    if remap.is_some() {
        super::check_user_namespace(&spec.host)?;
    }
    Ok(Observed {
        user,
        capabilities: security::capabilities(&spec.host)?,
        devices: devices::observe(&spec.host)?,
        ipc_pid: joined(engine, &spec.host.ipc_mode, true)?,
        pid_pid: joined(engine, &spec.host.pid_mode, false)?,
        shares_users: remap.is_some() && shares_users(engine, spec),
        unified: cgroup::observe().map_err(runtime::Error::Cgroup)?.is_unified(),
        init: init.then(|| engine.config.monitor.display().to_string()),
        no_new_privileges: security::no_new_privileges(&spec.host, engine.config.container.no_new_privileges)?,
        block_devices: block_devices(&spec.host.resources)?,
        cdi: cdi::resolve(&spec.host.resources.device_requests, &engine.config.cdi_spec_dirs)?,
        remap,
        source_owners: source_owners(spec),
        resolv_conf: HostResolvConf::default(),
    })
}

/// What is not there is told by the mount.
fn source_owners(spec: &ContainerSpec) -> BTreeMap<String, (u32, u32)> {
    let mapped = spec.mounts.iter().filter(|point| point.idmap().is_some());
    let owner = |point: &MountPoint| {
        let stat = std::fs::metadata(&point.source).ok()?;
        Some((point.destination.clone(), (stat.uid(), stat.gid())))
    };
    mapped.filter_map(owner).collect()
}

fn joined(engine: &Engine, mode: &NamespaceMode, ipc: bool) -> Result<Option<i32>, Error> {
    let NamespaceMode::Container(name) = mode else { return Ok(None) };
    let other = engine.containers.find(name)?;
    let pid = other.status().state.pid();
    let shareable = matches!(other.spec.host.ipc_mode, NamespaceMode::Shareable | NamespaceMode::Host);
    if ipc && !shareable {
        return Err(Invalid::NotShareable(other.spec.id.to_string()).into());
    }
    pid.map(Some).ok_or_else(|| StateConflict::NotRunning(other.spec.id.to_string()).into())
}

/// Whether the container whose objects or processes are shared has mapped users.
fn shares_users(engine: &Engine, spec: &ContainerSpec) -> bool {
    let names = [&spec.host.ipc_mode, &spec.host.pid_mode].into_iter().filter_map(|mode| match mode {
        NamespaceMode::Container(name) => Some(name),
        _ => None,
    });
    let mut others = names.filter_map(|name| engine.containers.find(name).ok());
    others.all(|other| other.spec.host.userns_mode != NamespaceMode::Host)
}

/// Looks up the devices that limits name.
pub(super) fn block_devices(limits: &Resources) -> Result<Vec<BlockDevice>, Error> {
    let lists: [&[ThrottleDevice]; 5] = [
        &limits.blkio_weight_device,
        &limits.blkio_device_read_bps,
        &limits.blkio_device_write_bps,
        &limits.blkio_device_read_iops,
        &limits.blkio_device_write_iops,
    ];
    let paths = lists.into_iter().flatten().map(|limit| &limit.path);
    paths.map(|path| devices::numbers(path).map(|(major, minor)| (path.clone(), major, minor))).collect()
}
