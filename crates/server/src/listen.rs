//! Where the API is heard.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, UnixListener};

use crate::hijack::Socket;

/// An address to listen on, as `-H` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// `unix:///path`.
    Unix(PathBuf),
    /// `tcp://address:port`.
    Tcp(SocketAddr),
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
    Unix(UnixListener, PathBuf),
    Tcp(TcpListener),
}

impl Listener {
    pub(crate) fn bind(listen: &Listen) -> Result<Self, BindError> {
        match listen {
            Listen::Unix(path) => bind_unix(path).map(|listener| Self::Unix(listener, path.clone())),
            Listen::Tcp(address) => bind_tcp(*address)
                .map(Self::Tcp)
                .map_err(|source| BindError::Io { address: address.to_string(), source }),
        }
    }

    pub(crate) async fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Unix(listener, _) => Ok(Socket::Unix(listener.accept().await?.0)),
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Socket::Tcp(stream))
            }
        }
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// A socket that a dead daemon left behind is replaced; one that answers is not.
fn bind_unix(path: &Path) -> Result<UnixListener, BindError> {
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
    // The socket gets its name only when its mode and group are right: nobody connects in between.
    let draft = path.with_extension(format!("{}.tmp", std::process::id()));
    let _ = std::fs::remove_file(&draft);
    let listener = UnixListener::bind(&draft).map_err(failed)?;
    let prepared = restrict(&draft).and_then(|()| std::fs::rename(&draft, path));
    prepared.map_err(|source| {
        let _ = std::fs::remove_file(&draft);
        failed(source)
    })?;
    Ok(listener)
}

/// Mode 0660, and the group `docker` where the machine has one.
fn restrict(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    if let Some(group) = group_id(&groups, "docker") {
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
        let live = Listener::bind(&Listen::Unix(path.clone())).expect("replaced");
        let mode = std::fs::metadata(&path).expect("exists").permissions().mode() & 0o777;
        assert_eq!(mode, 0o660);
        assert!(matches!(Listener::bind(&Listen::Unix(path.clone())), Err(BindError::InUse(_))));
        drop(live);
        std::fs::write(directory.join("file"), "").expect("write");
        assert!(matches!(Listener::bind(&Listen::Unix(directory.join("file"))), Err(BindError::NotASocket(_))));
        std::fs::remove_dir_all(&directory).expect("clean");
    }
}
