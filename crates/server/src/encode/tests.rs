//! Our JSON against what Docker 20.10 answered for the same thing at API 1.41 (`golden/*.json`). Where Docker 28
//! answers differently from 20.10 at that version, the difference is named in the test.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use api::ApiVersion;
use engine::NetworkMember;
use engine::model::{
    BindMount, ContainerConfig, ContainerDetails, ContainerSpec, ContainerState, ContainerSummary, EndpointSettings,
    Event, EventKind, ExecConfig, ExecDetails, HostConfig, LogConfig, MountPoint, MountRequest, MountRequestKind,
    NamespaceMode, NetworkMode, PortBindingRequest, Resources, RestartPolicy,
};
use jiff::Timestamp;
use serde_json::Value;
use types::{ContainerId, Platform};

mod images;

const V41: ApiVersion = ApiVersion(41);
const ID: &str = "2af70c97f4b11918dc382277c365d727fd512c207ea09ec185788adb78b7af5b";
const IMAGE: &str = "sha256:511f49366a48d25a103f3a3791a88a96c6e9127b8c219251a6d5ef94df2e64c6";
const NETWORK: &str = "50ab06d7961fa07bfec86775b840df519e433ff376f66d01f7e07da0977bc712";
const ENDPOINT: &str = "9e843539abdc19188ef1f6dcb9ad60a8e3d674d9b878474991b1a843f95ab1ff";
const SANDBOX: &str = "95374a4b244a224db342581f3ca459f19b212b2f357a6c0182914d4a430acf35";
const EXEC: &str = "e545ae529ddb383b9b76caeea85524c33e5a24afdda55c6cbee430c1481c65a8";

