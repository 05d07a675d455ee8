//! The administrator's own chain: `DOCKER-USER` in iptables' `filter` tables, seen before all that lets containers
//! through.
//!
//! It is only made, with a jump to it at the head of `FORWARD`; its rules are the administrator's and outlive daemons.
//! A packet that is dropped there is gone, whatever our own table says. It is empty at first: what a rule appends works
//! as well as what it inserts. Tables of the old iptables backend (`iptables-legacy`) are out of sight.

use std::io;

use sys::nft::{Batch, ChainKind, Expression, Family, Hook, NftSocket, Outcome, Place, RawRule, Rule, Step, steps};

use crate::forward_chain;

/// Where iptables' nf_tables backend keeps the chains.
const TABLE: &str = "filter";
const CHAIN: &str = "FORWARD";
const USER_CHAIN: &str = "DOCKER-USER";

/// Makes chain and jump where they are missing. `first`: the jump is moved to the head even when it is somewhere else.
/// Returns whether something was done.
pub(super) fn ensure(socket: &mut NftSocket, family: Family, first: bool) -> io::Result<bool> {
    let rules = socket.rules(Some((family, TABLE, Some(CHAIN))))?;
    let jump = rules.iter().position(jumps);
    // What lets a bridge through must come behind it, or a drop there would be passed by.
    let passed = jump.is_some_and(|jump| rules[..jump].iter().any(lets_a_bridge_through));
    if jump == Some(0) || (jump.is_some() && !first && !passed) {
        return Ok(false);
    }
    let chains = socket.chains()?;
    let has = |name: &str| chains.iter().any(|one| one.family == family && one.table == TABLE && one.name == name);
    let mut batch = Batch::new(family, TABLE);
    batch.add_table();
    if !has(CHAIN) {
        batch.add_new_chain(CHAIN, ChainKind::Filter, Hook::Forward, 0);
    }
    if !has(USER_CHAIN) {
        batch.add_plain_chain(USER_CHAIN);
    }
    put_jump_first(&mut batch, &rules);
    match socket.send(batch) {
        // Somebody was faster with the chain, or took a rule away: what it is now is told by an event.
        Err(error) if matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound) => Ok(false),
        sent => sent.map(|()| true),
    }
}

/// For who puts rules before all others of the `FORWARD` chain, which has these now: the jump, if there is one, comes
/// before them in the same transaction.
pub(crate) fn jump_first(batch: &mut Batch<'_>, present: &[Rule]) {
    if present.iter().any(jumps) {
        put_jump_first(batch, present);
    }
}

fn put_jump_first(batch: &mut Batch<'_>, present: &[Rule]) {
    for jump in present.iter().filter(|rule| jumps(rule)) {
        batch.delete_rule(CHAIN, jump.handle);
    }
    let jump = RawRule::of(&[Expression::Counter, Expression::Jump(USER_CHAIN.to_owned())]);
    batch.add_raw_rule(CHAIN, &jump, Place::First);
}

/// Nothing but the jump.
fn jumps(rule: &Rule) -> bool {
    let steps = steps(&rule.raw);
    let rest = steps.split_last();
    rest.is_some_and(|(last, others)| {
        *last == Step::Verdict(Outcome::Jump(USER_CHAIN.to_owned())) && others.iter().all(|step| *step == Step::Passes)
    })
}

/// One of `forward_chain`'s.
fn lets_a_bridge_through(rule: &Rule) -> bool {
    rule.comment().is_some_and(|comment| comment.starts_with(forward_chain::COMMENT))
}
