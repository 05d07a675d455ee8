//! `close_range(2)`: mark every descriptor from a number on close-on-exec.

use std::io;

/// Marks all descriptors from `first` on close-on-exec, so that none can leak into an executed program.
///
/// Before Linux 5.11, which cannot do it in one call, the open ones are listed and marked one by one.
///
/// # Errors
/// close_range(2), or reading `/proc/self/fd`.
pub fn close_on_exec_from(first: u32) -> io::Result<()> {
    // SAFETY: integers only; marking changes nothing in this process.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if result == 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        error if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EINVAL)) => mark_listed(first),
        error => Err(error),
    }
}

fn mark_listed(first: u32) -> io::Result<()> {
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let number = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        if let Some(fd) = number.filter(|&fd| fd >= first) {
            // SAFETY: F_SETFD changes a flag; a number that is no longer open answers EBADF.
            unsafe { libc::fcntl(fd as i32, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
    Ok(())
}
