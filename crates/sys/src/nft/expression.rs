//! The expressions that rules are made of.

use super::family::Family;
use crate::netlink::Message;

const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;
const LIST_ELEMENT: u16 = 1;
/// `NFTA_DATA_VALUE`.
pub(super) const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;
const VERDICT_CHAIN: u16 = 2;

/// A 32-bit register, counted from 0 to 15; longer values take several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register(pub u32);

/// A part of the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// IPv4 source address, the first so many bytes.
    SourceAddress(u32),
    /// IPv4 destination address, the first so many bytes.
    DestinationAddress(u32),
    /// IPv6 source address.
    SourceAddress6,
    /// IPv6 destination address.
    DestinationAddress6,
    /// Destination port of the transport header.
    DestinationPort,
}

/// What the kernel knows about the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Name of the incoming device, 16 bytes.
    InputDevice,
    /// Name of the outgoing device, 16 bytes.
    OutputDevice,
    /// `NFPROTO_*` of the network header, one byte: in a table of both families.
    NetworkProtocol,
    /// Transport protocol, one byte.
    TransportProtocol,
    /// Its priority for traffic control, four bytes.
    Priority,
    /// The mark that some program gave it, four bytes.
    Mark,
    /// Connection tracking: state bits.
    ConnectionState,
    /// Connection tracking: status bits.
    ConnectionStatus,
    /// Kind of the destination address in the routing table (`RTN_*`).
    DestinationKind,
}

/// How to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Equal.
    Equal = 0,
    /// Not equal.
    NotEqual = 1,
}

/// What becomes of the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Goes on.
    Accept,
    /// Vanishes.
    Drop,
    /// Leaves this chain.
    Return,
}

/// One step of a rule; a rule ends at the first comparison or lookup that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// Loads a part of the packet.
    Payload(Field, Register),
    /// Loads a part of the packet by its place: header (1 network, 2 transport), offset and length in bytes.
    Bytes {
        /// Which header.
        header: u32,
        /// First byte.
        offset: u32,
        /// How many.
        length: u32,
        /// Where to.
        register: Register,
    },
    /// Loads a property.
    Load(Key, Register),
    /// Keeps the bits of a mask, in the order they have in the register.
    Mask(Register, [u8; 4]),
    /// As [`Self::Mask`], of any length.
    LongMask(Register, Vec<u8>),
    /// Compares bytes.
    Compare(Register, Comparison, Vec<u8>),
    /// Replaces a key by its value in a map.
    Lookup {
        /// Map in the same table.
        map: &'static str,
        /// Where the key begins.
        key: Register,
        /// Where the value goes.
        value: Register,
    },
    /// Goes on only when a key is in a set.
    Member {
        /// Set in the same table.
        set: &'static str,
        /// Where the key begins.
        key: Register,
    },
    /// Loads bytes.
    Value(Register, Vec<u8>),
    /// Rewrites the destination.
    DestinationNat {
        /// Of the address.
        family: Family,
        /// Register with the address.
        address: Register,
        /// Register with the port.
        port: Register,
    },
    /// Rewrites the source.
    SourceNat {
        /// Of the address.
        family: Family,
        /// Register with the address.
        address: Register,
    },
    /// Rewrites the source to that of the outgoing device.
    Masquerade,
    /// Lowers the largest segment that a TCP packet announces to what the packet's route carries; uses the first register.
    ClampSegments,
    /// Sets the packet's priority for traffic control; uses the first register.
    SetPriority(u32),
    /// Counts packets and bytes.
    Counter,
    /// Ends.
    Verdict(Verdict),
    /// Goes on in another chain of the table, and comes back from its end.
    Jump(String),
    /// An extension of iptables that decides whether the rule holds.
    Match(Extension),
    /// An extension of iptables that does something.
    Target(Extension),
}

/// An extension of iptables (`xt_*`), as its user-space part encodes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// Name, e.g. `DNAT`.
    pub name: String,
    /// Revision of the data.
    pub revision: u32,
    /// The extension's C structure, padded to eight bytes.
    pub data: Vec<u8>,
}

