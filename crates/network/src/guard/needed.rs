//! What has to be looked after, judged by what the kernel says was changed. Pure.

use sys::nft::{Family, NftEvent, NftObject};

use crate::firewall::FAMILY;

/// Who we are, so that our own changes are known.
#[derive(Clone, Debug)]
pub(super) struct Ports {
    /// Name of our table.
    pub(super) table: String,
    /// The socket that changes it.
    pub(super) own: u32,
    /// The socket of the watch itself.
    pub(super) guard: u32,
    /// Published ports obey the host's own rules.
    pub(super) judged: bool,
}

/// What has to be looked after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Needed {
    /// Our own table.
    pub(super) table: bool,
    /// `DOCKER-USER`.
    pub(super) user_chain: bool,
    /// Whether a foreign `FORWARD` chain lets our bridges through.
    pub(super) forward_policy: bool,
    /// Copies of the host's input rules.
    pub(super) host_rules: bool,
    /// What iptables shows.
    pub(super) view: bool,
    /// The daemon has just started.
    pub(super) at_start: bool,
}

// === impl Needed ===

impl Needed {
    /// What a daemon does that starts: the table is rendered already.
    pub(super) fn first() -> Self {
        Self { user_chain: true, view: true, host_rules: true, at_start: true, ..Self::default() }
    }

    /// Anything may have happened.
    pub(super) fn all(&mut self) {
        let at_start = self.at_start;
        *self = Self { table: true, user_chain: true, forward_policy: true, host_rules: true, view: true, at_start };
    }

    pub(super) fn note(&mut self, event: &NftEvent, ports: &Ports) {
        if event.by == ports.own || event.by == ports.guard {
            return;
        }
        if event.family == FAMILY && event.table == ports.table {
            self.table |= event.deleted;
            return;
        }
        // Our copies, too, when somebody deletes them.
        let ours = event.table.starts_with(&ports.table);
        self.host_rules |= ports.judged && (ours || !event.table.starts_with("gantry_"));
        if !matches!(event.family, Family::Ipv4 | Family::Ipv6) {
            return;
        }
        match event.table.as_str() {
            "filter" if event.deleted => self.user_chain = true,
            // A policy was set.
            "filter" => self.forward_policy |= event.what == NftObject::Chain,
            "nat" => self.view |= event.deleted,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_others_delete_is_looked_after() {
        let ports = Ports { table: "gantry_br0".to_owned(), own: 7, guard: 8, judged: false };
        let event = |deleted, family, table: &str, by| NftEvent {
            deleted,
            what: NftObject::Chain,
            family,
            table: table.to_owned(),
            by,
        };
        let needed = |event: NftEvent| {
            let mut needed = Needed::default();
            needed.note(&event, &ports);
            needed
        };
        let nothing = Needed::default();
        assert_eq!(needed(event(true, FAMILY, "gantry_br0", 9)), Needed { table: true, ..nothing });
        for event in [
            event(true, FAMILY, "gantry_br0", 7),
            event(false, FAMILY, "gantry_br0", 9),
            event(true, FAMILY, "gantry_br1", 9),
            event(true, Family::Ipv4, "filter", 8),
            event(true, Family::Inet, "filter", 9),
            event(false, Family::Ipv4, "nat", 9),
        ] {
            assert_eq!(needed(event.clone()), nothing, "{event:?}");
        }
        assert_eq!(needed(event(true, Family::Ipv4, "filter", 9)), Needed { user_chain: true, ..nothing });
        assert_eq!(needed(event(false, Family::Ipv6, "filter", 9)), Needed { forward_policy: true, ..nothing });
        assert_eq!(needed(event(true, Family::Ipv4, "nat", 9)), Needed { view: true, ..nothing });
    }
}
