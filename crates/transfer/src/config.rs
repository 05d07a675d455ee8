//! What a daemon knows about registries.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::MirrorHealth;

/// How registries are reached; the same for all requests of a daemon.
#[derive(Clone, Debug)]
pub struct Registries {
    /// Registries (`host`, `host:port` or CIDR) that may be spoken to in plain HTTP or without a trusted certificate,
    /// besides the loopback ones.
    pub insecure: Vec<String>,
    /// Addresses to ask before `docker.io`, in order: `https://mirror.example/`.
    pub mirrors: Vec<String>,
    /// The same for other registries, by their name (`host[:port]`).
    pub host_mirrors: BTreeMap<String, Vec<String>>,
    /// Which mirrors do not answer.
    pub health: Arc<MirrorHealth>,
    /// Directories with one directory a registry (`host:port`), each holding `*.crt` (authorities) and pairs of
    /// `*.cert` and `*.key` (who we are).
    pub certificates: Vec<PathBuf>,
    /// Layers of one pull downloaded at a time.
    pub downloads: usize,
    /// Layers of one push uploaded at a time.
    pub uploads: usize,
    /// How often a broken transfer of a layer is tried.
    pub attempts: u32,
    /// A connection that stays silent for so long is broken.
    pub patience: Duration,
    /// Proxies; without any those of the environment count.
    pub proxies: Proxies,
}

/// Addresses of proxies; empty texts for none.
#[derive(Clone, Default)]
pub struct Proxies {
    /// For `http://`.
    pub http: String,
    /// For `https://`.
    pub https: String,
    /// Hosts reached without.
    pub none_for: String,
}

/// One address at which a repository may be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// `host` or `host:port`.
    pub(crate) host: String,
    /// `http` or `https` when the configuration says which.
    pub(crate) scheme: Option<&'static str>,
    /// It stands in for another registry: no credentials go there, and its failure is not the end.
    pub(crate) mirror: bool,
}

impl Default for Registries {
    /// Docker's numbers.
    fn default() -> Self {
        Self {
            insecure: Vec::new(),
            mirrors: Vec::new(),
            host_mirrors: BTreeMap::new(),
            health: Arc::default(),
            certificates: Vec::new(),
            downloads: 3,
            uploads: 5,
            attempts: 5,
            patience: Duration::from_secs(60),
            proxies: Proxies::default(),
        }
    }
}

/// A proxy's address may hold a password.
impl std::fmt::Debug for Proxies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxies").field("none_for", &self.none_for).finish_non_exhaustive()
    }
}

impl Registries {
    /// Where to push a repository of this registry, and where to pull when no mirror helps.
    pub(crate) fn home(domain: &str) -> Place {
        let host = if domain == "docker.io" { "registry-1.docker.io" } else { domain };
        Place { host: host.to_owned(), scheme: None, mirror: false }
    }

    /// Where to look for a repository of this registry, in order. Mirrors that did not answer a moment ago are left out.
    pub(crate) fn places(&self, domain: &str) -> Vec<Place> {
        let mut places = self.mirrors_of(domain);
        places.retain(|place| !self.health.is_down(&place.host));
        places.push(Self::home(domain));
        places
    }

    /// The mirrors of `docker.io`.
    pub(crate) fn mirrors(&self) -> Vec<Place> {
        self.mirrors_of("docker.io")
    }

    /// Docker's list is for `docker.io`; the table has what is said about it besides, and all others.
    fn mirrors_of(&self, domain: &str) -> Vec<Place> {
        let place = |url: &String| {
            let (scheme, host) = match url.split_once("://") {
                Some(("http", host)) => ("http", host),
                Some((_, host)) => ("https", host),
                None => ("https", url.as_str()),
            };
            Place { host: host.trim_end_matches('/').to_owned(), scheme: Some(scheme), mirror: true }
        };
        let general = if domain == "docker.io" { self.mirrors.as_slice() } else { &[] };
        let own = self.host_mirrors.get(domain).into_iter().flatten();
        general.iter().chain(own).map(place).collect()
    }

    /// Loopback registries are trusted as they are; others when the configuration names them or their network.
    pub(crate) fn is_insecure(&self, host: &str) -> bool {
        let bare = bare_host(host);
        let address: Option<IpAddr> = bare.parse().ok();
        is_loopback(bare)
            || self.insecure.iter().any(|entry| {
                let entry = entry.trim_start_matches("http://").trim_end_matches('/');
                entry == host || entry == bare || address.is_some_and(|address| contains(entry, address))
            })
    }
}

pub(crate) fn is_loopback(bare: &str) -> bool {
    bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The host without port and brackets.
pub(crate) fn bare_host(host: &str) -> &str {
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    }
}

/// Whether a network in CIDR notation contains an address.
fn contains(network: &str, address: IpAddr) -> bool {
    let Some((base, length)) = network.split_once('/') else { return false };
    let (Ok(base), Ok(length)) = (base.parse::<IpAddr>(), length.parse::<u32>()) else { return false };
    let bits = |address: IpAddr| match address {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)) << 96, 32),
        IpAddr::V6(v6) => (u128::from(v6), 128),
    };
    let ((base, width), (address, other)) = (bits(base), bits(address));
    width == other && length <= width && (length == 0 || (base ^ address) >> (128 - length) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_configured_registries_are_insecure() {
        let insecure = vec!["10.1.0.0/16".to_owned(), "reg.example:5000".to_owned()];
        let registries = Registries { insecure, ..Registries::default() };
        for host in ["127.0.0.1:5000", "localhost:5000", "[::1]:5000", "127.9.9.9", "10.1.2.3:80", "reg.example:5000"] {
            assert!(registries.is_insecure(host), "{host}");
        }
        for host in ["registry-1.docker.io", "10.2.0.1:5000", "reg.example", "[fe80::1]:5000"] {
            assert!(!registries.is_insecure(host), "{host}");
        }
    }

    #[test]
    fn mirrors_stand_before_their_registry() {
        let mirrors = vec!["http://127.0.0.1:5000".to_owned(), "https://mirror.example/".to_owned()];
        let host_mirrors = [("quay.example".to_owned(), vec!["https://near.example/quay/".to_owned()])].into();
        let registries = Registries { mirrors, host_mirrors, ..Registries::default() };
        let hosts = |domain: &str| {
            let places = registries.places(domain);
            places.iter().map(|place| (place.host.clone(), place.scheme, place.mirror)).collect::<Vec<_>>()
        };
        assert_eq!(
            hosts("docker.io"),
            [
                ("127.0.0.1:5000".to_owned(), Some("http"), true),
                ("mirror.example".to_owned(), Some("https"), true),
                ("registry-1.docker.io".to_owned(), None, false)
            ]
        );
        assert_eq!(hosts("reg.example"), [("reg.example".to_owned(), None, false)]);
        let near = ("near.example/quay".to_owned(), Some("https"), true);
        assert_eq!(hosts("quay.example"), [near, ("quay.example".to_owned(), None, false)]);
        registries.health.note_down("near.example/quay");
        assert_eq!(hosts("quay.example"), [("quay.example".to_owned(), None, false)]);
    }
}