impl Register {
    /// The number on the wire: `NFT_REG32_00` is 8.
    fn number(self) -> u32 {
        8 + self.0
    }
}

impl Expression {
    /// Appends this expression to a rule's list.
    pub(super) fn encode(&self, list: &mut Message) {
        match self {
            Self::ClampSegments => return encode_clamp(list),
            Self::SetPriority(priority) => Self::Value(Register(0), priority.to_ne_bytes().to_vec()).encode(list),
            _ => {}
        }
        list.nest(LIST_ELEMENT, |element| {
            element.text(EXPRESSION_NAME, self.name()).nest(EXPRESSION_DATA, |data| self.encode_data(data));
        });
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Payload(..) | Self::Bytes { .. } => "payload",
            Self::Load(Key::ConnectionState | Key::ConnectionStatus, _) => "ct",
            Self::Load(Key::DestinationKind, _) => "fib",
            Self::Load(..) => "meta",
            Self::Mask(..) | Self::LongMask(..) => "bitwise",
            Self::Compare(..) => "cmp",
            Self::Lookup { .. } | Self::Member { .. } => "lookup",
            Self::DestinationNat { .. } | Self::SourceNat { .. } => "nat",
            Self::Masquerade => "masq",
            Self::Counter => "counter",
            Self::ClampSegments => "exthdr",
            Self::SetPriority(_) => "meta",
            Self::Value(..) | Self::Verdict(_) | Self::Jump(_) => "immediate",
            Self::Match(_) => "match",
            Self::Target(_) => "target",
        }
    }

    /// The attribute numbers are those of the `NFTA_*` enumerations of each expression.
    fn encode_data(&self, data: &mut Message) {
        match self {
            Self::Payload(field, register) => {
                let (base, offset, length) = field.place();
                data.be32(1, register.number()).be32(2, base).be32(3, offset).be32(4, length);
            }
            Self::Bytes { header, offset, length, register } => {
                data.be32(1, register.number()).be32(2, *header).be32(3, *offset).be32(4, *length);
            }
            Self::Load(key, register) => encode_load(*key, *register, data),
            Self::Mask(register, mask) => encode_mask(*register, mask, data),
            Self::LongMask(register, mask) => encode_mask(*register, mask, data),
            Self::Compare(register, comparison, bytes) => {
                data.be32(1, register.number()).be32(2, *comparison as u32).nest(3, |value| {
                    value.bytes(DATA_VALUE, bytes);
                });
            }
            Self::Lookup { map, key, value } => {
                data.text(1, map).be32(2, key.number()).be32(3, value.number());
            }
            Self::Member { set, key } => {
                data.text(1, set).be32(2, key.number());
            }
            Self::Value(register, bytes) => {
                data.be32(1, register.number()).nest(2, |value| {
                    value.bytes(DATA_VALUE, bytes);
                });
            }
            Self::DestinationNat { family, address, port } => {
                const NAT_DESTINATION: u32 = 1;
                data.be32(1, NAT_DESTINATION).be32(2, family.number().into());
                data.be32(3, address.number()).be32(5, port.number());
            }
            Self::SourceNat { family, address } => {
                const NAT_SOURCE: u32 = 0;
                data.be32(1, NAT_SOURCE).be32(2, family.number().into()).be32(3, address.number());
            }
            Self::Masquerade | Self::Counter | Self::ClampSegments => {}
            // `NFTA_META_SREG` in the place of a destination.
            Self::SetPriority(_) => {
                data.be32(2, libc::NFT_META_PRIORITY as u32).be32(3, Register(0).number());
            }
            Self::Verdict(verdict) => {
                data.be32(1, 0).nest(2, |value| {
                    value.nest(DATA_VERDICT, |code| {
                        code.be32(VERDICT_CODE, verdict.code());
                    });
                });
            }
            Self::Jump(chain) => {
                data.be32(1, 0).nest(2, |value| {
                    value.nest(DATA_VERDICT, |code| {
                        code.be32(VERDICT_CODE, libc::NFT_JUMP as u32).text(VERDICT_CHAIN, chain);
                    });
                });
            }
            Self::Match(extension) | Self::Target(extension) => {
                data.text(1, &extension.name).be32(2, extension.revision).bytes(3, &extension.data);
            }
        }
    }
}

