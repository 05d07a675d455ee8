//! What becomes of a request for a port: on which addresses of the host it is published, and who carries the packets.
//! Pure.

use std::net::{IpAddr, Ipv6Addr};

use crate::bridge::{Bridge, GatewayMode};
use crate::{Error, LinkAddress, NetworkConfig, PortBinding, PortRequest, Protocol};

/// A published port and where it leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) binding: PortBinding,
    pub(crate) container: IpAddr,
    /// The firewall translates.
    pub(crate) kernel: bool,
    /// The relay carries what the kernel does not take.
    pub(crate) relay: bool,
    /// Nothing of the host's: the container's own port is open to the outside.
    pub(crate) routed: bool,
}

/// One request, and what it becomes on each address; the host port is the same on all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) request: PortRequest,
    pub(crate) on: Vec<Published>,
}

/// What carries packets on this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Carriers {
    /// The firewall, for IPv4 and for IPv6.
    kernel: [bool; 2],
    relay: bool,
    /// The machine has IPv6.
    ipv6: bool,
}

impl Carriers {
    pub(crate) fn of(config: &NetworkConfig) -> Self {
        // A machine that has it switched off cannot bind this.
        let ipv6 = std::net::UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
        let kernel = [config.iptables, config.iptables && config.ip6tables];
        Self { kernel, relay: config.userland_proxy, ipv6 }
    }

    /// How a port of the host leads to one of these addresses; `None` when nothing carries it.
    pub(crate) fn carry(self, binding: PortBinding, addresses: &[LinkAddress]) -> Option<Published> {
        let of = |ipv6: bool| addresses.iter().map(LinkAddress::ip).find(|address| address.is_ipv6() == ipv6);
        let ipv6 = binding.host_ip.is_ipv6();
        // The kernel lets `::1` out of no device.
        let own = of(ipv6).filter(|_| self.kernel[usize::from(ipv6)] && !(ipv6 && binding.host_ip.is_loopback()));
        let kernel = own.is_some();
        let relay = self.relay && binding.protocol != Protocol::Sctp && (!kernel || ipv6);
        let container = own.or_else(|| of(ipv6)).or_else(|| if ipv6 { of(false) } else { None })?;
        (kernel || relay).then_some(Published { binding, container, kernel, relay, routed: false })
    }

    /// What a port was that is written down.
    pub(crate) fn restored(self, binding: PortBinding, addresses: &[LinkAddress]) -> Option<Published> {
        if binding.host_port != 0 {
            return self.carry(binding, addresses);
        }
        let own = addresses.iter().map(LinkAddress::ip).find(|own| own.is_ipv6() == binding.host_ip.is_ipv6())?;
        Some(Published { binding, container: own, kernel: false, relay: false, routed: true })
    }

    /// All that these requests become on a bridge, for an endpoint with these addresses.
    pub(crate) fn plan(
        self,
        requests: &[PortRequest],
        bridge: &Bridge,
        addresses: &[LinkAddress],
    ) -> Result<Vec<Wanted>, Error> {
        let one = |request: &PortRequest| {
            let on = self.plan_one(request, bridge, addresses)?;
            Ok(Wanted { request: *request, on })
        };
        requests.iter().map(one).collect()
    }

