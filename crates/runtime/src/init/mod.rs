//! The container's first process, from clone to execve: each step in the order the kernel and security need.

mod cgroup_mount;
mod console;
mod copy_up;
mod devices;
pub(crate) mod finish;
pub(crate) mod hide;
pub(crate) mod identity;
pub(crate) mod mounts;
mod network;
pub(crate) mod rootfs;

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::process::{Gid, Uid};
use sys::seqpacket::SeqPacketListener;

use crate::cgroup::Entry;
use crate::channel::{Channel, Message};
use crate::error::{Error, Step};
use crate::hooks::{State, run_hooks};
use crate::namespaces::OpenNamespaces;
use crate::plan::{MountAction, NamespacePlan, Plan, ProcessPlan};
use crate::request::Stdio;
use crate::root::Root;
use crate::spec::NamespaceKind;
use cgroup_mount::Membership;
pub(crate) use console::{Console, open as open_console};
use finish::Filter;

/// What the first process has to go by.
#[derive(Debug)]
pub(crate) struct Init<'a> {
    pub plan: &'a Plan,
    pub channel: Channel,
    /// Where the word to start comes from, when not from the channel.
    pub gate: Option<SeqPacketListener>,
    pub stdio: Stdio,
    pub entry: Option<Entry>,
    /// Detached mounts made for this process with the host's powers, by index of the mount.
    pub trees: Vec<Option<OwnedFd>>,
    pub filter: Option<Filter>,
    pub state: State,
    /// Whether a launcher has joined the namespaces and mounted the root file system.
    pub launched: bool,
}

// === impl Init ===

