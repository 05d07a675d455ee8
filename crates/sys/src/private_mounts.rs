//! Work that needs mounts which nobody else may see.

use std::io;

use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::thread::UnshareFlags;

/// Runs `work` on a thread of its own in a new mount namespace, from which no mount propagates. The namespace
/// and all its mounts end with the thread; the thread's current directory is its own too.
///
/// # Errors
/// The kernel's refusal to make the thread or the namespace (`EPERM` without `CAP_SYS_ADMIN`).
pub fn with_private_mounts<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("private-mounts".to_owned()).spawn_scoped(scope, || {
            // SAFETY: FILES is not unshared, so descriptors stay valid in every thread.
            unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS | UnshareFlags::FS) }?;
            mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
            Ok(work())
        })?;
        match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
