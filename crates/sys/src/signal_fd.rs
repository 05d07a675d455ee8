//! `signalfd(2)`: signals as something an event loop can read.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd as _, OwnedFd};

/// Receives a set of signals, which are blocked for the calling thread from then on.
#[derive(Debug)]
pub struct SignalFd(OwnedFd);

// === impl SignalFd ===

impl SignalFd {
    /// Blocks every signal that can be blocked and delivers them here. Close-on-exec and non-blocking.
    ///
    /// Children inherit the mask: whoever clones without std's `Command` clears it
    /// ([`crate::execute::default_signals`]). Signals of memory errors keep their action.
    ///
    /// # Errors
    /// pthread_sigmask(3), signalfd(2).
    pub fn all() -> io::Result<Self> {
        // SAFETY: sigset_t is plain data that sigfillset initialises; the calls only read it.
        let fd = unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&mut set);
            for fault in [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGABRT, libc::SIGTRAP] {
                libc::sigdelset(&mut set, fault);
            }
            let error = libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
            if error != 0 {
                return Err(io::Error::from_raw_os_error(error));
            }
            libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just made this descriptor and nobody else owns it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The number of the next pending signal; `None` when there is none.
    ///
    /// # Errors
    /// read(2).
    pub fn next(&self) -> io::Result<Option<i32>> {
        let mut information = [0_u8; size_of::<libc::signalfd_siginfo>()];
        match rustix::io::read(&self.0, &mut information) {
            // The number is the first field, 32 bits wide (signalfd(2)).
            Ok(_) => Ok(information.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes) as i32)),
            Err(rustix::io::Errno::AGAIN) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delivers_what_was_sent_to_the_thread() {
        let signals = SignalFd::all().expect("make");
        assert_eq!(signals.next().expect("read"), None);
        // SAFETY: the signal is blocked, so it stays pending until it is read.
        unsafe { libc::pthread_kill(libc::pthread_self(), libc::SIGTERM) };
        assert_eq!(signals.next().expect("read"), Some(libc::SIGTERM));
        assert_eq!(signals.next().expect("read"), None);
    }
}
