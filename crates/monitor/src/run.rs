//! The monitor's process: its preparation, the start of its container, its loop.

use std::os::fd::{AsFd as _, OwnedFd};
use std::process::ExitCode;

use rustix::fs::{Mode, OFlags};
use sys::seqpacket::{SeqPacket, SeqPacketListener};
use sys::signal_fd::SignalFd;

use crate::client::PROGRAM;
use crate::container::{self, Container};
use crate::error::Error;
use crate::failure::failure;
use crate::monitor::Monitor;
use crate::poller::Poller;
use crate::protocol::{
    self, CONTROL_SOCKET, EXIT_RECORD, MONITOR_RECORD, MonitorRecord, Phase, ProtocolError, Reply, Request, StartPlan,
};
use crate::streams::Streams;

/// Runs the monitor of one container until it has ended. The daemon's connection is standard input (see
/// [`crate::client::spawn`]). To be called first in a program, with one thread.
#[must_use]
pub fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == logs::compress::COMMAND) {
        let compressed = logs::compress::main(&arguments.collect::<Vec<_>>());
        return if compressed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    sys::allocator::keep_little(sys::allocator::Keep::Nothing);
    let result = prepare().and_then(|(socket, signals)| serve(socket, signals));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Becomes independent of the daemon and takes its connection.
fn prepare() -> Result<(SeqPacket, SignalFd), Error> {
    let failed = |step| move |source| Error::Prepare { step, source };
    let connection = std::io::stdin().as_fd().try_clone_to_owned().map_err(failed("take the connection"))?;
    // The container's process starts from these descriptors; the connection must not be among them.
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .and_then(|null| rustix::stdio::dup2_stdin(&null));
    null.map_err(|errno| failed("close stdin")(errno.into()))?;
    sys::close_range::close_on_exec_from(3).map_err(failed("close descriptors"))?;
    // A leader of its own session: the daemon's terminal and its signals are not for us. Fails only when it
    // is one already.
    let _ = rustix::process::setsid();
    rustix::process::chdir("/").map_err(|errno| failed("chdir")(errno.into()))?;
    rustix::process::umask(Mode::WGRP | Mode::WOTH);
    // Processes whose parent died inside the container come to us, not to the host's init.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|errno| failed("become subreaper")(errno.into()))?;
    if let Ok(name) = std::ffi::CString::new(PROGRAM) {
        let _ = rustix::thread::set_name(&name);
    }
    let signals = SignalFd::all().map_err(failed("take signals"))?;
    Ok((SeqPacket::from_fd(connection), signals))
}

/// Starts what the daemon asks for and stays with it.
fn serve(socket: SeqPacket, signals: SignalFd) -> Result<(), Error> {
    let (plan, fds) = match first_request(&socket)? {
        Some(start) => start,
        None => return Ok(()),
    };
    let (run_dir, limited) = (plan.run_dir.clone(), has_memory_limit(&plan));
    match start(plan, fds, signals) {
        Ok(mut monitor) => {
            let started = monitor.started();
            let connection = monitor.add_connection(socket)?;
            monitor.reply(connection, &started);
            if limited {
                // Behind the answer: nobody waits for it. A group that cannot be watched still counts to the end.
                drop(monitor.watch_memory());
            }
            // What the start left behind is not needed any more.
            sys::allocator::trim();
            monitor.run()
        }
        Err((phase, error)) => {
            for name in [CONTROL_SOCKET, MONITOR_RECORD] {
                let _ = std::fs::remove_file(run_dir.join(name));
            }
            protocol::send(&socket, &Reply::Failed(failure(phase, &error)), &[])?;
            Err(error)
        }
    }
}

fn first_request(socket: &SeqPacket) -> Result<Option<(StartPlan, Vec<OwnedFd>)>, Error> {
    match protocol::receive::<Request>(socket, &mut Vec::new()) {
        Ok((Request::Start(plan), fds)) => Ok(Some((*plan, fds))),
        Ok(_) => {
            let message = "the first request must start the container".to_owned();
            protocol::send(socket, &Reply::Error { message }, &[])?;
            Err(Error::Plan("the first request is not a start"))
        }
        // The daemon thought better of it.
        Err(ProtocolError::Closed) => Ok(None),
        Err(error) => {
            let message = error.to_string();
            protocol::send(socket, &Reply::Error { message }, &[])?;
            Err(error.into())
        }
    }
}

fn start(mut plan: StartPlan, fds: Vec<OwnedFd>, signals: SignalFd) -> Result<Monitor, (Phase, Error)> {
    let in_phase = |phase| move |error| (phase, error);
    let (poller, listener, mut streams) = set_up(&plan, &signals).map_err(in_phase(Phase::Prepare))?;
    if plan.attached.len() != fds.len() {
        return Err((Phase::Prepare, Error::Plan("attached clients and descriptors differ in number")));
    }
    let own_pids = has_own_pids(&plan);
    let (request, mut ends) = container::request(&mut plan).map_err(in_phase(Phase::Prepare))?;
    let (mut start_time, mut mount_namespace) = (0, None);
    let started = runtime::run(request, |pid| {
        start_time = container::start_time(pid)?;
        // While somebody holds it, the unmounting of the root file system (which writes back what is dirty) does
        // not stand between the end of the main process and our notice of it.
        mount_namespace = std::fs::File::open(format!("/proc/{pid}/ns/mnt")).ok();
        let attached =
            plan.attached.iter().zip(fds).try_for_each(|(options, fd)| streams.attach(fd, *options, &poller));
        attached.map_err(|source| Error::Prepare { step: "attach clients", source })?;
        record(&plan, pid, start_time)
    });
    let mut created = started.map_err(in_phase(Phase::Start))?;
    let container = Container { pid: created.pid, start_time, cgroup: created.cgroup.take(), own_pids };
    if let Some(console) = created.console.take() {
        ends = container::terminal_ends(console, plan.open_stdin)
            .inspect_err(|_| abandon(&container))
            .map_err(in_phase(Phase::Prepare))?;
    }
    streams.connect(ends, &poller);
    Ok(Monitor::new(plan.run_dir, poller, signals, listener, streams, container, mount_namespace))
}

/// Everything that does not need the container: files of an earlier run are removed, the log and the
/// control socket opened.
fn set_up(plan: &StartPlan, signals: &SignalFd) -> Result<(Poller, SeqPacketListener, Streams), Error> {
    for name in [CONTROL_SOCKET, MONITOR_RECORD, EXIT_RECORD] {
        let path = plan.run_dir.join(name);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::Record { path, source });
            }
            _ => {}
        }
    }
    let path = plan.run_dir.join(CONTROL_SOCKET);
    let listener = SeqPacketListener::bind(&path)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .map_err(|source| Error::Record { path, source })?;
    let poller = Poller::new().map_err(Error::Loop)?;
    Monitor::watch(&poller, signals, &listener).map_err(Error::Loop)?;
    let log = logs::Log::open(plan.log.clone()).map_err(Error::Log)?;
    Ok((poller, listener, Streams::new(plan.tty, plan.stdin_once, log)))
}

fn has_own_pids(plan: &StartPlan) -> bool {
    let namespaces = plan.spec.linux.as_ref().map(|linux| linux.namespaces.as_slice()).unwrap_or_default();
    namespaces.iter().any(|ns| ns.kind == runtime::spec::NamespaceKind::Pid && ns.path.is_none())
}

fn has_memory_limit(plan: &StartPlan) -> bool {
    let resources = plan.spec.linux.as_ref().and_then(|linux| linux.resources.as_ref());
    let memory = resources.and_then(|resources| resources.memory.as_ref());
    memory.is_some_and(|memory| memory.limit.is_some_and(|limit| limit > 0))
}

fn record(plan: &StartPlan, pid: i32, start_time: u64) -> Result<(), Error> {
    let record = MonitorRecord { monitor_pid: std::process::id() as i32, pid, start_time };
    crate::supervise::write_record(&plan.run_dir.join(MONITOR_RECORD), &record)
}

/// Ends a container that nobody could watch, and takes back its control group.
fn abandon(container: &Container) {
    if let Some(pid) = rustix::process::Pid::from_raw(container.pid) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
    }
    if let Some(cgroup) = &container.cgroup {
        let _ = cgroup.remove();
    }
}
