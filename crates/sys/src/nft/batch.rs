//! One transaction: all of it happens, or nothing.

use super::expression::Expression;
use super::family::Family;
use super::user_data;
use crate::netlink::Message;

pub(super) const SUBSYSTEM: u16 = (libc::NFNL_SUBSYS_NFTABLES as u16) << 8;
/// `NFTA_RULE_HANDLE`.
pub(super) const RULE_HANDLE: u16 = 3;
/// `NFTA_RULE_USERDATA`.
pub(super) const RULE_USER_DATA: u16 = 7;
/// `NFTA_RULE_EXPRESSIONS`, `NFTA_RULE_COMPAT`.
pub(super) const RULE_EXPRESSIONS: u16 = 4;
const RULE_COMPATIBILITY: u16 = 5;

/// Requests about one table, in order.
#[derive(Clone, Debug)]
pub struct Batch<'a> {
    family: Family,
    table: &'a str,
    messages: Vec<Message>,
    /// How many sets and maps it makes.
    pub(super) maps: u32,
}

/// Where a chain sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hook {
    /// Before routing.
    Prerouting,
    /// To this machine.
    Input,
    /// Between two devices.
    Forward,
    /// From this machine.
    Output,
    /// After routing.
    Postrouting,
}

/// A rule as bytes: made by [`RawRule::of`], or read from the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RawRule {
    /// The list of expressions, `NFTA_LIST_ELEM` after `NFTA_LIST_ELEM`.
    pub expressions: Vec<u8>,
    /// Protocol that iptables' extensions are told the rule is about; needed only where one insists.
    pub protocol: Option<u32>,
    /// What the maker stored beside it, see [`super::user_data`]; empty for nothing.
    pub user_data: Vec<u8>,
}

/// Where a rule goes in its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Before all others.
    First,
    /// Behind all others.
    Last,
}

/// What a chain is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChainKind {
    /// Filtering.
    Filter,
    /// Address translation: sees the first packet of each connection.
    Nat,
}

impl<'a> Batch<'a> {
    /// An empty batch for a table.
    #[must_use]
    pub fn new(family: Family, table: &'a str) -> Self {
        // nfgenmsg of the batch frame: family unspecified, resource id = the subsystem.
        let mut begin = Message::new(libc::NFNL_MSG_BATCH_BEGIN as u16, 0);
        begin.raw(&[0, 0, 0, libc::NFNL_SUBSYS_NFTABLES as u8]);
        Self { family, table, messages: vec![begin], maps: 0 }
    }

    /// Appends all of another batch: both happen, or neither.
    pub fn join(&mut self, other: Self) -> &mut Self {
        self.messages.extend(other.messages.into_iter().skip(1));
        self
    }

    /// The family of the table.
    #[must_use]
    pub fn family(&self) -> Family {
        self.family
    }

