//! Making a container, up to the point where only its command is left to execute.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use sys::seqpacket::{SeqPacket, SeqPacketListener};

use crate::cgroup::{Cgroup, Entry};
use crate::channel::{Channel, Message};
use crate::error::{Error, Step};
use crate::hooks::{State, run_hooks, state};
use crate::init::finish::Filter;
use crate::init::{Init, identity};
use crate::launch::{Launch, Launched};
use crate::launcher;
use crate::plan::{NamespacePlan, Plan, plan};
use crate::request::{CreateRequest, Stdio};
use crate::spec::{DeviceRule, Hook, Resources, Spec, defaults};

/// A container whose first process is set up and waits. It is a child of the caller, who must reap it. Dropping
/// this without [`Created::start`] ends the process, unless it waits on a socket of its own.
#[derive(Debug)]
pub struct Created {
    /// Process id on the host.
    pub pid: i32,
    /// Descriptor of the process.
    pub pidfd: OwnedFd,
    /// Master of its pseudo terminal, when it has one.
    pub console: Option<OwnedFd>,
    /// Its control group, to keep: removing it once the container has ended is the caller's. Taken at most once.
    pub cgroup: Option<Cgroup>,
    channel: Option<Channel>,
    poststart: Vec<Hook>,
    state: State,
}

/// Whose part of the work failed.
#[derive(Debug)]
enum Failure<E> {
    Runtime(Error),
    Caller(E),
}

impl<E> From<Error> for Failure<E> {
    fn from(error: Error) -> Self {
        Self::Runtime(error)
    }
}

// === impl Created ===

impl Created {
    /// Lets the process execute its command, then runs the poststart hooks.
    ///
    /// # Errors
    /// When a startContainer hook, the system call filter or execve itself failed: the process has ended then, and
    /// reaping it and removing the control group are left to the caller. When a poststart hook failed: the process
    /// runs. [`Error::NotRunning`] when it was started before.
    pub fn start(&mut self) -> Result<(), Error> {
        let channel = self.channel.take().ok_or(Error::NotRunning { pid: self.pid })?;
        release(&channel)?;
        run_poststart_hooks(&self.poststart, self.pid, &self.state)
    }
}

/// Lets a process that was created with a start socket execute its command.
///
/// # Errors
/// As [`Created::start`]; [`Error::Step`] when nobody listens at `socket`.
pub fn start_detached(socket: &Path) -> Result<(), Error> {
    let socket = SeqPacket::connect(socket).map_err(Error::step(Step::Synchronise, socket.display()))?;
    release(&Channel::from_socket(socket))
}

fn go_on(channel: &Channel) -> Result<(), Error> {
    channel.send(&Message::Continue).map_err(Error::step(Step::Synchronise, "continue"))
}

fn release(channel: &Channel) -> Result<(), Error> {
    let failed = Error::step::<io::Error>;
    go_on(channel)?;
    match channel.receive().map_err(failed(Step::Synchronise, "start"))? {
        Message::End => Ok(()),
        Message::Failed(error) => Err(error),
        _ => Err(failed(Step::Synchronise, "start")(io::ErrorKind::InvalidData.into())),
    }
}

/// Makes a container up to the point where only its command is left to execute.
///
/// The caller must be single-threaded: the process is cloned without execve in between.
///
/// # Errors
/// One [`Error`] per step; nothing is left behind then, the control group included.
pub fn create(request: CreateRequest) -> Result<Created, Error> {
    let made = make(request, |plan, cgroup, launched, state| {
        begin(plan, cgroup, launched)?;
        Ok(await_ready(plan, launched, state)?)
    });
    made.map_err(|failure: Failure<std::convert::Infallible>| match failure {
        Failure::Runtime(error) => error,
        Failure::Caller(never) => match never {},
    })
}

/// Makes a container and lets it execute its command, without a stop in between.
///
/// What has to be done before the command runs is `meanwhile`'s: it gets the process's id on the host and works while the
/// process sets itself up, which finds the word to start already there when it comes to it. The caller must be
/// single-threaded, as for [`create`].
///
/// # Errors
/// As [`create`] and [`Created::start`], and those of `meanwhile`; nothing is left behind, whichever it is: a process that
/// runs when a poststart hook fails is ended.
pub fn run<E: From<Error>>(request: CreateRequest, meanwhile: impl FnOnce(i32) -> Result<(), E>) -> Result<Created, E> {
    let made = make(request, |plan, cgroup, launched, state| {
        let pid = launched.pid.as_raw_nonzero().get();
        let prepare = || meanwhile(pid).map_err(Failure::Caller);
        begin(plan, cgroup, launched)?;
        let console = if plan.hooks.stop_the_process() {
            let console = await_ready(plan, launched, state)?;
            prepare()?;
            release(&launched.channel)?;
            console
        } else {
            prepare()?;
            go_on(&launched.channel)?;
            await_execution(&launched.channel)?
        };
        run_poststart_hooks(&plan.hooks.poststart, pid, state)?;
        Ok(console)
    });
    made.map(|created| Created { channel: None, ..created }).map_err(|failure| match failure {
        Failure::Runtime(error) => error.into(),
        Failure::Caller(error) => error,
    })
}

