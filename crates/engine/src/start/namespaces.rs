//! Pure: which namespaces a container gets.

use std::path::PathBuf;

use runtime::spec::{IdMapping, Namespace, NamespaceKind};

use super::connect::NetworkNamespace;
use super::observe::Observed;
use crate::config::Remap;
use crate::model::{HostConfig, NamespaceMode};

/// The namespaces to make or join; those left out are the host's.
pub(super) fn plan(host: &HostConfig, observed: &Observed, network: &NetworkNamespace) -> Vec<Namespace> {
    let mut namespaces = vec![fresh(NamespaceKind::Mount)];
    match network {
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
    // Docker's default: private with cgroup v2, the host's with v1 and for privileged containers.
    let private = match host.cgroupns_mode {
        NamespaceMode::Private => true,
        NamespaceMode::Host => false,
        _ => observed.unified && !host.privileged,
    };
    if private {
        namespaces.push(fresh(NamespaceKind::Cgroup));
    }
    if observed.remap.is_some() {
        namespaces.push(fresh(NamespaceKind::User));
    }
    namespaces
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
