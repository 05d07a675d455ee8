//! pidfd_send_signal(2) with any number, the real-time ones included.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// Sends signal `number` to the process that `pidfd` names.
///
/// # Errors
/// `ESRCH` when the process has ended, `EINVAL` for a number that is no signal, `EPERM`.
pub fn send(pidfd: BorrowedFd<'_>, number: i32) -> io::Result<()> {
    // SAFETY: the descriptor is open for the whole call; the kernel takes a null siginfo as "fill it in".
    let result = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), number, std::ptr::null::<libc::siginfo_t>(), 0u32)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;
    use std::process::Command;

    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    use super::*;

    #[test]
    fn reaches_the_process_and_knows_when_it_is_gone() {
        let mut child = Command::new("/bin/sleep").arg("60").spawn().expect("spawn");
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("pid")).expect("pid");
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).expect("pidfd");
        send(pidfd.as_fd(), libc::SIGKILL).expect("signal");
        child.wait().expect("wait");
        assert_eq!(send(pidfd.as_fd(), 0).map_err(|error| error.raw_os_error()), Err(Some(libc::ESRCH)));
    }
}
