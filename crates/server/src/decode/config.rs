//! The process side of a create request.

use api::ApiVersion;
use api::container::{Config, Healthcheck, Words};
use engine::model::{ContainerConfig, PortKey};

use super::ports;
use crate::failure::Failure;

/// Decodes a container's configuration.
///
/// # Errors
/// 400 and 501 in Docker's words.
pub fn decode(wire: Config, version: ApiVersion) -> Result<ContainerConfig, Failure> {
    let env = wire.env.unwrap_or_default();
    if let Some(bad) = env.iter().find(|entry| entry.is_empty() || entry.starts_with('=')) {
        return Err(Failure::invalid(format!("invalid environment variable: {bad}")));
    }
    let stop_signal = Some(wire.stop_signal.as_str()).filter(|signal| !signal.is_empty());
    let exposed_ports = wire.exposed_ports.keys().map(|port| ports::key(port)).collect::<Result<Vec<PortKey>, _>>()?;
    let bare = wire.exposed_ports.keys().filter(|port| !port.contains('/'));
    let exposed_bare = bare.map(|port| ports::key(port)).collect::<Result<_, _>>()?;
    Ok(ContainerConfig {
        hostname: wire.hostname,
        domainname: wire.domainname,
        user: wire.user,
        attach_stdin: wire.attach_stdin,
        attach_stdout: wire.attach_stdout,
        attach_stderr: wire.attach_stderr,
        exposed_ports: exposed_ports.into_iter().collect(),
        exposed_bare,
        tty: wire.tty,
        open_stdin: wire.open_stdin,
        stdin_once: wire.stdin_once,
        env,
        cmd: words(wire.cmd),
        entrypoint: words(wire.entrypoint),
        healthcheck: wire.healthcheck.map(|check| healthcheck(check, version)).transpose()?,
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

/// What is left out comes from the image, field by field. Versions before 1.44 do not know `StartInterval`.
fn healthcheck(wire: Healthcheck, version: ApiVersion) -> Result<engine::model::Healthcheck, Failure> {
    const MILLISECOND: i64 = 1_000_000;
    let start_interval = if version < ApiVersion(44) { 0 } else { wire.start_interval };
    for (name, nanoseconds) in [
        ("Interval", wire.interval),
        ("Timeout", wire.timeout),
        ("StartPeriod", wire.start_period),
        ("StartInterval", start_interval),
    ] {
        if nanoseconds != 0 && nanoseconds < MILLISECOND {
            return Err(Failure::invalid(format!("{name} in Healthcheck cannot be less than 1ms")));
        }
    }
    if wire.retries < 0 {
        return Err(Failure::invalid("Retries in Healthcheck cannot be negative"));
    }
    check_test(&wire.test)?;
    Ok(engine::model::Healthcheck {
        test: wire.test,
        interval: wire.interval,
        timeout: wire.timeout,
        start_period: wire.start_period,
        start_interval,
        retries: wire.retries,
    })
}

/// Docker logs a kind that it does not know and checks nothing; here the request is refused.
fn check_test(test: &[String]) -> Result<(), Failure> {
    match test.split_first() {
        None => Ok(()),
        Some((kind, words)) => match (kind.as_str(), words) {
            ("NONE", _) | ("CMD", [_, ..]) | ("CMD-SHELL", [_]) => Ok(()),
            ("CMD" | "CMD-SHELL", _) => {
                Err(Failure::invalid(format!("Test in Healthcheck must have a command behind {kind}")))
            }
            _ => Err(Failure::invalid(format!("Unknown healthcheck type '{kind}' (expected 'CMD')"))),
        },
    }
}
