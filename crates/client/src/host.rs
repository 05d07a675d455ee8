//! Engine addresses: `unix:///run/x.sock`, `tcp://127.0.0.1:2375`.

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::str::FromStr;

use crate::ssh::SshHost;

/// The text is not an address. Texts are Docker's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHost {
    /// A scheme that this client does not speak.
    #[error("invalid bind address format: {0}")]
    Scheme(String),
    /// The port is not a number.
    #[error("invalid bind address format: {0}")]
    Port(String),
    /// An address of another operating system.
    #[error("protocol not available")]
    NoPipe,
    /// An ssh address with something that does not belong there.
    #[error("invalid SSH URL: {0}")]
    Ssh(&'static str),
}

/// Where an engine listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A unix socket.
    Unix(PathBuf),
    /// A TCP address; the name is an IP address, `localhost` or a name in `/etc/hosts`.
    Tcp {
        /// Name or IP address, without brackets.
        name: String,
        /// Port.
        port: u16,
    },
    /// An engine that ssh leads to.
    Ssh(SshHost),
}

impl Host {
    /// The value of the `Host` header.
    pub(crate) fn authority(&self) -> String {
        match self {
            Self::Unix(_) => "api.moby.localhost".to_owned(),
            Self::Tcp { name, port } => join(name, *port),
            Self::Ssh(_) => "docker.example.com".to_owned(),
        }
    }
}

impl FromStr for Host {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        Self::parse(text, false)
    }
}

impl Host {
    /// Reads an address. A TCP port that is not named is that of TLS, or the plain one.
    ///
    /// # Errors
    /// [`InvalidHost`].
    pub fn parse(text: &str, tls: bool) -> Result<Self, InvalidHost> {
        let text = text.trim();
        let (scheme, address) = text.split_once("://").unwrap_or(("tcp", text));
        match scheme {
            "unix" => {
                let path = if address.is_empty() { "/var/run/docker.sock" } else { address };
                Ok(Self::Unix(PathBuf::from(path)))
            }
            "tcp" | "http" => tcp(address, text, if tls { 2376 } else { 2375 }),
            "ssh" => ssh(address).map(Self::Ssh),
            "npipe" => Err(InvalidHost::NoPipe),
            _ => Err(InvalidHost::Scheme(text.to_owned())),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { name, port } => write!(f, "tcp://{}", join(name, *port)),
            Self::Ssh(SshHost { user, name, port, socket }) => {
                let at = if user.is_empty() { "" } else { "@" };
                let port = port.map(|port| format!(":{port}")).unwrap_or_default();
                write!(f, "ssh://{user}{at}{name}{port}{socket}")
            }
        }
    }
}

/// Finds the address of `name` without the system's resolver: a literal, `localhost`, or `/etc/hosts`.
pub(crate) fn resolve(name: &str) -> Option<IpAddr> {
    if let Ok(address) = name.parse() {
        return Some(address);
    }
    if name == "localhost" {
        return Some(Ipv4Addr::LOCALHOST.into());
    }
    lookup(&fs::read_to_string("/etc/hosts").ok()?, name)
}

fn lookup(hosts: &str, name: &str) -> Option<IpAddr> {
    hosts.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let address = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then_some(address)
    })
}

fn ssh(address: &str) -> Result<SshHost, InvalidHost> {
    let (authority, path) = address.find('/').map_or((address, ""), |slash| address.split_at(slash));
    if address.contains('?') {
        return Err(InvalidHost::Ssh("extra query after the host"));
    }
    if address.contains('#') {
        return Err(InvalidHost::Ssh("extra fragment after the host"));
    }
    let (user, place) = authority.rsplit_once('@').unwrap_or(("", authority));
    if user.contains(':') {
        return Err(InvalidHost::Ssh("plain-text password is not supported"));
    }
    let (name, port) = match place.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => {
            (name, Some(port.parse().map_err(|_| InvalidHost::Ssh("the port is not a number"))?))
        }
        _ => (place, None),
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    if name.is_empty() {
        return Err(InvalidHost::Ssh("no host specified"));
    }
    let socket = if path == "/" { "" } else { path };
    Ok(SshHost { user: user.to_owned(), name: name.to_owned(), port, socket: socket.to_owned() })
}

fn tcp(address: &str, text: &str, default: u16) -> Result<Host, InvalidHost> {
    let address = address.split('/').next().unwrap_or_default();
    let (name, port) = match address.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => {
            (name, port.parse().map_err(|_| InvalidHost::Port(text.to_owned()))?)
        }
        _ => (address, default),
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let name = if name.is_empty() { "localhost" } else { name };
    Ok(Host::Tcp { name: name.to_owned(), port })
}

fn join(name: &str, port: u16) -> String {
    if name.contains(':') { format!("[{name}]:{port}") } else { format!("{name}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_forms_docker_reads() {
        for (text, shown) in [
            ("unix:///run/x.sock", "unix:///run/x.sock"),
            ("unix://", "unix:///var/run/docker.sock"),
            ("tcp://127.0.0.1:2375", "tcp://127.0.0.1:2375"),
            ("tcp://[::1]:4000", "tcp://[::1]:4000"),
            (":1234", "tcp://localhost:1234"),
            ("tcp://10.0.0.1", "tcp://10.0.0.1:2375"),
            ("ssh://me@box:2222/run/x.sock", "ssh://me@box:2222/run/x.sock"),
            ("ssh://box/", "ssh://box"),
        ] {
            assert_eq!(text.parse::<Host>().map(|h| h.to_string()), Ok(shown.to_owned()), "{text}");
        }
        assert_eq!("ssh://a:b@c".parse::<Host>(), Err(InvalidHost::Ssh("plain-text password is not supported")));
        assert_eq!("npipe:////./pipe/x".parse::<Host>(), Err(InvalidHost::NoPipe));
        assert!("foo://x".parse::<Host>().is_err());
        assert!("tcp://x:y".parse::<Host>().is_err());
    }

    #[test]
    fn looks_names_up_in_a_hosts_file() {
        let hosts = "127.0.0.1 localhost\n# 1.1.1.1 build\n10.0.0.7\tBuild build.lan # ci\n";
        assert_eq!(lookup(hosts, "build.lan"), "10.0.0.7".parse().ok());
        assert_eq!(lookup(hosts, "build"), "10.0.0.7".parse().ok());
        assert_eq!(lookup(hosts, "ci"), None);
    }
}
