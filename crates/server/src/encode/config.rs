//! The process side of a container.

use api::Empty;
use api::container::{Config, Healthcheck, Words};
use engine::model::{ContainerConfig, PortKey};

use super::or_null;

pub(super) fn config(config: &ContainerConfig) -> Config {
    let words = |words: &Option<Vec<String>>| words.clone().map(Words);
    Config {
        hostname: config.hostname.clone(),
        domainname: config.domainname.clone(),
        user: config.user.clone(),
        attach_stdin: config.attach_stdin,
        attach_stdout: config.attach_stdout,
        attach_stderr: config.attach_stderr,
        exposed_ports: config.exposed_ports.iter().map(|port| (exposed(config, *port), Empty {})).collect(),
        tty: config.tty,
        open_stdin: config.open_stdin,
        stdin_once: config.stdin_once,
        env: Some(config.env.clone()),
        cmd: words(&config.cmd),
        healthcheck: config.healthcheck.as_ref().map(healthcheck),
        args_escaped: false,
        image: config.image.clone(),
        volumes: or_null(config.volumes.iter().map(|path| (path.clone(), Empty {})).collect()),
        working_dir: config.working_dir.clone(),
        entrypoint: words(&config.entrypoint),
        network_disabled: config.network_disabled,
        mac_address: String::new(),
        on_build: or_null(config.on_build.clone()),
        labels: Some(config.labels.clone()),
        stop_signal: config.stop_signal.map(|signal| signal.to_string()).unwrap_or_default(),
        stop_timeout: config.stop_timeout,
        shell: words(&config.shell),
        host_config: None,
        networking_config: None,
    }
}

/// `80/tcp`, or `80` when the request said so.
fn exposed(config: &ContainerConfig, port: PortKey) -> String {
    if config.exposed_bare.contains(&port) { port.port.to_string() } else { port.to_string() }
}

fn healthcheck(check: &engine::model::Healthcheck) -> Healthcheck {
    Healthcheck {
        test: check.test.clone(),
        interval: check.interval,
        timeout: check.timeout,
        start_period: check.start_period,
        start_interval: check.start_interval,
        retries: check.retries,
    }
}
