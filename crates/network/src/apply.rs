//! Running plans, and taking back what was done when a later step fails.

use std::os::fd::AsFd;
use std::sync::Mutex;
use std::time::Duration;

use sys::netlink::{Address, RouteSocket, VethPair};

use crate::bridge::Bridge;
use crate::network::lock;
use crate::observe::set_switch;
use crate::plan::{AttachPlan, BridgePlan};
use crate::{Error, random};

/// Marks the devices that are ours, so that a start after a crash removes no other's (`gant`).
pub(crate) const DEVICE_GROUP: u32 = 0x6761_6e74;

/// Makes the bridge what the plan says and returns its index.
pub(crate) fn apply_bridge(socket: &mut RouteSocket, plan: &BridgePlan, alias: Option<&str>) -> Result<u32, Error> {
    let failed = |action| move |source| Error::Device { device: plan.name.clone(), action, source };
    let mut index = plan.index;
    if plan.create {
        socket.add_bridge(&plan.name, random::mac()?, plan.mtu).map_err(failed("create bridge"))?;
        let link = socket.link(&plan.name).map_err(failed("find"))?;
        index = link.ok_or_else(|| Error::BridgeMissing(plan.name.clone()))?.index;
    }
    let configured = configure_bridge(socket, plan, index, alias);
    if configured.is_err()
        && plan.create
        && let Err(error) = socket.delete_link(index)
    {
        tracing::warn!(device = plan.name, %error, "cannot remove a half-made bridge");
    }
    configured.map(|()| index)
}

fn configure_bridge(socket: &mut RouteSocket, plan: &BridgePlan, index: u32, alias: Option<&str>) -> Result<(), Error> {
    let failed = |action| move |source| Error::Device { device: plan.name.clone(), action, source };
    for address in &plan.remove_addresses {
        socket.delete_address(*address).map_err(failed("remove address"))?;
    }
    for &(address, prefix) in &plan.add_addresses {
        if address.is_ipv6() {
            // A machine may have it off for new devices.
            set_switch(&format!("net/ipv6/conf/{}/disable_ipv6", plan.name), "0")?;
        }
        match socket.add_address(Address { device: index, address, prefix }) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            added => added.map_err(failed("add address"))?,
        }
    }
    if plan.set_mtu {
        socket.set_mtu(index, plan.mtu).map_err(failed("set MTU"))?;
    }
    if let Some(alias) = alias {
        socket.set_alias(index, alias).map_err(failed("set alias"))?;
    }
    socket.set_up(index).map_err(failed("bring up"))
}

/// The link of an endpoint, by index in the host's and in the container's namespace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MadeLink {
    outer: u32,
    inner: u32,
}

/// Makes the link of an endpoint: the pair, with one end on the bridge. Undone by [`remove_link`].
pub(crate) fn apply_link(
    host: &mut RouteSocket,
    bridge: &Bridge,
    plan: &AttachPlan,
    namespace: impl AsFd,
) -> Result<MadeLink, Error> {
    let failed = |action| move |source| Error::Device { device: plan.host_device.clone(), action, source };
    let pair = VethPair {
        name: &plan.host_device,
        peer: &plan.device,
        peer_mac: plan.mac.0,
        namespace: namespace.as_fd(),
        bridge: bridge.index,
        mtu: bridge.mtu,
        group: DEVICE_GROUP,
    };
    let link = host.add_veth(&pair).map_err(failed("create veth pair"))?;
    if bridge.isolate || plan.hairpin {
        host.set_bridge_port(link.index, plan.hairpin, bridge.isolate).map_err(|source| {
            remove_link(host, &plan.host_device);
            failed("set bridge port")(source)
        })?;
    }
    Ok(MadeLink { outer: link.index, inner: link.peer })
}

/// Gives the container's end its address and route, and waits until packets pass: what a program sends first would be
/// lost. Nothing to undo: it goes with the link.
pub(crate) fn apply_address(
    host: &Mutex<RouteSocket>,
    inside: &mut RouteSocket,
    bridge: &Bridge,
    plan: &AttachPlan,
    link: MadeLink,
) -> Result<(), Error> {
    const PATIENCE: Duration = Duration::from_millis(100);
    let failed = |action| move |source| Error::Device { device: plan.device.clone(), action, source };
    let addresses: Vec<_> = plan.addresses.iter().map(|own| (own.ip(), own.address.prefix_len())).collect();
    let gateways: Vec<_> = plan.addresses.iter().filter_map(|own| own.gateway.filter(|_| plan.is_gateway)).collect();
    inside.configure(link.inner, &addresses, &gateways).map_err(failed("set address and route"))?;
    for &address in &plan.link_local {
        let prefix = if address.is_ipv4() { 16 } else { 64 };
        match inside.add_address(Address { device: link.inner, address, prefix }) {
            // The kernel has made that one up itself.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            added => added.map_err(failed("set link-local address"))?,
        }
    }
    inside
        .wait_operational(&[link.inner], PATIENCE)
        .and_then(|()| lock(host).wait_operational(&[link.outer, bridge.index], PATIENCE))
        .map_err(failed("wait for the carrier"))
}

/// Deletes a link on the way back from a failure; slow, which does not matter there.
pub(crate) fn remove_link(host: &mut RouteSocket, device: &str) {
    let removed = match host.link(device) {
        Ok(Some(link)) => host.delete_link(link.index),
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    if let Err(error) = removed {
        tracing::warn!(device, %error, "cannot remove a link");
    }
}
