//! The rules: the same for every machine, whatever is published. Pure.

use sys::nft::{Batch, ChainKind, Comparison, Expression, Family, Field, Hook, Key, Register, Verdict};

use super::sets::{BRIDGES, DEVICE_NAME, INTERNAL, IPV4, IPV6, Sets, TALKING, TRUSTED, padded};

/// `ip_conntrack_info`: established, related.
const ESTABLISHED_OR_RELATED: u32 = 0b110;
/// `IPS_DST_NAT`.
const TRANSLATED: u32 = 1 << 5;
/// `RTN_LOCAL`.
const LOCAL: u32 = 2;
const NEW: u32 = 0b1000;
/// The priority of a packet that has yet to be judged; forwarding sets another one in any case.
pub(crate) const PENDING: u32 = 0x6761_6e74;
const ICMP: u8 = 1;
const TCP: u8 = 6;
const SYN: u8 = 2;
const RST: u8 = 4;
const ICMP6: u8 = 58;

/// What the daemon's settings say of the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// There are rules for IPv6 too; otherwise its packets pass.
    pub(crate) ipv6: bool,
    /// Published ports may also be reached at the container's own address.
    pub(crate) direct: bool,
    /// Who comes from outside to a published port is judged by the host's own input rules, see `guard::policy`.
    pub(crate) judged: bool,
    /// Packets with this mark, under this mask, may enter every bridge.
    pub(crate) mark: Option<(u32, u32)>,
}

type Rule = Vec<Expression>;

/// Makes all chains.
pub(super) fn add_all(batch: &mut Batch<'_>, policy: Policy) {
    const RAW: i32 = -300;
    const DESTINATION_NAT: i32 = -100;
    const SOURCE_NAT: i32 = 100;
    const MANGLE: i32 = -150;
    const MARKS: i32 = DESTINATION_NAT - 4;
    const SHUTS: i32 = DESTINATION_NAT - 1;
    let families: &[&Sets] = if policy.ipv6 { &[&IPV4, &IPV6] } else { &[&IPV4] };
    let mut chain = |name: &str, kind: ChainKind, hook: Hook, priority: i32, rules: Vec<Rule>| {
        batch.add_chain(name, kind, hook, priority);
        for rule in rules {
            batch.add_rule(name, &rule);
        }
    };
    let guard =
        [&to_loopback()[..], &member(&[Key::InputDevice], BRIDGES), &[Expression::Verdict(Verdict::Drop)]].concat();
    chain("guard", ChainKind::Filter, Hook::Prerouting, RAW, vec![guard]);
    // A neighbour that sends to 127.0.0.1 must not reach what is published there.
    let not_loopback = [&to_loopback()[..], &[Expression::Verdict(Verdict::Return)]].concat();
    let inwards = || families.iter().flat_map(|sets| [translate_one_address(sets), translate_any_address(sets)]);
    let from_outside = std::iter::once(not_loopback).chain(inwards()).collect();
    chain("prerouting", ChainKind::Nat, Hook::Prerouting, DESTINATION_NAT, from_outside);
    // The kernel lets `::1` out of no device: the relay has it.
    let from_here = policy.ipv6.then(|| [&to_own_ipv6()[..], &[Expression::Verdict(Verdict::Return)]].concat());
    let from_here = from_here.into_iter().chain(inwards()).collect();
    chain("output", ChainKind::Nat, Hook::Output, DESTINATION_NAT, from_here);
    chain("postrouting", ChainKind::Nat, Hook::Postrouting, SOURCE_NAT, sources(families));
    if policy.judged {
        chain("judged", ChainKind::Filter, Hook::Prerouting, MARKS, to_judge(families));
        let shut = [
            Expression::Load(Key::Priority, Register(0)),
            Expression::Compare(Register(0), Comparison::Equal, PENDING.to_ne_bytes().to_vec()),
            Expression::Verdict(Verdict::Drop),
        ];
        chain("unjudged", ChainKind::Filter, Hook::Prerouting, SHUTS, vec![shut.to_vec()]);
    }
    chain("segments", ChainKind::Filter, Hook::Forward, MANGLE, vec![clamp()]);
    chain("forward", ChainKind::Filter, Hook::Forward, 0, forwards(families, policy));
}

/// The segments of a TCP connection fit the smaller of the two ways: containers do not see the MTU behind the host, and
/// what would tell them is often filtered. A smaller size that an end announces stays.
fn clamp() -> Rule {
    vec![
        Expression::Load(Key::TransportProtocol, Register(0)),
        Expression::Compare(Register(0), Comparison::Equal, vec![TCP]),
        Expression::Bytes { header: 2, offset: 13, length: 1, register: Register(0) },
        Expression::LongMask(Register(0), vec![SYN | RST]),
        Expression::Compare(Register(0), Comparison::Equal, vec![SYN]),
        Expression::ClampSegments,
    ]
}

