//! `docker-init`: the first process of a container made with `--init`.
//!
//! Runs one command, passes every signal on to it, reaps whatever comes to it as process 1, and ends with the
//! command's exit code (128 + signal when a signal ended it). The daemon mounts the monitor's program into
//! the container, which knows by its name that this is wanted.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, pidfd_open};
use sys::signal_fd::SignalFd;

/// The name under which the program is the init.
pub const PROGRAM: &str = "docker-init";

/// Whether the program was called as the init.
#[must_use]
pub fn is_called(program: &OsStr) -> bool {
    std::path::Path::new(program).file_name() == Some(OsStr::new(PROGRAM))
}

/// Runs `[--] command arguments…` (the program's own name not included) to its end.
#[must_use]
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments.into_iter().peekable();
    arguments.next_if(|first| first == "--");
    let Some(command) = arguments.next() else {
        complain("a command is needed: docker-init -- command [argument…]");
        return ExitCode::from(1);
    };
    // Before the command runs, so that none of its signals is missed.
    let signals = match SignalFd::all() {
        Ok(signals) => signals,
        Err(error) => {
            complain(&format!("signals: {error}"));
            return ExitCode::from(1);
        }
    };
    // A group of its own lets the terminal's keys reach the command and its children, and not us.
    let mut start = Command::new(&command);
    start.args(arguments).process_group(0);
    match sys::execute::start_with_default_signals(&mut start).spawn() {
        Ok(child) => {
            let pid = Pid::from_child(&child);
            give_terminal(pid);
            ExitCode::from(attend(pid, &signals).unwrap_or(1))
        }
        Err(error) => {
            complain(&format!("exec {} failed: {error}", command.display()));
            ExitCode::from(if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 })
        }
    }
}

/// Makes the command's group the foreground of the terminal, where there is one.
fn give_terminal(group: Pid) {
    let stdin = io::stdin();
    if rustix::termios::isatty(&stdin) && rustix::termios::tcsetpgrp(&stdin, group).is_ok() {
        // It may have touched the terminal too early and been stopped for it.
        let _ = rustix::process::kill_process_group(group, Signal::CONT);
    }
}

/// Forwards signals and reaps until the command has ended.
fn attend(command: Pid, signals: &SignalFd) -> io::Result<u8> {
    loop {
        while let Some((pid, status)) = reap()? {
            if pid == command {
                return Ok(code(status));
            }
        }
        let mut fds = [rustix::event::PollFd::new(signals, rustix::event::PollFlags::IN)];
        match rustix::event::poll(&mut fds, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        while let Some(signal) = signals.next()? {
            // Not SIGCHLD, which is ours, nor those with which the terminal stops background processes.
            let own = [Signal::CHILD, Signal::TTIN, Signal::TTOU].map(Signal::as_raw);
            if !own.contains(&signal) {
                forward(command, signal);
            }
        }
    }
}

fn forward(command: Pid, signal: i32) {
    if let Some(signal) = Signal::from_named_raw(signal) {
        // The command may have ended a moment ago.
        let _ = rustix::process::kill_process(command, signal);
    } else if let Ok(pidfd) = pidfd_open(command, PidfdFlags::empty()) {
        // A real-time signal, for which kill(2) has no safe wrapper.
        let _ = sys::pidfd_signal::send(pidfd.as_fd(), signal);
    }
}

fn reap() -> io::Result<Option<(Pid, WaitStatus)>> {
    match rustix::process::wait(WaitOptions::NOHANG) {
        Ok(ended) => Ok(ended),
        Err(rustix::io::Errno::CHILD) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

fn code(status: WaitStatus) -> u8 {
    let code = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 255,
    };
    u8::try_from(code).unwrap_or(255)
}

fn complain(message: &str) {
    // There is nobody to tell when this fails.
    let _ = writeln!(io::stderr(), "[FATAL {PROGRAM} ({})] {message}", std::process::id());
}
