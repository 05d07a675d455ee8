//! Which sockets the API is heard on: the named ones, the default ones, those that systemd made.

use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use cli::Environment;
use server::{Access, Listen, Tls};

use super::Called;
use super::options::Options;
use super::values::Host;

/// Docker's own socket: taken over when nobody else owns it, so that stock clients find us.
pub(super) const DOCKER_SOCKET: &str = "/var/run/docker.sock";
/// The first descriptor that systemd hands over (sd_listen_fds(3)).
const FIRST_INHERITED: RawFd = 3;

/// Takes the sockets that systemd made. Must come before anything is opened.
pub(super) fn inherited(environment: &Environment) -> Vec<OwnedFd> {
    let number = |name: &str| environment.filled(name).and_then(|text| text.parse::<i64>().ok());
    if number("LISTEN_PID") != Some(i64::from(std::process::id())) {
        return Vec::new();
    }
    let count = number("LISTEN_FDS").and_then(|count| RawFd::try_from(count).ok()).filter(|count| *count > 0);
    count.and_then(|count| sys::inherited::take(FIRST_INHERITED, count)).unwrap_or_default()
}

/// Every address to listen on.
///
/// # Errors
/// Docker's texts for sockets that systemd did not hand over.
pub(super) fn addresses(options: &Options, mut inherited: Vec<OwnedFd>) -> anyhow::Result<Vec<Listen>> {
    let secret = options.tls.is_some();
    if options.hosts.is_empty() {
        return default_addresses(options, secret);
    }
    let mut addresses = Vec::new();
    for host in &options.hosts {
        match host {
            Host::Unix(path) if path.as_os_str().is_empty() => addresses.push(Listen::Unix(DOCKER_SOCKET.into())),
            Host::Unix(path) => addresses.push(Listen::Unix(path.clone())),
            Host::Tcp { address, port } => {
                let address = Host::socket_address(address, *port, secret).map_err(|message| anyhow!("{message}"))?;
                addresses.push(Listen::Tcp(address));
            }
            Host::Inherited(None) if inherited.is_empty() => {
                bail!("no sockets found via socket activation: make sure the service was started by systemd")
            }
            Host::Inherited(None) => addresses.extend(inherited.drain(..).map(Listen::Inherited)),
            Host::Inherited(Some(number)) => {
                let at = inherited.iter().position(|fd| fd.as_raw_fd() == *number);
                let at = at.ok_or_else(|| anyhow!("too few socket activated files passed in by systemd"))?;
                addresses.push(Listen::Inherited(inherited.remove(at)));
            }
        }
    }
    Ok(addresses)
}

/// As dockerd, Docker's socket, or the loopback port with TLS; as gantry, our socket, and Docker's where nobody owns it.
fn default_addresses(options: &Options, secret: bool) -> anyhow::Result<Vec<Listen>> {
    if secret {
        let address = Host::socket_address("127.0.0.1", None, true).map_err(|message| anyhow!("{message}"))?;
        return Ok(vec![Listen::Tcp(address)]);
    }
    if options.called == Called::Dockerd {
        return Ok(vec![Listen::Unix(PathBuf::from(DOCKER_SOCKET))]);
    }
    let mut addresses = vec![Listen::Unix(options.exec_root.join("gantry.sock"))];
    if is_free(Path::new(DOCKER_SOCKET)) {
        addresses.push(Listen::Unix(PathBuf::from(DOCKER_SOCKET)));
    }
    Ok(addresses)
}

/// Nothing is there, or a socket nobody answers on.
fn is_free(path: &Path) -> bool {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type().is_socket() && std::os::unix::net::UnixStream::connect(path).is_err(),
        Err(_) => path.parent().is_some_and(Path::is_dir),
    }
}

/// Who may connect.
///
/// # Errors
/// For certificates that cannot be used.
pub(super) fn access(options: &Options) -> anyhow::Result<Access> {
    let load = |files: &super::options::TlsFiles| Tls::load(&files.certificate, &files.key, files.clients.as_deref());
    let tls = options.tls.as_ref().map(load).transpose()?;
    Ok(Access { group: options.group.clone(), tls })
}

/// What `info` and the log say about listeners that let everybody be root. The first words are Docker's.
pub(super) fn warnings(options: &Options) -> Vec<String> {
    let (scheme, lack) = match &options.tls {
        None => ("http", "without encryption"),
        Some(tls) if tls.clients.is_none() => ("https", "without TLS client verification"),
        Some(_) => return Vec::new(),
    };
    let tcp = options.hosts.iter().filter_map(|host| match host {
        Host::Tcp { address, port } => Host::socket_address(address, *port, options.tls.is_some()).ok(),
        Host::Unix(_) | Host::Inherited(_) => None,
    });
    let warn = |address| {
        format!(
            "[DEPRECATION NOTICE]: API is accessible on {scheme}://{address} {lack}.\n         Whoever reaches this address is as powerful as root on this host:\n         use --tlsverify, an ssh:// connection, or the unix socket alone."
        )
    };
    tcp.map(warn).collect()
}
