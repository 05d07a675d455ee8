//! The last steps before the command, the same for a container's first process and for one executed later.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::console::Console;
use super::{hide, identity};
use crate::command;
use crate::error::{Error, Step};
use crate::plan::{CapabilityPlan, ProcessPlan};
use crate::request::Stdio;
use crate::root::Root;

/// A compiled system call filter.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub program: Vec<u8>,
    pub flags: u32,
}

/// Everything execve needs.
#[derive(Debug)]
pub(crate) struct Executable {
    path: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
    capabilities: CapabilityPlan,
}

const CAP_SYS_ADMIN: u64 = 1 << 21;

/// Opens the host's /proc, for steps that have to write to it once the container's root is in force.
pub(crate) fn open_proc() -> Result<OwnedFd, Error> {
    let failed = Error::step::<io::Error>;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let proc = rustix::fs::open("/proc", flags, Mode::empty()).map_err(Error::step(Step::Resolve, "/proc"))?;
    match hide::is_proc(&proc) {
        Ok(true) => Ok(proc),
        Ok(false) => Err(failed(Step::Resolve, "/proc")(io::Error::from_raw_os_error(libc::ENODEV))),
        Err(error) => Err(failed(Step::Resolve, "/proc")(error)),
    }
}

/// Puts the streams in place. A terminal becomes the controlling one of this session.
pub(crate) fn arrange_streams(stdio: Stdio, console: Option<Console>) -> Result<(), Error> {
    let failed = Error::step::<rustix::io::Errno>;
    let streams = match (stdio, console) {
        (Stdio::Pipes { stdin, stdout, stderr }, _) => [stdin, stdout, stderr],
        (_, Some(console)) => {
            rustix::process::ioctl_tiocsctty(&console.terminal).map_err(failed(Step::Console, "controlling"))?;
            let copy = || console.terminal.try_clone().map_err(Error::step(Step::Console, "copy"));
            [copy()?, copy()?, copy()?]
        }
        _ => return Ok(()),
    };
    // One of them may already sit at another's number: move all above first.
    let mut above = Vec::with_capacity(3);
    for stream in &streams {
        let moved = rustix::io::fcntl_dupfd_cloexec(stream.as_fd(), 3);
        above.push(moved.map_err(failed(Step::Descriptors, "standard streams"))?);
    }
    // Destructors would close the numbers that are about to be taken.
    let taken = streams.map(std::mem::ManuallyDrop::new);
    let results = [
        rustix::stdio::dup2_stdin(&above[0]),
        rustix::stdio::dup2_stdout(&above[1]),
        rustix::stdio::dup2_stderr(&above[2]),
    ];
    let _ = taken;
    results.into_iter().try_for_each(|result| result.map_err(failed(Step::Descriptors, "standard streams")))
}

/// Gives up the runtime's identity and finds the command as the container's user.
///
/// With a filter but without no_new_privs, CAP_SYS_ADMIN stays permitted until the filter is loaded.
pub(crate) fn assume(plan: &ProcessPlan, filter: Option<&Filter>) -> Result<Executable, Error> {
    let capabilities = plan.capabilities.within(identity::available()?);
    identity::drop_bounding(capabilities.bounding)?;
    schedule(plan)?;
    rustix::process::umask(Mode::from_raw_mode(plan.umask));
    identity::own_streams(plan.uid).map_err(Error::step(Step::Descriptors, "own"))?;
    let home = if plan.has_home { None } else { Some(home_of(plan.uid)) };
    // Root may enter a directory that the user may not, and the other way round on a network file system.
    let entered = rustix::process::chdir(&plan.cwd);
    identity::become_user(plan)?;
    let extra = if filter.is_some() && !plan.no_new_privileges { CAP_SYS_ADMIN } else { 0 };
    identity::set_capabilities(capabilities, extra)?;
    identity::set_ambient(capabilities.ambient)?;
    enter(&plan.cwd, entered)?;
    let path = command::find(&plan.args[0], plan.search.as_deref())?;
    let text = |bytes: &[u8]| CString::new(bytes).map_err(|_| Error::invalid("process", "zero byte"));
    let mut environment = plan.env.clone();
    environment.extend(home.map(|home| text(&[b"HOME=", home.as_bytes()].concat())).transpose()?);
    Ok(Executable {
        path: text(path.as_os_str().as_bytes())?,
        arguments: plan.args.iter().map(|argument| text(argument.as_bytes())).collect::<Result<_, _>>()?,
        environment,
        capabilities,
    })
}

