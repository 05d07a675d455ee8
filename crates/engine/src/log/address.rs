//! Where collectors are: `host:port` and names.
//!
//! Names are looked up here, once a start.

use std::net::IpAddr;
use std::path::PathBuf;

use logs::Address;

/// Where a collector listens, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Udp((String, u16)),
    Tcp((String, u16)),
    Unix(PathBuf),
    UnixDatagram(PathBuf),
}

// === impl Endpoint ===

impl Endpoint {
    /// Looks the name up.
    pub(super) fn resolve(self) -> Result<Vec<Address>, String> {
        Ok(match self {
            Self::Udp((host, port)) => {
                lookup(&host, "udp")?.iter().map(|ip| Address::Udp((*ip, port).into())).collect()
            }
            Self::Tcp((host, port)) => {
                lookup(&host, "tcp")?.iter().map(|ip| Address::Tcp((*ip, port).into())).collect()
            }
            Self::Unix(path) => vec![Address::Unix(path)],
            Self::UnixDatagram(path) => vec![Address::UnixDatagram(path)],
        })
    }
}

/// Splits `host:port`; brackets around an IPv6 address. `None` when it is neither, or the port is missing and there is
/// no default.
pub(super) fn host_and_port(text: &str, default: Option<u16>) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = match port {
        Some(port) => port.parse().ok()?,
        None => default?,
    };
    let usable = !host.contains(['/', ' ']);
    usable.then(|| (host.to_owned(), port))
}

fn lookup(host: &str, network: &str) -> Result<Vec<IpAddr>, String> {
    let host = if host.is_empty() { "localhost" } else { host };
    sys::host_name::look_up(host).map_err(|error| format!("dial {network}: lookup {host}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_ports_and_names() {
        let parsed = |text: &str, default| host_and_port(text, default);
        assert_eq!(parsed("a.b:1", None), Some(("a.b".to_owned(), 1)));
        assert_eq!(parsed("a", Some(514)), Some(("a".to_owned(), 514)));
        assert_eq!(parsed("[::1]:5", None), Some(("::1".to_owned(), 5)));
        assert_eq!((parsed("a", None), parsed("a:b", Some(1)), parsed("a/b:1", None)), (None, None, None));
    }
}
