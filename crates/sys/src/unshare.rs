//! `unshare(2)` for namespaces.

use std::io;

/// Moves the calling thread into new namespaces (`CLONE_NEW*` bits, the time namespace included).
///
/// # Errors
/// unshare(2); `EINVAL` for bits that are not namespaces, such as `CLONE_FILES`.
pub fn unshare_namespaces(flags: i32) -> io::Result<()> {
    let known = libc::CLONE_NEWNS
        | libc::CLONE_NEWCGROUP
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUSER
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWTIME;
    if flags & !known != 0 {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    // SAFETY: namespaces change what names mean to the kernel; no memory or descriptor of this process is touched.
    if unsafe { libc::unshare(flags) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
