//! What a rule says, read back from the kernel's expressions.
//!
//! Source: the `NFTA_*` enumerations of `linux/netfilter/nf_tables.h`.

use super::batch::RawRule;
use crate::netlink::{Attribute, attributes};

/// One step of somebody's rule. Registers are counted in bytes from the first one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Loads into a register.
    Load {
        /// What.
        source: Source,
        /// Where to.
        register: usize,
    },
    /// `register = (register & mask) ^ toggle`.
    Mask {
        /// Where from.
        from: usize,
        /// Where to.
        to: usize,
        /// Bits that stay.
        mask: Vec<u8>,
        /// Bits that are turned round.
        toggle: Vec<u8>,
    },
    /// Goes on when the comparison holds: 0 `==`, 1 `!=`, 2 `<`, 3 `<=`, 4 `>`, 5 `>=`.
    Compare {
        /// Left side.
        register: usize,
        /// Which.
        operator: u32,
        /// Right side.
        data: Vec<u8>,
    },
    /// Goes on when the register is within the bounds, or not when inverted.
    Range {
        /// Which register.
        register: usize,
        /// Turned round.
        inverted: bool,
        /// Lowest.
        from: Vec<u8>,
        /// Highest.
        to: Vec<u8>,
    },
    /// Goes on when the key is in the set, or not when inverted; the value of a map goes to a register.
    Lookup {
        /// Name.
        set: String,
        /// Where the key begins.
        key: usize,
        /// Where the value goes; `Some(None)` takes it as the verdict.
        value: Option<Option<usize>>,
        /// Turned round.
        inverted: bool,
    },
    /// Loads bytes.
    Value {
        /// Where to.
        register: usize,
        /// Bytes.
        data: Vec<u8>,
    },
    /// Ends the rule.
    Verdict(Outcome),
    /// Refuses the packet and says so.
    Reject,
    /// Rewrites an address; `true` the destination.
    Translate {
        /// Destination, not source.
        destination: bool,
        /// Register with the address.
        address: Option<usize>,
        /// Register with the port.
        port: Option<usize>,
    },
    /// Sets the packet's priority for traffic control.
    SetPriority {
        /// From.
        register: usize,
    },
    /// Counts, logs, marks: the packet goes on.
    Passes,
    /// A match of iptables.
    Match(String, Vec<u8>),
    /// A target of iptables.
    Target(String, Vec<u8>),
    /// Something else, by the kernel's name.
    Other(String),
}

/// What a value is loaded from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A part of a header: 0 link, 1 network, 2 transport; offset and length in bytes.
    Payload(u32, u32, u32),
    /// `NFT_META_*`.
    Meta(u32),
    /// `NFT_CT_*`.
    Connection(u32),
    /// Result and flags of a look into the routing table.
    Route(u32, u32),
}

/// Where a packet goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Past this base chain.
    Accept,
    /// Away.
    Drop,
    /// Back to the chain that jumped here.
    Return,
    /// To the next rule.
    Continue,
    /// To another chain, and back.
    Jump(String),
    /// To another chain.
    Goto(String),
    /// To a program.
    Queue,
}

/// The steps of a rule.
#[must_use]
pub fn steps(rule: &RawRule) -> Vec<Step> {
    attributes(&rule.expressions).filter(|element| element.kind == 1).map(|element| step(&element)).collect()
}

/// The verdict in `NFTA_DATA_*` attributes.
#[must_use]
pub fn verdict(data: &[u8]) -> Option<Outcome> {
    let verdict = attributes(data).find(|attribute| attribute.kind == 2)?;
    let code = verdict.nested().find(|part| part.kind == 1)?.be32()? as i32;
    let chain = verdict.nested().find(|part| part.kind == 2).map(|part| part.text()).unwrap_or_default();
    Some(match code {
        libc::NF_ACCEPT => Outcome::Accept,
        libc::NF_DROP => Outcome::Drop,
        libc::NFT_JUMP => Outcome::Jump(chain),
        libc::NFT_GOTO => Outcome::Goto(chain),
        libc::NFT_RETURN => Outcome::Return,
        libc::NFT_CONTINUE => Outcome::Continue,
        libc::NF_QUEUE => Outcome::Queue,
        _ => return None,
    })
}

pub(super) fn step(element: &Attribute<'_>) -> Step {
    let name = element.nested().find(|part| part.kind == 1).map(|part| part.text()).unwrap_or_default();
    let data = element.nested().find(|part| part.kind == 2).map_or(&[][..], |part| part.payload);
    known(&name, &Parts(data)).unwrap_or(Step::Other(name))
}

/// The attributes of one expression.
struct Parts<'a>(&'a [u8]);