/// Loads the filter, gives up the rest and executes. Returns only on failure.
pub(crate) fn execute(
    executable: &Executable,
    plan: &ProcessPlan,
    filter: Option<&Filter>,
    preserve_fds: u32,
    proc: &OwnedFd,
) -> Error {
    match last_steps(executable, plan, filter, preserve_fds, proc) {
        Err(error) => error,
        Ok(()) => {
            let source = sys::execute::execute(&executable.path, &executable.arguments, &executable.environment);
            Error::Execute { command: executable.path.to_string_lossy().into_owned(), source }
        }
    }
}

fn last_steps(
    executable: &Executable,
    plan: &ProcessPlan,
    filter: Option<&Filter>,
    preserve_fds: u32,
    proc: &OwnedFd,
) -> Result<(), Error> {
    label(plan, proc)?;
    sys::close_range::close_on_exec_from(3 + preserve_fds).map_err(Error::step(Step::Descriptors, ""))?;
    identity::limit(plan)?;
    if plan.no_new_privileges {
        rustix::thread::set_no_new_privs(true).map_err(Error::step(Step::NoNewPrivileges, ""))?;
    }
    let Some(filter) = filter else { return Ok(()) };
    crate::seccomp::load(&filter.program, filter.flags).map_err(Error::step(Step::SeccompLoad, ""))?;
    if plan.no_new_privileges {
        return Ok(());
    }
    identity::set_capabilities(executable.capabilities, 0)
}

/// Enters the working directory as the user, and makes sure that it is inside: a descriptor that leaked from the host
/// could be named as one (CVE-2024-21626).
fn enter(cwd: &Path, as_root: rustix::io::Result<()>) -> Result<(), Error> {
    let failed = |source: io::Error| Error::WorkingDirectory { path: cwd.to_owned(), source };
    rustix::process::chdir(cwd).or(as_root).map_err(|error| failed(error.into()))?;
    let here = rustix::process::getcwd(Vec::new()).map_err(|error| failed(error.into()))?;
    match here.as_bytes().first() {
        Some(b'/') => Ok(()),
        _ => Err(failed(io::Error::from_raw_os_error(libc::EACCES))),
    }
}

fn schedule(plan: &ProcessPlan) -> Result<(), Error> {
    if let Some(attributes) = plan.scheduler.attributes {
        sys::scheduling::set_scheduler(attributes).map_err(Error::step(Step::Scheduling, "policy"))?;
    }
    if let Some((class, level)) = plan.scheduler.io_priority {
        sys::scheduling::set_io_priority(class, level).map_err(Error::step(Step::Scheduling, "I/O priority"))?;
    }
    Ok(())
}

/// Asks for the AppArmor profile or SELinux label of the program about to be executed.
fn label(plan: &ProcessPlan, proc: &OwnedFd) -> Result<(), Error> {
    if !plan.apparmor_profile.is_empty() && plan.apparmor_profile != "unconfined" {
        let text = format!("exec {}", plan.apparmor_profile);
        let written = write_attribute(proc, "self/attr/apparmor/exec", &text)
            .or_else(|_| write_attribute(proc, "self/attr/exec", &text));
        written.map_err(Error::step(Step::SecurityLabel, &plan.apparmor_profile))?;
    }
    if !plan.selinux_label.is_empty() {
        write_attribute(proc, "self/attr/exec", &plan.selinux_label)
            .map_err(Error::step(Step::SecurityLabel, &plan.selinux_label))?;
    }
    Ok(())
}

fn write_attribute(proc: &OwnedFd, path: &str, text: &str) -> io::Result<()> {
    let file = rustix::fs::openat(proc, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, text.as_bytes())?;
    Ok(())
}

/// The home directory of a user by the container's passwd file; `/` where it says nothing.
fn home_of(uid: u32) -> String {
    const LIMIT: u64 = 1 << 20;
    let read = || -> io::Result<String> {
        let root = Root::open_host(Path::new("/"))?;
        // Without NONBLOCK a named pipe of the image would hold the start up for ever.
        let file = root.open(Path::new("/etc/passwd"), OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
        let mut text = Vec::new();
        use io::Read as _;
        std::fs::File::from(file).take(LIMIT).read_to_end(&mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    };
    read().ok().and_then(|text| home_in(&text, uid)).unwrap_or_else(|| "/".to_owned())
}

fn home_in(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let matches = fields.len() >= 6 && fields[2].parse() == Ok(uid);
        (matches && !fields[5].is_empty()).then(|| fields[5].to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_by_uid() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\n# comment\nbroken\nwww:x:33:33::/var/www:\n";
        assert_eq!(home_in(passwd, 0).as_deref(), Some("/root"));
        assert_eq!(home_in(passwd, 33).as_deref(), Some("/var/www"));
        assert_eq!(home_in(passwd, 7), None);
    }
}
