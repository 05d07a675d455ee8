#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use super::*;
use crate::model::{ContainerConfig, ContainerSpec, ExitInfo, HostConfig, MountPoint};
use types::{ContainerId, Platform};

struct World;

impl Lookup for World {
    type Error = InvalidFilter;
    fn created(&self, container: &str) -> Result<Timestamp, InvalidFilter> {
        container
            .parse::<i64>()
            .map(|second| Timestamp::from_second(second).unwrap())
            .map_err(|_| bad("before", container))
    }
    fn descendants(&self, image: &str) -> BTreeSet<Digest> {
        if image == "base" { [Digest::from_sha256([7; 32])].into() } else { BTreeSet::new() }
    }
}

fn container() -> ContainerSummary {
    let mut config = ContainerConfig { labels: [("tier".to_owned(), "front".to_owned())].into(), ..Default::default() };
    config.exposed_ports.insert("80/tcp".parse().unwrap());
    let host = HostConfig::default();
    let spec = ContainerSpec {
        id: ContainerId::from_bytes([0xab; 32]),
        created: Timestamp::from_second(100).unwrap(),
        image: Some(Digest::from_sha256([7; 32])),
        path: "sh".to_owned(),
        args: Vec::new(),
        config,
        host,
        endpoints: Default::default(),
        mounts: vec![MountPoint {
            kind: "volume".to_owned(),
            name: "data".to_owned(),
            source: "/var/x".to_owned(),
            destination: "/data".to_owned(),
            driver: "local".to_owned(),
            mode: String::new(),
            rw: true,
            propagation: String::new(),
            anonymous: false,
            copy_up: true,
            options: Vec::new(),
            subpath: String::new(),
            image: None,
        }],
        driver: "overlay2".to_owned(),
        platform: Platform::host(),
        build_step: false,
    };
    let exit = ExitInfo {
        code: 3,
        at: Timestamp::from_second(120).unwrap(),
        started_at: Some(Timestamp::from_second(110).unwrap()),
        oom_killed: false,
        error: String::new(),
    };
    ContainerSummary {
        given_names: Vec::new(),
        spec: Arc::new(spec),
        name: "web_1".to_owned(),
        state: ContainerState::Exited(exit),
        health: None,
        image: "base".to_owned(),
        networks: [("bridge".to_owned(), Default::default())].into(),
        ports: [("53/udp".parse().unwrap(), vec![("0.0.0.0".to_owned(), 8080)])].into(),
        size: None,
    }
}

fn filter(pairs: &[(&str, &str)]) -> Result<ContainerFilter, InvalidFilter> {
    let mut filters = Filters::new();
    for (key, value) in pairs {
        filters.entry((*key).to_owned()).or_default().push((*value).to_owned());
    }
    ContainerFilter::parse(&filters, &World)
}

#[test]
fn each_key_keeps_and_drops() {
    let container = container();
    for (key, kept, dropped) in [
        ("id", "^abab", "^cd"),
        ("name", "web", "^eb"),
        ("name", "^/web_1$", "/web_2"),
        ("label", "tier=front", "tier=back"),
        ("label", "tier", "none"),
        ("status", "exited", "running"),
        ("exited", "3", "0"),
        ("health", "none", "healthy"),
        ("ancestor", "base", "other"),
        ("before", "101", "100"),
        ("since", "99", "100"),
        ("volume", "data", "dat"),
        ("volume", "/data", "/var/x"),
        ("network", "bridge", "host"),
        ("publish", "8080/udp", "8080"),
        ("publish", "8000-8090/udp", "9000-9100/udp"),
        ("expose", "80/tcp", "81"),
        ("is-task", "false", "true"),
    ] {
        assert!(filter(&[(key, kept)]).unwrap().matches(&container), "{key}={kept}");
        assert!(!filter(&[(key, dropped)]).unwrap().matches(&container), "{key}={dropped}");
    }
}

#[test]
fn values_are_alternatives_keys_and_labels_add_up() {
    let container = container();
    assert!(filter(&[("status", "running"), ("status", "exited")]).unwrap().matches(&container));
    assert!(!filter(&[("status", "exited"), ("name", "other")]).unwrap().matches(&container));
    assert!(!filter(&[("label", "tier"), ("label", "none")]).unwrap().matches(&container));
    assert!(filter(&[("status", "exited")]).unwrap().implies_all());
    assert!(!filter(&[("name", "x")]).unwrap().implies_all());
}

#[test]
fn nonsense_is_refused_in_dockers_words() {
    for (key, value, message) in [
        ("colour", "red", "invalid filter 'colour'"),
        (
            "status",
            "rotten",
            "invalid filter 'status=rotten': invalid value for state (rotten): must be one of created, running, paused, restarting, removing, exited, dead",
        ),
        ("exited", "x", "invalid filter 'exited=x'"),
        ("is-task", "perhaps", "invalid filter 'is-task=[perhaps]'"),
        ("publish", "99999", "invalid filter 'publish=99999'"),
    ] {
        assert_eq!(filter(&[(key, value)]).unwrap_err().to_string(), message);
    }
}
