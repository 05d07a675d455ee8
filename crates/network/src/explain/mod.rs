//! `firewall explain`: which rule admits or drops a packet to a port of this machine, whoever made the rule.
//!
//! Chains are gone through as the kernel does, with what is known of the packet: where it comes from and goes to. A rule
//! that asks for something else, or has an expression that is not understood here, "may match". Rules of the old
//! iptables backend are out of sight.

mod packet;
mod walk;
mod words;

use std::net::{IpAddr, Ipv4Addr};

use sys::nft::Hook;

use crate::network::lock;
use crate::observe::Observed;
use crate::{Error, Network, Protocol};
use packet::Packet;
pub use walk::Passage;
use walk::{Stage, Walk};

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// Port of this machine.
    pub port: u16,
    /// Protocol.
    pub protocol: Protocol,
    /// Where the packet comes from; `None` for anybody behind the default route.
    pub from: Option<IpAddr>,
    /// Which address of this machine it is for; `None` chooses one.
    pub to: Option<IpAddr>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Address of this machine.
    pub to: IpAddr,
    /// The device that it comes in by; `None` from this machine itself.
    pub input: Option<String>,
    /// The container's address and port, when the port is published.
    pub container: Option<(IpAddr, u16)>,
    /// `admitted` or `dropped`.
    pub verdict: &'static str,
    /// A rule that is not understood may have another opinion.
    pub doubtful: bool,
    /// The rules that say something about it, in order.
    pub passages: Vec<Passage>,
}

impl Network {
    /// Follows the first packet of a connection through all rules of this machine.
    pub fn explain(&self, question: Question) -> Result<Explanation, Error> {
        let Some(firewall) = &self.firewall else { return Err(Error::NoFirewall) };
        let observed = Observed::read(&mut lock(&self.route))?;
        let input = self.input(&observed, question.from);
        let to = question.to.unwrap_or_else(|| own_address(&observed, input.as_deref(), question.from));
        let mut packet = Packet {
            input: input.clone(),
            output: None,
            from: question.from.or_else(|| input.is_none().then_some(to)),
            to,
            protocol: question.protocol.number(),
            port: question.port,
            translated: false,
            priority: 0,
        };
        let mut firewall = lock(firewall);
        let table = firewall.table.clone();
        let failed = |source| Error::Firewall { table: table.clone(), source };
        let mut walk = Walk::read(&mut firewall.socket).map_err(failed)?;
        let first = if input.is_some() { Hook::Prerouting } else { Hook::Output };
        let mut stage = walk.hook(first, &mut packet).map_err(failed)?;
        if stage == Stage::Through {
            packet.output = self.bridge_of(packet.to);
            match (packet.translated, &packet.output) {
                (true, Some(_)) if input.is_some() => stage = walk.hook(Hook::Forward, &mut packet).map_err(failed)?,
                (true, Some(_)) => {}
                _ => stage = walk.hook(Hook::Input, &mut packet).map_err(failed)?,
            }
        }
        let container = packet.output.is_some() && packet.translated;
        Ok(Explanation {
            to,
            input,
            container: container.then_some((packet.to, packet.port)),
            verdict: if stage == Stage::Dropped { "dropped" } else { "admitted" },
            doubtful: walk.doubtful,
            passages: walk.passages,
        })
    }

    /// The device that packets from an address come in by; `None` for an address of this machine.
    fn input(&self, observed: &Observed, from: Option<IpAddr>) -> Option<String> {
        let Some(from) = from else {
            let default = observed.routes.iter().filter(|route| route.prefix == 0).min_by_key(|route| route.metric);
            let device = default.map(|route| route.device);
            let up = observed.links.iter().find(|link| match device {
                Some(device) => link.index == device,
                None => link.up && link.name != "lo" && self.bridges().all().all(|bridge| bridge.name != link.name),
            });
            return Some(up.map_or_else(|| "?".to_owned(), |link| link.name.clone()));
        };
        if from.is_loopback() || observed.addresses.iter().any(|own| own.address == from) {
            return None;
        }
        let fits = |(network, prefix): (IpAddr, u8)| {
            ipnet::IpNet::new(network, prefix).is_ok_and(|net| net.contains(&from)).then_some(prefix)
        };
        let routes = observed.routes.iter().filter_map(|route| {
            let prefix = fits((route.destination, route.prefix))?;
            Some((prefix, route.device))
        });
        let near = observed.addresses.iter().filter_map(|own| Some((fits((own.address, own.prefix))?, own.device)));
        let device = routes.chain(near).max_by_key(|(prefix, _)| *prefix).map(|(_, device)| device)?;
        let link = observed.links.iter().find(|link| link.index == device);
        Some(link.map_or_else(|| "?".to_owned(), |link| link.name.clone()))
    }

    fn bridge_of(&self, address: IpAddr) -> Option<String> {
        let bridges = self.bridges();
        let has = |bridge: &&std::sync::Arc<crate::bridge::Bridge>| {
            bridge.sides.iter().any(|side| side.subnet.net.contains(&address) && side.address != Some(address))
        };
        bridges.all().find(has).map(|bridge| bridge.name.clone())
    }
}

/// The machine's address on a device, of the family of who asks.
fn own_address(observed: &Observed, input: Option<&str>, from: Option<IpAddr>) -> IpAddr {
    let device = input.and_then(|name| observed.link(name)).map(|link| link.index);
    let fits = |own: IpAddr| from.is_none_or(|from| from.is_ipv4() == own.is_ipv4());
    let own = observed.addresses.iter().find(|own| Some(own.device) == device && fits(own.address));
    own.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |own| own.address)
}
