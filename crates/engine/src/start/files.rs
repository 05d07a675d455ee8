//! `hostname`, `hosts` and `resolv.conf` of a container, written at every start as Docker does.

use std::net::IpAddr;
use std::path::PathBuf;

use network::{HostsFile, ResolvConf, hostname_file};

use super::connect::{Connection, NetworkNamespace};
use crate::engine::Engine;
use crate::error::Error;
use crate::model::ContainerSpec;

/// Where the three files are on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NameFiles {
    pub hostname: PathBuf,
    pub hosts: PathBuf,
    pub resolv_conf: PathBuf,
}

/// Writes the files, or names those of the container whose network is shared.
pub(super) fn write(engine: &Engine, spec: &ContainerSpec, connection: &Connection) -> Result<NameFiles, Error> {
    let owner = connection.shared_with.as_ref().map_or(spec, |other| &other.spec);
    let files = NameFiles {
        hostname: engine.paths.hostname(&owner.id),
        hosts: engine.paths.hosts(&owner.id),
        resolv_conf: engine.paths.resolv_conf(&owner.id),
    };
    if connection.shared_with.is_some() {
        return Ok(files);
    }
    let host_network = connection.namespace == NetworkNamespace::Host;
    put(&files.hostname, &hostname_file(&spec.config.hostname))?;
    put(&files.hosts, &hosts_text(engine, spec, connection, host_network)?)?;
    let resolv = ResolvConf {
        nameservers: first(&spec.host.dns, &engine.config.container.dns),
        search: first(&spec.host.dns_search, &engine.config.container.dns_search),
        options: first(&spec.host.dns_options, &engine.config.container.dns_options),
    };
    // A machine without the file has no resolver; Docker's defaults fill in.
    let host_text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let path = files.resolv_conf.display().to_string();
    let text =
        if host_network { resolv.render_for_host_network(&host_text, &path) } else { resolv.render(&host_text, &path) };
    put(&files.resolv_conf, &text)?;
    Ok(files)
}

/// The container's own, else the daemon's.
fn first<T: Clone>(own: &[T], default: &[T]) -> Vec<T> {
    if own.is_empty() { default.to_vec() } else { own.to_vec() }
}

fn hosts_text(
    engine: &Engine,
    spec: &ContainerSpec,
    connection: &Connection,
    host_network: bool,
) -> Result<String, Error> {
    let extra = extra_hosts(engine, spec);
    if host_network {
        let mut text = std::fs::read_to_string("/etc/hosts").map_err(Error::file("read", "/etc/hosts"))?;
        for (name, address) in &extra {
            text.push_str(&format!("{address}\t{name}\n"));
        }
        return Ok(text);
    }
    let link = connection.endpoint.as_ref().and_then(|endpoint| endpoint.link.as_ref());
    let file = HostsFile {
        hostname: spec.config.hostname.clone(),
        domainname: spec.config.domainname.clone(),
        addresses: link.map(|link| IpAddr::V4(link.address)).into_iter().collect(),
        extra,
    };
    Ok(file.render())
}

/// `--add-host name:address`; the address may be `host-gateway`. Malformed entries were refused at create.
fn extra_hosts(engine: &Engine, spec: &ContainerSpec) -> Vec<(String, IpAddr)> {
    let entries = spec.host.extra_hosts.iter().filter_map(|entry| {
        let (name, address) = entry.split_once([':', '='])?;
        let address = match address {
            "host-gateway" => match engine.config.container.host_gateway.first() {
                Some(address) => *address,
                None => IpAddr::V4(engine.network.default_bridge_gateway()?),
            },
            text => text.trim_matches(['[', ']']).parse().ok()?,
        };
        Some((name.to_owned(), address))
    });
    entries.collect()
}

fn put(path: &std::path::Path, text: &str) -> Result<(), Error> {
    std::fs::write(path, text).map_err(Error::file("write", path))
}
