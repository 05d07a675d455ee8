//! Published ports under the host's own input rules (`--publish-policy host-firewall`).
//!
//! A packet to a published port is translated before the host's input rules would see it. So those rules are copied to
//! where they do: every base chain at the hook `input` of every other table, with all chains it leads to and the sets
//! these look into, into tables of ours (`<table>_of_<name>`), at the hook `prerouting`. A chain of our own table marks
//! who is to be judged (new connections from outside to a published port, by the packet's priority); a judge lets pass
//! or drops; the last table (`<table>_passed`) takes the mark away, and whoever still has it is dropped by our own
//! table. So where the copies are missing, or could not be made, published ports are shut to the outside.
//!
//! Rules that refuse a packet with an answer drop it here. Tables of the old iptables backend are out of sight.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use sys::nft::{
    Batch, Chain, ChainKind, Comparison, Element, Expression, Family, Hook, Key, NftSocket, Outcome, Place, RawRule,
    Register, Rule, Set, Step, Verdict, steps, verdict,
};

use crate::firewall::PENDING;

/// Between who marks and who shuts.
const JUDGE: i32 = -103;
const PASS: i32 = -102;

/// What could not be copied: named for the log.
#[derive(Debug)]
pub(super) enum Refused {
    /// The kernel does not take this at the hook, or it refers to something that is not copied.
    Rule(String),
    /// Something else.
    Io(io::Error),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// One table of somebody else, as far as its input chains reach.
struct Copy {
    family: Family,
    /// Of the copy.
    name: String,
    bases: Vec<Chain>,
    chains: BTreeSet<String>,
    rules: Vec<Rule>,
    sets: Vec<(Set, Vec<Element>)>,
}

/// Copies the host's rules anew; on failure published ports stay shut to the outside.
pub(super) fn follow(socket: &mut NftSocket, owner: &str) -> Result<(), Refused> {
    let chains = socket.chains()?;
    let stale = stale(&chains, owner);
    let mut copies = Vec::new();
    for (family, table) in sources(&chains) {
        match Copy::read(socket, &chains, (family, &table), owner) {
            Ok(copy) => copies.push(copy),
            Err(refused) => {
                shut(socket, &stale)?;
                return Err(refused);
            }
        }
    }
    let passed = format!("{owner}_passed");
    let mut all = Batch::new(Family::Inet, &passed);
    for (family, table) in &stale {
        let mut gone = Batch::new(*family, table);
        gone.add_table().delete_table();
        all.join(gone);
    }
    for copy in &copies {
        all.join(copy.batch());
    }
    all.add_table().add_chain("passed", ChainKind::Filter, Hook::Prerouting, PASS);
    all.add_rule("passed", &[&pending()[..], &[Expression::SetPriority(0)]].concat());
    match socket.send(all) {
        Ok(()) => Ok(()),
        Err(error) => {
            shut(socket, &stale)?;
            Err(blame(socket, &copies).map_or(Refused::Io(error), Refused::Rule))
        }
    }
}

/// Takes all copies away.
pub(super) fn withdraw(socket: &mut NftSocket, owner: &str) -> io::Result<()> {
    let chains = socket.chains()?;
    shut(socket, &stale(&chains, owner))
}

fn shut(socket: &mut NftSocket, stale: &[(Family, String)]) -> io::Result<()> {
    for (family, table) in stale {
        let mut gone = Batch::new(*family, table);
        gone.add_table().delete_table();
        socket.send(gone)?;
    }
    Ok(())
}

/// Our tables of an earlier copy.
fn stale(chains: &[Chain], owner: &str) -> Vec<(Family, String)> {
    let ours = [format!("{owner}_of_"), format!("{owner}_passed")];
    let own = chains.iter().filter(|chain| ours.iter().any(|start| chain.table.starts_with(start)));
    own.map(|chain| (chain.family, chain.table.clone())).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Others' tables that judge what comes to this machine.
fn sources(chains: &[Chain]) -> BTreeSet<(Family, String)> {
    let judges = chains.iter().filter(|chain| !chain.table.starts_with("gantry_") && is_judge(chain));
    judges.map(|chain| (chain.family, chain.table.clone())).collect()
}

fn is_judge(chain: &Chain) -> bool {
    chain.base.is_some_and(|base| base.hook == Hook::Input && base.kind == Some(ChainKind::Filter))
}

/// The packet is to be judged.
fn pending() -> Vec<Expression> {
    vec![
        Expression::Load(Key::Priority, Register(0)),
        Expression::Compare(Register(0), Comparison::Equal, PENDING.to_ne_bytes().to_vec()),
    ]
}

// === impl Copy ===

impl Copy {
    fn read(
        socket: &mut NftSocket,
        chains: &[Chain],
        (family, table): (Family, &str),
        owner: &str,
    ) -> Result<Self, Refused> {
        let own = chains.iter().filter(|chain| chain.family == family && chain.table == table && is_judge(chain));
        let mut bases: Vec<Chain> = own.cloned().collect();
        bases.sort_by_key(|chain| chain.base.map_or(0, |base| base.priority));
        let mut rules: BTreeMap<String, Vec<Rule>> = BTreeMap::new();
        for rule in socket.rules(Some((family, table, None)))? {
            rules.entry(rule.chain.clone()).or_default().push(rule);
        }
        let known = socket.sets(family, table)?;
        let mut copy = Self {
            family,
            name: format!("{owner}_of_{table}"),
            bases,
            chains: BTreeSet::new(),
            rules: Vec::new(),
            sets: Vec::new(),
        };
        let mut next: Vec<String> = copy.bases.iter().map(|chain| chain.name.clone()).collect();
        while let Some(chain) = next.pop() {
            if !copy.chains.insert(chain.clone()) {
                continue;
            }
            for rule in rules.remove(&chain).unwrap_or_default() {
                for step in steps(&rule.raw) {
                    match step {
                        Step::Verdict(Outcome::Jump(to) | Outcome::Goto(to)) => next.push(to),
                        Step::Lookup { set, .. } => next.extend(copy.take_set(socket, &known, &set)?),
                        Step::Other(name) if matches!(name.as_str(), "objref" | "dynset") => {
                            return Err(Refused::Rule(describe(&rule)));
                        }
                        _ => {}
                    }
                }
                copy.rules.push(rule);
            }
        }
        Ok(copy)
    }

    /// Takes a set in; returns the chains that its values lead to.
    fn take_set(&mut self, socket: &mut NftSocket, known: &[Set], name: &str) -> io::Result<Vec<String>> {
        if self.sets.iter().any(|(set, _)| set.name == name) {
            return Ok(Vec::new());
        }
        let Some(set) = known.iter().find(|set| set.name == name) else { return Ok(Vec::new()) };
        let elements = socket.elements(set.family, &set.table, name)?;
        let led = elements.iter().filter_map(|element| match verdict(&element.value) {
            Some(Outcome::Jump(to) | Outcome::Goto(to)) => Some(to),
            _ => None,
        });
        let led = led.collect();
        self.sets.push((set.clone(), elements));
        Ok(led)
    }

    fn batch(&self) -> Batch<'_> {
        let mut batch = self.frame();
        for rule in &self.rules {
            batch.add_raw_rule(&rule.chain, &fitted(rule), Place::Last);
        }
        for (number, base) in self.bases.iter().enumerate() {
            let judge = format!("judge {number}");
            batch.add_chain(&judge, ChainKind::Filter, Hook::Prerouting, JUDGE);
            batch.add_rule(&judge, &[&pending()[..], &[Expression::Jump(base.name.clone())]].concat());
            if base.base.is_some_and(|base| base.drops) {
                batch.add_rule(&judge, &[&pending()[..], &[Expression::Verdict(Verdict::Drop)]].concat());
            }
        }
        batch
    }

    /// All but the rules.
    fn frame(&self) -> Batch<'_> {
        let mut batch = Batch::new(self.family, &self.name);
        batch.add_table().delete_table().add_table();
        for chain in &self.chains {
            batch.add_plain_chain(chain);
        }
        for (set, elements) in &self.sets {
            batch.copy_set(set, elements);
        }
        batch
    }
}

