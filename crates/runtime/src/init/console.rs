//! The pseudo terminal of a container's process.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

use super::mounts::attach;
use crate::root::{Root, descriptor_path};

/// Both ends of a terminal.
#[derive(Debug)]
pub(crate) struct Console {
    pub master: OwnedFd,
    pub terminal: OwnedFd,
}

const DEVPTS_SUPER_MAGIC: i64 = 0x1cd1;

/// Opens a new terminal of the container's own devpts. The other end is asked of the master itself
/// (`TIOCGPTPEER`): no path inside the container is trusted to lead to it.
pub(crate) fn open(root: &Root, rows: u16, cols: u16) -> io::Result<Console> {
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    let master = root.open(Path::new("/dev/pts/ptmx"), flags)?;
    if rustix::fs::fstatfs(&master)?.f_type as i64 != DEVPTS_SUPER_MAGIC {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    rustix::pty::unlockpt(&master)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let terminal = rustix::pty::ioctl_tiocgptpeer(&master, flags)?;
    if (rows, cols) != (0, 0) {
        let size = Winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&terminal, size)?;
    }
    Ok(Console { master, terminal })
}

/// Puts the terminal on the container's `/dev/console`.
pub(crate) fn mount_on_dev_console(root: &Root, console: &Console) -> io::Result<()> {
    use rustix::mount::OpenTreeFlags;
    let target = root.file(Path::new("/dev/console"))?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let path = descriptor_path(&console.terminal);
    let tree = rustix::mount::open_tree(rustix::fs::CWD, path, flags)?;
    attach(tree.as_fd(), target.as_fd())
}
