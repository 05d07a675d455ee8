//! Reading what is in the kernel: everybody's chains, rules and sets.

use std::io;

use super::batch::{ChainKind, Hook, RULE_EXPRESSIONS, RULE_HANDLE, RULE_USER_DATA, RawRule, SUBSYSTEM};
use super::family::Family;
use super::socket::NftSocket;
use super::user_data;
use crate::netlink::{Attribute, Message, Reply, attributes};

/// Bytes of `struct nfgenmsg`.
pub(super) const NFGENMSG: usize = 4;

/// One chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Family of its table.
    pub family: Family,
    /// Its table.
    pub table: String,
    /// Name.
    pub name: String,
    /// Where packets enter it; `None` for one that is only jumped to.
    pub base: Option<BaseChain>,
}

/// What a chain has that packets enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BaseChain {
    /// Where it sits.
    pub hook: Hook,
    /// Lower ones see packets first.
    pub priority: i32,
    /// What it is for; `None` for chains that reroute.
    pub kind: Option<ChainKind>,
    /// What reaches its end vanishes.
    pub drops: bool,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Family of its table.
    pub family: Family,
    /// Its table.
    pub table: String,
    /// Its chain.
    pub chain: String,
    /// The kernel's number for it.
    pub handle: u64,
    /// What it does.
    pub raw: RawRule,
}

/// One set or map, as the kernel describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// Family of its table.
    pub family: Family,
    /// Its table.
    pub table: String,
    /// Name; the kernel chose it when the set is anonymous.
    pub name: String,
    /// `NFT_SET_*`.
    pub flags: u32,
    /// Type of the key, which only tells how to print it, and its bytes.
    pub key: (u32, u32),
    /// The same of a map's values.
    pub value: Option<(u32, u32)>,
    /// All attributes, as bytes.
    pub attributes: Vec<u8>,
}

/// One element of a set or a map.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Element {
    /// Key, or the first one of an interval.
    pub key: Vec<u8>,
    /// The last key, where element and end are one (sets of concatenated intervals).
    pub last: Option<Vec<u8>>,
    /// The value of a map as attributes (`NFTA_DATA_*`); empty for a set.
    pub value: Vec<u8>,
    /// It is the first key behind an interval.
    pub end: bool,
    /// It stands for all keys that no other element has.
    pub catchall: bool,
    /// All attributes, as bytes.
    pub attributes: Vec<u8>,
}

impl Rule {
    /// What its maker wrote beside it for people to read.
    #[must_use]
    pub fn comment(&self) -> Option<&str> {
        user_data::comment_of(&self.raw.user_data)
    }
}

impl NftSocket {
    /// The chains of all tables of IPv4, IPv6 and both.
    pub fn chains(&mut self) -> io::Result<Vec<Chain>> {
        let mut chains = Vec::new();
        self.0.dump_each(request(libc::NFT_MSG_GETCHAIN, 0), |reply| chains.extend(chain(&reply)))?;
        Ok(chains)
    }

    /// Rules in their order within each chain: of all tables, of one, or of one chain (family, table, chain). One that
    /// is not there has none.
    pub fn rules(&mut self, of: Option<(Family, &str, Option<&str>)>) -> io::Result<Vec<Rule>> {
        let mut message = request(libc::NFT_MSG_GETRULE, of.map_or(0, |(family, ..)| family.number()));
        if let Some((_, table, chain)) = of {
            message.text(1, table);
            if let Some(chain) = chain {
                message.text(2, chain);
            }
        }
        let mut rules = Vec::new();
        match self.0.dump_each(message, |reply| rules.extend(rule(&reply))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            listed => listed.map(|()| rules),
        }
    }

    /// The sets and maps of a table, anonymous ones included. A table that is not there has none.
    pub fn sets(&mut self, family: Family, table: &str) -> io::Result<Vec<Set>> {
        let mut message = request(libc::NFT_MSG_GETSET, family.number());
        message.text(1, table);
        let mut sets = Vec::new();
        match self.0.dump_each(message, |reply| sets.extend(set(&reply))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            listed => listed.map(|()| sets),
        }
    }