fn run_poststart_hooks(hooks: &[Hook], pid: i32, state: &State) -> Result<(), Error> {
    run_hooks("poststart", hooks, &State { pid, status: "running".to_owned(), ..state.clone() })
}

/// Makes a container, with `oversee` for what is done outside while the process sets itself up.
fn make<E>(
    request: CreateRequest,
    oversee: impl FnOnce(&Plan, &Cgroup, &Launched, &State) -> Result<Option<OwnedFd>, Failure<E>>,
) -> Result<Created, Failure<E>> {
    let CreateRequest { id, spec, bundle, rootfs, seccomp, stdio, options } = request;
    let plan = plan(&id, &spec, &bundle, &rootfs, options)?;
    let filter = filter(&spec, seccomp)?;
    let state = state(&id, "creating", 0, &bundle, &spec);
    let cgroup = Cgroup::create(&plan.cgroup, &resources(&spec)).map_err(Error::Cgroup)?;
    let made = launch(&plan, &cgroup, stdio, filter, state, oversee);
    made.inspect_err(|_| {
        // The first failure is the one to report, and what remains is an empty directory.
        let _ = cgroup.remove();
        if let Some(socket) = &plan.options.start_socket {
            let _ = std::fs::remove_file(socket);
        }
    })
}

fn launch<E>(
    plan: &Plan,
    cgroup: &Cgroup,
    stdio: Stdio,
    filter: Option<Filter>,
    state: State,
    oversee: impl FnOnce(&Plan, &Cgroup, &Launched, &State) -> Result<Option<OwnedFd>, Failure<E>>,
) -> Result<Created, Failure<E>> {
    let entry = cgroup.entry().map_err(Error::Cgroup)?;
    let trees = RefCell::new(launcher::open_binds(plan)?);
    let gate = match &plan.options.start_socket {
        Some(path) => Some(SeqPacketListener::bind(path).map_err(Error::step(Step::Synchronise, path.display()))?),
        None => None,
    };
    // Born in a user namespace that it joins, the process would have no right to its cgroup.
    let born_inside = born_inside(plan);
    let before = || launcher::prepare(plan, &mut trees.borrow_mut());
    let launched = {
        let directory = clone_target(&entry, born_inside)?;
        let launch = Launch {
            namespaces: plan.namespaces.clone,
            cgroup: directory.as_ref().map(OwnedFd::as_fd),
            before: plan.namespaces.launcher.then_some(&before as &dyn Fn() -> Result<(), Error>),
        };
        let state = state.clone();
        launch.run(|channel| {
            let (launched, trees) = (plan.namespaces.launcher, trees.take());
            Init { plan, channel, gate, stdio, entry: Some(entry), trees, filter, state, launched }.run()
        })?
    };
    match oversee(plan, cgroup, &launched, &state) {
        Ok(console) => Ok(Created {
            pid: launched.pid.as_raw_nonzero().get(),
            console,
            cgroup: Some(cgroup.clone()),
            channel: plan.options.start_socket.is_none().then_some(launched.channel),
            poststart: plan.hooks.poststart.clone(),
            state: State { pid: launched.pid.as_raw_nonzero().get(), ..state },
            pidfd: launched.pidfd,
        }),
        Err(error) => {
            let status = launched.discard();
            Err(match error {
                Failure::Runtime(Error::Died { .. }) => Error::Died { status }.into(),
                other => other,
            })
        }
    }
}

