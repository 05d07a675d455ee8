//! Docker's words for what is wrong, as Docker 20.10 says them, and what the monitor is told when nothing is.

#![allow(clippy::unwrap_used)]

use super::*;

fn config(driver: &str, options: &[&str]) -> LogConfig {
    let pairs = options.iter().map(|option| option.split_once('=').unwrap());
    LogConfig {
        driver: driver.to_owned(),
        options: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
    }
}

fn refusal(driver: &str, options: &[&str]) -> String {
    check(&config(driver, options)).map_or_else(|error| error.to_string(), |()| String::new())
}

/// Checks that each of these is refused so.
fn refused(mistakes: &[(&str, &[&str], String)]) {
    for (driver, options, expected) in mistakes {
        assert_eq!(refusal(driver, options), *expected, "{driver} {options:?}");
    }
}

#[test]
fn mistakes_are_told_in_dockers_words() {
    let init = "failed to initialize logging driver: ";
    refused(&[
        ("foo", &[][..], "error looking up logging plugin foo: plugin \"foo\" not found".to_owned()),
        ("json-file", &["foo=bar"], "unknown log opt 'foo' for json-file log driver".to_owned()),
        ("json-file", &["mode=bad"], "logger: logging mode not supported: bad".to_owned()),
        (
            "json-file",
            &["max-buffer-size=1m"],
            "logger: max-buffer-size option is only supported with 'mode=non-blocking'".to_owned(),
        ),
        (
            "json-file",
            &["mode=non-blocking", "max-buffer-size=x"],
            "error parsing option max-buffer-size: invalid size: 'x'".to_owned(),
        ),
        ("json-file", &["max-size=foo"], format!("{init}invalid size: 'foo'")),
        ("json-file", &["max-size=0"], format!("{init}max-size must be a positive number")),
        ("json-file", &["max-file=0"], format!("{init}max-file cannot be less than 1")),
        ("json-file", &["max-file=x"], format!("{init}strconv.Atoi: parsing \"x\": invalid syntax")),
        (
            "json-file",
            &["compress=true"],
            format!("{init}compress cannot be true when max-file is less than 2 or max-size is not set"),
        ),
        ("json-file", &["compress=x"], format!("{init}strconv.ParseBool: parsing \"x\": invalid syntax")),
        ("json-file", &["cache-disabled=x"], "invalid value for option cache-disabled: x".to_owned()),
        ("local", &["tag=x"], "unknown log opt 'tag' for log driver local".to_owned()),
        ("local", &["max-size=x"], format!("{init}invalid value for max-size: x: invalid size: 'x'")),
        ("local", &["max-file=1"], format!("{init}compression cannot be enabled when max file count is 1")),
    ]);
}

#[test]
fn mistakes_about_collectors_are_too() {
    refused(&[
        ("syslog", &["syslog-address=x"], "syslog-address should be in form proto://address, got x".to_owned()),
        ("syslog", &["syslog-address=unix:///nope"], "stat /nope: no such file or directory".to_owned()),
        ("syslog", &["syslog-facility=24"], "invalid syslog facility".to_owned()),
        ("syslog", &["syslog-format=x"], "Invalid syslog format".to_owned()),
        ("syslog", &["cache-foo=x"], "unknown log opt 'cache-foo' for syslog log driver".to_owned()),
        ("gelf", &[], "gelf-address is a required parameter".to_owned()),
        ("gelf", &["gelf-address=udp://x"], "gelf: please provide gelf-address as proto://host:port".to_owned()),
        ("gelf", &["gelf-address=unix:///x"], "gelf: endpoint needs to be TCP or UDP".to_owned()),
        (
            "gelf",
            &["gelf-address=udp://x:1", "gelf-compression-level=11"],
            "unknown value \"11\" for log opt \"gelf-compression-level\" for gelf log driver".to_owned(),
        ),
        (
            "gelf",
            &["gelf-address=udp://x:1", "gelf-tcp-max-reconnect=1"],
            "\"gelf-tcp-max-reconnect\" is only valid for TCP".to_owned(),
        ),
        (
            "fluentd",
            &["fluentd-address=tcp://x:y"],
            "invalid fluentd-address tcp://x:y: parse \"tcp://x:y\": invalid port \":y\" after host".to_owned(),
        ),
        ("fluentd", &["fluentd-async=x"], "strconv.ParseBool: parsing \"x\": invalid syntax".to_owned()),
        ("fluentd", &["fluentd-retry-wait=x"], "time: invalid duration \"x\"".to_owned()),
        ("fluentd", &["fluentd-max-retries=x"], "strconv.ParseUint: parsing \"x\": invalid syntax".to_owned()),
    ]);
}

