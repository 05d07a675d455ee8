//! Putting a container on a network of another driver, and taking it off again.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use sys::netlink::{Address, Child, Stacked};
use types::EndpointId;

use super::options::{Mode, PASSTHRU};
use super::route::default_routes;
use super::{DriverEndpoint, DriverError, DriverNetwork, LanSettings, Settings};
use crate::attach::device_names;
use crate::gone::or_gone;
use crate::network::{Endpoint, Prepared, lock};
use crate::plan::mac_of;
use crate::{AttachRequest, EndpointRecord, Error, LinkAddress, LinkRecord, MacAddress, Network, Sandbox};

/// The device of a container that has just ended may hold its address for a moment longer.
const PATIENCE: Duration = Duration::from_secs(1);
const CARRIER_PATIENCE: Duration = Duration::from_millis(100);

impl Network {
    /// As [`Network::attach`], to a network of another driver.
    pub(crate) fn attach_driver(
        &self,
        network: &Arc<DriverNetwork>,
        sandbox: &Sandbox,
        request: &AttachRequest,
        mut record: EndpointRecord,
    ) -> Result<EndpointRecord, Error> {
        let mut inside = self.enter(&sandbox.key)?;
        let present = device_names(&mut inside)?;
        let addresses = self.take_addresses(network, &record.endpoint_id, &request.addresses)?;
        record.is_gateway = request.is_gateway && !network.leads_nowhere();
        let place = Place { network, request, inside: &mut inside, present: &present, addresses };
        let taken = place.addresses.clone();
        let done = match &network.settings {
            Settings::Macvlan(lan) => self.plug_lan(lan, place, &mut record),
            Settings::Ipvlan(lan) => self.plug_lan(lan, place, &mut record),
            Settings::Plugin { name } => self.plug_remote(name, sandbox, place, &mut record),
        };
        if let Err(error) = done {
            self.give_addresses(network, &record.endpoint_id, &taken);
            return Err(error);
        }
        if !record.names.is_empty() {
            self.zone.write().unwrap_or_else(PoisonError::into_inner).add(&record);
        }
        Ok(record)
    }

    /// Takes a container off; its namespace may be gone already.
    pub(crate) fn take_off_driver(&self, network: &DriverNetwork, record: &EndpointRecord) -> Result<(), Error> {
        let Some(link) = &record.link else { return Ok(()) };
        if !lock(&self.state).endpoints.contains_key(&record.endpoint_id) {
            return Ok(());
        }
        if !record.names.is_empty() {
            self.zone.write().unwrap_or_else(PoisonError::into_inner).remove(record);
        }
        let parted = match &network.settings {
            Settings::Plugin { name } => {
                self.unplug_remote(name, record);
                Ok(())
            }
            _ => self.unplug_lan(&record.sandbox_key, &link.device),
        };
        self.give_addresses(network, &record.endpoint_id, &link.addresses);
        self.release_leased(record);
        parted
    }

    fn take_addresses(
        &self,
        network: &DriverNetwork,
        endpoint: &EndpointId,
        wanted: &[IpAddr],
    ) -> Result<Vec<LinkAddress>, Error> {
        let mut state = lock(&self.state);
        // A network that is being made or removed has none.
        let pools = state
            .pools
            .get_mut(&network.definition.id)
            .ok_or_else(|| Error::UnknownNetwork(network.definition.name.clone()))?;
        let taken = pools.take(wanted)?;
        state.endpoints.insert(
            endpoint.clone(),
            Endpoint { network: network.definition.id.clone(), published: Vec::new(), linkable: Vec::new() },
        );
        Ok(taken)
    }

    fn give_addresses(&self, network: &DriverNetwork, endpoint: &EndpointId, addresses: &[LinkAddress]) {
        let mut state = lock(&self.state);
        state.endpoints.remove(endpoint);
        if let Some(pools) = state.pools.get_mut(&network.definition.id) {
            pools.release(addresses.iter().map(LinkAddress::ip));
        }
    }

