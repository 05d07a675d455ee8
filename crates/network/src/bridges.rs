//! The bridges of all networks, and making them what their records say when a daemon starts.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use sys::netlink::RouteSocket;
use types::NetworkId;

use crate::apply::apply_bridge;
use crate::bridge::{Bridge, Side, alias};
use crate::config::DefaultBridge;
use crate::default_bridge::plan_default;
use crate::definition::UserNetwork;
use crate::firewall::BridgeRules;
use crate::observe::{Observed, firewall_sees_frames, set_switch};
use crate::options::BridgeOptions;
use crate::plan::{self, plan_bridge};
use crate::{EndpointRecord, Error, LinkRecord, NetworkConfig};

/// All bridges.
#[derive(Debug)]
pub(crate) struct Bridges {
    /// Of the network `bridge`.
    pub(crate) default: Option<Arc<Bridge>>,
    /// Networks of users, oldest first.
    pub(crate) users: Vec<User>,
}

/// A user's network.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) record: Arc<UserNetwork>,
    /// `None` when it could not be made again at the daemon's start.
    pub(crate) bridge: Option<Arc<Bridge>>,
}

impl Bridges {
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Bridge>> {
        self.default.iter().chain(self.users.iter().filter_map(|user| user.bridge.as_ref()))
    }

    pub(crate) fn rules(&self) -> Vec<BridgeRules> {
        self.all().map(|bridge| bridge.rules()).collect()
    }
}

/// Makes the default bridge.
pub(crate) fn open_default(
    config: &NetworkConfig,
    id: &NetworkId,
    route: &mut RouteSocket,
    observed: &Observed,
    existing: &[EndpointRecord],
) -> Result<Option<Bridge>, Error> {
    let first = existing.iter().filter(|record| record.network_id == *id).find_map(|record| record.link.as_ref());
    let previous = first.and_then(LinkRecord::ipv4);
    let previous = previous.and_then(|own| IpNet::new(own.gateway?, own.address.prefix_len()).ok());
    let Some(plan) = plan_default(config, id, previous, observed)? else { return Ok(None) };
    let owned = matches!(config.bridge, DefaultBridge::Owned { .. });
    let text = alias(&config.data_root);
    let index = apply_bridge(route, &plan.bridge, owned.then_some(text.as_str()))?;
    rejoin(route, observed, existing, id, index);
    set_switches(config, &plan.bridge.name, &plan.sides)?;
    Ok(Some(Bridge {
        id: id.clone(),
        network: "bridge".to_owned(),
        index,
        mtu: plan.bridge.mtu,
        icc: config.icc,
        // Where the firewall does see them, it also tells published ports, which isolation would cut off.
        isolate: !config.icc && isolated(config, &plan.sides),
        internal: false,
        bind_ip: config.default_bind_ip,
        device_prefix: "eth".to_owned(),
        pools: plan.pools,
        trusted: Vec::new(),
        name: plan.bridge.name,
        sides: plan.sides,
    }))
}

/// Makes the bridges of users' networks. One that cannot be made is logged: the others, and the daemon, must not suffer.
pub(crate) fn open_users(
    config: &NetworkConfig,
    users: Vec<UserNetwork>,
    route: &mut RouteSocket,
    observed: &Observed,
    existing: &[EndpointRecord],
) -> Vec<User> {
    let open = |record: UserNetwork| {
        let bridge = match open_user(config, &record, route, observed) {
            Ok(bridge) => {
                rejoin(route, observed, existing, &record.definition.id, bridge.index);
                Some(Arc::new(bridge))
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(network = record.definition.name, error, "a network's bridge could not be made");
                None
            }
        };
        User { record: Arc::new(record), bridge }
    };
    users.into_iter().map(open).collect()
}

/// Makes the bridge of a user's network.
pub(crate) fn open_user(
    config: &NetworkConfig,
    network: &UserNetwork,
    route: &mut RouteSocket,
    observed: &Observed,
) -> Result<Bridge, Error> {
    let options = BridgeOptions::parse(&network.definition.options)?;
    let sides = plan::sides(network, &options);
    let plan = plan_bridge(&network.device, &sides, options.mtu, network.owned, observed)?;
    let index = apply_bridge(route, &plan, network.owned.then_some(alias(&config.data_root).as_str()))?;
    if let Err(error) = set_switches(config, &plan.name, &sides) {
        if plan.create {
            crate::apply::remove_link(route, &plan.name);
        }
        return Err(error);
    }
    Ok(Bridge {
        id: network.definition.id.clone(),
        network: network.definition.name.clone(),
        name: plan.name,
        index,
        mtu: plan.mtu,
        icc: options.icc,
        isolate: !options.icc && isolated(config, &sides),
        sides,
        internal: network.definition.internal,
        bind_ip: options.bind_ip.unwrap_or(config.default_bind_ip),
        device_prefix: options.device_prefix,
        pools: Vec::new(),
        trusted: options.trusted,
    })
}

/// Whether frames between two ports pass the firewall by, in one of the families.
fn isolated(config: &NetworkConfig, sides: &[Side]) -> bool {
    let seen = |side: &Side| config.iptables && firewall_sees_frames(side.subnet.is_ipv6());
    !sides.iter().all(seen)
}

pub(crate) fn set_switches(config: &NetworkConfig, device: &str, sides: &[Side]) -> Result<(), Error> {
    wanted_switches(config, device, sides).into_iter().try_for_each(|switch| set_switch(&switch, "1"))
}

/// The switches that a bridge needs: path, wanted value, present value.
pub(crate) fn switches(
    config: &NetworkConfig,
    device: &str,
    sides: &[Side],
) -> Vec<(String, &'static str, Option<String>)> {
    let present = |path: &String| {
        let text = std::fs::read_to_string(Path::new("/proc/sys").join(path)).ok();
        text.map(|text| text.trim().to_owned())
    };
    wanted_switches(config, device, sides).into_iter().map(|path| (path.clone(), "1", present(&path))).collect()
}

/// The switches of the kernel that must be on.
fn wanted_switches(config: &NetworkConfig, device: &str, sides: &[Side]) -> Vec<String> {
    let mut wanted = Vec::new();
    if config.ip_forward {
        wanted.push("net/ipv4/ip_forward".to_owned());
        if sides.iter().any(|side| side.subnet.is_ipv6()) {
            wanted.push("net/ipv6/conf/all/forwarding".to_owned());
        }
    }
    if config.iptables {
        // Lets what is published on 127.0.0.1 leave by the bridge; the firewall's `guard` shuts the way back in.
        wanted.push(format!("net/ipv4/conf/{device}/route_localnet"));
    }
    wanted
}

/// Puts the links of existing endpoints back on a bridge that was deleted and made again.
fn rejoin(route: &mut RouteSocket, observed: &Observed, existing: &[EndpointRecord], network: &NetworkId, bridge: u32) {
    let mut joined = Vec::new();
    let here = existing.iter().filter(|record| record.network_id == *network);
    for name in here.filter_map(|record| record.link.as_ref()).map(|link| &link.host_device) {
        let Some(link) = observed.link(name).filter(|link| link.master != bridge) else { continue };
        match route.set_master(link.index, bridge) {
            Ok(()) => joined.push(link.index),
            Err(error) => {
                tracing::warn!(device = name, %error, "a container's link could not be put back on the bridge");
            }
        }
    }
    if !joined.is_empty() {
        joined.push(bridge);
        // Packets may be lost for a moment otherwise; nothing worse.
        let _ = route.wait_operational(&joined, Duration::from_millis(50));
    }
}
