//! The name servers at 127.0.0.11, one for each container on a user's network.
//!
//! `message` reads questions and writes answers, the network room's zone knows the names, `forward` asks the others, and
//! `host` knows whom the host asks.
//! Sockets are inside the container's namespace; a daemon that starts opens new ones.

mod forward;
mod host;
mod message;

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use network::{Network, ResolverSockets, View};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use types::ContainerId;

use forward::Servers;
use host::HostServers;
use message::{Code, Question, Wanted};

/// Questions of one container that wait for other servers at once.
const WAITING: usize = 256;
/// Connections of one container at once.
const CONNECTIONS: usize = 64;
/// How long a connection may be silent.
const SILENCE: Duration = Duration::from_secs(10);
/// The largest message that has a length.
const LARGEST: usize = 65_535;

/// All name servers.
#[derive(Default)]
pub(crate) struct Resolvers {
    table: Mutex<HashMap<ContainerId, Resolver>>,
    host: Arc<HostServers>,
}

/// Whom to ask what nobody here knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Upstream {
    /// Servers that the user named: asked from inside the container's namespace. Empty takes the host's, asked from there.
    pub servers: Vec<IpAddr>,
    /// A network leads to the outside; without one the host's are not asked: nothing leaves that way either.
    pub outside: bool,
    /// The user or the host says how many dots a name has that is asked for as it is (`ndots`). Then one word is for the
    /// search domains, and nobody else is to hear it.
    pub ndots: bool,
}

struct Resolver {
    shared: Arc<Shared>,
    tasks: [AbortHandle; 2],
}

struct Shared {
    network: Arc<Network>,
    host: Arc<HostServers>,
    key: PathBuf,
    seen: Mutex<(View, Upstream)>,
    /// Counts answers, for the order of their addresses.
    turn: AtomicUsize,
    waiting: Semaphore,
}

// === impl Resolvers ===

impl Resolvers {
    /// Lets a name server answer on these sockets. Must be called inside a tokio runtime.
    pub(crate) fn serve(
        &self,
        container: &ContainerId,
        network: &Arc<Network>,
        key: PathBuf,
        sockets: ResolverSockets,
        (view, upstream): (View, Upstream),
    ) -> std::io::Result<()> {
        let shared = Arc::new(Shared {
            network: Arc::clone(network),
            host: Arc::clone(&self.host),
            key,
            seen: Mutex::new((view, upstream)),
            turn: AtomicUsize::new(0),
            waiting: Semaphore::new(WAITING),
        });
        let (udp, tcp) = (UdpSocket::from_std(sockets.udp)?, TcpListener::from_std(sockets.tcp)?);
        let tasks = [
            tokio::spawn(datagrams(Arc::clone(&shared), Arc::new(udp))).abort_handle(),
            tokio::spawn(connections(Arc::clone(&shared), tcp)).abort_handle(),
        ];
        self.lock().insert(container.clone(), Resolver { shared, tasks });
        Ok(())
    }

    /// Tells a name server what its container sees now; `false` when there is none.
    pub(crate) fn show(&self, container: &ContainerId, view: View, upstream: Upstream) -> bool {
        let table = self.lock();
        let Some(resolver) = table.get(container) else { return false };
        *lock(&resolver.shared.seen) = (view, upstream);
        true
    }

    /// Ends a name server; none is fine.
    pub(crate) fn close(&self, container: &ContainerId) {
        self.lock().remove(container);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ContainerId, Resolver>> {
        lock(&self.table)
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// No panic leaves these values half-changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Shared ===

impl Shared {
    /// The answer this engine has itself.
    fn answer(&self, question: &Question, datagram: bool) -> Option<Vec<u8>> {
        let seen = lock(&self.seen);
        let view = &seen.0;
        match &question.wanted {
            Wanted::Ipv4(name) | Wanted::Ipv6(name) | Wanted::Any(name) | Wanted::Other(name) => {
                let mut addresses = self.network.with_zone(|zone| zone.addresses(view, name))?;
                addresses.retain(|address| question.takes(*address));
                if addresses.len() > 1 {
                    let turn = self.turn.fetch_add(1, Ordering::Relaxed) % addresses.len();
                    addresses.rotate_left(turn);
                }
                // Of another kind there is nothing, and nobody outside is to hear the name.
                Some(question.addresses(&addresses, datagram))
            }
            Wanted::Name(address) => {
                let owner = self.network.with_zone(|zone| zone.owner(view, *address))?;
                Some(question.name(&owner, datagram))
            }
        }
    }

    /// What others say.
    async fn ask_others(&self, question: &Question, message: &[u8], datagram: bool) -> Vec<u8> {
        let upstream = lock(&self.seen).1.clone();
        let failed = || question.empty(Code::Failed);
        if upstream.ndots && question.is_bare() {
            return question.empty(Code::Fine);
        }
        let host = match (upstream.servers.is_empty(), upstream.outside) {
            (true, false) => return failed(),
            (true, true) => self.host.now(),
            (false, _) => Arc::default(),
        };
        let servers = match &*host {
            // Whom these reach, the container reaches itself.
            [] => Servers::Named(&upstream.servers, &self.key),
            host => Servers::Host(host),
        };
        let Ok(_place) = self.waiting.try_acquire() else { return failed() };
        let datagram = datagram.then(|| question.size());
        forward::ask(&self.network, servers, message, datagram).await.unwrap_or_else(failed)
    }
}

async fn datagrams(shared: Arc<Shared>, socket: Arc<UdpSocket>) {
    let mut buffer = vec![0; 4096];
    loop {
        let Ok((length, peer)) = socket.recv_from(&mut buffer).await else {
            // An asker that is gone already: the kernel tells by the next call.
            continue;
        };
        let question = match Question::parse(&buffer[..length]) {
            Ok(question) => question,
            Err(refusal) => {
                if let Some(refusal) = refusal {
                    let _ = socket.send_to(&refusal, peer).await;
                }
                continue;
            }
        };
        if let Some(answer) = shared.answer(&question, true) {
            let _ = socket.send_to(&answer, peer).await;
            continue;
        }
        let (shared, socket, message) = (Arc::clone(&shared), Arc::clone(&socket), buffer[..length].to_vec());
        tokio::spawn(async move {
            let answer = shared.ask_others(&question, &message, true).await;
            let _ = socket.send_to(&answer, peer).await;
        });
    }
}

async fn connections(shared: Arc<Shared>, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors: others must end first.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let _place = place;
            // Whoever breaks the protocol is left alone.
            let _ = converse(&shared, stream).await;
        });
    }
}

async fn converse(shared: &Shared, mut stream: TcpStream) -> std::io::Result<()> {
    loop {
        let Ok(length) = timeout(SILENCE, stream.read_u16()).await else { return Ok(()) };
        let mut message = vec![0; usize::from(length?)];
        timeout(SILENCE, stream.read_exact(&mut message)).await??;
        let answer = match Question::parse(&message) {
            Err(None) => return Ok(()),
            Err(Some(refusal)) => refusal,
            Ok(question) => match shared.answer(&question, false) {
                Some(answer) => answer,
                None => shared.ask_others(&question, &message, false).await,
            },
        };
        let length = u16::try_from(answer.len().min(LARGEST)).unwrap_or(u16::MAX);
        let framed = [&length.to_be_bytes()[..], &answer].concat();
        timeout(SILENCE, stream.write_all(&framed)).await??;
    }
}