    fn plug_lan<M: Mode + Copy + 'static>(
        &self,
        lan: &LanSettings<M>,
        place: Place<'_>,
        record: &mut EndpointRecord,
    ) -> Result<(), Error> {
        let kind = lan.mode.kind(lan.flag);
        if matches!(kind, Stacked::Ipvlan { .. }) && place.request.mac.is_some() {
            return Err(DriverError::Mac.into());
        }
        let parent = lan.parent.link(&mut lock(&self.route))?;
        let mac = match kind {
            PASSTHRU => place.request.mac.unwrap_or(MacAddress(parent.mac)),
            Stacked::Macvlan(_) => place.request.mac.unwrap_or_else(|| mac_of(&place.addresses, &record.endpoint_id)),
            // Everybody on the parent has its address.
            Stacked::Ipvlan { .. } => MacAddress(parent.mac),
        };
        let link = LinkRecord {
            host_device: String::new(),
            device: place.device(&lan.device_prefix),
            mac,
            addresses: place.addresses.clone(),
        };
        let routed = matches!(kind, Stacked::Ipvlan { mode: 1 | 2, .. });
        let driver = DriverEndpoint { on_link: routed && !place.network.leads_nowhere(), ..DriverEndpoint::default() };
        let making = Making {
            temporary: format!("lan{}", &record.endpoint_id.as_str()[..11]),
            kind,
            parent: parent.index,
            mtu: lan.mtu,
            link: &link,
            link_local: &place.request.link_local,
            default_route: record.is_gateway.then_some(driver.on_link),
        };
        let end = Instant::now() + PATIENCE;
        let index = loop {
            match self.make_child(&making, place.inside) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < end => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                done => break done.map_err(|source| port_error(kind, source))?,
            }
        };
        if parent.operational {
            let failed = |source| Error::Device { device: link.device.clone(), action: "wait for the carrier", source };
            place.inside.socket.wait_operational(&[index], CARRIER_PATIENCE).map_err(failed)?;
        }
        record.link = Some(link);
        record.driver = Some(driver);
        Ok(())
    }

    /// Makes the device inside the container; nothing is left of it on failure.
    fn make_child(&self, making: &Making<'_>, inside: &mut Prepared) -> io::Result<u32> {
        let child = Child {
            name: &making.temporary,
            parent: making.parent,
            namespace: inside.namespace.as_fd(),
            mac: matches!(making.kind, Stacked::Macvlan(_)).then_some(making.link.mac.0),
            mtu: making.mtu,
            kind: making.kind,
        };
        lock(&self.route).add_child(&child)?;
        let made = inside.socket.link(&making.temporary)?.ok_or(io::ErrorKind::NotFound)?;
        let socket = &mut inside.socket;
        let mut configure = || {
            socket.rename(made.index, &making.link.device)?;
            if made.mac != making.link.mac.0 {
                // In mode passthru the kernel begins with the parent's.
                socket.set_mac(made.index, making.link.mac.0)?;
            }
            let nets: Vec<(IpAddr, u8)> =
                making.link.addresses.iter().map(|own| (own.ip(), own.address.prefix_len())).collect();
            socket.configure(made.index, &nets, &[])?;
            for &address in making.link_local {
                let prefix = if address.is_ipv4() { 16 } else { 64 };
                socket.add_address(Address { device: made.index, address, prefix })?;
            }
            match making.default_route {
                Some(on_link) => default_routes(socket, making.link, on_link, made.index, true),
                None => Ok(()),
            }
        };
        if let Err(error) = configure() {
            if let Err(error) = inside.socket.delete_link(made.index) {
                tracing::warn!(device = making.link.device, %error, "cannot remove a half-made device");
            }
            return Err(error);
        }
        Ok(made.index)
    }

    /// Takes the device away at once, and does not wait for the namespace: the next start wants its address.
    fn unplug_lan(&self, sandbox: &Path, device: &str) -> Result<(), Error> {
        // Without the namespace there is no device.
        let Ok(mut inside) = self.enter(sandbox) else { return Ok(()) };
        let failed = |source| Error::Device { device: device.to_owned(), action: "delete", source };
        match inside.socket.link(device).map_err(failed)? {
            // A user may have put something of his own in its place.
            Some(link) if matches!(link.kind.as_str(), "macvlan" | "ipvlan") => {
                or_gone(inside.socket.delete_link(link.index)).map_err(failed)
            }
            _ => Ok(()),
        }
    }
}

/// Where a container is to be put.
pub(super) struct Place<'a> {
    pub(super) network: &'a DriverNetwork,
    pub(super) request: &'a AttachRequest,
    pub(super) inside: &'a mut Prepared,
    /// Devices that are in the namespace.
    pub(super) present: &'a [String],
    pub(super) addresses: Vec<LinkAddress>,
}

impl Place<'_> {
    /// The name that was asked for, or the first free one.
    pub(super) fn device(&self, prefix: &str) -> String {
        let numbered = || (0..).map(|n| format!("{prefix}{n}")).find(|name| !self.present.contains(name));
        self.request.device.clone().or_else(numbered).unwrap_or_default()
    }
}

/// A device to make in a container.
struct Making<'a> {
    /// Its name until it has its own, which a device of the host may have too.
    temporary: String,
    kind: Stacked,
    parent: u32,
    mtu: Option<u32>,
    link: &'a LinkRecord,
    link_local: &'a [IpAddr],
    /// Whether the default route leads to it, and then whether without a gateway.
    default_route: Option<bool>,
}

fn port_error(kind: Stacked, source: io::Error) -> Error {
    let driver = match kind {
        Stacked::Macvlan(_) => "macvlan",
        Stacked::Ipvlan { .. } => "ipvlan",
    };
    if source.raw_os_error() == Some(rustix::io::Errno::OPNOTSUPP.raw_os_error()) {
        return DriverError::NoModule { what: format!("failed to create the {driver} port"), module: driver }.into();
    }
    let hint = match source.kind() {
        io::ErrorKind::AddrInUse => ", because another container on its parent has the address",
        io::ErrorKind::ResourceBusy => ", because its parent carries devices of another kind or is a port of a bridge",
        io::ErrorKind::InvalidInput if driver == "macvlan" => {
            ", because in mode passthru a parent carries one container"
        }
        _ => "",
    };
    DriverError::Port { driver, source, hint }.into()
}
