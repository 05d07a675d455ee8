//! `execve(2)`, and what must be put back before it.

use std::ffi::{CString, c_char};
use std::io;
use std::ptr;

/// Replaces the program of this process. Returns only when that failed.
pub fn execute(path: &CString, arguments: &[CString], environment: &[CString]) -> io::Error {
    let pointers = |list: &[CString]| -> Vec<*const c_char> {
        list.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
    };
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    // SAFETY: both arrays end with a null pointer, and their strings live in the caller's slices.
    unsafe { libc::execve(path.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    io::Error::last_os_error()
}

/// Gives every signal its default action and unblocks all: ignored signals (Rust ignores SIGPIPE) and the mask
/// would survive execve.
pub fn default_signals() {
    // The kernel's own structure, which differs from glibc's: glibc refuses the two signals that it keeps for itself,
    // and a parent may have left those ignored too. All zero means SIG_DFL, no flags, empty mask.
    let action = [0_u64; 4];
    // SAFETY: `action` is at least as large as the kernel's structure on every architecture, and outlives the calls.
    // For the two signals that cannot be changed the call answers EINVAL, which changes nothing.
    unsafe {
        for signal in 1..=64 {
            libc::syscall(libc::SYS_rt_sigaction, signal, action.as_ptr(), ptr::null::<u64>(), 8);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, ptr::null_mut());
    }
}

/// Blocks every signal that can be blocked. What comes meanwhile waits, also for process 1 of a namespace, to which
/// signals without a handler are otherwise lost.
pub fn hold_signals() {
    // SAFETY: the set is initialised by sigfillset before the kernel reads it; the call cannot fail with these arguments.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &all, ptr::null_mut());
    }
}

/// Makes std's `Command` start its program with default signals, none blocked: std passes the caller's mask on.
pub fn start_with_default_signals(command: &mut std::process::Command) -> &mut std::process::Command {
    use std::os::unix::process::CommandExt as _;
    // SAFETY: the closure runs after fork(2) and only makes sigaction and sigprocmask calls, which are
    // async-signal-safe; it allocates nothing.
    unsafe {
        command.pre_exec(|| {
            default_signals();
            Ok(())
        })
    }
}
