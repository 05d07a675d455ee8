//! `create`, `start` and `run`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use runtime::spec::Spec;
use runtime::{CreateOptions, CreateRequest, Created, Rootfs, Stdio};
use sys::signal_fd::SignalFd;

use crate::arguments::{Flag, Parsed};
use crate::record::{Record, Status, process_stat};
use crate::{Global, console, relay, report};

/// Flags of `create`.
pub(crate) const FLAGS: &[Flag] = &[
    Flag::value("bundle", Some('b')),
    Flag::value("console-socket", None),
    Flag::value("pid-file", None),
    Flag::value("preserve-fds", None),
    Flag::switch("no-pivot", None),
    Flag::switch("no-new-keyring", None),
];

/// Flags of `run`.
pub(crate) const RUN_FLAGS: &[Flag] = &[
    Flag::value("bundle", Some('b')),
    Flag::value("console-socket", None),
    Flag::value("pid-file", None),
    Flag::value("preserve-fds", None),
    Flag::switch("no-pivot", None),
    Flag::switch("no-new-keyring", None),
    Flag::switch("detach", Some('d')),
    Flag::switch("keep", None),
];

/// What precedes the cause when a container could not be made, in runc's words.
pub(crate) const CANNOT_START: &str = "unable to start container process";

/// Creates a container that waits for `start`.
pub(crate) fn create(global: &Global, parsed: &Parsed) -> anyhow::Result<u8> {
    make(global, parsed, true)?;
    Ok(0)
}

/// Lets a created container execute its command.
pub(crate) fn start(global: &Global, parsed: &Parsed) -> anyhow::Result<u8> {
    let record = Record::load(global, parsed.id()?)?;
    match record.status(global) {
        Status::Created => {}
        Status::Stopped => anyhow::bail!("cannot start a container that has stopped"),
        status => anyhow::bail!("cannot start a container in the {} state", status.as_str()),
    }
    let socket = Record::start_socket(global, &record.id);
    let started = runtime::start_detached(&socket);
    let _ = std::fs::remove_file(&socket);
    started.context(CANNOT_START)?;
    let hooks = record.spec.hooks.as_ref().map(|hooks| hooks.poststart.as_slice()).unwrap_or_default();
    runtime::run_hooks("poststart", hooks, &record.state(Status::Running))?;
    Ok(0)
}

/// Creates and starts; waits for the end unless detached.
pub(crate) fn run(global: &Global, parsed: &Parsed) -> anyhow::Result<u8> {
    let signals = if parsed.is_set("detach") { None } else { Some(SignalFd::all().context("block signals")?) };
    let (mut created, record) = make(global, parsed, false)?;
    if let Err(error) = created.start() {
        super::delete::remove(global, &record, created.cgroup.as_ref());
        return Err(error).context(CANNOT_START);
    }
    let Some(signals) = signals else { return Ok(0) };
    let code = relay::serve(created.pid, created.console.take(), &signals)?;
    if !parsed.is_set("keep") {
        super::delete::clean_up(global, &record)?;
    }
    Ok(code)
}

fn make(global: &Global, parsed: &Parsed, wait: bool) -> anyhow::Result<(Created, Record)> {
    let id = parsed.id()?;
    let bundle = absolute(parsed.last("bundle").unwrap_or("."))?;
    let spec = load(&bundle)?;
    let root = spec.root.as_ref().context("invalid configuration: root: missing")?;
    let rootfs = std::path::absolute(bundle.join(&root.path))
        .with_context(|| format!("invalid rootfs {}", root.path.display()))?;
    let terminal = spec.process.as_ref().is_some_and(|process| process.terminal);
    let socket = parsed.last("console-socket").filter(|path| !path.is_empty());
    let detached = wait || parsed.is_set("detach");
    match (terminal, socket, detached) {
        (true, None, true) => {
            anyhow::bail!("cannot allocate tty if the runtime will detach without setting console socket")
        }
        (false, Some(_), _) | (_, Some(_), false) => {
            anyhow::bail!("cannot use console socket if the runtime will not detach or allocate tty")
        }
        _ => {}
    }
    let socket = socket.map(console::connect).transpose()?;
    let directory = Record::reserve(global, id)?;
    let made = make_in(global, parsed, (id, bundle, spec, rootfs), (terminal, socket), wait);
    made.inspect_err(|_| {
        let _ = std::fs::remove_dir_all(&directory);
    })
}

