//! Starting a process in a running container.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};

use crate::cgroup::{Cgroup, Entry};
use crate::channel::{Channel, Message};
use crate::created::adjust_oom_score;
use crate::error::{Error, Step};
use crate::init::finish::{self, Filter};
use crate::init::{self, identity};
use crate::launch::{Launch, Launched};
use crate::namespaces;
use crate::plan::ProcessPlan;
use crate::request::{ExecRequest, Execed, Stdio};

/// What the new process has to go by.
#[derive(Debug)]
struct Visitor<'a> {
    plan: &'a ProcessPlan,
    /// The container's first process.
    target: &'a OwnedFd,
    /// Namespaces it joins itself, as `CLONE_NEW*` bits.
    namespaces: u32,
    channel: Channel,
    stdio: Stdio,
    entry: Option<Entry>,
    filter: Option<Filter>,
    preserve_fds: u32,
}

/// Starts a process in a running container. Single-threaded callers only, as with [`crate::create`].
///
/// # Errors
/// One [`Error`] per step; no process is left behind then. [`Error::NotRunning`] when the container has ended.
pub fn exec(request: ExecRequest) -> Result<Execed, Error> {
    let ExecRequest { target: pid, process, seccomp, stdio, cgroup, preserve_fds } = request;
    let plan = ProcessPlan::new(&process)?;
    let gone = || Error::NotRunning { pid };
    let target = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()).ok_or_else(gone)?;
    let different = namespaces::different(pid).ok_or_else(gone)?;
    let entry = cgroup.as_ref().map(Cgroup::entry).transpose().map_err(Error::Cgroup)?;
    let birth = different & libc::CLONE_NEWPID as u32;
    // Processes are numbered at birth: the launcher enters that namespace first. The others are joined by the process
    // itself, which must be in its cgroup before it is in the container's cgroup namespace.
    let before = || join(&target, birth);
    let directory = entry.as_ref().and_then(Entry::clone_target).map(|fd| fd.try_clone_to_owned());
    let directory = directory.transpose().map_err(Error::step(Step::Clone, "control group"))?;
    let launch = Launch {
        namespaces: 0,
        cgroup: directory.as_ref().map(OwnedFd::as_fd),
        before: (birth != 0).then_some(&before as &dyn Fn() -> Result<(), Error>),
    };
    let flags = crate::seccomp::load_flags(&crate::spec::Seccomp::default()).map_err(Error::Seccomp)?;
    let filter = seccomp.map(|program| Filter { program, flags });
    let launched = launch.run(|channel| {
        let (plan, target, namespaces) = (&plan, &target, different & !birth);
        Visitor { plan, target, namespaces, channel, stdio, entry, filter, preserve_fds }.run()
    })?;
    match oversee(&plan, &launched) {
        Ok(console) => Ok(Execed { pid: launched.pid.as_raw_nonzero().get(), pidfd: launched.pidfd, console }),
        Err(error) => {
            let status = launched.discard();
            Err(if matches!(error, Error::Died { .. }) { Error::Died { status } } else { error })
        }
    }
}

fn oversee(plan: &ProcessPlan, launched: &Launched) -> Result<Option<OwnedFd>, Error> {
    let failed = Error::step::<io::Error>;
    identity::raise_hard_limits(launched.pid, plan)?;
    adjust_oom_score(launched.pid.as_raw_nonzero().get(), plan.oom_score_adj)?;
    launched.channel.send(&Message::Go).map_err(failed(Step::Synchronise, "go"))?;
    let (mut console, mut ready) = (None, false);
    loop {
        match launched.channel.receive().map_err(failed(Step::Synchronise, "exec"))? {
            Message::Console(master) => console = Some(master),
            Message::Ready => ready = true,
            Message::End if ready => return Ok(console),
            Message::Failed(error) => return Err(error),
            _ => return Err(Error::Died { status: String::new() }),
        }
    }
}

/// setns(2) into namespaces of a process..
fn join(target: &OwnedFd, kinds: u32) -> Result<(), Error> {
    if kinds == 0 {
        return Ok(());
    }
    let types = ThreadNameSpaceType::from_bits_retain(kinds);
    move_into_thread_name_spaces(target.as_fd(), types).map_err(Error::step(Step::Namespace, "of the container"))
}

// === impl Visitor ===

impl Visitor<'_> {
    /// Joins the container and executes the command; does not return.
    fn run(mut self) -> ! {
        let error = match self.set_up() {
            Ok(never) => match never {},
            Err(error) => error,
        };
        let _ = self.channel.send(&Message::Failed(error));
        sys::clone3::exit_now(1)
    }

    fn set_up(&mut self) -> Result<std::convert::Infallible, Error> {
        sys::execute::default_signals();
        init::await_message(&self.channel)?;
        init::set_undumpable()?;
        let proc = finish::open_proc()?;
        if let Some(entry) = &self.entry {
            entry.enter().map_err(Error::step(Step::Namespace, "control group"))?;
        }
        join(self.target, self.namespaces)?;
        if self.namespaces & libc::CLONE_NEWUSER as u32 != 0 {
            init::become_namespace_root()?;
        }
        rustix::process::setsid().map_err(Error::step(Step::Session, ""))?;
        init::join_keyring(None)?;
        let console = match self.stdio {
            Stdio::Terminal { rows, cols } => {
                let root = init::present_root()?;
                let console = init::open_console(&root, rows, cols).map_err(Error::step(Step::Console, ""))?;
                init::send_console(&self.channel, &console)?;
                Some(console)
            }
            _ => None,
        };
        finish::arrange_streams(std::mem::replace(&mut self.stdio, Stdio::Inherit), console)?;
        let executable = finish::assume(self.plan, self.filter.as_ref())?;
        self.channel.send(&Message::Ready).map_err(Error::step(Step::Synchronise, ""))?;
        Err(finish::execute(&executable, self.plan, self.filter.as_ref(), self.preserve_fds, &proc))
    }
}