/// The rule as the hook `prerouting` takes it.
fn fitted(rule: &Rule) -> RawRule {
    let mut protocol = None;
    let mut load = false;
    for step in steps(&rule.raw) {
        match step {
            Step::Load { source, .. } => load = source == sys::nft::Source::Meta(L4_PROTOCOL),
            Step::Compare { operator: 0, data, .. } if load => protocol = data.first().copied().map(u32::from),
            _ => {}
        }
    }
    let refuses =
        |step: &Step| matches!(step, Step::Reject) || matches!(step, Step::Target(name, _) if name == "REJECT");
    let drop = RawRule::of(&[Expression::Verdict(Verdict::Drop)]).expressions;
    RawRule { expressions: rule.raw.replaced(refuses, &drop), protocol, user_data: Vec::new() }
}

/// `NFT_META_L4PROTO`.
const L4_PROTOCOL: u32 = 16;

/// The first rule that the kernel does not take, in words.
fn blame(socket: &mut NftSocket, copies: &[Copy]) -> Option<String> {
    for copy in copies {
        for rule in &copy.rules {
            let mut trial = copy.frame();
            trial.add_raw_rule(&rule.chain, &fitted(rule), Place::Last);
            // All in one transaction: nothing of the trial stays.
            trial.delete_table();
            if socket.send(trial).is_err() {
                return Some(describe(rule));
            }
        }
    }
    None
}

fn describe(rule: &Rule) -> String {
    let words = steps(&rule.raw).into_iter().filter_map(|step| match step {
        Step::Match(name, _) | Step::Target(name, _) | Step::Other(name) => Some(name),
        _ => None,
    });
    let words = words.collect::<Vec<_>>().join(", ");
    let (family, Rule { table, chain, handle, .. }) = (rule.family.as_str(), rule);
    if words.is_empty() {
        format!("rule {handle} of {family} {table} {chain}")
    } else {
        format!("rule {handle} of {family} {table} {chain} ({words})")
    }
}
