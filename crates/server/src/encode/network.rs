//! Networks.

use api::ApiVersion;
use api::network::{ConfigReference, EndpointResource, Ipam, IpamConfig, Network};
use engine::NetworkMember;
use engine::model::network::NetworkInfo;

/// Encodes a network with the containers on it.
#[must_use]
pub fn network(network: &NetworkInfo, members: &[NetworkMember], version: ApiVersion) -> Network {
    let subnet = network.subnet.map(|subnet| IpamConfig {
        subnet: subnet.to_string(),
        gateway: network.gateway.map(|gateway| gateway.to_string()).unwrap_or_default(),
        ..IpamConfig::default()
    });
    let member = |member: &NetworkMember| {
        let link = member.link.as_ref();
        let resource = EndpointResource {
            name: member.name.clone(),
            endpoint_id: member.endpoint.to_string(),
            mac_address: link.map(|link| link.mac.to_string()).unwrap_or_default(),
            ipv4_address: link.map(|link| format!("{}/{}", link.address, link.prefix)).unwrap_or_default(),
            ipv6_address: String::new(),
        };
        (member.container.to_string(), resource)
    };
    Network {
        name: network.name.clone(),
        id: network.id.to_string(),
        created: network.created.clone(),
        scope: "local".to_owned(),
        driver: network.driver.as_str().to_owned(),
        enable_ipv4: (version >= ApiVersion(48)).then_some(true),
        enable_ipv6: false,
        ipam: Ipam { driver: "default".to_owned(), options: None, config: Some(subnet.into_iter().collect()) },
        internal: false,
        attachable: false,
        ingress: false,
        config_from: ConfigReference::default(),
        config_only: false,
        containers: members.iter().map(member).collect(),
        options: network.options.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        labels: std::collections::BTreeMap::new(),
    }
}
