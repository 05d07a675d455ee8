//! Networks.

use api::ApiVersion;
use api::network::{ConfigReference, EndpointResource, Ipam, IpamConfig, Network};
use engine::NetworkMember;
use engine::model::network::{IpamPool, LinkRecord, NetworkInfo};

/// Encodes a network with the containers on it.
#[must_use]
pub fn network(network: &NetworkInfo, members: &[NetworkMember], version: ApiVersion) -> Network {
    let pool = |pool: &IpamPool| IpamConfig {
        subnet: pool.subnet.to_string(),
        ip_range: pool.range.map(|range| range.to_string()).unwrap_or_default(),
        gateway: pool.gateway.map(|gateway| gateway.to_string()).unwrap_or_default(),
        auxiliary_addresses: pool.auxiliary.iter().map(|(name, at)| (name.clone(), at.to_string())).collect(),
    };
    let member = |member: &NetworkMember| {
        let link = member.link.as_ref();
        let resource = EndpointResource {
            name: member.name.clone(),
            endpoint_id: member.endpoint.to_string(),
            mac_address: link.map(|link| link.mac.to_string()).unwrap_or_default(),
            ipv4_address: link.and_then(LinkRecord::ipv4).map(|own| own.address.to_string()).unwrap_or_default(),
            ipv6_address: link.and_then(LinkRecord::ipv6).map(|own| own.address.to_string()).unwrap_or_default(),
        };
        (member.container.to_string(), resource)
    };
    Network {
        name: network.name.clone(),
        id: network.id.to_string(),
        created: network.created.clone(),
        scope: "local".to_owned(),
        driver: network.driver.as_str().to_owned(),
        enable_ipv4: (version >= ApiVersion(48)).then_some(network.ipv4),
        enable_ipv6: network.ipv6,
        ipam: Ipam {
            driver: network.ipam_driver.clone(),
            options: network.ipam_options.clone(),
            config: Some(network.pools.iter().map(pool).collect()),
        },
        internal: network.internal,
        attachable: network.attachable,
        ingress: false,
        config_from: ConfigReference { network: network.config_from.clone() },
        config_only: network.config_only,
        containers: members.iter().map(member).collect(),
        options: network.options.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        labels: network.labels.clone(),
    }
}
