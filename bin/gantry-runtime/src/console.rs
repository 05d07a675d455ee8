//! `--console-socket`: handing a terminal's master to the caller.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;

use anyhow::Context as _;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

/// Connects to the caller's socket, early: when it is not there, nothing has been made yet.
pub(crate) fn connect(path: &str) -> anyhow::Result<UnixStream> {
    UnixStream::connect(path).with_context(|| format!("connect to console socket {path}"))
}

/// Sends the master over the socket, with a name as the message's text.
pub(crate) fn send(socket: &UnixStream, master: &OwnedFd) -> anyhow::Result<()> {
    let descriptors = [master.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    let text = [IoSlice::new(b"/dev/ptmx")];
    rustix::net::sendmsg(socket, &text, &mut control, SendFlags::NOSIGNAL).context("send to console socket")?;
    Ok(())
}
