//! A rule in words, near to what `nft list ruleset` prints. Pure.

use std::net::{Ipv4Addr, Ipv6Addr};

use sys::nft::{Outcome, Source, Step};

/// The rule's conditions and what it does.
pub(super) fn rule(steps: &[Step]) -> String {
    let mut words = Vec::new();
    let mut loaded: Option<Source> = None;
    for step in steps {
        match step {
            Step::Load { source, .. } => loaded = Some(*source),
            Step::Mask { .. } | Step::SetPriority { .. } | Step::Passes | Step::Value { .. } => {}
            Step::Compare { operator, data, .. } => {
                let operator = ["", "!= ", "< ", "<= ", "> ", ">= "].get(*operator as usize).unwrap_or(&"? ");
                words.push(format!("{} {operator}{}", name(loaded), value(loaded, data)));
            }
            Step::Range { inverted, from, to, .. } => {
                let not = if *inverted { "!= " } else { "" };
                words.push(format!("{} {not}{}-{}", name(loaded), value(loaded, from), value(loaded, to)));
            }
            Step::Lookup { set, inverted, .. } => {
                words.push(format!("{} {}@{set}", name(loaded), if *inverted { "!= " } else { "" }));
            }
            Step::Verdict(outcome) => words.push(verdict(outcome)),
            Step::Reject => words.push("reject".to_owned()),
            Step::Translate { destination: true, .. } => words.push("dnat".to_owned()),
            Step::Translate { destination: false, .. } => words.push("snat".to_owned()),
            Step::Match(name, _) => words.push(format!("-m {name}")),
            Step::Target(name, _) => words.push(format!("-j {name}")),
            Step::Other(name) => words.push(name.clone()),
        }
    }
    words.join(" ")
}

fn verdict(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Accept => "accept".to_owned(),
        Outcome::Drop => "drop".to_owned(),
        Outcome::Return => "return".to_owned(),
        Outcome::Continue => "continue".to_owned(),
        Outcome::Jump(chain) => format!("jump {chain}"),
        Outcome::Goto(chain) => format!("goto {chain}"),
        Outcome::Queue => "queue".to_owned(),
    }
}

fn name(source: Option<Source>) -> &'static str {
    match source {
        Some(Source::Meta(6)) => "iifname",
        Some(Source::Meta(7)) => "oifname",
        Some(Source::Meta(16)) => "l4proto",
        Some(Source::Meta(15)) => "nfproto",
        Some(Source::Meta(3)) => "mark",
        Some(Source::Connection(0)) => "ct state",
        Some(Source::Connection(2)) => "ct status",
        Some(Source::Route(..)) => "fib",
        Some(Source::Payload(1, 12, _)) => "ip saddr",
        Some(Source::Payload(1, 16, _)) => "ip daddr",
        Some(Source::Payload(1, 8, _)) => "ip6 saddr",
        Some(Source::Payload(1, 24, _)) => "ip6 daddr",
        Some(Source::Payload(2, 0, 2)) => "sport",
        Some(Source::Payload(2, 2, 2)) => "dport",
        _ => "(something)",
    }
}

fn value(source: Option<Source>, data: &[u8]) -> String {
    match (source, data) {
        (Some(Source::Meta(6 | 7)), name) => {
            format!("{:?}", String::from_utf8_lossy(name).trim_end_matches('\0'))
        }
        (Some(Source::Payload(1, 12 | 16, 4)), &[a, b, c, d]) => Ipv4Addr::new(a, b, c, d).to_string(),
        (Some(Source::Payload(1, 12 | 16, _)), part) => {
            let mut bytes = [0; 4];
            bytes.iter_mut().zip(part).for_each(|(to, from)| *to = *from);
            format!("{}/{}", Ipv4Addr::from(bytes), part.len() * 8)
        }
        (Some(Source::Payload(1, 8 | 24, 16)), part) => {
            <[u8; 16]>::try_from(part).map(|bytes| Ipv6Addr::from(bytes).to_string()).unwrap_or_default()
        }
        (Some(Source::Payload(2, _, 2)), &[high, low]) => u16::from_be_bytes([high, low]).to_string(),
        (Some(Source::Meta(16)), [6]) => "tcp".to_owned(),
        (Some(Source::Meta(16)), [17]) => "udp".to_owned(),
        (_, bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_reads_like_nft_s() {
        let steps = [
            Step::Load { source: Source::Meta(6), register: 0 },
            Step::Compare { register: 0, operator: 1, data: b"lo\0".to_vec() },
            Step::Load { source: Source::Payload(2, 2, 2), register: 0 },
            Step::Compare { register: 0, operator: 0, data: vec![31, 64] },
            Step::Verdict(Outcome::Drop),
        ];
        assert_eq!(rule(&steps), "iifname != \"lo\" dport 8000 drop");
    }
}
