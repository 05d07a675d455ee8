//! The daemon's own nf_tables table, of both families: chains that never change, sets with an element for each bridge,
//! and maps with one element for each published port.
//!
//! | chain | what it does |
//! | --- | --- |
//! | `guard` | containers cannot reach the host's loopback, although the bridge routes it |
//! | `prerouting`, `output` | published ports go to their container, from outside and from this machine |
//! | `postrouting` | subnets are masqueraded to the outside, to a bridge when it came by a published port, and so is loopback |
//! | `judged`, `unjudged` | with `publish-policy` `host-firewall` only: published ports are shut to whom the host's own input rules do not let in |
//! | `segments` | TCP segments fit the MTU of the way they take |
//! | `forward` | from outside, and from one bridge to another, only answers and published ports come in; nothing leaves an internal network |
//!
//! Other tables of the machine still see the packets, and a drop there wins over an accept here: see `forward_chain`.

mod chains;
mod sets;

use std::io;

use sys::nft::{Batch, Family, NftSocket};

use crate::Error;
use crate::bridge::Side;
use crate::linked::Linked;
use crate::publish::Published;
use sets::{Elements, elements};

pub(crate) use chains::{PENDING, Policy, device};

/// Which packets the table sees.
pub(crate) const FAMILY: Family = Family::Inet;

/// What the table has to know of a bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BridgeRules {
    pub(crate) device: String,
    pub(crate) sides: Vec<Side>,
    /// Containers may talk to each other.
    pub(crate) icc: bool,
    /// No way to the outside.
    pub(crate) internal: bool,
    /// Devices of the host from where every port of the containers may be reached.
    pub(crate) trusted: Vec<String>,
}

/// Everything that the table has to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) bridges: Vec<BridgeRules>,
    pub(crate) published: Vec<Published>,
    pub(crate) linked: Vec<Linked>,
}

/// The table in the kernel.
#[derive(Debug)]
pub(crate) struct Firewall {
    pub(crate) socket: NftSocket,
    pub(crate) table: String,
    pub(crate) policy: Policy,
}

impl Firewall {
    pub(crate) fn open(table: String, policy: Policy) -> Result<Self, Error> {
        match NftSocket::open() {
            Ok(socket) => Ok(Self { socket, table, policy }),
            Err(source) => Err(Error::Firewall { table, source }),
        }
    }

    /// Deletes a table that a daemon with other settings left; none, and a kernel without the like, is fine.
    pub(crate) fn forget(table: &str) {
        let Ok(mut socket) = NftSocket::open() else { return };
        for family in [Family::Inet, Family::Ipv4] {
            let mut batch = Batch::new(family, table);
            batch.delete_table();
            match socket.send(batch) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(table, %error, "a firewall table of an earlier daemon stays");
                }
                _ => {}
            }
        }
    }

    /// Replaces the whole table in one transaction.
    pub(crate) fn render(&mut self, model: &Model) -> Result<(), Error> {
        let table = self.table.clone();
        let sent = self.socket.send(whole(&table, self.policy, model));
        self.name(sent)
    }

    /// Takes a bridge in. `false` as for [`Self::add`].
    pub(crate) fn add_bridge(&mut self, bridge: &BridgeRules) -> Result<bool, Error> {
        let mut batch = Batch::new(FAMILY, &self.table);
        add_bridge(&mut batch, bridge);
        let sent = self.socket.send(batch);
        self.found(sent)
    }

    /// Forgets a bridge. `false` as for [`Self::add`].
    pub(crate) fn remove_bridge(&mut self, bridge: &BridgeRules) -> Result<bool, Error> {
        let mut batch = Batch::new(FAMILY, &self.table);
        let Elements { names, intervals, mapped } = elements(bridge);
        for (set, key) in names {
            batch.delete_elements(set, &[key]);
        }
        for (set, interval) in intervals.into_iter().chain(mapped.into_iter().map(|(map, key, _)| (map, key))) {
            batch.delete_intervals(set, &[interval]);
        }
        let sent = self.socket.send(batch);
        self.found(sent)
    }

    /// Publishes ports. `false`: the table is not what it was, somebody flushed it; render it again.
    pub(crate) fn add(&mut self, published: &[Published]) -> Result<bool, Error> {
        let mut batch = Batch::new(FAMILY, &self.table);
        add_published(&mut batch, published, self.policy.direct);
        let sent = self.socket.send(batch);
        self.found(sent)
    }

    /// Takes ports back. `false` as for [`Self::add`].
    pub(crate) fn remove(&mut self, published: &[Published]) -> Result<bool, Error> {
        let mut batch = Batch::new(FAMILY, &self.table);
        for (set, pairs, keys) in sets::ports(published, self.policy.direct) {
            let keys: Vec<_> = pairs.into_iter().map(|(key, _)| key).chain(keys).collect();
            batch.delete_elements(set, &keys);
        }
        let sent = self.socket.send(batch);
        self.found(sent)
    }

    /// Opens and closes what links lead to. `false` as for [`Self::add`].
    pub(crate) fn change_linked(&mut self, added: &[Linked], removed: &[Linked]) -> Result<bool, Error> {
        let mut batch = Batch::new(FAMILY, &self.table);
        for (set, keys) in sets::linked(removed) {
            batch.delete_elements(set, &keys);
        }
        for (set, keys) in sets::linked(added) {
            batch.add_members(set, &keys);
        }
        let sent = self.socket.send(batch);
        self.found(sent)
    }

    fn found(&self, sent: io::Result<()>) -> Result<bool, Error> {
        match sent {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists) => Ok(false),
            sent => self.name(sent).map(|()| true),
        }
    }

    pub(crate) fn name<T>(&self, sent: io::Result<T>) -> Result<T, Error> {
        sent.map_err(|source| Error::Firewall { table: self.table.clone(), source })
    }
}

/// The whole table, in place of the one that is there.
pub(crate) fn whole<'a>(table: &'a str, policy: Policy, model: &Model) -> Batch<'a> {
    let mut batch = Batch::new(FAMILY, table);
    // Adding first makes the deletion valid when there was none.
    batch.add_table().delete_table().add_table();
    sets::add_all(&mut batch);
    chains::add_all(&mut batch, policy);
    for bridge in &model.bridges {
        add_bridge(&mut batch, bridge);
    }
    add_published(&mut batch, &model.published, policy.direct);
    for (set, keys) in sets::linked(&model.linked) {
        batch.add_members(set, &keys);
    }
    batch
}

fn add_bridge(batch: &mut Batch<'_>, bridge: &BridgeRules) {
    let Elements { names, intervals, mapped } = elements(bridge);
    for (set, key) in names {
        batch.add_members(set, &[key]);
    }
    for (set, interval) in intervals {
        batch.add_intervals(set, &[interval]);
    }
    for (map, interval, value) in mapped {
        batch.add_mapped_intervals(map, &[(interval, value)]);
    }
}

fn add_published(batch: &mut Batch<'_>, published: &[Published], direct: bool) {
    for (set, pairs, keys) in sets::ports(published, direct) {
        batch.add_elements(set, &pairs);
        batch.add_members(set, &keys);
    }
}
