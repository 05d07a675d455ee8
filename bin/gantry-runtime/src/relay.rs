//! A process in the foreground: signals go to it, its terminal is ours, its exit status becomes ours.

use std::os::fd::OwnedFd;

use anyhow::Context as _;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, WaitOptions, wait};
use rustix::stdio::{stdin, stdout};
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};
use sys::signal_fd::SignalFd;

const SIGCHLD: i32 = 17;
const SIGURG: i32 = 23;
const SIGWINCH: i32 = 28;

/// The caller's terminal in raw mode, as long as this lives.
struct Raw(Termios);

// === impl Raw ===

impl Raw {
    fn enter() -> Option<Self> {
        let saved = tcgetattr(stdin()).ok()?;
        let mut raw = saved.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Now, &raw).ok()?;
        Some(Self(saved))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Nothing is left to do about a terminal that is gone.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.0);
    }
}

/// Size of the caller's terminal in rows and columns; zeroes when it has none.
pub(crate) fn own_size() -> (u16, u16) {
    tcgetwinsize(stdin()).map_or((0, 0), |size| (size.ws_row, size.ws_col))
}

/// Serves a process until it ends and gives its exit status (128 and the signal's number when one ended it). `signals`
/// must have been opened before the process could end.
pub(crate) fn serve(pid: i32, console: Option<OwnedFd>, signals: &SignalFd) -> anyhow::Result<u8> {
    let raw = if console.is_some() && isatty(stdin()) { Raw::enter() } else { None };
    let (mut console, mut input) = (console, true);
    let code = loop {
        let mut polled = vec![PollFd::new(signals, PollFlags::IN)];
        if let Some(master) = &console {
            polled.push(PollFd::new(master, PollFlags::IN));
            if input {
                polled.push(PollFd::from_borrowed_fd(stdin(), PollFlags::IN));
            }
        }
        match poll(&mut polled, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("poll"),
        }
        let ready: Vec<bool> = polled.iter().map(|fd| !fd.revents().is_empty()).collect();
        if let Some(master) = &console {
            if ready.get(2) == Some(&true) {
                input = copy(stdin(), master);
            }
            if ready.get(1) == Some(&true) && !copy(master, stdout()) {
                console = None;
            }
        }
        if let Some(code) = handle(signals, pid, console.as_ref())? {
            break code;
        }
    };
    // What the process wrote last may still be in the terminal.
    while console.as_ref().is_some_and(|master| waiting(master) && copy(master, stdout())) {}
    drop(raw);
    Ok(code)
}

/// Reaps and forwards. The exit status, once the process has ended.
fn handle(signals: &SignalFd, pid: i32, console: Option<&OwnedFd>) -> anyhow::Result<Option<u8>> {
    while let Some(number) = signals.next().context("read signals")? {
        match number {
            SIGCHLD => {
                while let Ok(Some((ended, status))) = wait(WaitOptions::NOHANG) {
                    if ended.as_raw_nonzero().get() == pid {
                        let signalled = status.terminating_signal().map_or(1, |signal| 128 + signal);
                        return Ok(Some(status.exit_status().unwrap_or(signalled) as u8));
                    }
                }
            }
            SIGWINCH => {
                if let (Some(master), Ok(size)) = (console, tcgetwinsize(stdin())) {
                    let _ = tcsetwinsize(master, size);
                }
            }
            // The Go runtime of a caller sends this one to itself.
            SIGURG => {}
            _ => {
                let signal = rustix::process::Signal::from_named_raw(number);
                if let (Some(signal), Some(pid)) = (signal, Pid::from_raw(pid)) {
                    let _ = rustix::process::kill_process(pid, signal);
                }
            }
        }
    }
    Ok(None)
}

fn waiting(fd: &OwnedFd) -> bool {
    let now = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready > 0)
}

/// Copies once. False at the end, which a terminal whose other side is closed says as EIO.
fn copy(from: impl std::os::fd::AsFd, to: impl std::os::fd::AsFd) -> bool {
    let mut buffer = [0; 16 * 1024];
    let Ok(length @ 1..) = rustix::io::retry_on_intr(|| rustix::io::read(&from, &mut buffer)) else { return false };
    let mut rest = &buffer[..length];
    while !rest.is_empty() {
        match rustix::io::retry_on_intr(|| rustix::io::write(&to, rest)) {
            Ok(written) => rest = &rest[written..],
            Err(_) => return false,
        }
    }
    true
}
