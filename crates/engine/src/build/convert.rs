//! Configurations between the builder, the store and containers.

use std::time::Duration;

use build::config::{self, Config};
use build::solve::Record;
use serde_json::{Map, Value, json};
use store::{ContainerConfig, Healthcheck, ImageId};

/// What the builder changes of an image's configuration.
pub(crate) fn to_builder(config: &ContainerConfig) -> Config {
    Config {
        user: config.user.clone(),
        exposed_ports: config.exposed_ports.keys().cloned().collect(),
        env: config.env.clone(),
        entrypoint: config.entrypoint.clone(),
        cmd: config.cmd.clone(),
        volumes: config.volumes.keys().cloned().collect(),
        working_dir: config.working_dir.clone(),
        labels: config.labels.clone().into_iter().collect(),
        stop_signal: config.stop_signal.clone(),
        stop_timeout: config.stop_timeout,
        healthcheck: config.healthcheck.as_ref().map(|check| config::Healthcheck {
            test: check.test.clone(),
            interval: duration(check.interval),
            timeout: duration(check.timeout),
            start_period: duration(check.start_period),
            start_interval: duration(check.start_interval),
            retries: u32::try_from(check.retries).ok().filter(|count| *count > 0),
        }),
        shell: config.shell.clone(),
        on_build: config.on_build.clone(),
        ..Config::default()
    }
}

/// The configuration as images have it.
pub(crate) fn to_store(config: &Config) -> ContainerConfig {
    let empty = || Value::Object(Map::new());
    ContainerConfig {
        user: config.user.clone(),
        exposed_ports: config.exposed_ports.iter().map(|port| (port.clone(), empty())).collect(),
        env: config.env.clone(),
        entrypoint: config.entrypoint.clone(),
        cmd: config.cmd.clone(),
        volumes: config.volumes.iter().map(|path| (path.clone(), empty())).collect(),
        working_dir: config.working_dir.clone(),
        labels: config.labels.clone().into_iter().collect(),
        stop_signal: config.stop_signal.clone(),
        stop_timeout: config.stop_timeout,
        healthcheck: config.healthcheck.as_ref().map(|check| Healthcheck {
            test: check.test.clone(),
            interval: nanoseconds(check.interval),
            timeout: nanoseconds(check.timeout),
            start_period: nanoseconds(check.start_period),
            start_interval: nanoseconds(check.start_interval),
            retries: check.retries.unwrap_or_default().into(),
        }),
        shell: config.shell.clone(),
        on_build: config.on_build.clone(),
        ..ContainerConfig::default()
    }
}

/// 0 is the default.
fn duration(nanoseconds: i64) -> Option<Duration> {
    u64::try_from(nanoseconds).ok().filter(|time| *time > 0).map(Duration::from_nanos)
}

fn nanoseconds(time: Option<Duration>) -> i64 {
    time.map_or(0, |time| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX))
}

/// The configuration of a step's container: what identifies the step in the image it made.
pub(super) fn container_config(record: &Record<'_, ImageId>) -> Value {
    let mut whole = to_store(record.config);
    whole.cmd = Some(record.command.clone());
    if record.is_run {
        whole.entrypoint = None;
    }
    let image = record.parent.map(ToString::to_string).unwrap_or_default();
    let own = [
        ("Hostname", json!("")),
        ("Domainname", json!("")),
        ("AttachStdin", json!(false)),
        ("AttachStdout", json!(false)),
        ("AttachStderr", json!(false)),
        ("Tty", json!(false)),
        ("OpenStdin", json!(false)),
        ("StdinOnce", json!(false)),
        ("Image", json!(image)),
    ];
    whole.other.extend(own.map(|(key, value)| (key.to_owned(), value)));
    // Its maps have texts as keys, so it always encodes.
    serde_json::to_value(whole).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_survives_the_builder() {
        let mut config = ContainerConfig {
            user: "u".to_owned(),
            env: vec!["A=1".to_owned()],
            cmd: Some(vec!["x".to_owned()]),
            working_dir: "/w".to_owned(),
            stop_signal: Some("9".to_owned()),
            stop_timeout: Some(3),
            on_build: vec!["RUN x".to_owned()],
            healthcheck: Some(Healthcheck { test: vec!["NONE".to_owned()], retries: 3, ..Healthcheck::default() }),
            ..ContainerConfig::default()
        };
        config.exposed_ports.insert("80/tcp".to_owned(), Value::Object(Map::new()));
        config.labels.insert("a".to_owned(), "b".to_owned());
        assert_eq!(to_store(&to_builder(&config)), config);
    }
}
