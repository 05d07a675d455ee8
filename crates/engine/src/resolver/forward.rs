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

/// How long one server may think. Programs ask again after five seconds.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How many servers are asked, as in resolv.conf(5).
const SERVERS: usize = 3;
const PORT: u16 = 53;

/// The answer of the first server that has one; a failure of all is the last one's answer, or nothing. `named` are the
/// user's servers, asked from inside the namespace behind `key`; without any the host's are asked.
pub(super) async fn ask(
    network: &Arc<Network>,
    key: &Path,
    named: &[IpAddr],
    question: &[u8],
    datagram: bool,
) -> Option<Vec<u8>> {
    let (servers, inside) = if named.is_empty() { (host_servers().await, None) } else { (named.to_vec(), Some(key)) };
    let mut last = None;
    for server in servers.into_iter().take(SERVERS) {
        let server = SocketAddr::new(server, PORT);
        let asked = timeout(PATIENCE, async {
            if datagram {
                by_datagram(network, inside, server, question).await
            } else {
                by_connection(network, inside, server, question).await
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

/// The host's servers as they are now: the file may change at any time, and reading it is nothing beside asking.
async fn host_servers() -> Vec<IpAddr> {
    // A machine without the file has no servers.
    let text = tokio::fs::read_to_string("/etc/resolv.conf").await.unwrap_or_default();
    network::nameservers(&text)
}

async fn by_datagram(
    network: &Arc<Network>,
    inside: Option<&Path>,
    server: SocketAddr,
    question: &[u8],
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
    let mut buffer = vec![0; 4096];
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
) -> io::Result<Vec<u8>> {
    let mut stream = match inside {
        Some(key) => {
            let (network, key) = (Arc::clone(network), key.to_owned());
            let opened = tokio::task::spawn_blocking(move || network.open_stream(&key, server, PATIENCE));
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
