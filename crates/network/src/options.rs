//! Driver options of a bridge network. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::Error;
use crate::bridge::GatewayMode;

/// Whose options these are; others are labels for somebody else and only shown.
const OURS: &str = "com.docker.network.";

/// What the options say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BridgeOptions {
    /// Name of the device.
    pub(crate) name: Option<String>,
    pub(crate) icc: bool,
    pub(crate) masquerade: bool,
    /// Host address of published ports that name none.
    pub(crate) bind_ip: Option<IpAddr>,
    /// How containers and the outside reach each other, by IPv4 and by IPv6; `None` is the default.
    pub(crate) modes: [Option<GatewayMode>; 2],
    /// What the source address of what leaves becomes, by IPv4 and by IPv6.
    pub(crate) sources: [Option<IpAddr>; 2],
    /// Containers get IPv4 addresses, and IPv6 ones.
    pub(crate) ipv4: Option<bool>,
    pub(crate) ipv6: Option<bool>,
    /// The bridge gets no IPv4 address.
    pub(crate) inhibit_ipv4: bool,
    /// Devices of the host from where every port of the containers may be reached.
    pub(crate) trusted: Vec<String>,
    pub(crate) mtu: Option<u32>,
    /// How the names of devices in containers begin.
    pub(crate) device_prefix: String,
}

impl BridgeOptions {
    pub(crate) fn parse(options: &BTreeMap<String, String>) -> Result<Self, Error> {
        let mut parsed = Self { icc: true, masquerade: true, device_prefix: "eth".to_owned(), ..Self::default() };
        for (key, value) in options {
            let Some(word) = key.strip_prefix(OURS) else { continue };
            match word {
                "bridge.name" if value.is_empty() => {}
                "bridge.name" => parsed.name = Some(device_name(key, value)?),
                "bridge.enable_icc" => parsed.icc = truth(key, value)?,
                "bridge.enable_ip_masquerade" => parsed.masquerade = truth(key, value)?,
                "bridge.host_binding_ipv4" => {
                    parsed.bind_ip = Some(value.parse().map_err(|_| bad(key, value, "invalid IPv4 address"))?);
                }
                "host_ipv4" => parsed.sources[0] = Some(source(key, value, false)?),
                "host_ipv6" => parsed.sources[1] = Some(source(key, value, true)?),
                "bridge.inhibit_ipv4" => parsed.inhibit_ipv4 = truth(key, value)?,
                "bridge.trusted_host_interfaces" => {
                    let names = value.split(':').filter(|name| !name.is_empty());
                    parsed.trusted = names.map(|name| device_name(key, name)).collect::<Result<_, _>>()?;
                }
                "driver.mtu" => parsed.mtu = mtu(key, value)?,
                "container_iface_prefix" => parsed.device_prefix = prefix(key, value)?,
                "bridge.gateway_mode_ipv4" => parsed.modes[0] = Some(mode(key, value)?),
                "bridge.gateway_mode_ipv6" => parsed.modes[1] = Some(mode(key, value)?),
                "enable_ipv4" => parsed.ipv4 = Some(truth(key, value)?),
                "enable_ipv6" => parsed.ipv6 = Some(truth(key, value)?),
                // Says what is so anyway.
                "bridge.default_bridge" if value == "false" => {}
                _ => return Err(Error::UnsupportedOption(key.clone())),
            }
        }
        Ok(parsed)
    }
}

fn mode(key: &str, value: &str) -> Result<GatewayMode, Error> {
    match value {
        "" | "nat" => Ok(GatewayMode::Nat),
        "nat-unprotected" => Ok(GatewayMode::NatUnprotected),
        "routed" => Ok(GatewayMode::Routed),
        "isolated" => Ok(GatewayMode::Isolated),
        _ => Err(bad(key, value, &format!("unknown gateway mode {value}"))),
    }
}

fn source(key: &str, value: &str, ipv6: bool) -> Result<IpAddr, Error> {
    let family = if ipv6 { "invalid IPv6 address" } else { "invalid IPv4 address" };
    value.parse().ok().filter(|address: &IpAddr| address.is_ipv6() == ipv6).ok_or_else(|| bad(key, value, family))
}

fn truth(key: &str, value: &str) -> Result<bool, Error> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(bad(key, value, &format!("strconv.ParseBool: parsing {value:?}: invalid syntax"))),
    }
}

pub(crate) fn mtu(key: &str, value: &str) -> Result<Option<u32>, Error> {
    match value.parse::<u32>() {
        Ok(0) => Ok(None),
        Ok(mtu @ 68..=65_535) => Ok(Some(mtu)),
        Ok(_) => Err(bad(key, value, "out of range")),
        Err(_) => Err(bad(key, value, &format!("strconv.Atoi: parsing {value:?}: invalid syntax"))),
    }
}

/// The kernel's rules: 1 to 15 bytes, no slash, no space, not a directory's name.
fn device_name(key: &str, value: &str) -> Result<String, Error> {
    let fine = value.len() <= 15
        && value != "."
        && value != ".."
        && value.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':'));
    if fine { Ok(value.to_owned()) } else { Err(bad(key, value, "not a valid device name")) }
}

pub(crate) fn prefix(key: &str, value: &str) -> Result<String, Error> {
    let fine = (1..=11).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if fine && value != "lo" { Ok(value.to_owned()) } else { Err(bad(key, value, "not a valid device name")) }
}

fn bad(key: &str, value: &str, reason: &str) -> Error {
    Error::BadOption { key: key.to_owned(), value: value.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(key: &str, value: &str) -> Result<BridgeOptions, String> {
        let options = BTreeMap::from([(key.to_owned(), value.to_owned())]);
        BridgeOptions::parse(&options).map_err(|error| error.to_string())
    }

    #[test]
    fn options_are_read_and_unknown_ones_of_ours_refused() {
        let icc = "com.docker.network.bridge.enable_icc";
        assert_eq!(parse(icc, "false").map(|options| options.icc), Ok(false));
        assert_eq!(
            parse(icc, "zz").err().as_deref(),
            Some(
                "failed to parse com.docker.network.bridge.enable_icc value: zz (strconv.ParseBool: parsing \"zz\": invalid syntax)"
            )
        );
        assert_eq!(parse("com.docker.network.driver.mtu", "1400").map(|options| options.mtu), Ok(Some(1400)));
        assert!(parse("com.docker.network.driver.mtu", "9").is_err());
        assert!(parse("com.docker.network.bridge.name", "averyveryverylongname").is_err());
        assert!(parse("com.docker.network.bridge.name", "a/b").is_err());
        assert!(parse("com.docker.network.bridge.nope", "1").is_err());
        assert!(parse("foo", "bar").is_ok());
    }
}