/// Marks new connections from outside to published ports.
fn to_judge(families: &[&Sets]) -> Vec<Rule> {
    let back = [Expression::Verdict(Verdict::Return)];
    let known = [
        Expression::Load(Key::ConnectionState, Register(0)),
        Expression::Mask(Register(0), NEW.to_ne_bytes()),
        Expression::Compare(Register(0), Comparison::Equal, vec![0; 4]),
    ];
    let mut rules = vec![
        [&known[..], &back].concat(),
        [&member(&[Key::InputDevice], BRIDGES)[..], &back].concat(),
        [&device(Key::InputDevice, Comparison::Equal, "lo")[..], &back].concat(),
    ];
    for sets in families {
        for mut rule in [translate_one_address(sets), translate_any_address(sets)] {
            // The same packets, but marked in the place of translated.
            rule.pop();
            rule.push(Expression::SetPriority(PENDING));
            rules.push(rule);
        }
    }
    rules
}

fn translate_one_address(sets: &Sets) -> Rule {
    let behind = Register(sets.width() / 4);
    let mut rule = only(sets.family);
    rule.extend([
        Expression::Payload(destination(sets), Register(0)),
        Expression::Load(Key::TransportProtocol, behind),
        Expression::Payload(Field::DestinationPort, Register(behind.0 + 1)),
        Expression::Lookup { map: sets.one_address, key: Register(0), value: Register(0) },
        Expression::DestinationNat { family: sets.family, address: Register(0), port: behind },
    ]);
    rule
}

fn translate_any_address(sets: &Sets) -> Rule {
    let mut rule = only(sets.family);
    rule.extend([
        Expression::Load(Key::DestinationKind, Register(0)),
        Expression::Compare(Register(0), Comparison::Equal, LOCAL.to_ne_bytes().to_vec()),
        Expression::Load(Key::TransportProtocol, Register(0)),
        Expression::Payload(Field::DestinationPort, Register(1)),
        Expression::Lookup { map: sets.any_address, key: Register(0), value: Register(0) },
        Expression::DestinationNat { family: sets.family, address: Register(0), port: Register(sets.width() / 4) },
    ]);
    rule
}

fn sources(families: &[&Sets]) -> Vec<Rule> {
    let masquerade = [Expression::Masquerade];
    let to_bridge = member(&[Key::OutputDevice], BRIDGES);
    let from_loopback = [
        &only(Family::Ipv4)[..],
        &[
            Expression::Payload(Field::SourceAddress(1), Register(0)),
            Expression::Compare(Register(0), Comparison::Equal, vec![127]),
        ],
    ];
    let mut rules = vec![[&from_loopback.concat()[..], &to_bridge, &masquerade].concat()];
    for sets in families {
        // A container that reaches a neighbour, or itself, by a published port: the answer must come back the same way.
        rules.push([&from(sets, sets.subnets)[..], &to_bridge, &translated(), &masquerade].concat());
    }
    rules.push([&to_bridge[..], &[Expression::Verdict(Verdict::Return)]].concat());
    for sets in families {
        let replace = [
            Expression::Payload(source(sets), Register(0)),
            Expression::Lookup { map: sets.sources, key: Register(0), value: Register(0) },
            Expression::SourceNat { family: sets.family, address: Register(0) },
        ];
        rules.push([&only(sets.family)[..], &replace].concat());
        rules.push([&from(sets, sets.masqueraded)[..], &masquerade].concat());
    }
    rules
}

