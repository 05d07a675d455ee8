//! Asking the name servers that a container would have asked itself.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use network::Network;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::message;

/// How long all servers together may think: programs ask again after five seconds.
const PATIENCE: Duration = Duration::from_millis(4500);
/// How many servers are asked, as in resolv.conf(5).
const SERVERS: usize = 3;
const PORT: u16 = 53;

/// Who is asked, and from where.
pub(super) enum Servers<'a> {
    /// The host's, from the host.
    Host(&'a [IpAddr]),
    /// The user's, from inside the namespace behind the path.
    Named(&'a [IpAddr], &'a Path),
}

/// The answer of the first server that has one; a failure of all is the last one's answer, or nothing. `datagram` has
/// what an answer in one datagram may be long; without it they are asked by connections.
pub(super) async fn ask(
    network: &Arc<Network>,
    servers: Servers<'_>,
    question: &[u8],
    datagram: Option<usize>,
) -> Option<Vec<u8>> {
    let (servers, inside) = match servers {
        Servers::Host(servers) => (servers, None),
        Servers::Named(servers, key) => (servers, Some(key)),
    };
    let servers = &servers[..servers.len().min(SERVERS)];
    let patience = PATIENCE / u32::try_from(servers.len().max(1)).unwrap_or(1);
    let mut last = None;
    for server in servers {
        let server = SocketAddr::new(*server, PORT);
        let asked = timeout(patience, async {
            match datagram {
                Some(size) => by_datagram(network, inside, server, question, size).await,
                None => by_connection(network, inside, server, question, patience).await,
            }
        });
        match asked.await {
            Ok(Ok(answer)) if !message::gave_up(&answer) => return Some(answer),
            Ok(Ok(answer)) => last = Some(answer),
            Ok(Err(error)) => tracing::debug!(%server, %error, "a name server cannot be asked"),
            Err(_) => tracing::debug!(%server, "a name server does not answer"),
        }
    }
    last
}

async fn by_datagram(
    network: &Arc<Network>,
    inside: Option<&Path>,
    server: SocketAddr,
    question: &[u8],
    size: usize,
) -> io::Result<Vec<u8>> {
    let socket = match inside {
        Some(key) => {
            let (network, key) = (Arc::clone(network), key.to_owned());
            let opened = tokio::task::spawn_blocking(move || network.open_asker(&key, server.is_ipv6()));
            UdpSocket::from_std(opened.await.map_err(io::Error::other)?.map_err(io::Error::other)?)?
        }
        None if server.is_ipv6() => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).await?,
        None => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?,
    };
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut buffer = vec![0; size.max(message::OUR_SIZE)];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if message::answers(question, &buffer[..length]) {
            buffer.truncate(length);
            return Ok(buffer);
        }
    }
}

async fn by_connection(
    network: &Arc<Network>,
    inside: Option<&Path>,
    server: SocketAddr,
    question: &[u8],
    patience: Duration,
) -> io::Result<Vec<u8>> {
    let mut stream = match inside {
        Some(key) => {
            let (network, key) = (Arc::clone(network), key.to_owned());
            let opened = tokio::task::spawn_blocking(move || network.open_stream(&key, server, patience));
            TcpStream::from_std(opened.await.map_err(io::Error::other)?.map_err(io::Error::other)?)?
        }
        None => TcpStream::connect(server).await?,
    };
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes()[..], question].concat()).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    if message::answers(question, &answer) { Ok(answer) } else { Err(io::ErrorKind::InvalidData.into()) }
}
