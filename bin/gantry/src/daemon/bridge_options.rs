//! The settings of the default network, and of what every network has in common.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use network::{DefaultAddresses, PublishPolicy};

use super::merged::Merged;

/// What the flags and keys about the default network say.
#[derive(Clone, Debug)]
pub(super) struct BridgeOptions {
    pub addresses: DefaultAddresses,
    pub icc: bool,
    pub iptables: bool,
    pub ip6tables: bool,
    pub ip_forward: bool,
    pub masquerade: bool,
    pub userland_proxy: bool,
    pub allow_direct_routing: bool,
    pub publish_policy: PublishPolicy,
    pub accept_mark: Option<(u32, u32)>,
    pub bind_ip: IpAddr,
    pub mtu: Option<u32>,
}

pub(super) fn read(merged: &Merged) -> anyhow::Result<BridgeOptions> {
    let mtu = merged.parsed("mtu", |text| text.parse().map_err(|_| format!("invalid MTU: {text}")))?;
    let addresses = DefaultAddresses {
        bip: merged.parsed("bip", cidr)?,
        fixed: merged.parsed("fixed-cidr", cidr)?,
        gateway: merged.parsed("default-gateway", address::<Ipv4Addr>)?,
        ipv6: merged.switch("ipv6", false),
        bip6: merged.parsed("bip6", cidr)?,
        fixed6: merged.parsed("fixed-cidr-v6", cidr)?,
        gateway6: merged.parsed("default-gateway-v6", address::<Ipv6Addr>)?,
    };
    Ok(BridgeOptions {
        addresses,
        icc: merged.switch("icc", true),
        iptables: merged.switch("iptables", true),
        ip6tables: merged.switch("ip6tables", true),
        ip_forward: merged.switch("ip-forward", true),
        masquerade: merged.switch("ip-masq", true),
        userland_proxy: merged.switch("userland-proxy", true),
        allow_direct_routing: merged.switch("allow-direct-routing", false),
        publish_policy: merged.parsed("publish-policy", publish_policy)?.unwrap_or_default(),
        accept_mark: merged.parsed("bridge-accept-fwmark", mark)?,
        bind_ip: merged.parsed("ip", address)?.unwrap_or(Ipv4Addr::UNSPECIFIED.into()),
        mtu: mtu.filter(|mtu| *mtu > 0),
    })
}

fn publish_policy(text: &str) -> Result<PublishPolicy, String> {
    match text {
        "docker" => Ok(PublishPolicy::Docker),
        "host-firewall" => Ok(PublishPolicy::HostFirewall),
        _ => Err(format!("invalid publish-policy {text:?}: it is docker or host-firewall")),
    }
}

fn cidr<N: FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| format!("invalid CIDR address: {text}"))
}

fn address<A: FromStr>(text: &str) -> Result<A, String> {
    text.parse().map_err(|_| format!("{text} is not an ip address"))
}

/// `MARK` or `MARK/MASK`, each decimal, octal or hexadecimal.
fn mark(text: &str) -> Result<(u32, u32), String> {
    let number = |word: &str| {
        let (digits, base) = match word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
            Some(digits) => (digits, 16),
            None if word.len() > 1 && word.starts_with('0') => (&word[1..], 8),
            None => (word, 10),
        };
        u32::from_str_radix(digits, base).map_err(|_| format!("invalid firewall mark {text:?}"))
    };
    let (mark, mask) = text.split_once('/').map_or((text, None), |(mark, mask)| (mark, Some(mask)));
    let mask = mask.map_or(Ok(u32::MAX), number)?;
    Ok((number(mark)? & mask, mask))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_in_every_base() {
        assert_eq!(mark("1"), Ok((1, u32::MAX)));
        assert_eq!(mark("0x10/0xff"), Ok((16, 255)));
        assert_eq!(mark("010/12"), Ok((8, 12)));
        assert!(mark("x").is_err() && mark("1/").is_err());
    }
}
