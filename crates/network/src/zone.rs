//! Who is called what on which network: the names behind the embedded name server. Pure.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use types::{EndpointId, NetworkId};

use crate::EndpointRecord;

/// The names of all networks of users.
#[derive(Clone, Debug, Default)]
pub struct Zone {
    networks: HashMap<NetworkId, Names>,
}

#[derive(Clone, Debug, Default)]
struct Names {
    name: String,
    /// By lower-case name, in the order of attachment.
    addresses: HashMap<String, Vec<(EndpointId, IpAddr)>>,
    /// The first name of whoever has the address.
    owners: HashMap<IpAddr, String>,
}

/// What one container sees of the zone: its networks in the order of preference, each with its links there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Network, and the names that links on it stand for, by alias; both in lower case.
    pub networks: Vec<(NetworkId, BTreeMap<String, String>)>,
}

// === impl Zone ===

impl Zone {
    /// Takes the names of an endpoint in.
    pub(crate) fn add(&mut self, endpoint: &EndpointRecord) {
        let Some(link) = endpoint.link.as_ref().filter(|_| !endpoint.names.is_empty()) else { return };
        let addresses: Vec<IpAddr> = link.ips().collect();
        let names = self.networks.entry(endpoint.network_id.clone()).or_default();
        names.name.clone_from(&endpoint.network_name);
        for name in &endpoint.names {
            let known = names.addresses.entry(name.to_lowercase()).or_default();
            for &address in &addresses {
                let entry = (endpoint.endpoint_id.clone(), address);
                if !known.contains(&entry) {
                    known.push(entry);
                }
            }
        }
        for &address in &addresses {
            names.owners.insert(address, endpoint.names[0].clone());
        }
    }

    /// Forgets an endpoint.
    pub(crate) fn remove(&mut self, endpoint: &EndpointRecord) {
        let Some(names) = self.networks.get_mut(&endpoint.network_id) else { return };
        for name in &endpoint.names {
            let name = name.to_lowercase();
            if let Some(known) = names.addresses.get_mut(&name) {
                known.retain(|(id, _)| *id != endpoint.endpoint_id);
                if known.is_empty() {
                    names.addresses.remove(&name);
                }
            }
        }
        if let Some(link) = &endpoint.link {
            for address in link.ips() {
                names.owners.remove(&address);
            }
        }
        if names.addresses.is_empty() {
            self.networks.remove(&endpoint.network_id);
        }
    }

    /// All addresses behind a name, as the container of the view sees it; `None` when nobody has the name. A name may
    /// end with the network's: `db.backend`.
    #[must_use]
    pub fn addresses(&self, view: &View, name: &str) -> Option<Vec<IpAddr>> {
        let name = name.trim_end_matches('.').to_lowercase();
        let seen = || view.networks.iter().filter_map(|(id, links)| Some((self.networks.get(id)?, links)));
        let whole = seen().find_map(|(names, links)| names.find(links.get(&name).unwrap_or(&name)));
        whole.or_else(|| {
            seen().find_map(|(names, links)| {
                let bare = name.strip_suffix(&names.name.to_lowercase())?.strip_suffix('.')?;
                names.find(links.get(bare).map_or(bare, String::as_str))
            })
        })
    }

    /// Who has an address: `name.network`.
    #[must_use]
    pub fn owner(&self, view: &View, address: IpAddr) -> Option<String> {
        view.networks.iter().find_map(|(id, _)| {
            let names = self.networks.get(id)?;
            Some(format!("{}.{}", names.owners.get(&address)?, names.name))
        })
    }
}

// === impl Names ===

impl Names {
    /// By the name in lower case.
    fn find(&self, name: &str) -> Option<Vec<IpAddr>> {
        let known = self.addresses.get(name)?;
        Some(known.iter().map(|(_, address)| *address).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LinkAddress, LinkRecord, MacAddress};
    use types::{ContainerId, SandboxId};

    fn endpoint(number: u8, network: u8, names: &[&str]) -> EndpointRecord {
        let address: std::net::Ipv4Addr = [10, network, 0, number].into();
        EndpointRecord {
            endpoint_id: EndpointId::from_bytes([number; 32]),
            network_id: NetworkId::from_bytes([network; 32]),
            network_name: format!("net{network}"),
            container_id: ContainerId::from_bytes([number; 32]),
            sandbox_id: SandboxId::from_bytes([number; 32]),
            sandbox_key: "/run/x".into(),
            driver: None,
            link: Some(LinkRecord {
                host_device: "veth".to_owned(),
                device: "eth0".to_owned(),
                mac: MacAddress::from_address(address),
                addresses: vec![LinkAddress {
                    address: format!("{address}/24").parse().expect("address"),
                    gateway: Some([10, network, 0, 1].into()),
                }],
            }),
            ports: vec![],
            names: names.iter().map(|&name| name.to_owned()).collect(),
            is_gateway: true,
        }
    }

    fn view(networks: &[u8], links: &[(&str, &str)]) -> View {
        let links: BTreeMap<_, _> = links.iter().map(|(a, n)| ((*a).to_owned(), (*n).to_owned())).collect();
        View { networks: networks.iter().map(|n| (NetworkId::from_bytes([*n; 32]), links.clone())).collect() }
    }

    #[test]
    fn names_are_seen_on_their_own_networks_only() {
        let mut zone = Zone::default();
        let (one, two) = (endpoint(2, 1, &["db", "Data"]), endpoint(3, 1, &["web", "data"]));
        zone.add(&one);
        zone.add(&two);
        zone.add(&endpoint(4, 2, &["other"]));
        let found = |view: &View, name: &str| {
            zone.addresses(view, name).map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        let here = view(&[1], &[("alias", "db")]);
        assert_eq!(found(&here, "DB.").as_deref(), Some("10.1.0.2"));
        assert_eq!(found(&here, "data").as_deref(), Some("10.1.0.2 10.1.0.3"));
        assert_eq!(found(&here, "db.net1").as_deref(), Some("10.1.0.2"));
        assert_eq!(found(&here, "alias").as_deref(), Some("10.1.0.2"));
        assert_eq!(found(&here, "other"), None);
        assert_eq!(found(&view(&[2], &[]), "db"), None);
        assert_eq!(zone.owner(&here, [10, 1, 0, 3].into()).as_deref(), Some("web.net1"));
        assert_eq!(zone.owner(&here, [10, 2, 0, 4].into()), None);
        zone.remove(&one);
        assert_eq!(zone.addresses(&here, "db"), None);
        assert_eq!(zone.addresses(&here, "data").map(|all| all.len()), Some(1));
    }
}
