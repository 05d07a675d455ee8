//! `network create`.

use std::net::IpAddr;

use indexmap::IndexMap;
use ipnet::IpNet;
use serde_json::{Map, Value, json};

use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};
use crate::format::value::Value as Answer;
use crate::options::{check, keyvalue};

/// `network create`.
pub static COMMAND: Command = Command {
    paths: &["network create"],
    usage: "[OPTIONS] NETWORK",
    about: "Create a network",
    flags: &[&[
        Flag::switch("attachable", "Enable manual container attachment"),
        Flag::value("aux-address", "map", "Auxiliary IPv4 or IPv6 addresses used by Network driver").default("map[]"),
        Flag::value("config-from", "string", "The network from which to copy the configuration"),
        Flag::switch("config-only", "Create a configuration only network"),
        Flag::value("driver", "string", "Driver to manage the Network").short('d').default("\"bridge\""),
        Flag::value("gateway", "strings", "IPv4 or IPv6 Gateway for the master subnet"),
        Flag::switch("ingress", "Create swarm routing-mesh network"),
        Flag::switch("internal", "Restrict external access to the network"),
        Flag::value("ip-range", "strings", "Allocate container ip from a sub-range"),
        Flag::value("ipam-driver", "string", "IP Address Management Driver").default("\"default\""),
        Flag::value("ipam-opt", "map", "Set IPAM driver specific options").default("map[]"),
        Flag::switch("ipv4", "Enable or disable IPv4 address assignment").default("true"),
        Flag::switch("ipv6", "Enable or disable IPv6 address assignment"),
        Flag::value("label", "list", "Set metadata on a network").check(check::label),
        Flag::value("opt", "map", "Set driver specific options").short('o').default("map[]"),
        Flag::value("scope", "string", "Control the network's scope"),
        Flag::value("subnet", "strings", "Subnet in CIDR format that represents a network segment"),
    ]],
    interspersed: true,
    args: Args::Exactly(1),
    run,
};

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let pools = pools(m).map_err(Failure::Invalid)?;
    let mut body = json!({
        "Name": m.arg(0),
        "Driver": m.maybe("driver").unwrap_or("bridge"),
        "Scope": m.text("scope"),
        "IPAM": {
            "Driver": m.maybe("ipam-driver").unwrap_or("default"),
            "Options": keyvalue::map(&m.list("ipam-opt")),
            "Config": pools,
        },
        "Internal": m.on("internal"),
        "Attachable": m.on("attachable"),
        "Ingress": m.on("ingress"),
        "ConfigOnly": m.on("config-only"),
        "Options": keyvalue::map(&m.list("opt")),
        "Labels": keyvalue::map(&m.list("label")),
    });
    for (flag, field) in [("ipv4", "EnableIPv4"), ("ipv6", "EnableIPv6")] {
        if m.given(flag) {
            body[field] = json!(m.on(flag));
        }
    }
    if m.given("config-from") {
        body["ConfigFrom"] = json!({ "Network": m.text("config-from") });
    }
    let request = context.client()?.post("/networks/create").json(&body)?;
    let network: Answer = context.wait(async { Ok(request.fetch().await?) })?;
    context.line(network.at("Id").as_str());
    Ok(())
}

/// One value of a flag may be several, with commas between.
fn several<'m>(m: &'m Matches, flag: &str) -> Vec<&'m str> {
    m.list(flag).into_iter().flat_map(|text| text.split(',')).map(str::trim).filter(|text| !text.is_empty()).collect()
}

/// The subnets, each with its range, gateway and auxiliary addresses.
fn pools(m: &Matches) -> Result<Vec<Value>, String> {
    let auxiliary = keyvalue::map(&m.list("aux-address"));
    consolidate(&several(m, "subnet"), &several(m, "ip-range"), &several(m, "gateway"), &auxiliary)
}

