//! How a follower learns, from another thread, that there is nothing more to wait for.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::event::EventfdFlags;

const RUNNING: u8 = 0;
const FINISHED: u8 = 1;
const CANCELLED: u8 = 2;

/// Shared by the follower's thread and whoever knows of the container's or the client's end. One `Ending`
/// can serve many followers of one container; cancelling it cancels them all.
#[derive(Debug)]
pub struct Ending {
    state: AtomicU8,
    /// Stays readable from the first event on, so that every follower's poll returns.
    event: OwnedFd,
}

// === impl Ending ===

impl Ending {
    /// Nothing has ended yet.
    ///
    /// # Errors
    /// eventfd(2).
    pub fn new() -> io::Result<Self> {
        let event = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { state: AtomicU8::new(RUNNING), event })
    }

    /// The container has ended and its log is complete: followers read it to the end, then end.
    pub fn finish(&self) {
        let _ = self.state.compare_exchange(RUNNING, FINISHED, Ordering::SeqCst, Ordering::SeqCst);
        self.wake();
    }

    /// Nobody listens any more: followers end at once.
    pub fn cancel(&self) {
        self.state.store(CANCELLED, Ordering::SeqCst);
        self.wake();
    }

    pub(crate) fn finished(&self) -> bool {
        self.state.load(Ordering::SeqCst) != RUNNING
    }

    pub(crate) fn cancelled(&self) -> bool {
        self.state.load(Ordering::SeqCst) == CANCELLED
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }

    fn wake(&self) {
        // Fails only when the counter is full, and then it is readable already.
        let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
    }
}