fn forwards(families: &[&Sets], policy: Policy) -> Vec<Rule> {
    let accept = [Expression::Verdict(Verdict::Accept)];
    let drop = [Expression::Verdict(Verdict::Drop)];
    let from = |set| member(&[Key::InputDevice], set);
    let to = |set| member(&[Key::OutputDevice], set);
    let pair = |set| member(&[Key::InputDevice, Key::OutputDevice], set);
    // First, because nearly every packet is one of these.
    let mut rules = vec![[&bits(Key::ConnectionState, ESTABLISHED_OR_RELATED)[..], &accept].concat()];
    if !policy.ipv6 {
        rules.push([&only(Family::Ipv6)[..], &accept].concat());
    }
    rules.push([&pair(TALKING)[..], &accept].concat());
    rules.push([&from(INTERNAL)[..], &drop].concat());
    rules.push([&to(INTERNAL)[..], &drop].concat());
    rules.push([&to(BRIDGES)[..], &translated(), &accept].concat());
    if let Some((mark, mask)) = policy.mark {
        let marked = [
            Expression::Load(Key::Mark, Register(0)),
            Expression::Mask(Register(0), mask.to_ne_bytes()),
            Expression::Compare(Register(0), Comparison::Equal, mark.to_ne_bytes().to_vec()),
        ];
        rules.push([&to(BRIDGES)[..], &marked, &accept].concat());
    }
    rules.push([&pair(TRUSTED)[..], &accept].concat());
    for sets in families {
        let opened = [
            Expression::Payload(destination(sets), Register(0)),
            Expression::Load(Key::TransportProtocol, Register(sets.width() / 4)),
            Expression::Payload(Field::DestinationPort, Register(sets.width() / 4 + 1)),
            Expression::Member { set: sets.opened, key: Register(0) },
        ];
        rules.push([&only(sets.family)[..], &opened, &accept].concat());
        let behind = sets.width() / 4;
        let linked = [
            Expression::Payload(source(sets), Register(0)),
            Expression::Payload(destination(sets), Register(behind)),
            Expression::Load(Key::TransportProtocol, Register(2 * behind)),
            Expression::Payload(Field::DestinationPort, Register(2 * behind + 1)),
            Expression::Member { set: sets.linked, key: Register(0) },
        ];
        rules.push([&only(sets.family)[..], &linked, &accept].concat());
        rules.push([&only(sets.family)[..], &to(sets.unprotected), &accept].concat());
        let ping = [
            Expression::Load(Key::TransportProtocol, Register(0)),
            Expression::Compare(
                Register(0),
                Comparison::Equal,
                vec![if sets.family == Family::Ipv4 { ICMP } else { ICMP6 }],
            ),
        ];
        rules.push([&only(sets.family)[..], &ping, &to(sets.routed), &accept].concat());
    }
    rules.push([&to(BRIDGES)[..], &drop].concat());
    rules.push([&from(BRIDGES)[..], &accept].concat());
    rules
}

fn only(family: Family) -> Rule {
    let number = family.number();
    vec![
        Expression::Load(Key::NetworkProtocol, Register(0)),
        Expression::Compare(Register(0), Comparison::Equal, vec![number]),
    ]
}

fn source(sets: &Sets) -> Field {
    if sets.family == Family::Ipv4 { Field::SourceAddress(4) } else { Field::SourceAddress6 }
}

fn destination(sets: &Sets) -> Field {
    if sets.family == Family::Ipv4 { Field::DestinationAddress(4) } else { Field::DestinationAddress6 }
}

/// The devices, one behind the other, are in a set.
fn member(keys: &[Key], set: &'static str) -> Rule {
    let loads = keys.iter().zip((0..).step_by(DEVICE_NAME / 4)).map(|(key, at)| Expression::Load(*key, Register(at)));
    loads.chain([Expression::Member { set, key: Register(0) }]).collect()
}

fn from(sets: &Sets, set: &'static str) -> Rule {
    let mut rule = only(sets.family);
    rule.push(Expression::Payload(source(sets), Register(0)));
    rule.push(Expression::Member { set, key: Register(0) });
    rule
}

fn to_loopback() -> Rule {
    let mut rule = only(Family::Ipv4);
    rule.push(Expression::Payload(Field::DestinationAddress(1), Register(0)));
    rule.push(Expression::Compare(Register(0), Comparison::Equal, vec![127]));
    rule
}

fn to_own_ipv6() -> Rule {
    let mut rule = only(Family::Ipv6);
    rule.push(Expression::Payload(Field::DestinationAddress6, Register(0)));
    let own = std::net::Ipv6Addr::LOCALHOST.octets().to_vec();
    rule.push(Expression::Compare(Register(0), Comparison::Equal, own));
    rule
}

fn translated() -> Rule {
    bits(Key::ConnectionStatus, TRANSLATED)
}

/// At least one of the bits is set.
fn bits(key: Key, mask: u32) -> Rule {
    vec![
        Expression::Load(key, Register(0)),
        Expression::Mask(Register(0), mask.to_ne_bytes()),
        Expression::Compare(Register(0), Comparison::NotEqual, vec![0; 4]),
    ]
}

pub(crate) fn device(key: Key, comparison: Comparison, name: &str) -> Rule {
    vec![Expression::Load(key, Register(0)), Expression::Compare(Register(0), comparison, padded(name))]
}
