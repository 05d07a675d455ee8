//! Descriptors that the program was started with.

use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// Takes the descriptors `first..first + count` that whoever started this program left open, and closes them on
/// execution. Those that are not open are left out. `None` when they have been taken before.
#[must_use]
pub fn take(first: RawFd, count: RawFd) -> Option<Vec<OwnedFd>> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::AcqRel) {
        return None;
    }
    let take = |fd: RawFd| {
        // SAFETY: fcntl(2) with F_SETFD touches nothing but the flags of a descriptor; it fails for one not open.
        let open = unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } == 0;
        // SAFETY: the number came from outside, is open, and is taken only once; by the caller's promise of an early
        // call nothing in this process owns it.
        open.then(|| unsafe { OwnedFd::from_raw_fd(fd) })
    };
    Some((first..first.saturating_add(count)).filter_map(take).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_taken_once() {
        // Far above what a test opens: there is nothing to take.
        assert!(take(900, 3).is_some_and(|taken| taken.is_empty()));
        assert!(take(900, 3).is_none());
    }
}
