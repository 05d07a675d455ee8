//! Pure: which namespaces a container gets.

use std::path::PathBuf;

use runtime::spec::{IdMapping, Namespace, NamespaceKind};

use super::connect::{Connection, NetworkNamespace};
use super::observe::Observed;
use crate::config::Remap;
use crate::model::{HostConfig, NamespaceMode};

/// The namespaces to make or join; those left out are the host's.
pub(super) fn plan(host: &HostConfig, observed: &Observed, connection: &Connection) -> Vec<Namespace> {
    let mut namespaces = vec![fresh(NamespaceKind::Mount)];
    match &connection.namespace {
        NetworkNamespace::New => namespaces.push(fresh(NamespaceKind::Network)),
        NetworkNamespace::Join(path) => namespaces.push(join(NamespaceKind::Network, path.clone())),
        NetworkNamespace::Host => {}
    }
    let of = |pid: i32, name: &str| PathBuf::from(format!("/proc/{pid}/ns/{name}"));
    match (&host.ipc_mode, observed.ipc_pid) {
        (_, Some(pid)) => namespaces.push(join(NamespaceKind::Ipc, of(pid, "ipc"))),
        (NamespaceMode::Host, _) => {}
        _ => namespaces.push(fresh(NamespaceKind::Ipc)),
    }
    match (&host.pid_mode, observed.pid_pid) {
        (_, Some(pid)) => namespaces.push(join(NamespaceKind::Pid, of(pid, "pid"))),
        (NamespaceMode::Host, _) => {}
        _ => namespaces.push(fresh(NamespaceKind::Pid)),
    }
    if host.uts_mode != NamespaceMode::Host {
        namespaces.push(fresh(NamespaceKind::Uts));
    }
    // Docker's default: private with cgroup v2, the host's with v1.
    let private = match host.cgroupns_mode {
        NamespaceMode::Private => true,
        NamespaceMode::Host => false,
        _ => observed.unified,
    };
    if private {
        namespaces.push(fresh(NamespaceKind::Cgroup));
    }
    if observed.remap.is_some() {
        namespaces.push(users(observed, connection));
    }
    namespaces
}

/// A network, or what else is shared, has power over nothing but in the user namespace that owns it: that is joined,
/// by the file of what it owns.
fn users(observed: &Observed, connection: &Connection) -> Namespace {
    match (&connection.namespace, shared_users(observed)) {
        (NetworkNamespace::Join(path), _) if connection.mapped => join(NamespaceKind::User, path.clone()),
        (_, Some(path)) => join(NamespaceKind::User, path),
        _ => fresh(NamespaceKind::User),
    }
}

/// The users of the container whose processes or objects are shared.
pub(super) fn shared_users(observed: &Observed) -> Option<PathBuf> {
    let pid = observed.ipc_pid.or(observed.pid_pid).filter(|_| observed.shares_users)?;
    Some(PathBuf::from(format!("/proc/{pid}/ns/user")))
}

/// The maps of a remapped container as the kernel takes them.
pub(super) fn id_map_texts(remap: Remap) -> (String, String) {
    let text = |host_id: u32| format!("0 {host_id} {}\n", remap.size);
    (text(remap.uid), text(remap.gid))
}

/// The user and group maps of a remapped container.
pub(super) fn id_maps(remap: Remap) -> (Vec<IdMapping>, Vec<IdMapping>) {
    let map = |host_id| vec![IdMapping { container_id: 0, host_id, size: remap.size }];
    (map(remap.uid), map(remap.gid))
}

fn fresh(kind: NamespaceKind) -> Namespace {
    Namespace { kind, path: None }
}

fn join(kind: NamespaceKind, path: PathBuf) -> Namespace {
    Namespace { kind, path: Some(path) }
}
