//! The life of containers.

use anyhow::{Result, ensure};

use super::Daemon;
use super::daemon::until;
use crate::report::Outcome;

pub(super) fn runs_and_executes(daemon: &Daemon) -> Result<Outcome> {
    let said = daemon.run(&["run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 7"])?;
    ensure!((said.code, said.stdout.as_str(), said.stderr.as_str()) == (7, "out", "err"), "{said:?}");
    daemon.background("exec", &["-u", "user"], "sleep 1000")?;
    ensure!(daemon.ok(&["exec", "exec", "id", "-u"])? == "1000", "the container's user");
    let said = daemon.run(&[
        "exec",
        "-u",
        "0",
        "-w",
        "/tmp",
        "-e",
        "A=b",
        "exec",
        "sh",
        "-c",
        "id -u; pwd; echo $A; exit 3",
    ])?;
    ensure!((said.code, said.stdout.as_str()) == (3, "0\n/tmp\nb"), "{said:?}");
    // An exec belongs to the container's group: it counts and dies with it.
    let inside = daemon.ok(&["exec", "exec", "cat", "/proc/self/cgroup"])?;
    ensure!(inside == "0::/", "{inside}");
    let group = daemon.group("exec")?;
    daemon.ok(&["exec", "-d", "exec", "sleep", "1001"])?;
    until("the exec is in the group", || Ok((daemon.control("exec", "pids.current")? == "2").then_some(())))?;
    ensure!(daemon.ok(&["stop", "-t", "0", "exec"])? == "exec", "stop");
    until("the group is gone", || Ok((!group.exists()).then_some(())))?;
    ensure!(daemon.inspect("exec", "{{.State.Status}} {{.State.ExitCode}}")? == "exited 137", "its end");
    Ok(Outcome::Passed)
}

pub(super) fn pauses_and_kills(daemon: &Daemon) -> Result<Outcome> {
    daemon.background("frozen", &[], "trap 'echo hup' HUP; echo ready; while :; do sleep 1; done")?;
    until("it is ready", || Ok(daemon.ok(&["logs", "frozen"])?.contains("ready").then_some(())))?;
    daemon.ok(&["pause", "frozen"])?;
    let frozen = daemon.control("frozen", "cgroup.events")?;
    ensure!(frozen.contains("frozen 1"), "{frozen}");
    ensure!(daemon.inspect("frozen", "{{.State.Status}} {{.State.Paused}}")? == "paused true", "state");
    let refused = daemon.run(&["exec", "frozen", "true"])?;
    ensure!(
        refused.code == 1 && refused.stderr.contains("is paused, unpause the container before exec"),
        "{refused:?}"
    );
    daemon.ok(&["kill", "-s", "HUP", "frozen"])?;
    ensure!(!daemon.ok(&["logs", "frozen"])?.contains("hup"), "a frozen process ran");
    daemon.ok(&["unpause", "frozen"])?;
    until("the signal arrives", || Ok(daemon.ok(&["logs", "frozen"])?.contains("hup").then_some(())))?;
    // A paused container can be killed, with all of its processes.
    daemon.ok(&["exec", "-d", "frozen", "sh", "-c", "trap '' TERM HUP; while :; do sleep 1; done"])?;
    let group = daemon.group("frozen")?;
    daemon.ok(&["pause", "frozen"])?;
    daemon.ok(&["kill", "frozen"])?;
    until("it ended", || Ok((daemon.inspect("frozen", "{{.State.Status}}")? == "exited").then_some(())))?;
    until("the group is gone", || Ok((!group.exists()).then_some(())))?;
    Ok(Outcome::Passed)
}

pub(super) fn policies_start_again(daemon: &Daemon) -> Result<Outcome> {
    daemon.background("again", &["--restart", "on-failure:2"], "echo once; exit 5")?;
    let shown = "{{.State.Status}} {{.RestartCount}} {{.State.ExitCode}}";
    until("the retries are used up", || Ok((daemon.inspect("again", shown)? == "exited 2 5").then_some(())))?;
    ensure!(daemon.ok(&["logs", "again"])? == "once\nonce\nonce", "runs");
    daemon.background("always", &["--restart", "always", "-m", "32m"], "sleep 1000")?;
    let pid = daemon.inspect("always", "{{.State.Pid}}")?;
    ensure!(std::process::Command::new("/bin/busybox").args(["kill", "-9", &pid]).status()?.success(), "kill");
    until("it runs again", || {
        let state = daemon.inspect("always", "{{.State.Running}} {{.State.Restarting}} {{.RestartCount}}")?;
        Ok((state == "true false 1").then_some(()))
    })?;
    daemon.controls("always", &[("memory.max", "33554432")])?;
    Ok(Outcome::Passed)
}

pub(super) fn health_is_probed(daemon: &Daemon) -> Result<Outcome> {
    let flags = ["--health-cmd", "test -e /tmp/well", "--health-interval", "200ms", "--health-retries", "1"];
    daemon.background("health", &flags, "sleep 1000")?;
    let health = || daemon.inspect("health", "{{.State.Health.Status}}");
    until("it is unhealthy", || Ok((health()? == "unhealthy").then_some(())))?;
    daemon.ok(&["exec", "health", "touch", "/tmp/well"])?;
    until("it is healthy", || Ok((health()? == "healthy").then_some(())))?;
    Ok(Outcome::Passed)
}

pub(super) fn containers_survive_the_daemon(daemon: &Daemon) -> Result<Outcome> {
    daemon.background("stays", &["-m", "64m"], "sleep 1000")?;
    daemon.background("ends", &[], "while ! test -e /tmp/end; do sleep 0.1; done; exit 9")?;
    let pid = daemon.inspect("stays", "{{.State.Pid}}")?;
    daemon.ok(&["exec", "-d", "ends", "sh", "-c", "sleep 1; touch /tmp/end"])?;
    daemon.crash()?;
    ensure!(daemon.inspect("stays", "{{.State.Pid}}")? == pid, "another process");
    let shown = "{{.State.Status}} {{.State.ExitCode}}";
    until("the end is seen", || Ok((daemon.inspect("ends", shown)? == "exited 9").then_some(())))?;
    ensure!(daemon.ok(&["exec", "stays", "echo", "here"])? == "here", "exec");
    daemon.ok(&["update", "-m", "48m", "--memory-swap", "48m", "stays"])?;
    daemon.controls("stays", &[("memory.max", "50331648"), ("memory.swap.max", "0")])?;
    daemon.ok(&["pause", "stays"])?;
    daemon.ok(&["unpause", "stays"])?;
    Ok(Outcome::Passed)
}
