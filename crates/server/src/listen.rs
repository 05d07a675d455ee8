//! Where the API is heard.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, TcpStream, UnixListener};

use crate::hijack::Socket;
use crate::tls::Tls;

/// Who may use a unix socket unless told otherwise.
const DEFAULT_GROUP: &str = "docker";

/// Connections that may wait to be accepted; the kernel has a bound of its own (`net.core.somaxconn`). The usual 128 are
/// soon full when many clients come at once, and a client is then told to try again.
const BACKLOG: i32 = 4096;

/// An address to listen on, as `-H` names it.
#[derive(Debug)]
pub enum Listen {
    /// `unix:///path`.
    Unix(PathBuf),
    /// `tcp://address:port`.
    Tcp(SocketAddr),
    /// A listening socket that systemd made and handed over; `fd://`.
    Inherited(OwnedFd),
}

/// Who may connect, and how.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Group of the unix sockets, by name or number. `None` is `docker`, where the machine has it; empty is root's.
    pub group: Option<String>,
    /// For the TCP sockets.
    pub tls: Option<Tls>,
}

/// A socket that cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another daemon is listening there.
    #[error("{} is in use by another daemon", .0.display())]
    InUse(PathBuf),
    /// The path is something else than a socket.
    #[error("{} exists and is not a socket", .0.display())]
    NotASocket(PathBuf),
    /// The group that shall own the socket does not exist.
    #[error("could not change group {} to {group}: group {group} not found", .path.display())]
    NoGroup {
        /// The socket.
        path: PathBuf,
        /// The group as named.
        group: String,
    },
    /// A system call failed.
    #[error("cannot listen on {address}")]
    Io {
        /// The address.
        address: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

/// One bound address.
#[derive(Debug)]
pub(crate) enum Listener {
    /// With the path, so that it can be removed at the end.
    Unix(UnixListener, Option<PathBuf>),
    Tcp(TcpListener, Option<Tls>),
}

/// A connection that was accepted and may have to agree on a key first.
#[derive(Debug)]
pub(crate) enum Accepted {
    Ready(Socket),
    Secret(TcpStream, Tls),
}

impl Listener {
    pub(crate) fn bind(listen: Listen, access: &Access) -> Result<Self, BindError> {
        match listen {
            Listen::Unix(path) => {
                bind_unix(&path, access.group.as_deref()).map(|listener| Self::Unix(listener, Some(path)))
            }
            Listen::Tcp(address) => bind_tcp(address)
                .map(|listener| Self::Tcp(listener, access.tls.clone()))
                .map_err(|source| BindError::Io { address: address.to_string(), source }),
            Listen::Inherited(socket) => {
                let address = format!("systemd activated file fd {}", socket.as_raw_fd());
                inherit(socket, access).map_err(|source| BindError::Io { address, source })
            }
        }
    }

    /// The path to remove at the end; an inherited socket is systemd's.
    pub(crate) fn own_path(&self) -> Option<&Path> {
        match self {
            Self::Unix(_, path) => path.as_deref(),
            Self::Tcp(..) => None,
        }
    }

    pub(crate) async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Unix(listener, _) => Ok(Accepted::Ready(Socket::Unix(listener.accept().await?.0))),
            Self::Tcp(listener, tls) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(match tls {
                    Some(tls) => Accepted::Secret(stream, tls.clone()),
                    None => Accepted::Ready(Socket::Tcp(stream)),
                })
            }
        }
    }
}

