//! The watch over the firewall: one background thread hears what other programs do to it, puts back what they took, and
//! keeps what people and scripts look at in iptables' tables.
//!
//! | what | when |
//! | --- | --- |
//! | our own table | rendered again when somebody else deletes of it |
//! | `DOCKER-USER` and the jump to it, see [`user_chain`] | at the daemon's start, and when it is gone |
//! | copies of the host's input rules, see [`policy`] | where published ports obey these: when they change |
//! | the view of published ports in iptables' `nat` tables, see [`view`] | a moment after they changed, and when it is gone |
//!
//! Nothing here is on the way of a container's start: it is told by one write to an eventfd. Who fights with us over the
//! rules gets ever longer pauses between two repairs, so that neither side spins.

mod needed;
mod patience;
mod policy;
mod table;
mod user_chain;
mod view;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags};
use sys::nft::{Family, Heard, NftEvents, NftSocket};

use crate::network::lock;
use crate::reaper::Job;
use crate::{Error, Network, PublishPolicy};
use needed::{Needed, Ports};
use patience::Patience;
use policy::Refused;
pub(crate) use user_chain::jump_first;

/// A program that flushes the rules often loads its own in the next moment.
const PAUSE: Duration = Duration::from_millis(50);
/// The view follows at most so often.
const VIEW_PAUSE: Duration = Duration::from_millis(250);

/// The thread's end that others hold.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    bell: OnceLock<Arc<Bell>>,
}

#[derive(Debug)]
struct Bell {
    fd: OwnedFd,
    /// Bridges or published ports are others than before.
    changed: AtomicBool,
}

// === impl Guard ===

impl Guard {
    /// Bridges or published ports have changed. Costs a microsecond.
    pub(crate) fn changed(&self) {
        if let Some(bell) = self.bell.get()
            && !bell.changed.swap(true, Ordering::AcqRel)
        {
            bell.ring();
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // The thread finds its network gone and ends.
        if let Some(bell) = self.bell.get() {
            bell.ring();
        }
    }
}

impl Bell {
    fn ring(&self) {
        // A counter that is full rings as well.
        let _ = rustix::io::write(&self.fd, &1_u64.to_ne_bytes());
    }

    fn silence(&self) {
        let mut count = [0; 8];
        let _ = rustix::io::read(&self.fd, &mut count);
    }
}

// === impl Network ===

impl Network {
    /// Starts the watch in the caller's network namespace; without a firewall there is nothing to watch. The thread ends
    /// with the last reference to the network.
    pub fn watch(self: &Arc<Self>) -> Result<(), Error> {
        let Some(firewall) = &self.firewall else { return Ok(()) };
        let (table, own) = lock(firewall).identity()?;
        let judged = self.config.publish_policy == PublishPolicy::HostFirewall;
        let started = Thread::open(Arc::downgrade(self), table, own, judged).and_then(|thread| {
            let bell = Arc::clone(&thread.bell);
            std::thread::Builder::new().name("network-guard".to_owned()).spawn(move || thread.work())?;
            Ok(bell)
        });
        let bell = started.map_err(|source| Error::Netlink { action: "watch the firewall", source })?;
        let _ = self.guard.bell.set(bell);
        Ok(())
    }
}

/// Takes away what a daemon that had this table left in other tables. The administrator's chain stays.
pub(crate) fn forget(table: &str) -> io::Result<()> {
    let mut socket = NftSocket::open()?;
    for family in [Family::Ipv4, Family::Ipv6] {
        view::withdraw(&mut socket, family, table)?;
    }
    policy::withdraw(&mut socket, table)
}

struct Thread {
    network: Weak<Network>,
    events: NftEvents,
    /// For what is not our own table. Never closed in between: the kernel waits for all readers of the firewall then.
    socket: NftSocket,
    ports: Ports,
    bell: Arc<Bell>,
    /// What could not be done is told once.
    complained: bool,
    view_due: Option<Instant>,
    patience: Patience,
}

impl Thread {
    fn open(network: Weak<Network>, table: String, own: u32, judged: bool) -> io::Result<Self> {
        let socket = NftSocket::open()?;
        let fd = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let ports = Ports { table, own, guard: socket.port()?, judged };
        let bell = Arc::new(Bell { fd, changed: AtomicBool::new(true) });
        let events = NftEvents::open()?;
        let (complained, view_due, patience) = (false, None, Patience::default());
        Ok(Self { network, events, socket, ports, bell, complained, view_due, patience })
    }

