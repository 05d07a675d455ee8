//! The way of a packet through everybody's chains, as the kernel would go it.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;

use sys::netlink::attributes;
use sys::nft::{Chain, ChainKind, Element, Family, Hook, NftSocket, Outcome, Rule, Set, Step, steps, verdict};

use super::packet::{Packet, Registers, Truth};
use super::words;

/// A rule that says something about the packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// Where: `prerouting`, `input`, `forward`, `output`.
    pub hook: &'static str,
    /// `inet gantry_docker0 forward`.
    pub chain: String,
    /// The rule in words; `policy drop` at the end of a chain.
    pub rule: String,
    /// What comes of it: `accepts`, `drops`, `translates`, `may match`.
    pub effect: &'static str,
}

/// What a chain says in the end.
enum End {
    Accepted,
    Dropped,
    Translated(Option<(IpAddr, u16)>),
    /// Back to who jumped there, or to the policy.
    Through,
}

/// What a hook says in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Through,
    Dropped,
}

/// Jumps are at most so deep in the kernel.
const DEEPEST: usize = 16;

pub(super) struct Walk<'a> {
    socket: &'a mut NftSocket,
    chains: Vec<Chain>,
    rules: HashMap<(Family, String, String), Vec<Rule>>,
    sets: HashMap<(Family, String), Vec<Set>>,
    elements: HashMap<(Family, String, String), Vec<Element>>,
    hook: &'static str,
    pub(super) passages: Vec<Passage>,
    /// Something that was not understood may drop it.
    pub(super) doubtful: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn read(socket: &'a mut NftSocket) -> io::Result<Self> {
        let chains = socket.chains()?;
        let mut rules: HashMap<_, Vec<Rule>> = HashMap::new();
        for rule in socket.rules(None)? {
            rules.entry((rule.family, rule.table.clone(), rule.chain.clone())).or_default().push(rule);
        }
        let (sets, elements) = (HashMap::new(), HashMap::new());
        Ok(Self { socket, chains, rules, sets, elements, hook: "", passages: Vec::new(), doubtful: false })
    }

    /// All base chains of a hook, in the order of their priorities.
    pub(super) fn hook(&mut self, hook: Hook, packet: &mut Packet) -> io::Result<Stage> {
        self.hook = match hook {
            Hook::Prerouting => "prerouting",
            Hook::Input => "input",
            Hook::Forward => "forward",
            Hook::Output => "output",
            Hook::Postrouting => "postrouting",
        };
        let own = if packet.to.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 };
        let here = |chain: &&Chain| matches!(chain.family, Family::Inet) || chain.family == own;
        let base = |chain: &Chain| chain.base.filter(|base| base.hook == hook).map(|base| (base, chain.clone()));
        let mut bases: Vec<_> = self.chains.iter().filter(here).filter_map(base).collect();
        bases.sort_by_key(|(base, _)| base.priority);
        for (base, chain) in bases {
            if base.kind == Some(ChainKind::Nat) && packet.translated {
                continue;
            }
            match self.chain(&chain, packet, 0)? {
                End::Dropped => return Ok(Stage::Dropped),
                End::Translated(target) => {
                    packet.translated = true;
                    if let Some((address, port)) = target {
                        (packet.to, packet.port) = (address, port);
                    }
                }
                End::Through if base.drops => {
                    self.note(&chain, "policy drop".to_owned(), "drops");
                    return Ok(Stage::Dropped);
                }
                End::Accepted | End::Through => {}
            }
        }
        Ok(Stage::Through)
    }

    fn chain(&mut self, chain: &Chain, packet: &mut Packet, depth: usize) -> io::Result<End> {
        let key = (chain.family, chain.table.clone(), chain.name.clone());
        for rule in self.rules.get(&key).cloned().unwrap_or_default() {
            let steps = steps(&rule.raw);
            let Some((truth, action)) = self.judge(chain, &steps, packet)? else { continue };
            let words = words::rule(&steps);
            if truth == Truth::Maybe {
                let ends = matches!(action, Action::End(_) | Action::Jump(..));
                if ends {
                    self.doubtful |= !matches!(action, Action::End(End::Accepted));
                    self.note(chain, words, "may match");
                }
                continue;
            }
            match action {
                Action::Nothing => {}
                Action::Return => return Ok(End::Through),
                Action::End(end) => {
                    let effect = match end {
                        End::Accepted | End::Through => "accepts",
                        End::Dropped => "drops",
                        End::Translated(_) => "translates",
                    };
                    self.note(chain, words, effect);
                    return Ok(end);
                }
                Action::Jump(to, back) => {
                    let next = Chain { name: to, base: None, ..chain.clone() };
                    let end = if depth < DEEPEST { self.chain(&next, packet, depth + 1)? } else { End::Through };
                    match end {
                        End::Through if back => {}
                        end => return Ok(end),
                    }
                }
            }
        }
        Ok(End::Through)
    }

    /// Whether a rule holds, and what it does then; `None` when it does not.
    fn judge(&mut self, chain: &Chain, steps: &[Step], packet: &mut Packet) -> io::Result<Option<(Truth, Action)>> {
        let mut registers = Registers::default();
        let (mut all, mut action) = (Truth::Yes, Action::Nothing);
        for step in steps {
            let truth = match step {
                Step::Lookup { set, key, value, inverted } => {
                    let (truth, found) = self.lookup(chain, set, &registers, *key)?;
                    match value {
                        Some(Some(register)) => match found.as_ref().and_then(plain) {
                            Some(bytes) => registers.put(*register, &bytes),
                            None => registers.forget(*register),
                        },
                        Some(None) => action = found.and_then(|one| verdict(&one.value)).map_or(action, Action::of),
                        None => {}
                    }
                    match (truth, inverted) {
                        (Truth::Yes, true) => Truth::No,
                        (Truth::No, true) => Truth::Yes,
                        (truth, _) => truth,
                    }
                }
                Step::SetPriority { register } => {
                    let set = registers.get(*register, 4).and_then(|bytes| bytes.try_into().ok());
                    if all == Truth::Yes {
                        packet.priority = set.map_or(0, u32::from_ne_bytes);
                    }
                    Truth::Yes
                }
                step => registers.run(step, packet),
            };
            match truth {
                Truth::No => return Ok(None),
                Truth::Maybe => all = Truth::Maybe,
                Truth::Yes => {}
            }
            match step {
                Step::Verdict(outcome) => action = Action::of(outcome.clone()),
                Step::Reject => action = Action::End(End::Dropped),
                Step::Translate { destination: true, address, port } => {
                    action = Action::End(End::Translated(target(&registers, packet, *address, *port)));
                }
                Step::Translate { .. } => action = Action::End(End::Accepted),
                Step::Target(name, _) => action = Action::of_target(name),
                _ => {}
            }
        }
        Ok(Some((all, action)))
    }

    fn lookup(
        &mut self,
        chain: &Chain,
        set: &str,
        registers: &Registers,
        key: usize,
    ) -> io::Result<(Truth, Option<Element>)> {
        const INTERVALS: u32 = 4;
        let table = (chain.family, chain.table.clone());
        if !self.sets.contains_key(&table) {
            let sets = self.socket.sets(chain.family, &chain.table)?;
            self.sets.insert(table.clone(), sets);
        }
        let known = self.sets.get(&table).into_iter().flatten().find(|known| known.name == set);
        let Some((length, flags)) = known.map(|known| (known.key.1 as usize, known.flags)) else {
            return Ok((Truth::Maybe, None));
        };
        let Some(key) = registers.get(key, length) else { return Ok((Truth::Maybe, None)) };
        let place = (chain.family, chain.table.clone(), set.to_owned());
        if !self.elements.contains_key(&place) {
            let mut elements = self.socket.elements(chain.family, &chain.table, set)?;
            // An end and a beginning may share a key: the beginning counts.
            elements.sort_by(|one, other| one.key.cmp(&other.key).then(other.end.cmp(&one.end)));
            self.elements.insert(place.clone(), elements);
        }
        let elements = self.elements.get(&place).map_or(&[][..], Vec::as_slice);
        let found = if flags & INTERVALS == 0 {
            elements.iter().find(|element| element.key == key)
        } else {
            let before =
                elements.iter().rfind(|element| element.last.is_none() && !element.catchall && element.key <= key);
            let within =
                |element: &&Element| element.last.as_ref().is_some_and(|last| parts_within(&key, &element.key, last));
            before.filter(|element| !element.end).or_else(|| elements.iter().find(within))
        };
        let found = found.or_else(|| elements.iter().find(|element| element.catchall)).cloned();
        Ok((if found.is_some() { Truth::Yes } else { Truth::No }, found))
    }

    fn note(&mut self, chain: &Chain, rule: String, effect: &'static str) {
        let chain = format!("{} {} {}", chain.family.as_str(), chain.table, chain.name);
        self.passages.push(Passage { hook: self.hook, chain, rule, effect });
    }
}

