//! Making files as somebody else without giving up any right.

use std::io;

/// `SECBIT_NO_SETUID_FIXUP` of `linux/securebits.h`: a change of user leaves the capabilities alone.
const NO_SETUID_FIXUP: libc::c_ulong = 1 << 2;

/// Runs `work` on a thread of its own whose new files belong to `uid` and `gid`; its capabilities stay those of the
/// caller. Mounts with mapped ids demand it: they refuse files of an owner they have no place for.
///
/// # Errors
/// prctl(2): `EPERM` without `CAP_SETPCAP`.
pub fn with_file_ids<T: Send>(uid: u32, gid: u32, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("file-ids".to_owned()).spawn_scoped(scope, || {
            become_owner(uid, gid)?;
            Ok(work())
        })?;
        match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Changes the calling thread, and no other: credentials belong to threads as far as the kernel is concerned.
fn become_owner(uid: u32, gid: u32) -> io::Result<()> {
    // SAFETY: takes numbers and changes the credentials of the calling thread only.
    if unsafe { libc::prctl(libc::PR_SET_SECUREBITS, NO_SETUID_FIXUP, 0, 0, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    for (call, id) in [(libc::SYS_setfsgid, gid), (libc::SYS_setfsuid, uid)] {
        // SAFETY: as above.
        unsafe { libc::syscall(call, id) };
        // They say only what it was before; an impossible id changes nothing.
        // SAFETY: as above.
        let now = unsafe { libc::syscall(call, u32::MAX) };
        if u32::try_from(now).ok() != Some(id) {
            return Err(io::Error::from_raw_os_error(libc::EPERM));
        }
    }
    Ok(())
}
