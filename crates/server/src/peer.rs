//! Whether the client is still there, for work that nobody else wants.
//!
//! While an answer is on its way the connection is not read, so that the end of a client that left would be noticed with
//! the next write only; a build may be silent for minutes.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// The other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer(Arc<OwnedFd>);

impl Peer {
    /// Of that connection; `None` when there are no descriptors left to watch it with.
    pub fn of(connection: &impl AsFd) -> Option<Self> {
        connection.as_fd().try_clone_to_owned().ok().map(|fd| Self(Arc::new(fd)))
    }

    /// Resolves when the client has closed its side. As in Docker, one that only says that it sends no more has left.
    pub async fn left(&self) {
        loop {
            let mut fds = [PollFd::new(&*self.0, PollFlags::RDHUP)];
            let polled = poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
            let gone = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
            if polled.is_ok() && fds[0].revents().intersects(gone) {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::UnixStream;

    #[tokio::test]
    async fn a_client_that_leaves_is_noticed() {
        let (here, there) = UnixStream::pair().expect("pair");
        let peer = Peer::of(&here).expect("descriptors");
        assert!(tokio::time::timeout(Duration::from_millis(300), peer.left()).await.is_err());
        drop(there);
        peer.left().await;
    }
}