    /// The elements of a set or a map.
    pub fn elements(&mut self, family: Family, table: &str, set: &str) -> io::Result<Vec<Element>> {
        let mut message = request(libc::NFT_MSG_GETSETELEM, family.number());
        message.text(1, table).text(2, set);
        let mut elements = Vec::new();
        self.0.dump_each(message, |reply| {
            let lists = body(&reply).filter(|attribute| attribute.kind == 3);
            elements.extend(lists.flat_map(|list| list.nested().map(|one| element(one.payload)).collect::<Vec<_>>()));
        })?;
        Ok(elements)
    }
}

fn request(kind: i32, family: u8) -> Message {
    let mut message = Message::new(SUBSYSTEM | kind as u16, 0);
    message.raw(&[family, 0, 0, 0]);
    message
}

pub(super) fn body(reply: &Reply) -> impl Iterator<Item = Attribute<'_>> {
    attributes(reply.body.get(NFGENMSG..).unwrap_or(&[]))
}

fn family(reply: &Reply) -> Option<Family> {
    reply.body.first().copied().and_then(Family::from_number)
}

fn chain(reply: &Reply) -> Option<Chain> {
    let mut chain = Chain { family: family(reply)?, table: String::new(), name: String::new(), base: None };
    let (mut place, mut kind, mut drops) = (None, None, false);
    for attribute in body(reply) {
        match attribute.kind {
            1 => chain.table = attribute.text(),
            3 => chain.name = attribute.text(),
            4 => {
                let number = |wanted| attribute.nested().find(|part| part.kind == wanted).and_then(|part| part.be32());
                place = number(1).and_then(Hook::from_number).zip(number(2));
            }
            5 => drops = attribute.be32() == Some(libc::NF_DROP as u32),
            7 => kind = ChainKind::from_name(&attribute.text()),
            _ => {}
        }
    }
    chain.base = place.map(|(hook, priority)| BaseChain { hook, priority: priority as i32, kind, drops });
    Some(chain)
}

fn rule(reply: &Reply) -> Option<Rule> {
    let mut rule =
        Rule { family: family(reply)?, table: String::new(), chain: String::new(), handle: 0, raw: RawRule::default() };
    for attribute in body(reply) {
        match attribute.kind {
            1 => rule.table = attribute.text(),
            2 => rule.chain = attribute.text(),
            RULE_HANDLE => rule.handle = attribute.be64().unwrap_or_default(),
            RULE_EXPRESSIONS => rule.raw.expressions = attribute.payload.to_vec(),
            RULE_USER_DATA => rule.raw.user_data = attribute.payload.to_vec(),
            _ => {}
        }
    }
    Some(rule)
}

fn set(reply: &Reply) -> Option<Set> {
    let mut set = Set {
        family: family(reply)?,
        table: String::new(),
        name: String::new(),
        flags: 0,
        key: (0, 0),
        value: None,
        attributes: reply.body.get(NFGENMSG..)?.to_vec(),
    };
    let mut value = (None, None);
    for attribute in body(reply) {
        match attribute.kind {
            1 => set.table = attribute.text(),
            2 => set.name = attribute.text(),
            3 => set.flags = attribute.be32().unwrap_or_default(),
            4 => set.key.0 = attribute.be32().unwrap_or_default(),
            5 => set.key.1 = attribute.be32().unwrap_or_default(),
            6 => value.0 = attribute.be32(),
            7 => value.1 = attribute.be32(),
            _ => {}
        }
    }
    set.value = value.0.map(|kind| (kind, value.1.unwrap_or_default()));
    Some(set)
}

pub(super) fn element(bytes: &[u8]) -> Element {
    let mut element = Element {
        key: Vec::new(),
        last: None,
        value: Vec::new(),
        end: false,
        catchall: false,
        attributes: bytes.to_vec(),
    };
    let value = |attribute: Attribute<'_>| attribute.nested().next().map(|data| data.payload.to_vec());
    for attribute in attributes(bytes) {
        match attribute.kind {
            1 => element.key = value(attribute).unwrap_or_default(),
            2 => element.value = attribute.payload.to_vec(),
            3 => {
                let flags = attribute.be32().unwrap_or_default();
                (element.end, element.catchall) = (flags & 1 != 0, flags & 2 != 0);
            }
            10 => element.last = value(attribute),
            _ => {}
        }
    }
    element
}
