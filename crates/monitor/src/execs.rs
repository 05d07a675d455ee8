//! Processes started in the running container.

use std::os::fd::OwnedFd;

use rustix::event::epoll::EventFlags;

use crate::poller::{Poller, Token};

#[derive(Debug)]
pub(crate) struct Exec {
    pub(crate) exec_id: String,
    pub(crate) pid: i32,
    /// The connection that asked for it.
    pub(crate) asker: u32,
    /// A copy of its terminal's master: for resizing, and so that the terminal outlives the daemon.
    pub(crate) console: Option<OwnedFd>,
    id: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Execs {
    list: Vec<Exec>,
    next: u32,
}

// === impl Execs ===

impl Execs {
    pub(crate) fn add(&mut self, exec_id: String, pid: i32, asker: u32, console: Option<OwnedFd>) {
        self.list.push(Exec { exec_id, pid, asker, console, id: self.next });
        self.next = self.next.wrapping_add(1);
    }

    pub(crate) fn find(&self, exec_id: &str) -> Option<&Exec> {
        self.list.iter().find(|exec| exec.exec_id == exec_id)
    }

    /// The exec whose process has ended.
    pub(crate) fn take(&mut self, pid: i32) -> Option<Exec> {
        let index = self.list.iter().position(|exec| exec.pid == pid)?;
        Some(self.list.swap_remove(index))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The daemon that read these terminals is gone: their output is read and thrown away, or the processes
    /// would stand still.
    pub(crate) fn orphan(&mut self, asker: u32, poller: &Poller) {
        for exec in self.list.iter().filter(|exec| exec.asker == asker) {
            if let Some(console) = &exec.console {
                let _ = crate::container::nonblocking(console);
                let _ = poller.add(console, Token::Console(exec.id), EventFlags::IN);
            }
        }
    }

    /// Throws away what an orphaned terminal shows.
    pub(crate) fn discard(&mut self, id: u32, poller: &Poller) {
        let Some(exec) = self.list.iter_mut().find(|exec| exec.id == id) else { return };
        let Some(console) = &exec.console else { return };
        let mut buffer = [0; 4096];
        match rustix::io::read(console, &mut buffer) {
            Ok(1..) | Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            // Closed inside; the process itself may go on.
            _ => {
                poller.remove(console);
                exec.console = None;
            }
        }
    }
}