impl Parts<'_> {
    fn find(&self, kind: u16) -> Option<Attribute<'_>> {
        attributes(self.0).find(|attribute| attribute.kind == kind)
    }

    fn number(&self, kind: u16) -> Option<u32> {
        self.find(kind)?.be32()
    }

    fn register(&self, kind: u16) -> Option<usize> {
        bytes_of_register(self.number(kind)?)
    }

    fn text(&self, kind: u16) -> Option<String> {
        Some(self.find(kind)?.text())
    }

    /// The bytes of a nested value.
    fn value(&self, kind: u16) -> Option<Vec<u8>> {
        Some(self.find(kind)?.nested().find(|part| part.kind == 1)?.payload.to_vec())
    }
}

/// Registers 1 to 4 have 16 bytes, those from 8 on four of the same bytes.
fn bytes_of_register(number: u32) -> Option<usize> {
    match number {
        1..=4 => Some((number as usize - 1) * 16),
        8..=23 => Some((number as usize - 8) * 4),
        _ => None,
    }
}

fn known(name: &str, parts: &Parts<'_>) -> Option<Step> {
    let load = |source, register| Some(Step::Load { source, register });
    match name {
        "payload" => load(Source::Payload(parts.number(2)?, parts.number(3)?, parts.number(4)?), parts.register(1)?),
        "meta" if parts.find(1).is_some() => load(Source::Meta(parts.number(2)?), parts.register(1)?),
        "ct" if parts.find(1).is_some() => load(Source::Connection(parts.number(2)?), parts.register(1)?),
        "fib" => load(Source::Route(parts.number(2)?, parts.number(3)?), parts.register(1)?),
        "meta" if parts.number(2)? == libc::NFT_META_PRIORITY as u32 => {
            Some(Step::SetPriority { register: parts.register(3)? })
        }
        // Those without a destination set a mark.
        "meta" | "ct" | "counter" | "log" | "notrack" | "flow_offload" | "quota" | "last" => Some(Step::Passes),
        // Only the logical operation; shifts came later and say so in attribute 6.
        "bitwise" if parts.number(6).unwrap_or(0) == 0 => Some(Step::Mask {
            from: parts.register(1)?,
            to: parts.register(2)?,
            mask: parts.value(4)?,
            toggle: parts.value(5)?,
        }),
        "cmp" => {
            Some(Step::Compare { register: parts.register(1)?, operator: parts.number(2)?, data: parts.value(3)? })
        }
        "range" => Some(Step::Range {
            register: parts.register(1)?,
            inverted: parts.number(2)? == 1,
            from: parts.value(3)?,
            to: parts.value(4)?,
        }),
        "lookup" => Some(Step::Lookup {
            set: parts.text(1)?,
            key: parts.register(2)?,
            value: parts.number(3).map(bytes_of_register),
            inverted: parts.number(5).unwrap_or(0) & 1 != 0,
        }),
        "immediate" => match parts.number(1)? {
            0 => Some(Step::Verdict(verdict(parts.find(2)?.payload)?)),
            _ => Some(Step::Value { register: parts.register(1)?, data: parts.value(2)? }),
        },
        "reject" => Some(Step::Reject),
        "nat" => Some(Step::Translate {
            destination: parts.number(1)? == 1,
            address: parts.register(3),
            port: parts.register(5),
        }),
        "redir" => Some(Step::Translate { destination: true, address: None, port: parts.register(1) }),
        "masq" => Some(Step::Translate { destination: false, address: None, port: None }),
        "match" => Some(Step::Match(parts.text(1)?, parts.find(3)?.payload.to_vec())),
        "target" => Some(Step::Target(parts.text(1)?, parts.find(3)?.payload.to_vec())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nft::{Comparison, Expression, Field, Key, Register, Verdict};

    #[test]
    fn what_was_encoded_is_read_back() {
        let rule = [
            Expression::Load(Key::TransportProtocol, Register(0)),
            Expression::Compare(Register(0), Comparison::NotEqual, vec![6]),
            Expression::Payload(Field::DestinationPort, Register(1)),
            Expression::Mask(Register(2), [255, 0, 0, 0]),
            Expression::Member { set: "s", key: Register(0) },
            Expression::Counter,
            Expression::Jump("other".to_owned()),
        ];
        let expected = [
            Step::Load { source: Source::Meta(libc::NFT_META_L4PROTO as u32), register: 0 },
            Step::Compare { register: 0, operator: 1, data: vec![6] },
            Step::Load { source: Source::Payload(2, 2, 2), register: 4 },
            Step::Mask { from: 8, to: 8, mask: vec![255, 0, 0, 0], toggle: vec![0; 4] },
            Step::Lookup { set: "s".to_owned(), key: 0, value: None, inverted: false },
            Step::Passes,
            Step::Verdict(Outcome::Jump("other".to_owned())),
        ];
        assert_eq!(steps(&RawRule::of(&rule)), expected);
        let verdicts = [(Verdict::Accept, Outcome::Accept), (Verdict::Drop, Outcome::Drop)];
        for (encoded, decoded) in verdicts {
            assert_eq!(steps(&RawRule::of(&[Expression::Verdict(encoded)])), [Step::Verdict(decoded)]);
        }
    }
}