/// A socket from systemd: unix or TCP, as its unit says.
fn inherit(socket: OwnedFd, access: &Access) -> io::Result<Listener> {
    use rustix::net::{AddressFamily, getsockname, sockopt};
    if !sockopt::socket_acceptconn(&socket)? {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a listening stream socket"));
    }
    if getsockname(&socket)?.address_family() == AddressFamily::UNIX {
        let listener = std::os::unix::net::UnixListener::from(socket);
        listener.set_nonblocking(true)?;
        return Ok(Listener::Unix(UnixListener::from_std(listener)?, None));
    }
    let listener = std::net::TcpListener::from(socket);
    listener.set_nonblocking(true)?;
    Ok(Listener::Tcp(TcpListener::from_std(listener)?, access.tls.clone()))
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    rustix::net::listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// A socket that a dead daemon left behind is replaced; one that answers is not.
fn bind_unix(path: &Path, group: Option<&str>) -> Result<UnixListener, BindError> {
    let failed = |source| BindError::Io { address: path.display().to_string(), source };
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.file_type().is_socket() => return Err(BindError::NotASocket(path.to_owned())),
        Ok(_) if std::os::unix::net::UnixStream::connect(path).is_ok() => {
            return Err(BindError::InUse(path.to_owned()));
        }
        Ok(_) => std::fs::remove_file(path).map_err(failed)?,
        Err(_) => {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            parent.map_or(Ok(()), std::fs::create_dir_all).map_err(failed)?;
        }
    }
    let group = owner(path, group)?;
    // The socket gets its name only when its mode and group are right: nobody connects in between.
    let draft = path.with_extension(format!("{}.tmp", std::process::id()));
    let _ = std::fs::remove_file(&draft);
    let listener = UnixListener::bind(&draft).map_err(failed)?;
    rustix::net::listen(&listener, BACKLOG).map_err(|error| failed(error.into()))?;
    let prepared = restrict(&draft, group).and_then(|()| std::fs::rename(&draft, path));
    prepared.map_err(|source| {
        let _ = std::fs::remove_file(&draft);
        failed(source)
    })?;
    Ok(listener)
}

/// The id of the group that shall own a socket. Only the default one may be missing.
fn owner(path: &Path, group: Option<&str>) -> Result<Option<u32>, BindError> {
    let name = match group {
        Some("") => return Ok(None),
        Some(name) => name,
        None => DEFAULT_GROUP,
    };
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    match group_id(&groups, name).or_else(|| name.parse().ok()) {
        None if name == DEFAULT_GROUP => {
            tracing::debug!(path = %path.display(), "there is no group {name}: the socket is root's alone");
            Ok(None)
        }
        None => Err(BindError::NoGroup { path: path.to_owned(), group: name.to_owned() }),
        found => Ok(found),
    }
}

/// Mode 0660 and the group.
fn restrict(path: &Path, group: Option<u32>) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    if let Some(group) = group {
        std::os::unix::fs::chown(path, None, Some(group))?;
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))
}

/// A group's id in the text of group(5).
fn group_id(groups: &str, name: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn groups_are_found_by_name() {
        let groups = "root:x:0:\nbad\ndocker:x:994:a,b\n";
        assert_eq!((group_id(groups, "docker"), group_id(groups, "dock")), (Some(994), None));
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let directory = std::env::temp_dir().join(format!("gantry-listen-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("directory");
        let path = directory.join("a.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("stale"));
        let live = Listener::bind(Listen::Unix(path.clone()), &Access::default()).expect("replaced");
        let mode = std::fs::metadata(&path).expect("exists").permissions().mode() & 0o777;
        assert_eq!(mode, 0o660);
        assert!(matches!(Listener::bind(Listen::Unix(path.clone()), &Access::default()), Err(BindError::InUse(_))));
        drop(live);
        std::fs::write(directory.join("file"), "").expect("write");
        let file = Listen::Unix(directory.join("file"));
        assert!(matches!(Listener::bind(file, &Access::default()), Err(BindError::NotASocket(_))));
        let other = Access { group: Some("no such group".to_owned()), tls: None };
        let bound = Listener::bind(Listen::Unix(directory.join("b.sock")), &other);
        assert!(matches!(bound, Err(BindError::NoGroup { .. })));
        std::fs::remove_dir_all(&directory).expect("clean");
    }
}
