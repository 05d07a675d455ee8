//! Kernel parameters: only those that belong to a namespace of the container.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::NamespacePlan;
use crate::error::Error;
use crate::spec::NamespaceKind;

const IPC: [&str; 11] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
    "kernel.shm_next_id",
    "kernel.msg_next_id",
    "kernel.sem_next_id",
];

/// Checks the parameters and turns their names into paths below `/proc/sys`.
pub(crate) fn plan(
    parameters: &BTreeMap<String, String>,
    namespaces: &NamespacePlan,
) -> Result<Vec<(PathBuf, String)>, Error> {
    parameters
        .iter()
        .map(|(name, value)| {
            let path = path(name)?;
            allowed(name, namespaces)?;
            Ok((path, value.clone()))
        })
        .collect()
}

/// `net.ipv4.conf.eth0/1.forwarding` and `net/ipv4/conf/eth0.1/forwarding` are the same: the first separator decides.
fn path(name: &str) -> Result<PathBuf, Error> {
    let slashes = name.find(['.', '/']).is_some_and(|at| name.as_bytes()[at] == b'/');
    let swap = |character| match character {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    let path: String = if slashes { name.to_owned() } else { name.chars().map(swap).collect() };
    let plain = path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    match plain && !name.contains('\0') {
        true => Ok(PathBuf::from(path)),
        false => Err(Error::invalid("linux.sysctl", format!("{name:?} is not a kernel parameter"))),
    }
}

fn allowed(name: &str, namespaces: &NamespacePlan) -> Result<(), Error> {
    let dotted = path(name)?.to_string_lossy().replace('/', ".");
    let (kind, called) = match dotted.as_str() {
        ipc if IPC.contains(&ipc) || ipc.starts_with("fs.mqueue.") => (NamespaceKind::Ipc, "ipc"),
        net if net.starts_with("net.") => (NamespaceKind::Network, "network"),
        "kernel.domainname" | "kernel.hostname" => (NamespaceKind::Uts, "UTS"),
        user if user.starts_with("user.") => (NamespaceKind::User, "user"),
        _ => {
            let reason = format!("sysctl {name:?} is not in a separate kernel namespace");
            return Err(Error::invalid("linux.sysctl", reason));
        }
    };
    if namespaces.has(kind) {
        return Ok(());
    }
    Err(Error::invalid("linux.sysctl", format!("sysctl {name:?} is not allowed in the host's {called} namespace")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_become_paths() {
        assert_eq!(path("net.ipv4.ip_forward").unwrap(), PathBuf::from("net/ipv4/ip_forward"));
        assert_eq!(path("net/ipv4/conf/eth0.1/forwarding").unwrap(), path("net.ipv4.conf.eth0/1.forwarding").unwrap());
        assert!(path("net.//.x").is_err() && path("").is_err() && path("net/../kernel/x").is_err());
    }

    #[test]
    fn only_namespaced_parameters_pass() {
        let mut namespaces = NamespacePlan::default();
        let one = |name: &str| BTreeMap::from([(name.to_owned(), "1".to_owned())]);
        assert!(plan(&one("net.ipv4.ip_forward"), &namespaces).is_err());
        namespaces.clone = libc::CLONE_NEWNET as u64;
        assert!(plan(&one("net.ipv4.ip_forward"), &namespaces).is_ok());
        assert!(plan(&one("kernel.panic"), &namespaces).is_err());
        assert!(plan(&one("fs.mqueue.msg_max"), &namespaces).is_err());
    }
}
