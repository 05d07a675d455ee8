//! Waits until a file may have grown or been renamed, or until the follower's [`Ending`] speaks.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::inotify;

use crate::ending::Ending;

/// How often a file is looked at when the machine has no inotify instance left.
const WITHOUT_INOTIFY: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) struct Watch {
    inotify: Option<OwnedFd>,
    /// The watch descriptor, and the watched file's identity.
    watched: Option<(i32, (u64, u64))>,
}

// === impl Watch ===

impl Watch {
    pub(crate) fn new() -> Self {
        // The number of instances is limited for each user: without one, look regularly.
        let inotify = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).ok();
        Self { inotify, watched: None }
    }

    /// Watches this file instead of the one before. True when it was not watched until now: what happened
    /// before may have been missed, so the caller must look again before it waits.
    pub(crate) fn aim(&mut self, file: &File, identity: (u64, u64)) -> bool {
        let Some(inotify) = &self.inotify else { return false };
        if self.watched.is_some_and(|(_, watched)| watched == identity) {
            return false;
        }
        if let Some((descriptor, _)) = self.watched.take() {
            let _ = inotify::remove_watch(inotify, descriptor);
        }
        let flags = inotify::WatchFlags::MODIFY | inotify::WatchFlags::MOVE_SELF | inotify::WatchFlags::ATTRIB;
        // By descriptor: the name may belong to another file by now.
        match inotify::add_watch(inotify, format!("/proc/self/fd/{}", file.as_raw_fd()), flags) {
            Ok(descriptor) => self.watched = Some((descriptor, identity)),
            Err(_) => self.inotify = None,
        }
        true
    }

    /// Returns when something happened, or after `limit`.
    pub(crate) fn wait(&mut self, ending: Option<&Ending>, limit: Duration) -> io::Result<()> {
        let limit = if self.watched.is_some() { limit } else { limit.min(WITHOUT_INOTIFY) };
        let mut fds = Vec::with_capacity(2);
        if let Some(inotify) = &self.inotify {
            fds.push(PollFd::from_borrowed_fd(inotify.as_fd(), PollFlags::IN));
        }
        // A finished ending stays readable: then there is nothing to learn from it any more.
        if let Some(ending) = ending.filter(|ending| !ending.finished()) {
            fds.push(PollFd::from_borrowed_fd(ending.fd(), PollFlags::IN));
        }
        let timeout = Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: limit.subsec_nanos().into() };
        match rustix::event::poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        self.drain();
        Ok(())
    }

    fn drain(&self) {
        let Some(inotify) = &self.inotify else { return };
        let mut space = [MaybeUninit::<u8>::uninit(); 1024];
        let mut events = inotify::Reader::new(inotify, &mut space);
        while events.next().is_ok() {}
    }
}