    fn plan_one(
        self,
        request: &PortRequest,
        bridge: &Bridge,
        addresses: &[LinkAddress],
    ) -> Result<Vec<Published>, Error> {
        let routed = |ipv6: bool| bridge.side(ipv6).is_some_and(|side| side.mode == GatewayMode::Routed);
        let binding = |host_ip| PortBinding {
            container_port: request.container_port,
            protocol: request.protocol,
            host_ip,
            host_port: 0,
        };
        let any = Ipv6Addr::UNSPECIFIED.into();
        let hosts = match request.host_ip {
            Some(address) => vec![address],
            None if bridge.bind_ip.is_ipv4() && bridge.bind_ip.is_unspecified() && self.ipv6 => {
                vec![bridge.bind_ip, any]
            }
            None => vec![bridge.bind_ip],
        };
        let carried = |host: &IpAddr| {
            let binding = binding(*host);
            if routed(host.is_ipv6()) { self.restored(binding, addresses) } else { self.carry(binding, addresses) }
        };
        let on: Vec<Published> = hosts.iter().filter_map(carried).collect();
        if on.is_empty() {
            return Err(Error::CannotPublish(format!("port {}/{}", request.container_port, request.protocol)));
        }
        Ok(on)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::HostPort;
    use crate::bridge::{Outgoing, Side};
    use crate::plan::with_first_host;

    pub(crate) fn bridge(subnets: &[&str], mode: GatewayMode) -> Bridge {
        let side = |net: &&str| {
            let subnet = with_first_host(net.parse().expect("net"));
            Side { subnet, mode, outgoing: Outgoing::Masqueraded, address: subnet.gateway }
        };
        Bridge {
            id: types::NetworkId::from_bytes([2; 32]),
            network: "net".to_owned(),
            name: "br".to_owned(),
            index: 1,
            sides: subnets.iter().map(side).collect(),
            mtu: 1500,
            icc: true,
            isolate: false,
            internal: false,
            bind_ip: Ipv4Addr::UNSPECIFIED.into(),
            device_prefix: "eth".to_owned(),
            pools: vec![],
            trusted: vec![],
        }
    }

    fn planned(carriers: Carriers, subnets: &[&str], host_ip: Option<&str>) -> String {
        let address = |net: &&str| LinkAddress {
            address: net.replace("0/", "2/").replace("::/", "::2/").parse().expect("net"),
            gateway: None,
        };
        let addresses: Vec<LinkAddress> = subnets.iter().map(address).collect();
        let request = PortRequest {
            container_port: 80,
            protocol: Protocol::Tcp,
            host_ip: host_ip.map(|text| text.parse().expect("address")),
            host_port: HostPort::Fixed(8080),
        };
        let bridge = bridge(subnets, GatewayMode::Nat);
        match carriers.plan(&[request], &bridge, &addresses) {
            Err(error) => error.to_string(),
            Ok(wanted) => {
                let shown = |on: &Published| {
                    let by = if on.kernel { "kernel" } else { "" };
                    let and = if on.relay { "relay" } else { "" };
                    format!("{} {} {by}{and}", on.binding.host_ip, on.container)
                };
                wanted[0].on.iter().map(shown).collect::<Vec<_>>().join(", ")
            }
        }
    }

    #[test]
    fn the_kernel_carries_what_it_can_and_the_relay_the_rest() {
        const ALL: Carriers = Carriers { kernel: [true, true], relay: true, ipv6: true };
        let (four, six, both) = (&["10.0.0.0/24"][..], &["fd00::/64"][..], &["10.0.0.0/24", "fd00::/64"][..]);
        assert_eq!(planned(ALL, four, None), "0.0.0.0 10.0.0.2 kernel, :: 10.0.0.2 relay");
        assert_eq!(planned(ALL, both, None), "0.0.0.0 10.0.0.2 kernel, :: fd00::2 kernelrelay");
        assert_eq!(planned(ALL, six, None), ":: fd00::2 kernelrelay");
        assert_eq!(planned(ALL, both, Some("::1")), "::1 fd00::2 relay");
        assert_eq!(planned(ALL, four, Some("127.0.0.1")), "127.0.0.1 10.0.0.2 kernel");
        let alone = Carriers { relay: false, ..ALL };
        assert_eq!(planned(alone, four, None), "0.0.0.0 10.0.0.2 kernel");
        assert!(planned(alone, four, Some("::1")).starts_with("publishing port 80/tcp needs"));
        let relayed = Carriers { kernel: [false, false], ..ALL };
        assert_eq!(planned(relayed, four, None), "0.0.0.0 10.0.0.2 relay, :: 10.0.0.2 relay");
        let old = Carriers { ipv6: false, ..ALL };
        assert_eq!(planned(old, four, None), "0.0.0.0 10.0.0.2 kernel");
    }
}
