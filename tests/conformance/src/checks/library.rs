//! The same through the library's calls: `create`, `start`, `exec`.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;

use anyhow::{Context, Result, ensure};
use runtime::cgroup::Cgroup;
use runtime::spec::{Process, Spec};
use runtime::{CreateOptions, CreateRequest, Created, ExecRequest, Rootfs, Stdio, seccomp};
use rustix::process::{Pid, WaitOptions, WaitStatus, waitpid};
use serde_json::{Value, json};

use super::{Place, bundle};
use crate::report::Outcome;

/// A container that has been created, and the reading end of its output.
struct Container {
    created: Created,
    group: Cgroup,
    output: File,
}

fn with_container(
    place: &Place,
    name: &str,
    resources: &Value,
    command: &[&str],
    check: impl FnOnce(&mut Container) -> Result<()>,
) -> Result<Outcome> {
    let Some(busybox) = &place.busybox else {
        return Ok(Outcome::Skipped("no static busybox was given".to_owned()));
    };
    let unified = place.layout.is_unified();
    if !unified && !has_unified(place) {
        return Ok(Outcome::Skipped("the library observes the hierarchies by itself".to_owned()));
    }
    let directory = place.scratch.join(name);
    bundle::make_root(&directory.join("rootfs"), busybox)?;
    let value = bundle::configuration(&format!("{}/{name}", place.parent), resources, command);
    let spec: Spec = serde_json::from_value(value).context("decoding the configuration")?;
    let filter = seccomp::compile(&seccomp::default_profile(seccomp::Host::here(&[])))?;
    let (stdio, output) = streams()?;
    let request = CreateRequest {
        id: name.to_owned(),
        spec,
        rootfs: Rootfs { path: directory.join("rootfs"), mounts: Vec::new() },
        bundle: directory.clone(),
        seccomp: Some(filter),
        stdio,
        options: CreateOptions::default(),
    };
    let mut created = runtime::create(request).context("create")?;
    let group = created.cgroup.take().context("no control group")?;
    let pid = created.pid;
    let mut container = Container { created, group, output };
    let result = check(&mut container);
    drop(container.group.kill(types::Signal::KILL));
    drop(wait(pid));
    let removed = container.group.remove();
    drop(std::fs::remove_dir_all(&directory));
    result?;
    removed.context("removing the group")?;
    Ok(Outcome::Passed)
}

fn has_unified(place: &Place) -> bool {
    matches!(&place.layout, runtime::cgroup::Layout::Legacy(legacy) if legacy.unified.is_some())
}

fn streams() -> Result<(Stdio, File)> {
    let (reader, writer) = std::io::pipe()?;
    let stdin: OwnedFd = File::open("/dev/null")?.into();
    let stdio = Stdio::Pipes { stdin, stdout: writer.try_clone()?.into(), stderr: writer.into() };
    Ok((stdio, File::from(OwnedFd::from(reader))))
}

fn wait(pid: i32) -> Result<WaitStatus> {
    let pid = Pid::from_raw(pid).context("no process id")?;
    Ok(waitpid(Some(pid), WaitOptions::empty())?.context("no status")?.1)
}

// === impl Container ===

impl Container {
    /// Starts it and gives everything it and its children printed.
    fn run(&mut self) -> Result<String> {
        self.created.start().context("start")?;
        let mut text = String::new();
        self.output.read_to_string(&mut text)?;
        Ok(text)
    }
}

pub(super) fn applies_limits(place: &Place) -> Result<Outcome> {
    let script = bundle::limit_script();
    with_container(place, "library-limits", &bundle::limit_resources(), &script, |container| {
        ensure!(container.group.pids()? == [container.created.pid], "in the group: {:?}", container.group.pids());
        bundle::check_limit_output(place, &container.run()?)
    })
}

pub(super) fn applies_device_rules(place: &Place) -> Result<Outcome> {
    let script = bundle::device_script();
    with_container(place, "library-devices", &bundle::device_resources(), &script, |container| {
        bundle::check_device_output(&container.run()?)
    })
}

pub(super) fn memory_kill_is_seen(place: &Place) -> Result<Outcome> {
    let command = ["/bin/busybox", "sh", "-c", "x=1234567890123456; while true; do x=$x$x; done"];
    with_container(place, "library-oom", &bundle::limit_resources(), &command, |container| {
        container.run()?;
        let status = wait(container.created.pid)?;
        ensure!(status.terminating_signal() == Some(9), "ended with {status:?}");
        ensure!(container.group.oom_kills()? == 1, "counted {}", container.group.oom_kills()?);
        Ok(())
    })
}

pub(super) fn executes_in_the_group(place: &Place) -> Result<Outcome> {
    let command = ["/bin/busybox", "sleep", "1000"];
    with_container(place, "library-exec", &bundle::limit_resources(), &command, |container| {
        container.created.start().context("start")?;
        let process = json!({ "args": ["/bin/busybox", "sh", "-c", "echo $PPID; busybox hostname; read x"], "cwd": "/", "env": ["PATH=/bin"] });
        let process: Process = serde_json::from_value(process)?;
        let (reader, writer) = std::io::pipe()?;
        let (input, release) = std::io::pipe()?;
        let stdio = Stdio::Pipes { stdin: input.into(), stdout: writer.try_clone()?.into(), stderr: writer.into() };
        let executed = runtime::exec(ExecRequest {
            target: container.created.pid,
            process,
            seccomp: None,
            stdio,
            cgroup: Some(container.group.clone()),
            preserve_fds: 0,
        })
        .context("exec")?;
        let pids = container.group.pids()?;
        let mut expected = [container.created.pid, executed.pid];
        expected.sort_unstable();
        ensure!(pids == expected, "in the group: {pids:?} instead of {expected:?}");
        drop(release);
        let mut text = String::new();
        File::from(OwnedFd::from(reader)).read_to_string(&mut text)?;
        drop(wait(executed.pid));
        ensure!(text == "0\nconformance\n", "{text}");
        Ok(())
    })
}
