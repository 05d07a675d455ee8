//! What is slow and can wait: done in one background thread, in order.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use sys::conntrack::{ConntrackSocket, Tuple};
use sys::netlink::RouteSocket;
use sys::netns;
use sys::nft::NftSocket;

use crate::gone::or_gone;
use crate::publish::Published;
use crate::{Error, Protocol, forward_chain};

/// A piece of work.
#[derive(Debug)]
pub(crate) enum Job {
    /// Take a namespace's pin away.
    Unpin(PathBuf),
    /// Delete a device that no record names.
    DeleteDevice(u32),
    /// See that a foreign firewall lets this bridge's packets through.
    LetThrough(String),
    /// Take that back: the bridge is gone.
    Withdraw(String),
    /// Forget where the kernel sends the datagrams of UDP ports that were published, or are no longer: a flow keeps its
    /// target as long as somebody goes on sending.
    ForgetFlows {
        /// The UDP ports.
        published: Vec<Published>,
        /// Flows that lead to these containers: `true`, only these; `false`, all others.
        theirs: bool,
    },
}

/// The thread; dropping it waits for what was queued.
#[derive(Debug)]
pub(crate) struct Reaper {
    queue: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Reaper {
    /// Starts the thread in the caller's network namespace. `pins` is given up at the end, unless namespaces live on.
    pub(crate) fn start(pins: PathBuf) -> Result<Self, Error> {
        Self::try_start(pins).map_err(|source| Error::Netlink { action: "start the background thread", source })
    }

    fn try_start(pins: PathBuf) -> io::Result<Self> {
        let (queue, jobs) = channel();
        let route = RouteSocket::open()?;
        let thread = std::thread::Builder::new().name("network-reaper".to_owned());
        let thread = thread.spawn(move || {
            work(&jobs, route);
            if let Err(error) = netns::release_pin_directory(&pins) {
                tracing::debug!(%error, "the directory of pins stays mounted");
            }
        })?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    pub(crate) fn queue(&self, job: Job) {
        if let Some(queue) = &self.queue {
            // The thread ends only after this side.
            let _ = queue.send(job);
        }
    }

    /// Queues [`Job::ForgetFlows`] for the UDP ports among these.
    pub(crate) fn forget_flows(&self, published: &[Published], theirs: bool) {
        let udp = |published: &Published| published.binding.protocol == Protocol::Udp;
        let published: Vec<_> = published.iter().copied().filter(udp).collect();
        if !published.is_empty() {
            self.queue(Job::ForgetFlows { published, theirs });
        }
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Opened when first needed, for a machine without netfilter; never closed in between, because the kernel waits for
/// all readers of the firewall then and keeps other transactions waiting.
#[derive(Default)]
struct Sockets {
    nft: Option<NftSocket>,
    conntrack: Option<ConntrackSocket>,
}

fn work(jobs: &Receiver<Job>, mut route: RouteSocket) {
    let mut sockets = Sockets::default();
    for job in jobs {
        let done = match &job {
            Job::Unpin(path) => netns::unpin(path),
            Job::DeleteDevice(index) => or_gone(route.delete_link(*index)),
            Job::LetThrough(bridge) => sockets.let_through(bridge),
            Job::Withdraw(bridge) => sockets.withdraw(bridge),
            Job::ForgetFlows { published, theirs } => sockets.forget_flows(published, *theirs),
        };
        if let Err(error) = done {
            tracing::warn!(?job, %error, "background work on the network failed");
        }
    }
}

impl Sockets {
    fn nft(&mut self) -> io::Result<&mut NftSocket> {
        match &mut self.nft {
            Some(socket) => Ok(socket),
            empty => Ok(empty.insert(NftSocket::open()?)),
        }
    }

    fn withdraw(&mut self, bridge: &str) -> io::Result<()> {
        if forward_chain::withdraw(self.nft()?, bridge)? {
            tracing::debug!(bridge, "the rules for a bridge that is gone were taken from the FORWARD chain");
        }
        Ok(())
    }

    fn let_through(&mut self, bridge: &str) -> io::Result<()> {
        let socket = self.nft()?;
        if forward_chain::let_through(socket, bridge)? {
            tracing::info!(bridge, "the machine's FORWARD chain drops by default; containers were let through");
        }
        Ok(())
    }

    fn forget_flows(&mut self, published: &[Published], theirs: bool) -> io::Result<()> {
        let stale = |original: Tuple, reply: Tuple| {
            published.iter().any(|Published { binding, container, .. }| {
                binding.protocol.number() == original.protocol
                    && binding.host_port == original.destination_port
                    && (binding.host_ip.is_unspecified() || binding.host_ip == original.destination)
                    && (*container == reply.source) == theirs
            })
        };
        let socket = match &mut self.conntrack {
            Some(socket) => socket,
            empty => empty.insert(ConntrackSocket::open()?),
        };
        let forgotten = socket.forget(stale)?;
        tracing::debug!(forgotten, "UDP flows of published ports forgotten");
        Ok(())
    }
}
