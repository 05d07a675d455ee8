//! The relay: carries connections and datagrams of published ports where the kernel cannot translate them, from IPv6 to
//! a container that has IPv4 only, from `::1`, and without the firewall.
//!
//! All ports share one thread. Containers see the host's own address on their network as the other side.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::Protocol;

/// Connections of one port at once, and askers of one UDP port.
const AT_ONCE: usize = 1024;
/// How long a container may take to accept.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the answer to a datagram is waited for, as conntrack does for a stream of them.
const SILENCE: Duration = Duration::from_secs(120);
/// The largest datagram.
const LARGEST: usize = 65_536;
/// Datagrams of one asker that wait to be sent on.
const QUEUED: usize = 64;

/// The thread; it ends, and with it all that is carried, when this is dropped.
#[derive(Debug)]
pub(crate) struct Relay {
    runtime: Handle,
    _end: oneshot::Sender<()>,
}

/// A port that is being relayed, until this is dropped, which waits until the socket is closed; what is under way then
/// is cut.
#[derive(Debug)]
pub(crate) struct Relayed {
    task: AbortHandle,
    /// Closed when the task is gone with all that it held.
    gone: std::sync::mpsc::Receiver<()>,
}

impl Relay {
    pub(crate) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (end, ended) = oneshot::channel::<()>();
        let handle = runtime.handle().clone();
        std::thread::Builder::new().name("port-relay".to_owned()).spawn(move || {
            // The sender is never used: that it is gone is the message.
            let _ = runtime.block_on(ended);
        })?;
        Ok(Self { runtime: handle, _end: end })
    }

    /// Carries what comes to a bound socket, listening where it is TCP's, to a container.
    pub(crate) fn serve(&self, protocol: Protocol, socket: OwnedFd, target: SocketAddr) -> io::Result<Relayed> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        let _inside = self.runtime.enter();
        let (held, gone) = std::sync::mpsc::channel::<()>();
        let task = match protocol {
            Protocol::Tcp => {
                let listener = TcpListener::from_std(socket.into())?;
                self.runtime.spawn(async move {
                    let _held = held;
                    connections(listener, target).await;
                })
            }
            Protocol::Udp => {
                let socket = Arc::new(UdpSocket::from_std(socket.into())?);
                self.runtime.spawn(async move {
                    let _held = held;
                    datagrams(socket, target).await;
                })
            }
            // No kernel gives it to the likes of us by a plain socket.
            Protocol::Sctp => return Err(io::ErrorKind::Unsupported.into()),
        };
        Ok(Relayed { task: task.abort_handle(), gone })
    }
}

impl Relayed {
    /// Ends it; dropping it waits for that. Who ends many asks all of them first.
    pub(crate) fn end(&self) {
        self.task.abort();
    }
}

impl Drop for Relayed {
    fn drop(&mut self) {
        self.end();
        // Nobody ever sends: it ends when the task's own end is dropped. Never from inside the relay's thread.
        let _ = self.gone.recv();
    }
}

async fn connections(listener: TcpListener, target: SocketAddr) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    // Dropped, and so ended, with this.
    let mut carried = tokio::task::JoinSet::new();
    loop {
        while carried.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((outer, _)) => {
                carried.spawn(async move {
                    let _place = place;
                    if let Err(error) = connection(outer, target).await {
                        tracing::debug!(%target, %error, "a relayed connection ended");
                    }
                });
            }
            // Out of descriptors: others must end first.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn connection(mut outer: TcpStream, target: SocketAddr) -> io::Result<()> {
    let mut inner = timeout(PATIENCE, TcpStream::connect(target)).await??;
    outer.set_nodelay(true)?;
    inner.set_nodelay(true)?;
    copy_bidirectional(&mut outer, &mut inner).await.map(drop)
}