impl Field {
    /// Header (1 network, 2 transport), offset and length in it.
    fn place(self) -> (u32, u32, u32) {
        match self {
            Self::SourceAddress(length) => (1, 12, length),
            Self::DestinationAddress(length) => (1, 16, length),
            Self::SourceAddress6 => (1, 8, 16),
            Self::DestinationAddress6 => (1, 24, 16),
            Self::DestinationPort => (2, 2, 2),
        }
    }
}

impl Verdict {
    fn code(self) -> u32 {
        match self {
            Self::Accept => libc::NF_ACCEPT as u32,
            Self::Drop => libc::NF_DROP as u32,
            Self::Return => libc::NFT_RETURN as u32,
        }
    }
}

/// Three expressions: the route's size, turned into network order, written into the TCP option.
fn encode_clamp(list: &mut Message) {
    const ROUTE_SEGMENT_SIZE: u32 = 3;
    const TO_NETWORK_ORDER: u32 = 1;
    const TCP_OPTION: u32 = 1;
    const SEGMENT_SIZE: u8 = 2;
    let number = Register(0).number();
    let mut add = |name: &str, fill: &dyn Fn(&mut Message)| {
        list.nest(LIST_ELEMENT, |element| {
            element.text(EXPRESSION_NAME, name).nest(EXPRESSION_DATA, fill);
        });
    };
    add("rt", &|data| {
        data.be32(1, number).be32(2, ROUTE_SEGMENT_SIZE);
    });
    add("byteorder", &|data| {
        data.be32(1, number).be32(2, number).be32(3, TO_NETWORK_ORDER).be32(4, 2).be32(5, 2);
    });
    add("exthdr", &|data| {
        data.u8(2, SEGMENT_SIZE).be32(3, 2).be32(4, 2).be32(6, TCP_OPTION).be32(7, number);
    });
}

fn encode_mask(register: Register, mask: &[u8], data: &mut Message) {
    let number = register.number();
    data.be32(1, number).be32(2, number).be32(3, mask.len() as u32);
    data.nest(4, |value| {
        value.bytes(DATA_VALUE, mask);
    });
    data.nest(5, |value| {
        value.bytes(DATA_VALUE, &vec![0; mask.len()]);
    });
}

fn encode_load(key: Key, register: Register, data: &mut Message) {
    let number = register.number();
    match key {
        Key::InputDevice => data.be32(2, libc::NFT_META_IIFNAME as u32).be32(1, number),
        Key::OutputDevice => data.be32(2, libc::NFT_META_OIFNAME as u32).be32(1, number),
        Key::NetworkProtocol => data.be32(2, libc::NFT_META_NFPROTO as u32).be32(1, number),
        Key::Priority => data.be32(2, libc::NFT_META_PRIORITY as u32).be32(1, number),
        Key::Mark => data.be32(2, libc::NFT_META_MARK as u32).be32(1, number),
        Key::TransportProtocol => data.be32(2, libc::NFT_META_L4PROTO as u32).be32(1, number),
        Key::ConnectionState => data.be32(2, libc::NFT_CT_STATE as u32).be32(1, number),
        Key::ConnectionStatus => data.be32(2, libc::NFT_CT_STATUS as u32).be32(1, number),
        Key::DestinationKind => {
            const RESULT_ADDRESS_TYPE: u32 = 3;
            const FLAG_DESTINATION: u32 = 2;
            data.be32(1, number).be32(2, RESULT_ADDRESS_TYPE).be32(3, FLAG_DESTINATION)
        }
    };
}