enum Action {
    Nothing,
    Return,
    End(End),
    /// Whether it comes back.
    Jump(String, bool),
}

impl Action {
    fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Accept | Outcome::Queue => Self::End(End::Accepted),
            Outcome::Drop => Self::End(End::Dropped),
            Outcome::Return => Self::Return,
            Outcome::Continue => Self::Nothing,
            Outcome::Jump(to) => Self::Jump(to, true),
            Outcome::Goto(to) => Self::Jump(to, false),
        }
    }

    fn of_target(name: &str) -> Self {
        match name {
            "REJECT" | "DROP" => Self::End(End::Dropped),
            "DNAT" | "REDIRECT" | "NETMAP" => Self::End(End::Translated(None)),
            "SNAT" | "MASQUERADE" | "ACCEPT" => Self::End(End::Accepted),
            _ => Self::Nothing,
        }
    }
}

/// Concatenated intervals: every part of four bytes is within its bounds.
fn parts_within(key: &[u8], first: &[u8], last: &[u8]) -> bool {
    let parts = key.chunks(4).zip(first.chunks(4)).zip(last.chunks(4));
    parts.into_iter().all(|((key, first), last)| (first..=last).contains(&key))
}

fn plain(element: &Element) -> Option<Vec<u8>> {
    attributes(&element.value).find(|part| part.kind == 1).map(|part| part.payload.to_vec())
}

/// Where a translation leads.
fn target(
    registers: &Registers,
    packet: &Packet,
    address: Option<usize>,
    port: Option<usize>,
) -> Option<(IpAddr, u16)> {
    let address = match (address, packet.to) {
        (None, to) => to,
        (Some(at), IpAddr::V4(_)) => <[u8; 4]>::try_from(registers.get(at, 4)?).ok()?.into(),
        (Some(at), IpAddr::V6(_)) => <[u8; 16]>::try_from(registers.get(at, 16)?).ok()?.into(),
    };
    let port = match port {
        None => packet.port,
        Some(at) => u16::from_be_bytes(registers.get(at, 2)?.try_into().ok()?),
    };
    Some((address, port))
}