#[test]
fn what_docker_takes_is_taken() {
    for (driver, options) in [
        ("json-file", &[][..]),
        ("json-file", &["max-size=-1"]),
        ("json-file", &["max-file=3"]),
        ("json-file", &["max-size=10k", "max-file=3", "compress=true", "tag={{.Name}}", "labels=a,b"]),
        ("none", &["foo=bar"]),
        ("local", &["max-size=0"]),
        ("journald", &["tag=x", "env-regex=^A"]),
        ("syslog", &["syslog-address=udp://x", "syslog-facility=local3", "cache-disabled=true"]),
    ] {
        assert_eq!(refusal(driver, options), "", "{driver} {options:?}");
    }
}

#[test]
fn templates_and_expressions_are_checked() {
    let tag = |text: &str| refusal("json-file", &[&format!("tag={text}")]);
    let init = "failed to initialize logging driver: template: log-tag:1";
    assert_eq!(
        tag("{{.Foo}}"),
        format!("{init}:2: executing \"log-tag\" at <.Foo>: can't evaluate field Foo in type *logger.Info")
    );
    assert_eq!(tag("{{.ID"), format!("{init}: unclosed action"));
    assert_eq!(tag("{{nope .ID}}"), format!("{init}: function \"nope\" not defined"));
    assert!(refusal("json-file", &["labels-regex=("]).ends_with("`(`"));
}

#[test]
fn templates_know_dockers_fields() {
    let info = Info {
        name: "web".to_owned(),
        image_name: "busybox".to_owned(),
        labels: [("a".to_owned(), "b".to_owned())].into(),
        env: vec!["K=v".to_owned()],
        ..Info::example()
    };
    for (template, expected) in [
        ("plain", "plain"),
        ("{{.Name}}/{{ .ID }}-{{.ImageID}}", "web/000000000000-sha256:00000"),
        ("{{.ImageName | upper}} {{.DaemonName}}", "BUSYBOX docker"),
        ("{{index .ContainerLabels \"a\"}} {{.ContainerLabels}} {{.ContainerEnv}}", "b map[a:b] [K=v]"),
        ("{{(.ExtraAttributes nil).K}} {{- \" x\"}}", "v x"),
    ] {
        assert_eq!(tag::expand(template, &info), Ok(expected.to_owned()), "{template}");
    }
}

#[test]
fn a_log_without_options_is_bounded_and_one_with_them_is_dockers() {
    let file = |options: &[&str]| {
        let config = config("json-file", options);
        file::json(&Options::new(&config)).unwrap().at("/l".into(), Default::default())
    };
    let bounded = file(&["labels=a"]);
    assert_eq!((bounded.max_size, bounded.budget), (Some(20_000_000), Some(100_000_000)));
    assert!(bounded.compress.is_some());
    let unbounded = file(&["max-size=-1"]);
    assert_eq!((unbounded.max_size, unbounded.max_file, unbounded.budget), (None, 1, None));
    let asked = file(&["max-size=10k", "max-file=3"]);
    assert_eq!((asked.max_size, asked.max_file, asked.compress, asked.budget), (Some(10_000), 3, None, None));
}

#[test]
fn defaults_of_the_daemon_complete_only_its_own_driver() {
    let defaults = config("json-file", &["max-size=1m", "cache-disabled=true"]);
    let mut same = config("", &["max-file=2"]);
    complete(&mut same, &defaults);
    assert_eq!(same, config("json-file", &["max-size=1m", "max-file=2", "cache-disabled=true"]));
    let mut other = config("syslog", &[]);
    complete(&mut other, &defaults);
    assert_eq!(other, config("syslog", &["cache-disabled=true"]));
}