    /// Nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.len() == 1
    }

    /// Makes the table if it is absent.
    pub fn add_table(&mut self) -> &mut Self {
        self.push(libc::NFT_MSG_NEWTABLE, libc::NLM_F_CREATE, |message, table| {
            message.text(1, table).be32(2, 0);
        })
    }

    /// Deletes the table with all in it.
    pub fn delete_table(&mut self) -> &mut Self {
        self.push(libc::NFT_MSG_DELTABLE, 0, |message, table| {
            message.text(1, table);
        })
    }

    /// Makes a base chain whose packets are accepted at its end.
    pub fn add_chain(&mut self, name: &str, kind: ChainKind, hook: Hook, priority: i32) -> &mut Self {
        self.base_chain(libc::NLM_F_CREATE, name, kind, hook, priority)
    }

    fn base_chain(&mut self, flags: i32, name: &str, kind: ChainKind, hook: Hook, priority: i32) -> &mut Self {
        self.push(libc::NFT_MSG_NEWCHAIN, flags, |message, table| {
            message.text(1, table).text(3, name).nest(4, |place| {
                place.be32(1, hook.number()).be32(2, priority as u32);
            });
            message.be32(5, libc::NF_ACCEPT as u32).text(7, kind.name());
        })
    }

    /// Makes a base chain that must not be there yet: fails with `EEXIST`, so that nobody's policy is changed.
    pub fn add_new_chain(&mut self, name: &str, kind: ChainKind, hook: Hook, priority: i32) -> &mut Self {
        self.base_chain(libc::NLM_F_CREATE | libc::NLM_F_EXCL, name, kind, hook, priority)
    }

    /// Appends a rule to a chain.
    pub fn add_rule(&mut self, chain: &str, rule: &[Expression]) -> &mut Self {
        self.add_raw_rule(chain, &RawRule::of(rule), Place::Last)
    }

    /// Puts a rule before all others of a chain, with a comment.
    pub fn insert_rule(&mut self, chain: &str, rule: &[Expression], comment: &str) -> &mut Self {
        let rule = RawRule { user_data: user_data::comment(comment), ..RawRule::of(rule) };
        self.add_raw_rule(chain, &rule, Place::First)
    }

    /// Deletes a rule by the handle the kernel gave it.
    pub fn delete_rule(&mut self, chain: &str, handle: u64) -> &mut Self {
        self.push(libc::NFT_MSG_DELRULE, 0, |message, table| {
            message.text(1, table).text(2, chain).bytes(RULE_HANDLE, &handle.to_be_bytes());
        })
    }

    /// Makes a chain that packets reach by jumps only; one that is there is fine.
    pub fn add_plain_chain(&mut self, name: &str) -> &mut Self {
        self.push(libc::NFT_MSG_NEWCHAIN, libc::NLM_F_CREATE, |message, table| {
            message.text(1, table).text(3, name);
        })
    }

    /// Adds a rule whose parts are known as bytes.
    pub fn add_raw_rule(&mut self, chain: &str, rule: &RawRule, place: Place) -> &mut Self {
        let append = if place == Place::Last { libc::NLM_F_APPEND } else { 0 };
        self.push(libc::NFT_MSG_NEWRULE, libc::NLM_F_CREATE | append, |message, table| {
            message.text(1, table).text(2, chain).nested_bytes(RULE_EXPRESSIONS, &rule.expressions);
            if let Some(protocol) = rule.protocol {
                message.nest(RULE_COMPATIBILITY, |part| {
                    part.be32(1, protocol).be32(2, 0);
                });
            }
            if !rule.user_data.is_empty() {
                message.bytes(RULE_USER_DATA, &rule.user_data);
            }
        })
    }

    /// What was put in so far, with the frame's beginning.
    pub(super) fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Closes the batch and hands its messages over.
    pub(super) fn finish(mut self) -> Vec<Message> {
        // Asked of the last real request: older kernels do not acknowledge the frame itself.
        if let Some(last) = self.messages.last_mut() {
            last.add_flags(libc::NLM_F_ACK as u16);
        }
        let mut end = Message::new(libc::NFNL_MSG_BATCH_END as u16, 0);
        end.raw(&[0, 0, 0, libc::NFNL_SUBSYS_NFTABLES as u8]);
        self.messages.push(end);
        self.messages
    }

    pub(super) fn push(&mut self, kind: i32, flags: i32, fill: impl FnOnce(&mut Message, &str)) -> &mut Self {
        let mut message = Message::new(SUBSYSTEM | kind as u16, flags as u16);
        message.raw(&[self.family.number(), 0, 0, 0]);
        fill(&mut message, self.table);
        self.messages.push(message);
        self
    }
}

impl RawRule {
    /// The bytes of typed expressions.
    #[must_use]
    pub fn of(expressions: &[Expression]) -> Self {
        let mut list = Message::new(0, 0);
        for expression in expressions {
            expression.encode(&mut list);
        }
        Self { expressions: list.payload().to_vec(), protocol: None, user_data: Vec::new() }
    }
}

impl Hook {
    pub(super) fn from_number(number: u32) -> Option<Self> {
        let all = [Self::Prerouting, Self::Input, Self::Forward, Self::Output, Self::Postrouting];
        all.into_iter().find(|hook| hook.number() == number)
    }

    pub(super) fn number(self) -> u32 {
        let number = match self {
            Self::Prerouting => libc::NF_INET_PRE_ROUTING,
            Self::Input => libc::NF_INET_LOCAL_IN,
            Self::Forward => libc::NF_INET_FORWARD,
            Self::Output => libc::NF_INET_LOCAL_OUT,
            Self::Postrouting => libc::NF_INET_POST_ROUTING,
        };
        number as u32
    }
}

impl ChainKind {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        [Self::Filter, Self::Nat].into_iter().find(|kind| kind.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Nat => "nat",
        }
    }
}
