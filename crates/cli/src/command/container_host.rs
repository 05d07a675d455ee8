//! Flags of `run` and `create` into the body's `HostConfig`.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::container_body::{as_map, strings};
use crate::flags::Matches;
use crate::options::network::Attachment;
use crate::options::{check, device, gpus, keyvalue, mount, security, size, timezone, ulimit};

/// Reads the flags, except for binds and ports.
///
/// # Errors
/// Docker's text.
pub fn host(m: &Matches, cwd: &Path, networks: &[Attachment]) -> Result<Map<String, Value>, String> {
    let mut host = modes(m)?;
    host.extend(resources(m)?);
    let security = security::parse(&m.list("security-opt"))?;
    let nullable = |list: Vec<Value>| if list.is_empty() { Value::Null } else { Value::Array(list) };
    let each = |name: &str, read: &dyn Fn(&str) -> Result<Value, String>| {
        m.list(name).into_iter().map(read).collect::<Result<Vec<_>, _>>()
    };
    let mut mounts = each("mount", &|text| mount::parse(text, cwd))?;
    mounts.extend(m.maybe("tz").map(timezone::mount).transpose()?);
    host.insert("Mounts".to_owned(), nullable(mounts));
    host.insert("Ulimits".to_owned(), Value::Array(each("ulimit", &ulimit::parse)?));
    let paths = m.list("device").into_iter().filter(|text| !gpus::is_cdi(text));
    let devices = paths.map(device::device).collect::<Result<Vec<_>, _>>()?;
    host.insert("Devices".to_owned(), Value::Array(devices));
    for (field, flag, read) in [
        ("BlkioWeightDevice", "blkio-weight-device", &device::weight as &dyn Fn(&str) -> Result<Value, String>),
        ("BlkioDeviceReadBps", "device-read-bps", &device::bytes_rate),
        ("BlkioDeviceWriteBps", "device-write-bps", &device::bytes_rate),
        ("BlkioDeviceReadIOps", "device-read-iops", &device::operations_rate),
        ("BlkioDeviceWriteIOps", "device-write-iops", &device::operations_rate),
    ] {
        host.insert(field.to_owned(), Value::Array(each(flag, read)?));
    }
    let given = m.given("security-opt");
    host.insert("SecurityOpt".to_owned(), if given { json!(security.options) } else { Value::Null });
    if security.unconfined_paths {
        host.insert("MaskedPaths".to_owned(), json!([]));
        host.insert("ReadonlyPaths".to_owned(), json!([]));
    }
    let mode = networks.first().map_or("default", |network| network.target.as_str());
    host.insert("NetworkMode".to_owned(), json!(mode));
    let mut requests = each("gpus", &gpus::parse)?;
    let names: Vec<&str> = m.list("device").into_iter().filter(|text| gpus::is_cdi(text)).collect();
    if !names.is_empty() {
        requests.push(json!({ "Driver": "cdi", "DeviceIDs": names }));
    }
    host.insert("DeviceRequests".to_owned(), nullable(requests));
    if !m.text("isolation").is_empty() && m.text("isolation") != "default" {
        return Err(format!("--isolation: invalid isolation {:?} on linux", m.text("isolation")));
    }
    Ok(host)
}

/// Namespaces, lists and policies.
fn modes(m: &Matches) -> Result<Map<String, Value>, String> {
    check_modes(m)?;
    let restart = restart_policy(m.maybe("restart").unwrap_or("no"))?;
    if m.on("rm") && !matches!(restart["Name"].as_str(), Some("no" | "")) {
        return Err("conflicting options: cannot specify both --restart and --rm".to_owned());
    }
    let log_options = m.list("log-opt");
    let hosts: Vec<String> = m.list("add-host").into_iter().map(check::normal_extra_host).collect();
    let mut host = as_map(json!({
        "ContainerIDFile": m.text("cidfile"),
        "LogConfig": { "Type": m.text("log-driver"), "Config": keyvalue::map(&log_options) },
        "RestartPolicy": restart,
        "AutoRemove": m.on("rm"),
        "VolumeDriver": m.text("volume-driver"),
        "VolumesFrom": list(m, "volumes-from"),
        "CapAdd": strings(&security::capabilities(&m.list("cap-add"))),
        "CapDrop": strings(&security::capabilities(&m.list("cap-drop"))),
        "CgroupnsMode": m.text("cgroupns"),
        "Dns": m.list("dns"),
        "DnsOptions": m.list("dns-option"),
        "DnsSearch": m.list("dns-search"),
        "ExtraHosts": strings(&hosts),
        "GroupAdd": list(m, "group-add"),
        "IpcMode": m.text("ipc"),
        "Links": list(m, "link"),
        "OomScoreAdj": m.number("oom-score-adj").unwrap_or(0),
        "PidMode": m.text("pid"),
        "Privileged": m.on("privileged"),
        "PublishAllPorts": m.on("publish-all"),
        "ReadonlyRootfs": m.on("read-only"),
        "UTSMode": m.text("uts"),
        "UsernsMode": m.text("userns"),
        "ShmSize": bytes(m, "shm-size"),
        "Runtime": m.text("runtime"),
        "Isolation": m.text("isolation"),
    }));
    host.extend(optional(m));
    Ok(host)
}

