//! Engine addresses: `unix:///run/x.sock`, `tcp://127.0.0.1:2375`.

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::str::FromStr;

/// The text is not an address. Texts are Docker's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHost {
    /// A scheme that this client does not speak.
    #[error("invalid bind address format: {0}")]
    Scheme(String),
    /// The port is not a number.
    #[error("invalid bind address format: {0}")]
    Port(String),
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
}

impl Host {
    /// The value of the `Host` header.
    pub(crate) fn authority(&self) -> String {
        match self {
            Self::Unix(_) => "api.moby.localhost".to_owned(),
            Self::Tcp { name, port } => join(name, *port),
        }
    }
}

impl FromStr for Host {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        let text = text.trim();
        let (scheme, address) = text.split_once("://").unwrap_or(("tcp", text));
        match scheme {
            "unix" => {
                let path = if address.is_empty() { "/var/run/docker.sock" } else { address };
                Ok(Self::Unix(PathBuf::from(path)))
            }
            "tcp" | "http" => tcp(address, text),
            _ => Err(InvalidHost::Scheme(text.to_owned())),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { name, port } => write!(f, "tcp://{}", join(name, *port)),
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

fn tcp(address: &str, text: &str) -> Result<Host, InvalidHost> {
    let address = address.split('/').next().unwrap_or_default();
    let (name, port) = match address.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => {
            (name, port.parse().map_err(|_| InvalidHost::Port(text.to_owned()))?)
        }
        _ => (address, 2375),
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
        ] {
            assert_eq!(text.parse::<Host>().map(|h| h.to_string()), Ok(shown.to_owned()), "{text}");
        }
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
