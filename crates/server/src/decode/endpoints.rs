//! What a container wants of its networks.

use std::collections::BTreeMap;

use api::ApiVersion;
use api::network::{EndpointSettings, NetworkingConfig};
use engine::model::{EndpointRequest, NetworkMode};

use crate::failure::Failure;

const MAC_WARNING: &str =
    "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead.";

/// `mac` is the container-wide address of older clients; it moves to the endpoint of the network mode.
pub(super) fn decode(
    wire: NetworkingConfig,
    mode: &NetworkMode,
    mac: &str,
    version: ApiVersion,
    warnings: &mut Vec<String>,
) -> Result<BTreeMap<String, EndpointRequest>, Failure> {
    if version < ApiVersion(44) && wire.endpoints_config.len() > 1 {
        let names: Vec<String> = wire.endpoints_config.into_keys().collect();
        let text = format!("Container cannot be created with multiple network endpoints: {}", names.join(", "));
        return Err(Failure::invalid(text));
    }
    let mut endpoints = BTreeMap::new();
    for (name, settings) in wire.endpoints_config {
        let mut settings = settings.unwrap_or_default();
        if version < ApiVersion(44) {
            settings.mac_address.clear();
        }
        endpoints.insert(canonical(name), endpoint(settings)?);
    }
    if mac.is_empty() {
        return Ok(endpoints);
    }
    let network = match mode {
        NetworkMode::Bridge => "bridge",
        NetworkMode::Named(name) => name.as_str(),
        NetworkMode::None | NetworkMode::Host | NetworkMode::Container(_) if version < ApiVersion(44) => {
            return Err(Failure::invalid("conflicting options: mac-address and the network mode"));
        }
        _ => return Ok(endpoints),
    };
    let main = endpoints.entry(network.to_owned()).or_default();
    if !main.mac.is_empty() && main.mac != mac {
        return Err(Failure::invalid(
            "the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty",
        ));
    }
    mac.clone_into(&mut main.mac);
    if version >= ApiVersion(44) {
        warnings.push(MAC_WARNING.to_owned());
    }
    Ok(endpoints)
}

fn canonical(name: String) -> String {
    if name == "default" { "bridge".to_owned() } else { name }
}

/// Decodes what a container wants of one network.
///
/// # Errors
/// 400 for addresses that are none.
pub fn endpoint(wire: EndpointSettings) -> Result<EndpointRequest, Failure> {
    let ipam = wire.ipam_config.unwrap_or_default();
    let link_local = |text: &String| {
        let address = text.parse().ok().filter(|address: &std::net::IpAddr| match address {
            std::net::IpAddr::V4(address) => address.is_link_local(),
            std::net::IpAddr::V6(address) => address.is_unicast_link_local(),
        });
        address.ok_or_else(|| Failure::invalid(format!("invalid link-local IP address: {text}")))
    };
    Ok(EndpointRequest {
        ipv4: address(&ipam.ipv4_address, "IPv4")?,
        ipv6: address(&ipam.ipv6_address, "IPv6")?,
        mac: wire.mac_address,
        aliases: wire.aliases.unwrap_or_default(),
        link_local: ipam.link_local_ips.iter().map(link_local).collect::<Result<_, _>>()?,
        gateway_priority: wire.gw_priority,
        links: wire.links.unwrap_or_default(),
        driver_opts: wire.driver_opts.unwrap_or_default(),
    })
}

fn address<T: std::str::FromStr>(text: &str, family: &str) -> Result<Option<T>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| Failure::invalid(format!("invalid {family} address: {text}")))
}