fn make_in(
    global: &Global,
    parsed: &Parsed,
    (id, bundle, spec, rootfs): (&str, PathBuf, Spec, PathBuf),
    (terminal, socket): (bool, Option<std::os::unix::net::UnixStream>),
    wait: bool,
) -> anyhow::Result<(Created, Record)> {
    let request = CreateRequest {
        id: id.to_owned(),
        spec: spec.clone(),
        bundle: bundle.clone(),
        rootfs: Rootfs { path: rootfs.clone(), mounts: Vec::new() },
        seccomp: None,
        stdio: stdio(&spec, terminal),
        options: CreateOptions {
            no_pivot: parsed.is_set("no-pivot"),
            preserve_fds: parsed.number("preserve-fds")?.unwrap_or(0),
            start_socket: wait.then(|| Record::start_socket(global, id)),
            no_new_keyring: parsed.is_set("no-new-keyring"),
            hold_signals: false,
        },
    };
    let created = runtime::create(request).context(CANNOT_START)?;
    let recorded = record(global, parsed, &created, (id, bundle, spec, rootfs)).and_then(|record| {
        if let (Some(socket), Some(master)) = (&socket, &created.console) {
            console::send(socket, master)?;
        }
        Ok(record)
    });
    match recorded {
        Ok(record) => Ok((created, record)),
        Err(error) => {
            let _ = rustix::process::pidfd_send_signal(&created.pidfd, rustix::process::Signal::KILL);
            let pid = rustix::process::Pid::from_raw(created.pid);
            let _ = rustix::process::waitpid(pid, rustix::process::WaitOptions::empty());
            created.cgroup.as_ref().map(runtime::cgroup::Cgroup::remove).transpose()?;
            Err(error)
        }
    }
}

fn record(
    global: &Global,
    parsed: &Parsed,
    created: &Created,
    (id, bundle, spec, rootfs): (&str, PathBuf, Spec, PathBuf),
) -> anyhow::Result<Record> {
    let (_, start_time) = process_stat(created.pid).context("read the start time of the container's process")?;
    let record = Record {
        id: id.to_owned(),
        pid: created.pid,
        start_time,
        bundle,
        rootfs,
        created: report::now(),
        cgroup: created.cgroup.as_ref().map(runtime::cgroup::Cgroup::path).unwrap_or_default(),
        spec,
    };
    record.save(global)?;
    write_pid_file(parsed.last("pid-file"), created.pid)?;
    Ok(record)
}

/// Writes a pid file so that a reader never sees a part of the number.
pub(crate) fn write_pid_file(path: Option<&str>, pid: i32) -> anyhow::Result<()> {
    let Some(path) = path.filter(|path| !path.is_empty()).map(Path::new) else { return Ok(()) };
    let name = path.file_name().with_context(|| format!("--pid-file {}", path.display()))?;
    let new = path.with_file_name(format!(".{}", name.to_string_lossy()));
    let written = std::fs::write(&new, pid.to_string()).and_then(|()| std::fs::rename(&new, path));
    written.with_context(|| format!("write {}", path.display()))
}

fn stdio(spec: &Spec, terminal: bool) -> Stdio {
    if !terminal {
        return Stdio::Inherit;
    }
    let wanted = spec.process.as_ref().and_then(|process| process.console_size.as_ref());
    let (rows, cols) = wanted.map_or_else(relay::own_size, |size| (size.height, size.width));
    Stdio::Terminal { rows, cols }
}

fn load(bundle: &Path) -> anyhow::Result<Spec> {
    let path = bundle.join("config.json");
    let text = std::fs::read(&path).with_context(|| format!("JSON specification file {} not found", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("read {}", path.display()))
}

fn absolute(path: &str) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("bundle {path}"))
}
