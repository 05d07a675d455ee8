//! Other programs' `FORWARD` chain.
//!
//! Docker's daemon and ufw let their iptables chains drop what nobody accepted, which no table of ours can overrule, and
//! containers would silently have no way out. So two rules are put near the head of such a chain, behind the jump to
//! `DOCKER-USER`, for our bridge only and only while its policy is DROP; what may come in is decided by our own table. The policy is never changed.
//! A chain of the old iptables backend, and firewalld's zones, are out of sight here: there the administrator adds the
//! bridge by hand.

use std::io;

use sys::nft::{Batch, Comparison, Expression, Family, Key, NftSocket, Verdict};

use crate::firewall::device;
use crate::guard::jump_first;

/// Where iptables' nf_tables backend keeps the chain.
const TABLE: &str = "filter";
const CHAIN: &str = "FORWARD";
/// Beginning of the comment of our rules; the bridge follows.
pub(crate) const COMMENT: &str = "gantry: ";
const FAMILIES: [Family; 2] = [Family::Ipv4, Family::Ipv6];

/// Adds the rules if the chain drops and lacks them. Returns whether it did.
pub(crate) fn let_through(socket: &mut NftSocket, bridge: &str) -> io::Result<bool> {
    let mut done = false;
    for family in FAMILIES {
        done |= let_family_through(socket, family, bridge)?;
    }
    Ok(done)
}

fn let_family_through(socket: &mut NftSocket, family: Family, bridge: &str) -> io::Result<bool> {
    if socket.chain_drops(family, TABLE, CHAIN)? != Some(true) {
        return Ok(false);
    }
    let comment = comment_of(bridge);
    let present = socket.rules(Some((family, TABLE, Some(CHAIN))))?;
    if present.iter().any(|rule| rule.comment() == Some(&comment)) {
        return Ok(false);
    }
    let mut batch = Batch::new(family, TABLE);
    for key in [Key::InputDevice, Key::OutputDevice] {
        let accept = [Expression::Counter, Expression::Verdict(Verdict::Accept)];
        let rule = [&device(key, Comparison::Equal, bridge)[..], &accept].concat();
        batch.insert_rule(CHAIN, &rule, &comment);
    }
    // What the administrator drops must not pass by these.
    jump_first(&mut batch, &present);
    socket.send(batch).map(|()| true)
}

/// Takes the rules back. Returns whether there were any.
pub(crate) fn withdraw(socket: &mut NftSocket, bridge: &str) -> io::Result<bool> {
    let comment = comment_of(bridge);
    let mut done = false;
    for family in FAMILIES {
        let present = socket.rules(Some((family, TABLE, Some(CHAIN))))?;
        let mut batch = Batch::new(family, TABLE);
        for rule in present.iter().filter(|rule| rule.comment() == Some(&comment)) {
            batch.delete_rule(CHAIN, rule.handle);
        }
        done |= !batch.is_empty();
        socket.send(batch)?;
    }
    Ok(done)
}

fn comment_of(bridge: &str) -> String {
    format!("{COMMENT}{bridge}")
}
