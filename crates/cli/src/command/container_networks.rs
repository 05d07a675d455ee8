//! Flags of `run` and `create` into the body's `NetworkingConfig`.

use serde_json::{Map, Value, json};

use super::container_body::strings;
use crate::flags::Matches;
use crate::options::check;
use crate::options::network::{self, Attachment, is_user_defined};

/// The networks to attach to, the first with the options that flags outside of `--network` give it.
///
/// # Errors
/// Docker's text.
pub fn networks(m: &Matches) -> Result<Vec<Attachment>, String> {
    let mut networks = m.list("network").into_iter().map(network::parse).collect::<Result<Vec<_>, _>>()?;
    if networks.is_empty() {
        networks.push(Attachment { target: "default".to_owned(), ..Attachment::default() });
    }
    let first = &mut networks[0];
    let conflict = |own: bool, flag: &str, what: &str| match own && m.given(flag) {
        true => Err(format!("conflicting options: cannot specify both --{flag} and per-network {what}")),
        false => Ok(()),
    };
    conflict(!first.aliases.is_empty(), "network-alias", "alias")?;
    conflict(!first.ipv4.is_empty(), "ip", "IPv4 address")?;
    conflict(!first.ipv6.is_empty(), "ip6", "IPv6 address")?;
    conflict(!first.mac.is_empty(), "mac-address", "MAC address")?;
    conflict(!first.link_local.is_empty(), "link-local-ip", "link-local IP addresses")?;
    let texts = |flag: &str| m.list(flag).into_iter().map(str::to_owned).collect::<Vec<_>>();
    first.aliases.extend(texts("network-alias"));
    if is_user_defined(&first.target) {
        first.links.extend(texts("link"));
    }
    for (field, flag) in [(&mut first.ipv4, "ip"), (&mut first.ipv6, "ip6"), (&mut first.mac, "mac-address")] {
        if m.given(flag) {
            *field = m.text(flag).to_owned();
        }
    }
    first.link_local.extend(texts("link-local-ip"));
    Ok(networks)
}

/// The body's `EndpointsConfig`.
///
/// # Errors
/// Docker's text.
pub fn endpoints(networks: &[Attachment]) -> Result<Map<String, Value>, String> {
    let mut endpoints = Map::new();
    for network in networks {
        let user_defined = is_user_defined(&network.target);
        if !user_defined && !network.aliases.is_empty() {
            return Err("network-scoped aliases are only supported for user-defined networks".to_owned());
        }
        if !network.mac.is_empty() && !check::is_mac_address(&network.mac) {
            return Err(format!("{} is not a valid mac address", network.mac));
        }
        if endpoints.contains_key(&network.target) {
            return Err(format!("network {:?} is specified multiple times", network.target));
        }
        endpoints.insert(network.target.clone(), endpoint(network));
    }
    let defined = networks.iter().filter(|network| is_user_defined(&network.target)).count();
    if defined > 0 && defined < networks.len() {
        return Err(
            "conflicting options: cannot attach both user-defined and non-user-defined network-modes".to_owned()
        );
    }
    // A single network without options is named by the mode alone.
    let bare = Attachment { target: networks[0].target.clone(), ..Attachment::default() };
    if networks.len() == 1 && networks[0] == bare && bare.target != "default" {
        endpoints.clear();
    }
    Ok(endpoints)
}

fn endpoint(network: &Attachment) -> Value {
    let ipam = (!network.ipv4.is_empty() || !network.ipv6.is_empty() || !network.link_local.is_empty()).then(|| {
        let mut ipam = Map::new();
        for (field, address) in [("IPv4Address", &network.ipv4), ("IPv6Address", &network.ipv6)] {
            if !address.is_empty() {
                ipam.insert(field.to_owned(), json!(address));
            }
        }
        if !network.link_local.is_empty() {
            ipam.insert("LinkLocalIPs".to_owned(), json!(network.link_local));
        }
        Value::Object(ipam)
    });
    json!({
        "IPAMConfig": ipam,
        "Links": strings(&network.links),
        "Aliases": strings(&network.aliases),
        "MacAddress": network.mac,
        "DriverOpts": if network.driver_options.is_empty() { Value::Null } else { json!(network.driver_options) },
        "GwPriority": network.gateway_priority,
    })
}
