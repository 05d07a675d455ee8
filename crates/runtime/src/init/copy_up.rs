//! `tmpcopyup`: a new tmpfs starts with what the image has at its place.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Timestamps, Uid, XattrFlags};

use crate::root::descriptor_path;

/// Copies everything below one directory into another: modes, owners, times, links and extended attributes.
pub(crate) fn copy(from: &OwnedFd, to: &OwnedFd) -> io::Result<()> {
    let from = reopen(from)?;
    let to = reopen(to)?;
    for entry in Dir::read_from(&from)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let stat = rustix::fs::statat(&from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
        let kind = FileType::from_raw_mode(stat.st_mode);
        match kind {
            FileType::Directory => {
                rustix::fs::mkdirat(&to, name, mode)?;
                let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let source = rustix::fs::openat(&from, name, flags, Mode::empty())?;
                let target = rustix::fs::openat(&to, name, flags, Mode::empty())?;
                copy(&source, &target)?;
                copy_attributes(&source, &target)?;
            }
            FileType::RegularFile => copy_file(&from, &to, name, mode)?,
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(&from, name, Vec::new())?;
                rustix::fs::symlinkat(&target, &to, name)?;
            }
            _ => rustix::fs::mknodat(&to, name, kind, mode, stat.st_rdev)?,
        }
        let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
        rustix::fs::chownat(&to, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
        if kind != FileType::Symlink {
            // After chown, which clears set-id bits, and whatever the umask took.
            rustix::fs::chmodat(&to, name, mode, AtFlags::empty())?;
        }
        rustix::fs::utimensat(&to, name, &times(&stat), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}

fn reopen(directory: &OwnedFd) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(directory, ".", flags, Mode::empty())?)
}

fn copy_file(from: &OwnedFd, to: &OwnedFd, name: &std::ffi::CStr, mode: Mode) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let source = rustix::fs::openat(from, name, flags, Mode::empty())?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let target = rustix::fs::openat(to, name, flags, mode)?;
    let (mut reader, mut writer) = (std::fs::File::from(source), std::fs::File::from(target));
    io::copy(&mut reader, &mut writer)?;
    copy_attributes(reader.as_fd(), writer.as_fd())
}

/// Extended attributes that the tmpfs takes; it has no place for those of users before Linux 6.6.
fn copy_attributes(from: impl AsFd, to: impl AsFd) -> io::Result<()> {
    let (from, to) = (descriptor_path(from), descriptor_path(to));
    let mut names = vec![0; 64 * 1024];
    let length = match rustix::fs::listxattr(&from, &mut names[..]) {
        Err(rustix::io::Errno::OPNOTSUPP) => return Ok(()),
        result => result?,
    };
    for name in names[..length].split(|&byte| byte == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0; 64 * 1024];
        let size = rustix::fs::getxattr(&from, name, &mut value[..])?;
        match rustix::fs::setxattr(&to, name, &value[..size], XattrFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn times(stat: &rustix::fs::Stat) -> Timestamps {
    let time = |seconds, nanoseconds| rustix::fs::Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec as i64),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec as i64),
    }
}
