//! A packet as far as it is known, and what a rule's conditions say to it. Pure.

use std::net::IpAddr;

use sys::nft::{Source, Step};

/// The first packet of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    /// Where it comes in; empty from this machine itself.
    pub(super) input: Option<String>,
    /// Where it goes out, once that is known.
    pub(super) output: Option<String>,
    pub(super) from: Option<IpAddr>,
    pub(super) to: IpAddr,
    pub(super) protocol: u8,
    pub(super) port: u16,
    /// Sent to a published port and led to a container.
    pub(super) translated: bool,
    /// For traffic control; our own rules mark with it who is to be judged.
    pub(super) priority: u32,
}

/// Whether something holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    Yes,
    No,
    /// It depends on what is not known, or not understood.
    Maybe,
}

/// The registers of a rule, byte by byte; unknown ones are `None`.
pub(super) struct Registers([Option<u8>; 96]);

const META_MARK: u32 = 3;
const META_PRIORITY: u32 = 2;
const META_INPUT: u32 = 6;
const META_OUTPUT: u32 = 7;
const META_FAMILY: u32 = 15;
const META_PROTOCOL: u32 = 16;
const CT_STATE: u32 = 0;
const CT_STATUS: u32 = 2;
/// `NF_CT_STATE_BIT(IP_CT_NEW)`, `IPS_DST_NAT`, `RTN_LOCAL`, `RTN_UNICAST`.
const NEW: u32 = 8;
const TRANSLATED: u32 = 1 << 5;
const LOCAL: u32 = 2;
const UNICAST: u32 = 1;

// === impl Packet ===

impl Packet {
    /// The bytes of a value; `None` for unknown ones.
    fn load(&self, source: Source) -> Option<Vec<u8>> {
        let name = |device: &Option<String>| {
            let mut bytes = device.clone().unwrap_or_default().into_bytes();
            bytes.resize(16, 0);
            bytes
        };
        match source {
            Source::Meta(META_INPUT) => Some(name(&self.input)),
            Source::Meta(META_OUTPUT) => Some(name(&self.output)),
            Source::Meta(META_FAMILY) => Some(vec![if self.to.is_ipv4() { 2 } else { 10 }]),
            Source::Meta(META_PROTOCOL) => Some(vec![self.protocol]),
            Source::Meta(META_MARK) => Some(vec![0; 4]),
            Source::Meta(META_PRIORITY) => Some(self.priority.to_ne_bytes().to_vec()),
            Source::Connection(CT_STATE) => Some(NEW.to_ne_bytes().to_vec()),
            Source::Connection(CT_STATUS) => Some(if self.translated { TRANSLATED } else { 0 }.to_ne_bytes().to_vec()),
            // The kind of the destination.
            Source::Route(3, flags) if flags & 2 != 0 => {
                Some(if self.translated { UNICAST } else { LOCAL }.to_ne_bytes().to_vec())
            }
            Source::Payload(1, offset, length) => self.header(offset as usize, length as usize),
            Source::Payload(2, 2, 2) => Some(self.port.to_be_bytes().to_vec()),
            _ => None,
        }
    }

    /// A part of the network header: addresses, and the protocol of IPv4.
    fn header(&self, offset: usize, length: usize) -> Option<Vec<u8>> {
        let bytes = |address: IpAddr| match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let (first, width) = if self.to.is_ipv4() { (12, 4) } else { (8, 16) };
        if self.to.is_ipv4() && (offset, length) == (9, 1) {
            return Some(vec![self.protocol]);
        }
        let own = |start: usize, address: IpAddr| {
            let at = offset.checked_sub(start)?;
            bytes(address).get(at..at + length).map(<[u8]>::to_vec)
        };
        if offset >= first + width { own(first + width, self.to) } else { own(first, self.from?) }
    }
}

// === impl Registers ===

impl Default for Registers {
    fn default() -> Self {
        Self([None; 96])
    }
}

impl Registers {
    fn set(&mut self, at: usize, bytes: Option<&[u8]>, length: usize) {
        // Padded to four bytes, like the kernel's.
        for place in 0..length.next_multiple_of(4) {
            if let Some(register) = self.0.get_mut(at + place) {
                *register = bytes.map(|bytes| bytes.get(place).copied().unwrap_or(0));
            }
        }
    }

    /// The bytes of a key, when all are known.
    pub(super) fn get(&self, at: usize, length: usize) -> Option<Vec<u8>> {
        self.0.get(at..at + length)?.iter().copied().collect()
    }