/// The entry moves into the child, so the descriptor to be born with is a copy.
fn clone_target(entry: &Entry, born_inside: bool) -> Result<Option<OwnedFd>, Error> {
    let target = entry.clone_target().filter(|_| born_inside).map(|fd: BorrowedFd<'_>| fd.try_clone_to_owned());
    target.transpose().map_err(Error::step(Step::Clone, "control group"))
}

/// Whether the process is born in its control group: in a user namespace that it joins it would have no right to.
fn born_inside(plan: &Plan) -> bool {
    !plan.namespaces.joins.iter().any(|(kind, _)| *kind == crate::spec::NamespaceKind::User)
}

/// What the process needs from outside before it sets itself up.
fn begin(plan: &Plan, cgroup: &Cgroup, launched: &Launched) -> Result<(), Error> {
    let pid = launched.pid.as_raw_nonzero().get();
    if !born_inside(plan) {
        cgroup.join(pid).map_err(Error::Cgroup)?;
    }
    map_ids(&plan.namespaces, pid)?;
    identity::raise_hard_limits(launched.pid, &plan.process)?;
    adjust_oom_score(pid, plan.process.oom_score_adj)?;
    launched.channel.send(&Message::Go).map_err(Error::step(Step::Synchronise, "go"))
}

/// Runs the hooks that the process asks for, until only its command is left. Gives the terminal's master, if there is one.
fn await_ready(plan: &Plan, launched: &Launched, state: &State) -> Result<Option<OwnedFd>, Error> {
    let mut console = None;
    loop {
        match launched.channel.receive().map_err(Error::step::<io::Error>(Step::Synchronise, "create"))? {
            Message::Console(master) => console = Some(master),
            Message::Hooks => {
                let state = State { pid: launched.pid.as_raw_nonzero().get(), ..state.clone() };
                run_hooks("prestart", &plan.hooks.prestart, &state)?;
                run_hooks("createRuntime", &plan.hooks.create_runtime, &state)?;
                go_on(&launched.channel)?;
            }
            Message::Ready => return Ok(console),
            Message::Failed(error) => return Err(error),
            _ => return Err(Error::Died { status: String::new() }),
        }
    }
}

/// Waits until a process that has the word to start executes its command, or says why not.
fn await_execution(channel: &Channel) -> Result<Option<OwnedFd>, Error> {
    let (mut console, mut ready) = (None, false);
    loop {
        match channel.receive().map_err(Error::step::<io::Error>(Step::Synchronise, "start"))? {
            Message::Console(master) => console = Some(master),
            Message::Ready => ready = true,
            Message::End if ready => return Ok(console),
            Message::Failed(error) => return Err(error),
            _ => return Err(Error::Died { status: String::new() }),
        }
    }
}

fn map_ids(namespaces: &NamespacePlan, pid: i32) -> Result<(), Error> {
    if !namespaces.new_user() {
        return Ok(());
    }
    for (file, text) in [("uid_map", &namespaces.uid_map), ("gid_map", &namespaces.gid_map)] {
        std::fs::write(format!("/proc/{pid}/{file}"), text).map_err(Error::step(Step::IdMap, text.trim_end()))?;
    }
    Ok(())
}

/// Sets the out-of-memory score. A lower one than the present takes CAP_SYS_RESOURCE; without it the present stays.
pub(crate) fn adjust_oom_score(pid: i32, adjustment: Option<i32>) -> Result<(), Error> {
    let Some(adjustment) = adjustment else { return Ok(()) };
    match std::fs::write(format!("/proc/{pid}/oom_score_adj"), adjustment.to_string()) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EACCES | libc::EPERM)) => Ok(()),
        result => result.map_err(Error::step(Step::OomScore, adjustment)),
    }
}

fn filter(spec: &Spec, compiled: Option<Vec<u8>>) -> Result<Option<Filter>, Error> {
    let profile = spec.linux.as_ref().and_then(|linux| linux.seccomp.as_ref());
    let default = crate::spec::Seccomp::default();
    let flags = crate::seccomp::load_flags(profile.unwrap_or(&default)).map_err(Error::Seccomp)?;
    let program = match (compiled, profile) {
        (Some(program), _) => Some(program),
        (None, Some(profile)) => Some(crate::seccomp::compile(profile).map_err(Error::Seccomp)?),
        (None, None) => None,
    };
    Ok(program.map(|program| Filter { program, flags }))
}

/// The limits, with device rules as runc completes them: nothing is allowed that no rule allows, and the default
/// devices always are.
fn resources(spec: &Spec) -> Resources {
    let mut resources = spec.linux.as_ref().and_then(|linux| linux.resources.clone()).unwrap_or_default();
    let mut rules = vec![DeviceRule { allow: false, access: "rwm".to_owned(), ..DeviceRule::default() }];
    rules.append(&mut resources.devices);
    rules.extend(defaults::runtime_device_rules());
    resources.devices = rules;
    resources
}
