//! Session keyrings: `keyctl(2)`.

use std::ffi::CStr;
use std::io;

const KEYCTL_JOIN_SESSION_KEYRING: libc::c_long = 1;

/// Gives the calling process a session keyring of its own, so that it does not hold its parent's keys: the one of
/// this name if there is one that it may search, or a new one. Without a name it is always new.
///
/// # Errors
/// keyctl(2): `ENOSYS` on a kernel without keys, `EDQUOT` when root's key quota is used up.
pub fn join_session_keyring(name: Option<&CStr>) -> io::Result<()> {
    let name = name.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: the name is null or a C string that outlives the call.
    let result = unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
