//! Pure: a stored container and the observed world become an OCI specification.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use runtime::spec::{Linux, Root, Spec, defaults};

use super::connect::{Connection, NetworkNamespace};
use super::files::NameFiles;
use super::images::StagedImage;
use super::observe::Observed;
use super::{mounts, namespaces, process, resources};
use crate::engine::cgroup_path;
use crate::error::{Error, Invalid};
use crate::model::{ContainerSpec, NamespaceMode, NetworkMode};

const OCI_VERSION: &str = "1.2.0";

/// Where on the host the engine's own mounts come from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sources<'a> {
    /// The files about names.
    pub files: &'a NameFiles,
    /// What `/dev/shm` is bound from, if it is.
    pub shm: Option<&'a Path>,
    /// Images that are mounted.
    pub images: &'a [StagedImage],
    /// Where volumes are, by name.
    pub volumes: &'a BTreeMap<String, PathBuf>,
}

/// Assembles the specification.
pub(super) fn plan(
    spec: &ContainerSpec,
    observed: &Observed,
    connection: &Connection,
    sources: &Sources<'_>,
    rootfs: &store::Rootfs,
) -> Result<Spec, Error> {
    let host = &spec.host;
    check_sysctls(spec)?;
    let own_names = host.uts_mode != NamespaceMode::Host;
    let (uid_mappings, gid_mappings) = observed.remap.map(namespaces::id_maps).unwrap_or_default();
    let paths = |own: &Option<Vec<String>>, default: &[&str]| match own {
        Some(paths) => paths.clone(),
        None if host.privileged => Vec::new(),
        None => default.iter().map(|&path| path.to_owned()).collect(),
    };
    let linux = Linux {
        uid_mappings,
        gid_mappings,
        sysctl: sysctls(spec, observed, connection),
        resources: Some(resources::plan(host, observed)?),
        cgroups_path: cgroup_path(spec).display().to_string(),
        namespaces: namespaces::plan(host, observed, connection),
        devices: observed.devices.iter().map(|(device, _)| device.clone()).collect(),
        rootfs_propagation: mounts::root_propagation(spec).to_owned(),
        masked_paths: paths(&host.masked_paths, &defaults::MASKED_PATHS),
        readonly_paths: paths(&host.readonly_paths, &defaults::READONLY_PATHS),
        ..Linux::default()
    };
    Ok(Spec {
        oci_version: OCI_VERSION.to_owned(),
        process: Some(process::container_process(spec, observed)?),
        root: Some(Root { path: rootfs.target.clone(), readonly: host.readonly_rootfs }),
        hostname: if own_names { spec.config.hostname.clone() } else { String::new() },
        domainname: if own_names { spec.config.domainname.clone() } else { String::new() },
        mounts: mounts::plan(spec, observed, sources),
        annotations: host.annotations.clone(),
        linux: Some(linux),
        ..Spec::default()
    })
}

/// The user's, and Docker's two: low ports and ping work for every user of a namespace of its own.
fn sysctls(spec: &ContainerSpec, observed: &Observed, connection: &Connection) -> BTreeMap<String, String> {
    let mut sysctls = spec.host.sysctls.clone();
    if connection.namespace != NetworkNamespace::Host && connection.shared_with.is_none() {
        let mut default = |name: &str, value: &str| {
            sysctls.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        };
        default("net.ipv4.ip_unprivileged_port_start", "0");
        // In a network of its own, a mapped container knows only groups that are mapped.
        if observed.remap.is_none() || connection.namespace != NetworkNamespace::New {
            default("net.ipv4.ping_group_range", "0 2147483647");
        }
    }
    sysctls
}

/// Kernel parameters must belong to a namespace that is the container's own.
fn check_sysctls(spec: &ContainerSpec) -> Result<(), Error> {
    const IPC: [&str; 8] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    for name in spec.host.sysctls.keys() {
        let ipc = IPC.contains(&name.as_str()) || name.starts_with("fs.mqueue.");
        let own = if name.starts_with("net.") {
            spec.host.network_mode != NetworkMode::Host
        } else if name == "kernel.domainname" || name == "kernel.hostname" {
            spec.host.uts_mode != NamespaceMode::Host
        } else {
            ipc && spec.host.ipc_mode != NamespaceMode::Host
        };
        if !own {
            return Err(Invalid::Sysctl(name.clone()).into());
        }
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use types::{ContainerId, Platform};

    use super::*;
    use crate::model::{ContainerConfig, HostConfig};

    /// A container with nothing special.
    pub(crate) fn spec() -> ContainerSpec {
        ContainerSpec {
            id: ContainerId::from_bytes([1; 32]),
            created: jiff::Timestamp::UNIX_EPOCH,
            image: None,
            path: "sh".to_owned(),
            args: Vec::new(),
            config: ContainerConfig::default(),
            host: HostConfig::default(),
            endpoints: BTreeMap::new(),
            mounts: Vec::new(),
            driver: "overlay2".to_owned(),
            platform: Platform::host(),
            build_step: false,
        }
    }

    #[test]
    fn parameters_of_the_host_are_refused() {
        for (name, network, allowed) in [
            ("net.core.somaxconn", NetworkMode::Bridge, true),
            ("net.core.somaxconn", NetworkMode::Host, false),
            ("kernel.shmmax", NetworkMode::Bridge, true),
            ("vm.swappiness", NetworkMode::Bridge, false),
        ] {
            let mut spec = spec();
            spec.host.network_mode = network;
            spec.host.sysctls.insert(name.to_owned(), "1".to_owned());
            assert_eq!(check_sysctls(&spec).is_ok(), allowed, "{name}");
        }
    }
}
