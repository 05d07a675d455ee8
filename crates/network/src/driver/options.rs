//! What `-o` says about macvlan and ipvlan networks. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sys::netlink::Stacked;

use super::DriverError;
use crate::Error;
use crate::options::{mtu, prefix};

/// Whose options these are; others are labels for somebody else and only shown.
const OURS: &str = "com.docker.network.";

/// The kind of device that has its parent to itself, and its hardware address.
pub(crate) const PASSTHRU: Stacked = Stacked::Macvlan(8);

/// How macvlan devices of one parent see each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MacvlanMode {
    /// Directly.
    #[default]
    Bridge,
    /// Not at all.
    Private,
    /// By way of a switch that sends frames back.
    Vepa,
    /// There is only one, with the parent to itself.
    Passthru,
}

/// Where ipvlan forwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum IpvlanMode {
    #[default]
    L2,
    L3,
    /// L3 with the host's firewall.
    L3s,
}

/// How ipvlan devices of one parent see each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum IpvlanFlag {
    #[default]
    Bridge,
    Private,
    Vepa,
}

/// A mode of either driver.
pub(crate) trait Mode: Sized {
    /// The driver's name.
    const DRIVER: &'static str;
    /// The mode of an option's value; empty for the default one.
    fn parse(text: &str) -> Result<Self, DriverError>;
    /// What the kernel is told.
    fn kind(self, flag: IpvlanFlag) -> Stacked;
}

impl Mode for MacvlanMode {
    const DRIVER: &'static str = "macvlan";

    fn parse(text: &str) -> Result<Self, DriverError> {
        Ok(match text {
            "" | "bridge" => Self::Bridge,
            "private" => Self::Private,
            "vepa" => Self::Vepa,
            "passthru" => Self::Passthru,
            other => return Err(DriverError::MacvlanMode(other.to_owned())),
        })
    }

    fn kind(self, _: IpvlanFlag) -> Stacked {
        match self {
            Self::Private => Stacked::Macvlan(1),
            Self::Vepa => Stacked::Macvlan(2),
            Self::Bridge => Stacked::Macvlan(4),
            Self::Passthru => PASSTHRU,
        }
    }
}

impl Mode for IpvlanMode {
    const DRIVER: &'static str = "ipvlan";

    fn parse(text: &str) -> Result<Self, DriverError> {
        Ok(match text {
            "" | "l2" => Self::L2,
            "l3" => Self::L3,
            "l3s" => Self::L3s,
            other => return Err(DriverError::IpvlanMode(other.to_owned())),
        })
    }

    fn kind(self, flag: IpvlanFlag) -> Stacked {
        let mode = match self {
            Self::L2 => 0,
            Self::L3 => 1,
            Self::L3s => 2,
        };
        let flags = match flag {
            IpvlanFlag::Bridge => 0,
            IpvlanFlag::Private => 1,
            IpvlanFlag::Vepa => 2,
        };
        Stacked::Ipvlan { mode, flags }
    }
}

impl IpvlanFlag {
    fn parse(text: &str) -> Result<Self, DriverError> {
        Ok(match text {
            "" | "bridge" => Self::Bridge,
            "private" => Self::Private,
            "vepa" => Self::Vepa,
            other => return Err(DriverError::IpvlanFlag(other.to_owned())),
        })
    }
}

/// What the options say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LanOptions<M> {
    /// The device; `None` for one of its own that leads nowhere.
    pub(crate) parent: Option<String>,
    pub(crate) mode: M,
    pub(crate) flag: IpvlanFlag,
    pub(crate) mtu: Option<u32>,
    pub(crate) device_prefix: String,
}

impl<M: Mode> LanOptions<M> {
    pub(crate) fn parse(options: &BTreeMap<String, String>) -> Result<Self, Error> {
        let value = |key: &str| options.get(key).map_or("", String::as_str);
        let mut parsed = Self {
            parent: Some(value("parent").to_owned()).filter(|parent| !parent.is_empty()),
            mode: M::parse(value(&format!("{}_mode", M::DRIVER)))?,
            flag: IpvlanFlag::parse(value("ipvlan_flag"))?,
            mtu: None,
            device_prefix: "eth".to_owned(),
        };
        if parsed.parent.as_deref() == Some("lo") {
            return Err(DriverError::Loopback(M::DRIVER).into());
        }
        for (key, value) in options {
            let own = key.strip_prefix(M::DRIVER) == Some("_mode") || (M::DRIVER == "ipvlan" && key == "ipvlan_flag");
            match key.strip_prefix(OURS) {
                Some("driver.mtu") => parsed.mtu = mtu(key, value)?,
                Some("container_iface_prefix") => parsed.device_prefix = prefix(key, value)?,
                // They mean something to the daemon, and were obeyed by it.
                Some("enable_ipv4" | "enable_ipv6") => {}
                Some(_) => return Err(Error::UnsupportedOption(key.clone())),
                None if !own && (key.starts_with("macvlan_") || key.starts_with("ipvlan_")) => {
                    return Err(Error::UnsupportedOption(key.clone()));
                }
                None => {}
            }
        }
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse<M: Mode>(options: &[(&str, &str)]) -> Result<LanOptions<M>, String> {
        let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        LanOptions::parse(&options).map_err(|error| error.to_string())
    }

    #[test]
    fn options_are_read_and_refused_in_docker_s_words() {
        let lan: LanOptions<MacvlanMode> = parse(&[("parent", "eth0"), ("macvlan_mode", "vepa")]).expect("fine");
        assert_eq!((lan.parent.as_deref(), lan.mode), (Some("eth0"), MacvlanMode::Vepa));
        assert_eq!(lan.mode.kind(lan.flag), Stacked::Macvlan(2));
        let lan: LanOptions<IpvlanMode> = parse(&[("ipvlan_mode", "l3"), ("ipvlan_flag", "private")]).expect("fine");
        assert_eq!((lan.parent.clone(), lan.mode.kind(lan.flag)), (None, Stacked::Ipvlan { mode: 1, flags: 1 }));
        let refused = |options: &[(&str, &str)]| parse::<MacvlanMode>(options).expect_err("refused");
        assert_eq!(
            refused(&[("macvlan_mode", "l2")]),
            "requested macvlan mode 'l2' is not valid, 'bridge' mode is the macvlan driver default"
        );
        assert_eq!(refused(&[("parent", "lo")]), "loopback interface is not a valid macvlan parent link");
        for key in ["ipvlan_mode", "macvlan_flag", "macvlan_moed", "com.docker.network.bridge.name"] {
            assert_eq!(refused(&[(key, "bridge")]), format!("network option {key} is not supported by this engine"));
        }
        assert!(parse::<MacvlanMode>(&[("of.somebody", "else")]).is_ok());
    }
}
