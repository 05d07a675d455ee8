//! Pure: what changes for a container whose users are mapped (`--userns-remap`).
//!
//! Files keep their owners on disk. The layers, the container's volumes and its name-resolution files are mounted
//! with mapped ids instead, so that the container's root finds them to be its own.

use std::path::Path;

use runtime::spec::Mount;

use crate::error::{Error, Invalid};
use crate::model::{ContainerSpec, HostConfig, NamespaceMode, NetworkMode};

/// Checks that a container in a user namespace asks for nothing that only the host's root may do.
///
/// # Errors
/// [`Invalid::UserNamespace`].
pub(crate) fn check(host: &HostConfig) -> Result<(), Error> {
    const SHARED: [&str; 2] = [
        "cannot share the host's network namespace when user namespaces are enabled",
        "cannot share the host PID namespace when user namespaces are enabled",
    ];
    let refusal = if host.userns_mode == NamespaceMode::Host {
        return Ok(());
    } else if host.privileged {
        // Docker's text, with its two spaces.
        "privileged mode is incompatible with user namespaces.  You must run the container in the host namespace when \
         running privileged mode"
    } else if host.network_mode == NetworkMode::Host {
        SHARED[0]
    } else if host.pid_mode == NamespaceMode::Host {
        SHARED[1]
    } else {
        return Ok(());
    };
    Err(Invalid::UserNamespace(refusal).into())
}

/// The mounts of the root file system: all layers at once appear with mapped ids in their own place, so that the paths
/// of the overlay stay as they are.
pub(super) fn rootfs_mounts(rootfs: &store::Rootfs) -> Vec<types::Mount> {
    let overlay = !rootfs.mounts.is_empty();
    let layers = rootfs.target.parent().and_then(Path::parent).filter(|_| overlay).unwrap_or(&rootfs.target);
    let layers = layers.display().to_string();
    let mapped = types::Mount {
        destination: layers.clone(),
        kind: "bind".to_owned(),
        source: layers,
        options: vec!["bind".to_owned(), "idmap".to_owned()],
    };
    std::iter::once(mapped).chain(rootfs.mounts.iter().cloned()).collect()
}

/// Has the ids of volumes and of the engine's own files mapped; what the user binds keeps the host's.
pub(super) fn map_owners(spec: &ContainerSpec, mounts: &mut [Mount]) {
    for mount in mounts.iter_mut().filter(|mount| mount.kind == "bind") {
        let destination = mount.destination.to_string_lossy();
        let point = spec.mounts.iter().find(|point| point.destination == destination);
        let own = match point {
            Some(point) => point.kind == "volume",
            None => destination.starts_with("/etc/"),
        };
        if own {
            mount.options.push("idmap".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_hosts_is_refused() {
        let refusal = |host: HostConfig| check(&host).err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(refusal(HostConfig::default()), "");
        let privileged = HostConfig { privileged: true, ..HostConfig::default() };
        assert!(refusal(privileged.clone()).starts_with("privileged mode is incompatible with user namespaces.  You"));
        assert_eq!(refusal(HostConfig { userns_mode: NamespaceMode::Host, ..privileged }), "");
        let pid = HostConfig { pid_mode: NamespaceMode::Host, ..HostConfig::default() };
        assert_eq!(refusal(pid), "cannot share the host PID namespace when user namespaces are enabled");
    }

    #[test]
    fn layers_are_mapped_in_their_place() {
        let overlay = types::Mount {
            destination: "/data/overlay2/x/merged".to_owned(),
            kind: "overlay".to_owned(),
            source: "overlay".to_owned(),
            options: Vec::new(),
        };
        let target = "/data/overlay2/x/merged".into();
        let mounts = rootfs_mounts(&store::Rootfs { target, mounts: vec![overlay.clone()] });
        assert_eq!((mounts[0].source.as_str(), mounts[0].destination.as_str()), ("/data/overlay2", "/data/overlay2"));
        assert_eq!(mounts[1], overlay);
        let plain = rootfs_mounts(&store::Rootfs { target: "/data/vfs/x".into(), mounts: Vec::new() });
        assert_eq!((plain.len(), plain[0].destination.as_str()), (1, "/data/vfs/x"));
    }
}