impl Init<'_> {
    /// Sets the container up and executes its command; does not return.
    pub fn run(mut self) -> ! {
        let error = match self.set_up() {
            Ok(never) => match never {},
            Err(error) => error,
        };
        // The runtime may be gone; then nobody is left to tell.
        let _ = self.channel.send(&Message::Failed(error));
        sys::clone3::exit_now(1)
    }

    fn set_up(&mut self) -> Result<std::convert::Infallible, Error> {
        sys::execute::default_signals();
        await_message(&self.channel)?;
        begin_session(&self.plan.namespaces, Some(&self.plan.id).filter(|_| !self.plan.options.no_new_keyring))?;
        // Modes of what is made below are exact.
        rustix::process::umask(rustix::fs::Mode::empty());
        let proc = finish::open_proc()?;
        let place = self.enter_groups_and_namespaces()?;
        let root = self.make_rootfs()?;
        let late = self.mount_all(&root, &place)?;
        devices::make(self.plan, &root)?;
        let console = self.open_console(&root)?;
        self.run_early_hooks()?;
        self.name_host()?;
        // A missing working directory is made while the root can still be written; chdir says why it cannot be used.
        let _ = root.directory(&self.plan.process.cwd);
        hide::write_parameters(self.plan, &root, &proc)?;
        for mount in late {
            mounts::make_readonly(&mount.0).map_err(Error::step(Step::ReadOnly, "tmpfs"))?;
        }
        if self.plan.readonly {
            rootfs::seal(&root)?;
        }
        hide::make_paths_readonly(self.plan, &root)?;
        hide::mask(self.plan, &root)?;
        rootfs::change_root(self.plan, &root)?;
        drop(root);
        self.become_command(console, &proc)
    }

    fn become_command(&mut self, console: Option<Console>, proc: &OwnedFd) -> Result<std::convert::Infallible, Error> {
        let stdio = std::mem::replace(&mut self.stdio, Stdio::Inherit);
        finish::arrange_streams(stdio, console)?;
        if let Some(domain) = self.plan.personality {
            sys::scheduling::set_personality(domain).map_err(Error::step(Step::Personality, ""))?;
        }
        let process: &ProcessPlan = &self.plan.process;
        let executable = finish::assume(process, self.filter.as_ref())?;
        self.channel.send(&Message::Ready).map_err(Error::step(Step::Synchronise, ""))?;
        self.await_start()?;
        run_hooks("startContainer", &self.plan.hooks.start_container, &self.state_here("created"))?;
        let preserve = self.plan.options.preserve_fds;
        if self.plan.options.hold_signals {
            sys::execute::hold_signals();
        }
        Err(finish::execute(&executable, process, self.filter.as_ref(), preserve, proc))
    }

    fn enter_groups_and_namespaces(&self) -> Result<Membership, Error> {
        let namespaces = &self.plan.namespaces;
        let cgroup = |error| Error::step::<io::Error>(Step::Namespace, "cgroup")(error);
        if let Some(entry) = &self.entry {
            entry.enter().map_err(Error::step(Step::Namespace, "control group"))?;
        }
        let mounts_cgroups = self.plan.mounts.iter().any(|step| step.action == MountAction::Cgroup);
        let place = if mounts_cgroups { Membership::observe().map_err(cgroup)? } else { Membership::default() };
        if !self.launched {
            OpenNamespaces::open(&namespaces.joins)?.join(|| Ok(()))?;
        }
        if namespaces.makes(NamespaceKind::Network) {
            network::loopback_up().map_err(Error::step(Step::NetworkDevice, "lo"))?;
        }
        if namespaces.new_cgroup {
            sys::unshare::unshare_namespaces(libc::CLONE_NEWCGROUP).map_err(cgroup)?;
        }
        Ok(place)
    }

    fn make_rootfs(&self) -> Result<Root, Error> {
        if self.plan.launcher_mounts_rootfs() {
            return rootfs::adopt_working_directory(self.plan);
        }
        rootfs::set_propagation(self.plan)?;
        rootfs::mount(self.plan)?;
        rootfs::bind_onto_itself(self.plan)?;
        Root::open_host(&self.plan.rootfs).map_err(Error::step(Step::Rootfs, self.plan.rootfs.display()))
    }

    fn mount_all(&mut self, root: &Root, place: &Membership) -> Result<Vec<mounts::LateReadOnly>, Error> {
        let mut late = Vec::new();
        let private = self.plan.namespaces.has(NamespaceKind::Cgroup);
        let group = self.plan.cgroup.file_name().unwrap_or_default().to_owned();
        for (step, opened) in self.plan.mounts.iter().zip(&mut self.trees) {
            match &step.action {
                MountAction::Bind { source, recursion, subpath } => {
                    let tree = match opened.take() {
                        Some(tree) => tree,
                        None => mounts::open_part(source, subpath, *recursion).map_err(|error| step.failed(error))?,
                    };
                    mounts::attach_bind(root, step, tree)?;
                }
                MountAction::Cgroup => cgroup_mount::mount_cgroups(root, step, place, (&group, private))?,
                MountAction::FileSystem { .. } => match opened.take() {
                    Some(tree) => mounts::attach_file_system(root, step, tree)?,
                    None => late.extend(mounts::mount_file_system(root, step)?),
                },
            }
        }
        Ok(late)
    }

    fn open_console(&self, root: &Root) -> Result<Option<Console>, Error> {
        let Stdio::Terminal { rows, cols } = self.stdio else { return Ok(None) };
        let console = console::open(root, rows, cols).map_err(Error::step(Step::Console, ""))?;
        if self.plan.own_dev {
            console::mount_on_dev_console(root, &console).map_err(Error::step(Step::Console, "/dev/console"))?;
        }
        send_console(&self.channel, &console)?;
        Ok(Some(console))
    }

    fn run_early_hooks(&self) -> Result<(), Error> {
        let hooks = &self.plan.hooks;
        if hooks.stop_the_process() {
            self.channel.send(&Message::Hooks).map_err(Error::step(Step::Synchronise, ""))?;
            await_message(&self.channel)?;
        }
        run_hooks("createContainer", &hooks.create_container, &self.state_here("creating"))
    }

    fn name_host(&self) -> Result<(), Error> {
        let (host, domain) = (&self.plan.hostname, &self.plan.domainname);
        if !host.is_empty() {
            rustix::system::sethostname(host.as_bytes()).map_err(Error::step(Step::Hostname, host))?;
        }
        if !domain.is_empty() {
            rustix::system::setdomainname(domain.as_bytes()).map_err(Error::step(Step::Hostname, domain))?;
        }
        Ok(())
    }

    /// Waits for the word to start. A caller that hangs up instead ends the process; on a listening socket another
    /// may come.
    fn await_start(&mut self) -> Result<(), Error> {
        let Some(gate) = &self.gate else { return await_message(&self.channel) };
        loop {
            let socket = gate.accept().map_err(Error::step(Step::Synchronise, "accept"))?;
            socket.set_nonblocking(false).map_err(Error::step(Step::Synchronise, "accept"))?;
            let caller = Channel::from_socket(socket);
            if let Ok(Message::Continue) = caller.receive() {
                self.channel = caller;
                return Ok(());
            }
        }
    }

    /// The state as a hook inside sees it: with the process id it has there.
    fn state_here(&self, status: &str) -> State {
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        State { status: status.to_owned(), pid, ..self.state.clone() }
    }
}