/// What is sent only when it was given.
fn optional(m: &Matches) -> Map<String, Value> {
    let mut host = Map::new();
    let tmpfs: Map<String, Value> = m
        .list("tmpfs")
        .into_iter()
        .map(|text| text.split_once(':').unwrap_or((text, "")))
        .map(|(target, options)| (target.to_owned(), json!(options)))
        .collect();
    if let Some(action) = m.maybe("health-on-failure") {
        // An annotation, so that every client can say it.
        host.insert("Annotations".to_owned(), json!({ "gantry.health-on-failure": action }));
    }
    for (field, flag) in [("StorageOpt", "storage-opt"), ("Sysctls", "sysctl"), ("Annotations", "annotation")] {
        if m.given(flag) {
            let map = json!(keyvalue::map(&m.list(flag)));
            as_map(map).into_iter().for_each(|(key, value)| {
                host.entry(field).or_insert_with(|| json!({}))[&key] = value;
            });
        }
    }
    if !tmpfs.is_empty() {
        host.insert("Tmpfs".to_owned(), Value::Object(tmpfs));
    }
    if m.given("init") {
        host.insert("Init".to_owned(), json!(m.on("init")));
    }
    host
}

fn resources(m: &Matches) -> Result<Map<String, Value>, String> {
    let swappiness = m.number("memory-swappiness").unwrap_or(-1);
    if swappiness != -1 && !(0..=100).contains(&swappiness) {
        return Err(format!("invalid value: {swappiness}. Valid memory swappiness range is 0-100"));
    }
    let number = |flag: &str| m.number(flag).unwrap_or(0);
    let cpus = match m.text("cpus") {
        "" => 0,
        text => check::nano_cpus(text)?,
    };
    Ok(as_map(json!({
        "CpuShares": number("cpu-shares"),
        "Memory": bytes(m, "memory"),
        "NanoCpus": cpus,
        "CgroupParent": m.text("cgroup-parent"),
        "BlkioWeight": number("blkio-weight"),
        "CpuPeriod": number("cpu-period"),
        "CpuQuota": number("cpu-quota"),
        "CpuRealtimePeriod": number("cpu-rt-period"),
        "CpuRealtimeRuntime": number("cpu-rt-runtime"),
        "CpusetCpus": m.text("cpuset-cpus"),
        "CpusetMems": m.text("cpuset-mems"),
        "DeviceCgroupRules": list(m, "device-cgroup-rule"),
        "KernelMemory": bytes(m, "kernel-memory"),
        "MemoryReservation": bytes(m, "memory-reservation"),
        "MemorySwap": bytes(m, "memory-swap"),
        "MemorySwappiness": swappiness,
        "OomKillDisable": m.on("oom-kill-disable"),
        "PidsLimit": number("pids-limit"),
    })))
}

fn check_modes(m: &Matches) -> Result<(), String> {
    let joins =
        |text: &str| text.split_once("container:").is_some_and(|(before, name)| before.is_empty() && !name.is_empty());
    if !matches!(m.text("pid"), "" | "host") && !joins(m.text("pid")) {
        return Err("--pid: invalid PID mode".to_owned());
    }
    if !matches!(m.text("uts"), "" | "host") {
        return Err("--uts: invalid UTS mode".to_owned());
    }
    if !matches!(m.text("userns"), "" | "host") {
        return Err("--userns: invalid USER mode".to_owned());
    }
    if !matches!(m.text("cgroupns"), "" | "host" | "private") {
        return Err("--cgroupns: invalid CGROUP mode".to_owned());
    }
    if m.text("log-driver") == "none" && m.given("log-opt") {
        return Err("invalid logging opts for driver none".to_owned());
    }
    if m.list("storage-opt").iter().any(|text| !text.contains('=')) {
        return Err("invalid storage option".to_owned());
    }
    Ok(())
}

pub fn restart_policy(text: &str) -> Result<Value, String> {
    let (name, count) = text.split_once(':').map_or((text, ""), |(name, count)| (name, count));
    if text.contains(':') && name.is_empty() {
        return Err("invalid restart policy format: no policy provided before colon".to_owned());
    }
    let count: i64 = match count {
        "" => 0,
        digits => digits
            .parse()
            .map_err(|_| "invalid restart policy format: maximum retry count must be an integer".to_owned())?,
    };
    Ok(json!({ "Name": name, "MaximumRetryCount": count }))
}

pub fn bytes(m: &Matches, flag: &str) -> i64 {
    match m.text(flag) {
        "" => 0,
        "-1" => -1,
        text => size::parse(text).unwrap_or(0),
    }
}

fn list(m: &Matches, flag: &str) -> Value {
    let list = m.list(flag);
    if list.is_empty() { Value::Null } else { json!(list) }
}