    fn work(mut self) {
        let mut needed = Needed::first();
        loop {
            if self.bell.changed.swap(false, Ordering::AcqRel) {
                needed.view = true;
            }
            // Held only while something is done, so that the network can end.
            let Some(network) = self.network.upgrade() else { return };
            needed = self.tend(&network, needed);
            drop(network);
            self.wait();
            self.bell.silence();
            if self.network.strong_count() == 0 {
                return;
            }
            std::thread::sleep(PAUSE.max(self.patience.pause(Instant::now())));
            self.listen(&mut needed);
        }
    }

    /// Until something has happened, or the view is due.
    fn wait(&self) {
        let timeout = self.view_due.map(|due| due.saturating_duration_since(Instant::now()));
        let timeout = timeout.and_then(|left| rustix::event::Timespec::try_from(left).ok());
        let mut fds =
            [PollFd::from_borrowed_fd(self.events.as_fd(), PollFlags::IN), PollFd::new(&self.bell.fd, PollFlags::IN)];
        // An interrupted wait is an early look.
        let _ = rustix::event::poll(&mut fds, timeout.as_ref());
    }

    /// Takes in what has happened since.
    fn listen(&mut self, needed: &mut Needed) {
        loop {
            match self.events.hear() {
                Ok(Heard::Events(events)) => events.iter().for_each(|event| needed.note(event, &self.ports)),
                Ok(Heard::Lost) => needed.all(),
                Ok(Heard::Nothing) => return,
                Err(error) => {
                    tracing::debug!(%error, "the firewall cannot be watched for a moment");
                    return;
                }
            }
        }
    }

    /// Does what is needed; returns what has to wait.
    fn tend(&mut self, network: &Network, needed: Needed) -> Needed {
        let mut later = Needed::default();
        let mut repaired = Vec::new();
        if needed.table {
            repaired.extend(self.table(network));
        }
        if needed.user_chain {
            repaired.extend(self.user_chains(network, needed.at_start));
        }
        if !repaired.is_empty() && !needed.at_start && self.patience.repaired(Instant::now()) {
            tracing::warn!(
                table = self.ports.table,
                found = repaired.join("; "),
                "another program changed the firewall; what containers need was put back"
            );
        }
        if needed.forward_policy {
            let bridges: Vec<String> = network.bridges().all().map(|bridge| bridge.name.clone()).collect();
            bridges.into_iter().for_each(|bridge| network.reaper.queue(Job::LetThrough(bridge)));
        }
        if needed.host_rules {
            self.policy(network);
        }
        let due = self.view_due.is_none_or(|due| due <= Instant::now());
        if needed.view && due {
            self.view_due = Some(Instant::now() + VIEW_PAUSE);
            self.view(network);
        } else if needed.view {
            later.view = true;
        } else if due {
            self.view_due = None;
        }
        later
    }

    fn table(&mut self, network: &Network) -> Vec<String> {
        network.repair_table().unwrap_or_else(|error| {
            self.complain("render the firewall table", &error);
            Vec::new()
        })
    }

    fn user_chains(&mut self, network: &Network, at_start: bool) -> Vec<String> {
        let mut made = Vec::new();
        for family in network.iptables_families() {
            match user_chain::ensure(&mut self.socket, family, at_start) {
                Ok(false) => {}
                Ok(true) => made.push(format!("{} had no jump to DOCKER-USER", family.as_str())),
                Err(error) => self.complain("make the chain DOCKER-USER", &error),
            }
        }
        made
    }

    /// Published ports obey the host's own rules, as these are now.
    fn policy(&mut self, network: &Network) {
        let done = match network.config.publish_policy {
            PublishPolicy::Docker => policy::withdraw(&mut self.socket, &self.ports.table).map_err(Refused::Io),
            PublishPolicy::HostFirewall => policy::follow(&mut self.socket, &self.ports.table),
        };
        match done {
            Ok(()) => {}
            Err(Refused::Io(error)) => self.complain("copy the host's input rules for published ports", &error),
            Err(Refused::Rule(rule)) => tracing::error!(
                rule,
                "the host's input rules cannot be copied for published ports, which are shut to the outside until that rule is gone"
            ),
        }
    }

    fn view(&mut self, network: &Network) {
        let seen = network.iptables_view();
        for family in [Family::Ipv4, Family::Ipv6] {
            if let Err(error) = view::follow(&mut self.socket, family, &self.ports.table, &seen) {
                self.complain("show published ports in iptables", &error);
            }
        }
    }

    fn complain(&mut self, what: &str, error: &(dyn std::error::Error + 'static)) {
        if std::mem::replace(&mut self.complained, true) {
            tracing::debug!(what, error, "not done");
        } else {
            tracing::warn!(what, error, "not done; told once");
        }
    }
}
