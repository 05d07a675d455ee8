//! `mount_setattr(2)`: attributes of a mount and of everything below it, and id mapping.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// `struct mount_attr`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct RawAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// Attributes to change. Bits are `MOUNT_ATTR_*`.
#[derive(Clone, Copy, Debug, Default)]
pub struct MountAttributes<'a> {
    /// Bits to set.
    pub set: u64,
    /// Bits to clear.
    pub clear: u64,
    /// `MS_PRIVATE`, `MS_SLAVE`, `MS_SHARED` or `MS_UNBINDABLE`; 0 leaves it.
    pub propagation: u64,
    /// User namespace that maps the ids of the mount.
    pub idmap: Option<BorrowedFd<'a>>,
}

/// Read-only.
pub const MOUNT_ATTR_RDONLY: u64 = 0x1;
/// No set-user-id.
pub const MOUNT_ATTR_NOSUID: u64 = 0x2;
/// No devices.
pub const MOUNT_ATTR_NODEV: u64 = 0x4;
/// No execution.
pub const MOUNT_ATTR_NOEXEC: u64 = 0x8;
/// The field of access time modes; 0 is relatime.
pub const MOUNT_ATTR_ATIME: u64 = 0x70;
/// No access times.
pub const MOUNT_ATTR_NOATIME: u64 = 0x10;
/// Always access times.
pub const MOUNT_ATTR_STRICTATIME: u64 = 0x20;
/// No access times of directories.
pub const MOUNT_ATTR_NODIRATIME: u64 = 0x80;
/// Do not follow symbolic links.
pub const MOUNT_ATTR_NOSYMFOLLOW: u64 = 0x20_0000;
const MOUNT_ATTR_IDMAP: u64 = 0x10_0000;

/// Changes the mount at `mount`, and with `recursive` every mount below it.
///
/// # Errors
/// mount_setattr(2); `ENOSYS` before Linux 5.12.
pub fn mount_setattr(mount: BorrowedFd<'_>, recursive: bool, attributes: MountAttributes<'_>) -> io::Result<()> {
    let raw = RawAttributes {
        set: attributes.set | if attributes.idmap.is_some() { MOUNT_ATTR_IDMAP } else { 0 },
        clear: attributes.clear,
        propagation: attributes.propagation,
        user_namespace: attributes.idmap.map_or(0, |fd| fd.as_raw_fd() as u64),
    };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is an empty C string, `raw` has the kernel's layout and outlives the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            std::ptr::from_ref(&raw),
            size_of::<RawAttributes>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
