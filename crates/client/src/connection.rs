//! Opening a connection to an engine.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::host::resolve;
use crate::ssh::Ssh;
use crate::{Error, Host, Tls};

/// A byte stream to the engine.
pub enum Connection {
    /// A unix socket, or ssh.
    Unix(UnixStream),
    /// A TCP port.
    Tcp(TcpStream),
    /// A TCP port, secret.
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection, and the ssh that carries it.
pub(crate) struct Opened {
    pub connection: Connection,
    pub ssh: Option<Ssh>,
}

impl Connection {
    pub(crate) async fn open(host: &Host, tls: Option<&Tls>) -> Result<Opened, Error> {
        let plain = |connection| Opened { connection, ssh: None };
        match (host, tls) {
            (Host::Tcp { name, .. }, Some(tls)) => {
                let stream = Self::dial(host).await.map_err(|source| refused(host, source))?;
                let Self::Tcp(stream) = stream else { return Ok(plain(stream)) };
                let server = ServerName::try_from(name.clone());
                let server = server.map_err(|error| Error::Secret { detail: error.to_string() })?;
                let connector = TlsConnector::from(tls.config.clone());
                let stream = connector.connect(server, stream).await.map_err(|error| secret(&error))?;
                Ok(plain(Self::Tls(Box::new(stream))))
            }
            (Host::Ssh(there), _) => {
                let (stream, ssh) = there.dial().map_err(|source| refused(host, source))?;
                Ok(Opened { connection: Self::Unix(stream), ssh: Some(ssh) })
            }
            _ => Self::dial(host).await.map(plain).map_err(|source| refused(host, source)),
        }
    }

    async fn dial(host: &Host) -> io::Result<Self> {
        match host {
            Host::Unix(path) => Ok(Self::Unix(UnixStream::connect(path).await?)),
            Host::Tcp { name, port } => {
                let address = resolve(name)
                    .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no such host: {name}")))?;
                let stream = TcpStream::connect((address, *port)).await?;
                stream.set_nodelay(true)?;
                Ok(Self::Tcp(stream))
            }
            Host::Ssh(_) => Err(io::Error::other("ssh is dialled elsewhere")),
        }
    }
}

fn refused(host: &Host, source: io::Error) -> Error {
    let host = host.to_string();
    match source.kind() {
        io::ErrorKind::PermissionDenied => Error::Permission { host, source },
        _ => Error::Connect { host, source },
    }
}

/// What a handshake that failed means, in the words Docker's users look for.
fn secret(error: &io::Error) -> Error {
    use rustls::{Error as TlsError, InvalidMessage};
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
    let detail = match inner {
        Some(TlsError::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            "http: server gave HTTP response to HTTPS client".to_owned()
        }
        Some(TlsError::InvalidCertificate(reason)) => format!("tls: failed to verify certificate: x509: {reason}"),
        _ => format!("tls: {error}"),
    };
    Error::Secret { detail }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