fn consolidate(
    subnets: &[&str],
    ranges: &[&str],
    gateways: &[&str],
    auxiliary: &IndexMap<String, String>,
) -> Result<Vec<Value>, String> {
    if subnets.len() < ranges.len() || subnets.len() < gateways.len() {
        return Err("every ip-range or gateway must have a corresponding subnet".to_owned());
    }
    let mut pools: Vec<(IpNet, Map<String, Value>)> = Vec::new();
    for text in subnets {
        // What is none is for the engine to refuse, in its words.
        let Ok(subnet) = text.parse::<IpNet>() else {
            return Ok(vec![json!({ "Subnet": text })]);
        };
        let other = |pool: &(IpNet, _)| pool.0.contains(&subnet.trunc()) || subnet.contains(&pool.0.trunc());
        if pools.iter().any(other) {
            return Err("multiple overlapping subnet configuration is not supported".to_owned());
        }
        pools.push((subnet, Map::from_iter([("Subnet".to_owned(), json!(text))])));
    }
    for text in ranges {
        let inside = |pool: &&mut (IpNet, Map<String, Value>)| {
            text.parse::<IpNet>().is_ok_and(|range| pool.0.contains(&range.network()))
        };
        let pool = pools.iter_mut().find(inside).ok_or_else(|| format!("no matching subnet for range {text}"))?;
        if pool.1.insert("IPRange".to_owned(), json!(text)).is_some() {
            return Err(format!("cannot configure multiple ranges ({text}) on the same subnet ({})", pool.0));
        }
    }
    let holder = |pools: &[(IpNet, Map<String, Value>)], text: &str| {
        let address = text.parse::<IpAddr>().ok()?;
        pools.iter().position(|pool| pool.0.contains(&address))
    };
    for text in gateways {
        let at = holder(&pools, text).ok_or_else(|| format!("no matching subnet for gateway {text}"))?;
        if pools[at].1.insert("Gateway".to_owned(), json!(text)).is_some() {
            return Err(format!("cannot configure multiple gateways ({text}) for the same subnet ({})", pools[at].0));
        }
    }
    for (name, text) in auxiliary {
        let at = holder(&pools, text).ok_or_else(|| format!("no matching subnet for aux-address {text}"))?;
        let known = pools[at].1.entry("AuxiliaryAddresses").or_insert_with(|| json!({}));
        known[name] = json!(text);
    }
    Ok(pools.into_iter().map(|(_, pool)| Value::Object(pool)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(subnets: &[&str], ranges: &[&str], gateways: &[&str], auxiliary: &[(&str, &str)]) -> String {
        let auxiliary = auxiliary.iter().map(|(name, at)| ((*name).to_owned(), (*at).to_owned())).collect();
        match consolidate(subnets, ranges, gateways, &auxiliary) {
            Ok(pools) => serde_json::to_string(&pools).expect("JSON"),
            Err(error) => error,
        }
    }

    #[test]
    fn what_belongs_to_a_subnet_goes_with_it() {
        let pools =
            text(&["10.1.0.0/16", "fd00::/64"], &["10.1.5.0/24"], &["fd00::9", "10.1.5.254"], &[("a", "10.1.1.5")]);
        let expected = json!([
            {"Subnet": "10.1.0.0/16", "IPRange": "10.1.5.0/24", "Gateway": "10.1.5.254",
                "AuxiliaryAddresses": {"a": "10.1.1.5"}},
            {"Subnet": "fd00::/64", "Gateway": "fd00::9"},
        ]);
        assert_eq!(serde_json::from_str::<Value>(&pools).expect("JSON"), expected);
        for (got, expected) in [
            (text(&[], &[], &["10.1.0.1"], &[]), "every ip-range or gateway must have a corresponding subnet"),
            (text(&["10.1.0.0/16"], &[], &["10.3.2.3"], &[]), "no matching subnet for gateway 10.3.2.3"),
            (text(&["10.1.0.0/16"], &["10.3.0.0/24"], &[], &[]), "no matching subnet for range 10.3.0.0/24"),
            (text(&[], &[], &[], &[("a", "10.3.0.0")]), "no matching subnet for aux-address 10.3.0.0"),
            (
                text(&["10.1.0.0/16", "10.1.0.0/24"], &[], &[], &[]),
                "multiple overlapping subnet configuration is not supported",
            ),
        ] {
            assert_eq!(got, expected);
        }
    }
}
