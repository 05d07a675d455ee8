//! Other programs' `FORWARD` chain.
//!
//! Docker's daemon and ufw let their iptables chain drop what nobody accepted, which no table of ours can overrule, and
//! containers would silently have no way out. So two rules are put at the head of that chain, for our bridge only and
//! only while its policy is DROP; what may come in is decided by our own table. The policy is never changed.
//! A chain of the old iptables backend, and firewalld's zones, are out of sight here: there the administrator adds the
//! bridge by hand.

use std::io;

use sys::nft::{Batch, Comparison, Expression, Family, Key, NftSocket, Verdict};

use crate::firewall::device;

/// Where iptables' nf_tables backend keeps the chain.
const TABLE: &str = "filter";
const CHAIN: &str = "FORWARD";

/// Adds the rules if the chain drops and lacks them. Returns whether it did.
pub(crate) fn let_through(socket: &mut NftSocket, bridge: &str) -> io::Result<bool> {
    if socket.chain_drops(TABLE, CHAIN)? != Some(true) {
        return Ok(false);
    }
    let comment = format!("gantry: {bridge}");
    if socket.count_rules(TABLE, CHAIN, &comment)? > 0 {
        return Ok(false);
    }
    let mut batch = Batch::new(Family::Ipv4, TABLE);
    for key in [Key::InputDevice, Key::OutputDevice] {
        let accept = [Expression::Counter, Expression::Verdict(Verdict::Accept)];
        let rule = [&device(key, Comparison::Equal, bridge)[..], &accept].concat();
        batch.insert_rule(CHAIN, &rule, &comment);
    }
    socket.send(batch).map(|()| true)
}

/// Takes the rules back. Returns whether there were any.
pub(crate) fn withdraw(socket: &mut NftSocket, bridge: &str) -> io::Result<bool> {
    Ok(socket.delete_rules(TABLE, CHAIN, &format!("gantry: {bridge}"))? > 0)
}
