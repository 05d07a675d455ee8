//! `exec`.

use anyhow::{Context as _, bail};
use runtime::spec::{Capabilities, Process};
use runtime::{ExecRequest, Stdio};
use sys::signal_fd::SignalFd;

use crate::arguments::{Flag, Parsed};
use crate::commands::create::write_pid_file;
use crate::record::{Record, Status};
use crate::{Global, console, relay};

/// Its flags.
pub(crate) const FLAGS: &[Flag] = &[
    Flag::value("console-socket", None),
    Flag::value("cwd", None),
    Flag::value("env", Some('e')),
    Flag::switch("tty", Some('t')),
    Flag::value("user", Some('u')),
    Flag::value("additional-gids", Some('g')),
    Flag::value("process", Some('p')),
    Flag::switch("detach", Some('d')),
    Flag::value("pid-file", None),
    Flag::value("apparmor", None),
    Flag::switch("no-new-privs", None),
    Flag::value("cap", Some('c')),
    Flag::value("preserve-fds", None),
    Flag::switch("ignore-paused", None),
];

/// Starts a process in a running container; waits for its end unless detached.
pub(crate) fn exec(global: &Global, parsed: &Parsed) -> anyhow::Result<u8> {
    let record = Record::load(global, parsed.id()?)?;
    match record.status(global) {
        Status::Stopped => bail!("cannot exec in a stopped container"),
        Status::Paused if !parsed.is_set("ignore-paused") => {
            bail!("cannot exec in a paused container (use --ignore-paused to override)")
        }
        _ => {}
    }
    let process = process(&record, parsed)?;
    let detach = parsed.is_set("detach");
    let socket = parsed.last("console-socket").filter(|path| !path.is_empty());
    if process.terminal && detach && socket.is_none() {
        bail!("cannot allocate tty if the runtime will detach without setting console socket");
    }
    if socket.is_some() && !(process.terminal && detach) {
        bail!("cannot use console socket if the runtime will not detach or allocate tty");
    }
    let socket = socket.map(console::connect).transpose()?;
    let signals = if detach { None } else { Some(SignalFd::all().context("block signals")?) };
    let profile = record.spec.linux.as_ref().and_then(|linux| linux.seccomp.as_ref());
    let size = process.console_size.as_ref().map_or_else(relay::own_size, |size| (size.height, size.width));
    let request = ExecRequest {
        target: record.pid,
        seccomp: profile.map(runtime::seccomp::compile).transpose()?,
        stdio: if process.terminal { Stdio::Terminal { rows: size.0, cols: size.1 } } else { Stdio::Inherit },
        process,
        cgroup: Some(record.cgroup()?),
        preserve_fds: parsed.number("preserve-fds")?.unwrap_or(0),
    };
    let execed = runtime::exec(request).context("exec failed: unable to start container process")?;
    write_pid_file(parsed.last("pid-file"), execed.pid)?;
    if let (Some(socket), Some(master)) = (&socket, &execed.console) {
        console::send(socket, master)?;
    }
    match signals {
        Some(signals) => relay::serve(execed.pid, execed.console, &signals),
        None => Ok(0),
    }
}

/// The process: from a file, or the container's own with what the flags change.
fn process(record: &Record, parsed: &Parsed) -> anyhow::Result<Process> {
    if let Some(path) = parsed.last("process") {
        let text = std::fs::read(path).with_context(|| format!("read {path}"))?;
        return serde_json::from_slice(&text).with_context(|| format!("read {path}"));
    }
    let mut process = record.spec.process.clone().context("the container has no process")?;
    process.args = parsed.positional.get(1..).filter(|args| !args.is_empty()).context("a command is needed")?.to_vec();
    process.terminal = parsed.is_set("tty");
    process.env.extend_from_slice(parsed.all("env"));
    if let Some(cwd) = parsed.last("cwd") {
        process.cwd = cwd.into();
    }
    if let Some(profile) = parsed.last("apparmor") {
        process.apparmor_profile = profile.to_owned();
    }
    process.no_new_privileges |= parsed.is_set("no-new-privs");
    if let Some(user) = parsed.last("user") {
        let (uid, gid) = user.split_once(':').map_or((user, None), |(uid, gid)| (uid, Some(gid)));
        process.user.uid = uid.parse().with_context(|| format!("--user {user}"))?;
        if let Some(gid) = gid {
            process.user.gid = gid.parse().with_context(|| format!("--user {user}"))?;
        }
    }
    for gid in parsed.all("additional-gids") {
        process.user.additional_gids.push(gid.parse().with_context(|| format!("--additional-gids {gid}"))?);
    }
    let capabilities = process.capabilities.get_or_insert_with(Capabilities::default);
    for name in parsed.all("cap") {
        for set in [&mut capabilities.bounding, &mut capabilities.effective, &mut capabilities.permitted] {
            set.push(name.clone());
        }
    }
    Ok(process)
}
