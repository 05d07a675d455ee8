//! Removal of a directory tree that a container has filled: any depth, any names, one step at a time.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};

/// Directories nested deeper than this are moved up first: neither stack nor descriptors grow with the tree.
const DEPTH: usize = 32;

/// Removes what is at `path`, a directory with all it holds or anything else. `pause` is called before each step that
/// frees blocks. Directories nested too deeply move to `beside`, under names from `name`; they are returned for
/// removal in their turn.
///
/// # Errors
/// The first refusal of the kernel; what was removed until then is gone.
pub(crate) fn remove_tree(
    path: &Path,
    beside: &Path,
    name: &dyn Fn() -> String,
    pause: &mut dyn FnMut(),
) -> io::Result<Vec<String>> {
    if !std::fs::symlink_metadata(path)?.is_dir() {
        pause();
        return std::fs::remove_file(path).map(|()| Vec::new());
    }
    let beside = open(CWD, beside)?;
    let mut walk = Walk { beside, name, pause, moved: Vec::new() };
    walk.empty(open(CWD, path)?.as_fd(), 0)?;
    (walk.pause)();
    std::fs::remove_dir(path)?;
    Ok(walk.moved)
}

struct Walk<'a> {
    beside: OwnedFd,
    name: &'a dyn Fn() -> String,
    pause: &'a mut dyn FnMut(),
    moved: Vec<String>,
}

impl Walk<'_> {
    fn empty(&mut self, directory: BorrowedFd<'_>, depth: usize) -> io::Result<()> {
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            if is_directory(directory, name, entry.file_type())? {
                self.remove_directory(directory, name, depth)?;
            } else {
                (self.pause)();
                rustix::fs::unlinkat(directory, name, AtFlags::empty())?;
            }
        }
        Ok(())
    }

    fn remove_directory(&mut self, parent: BorrowedFd<'_>, name: &CStr, depth: usize) -> io::Result<()> {
        if depth == DEPTH {
            let fresh = (self.name)();
            rustix::fs::renameat(parent, name, &self.beside, fresh.as_str())?;
            self.moved.push(fresh);
            return Ok(());
        }
        self.empty(open(parent, name)?.as_fd(), depth + 1)?;
        (self.pause)();
        Ok(rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)?)
    }
}

fn open<P: rustix::path::Arg>(at: BorrowedFd<'_>, name: P) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(at, name, flags, Mode::empty())?)
}

fn is_directory(directory: BorrowedFd<'_>, name: &CStr, kind: FileType) -> io::Result<bool> {
    if kind != FileType::Unknown {
        return Ok(kind == FileType::Directory);
    }
    let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn trees_of_any_depth_go_and_links_are_not_followed() {
        let root = tempfile::tempdir().expect("directory");
        let outside = root.path().join("outside");
        std::fs::create_dir(&outside).expect("make");
        std::fs::write(outside.join("kept"), b"1").expect("write");
        let tree = root.path().join("tree");
        std::fs::create_dir_all(tree.join("a/b")).expect("make");
        std::os::unix::fs::symlink(&outside, tree.join("a/link")).expect("link");
        let mut at = open(CWD, &tree).expect("open");
        for _ in 0..5000 {
            rustix::fs::mkdirat(&at, "d", Mode::RWXU).expect("mkdir");
            at = open(at.as_fd(), "d").expect("open");
        }
        let (count, steps) = (Cell::new(0), Cell::new(0));
        let name = || {
            count.set(count.get() + 1);
            format!("moved-{}", count.get())
        };
        let mut pending = vec!["tree".to_owned()];
        while let Some(next) = pending.pop() {
            let mut pause = || steps.set(steps.get() + 1);
            pending.extend(remove_tree(&root.path().join(next), root.path(), &name, &mut pause).expect("remove"));
        }
        assert_eq!(crate::records::list(root.path()), ["outside"]);
        assert!(outside.join("kept").exists());
        assert!(count.get() > 100 && steps.get() > 5000);
    }
}
