//! `hostname`, `hosts` and `resolv.conf` of a container, written at every start as Docker does.

use std::cell::OnceCell;
use std::net::IpAddr;
use std::path::PathBuf;

use jiff::Timestamp;
use network::{HostsFile, LinkRecord, ResolvConf, hostname_file};

use super::connect::{Connection, NetworkNamespace};
use crate::engine::Engine;
use crate::error::Error;
use crate::links::Linked;
use crate::model::ContainerSpec;

/// The host's own; the container's is named after it.
const HOST_FILE: &str = "/etc/resolv.conf";

/// Where the three files are on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NameFiles {
    pub hostname: PathBuf,
    pub hosts: PathBuf,
    pub resolv_conf: PathBuf,
}

/// The host's own `resolv.conf`, read when somebody first asks for it, and then no more.
#[derive(Debug, Default)]
pub(crate) struct HostResolvConf(OnceCell<String>);

// === impl HostResolvConf ===

impl HostResolvConf {
    /// A machine without the file has no resolver; Docker's defaults fill in.
    fn text(&self) -> &str {
        self.0.get_or_init(|| String::from_utf8_lossy(&std::fs::read(HOST_FILE).unwrap_or_default()).into_owned())
    }
}

/// Writes the files, or names those of the container whose network is shared.
pub(super) fn write(
    engine: &Engine,
    spec: &ContainerSpec,
    connection: &Connection,
    linked: &[Linked],
    host: &HostResolvConf,
) -> Result<NameFiles, Error> {
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
    put(&files.hosts, &hosts_text(engine, spec, connection, linked)?)?;
    let host_text = host.text();
    let text = if connection.endpoints.iter().any(|endpoint| !endpoint.names.is_empty()) {
        resolv_conf(engine, spec).render_for_resolver(host_text, HOST_FILE, network::Network::RESOLVER)
    } else if host_network {
        resolv_conf(engine, spec).render_for_host_network(host_text, &files.resolv_conf.display().to_string())
    } else {
        resolv_conf(engine, spec).render(host_text, &files.resolv_conf.display().to_string())
    };
    put(&files.resolv_conf, &text)?;
    Ok(files)
}

/// Sees that the `resolv.conf` of a container that has run `since` then names the server that its networks want now: our
/// own where they have names. What its user wrote there stays.
pub(crate) fn refresh_resolv_conf(
    engine: &Engine,
    spec: &ContainerSpec,
    host: &HostResolvConf,
    named: bool,
    since: Option<Timestamp>,
) -> Result<(), Error> {
    let (file, host_text) = (engine.paths.resolv_conf(&spec.id), host.text());
    let conf = resolv_conf(engine, spec);
    let ours = conf.render_for_resolver(host_text, HOST_FILE, network::Network::RESOLVER);
    let legacy = conf.render(host_text, &file.display().to_string());
    let now = std::fs::read(&file).map_err(Error::file("read", &file))?;
    let (wanted, other) = if named { (ours, legacy) } else { (legacy, ours) };
    // Where the host's file has changed meanwhile nobody can tell who wrote what; there the names count.
    let known = now == other.as_bytes() || host_file_changed(since);
    if now == wanted.as_bytes() || !known { Ok(()) } else { put(&file, &wanted) }
}

fn host_file_changed(since: Option<Timestamp>) -> bool {
    let modified = std::fs::metadata(HOST_FILE).and_then(|found| found.modified()).ok();
    let modified = modified.and_then(|time| Timestamp::try_from(time).ok());
    modified.zip(since).is_none_or(|(modified, since)| modified >= since)
}

/// Whether the container's options, or the host's where it has none, say what `ndots` is.
pub(crate) fn ndots_set(engine: &Engine, spec: &ContainerSpec, host: &HostResolvConf) -> bool {
    resolv_conf(engine, spec).says_ndots(|| host.text())
}

fn resolv_conf(engine: &Engine, spec: &ContainerSpec) -> ResolvConf {
    ResolvConf {
        nameservers: first(&spec.host.dns, &engine.config.container.dns),
        search: first(&spec.host.dns_search, &engine.config.container.dns_search),
        options: first(&spec.host.dns_options, &engine.config.container.dns_options),
    }
}

/// The container's own, else the daemon's.
fn first<T: Clone>(own: &[T], default: &[T]) -> Vec<T> {
    if own.is_empty() { default.to_vec() } else { own.to_vec() }
}

fn hosts_text(
    engine: &Engine,
    spec: &ContainerSpec,
    connection: &Connection,
    linked: &[Linked],
) -> Result<String, Error> {
    let mut extra = extra_hosts(engine, spec);
    if connection.namespace == NetworkNamespace::Host {
        // A machine may have none, and in comments anything.
        let mut text = match std::fs::read("/etc/hosts") {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Error::file("read", "/etc/hosts")(error)),
        };
        for (name, address) in &extra {
            text.push_str(&format!("{address}\t{name}\n"));
        }
        return Ok(text);
    }
    extra.extend(linked.iter().flat_map(|linked| linked.link.ips().map(|address| (linked.names(), address))));
    let links = connection.endpoints.iter().filter_map(|endpoint| endpoint.link.as_ref());
    let ipv6 = has_ipv6(spec);
    let addresses = links.flat_map(LinkRecord::ips);
    let file = HostsFile {
        hostname: spec.config.hostname.clone(),
        domainname: spec.config.domainname.clone(),
        addresses: addresses.filter(|address| ipv6 || address.is_ipv4()).collect(),
        extra,
        no_ipv6: !ipv6,
    };
    Ok(file.render())
}

/// The names of a container's own lines in `hosts`.
pub(crate) fn own_names(spec: &ContainerSpec) -> String {
    let (name, domain) = (&spec.config.hostname, &spec.config.domainname);
    if domain.is_empty() { name.clone() } else { format!("{name}.{domain} {name}") }
}

/// `--add-host name:address`; the address may be `host-gateway`. Malformed entries were refused at create.
fn extra_hosts(engine: &Engine, spec: &ContainerSpec) -> Vec<(String, IpAddr)> {
    let named = &engine.config.container.host_gateway;
    let entries = spec.host.extra_hosts.iter().filter_map(|entry| {
        let (name, address) = entry.split_once([':', '='])?;
        let addresses: Vec<IpAddr> = match address {
            // The daemon may have one of each family.
            "host-gateway" if !named.is_empty() => named.clone(),
            "host-gateway" => vec![engine.network.default_bridge_gateway()?],
            text => vec![text.trim_matches(['[', ']']).parse().ok()?],
        };
        Some(addresses.into_iter().map(|address| (name.to_owned(), address)))
    });
    entries.flatten().collect()
}

/// Whether the container has IPv6: it can be switched off in it, and in the kernel.
fn has_ipv6(spec: &ContainerSpec) -> bool {
    let off = |device: &str| {
        let value = spec.host.sysctls.get(&format!("net.ipv6.conf.{device}.disable_ipv6"));
        value.is_some_and(|value| value.trim() != "0")
    };
    !off("all") && !off("lo") && std::path::Path::new("/proc/net/if_inet6").exists()
}

fn put(path: &std::path::Path, text: &str) -> Result<(), Error> {
    std::fs::write(path, text).map_err(Error::file("write", path))
}