/// Every asker has a socket of its own towards the container, so that answers find their way back.
async fn datagrams(outer: Arc<UdpSocket>, target: SocketAddr) {
    let mut askers: HashMap<SocketAddr, mpsc::Sender<Vec<u8>>> = HashMap::new();
    let mut carried = tokio::task::JoinSet::new();
    let mut buffer = vec![0; LARGEST];
    loop {
        while carried.try_join_next().is_some() {}
        // What the kernel tells of an asker that is gone comes as an error of the next call.
        let Ok((length, asker)) = outer.recv_from(&mut buffer).await else { continue };
        if askers.len() >= AT_ONCE {
            askers.retain(|_, queue| !queue.is_closed());
        }
        let datagram = buffer[..length].to_vec();
        let refused = match askers.get(&asker) {
            Some(queue) => match queue.try_send(datagram) {
                Err(mpsc::error::TrySendError::Closed(datagram)) => datagram,
                // Lost, as datagrams are when somebody sends too many.
                _ => continue,
            },
            None if askers.len() >= AT_ONCE => continue,
            None => datagram,
        };
        let (queue, waiting) = mpsc::channel(QUEUED);
        // Empty and new: there is room.
        let _ = queue.try_send(refused);
        askers.insert(asker, queue);
        carried.spawn(conversation(Arc::clone(&outer), asker, target, waiting));
    }
}

async fn conversation(
    outer: Arc<UdpSocket>,
    asker: SocketAddr,
    target: SocketAddr,
    mut waiting: mpsc::Receiver<Vec<u8>>,
) {
    let own: SocketAddr =
        if target.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let Ok(inner) = UdpSocket::bind(own).await else { return };
    if inner.connect(target).await.is_err() {
        return;
    }
    let mut buffer = vec![0; LARGEST];
    loop {
        let sent = tokio::select! {
            datagram = waiting.recv() => match datagram {
                Some(datagram) => inner.send(&datagram).await,
                None => return,
            },
            answer = timeout(SILENCE, inner.recv(&mut buffer)) => match answer {
                Ok(Ok(length)) => outer.send_to(&buffer[..length], asker).await,
                // Nobody listens there, yet; the next datagram may find somebody.
                Ok(Err(_)) => continue,
                Err(_) => return,
            },
        };
        if let Err(error) = sent {
            tracing::debug!(%asker, %target, %error, "a relayed datagram was lost");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use super::*;

    #[test]
    fn connections_are_carried_with_their_ends() {
        let inner = TcpListener::bind("127.0.0.1:0").expect("listener");
        let outer = TcpListener::bind("127.0.0.1:0").expect("listener");
        let (from, to) = (outer.local_addr().expect("address"), inner.local_addr().expect("address"));
        let relay = Relay::start().expect("a relay");
        let relayed = relay.serve(Protocol::Tcp, outer.into(), to).expect("served");
        let server = std::thread::spawn(move || {
            let (mut stream, _) = inner.accept().expect("a connection");
            let mut asked = String::new();
            // Ends when the client shuts its side down.
            stream.read_to_string(&mut asked).expect("read");
            stream.write_all(asked.to_uppercase().as_bytes()).expect("written");
        });
        let mut client = TcpStream::connect(from).expect("connected");
        client.write_all(b"hello").expect("written");
        client.shutdown(std::net::Shutdown::Write).expect("shut down");
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("read");
        assert_eq!(answer, "HELLO");
        server.join().expect("served");
        drop(relayed);
    }

    #[test]
    fn datagrams_find_their_way_back() {
        let inner = UdpSocket::bind("127.0.0.1:0").expect("socket");
        let outer = UdpSocket::bind("127.0.0.1:0").expect("socket");
        let (from, to) = (outer.local_addr().expect("address"), inner.local_addr().expect("address"));
        let relay = Relay::start().expect("a relay");
        let _relayed = relay.serve(Protocol::Udp, outer.into(), to).expect("served");
        let clients: Vec<UdpSocket> = (0..2).map(|_| UdpSocket::bind("127.0.0.1:0").expect("socket")).collect();
        let mut buffer = [0; 16];
        for (number, client) in clients.iter().enumerate() {
            client.set_read_timeout(Some(Duration::from_secs(30))).expect("set");
            client.connect(from).expect("connected");
            client.send(&[number as u8]).expect("sent");
            let (length, asker) = inner.recv_from(&mut buffer).expect("received");
            assert_eq!(buffer[..length], [number as u8]);
            inner.send_to(&[number as u8 + 10], asker).expect("sent");
        }
        for (number, client) in clients.iter().enumerate() {
            assert_eq!((client.recv(&mut buffer).expect("received"), buffer[0]), (1, number as u8 + 10));
        }
    }
}
