//! Paths inside a root file system, resolved as if it were already `/`.
//!
//! The image is not trusted: any component may be a symbolic link that points anywhere. The kernel resolves every
//! path with the root as its ceiling (openat2(2), `RESOLVE_IN_ROOT`), and what comes back is a descriptor, so that
//! nothing is resolved twice.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

/// An open root file system.
#[derive(Debug)]
pub(crate) struct Root(OwnedFd);

/// How many links that lead to nothing are followed while a directory is made.
const LINKS: u32 = 40;

// === impl Root ===

impl Root {
    /// Opens a directory of the host as the ceiling.
    pub fn open_host(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::open(path, flags, Mode::empty())?))
    }

    /// Opens an existing path; the last component is followed unless the flags say `NOFOLLOW`.
    pub fn open(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        self.resolve(path, flags, ResolveFlags::empty())
    }

    /// Opens an existing path of which no component may be a symbolic link.
    pub fn open_plain(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        self.resolve(path, flags, ResolveFlags::NO_SYMLINKS)
    }

    /// Opens a directory (`O_PATH`), making it and its parents with mode 0755 where they are missing.
    pub fn directory(&self, path: &Path) -> io::Result<OwnedFd> {
        self.directory_within(path, LINKS)
    }

    /// Opens a file that is not a directory (`O_PATH`), making an empty one and its parents where they are missing.
    pub fn file(&self, path: &Path) -> io::Result<OwnedFd> {
        match self.open(path, OFlags::PATH) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => return result,
        }
        let (parent, name) = split(path)?;
        let directory = self.directory(parent)?;
        let flags = OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY | OFlags::NONBLOCK;
        match rustix::fs::openat(&directory, name, flags, Mode::from_raw_mode(0o755)) {
            Ok(created) => drop(created),
            // A link to nothing: make what it points to.
            Err(Errno::LOOP) => return self.file(&self.link_target(parent, &directory, name)?),
            Err(error) => return Err(error.into()),
        }
        self.open(path, OFlags::PATH)
    }

    /// Opens the parent directory of a path, making it where it is missing, and gives the last component.
    pub fn parent<'a>(&self, path: &'a Path) -> io::Result<(OwnedFd, &'a OsStr)> {
        let (parent, name) = split(path)?;
        Ok((self.directory(parent)?, name))
    }

    fn directory_within(&self, path: &Path, links: u32) -> io::Result<OwnedFd> {
        match self.open(path, OFlags::PATH | OFlags::DIRECTORY) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && links > 0 => {}
            result => return result,
        }
        let (parent, name) = split(path)?;
        let directory = self.directory_within(parent, links)?;
        match rustix::fs::mkdirat(&directory, name, Mode::from_raw_mode(0o755)) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                let target = self.link_target(parent, &directory, name)?;
                return self.directory_within(&target, links - 1);
            }
            Err(error) => return Err(error.into()),
        }
        self.open(path, OFlags::PATH | OFlags::DIRECTORY)
    }

    /// Where a link that leads to nothing points, as a path from the root.
    fn link_target(&self, parent: &Path, directory: &OwnedFd, name: &OsStr) -> io::Result<PathBuf> {
        let target = rustix::fs::readlinkat(directory, name, Vec::new())?;
        Ok(parent.join(OsStr::from_bytes(target.as_bytes())))
    }

    fn resolve(&self, path: &Path, flags: OFlags, more: ResolveFlags) -> io::Result<OwnedFd> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | more;
        let path = if path.as_os_str().is_empty() { Path::new("/") } else { path };
        // EAGAIN: a rename or mount raced with "..", and only trying again can tell.
        for _ in 0..64 {
            match openat2(&self.0, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                result => return Ok(result?),
            }
        }
        Err(Errno::AGAIN.into())
    }
}

impl From<OwnedFd> for Root {
    fn from(directory: OwnedFd) -> Self {
        Self(directory)
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Path that names an open descriptor to calls that take only paths. Needs the host's /proc.
pub(crate) fn descriptor_path(fd: impl AsFd) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}

/// Whether an open descriptor is a directory.
pub(crate) fn is_directory(fd: impl AsFd) -> io::Result<bool> {
    let stat = rustix::fs::statat(fd, "", AtFlags::EMPTY_PATH)?;
    Ok(rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir())
}

/// Parent and last component. A path that ends in `..` has none, and `/` is its own.
fn split(path: &Path) -> io::Result<(&Path, &OsStr)> {
    match (path.parent(), path.components().next_back()) {
        (Some(parent), Some(Component::Normal(name))) => Ok((parent, name)),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_cannot_lead_out() {
        let base = std::env::temp_dir().join(format!("runtime-root-{}", std::process::id()));
        let (inside, outside) = (base.join("root"), base.join("outside"));
        std::fs::create_dir_all(inside.join("etc")).unwrap();
        std::fs::create_dir_all(&outside).unwrap();
        symlink(&outside, inside.join("absolute")).unwrap();
        symlink("../../../../../../..", inside.join("etc/up")).unwrap();
        symlink("/run/target", inside.join("dangling")).unwrap();
        let root = Root::open_host(&inside).unwrap();
        root.directory(Path::new("/absolute/made")).unwrap();
        assert!(!outside.join("made").exists());
        assert!(inside.join(outside.strip_prefix("/").unwrap()).join("made").is_dir());
        root.file(Path::new("/etc/up/file")).unwrap();
        assert!(inside.join("file").is_file());
        root.directory(Path::new("/dangling/below")).unwrap();
        assert!(inside.join("run/target/below").is_dir());
        assert!(root.directory(Path::new("/file")).is_err());
        assert!(root.open_plain(Path::new("/dangling"), OFlags::PATH).is_err());
        std::fs::remove_dir_all(&base).unwrap();
    }
}