    pub(super) fn forget(&mut self, at: usize) {
        self.set(at, None, 16);
    }

    pub(super) fn put(&mut self, at: usize, bytes: &[u8]) {
        self.set(at, Some(bytes), bytes.len());
    }

    /// What a step that needs no set says.
    pub(super) fn run(&mut self, step: &Step, packet: &Packet) -> Truth {
        match step {
            Step::Load { source, register } => {
                let loaded = packet.load(*source);
                self.set(*register, loaded.as_deref(), loaded.as_ref().map_or(16, Vec::len));
                Truth::Yes
            }
            Step::Value { register, data } => {
                self.put(*register, data);
                Truth::Yes
            }
            Step::Mask { from, to, mask, toggle } => {
                let bytes = self.get(*from, mask.len());
                let masked = bytes.map(|bytes| {
                    let bits = bytes.iter().zip(mask).zip(toggle.iter().chain(std::iter::repeat(&0)));
                    bits.map(|((byte, mask), toggle)| (byte & mask) ^ toggle).collect::<Vec<u8>>()
                });
                self.set(*to, masked.as_deref(), mask.len());
                Truth::Yes
            }
            Step::Compare { register, operator, data } => {
                let Some(bytes) = self.get(*register, data.len()) else { return Truth::Maybe };
                let order = bytes.cmp(data);
                holds(match operator {
                    0 => order.is_eq(),
                    1 => order.is_ne(),
                    2 => order.is_lt(),
                    3 => order.is_le(),
                    4 => order.is_gt(),
                    _ => order.is_ge(),
                })
            }
            Step::Range { register, inverted, from, to } => match self.get(*register, from.len()) {
                Some(bytes) => holds((from..=to).contains(&&bytes) != *inverted),
                None => Truth::Maybe,
            },
            Step::Passes | Step::SetPriority { .. } | Step::Verdict(_) | Step::Reject | Step::Translate { .. } => {
                Truth::Yes
            }
            Step::Match(name, data) => extension(name, data),
            Step::Target(..) => Truth::Yes,
            Step::Lookup { .. } | Step::Other(_) => Truth::Maybe,
        }
    }
}

fn holds(is: bool) -> Truth {
    if is { Truth::Yes } else { Truth::No }
}

/// The extensions of iptables that say something about a new connection.
fn extension(name: &str, data: &[u8]) -> Truth {
    let short = |at: usize| data.get(at..at + 2).map(|two| u16::from_ne_bytes([two[0], two[1]]));
    match name {
        "comment" => Truth::Yes,
        // `struct xt_conntrack_mtinfo3`, when it asks for the state alone: invalid 1, established 2, related 4, new 8.
        "conntrack" => match (short(146), short(148), short(150)) {
            (Some(1), Some(inverted), Some(states)) if states < 16 => holds((states & 8 != 0) != (inverted & 1 != 0)),
            _ => Truth::Maybe,
        },
        // `struct xt_state_info`: the same bits.
        "state" => match data.first() {
            Some(states) => holds(states & 8 != 0),
            None => Truth::Maybe,
        },
        _ => Truth::Maybe,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_hold_do_not_or_are_open() {
        let packet = Packet {
            input: Some("eth0".to_owned()),
            output: None,
            from: None,
            to: [192, 0, 2, 1].into(),
            protocol: 6,
            port: 8000,
            translated: false,
            priority: 0,
        };
        let truth = |source, operator, data: &[u8]| {
            let mut registers = Registers::default();
            registers.run(&Step::Load { source, register: 0 }, &packet);
            registers.run(&Step::Compare { register: 0, operator, data: data.to_vec() }, &packet)
        };
        assert_eq!(truth(Source::Meta(META_INPUT), 0, b"eth0\0"), Truth::Yes);
        assert_eq!(truth(Source::Meta(META_INPUT), 1, b"eth0\0"), Truth::No);
        assert_eq!(truth(Source::Payload(2, 2, 2), 0, &8000_u16.to_be_bytes()), Truth::Yes);
        assert_eq!(truth(Source::Payload(1, 16, 4), 0, &[192, 0, 2, 1]), Truth::Yes);
        assert_eq!(truth(Source::Payload(1, 16, 2), 0, &[192, 1]), Truth::No);
        // Nobody said where it comes from.
        assert_eq!(truth(Source::Payload(1, 12, 4), 0, &[192, 0, 2, 2]), Truth::Maybe);
        assert_eq!(truth(Source::Meta(99), 0, &[1]), Truth::Maybe);
    }
}
