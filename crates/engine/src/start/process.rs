//! Pure: the process of a container, and of an exec, in the runtime's terms.

use runtime::spec::{Capabilities, ConsoleSize, Process, Rlimit, User};

use super::mounts::INIT_PATH;
use super::observe::Observed;
use super::users::ProcessUser;
use crate::error::Error;
use crate::model::{ContainerSpec, ExecConfig, HostConfig, Ulimit};

const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The container's first process.
pub(super) fn container_process(spec: &ContainerSpec, observed: &Observed) -> Result<Process, Error> {
    let command = std::iter::once(spec.path.clone()).chain(spec.args.iter().cloned());
    let args = match observed.init {
        Some(_) => [INIT_PATH.to_owned(), "--".to_owned()].into_iter().chain(command).collect(),
        None => command.collect(),
    };
    let (rows, cols) = spec.host.console_size;
    Ok(Process {
        terminal: spec.config.tty,
        console_size: (spec.config.tty && rows > 0).then_some(ConsoleSize { height: rows, width: cols }),
        user: user(&observed.user),
        args,
        env: environment(spec, spec.config.tty, &[], &observed.user.home),
        cwd: working_directory(&spec.config.working_dir, ""),
        capabilities: Some(sets(&observed.capabilities, observed.user.uid)),
        rlimits: rlimits(&spec.host),
        no_new_privileges: observed.no_new_privileges,
        oom_score_adj: (spec.host.oom_score_adj != 0).then_some(spec.host.oom_score_adj),
        ..Process::default()
    })
}

/// A process that joins the running container.
pub(super) fn exec_process(
    spec: &ContainerSpec,
    exec: &ExecConfig,
    found: &ProcessUser,
    capabilities: &[String],
    no_new_privileges: bool,
) -> Process {
    let (rows, cols) = exec.console_size.unwrap_or_default();
    Process {
        terminal: exec.tty,
        console_size: (exec.tty && rows > 0).then_some(ConsoleSize { height: rows, width: cols }),
        user: user(found),
        args: exec.cmd.clone(),
        env: environment(spec, exec.tty, &exec.env, &found.home),
        cwd: working_directory(&spec.config.working_dir, &exec.working_dir),
        capabilities: Some(sets(capabilities, found.uid)),
        rlimits: rlimits(&spec.host),
        no_new_privileges,
        oom_score_adj: (spec.host.oom_score_adj != 0).then_some(spec.host.oom_score_adj),
        ..Process::default()
    }
}

fn user(user: &ProcessUser) -> User {
    User { uid: user.uid, gid: user.gid, additional_gids: user.groups.clone(), ..User::default() }
}

fn working_directory(container: &str, exec: &str) -> std::path::PathBuf {
    let directory = if exec.is_empty() { container } else { exec };
    if directory.is_empty() { "/" } else { directory }.into()
}

/// Docker's defaults, then the container's variables, then the exec's; the last setting of a name wins and an
/// entry without `=` unsets it.
fn environment(spec: &ContainerSpec, tty: bool, more: &[String], home: &str) -> Vec<String> {
    let mut variables = vec![DEFAULT_PATH.to_owned(), format!("HOSTNAME={}", spec.config.hostname)];
    if tty {
        variables.push("TERM=xterm".to_owned());
    }
    for entry in spec.config.env.iter().chain(more) {
        let name = entry.split('=').next().unwrap_or_default();
        let same = |variable: &String| variable.split('=').next() == Some(name);
        match (variables.iter().position(same), entry.contains('=')) {
            (Some(at), true) => variables[at].clone_from(entry),
            (Some(at), false) => drop(variables.remove(at)),
            (None, true) => variables.push(entry.clone()),
            (None, false) => {}
        }
    }
    if !variables.iter().any(|variable| variable.starts_with("HOME=")) {
        variables.push(format!("HOME={home}"));
    }
    variables
}

/// As Docker since 20.10.14: inheritable and ambient stay empty, and only root holds what the others may gain.
fn sets(capabilities: &[String], uid: u32) -> Capabilities {
    let held = if uid == 0 { capabilities.to_vec() } else { Vec::new() };
    Capabilities {
        bounding: capabilities.to_vec(),
        effective: held.clone(),
        permitted: held,
        ..Capabilities::default()
    }
}

fn rlimits(host: &HostConfig) -> Vec<Rlimit> {
    let value = |limit: i64| u64::try_from(limit).unwrap_or(u64::MAX);
    let limit = |ulimit: &Ulimit| Rlimit {
        kind: format!("RLIMIT_{}", ulimit.name.to_ascii_uppercase()),
        hard: value(ulimit.hard),
        soft: value(ulimit.soft),
    };
    host.resources.ulimits.iter().map(limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_variable_wins_and_home_is_filled_in() {
        let mut spec = crate::start::oci::tests::spec();
        spec.config.hostname = "web".to_owned();
        spec.config.env = ["A=1", "B=2", "PATH=/x"].map(str::to_owned).to_vec();
        let more = ["B".to_owned(), "A=3".to_owned()];
        let environment = environment(&spec, true, &more, "/root");
        assert_eq!(environment, ["PATH=/x", "HOSTNAME=web", "TERM=xterm", "A=3", "HOME=/root"]);
    }
}
