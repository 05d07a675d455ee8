//! The process side of a create request.

use api::container::{Config, Healthcheck, Words};
use engine::model::{ContainerConfig, PortKey};

use super::ports;
use crate::failure::Failure;

pub(super) fn decode(wire: Config) -> Result<ContainerConfig, Failure> {
    let env = wire.env.unwrap_or_default();
    if let Some(bad) = env.iter().find(|entry| entry.is_empty() || entry.starts_with('=')) {
        return Err(Failure::invalid(format!("invalid environment variable: {bad}")));
    }
    let stop_signal = Some(wire.stop_signal.as_str()).filter(|signal| !signal.is_empty());
    let exposed_ports = wire.exposed_ports.keys().map(|port| ports::key(port)).collect::<Result<Vec<PortKey>, _>>()?;
    Ok(ContainerConfig {
        hostname: wire.hostname,
        domainname: wire.domainname,
        user: wire.user,
        attach_stdin: wire.attach_stdin,
        attach_stdout: wire.attach_stdout,
        attach_stderr: wire.attach_stderr,
        exposed_ports: exposed_ports.into_iter().collect(),
        tty: wire.tty,
        open_stdin: wire.open_stdin,
        stdin_once: wire.stdin_once,
        env,
        cmd: words(wire.cmd),
        // The client writes `--entrypoint ""` as one empty word.
        entrypoint: words(wire.entrypoint).map(|words| if words == [""] { Vec::new() } else { words }),
        healthcheck: wire.healthcheck.map(healthcheck).transpose()?.flatten(),
        image: wire.image,
        volumes: wire.volumes.unwrap_or_default().into_keys().collect(),
        working_dir: wire.working_dir,
        labels: wire.labels.unwrap_or_default(),
        stop_signal: super::signal(stop_signal)?,
        stop_timeout: wire.stop_timeout,
        shell: words(wire.shell),
        network_disabled: wire.network_disabled,
        on_build: wire.on_build.unwrap_or_default(),
    })
}

fn words(words: Option<Words>) -> Option<Vec<String>> {
    words.map(|words| words.0)
}

/// A request may switch an image's health check off; running one is not supported.
fn healthcheck(wire: Healthcheck) -> Result<Option<engine::model::Healthcheck>, Failure> {
    if wire == Healthcheck::default() {
        return Ok(None);
    }
    if wire.test.first().is_some_and(|word| word == "NONE") {
        return Ok(Some(engine::model::Healthcheck { test: wire.test, ..Default::default() }));
    }
    Err(Failure::unsupported("Healthcheck (--health-cmd)"))
}