fn golden(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn value(encoded: &impl serde::Serialize) -> Value {
    serde_json::to_value(encoded).unwrap()
}

/// Takes a member out, so that a named difference does not count.
fn drop_key(value: &mut Value, pointer: &str, key: &str) {
    value.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(key).unwrap();
}

fn assert_same(ours: &Value, docker: &Value) {
    assert_eq!(
        serde_json::to_string_pretty(ours).unwrap(),
        serde_json::to_string_pretty(docker).unwrap(),
        "ours on the left, Docker's on the right"
    );
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn bind_point(destination: &str, mode: &str) -> MountPoint {
    MountPoint {
        kind: "bind".to_owned(),
        name: String::new(),
        source: "/srv".to_owned(),
        destination: destination.to_owned(),
        driver: String::new(),
        mode: mode.to_owned(),
        rw: mode != "ro",
        propagation: "rprivate".to_owned(),
        anonymous: false,
        copy_up: false,
        options: Vec::new(),
        subpath: String::new(),
        image: None,
    }
}

fn volume_point() -> MountPoint {
    MountPoint {
        kind: "volume".to_owned(),
        name: "data".to_owned(),
        source: "/var/lib/docker/volumes/data/_data".to_owned(),
        driver: "local".to_owned(),
        propagation: String::new(),
        ..bind_point("/data", "z")
    }
}

fn tmpfs_point() -> MountPoint {
    MountPoint { kind: "tmpfs".to_owned(), source: String::new(), ..bind_point("/scratch", "") }
}

fn host() -> HostConfig {
    let bind = |source: &str, destination: &str, mode: &str| BindMount {
        source: source.to_owned(),
        destination: destination.to_owned(),
        mode: mode.to_owned(),
    };
    HostConfig {
        binds: vec![bind("data", "/data", ""), bind("/srv", "/mnt", "ro")],
        mounts: vec![MountRequest {
            kind: MountRequestKind::Bind,
            source: "/srv".to_owned(),
            target: "/m2".to_owned(),
            read_only: false,
            propagation: String::new(),
            non_recursive: false,
            create_source: false,
            no_copy: false,
            labels: BTreeMap::new(),
            subpath: String::new(),
            driver: String::new(),
            driver_options: BTreeMap::new(),
            tmpfs_size: 0,
            tmpfs_mode: 0,
            tmpfs_options: Vec::new(),
            read_only_non_recursive: false,
            read_only_force_recursive: false,
        }],
        tmpfs: map(&[("/scratch", "size=1m")]),
        log: LogConfig { driver: "json-file".to_owned(), options: BTreeMap::new() },
        network_mode: NetworkMode::None,
        port_bindings: [(
            "80/udp".parse().unwrap(),
            vec![PortBindingRequest { host_ip: None, host_ports: Some((8080, 8080)) }],
        )]
        .into(),
        restart_policy: RestartPolicy::OnFailure { maximum_retry_count: 3 },
        cap_add: words(&["CAP_NET_ADMIN"]),
        cgroupns_mode: NamespaceMode::Host,
        ipc_mode: NamespaceMode::Private,
        init: Some(true),
        masked_paths: Some(words(&[
            "/proc/asound",
            "/proc/acpi",
            "/proc/kcore",
            "/proc/keys",
            "/proc/latency_stats",
            "/proc/timer_list",
            "/proc/timer_stats",
            "/proc/sched_debug",
            "/proc/scsi",
            "/sys/firmware",
        ])),
        readonly_paths: Some(words(&["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"])),
        resources: Resources {
            memory: 64 << 20,
            memory_swap: 128 << 20,
            oom_kill_disable: Some(false),
            ..Resources::default()
        },
        ..HostConfig::default()
    }
}

fn spec(mounts: Vec<MountPoint>) -> Arc<ContainerSpec> {
    Arc::new(ContainerSpec {
        id: ID.parse().unwrap(),
        created: time("2026-11-21T07:06:54.941957152Z"),
        image: Some(IMAGE.parse().unwrap()),
        path: "sleep".to_owned(),
        args: words(&["1000"]),
        config: ContainerConfig {
            hostname: ID[..12].to_owned(),
            exposed_ports: ["80/tcp", "80/udp"].map(|port| port.parse().unwrap()).into(),
            env: words(&["X=y", "A=b"]),
            cmd: Some(words(&["sleep", "1000"])),
            image: "bb:1".to_owned(),
            labels: map(&[("k", "v"), ("tier", "front")]),
            ..ContainerConfig::default()
        },
        host: host(),
        endpoints: BTreeMap::new(),
        mounts,
        driver: "overlay2".to_owned(),
        platform: Platform::host(),
        build_step: false,
    })
}

fn running() -> ContainerState {
    ContainerState::Running { pid: 28849, start_time: 1, since: time("2026-11-21T07:06:56.097249706Z") }
}

fn networks() -> BTreeMap<String, EndpointSettings> {
    let settings = EndpointSettings {
        network_id: NETWORK.to_owned(),
        endpoint_id: ENDPOINT.to_owned(),
        ..EndpointSettings::default()
    };
    [("none".to_owned(), settings)].into()
}

#[test]
fn container_inspect_is_dockers() {
    let directory = PathBuf::from("/var/lib/docker/containers").join(ID);
    let layer = "/var/lib/docker/overlay2/38bc95edd333c5cf85d1735d2218451ac729448df21f51dc99e9dffb28dbfacb";
    let base = "/var/lib/docker/overlay2/a720b3eb152a01f08881ff8c8956b40172a6a2a576e9a0761a4c3d1ce76e4ac4/diff";
    let details = ContainerDetails {
        stale_binds: Vec::new(),
        links: Vec::new(),
        spec: spec(vec![bind_point("/m2", ""), volume_point(), bind_point("/mnt", "ro"), tmpfs_point()]),
        name: "web".to_owned(),
        state: running(),
        health: None,
        restart_count: 0,
        finished_at: None,
        out_of_memory: false,
        exec_ids: vec![EXEC.parse().unwrap()],
        resolv_conf_path: directory.join("resolv.conf"),
        hostname_path: directory.join("hostname"),
        hosts_path: directory.join("hosts"),
        log_path: directory.join(format!("{ID}-json.log")),
        networks: networks(),
        ports: BTreeMap::new(),
        sandbox_key: "/run/docker/netns/95374a4b244a".into(),
        sandbox_id: SANDBOX.to_owned(),
        graph_driver: map(&[
            ("LowerDir", &format!("{layer}-init/diff:{base}")),
            ("MergedDir", &format!("{layer}/merged")),
            ("UpperDir", &format!("{layer}/diff")),
            ("WorkDir", &format!("{layer}/work")),
        ]),
        size: None,
    };
    let mut ours = value(&super::details(&details, V41));
    let mut docker = golden(include_str!("golden/inspect.json"));
    // Docker 23 stopped writing these when they are 0.
    drop_key(&mut docker, "/HostConfig", "KernelMemory");
    drop_key(&mut docker, "/HostConfig", "KernelMemoryTCP");
    // Docker 25 and 28 added these.
    drop_key(&mut ours, "/NetworkSettings/Networks/none", "DNSNames");
    drop_key(&mut ours, "/NetworkSettings/Networks/none", "GwPriority");
    assert_same(&ours, &docker);
}

#[test]
fn container_list_is_dockers() {
    let summary = ContainerSummary {
        given_names: Vec::new(),
        spec: spec(vec![bind_point("/mnt", "ro"), volume_point(), bind_point("/m2", ""), tmpfs_point()]),
        name: "web".to_owned(),
        state: running(),
        health: None,
        image: "bb:1".to_owned(),
        networks: networks(),
        ports: BTreeMap::new(),
        size: Some((0, 1_982_305)),
    };
    let mut ours = value(&[super::summary(&summary, V41, time("2026-11-21T07:06:56.5Z"))]);
    drop_key(&mut ours, "/0/NetworkSettings/Networks/none", "DNSNames");
    drop_key(&mut ours, "/0/NetworkSettings/Networks/none", "GwPriority");
    assert_same(&ours, &golden(include_str!("golden/list.json")));
}

#[test]
fn exec_inspect_is_dockers() {
    let details = ExecDetails {
        id: EXEC.parse().unwrap(),
        container: ID.parse::<ContainerId>().unwrap(),
        config: ExecConfig { cmd: words(&["sleep", "500"]), ..ExecConfig::default() },
        pid: 28944,
        running: true,
        exit_code: None,
        can_remove: false,
    };
    assert_same(&value(&super::exec(&details)), &golden(include_str!("golden/exec.json")));
}

#[test]
fn events_are_dockers() {
    let event = Event {
        kind: EventKind::Container,
        action: "create".to_owned(),
        actor: ID.to_owned(),
        attributes: map(&[("image", "bb:1"), ("k", "v"), ("name", "web"), ("tier", "front")]),
        at: time("2026-11-21T07:06:55.686931939Z"),
    };
    assert_same(&value(&super::event(&event)), &golden(include_str!("golden/event.json")));
}

#[test]
fn networks_and_volumes_are_dockers() {
    let info = engine::model::network::NetworkInfo {
        config_only: false,
        config_from: String::new(),
        predefined: false,
        ipv4: true,
        ipv6: false,
        internal: false,
        attachable: false,
        ipam_driver: "default".to_owned(),
        ipam_options: None,
        pools: Vec::new(),
        fixed_subnet: false,
        labels: BTreeMap::new(),
        id: NETWORK.parse().unwrap(),
        name: "none".to_owned(),
        driver: engine::model::network::Driver::Null,
        created: "2026-11-21T06:24:01.817579792Z".to_owned(),
        options: indexmap::IndexMap::new(),
    };
    let member = NetworkMember {
        container: ID.parse().unwrap(),
        name: "web".to_owned(),
        endpoint: ENDPOINT.parse().unwrap(),
        link: None,
    };
    assert_same(&value(&super::network(&info, &[member], V41)), &golden(include_str!("golden/network.json")));

    let volume = engine::model::image::Volume {
        name: "data".to_owned(),
        driver: "local".to_owned(),
        mountpoint: "/var/lib/docker/volumes/data/_data".into(),
        created_at: "2026-11-21T07:06:55Z".to_owned(),
        labels: BTreeMap::new(),
        options: BTreeMap::new(),
        anonymous: false,
    };
    let list = api::volume::List { volumes: vec![super::volume(&volume)], warnings: None };
    assert_same(&value(&list), &golden(include_str!("golden/volumes.json")));
}

#[test]
fn words_of_older_and_newer_versions_differ() {
    let mode = |minor| super::host::network_mode(&NetworkMode::Bridge, ApiVersion(minor));
    assert_eq!((mode(41), mode(51)), ("default".to_owned(), "bridge".to_owned()));
}
