//! Project quotas: a limit on what all files of a directory take together, by the project that they belong to.
//!
//! Sources: ioctl_xfs_fsgetxattr(2), `linux/fs.h`, `linux/dqblk_xfs.h`, quotactl(2). The calls of XFS serve ext4 as well.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `linux/fs.h`: `struct fsxattr`.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    flags: u32,
    extent_size: u32,
    extents: u32,
    project: u32,
    cow_extent_size: u32,
    padding: [u8; 8],
}

/// `linux/dqblk_xfs.h`: `struct fs_disk_quota`.
#[repr(C)]
#[derive(Default)]
struct DiskQuota {
    version: i8,
    flags: i8,
    fields: u16,
    id: u32,
    blocks_hard: u64,
    blocks_soft: u64,
    inodes_hard: u64,
    inodes_soft: u64,
    blocks: u64,
    inodes: u64,
    timers: [i32; 2],
    warnings: [u16; 2],
    timers_high: [i8; 4],
    realtime: [u64; 3],
    realtime_timer: i32,
    realtime_warnings: u16,
    padding: i16,
    more_padding: [u64; 1],
}

/// The begin of `struct fs_quota_stat`, and room for the rest.
#[repr(C)]
#[derive(Default)]
struct Status {
    version: i8,
    flags: u16,
    padding: i8,
    rest: [u64; 12],
}

const GET_ATTRIBUTES: libc::Ioctl = 0x801c_581f_u32 as libc::Ioctl;
const SET_ATTRIBUTES: libc::Ioctl = 0x401c_5820;
/// What is made in the directory belongs to its project.
const PROJECT_INHERITED: u32 = 0x200;

const GET_QUOTA: u32 = 0x5803;
const SET_LIMIT: u32 = 0x5804;
const GET_STATUS: u32 = 0x5805;
const OF_PROJECTS: u32 = 2;
const SECTOR: u64 = 512;

/// Whether the file system that `directory` is on keeps limits of projects.
///
/// # Errors
/// `ENOSYS` where the kernel or the file system has no quotas, `ESRCH` where they are off.
pub fn is_enforced(directory: BorrowedFd<'_>) -> io::Result<bool> {
    const PROJECTS_ENFORCED: u16 = 1 << 5;
    let mut status = Status::default();
    // SAFETY: the kernel writes a `struct fs_quota_stat`, which is shorter than this.
    unsafe { control(directory, GET_STATUS, 0, (&raw mut status).cast())? };
    Ok(status.flags & PROJECTS_ENFORCED != 0)
}

/// How many files and directories belong to a project.
///
/// # Errors
/// quotactl(2).
pub fn inodes(directory: BorrowedFd<'_>, project: u32) -> io::Result<u64> {
    let mut quota = DiskQuota::default();
    // SAFETY: the kernel writes a `struct fs_disk_quota`.
    match unsafe { control(directory, GET_QUOTA, project, (&raw mut quota).cast()) } {
        Ok(()) => Ok(quota.inodes),
        // Nobody has heard of it yet.
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(0),
        Err(error) => Err(error),
    }
}

/// Limits the bytes of all files of a project.
///
/// # Errors
/// quotactl(2).
pub fn set_limit(directory: BorrowedFd<'_>, project: u32, bytes: u64) -> io::Result<()> {
    /// `FS_DQ_BSOFT | FS_DQ_BHARD`
    const LIMITS: u16 = 1 << 2 | 1 << 3;
    let sectors = bytes.div_ceil(SECTOR);
    let mut quota = DiskQuota {
        version: 1,
        // FS_PROJ_QUOTA
        flags: 2,
        fields: LIMITS,
        id: project,
        blocks_hard: sectors,
        blocks_soft: sectors,
        ..DiskQuota::default()
    };
    // SAFETY: the kernel reads a `struct fs_disk_quota`.
    unsafe { control(directory, SET_LIMIT, project, (&raw mut quota).cast()) }
}

/// Has a directory, and what will be made in it, belong to a project.
///
/// # Errors
/// ioctl_xfs_fsgetxattr(2).
pub fn assign(directory: BorrowedFd<'_>, project: u32) -> io::Result<()> {
    let mut attributes = Attributes::default();
    // SAFETY: the kernel writes a `struct fsxattr`.
    check(unsafe { libc::ioctl(directory.as_raw_fd(), GET_ATTRIBUTES, &raw mut attributes) })?;
    attributes.project = project;
    attributes.flags |= PROJECT_INHERITED;
    // SAFETY: the kernel reads a `struct fsxattr`.
    check(unsafe { libc::ioctl(directory.as_raw_fd(), SET_ATTRIBUTES, &raw const attributes) })
}

/// quotactl_fd(2), which needs no path of the device (Linux 5.14).
///
/// # Safety
/// `argument` is what the command takes.
unsafe fn control(directory: BorrowedFd<'_>, command: u32, id: u32, argument: *mut libc::c_void) -> io::Result<()> {
    let command = command << 8 | OF_PROJECTS;
    // SAFETY: the caller's.
    let result = unsafe { libc::syscall(libc::SYS_quotactl_fd, directory.as_raw_fd(), command, id, argument) };
    check(i32::try_from(result).unwrap_or(-1))
}

fn check(result: i32) -> io::Result<()> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn structures_have_the_kernels_sizes() {
        assert_eq!((size_of::<Attributes>(), size_of::<DiskQuota>()), (28, 112));
        assert!(size_of::<Status>() >= 80 && std::mem::offset_of!(Status, flags) == 2);
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        // proc has no quotas on any kernel.
        let directory = std::fs::File::open("/proc").expect("opened");
        assert!(is_enforced(directory.as_fd()).is_err());
        assert!(set_limit(directory.as_fd(), 7, 4096).is_err());
        assert!(assign(directory.as_fd(), 7).is_err());
    }
}
