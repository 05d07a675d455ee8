//! Comparing our own table with what it should be.

use sys::nft::Family;

use crate::bridge::{Bridge, Outgoing, Side};
use crate::bridges::Bridges;
use crate::firewall::{FAMILY, Firewall, Model, whole};
use crate::network::lock;
use crate::{Error, Network};

use super::user_chain;
use super::view::{Seen, Subnet};

impl Firewall {
    /// The table's name, and the port of the socket that changes it.
    pub(super) fn identity(&self) -> Result<(String, u32), Error> {
        let port = self.name(self.socket.port())?;
        Ok((self.table.clone(), port))
    }

    /// What is wrong with the table, one line each.
    pub(crate) fn differences(&mut self, model: &Model) -> Result<Vec<String>, Error> {
        let found = self.socket.content(FAMILY, &self.table);
        let wanted = whole(&self.table, self.policy, model).content();
        Ok(match self.name(found)? {
            None => vec!["the table was gone".to_owned()],
            Some(content) => content.differences(&wanted),
        })
    }
}

impl Network {
    /// Renders the firewall table again when it is not what it should be. Returns what was wrong, one line each.
    pub(crate) fn repair_table(&self) -> Result<Vec<String>, Error> {
        let Some(firewall) = &self.firewall else { return Ok(Vec::new()) };
        let mut firewall = lock(firewall);
        let model = self.model();
        if model.bridges.is_empty() {
            // It is made with the first bridge.
            return Ok(Vec::new());
        }
        let found = firewall.differences(&model)?;
        if !found.is_empty() {
            firewall.render(&model)?;
        }
        Ok(found)
    }

    /// Everything that the table has to know.
    pub(crate) fn model(&self) -> Model {
        let bridges = self.bridges().rules();
        let state = lock(&self.state);
        Model { bridges, published: state.published(), linked: state.linked.clone() }
    }

    /// Makes `DOCKER-USER` and the jump to it where they are missing; returns the families where they were.
    pub(crate) fn iptables_without_jump(&self) -> Result<Vec<&'static str>, Error> {
        let Some(firewall) = &self.firewall else { return Ok(Vec::new()) };
        let mut firewall = lock(firewall);
        let mut made = Vec::new();
        for family in self.iptables_families() {
            let done = user_chain::ensure(&mut firewall.socket, family, false);
            if firewall.name(done)? {
                made.push(family.as_str());
            }
        }
        Ok(made)
    }

    /// The families that iptables has tables for, as far as this daemon has to do with them.
    pub(super) fn iptables_families(&self) -> Vec<Family> {
        let wanted = [(Family::Ipv4, true), (Family::Ipv6, self.config.ip6tables)];
        let wanted = wanted.into_iter().filter(|(_, wanted)| *wanted && self.firewall.is_some());
        wanted.map(|(family, _)| family).collect()
    }

    /// What iptables is to show.
    pub(super) fn iptables_view(&self) -> Seen {
        let bridges = self.bridges();
        let (published, networks) = {
            let state = lock(&self.state);
            let published = state.endpoints.values().flat_map(|endpoint| {
                let bridge = bridges.all().find(|bridge| bridge.id == endpoint.network);
                let device = bridge.map(|bridge| bridge.name.clone());
                endpoint
                    .published
                    .iter()
                    .filter(|one| one.kernel)
                    .filter_map(move |published| Some((device.clone()?, *published)))
            });
            (published.collect(), subnets(&bridges))
        };
        Seen { published, subnets: networks }
    }
}

fn subnets(bridges: &Bridges) -> Vec<Subnet> {
    let open = bridges.all().filter(|bridge| !bridge.internal);
    let subnet = |bridge: &Bridge, side: &Side| {
        let source = match side.outgoing {
            Outgoing::Kept => return None,
            Outgoing::Masqueraded => None,
            Outgoing::Replaced(address) => Some(address),
        };
        Some(Subnet { device: bridge.name.clone(), net: side.subnet.net, source })
    };
    open.flat_map(|bridge| bridge.sides.iter().filter_map(move |side| subnet(bridge, side))).collect()
}