/// Waits for the runtime to say go on. When it hangs up instead, there is nobody to set up a container for.
pub(crate) fn await_message(channel: &Channel) -> Result<(), Error> {
    match channel.receive().map_err(Error::step(Step::Synchronise, ""))? {
        Message::Go | Message::Continue => Ok(()),
        _ => sys::clone3::exit_now(1),
    }
}

/// Sends the master of a terminal to the runtime.
pub(crate) fn send_console(channel: &Channel, console: &Console) -> Result<(), Error> {
    let master = console.master.try_clone().map_err(Error::step(Step::Console, "copy"))?;
    channel.send(&Message::Console(master)).map_err(Error::step(Step::Synchronise, ""))
}

/// A session and a session keyring of its own, and root of the user namespace it was born in. Not dumpable from here
/// on: processes of namespaces that are joined must not trace it or open its descriptors.
fn begin_session(namespaces: &NamespacePlan, keyring: Option<&String>) -> Result<(), Error> {
    set_undumpable()?;
    if namespaces.in_user() {
        become_namespace_root()?;
    }
    rustix::process::setsid().map_err(Error::step(Step::Session, ""))?;
    if let Some(id) = keyring {
        let name = CString::new(format!("_ses.{id}")).unwrap_or_default();
        join_keyring(Some(&name))?;
    }
    Ok(())
}

/// Sets the process not dumpable.
pub(crate) fn set_undumpable() -> Result<(), Error> {
    let behaviour = rustix::process::DumpableBehavior::NotDumpable;
    rustix::process::set_dumpable_behavior(behaviour).map_err(Error::step(Step::Session, "dumpable"))
}

/// Becomes user and group 0 of the present user namespace.
pub(crate) fn become_namespace_root() -> Result<(), Error> {
    let _ = rustix::thread::set_thread_groups(&[]);
    rustix::thread::set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).map_err(Error::step(Step::User, "group 0"))?;
    rustix::thread::set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).map_err(Error::step(Step::User, "user 0"))
}

/// Joins a session keyring. A kernel without keys has none to leak; neither does one that forbids the call.
pub(crate) fn join_keyring(name: Option<&std::ffi::CStr>) -> Result<(), Error> {
    match sys::keyring::join_session_keyring(name) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => Ok(()),
        result => result.map_err(Error::step(Step::Session, "keyring")),
    }
}

/// The container's root as seen by a process that is already inside.
pub(crate) fn present_root() -> Result<Root, Error> {
    Root::open_host(Path::new("/")).map_err(Error::step(Step::Rootfs, "/"))
}
