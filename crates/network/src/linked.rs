//! What links open between containers of a bridge whose containers may not talk to each other (`--icc=false`).

use std::net::IpAddr;

use types::EndpointId;

use crate::network::{Network, State, lock};
use crate::{EndpointRecord, Error, LinkRecord, Protocol};

/// A port that a container may reach at another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkPermit {
    /// Address of the other container.
    pub to: IpAddr,
    /// Protocol.
    pub protocol: Protocol,
    /// Port.
    pub port: u16,
}

/// A permit, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Linked {
    pub(crate) endpoint: EndpointId,
    pub(crate) from: IpAddr,
    pub(crate) permit: LinkPermit,
}

impl Network {
    /// Lets an endpoint reach these ports of others, and no longer those that it was let before. Nothing has to be done
    /// where containers may talk to each other anyway.
    ///
    /// The bridge must show its frames to the firewall (`br_netfilter`); otherwise it keeps all ports apart, and this is
    /// logged. An endpoint that is being taken off, on either side, is passed over.
    pub fn permit_links(&self, record: &EndpointRecord, permits: &[LinkPermit]) -> Result<(), Error> {
        let Some(link) = &record.link else { return Ok(()) };
        let (icc, isolate) = {
            let bridges = self.bridges();
            let bridge = bridges.all().find(|bridge| bridge.id == record.network_id);
            bridge.map_or((true, false), |bridge| (bridge.icc, bridge.isolate))
        };
        if icc || self.firewall.is_none() {
            return Ok(());
        }
        if isolate && !permits.is_empty() {
            tracing::warn!(
                container = record.container_id.short(),
                "links cannot be opened while containers may not talk to each other: load the kernel module br_netfilter and start the daemon again"
            );
        }
        let mut wanted = Vec::new();
        for permit in permits {
            let own = link.ips().filter(|own| own.is_ipv4() == permit.to.is_ipv4());
            wanted.extend(own.map(|from| Linked { endpoint: record.endpoint_id.clone(), from, permit: *permit }));
        }
        wanted.sort();
        wanted.dedup();
        let (added, removed) = lock(&self.state).replace_linked(&record.endpoint_id, wanted);
        if added.is_empty() && removed.is_empty() {
            return Ok(());
        }
        self.change_table(|firewall| firewall.change_linked(&added, &removed))
    }

    /// Forgets what an endpoint was let, and what others were let there: its addresses will be another's.
    pub(crate) fn forget_linked(&self, record: &EndpointRecord) -> Result<(), Error> {
        let own: Vec<IpAddr> = record.link.iter().flat_map(LinkRecord::ips).collect();
        let removed = {
            let mut state = lock(&self.state);
            if let Some(endpoint) = state.endpoints.get_mut(&record.endpoint_id) {
                endpoint.linkable.clear();
            }
            let theirs = |one: &Linked| one.endpoint == record.endpoint_id || own.contains(&one.permit.to);
            let (removed, kept) = std::mem::take(&mut state.linked).into_iter().partition(theirs);
            state.linked = kept;
            removed
        };
        let removed: Vec<Linked> = removed;
        if removed.is_empty() { Ok(()) } else { self.change_table(|firewall| firewall.change_linked(&[], &removed)) }
    }
}

impl State {
    /// Returns what has come and what has gone.
    fn replace_linked(&mut self, endpoint: &EndpointId, mut wanted: Vec<Linked>) -> (Vec<Linked>, Vec<Linked>) {
        let own: Vec<IpAddr> = self.endpoints.get(endpoint).map(|own| own.linkable.clone()).unwrap_or_default();
        let stays = |to: &IpAddr| self.endpoints.values().any(|other| other.linkable.contains(to));
        wanted.retain(|one| own.contains(&one.from) && stays(&one.permit.to));
        let (before, mut others): (Vec<Linked>, Vec<Linked>) =
            std::mem::take(&mut self.linked).into_iter().partition(|one| one.endpoint == *endpoint);
        let added = wanted.iter().filter(|one| !before.contains(one)).cloned().collect();
        let removed = before.into_iter().filter(|one| !wanted.contains(one)).collect();
        others.extend(wanted);
        self.linked = others;
        (added, removed)
    }
}
