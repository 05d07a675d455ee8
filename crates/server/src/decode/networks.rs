//! A request to make a network.

use std::collections::BTreeMap;
use std::net::IpAddr;

use api::ApiVersion;
use api::network::{CreateRequest, IpamConfig};
use engine::model::network::{IpamPool, NetworkRequest};
use types::ErrorKind;

use crate::failure::Failure;

/// What a configuration-only network cannot have.
const OPERATOR_FIELDS: &str = "configuration network can only contain network specific fields. Network operator fields like [ ingress | internal | attachable | scope ] are not supported.";

/// Decodes the body of `POST /networks/create`.
///
/// # Errors
/// 400, 403 and 501 in Docker's words.
pub fn network(wire: CreateRequest, version: ApiVersion) -> Result<NetworkRequest, Failure> {
    let forbidden = |text: &str| Err(Failure::new(ErrorKind::Forbidden, text));
    if wire.config_only && (wire.ingress || !wire.scope.is_empty()) {
        return forbidden(OPERATOR_FIELDS);
    }
    if wire.ingress {
        return forbidden("Ingress network can only be global scope network");
    }
    match wire.scope.as_str() {
        "" | "local" => {}
        "swarm" | "global" => return forbidden("cannot create a swarm scoped network when swarm is not active"),
        other => return Err(Failure::invalid(format!("invalid network scope {other:?}"))),
    }
    // The driver of settings is that of the networks made from them.
    if wire.driver == "overlay" && !wire.config_only {
        let text = "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.";
        return Err(Failure::new(ErrorKind::Unavailable, text));
    }
    let ipam = wire.ipam.unwrap_or_default();
    // An empty entry is how some clients say that they want nothing in particular.
    let configured = ipam.config.unwrap_or_default().into_iter().filter(|pool| *pool != IpamConfig::default());
    Ok(NetworkRequest {
        name: wire.name,
        unique: wire.check_duplicate.unwrap_or(version >= ApiVersion(44)),
        driver: wire.driver,
        internal: wire.internal,
        attachable: wire.attachable,
        ipv4: wire.enable_ipv4,
        ipv6: wire.enable_ipv6,
        ipam_driver: ipam.driver,
        ipam_options: ipam.options,
        pools: configured.map(pool).collect::<Result<_, _>>()?,
        options: wire.options.unwrap_or_default(),
        labels: wire.labels.unwrap_or_default(),
        config_only: wire.config_only,
        config_from: wire.config_from.unwrap_or_default().network,
    })
}

fn pool(wire: IpamConfig) -> Result<IpamPool, Failure> {
    let bad = |what: &str, text: &str, reason: &str| {
        Failure::invalid(format!("invalid network config:\ninvalid {what} {text}: {reason}"))
    };
    const BLOCK: &str = "invalid CIDR block notation";
    let subnet = wire.subnet.parse().map_err(|_| bad("subnet", &wire.subnet, BLOCK))?;
    let range = match wire.ip_range.as_str() {
        "" => None,
        text => Some(text.parse().map_err(|_| bad("ip-range", text, BLOCK))?),
    };
    let address = |what: &str, text: &str| text.parse::<IpAddr>().map_err(|_| bad(what, text, "invalid IP address"));
    let gateway = match wire.gateway.as_str() {
        "" => None,
        text => Some(address("gateway address", text)?),
    };
    let auxiliary = wire
        .auxiliary_addresses
        .iter()
        .map(|(name, text)| Ok((name.clone(), address(&format!("auxiliary address {name}"), text)?)));
    Ok(IpamPool { subnet, range, gateway, auxiliary: auxiliary.collect::<Result<BTreeMap<_, _>, Failure>>()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(body: &str) -> Result<NetworkRequest, (u16, String)> {
        let wire = serde_json::from_str(body).expect("JSON");
        network(wire, ApiVersion(51)).map_err(|failure| (failure.status.as_u16(), failure.message))
    }

    #[test]
    fn requests_are_decoded_and_bad_ones_told_apart() {
        let request = decode(
            r#"{"Name":"n","EnableIPv6":true,"IPAM":{"Config":[{"Subnet":"10.1.0.0/16","IPRange":"10.1.5.0/24","Gateway":"10.1.5.254","AuxiliaryAddresses":{"a":"10.1.1.5"}},{}]}}"#,
        )
        .expect("valid");
        assert!(request.ipv6 == Some(true) && request.unique && request.pools.len() == 1);
        assert_eq!(request.pools[0].gateway, Some([10, 1, 5, 254].into()));
        for (body, status, part) in [
            (r#"{"Name":"n","Ingress":true}"#, 403, "Ingress"),
            (r#"{"Name":"n","Scope":"swarm"}"#, 403, "swarm scoped"),
            (r#"{"Name":"n","Driver":"overlay"}"#, 503, "swarm manager"),
            (r#"{"Name":"n","ConfigOnly":true,"Scope":"local"}"#, 403, "configuration network can only contain"),
            (r#"{"Name":"n","IPAM":{"Config":[{"Subnet":"10.1.0.0"}]}}"#, 400, "invalid subnet 10.1.0.0"),
            (r#"{"Name":"n","IPAM":{"Config":[{"Gateway":"10.1.0.1"}]}}"#, 400, "invalid subnet "),
        ] {
            let refusal = decode(body).expect_err(body);
            assert!(refusal.0 == status && refusal.1.contains(part), "{refusal:?}");
        }
    }
}
