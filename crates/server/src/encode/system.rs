//! `info` and `version`.

use std::collections::BTreeMap;

use api::ApiVersion;
use api::system::{
    AddressPool, Commit, ComponentVersion, Device, DiscreteResource, Firewall, GenericResource, Index, Info,
    NamedResource, PlatformName, Plugins, RegistryConfig, Runtime, Swarm, Version,
};
use engine::{CgroupFeatures, Proxies, SystemInfo, VersionInfo};

use super::{or_null, time};

/// Encodes `GET /version`.
#[must_use]
pub fn version(info: &VersionInfo) -> Version {
    let text = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let (maximum, minimum) = (ApiVersion::MAXIMUM.to_string(), ApiVersion::PROMISED.to_string());
    let engine = ComponentVersion {
        name: "Engine".to_owned(),
        version: info.version.to_owned(),
        details: text(&[
            ("ApiVersion", &maximum),
            ("Arch", &info.architecture),
            ("BuildTime", info.built),
            ("Experimental", if info.experimental { "true" } else { "false" }),
            ("GitCommit", info.commit),
            ("GoVersion", info.compiler),
            ("KernelVersion", &info.kernel),
            ("MinAPIVersion", &minimum),
            ("Os", "linux"),
        ]),
    };
    let part = |name: &str| ComponentVersion {
        name: name.to_owned(),
        version: info.version.to_owned(),
        details: text(&[("GitCommit", info.commit)]),
    };
    Version {
        platform: PlatformName { name: "Gantry".to_owned() },
        components: vec![engine, part("gantry-monitor"), part("gantry-runtime")],
        version: info.version.to_owned(),
        api_version: maximum,
        min_api_version: minimum,
        git_commit: info.commit.to_owned(),
        go_version: info.compiler.to_owned(),
        os: "linux".to_owned(),
        arch: info.architecture.clone(),
        kernel_version: info.kernel.clone(),
        experimental: info.experimental,
        build_time: info.built.to_owned(),
    }
}

/// Encodes `GET /info`.
#[must_use]
pub fn info(info: SystemInfo, version: ApiVersion) -> Info {
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let containers = info.containers;
    let before_50 = (version < ApiVersion(50)).then_some(false);
    let commit = || commit(info.version, version);
    let configured = configured(&info);
    Info {
        containers: count(containers.running + containers.paused + containers.stopped),
        containers_running: count(containers.running),
        containers_paused: count(containers.paused),
        containers_stopped: count(containers.stopped),
        images: count(info.images),
        driver: info.driver.to_owned(),
        plugins: plugins(&info),
        ipv4_forwarding: info.machine.ipv4_forwarding,
        bridge_nf_iptables: before_50,
        bridge_nf_ip6tables: before_50,
        debug: info.debug,
        n_fd: count(info.machine.descriptors),
        n_goroutines: count(info.machine.threads),
        system_time: time::rfc3339(info.now),
        n_events_listener: count(info.listeners),
        os_type: "linux".to_owned(),
        index_server_address: "https://index.docker.io/v1/".to_owned(),
        ncpu: count(info.machine.cpus),
        mem_total: i64::try_from(info.machine.memory).unwrap_or(i64::MAX),
        docker_root_dir: info.data_root.to_string_lossy().into_owned(),
        server_version: info.version.to_owned(),
        runtimes: runtimes(&info.runtime_features, version),
        swarm: Swarm { local_node_state: "inactive".to_owned(), ..Swarm::default() },
        init_binary: "gantry-monitor".to_owned(),
        containerd_commit: commit(),
        runc_commit: commit(),
        init_commit: commit(),
        firewall_backend: (version >= ApiVersion(49)).then(nftables),
        discovered_devices: if version < ApiVersion(50) { Vec::new() } else { devices(&info.cdi_devices) },
        warnings: or_null(warnings(&info)),
        id: info.id,
        driver_status: info.driver_status,
        logging_driver: info.log_driver,
        kernel_version: info.machine.kernel,
        operating_system: info.machine.operating_system,
        os_version: info.machine.os_version,
        architecture: info.machine.architecture,
        name: info.machine.name,
        labels: info.labels,
        ..configured
    }
}

/// What the settings of the daemon say.
fn configured(info: &SystemInfo) -> Info {
    Info {
        registry_config: registry_config(info),
        default_runtime: info.default_runtime.clone(),
        live_restore_enabled: info.live_restore,
        security_options: security_options(info),
        http_proxy: Proxies::masked(&info.proxies.http),
        https_proxy: Proxies::masked(&info.proxies.https),
        no_proxy: info.proxies.none_for.clone(),
        experimental_build: info.experimental,
        default_address_pools: info
            .address_pools
            .iter()
            .map(|(base, size)| AddressPool { base: base.clone(), size: *size })
            .collect(),
        generic_resources: or_null(info.generic_resources.iter().map(|text| generic_resource(text)).collect()),
        cdi_spec_dirs: info.cdi_spec_dirs.iter().map(|path| path.display().to_string()).collect(),
        ..limits(info.cgroup)
    }
}

/// What can be limited.
fn limits(cgroup: CgroupFeatures) -> Info {
    Info {
        memory_limit: cgroup.memory,
        swap_limit: cgroup.swap,
        cpu_cfs_period: cgroup.cpu_quota,
        cpu_cfs_quota: cgroup.cpu_quota,
        cpu_shares: cgroup.cpu_shares,
        cpu_set: cgroup.cpuset,
        pids_limit: cgroup.pids,
        oom_kill_disable: cgroup.oom_kill_disable,
        cgroup_driver: "cgroupfs".to_owned(),
        cgroup_version: cgroup.version.to_string(),
        ..Info::default()
    }
}

/// `KIND=3` counts, `KIND=name` names.
fn generic_resource(text: &str) -> GenericResource {
    let (kind, value) = text.split_once('=').unwrap_or((text, ""));
    let kind = kind.to_owned();
    match value.parse() {
        Ok(value) => {
            GenericResource { discrete_resource_spec: Some(DiscreteResource { kind, value }), ..Default::default() }
        }
        Err(_) => {
            let value = value.to_owned();
            GenericResource { named_resource_spec: Some(NamedResource { kind, value }), ..Default::default() }
        }
    }
}

fn commit(id: &str, version: ApiVersion) -> Commit {
    Commit { id: id.to_owned(), expected: (version < ApiVersion(49)).then(|| id.to_owned()) }
}

fn nftables() -> Firewall {
    Firewall { driver: "nftables".to_owned(), info: Vec::new() }
}

fn devices(cdi: &[String]) -> Vec<Device> {
    cdi.iter().map(|name| Device { source: "cdi".to_owned(), id: name.clone() }).collect()
}

fn plugins(info: &SystemInfo) -> Plugins {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    Plugins {
        volume: info.volume_drivers.clone(),
        network: info.network_drivers.clone(),
        authorization: None,
        log: words(&engine::LOG_DRIVERS),
    }
}

fn registry_config(info: &SystemInfo) -> RegistryConfig {
    let (mut cidrs, mut hosts) = (vec!["::1/128".to_owned(), "127.0.0.0/8".to_owned()], Vec::new());
    for registry in &info.insecure_registries {
        if registry.contains('/') { cidrs.push(registry.clone()) } else { hosts.push(registry.clone()) }
    }
    let index = |name: &str, secure, official, mirrors: &[String]| {
        (name.to_owned(), Index { name: name.to_owned(), mirrors: mirrors.to_vec(), secure, official })
    };
    let mut configs: BTreeMap<String, Index> = hosts.iter().map(|host| index(host, false, false, &[])).collect();
    for (host, mirrors) in &info.host_mirrors {
        let (name, entry) = index(host, !configs.contains_key(host), false, mirrors);
        configs.insert(name, entry);
    }
    let mut of_hub = info.registry_mirrors.clone();
    of_hub.extend(info.host_mirrors.get("docker.io").into_iter().flatten().cloned());
    configs.extend([index("docker.io", true, true, &of_hub)]);
    RegistryConfig { insecure_registry_cidrs: cidrs, index_configs: configs, mirrors: of_hub }
}

fn runtimes(features: &str, version: ApiVersion) -> BTreeMap<String, Runtime> {
    let status = if version < ApiVersion(44) {
        BTreeMap::new()
    } else {
        [("org.opencontainers.runtime-spec.features".to_owned(), features.to_owned())].into()
    };
    let runtime = Runtime { path: "gantry-runtime".to_owned(), runtime_args: Vec::new(), status };
    ["gantry", "runc"].into_iter().map(|name| (name.to_owned(), runtime.clone())).collect()
}

fn security_options(info: &SystemInfo) -> Vec<String> {
    let mut options = vec![format!("name=seccomp,profile={}", info.seccomp_profile)];
    if info.userns {
        options.push("name=userns".to_owned());
    }
    if info.cgroup.version == 2 {
        options.push("name=cgroupns".to_owned());
    }
    if info.no_new_privileges {
        options.push("name=no-new-privileges".to_owned());
    }
    options
}

fn warnings(info: &SystemInfo) -> Vec<String> {
    let cgroup = info.cgroup;
    let missing = [
        (cgroup.memory, "WARNING: No memory limit support"),
        (cgroup.swap, "WARNING: No swap limit support"),
        (cgroup.oom_kill_disable || cgroup.version == 2, "WARNING: No oom kill disable support"),
        (cgroup.cpu_quota, "WARNING: No cpu cfs quota support"),
        (cgroup.cpu_quota, "WARNING: No cpu cfs period support"),
        (cgroup.cpu_shares, "WARNING: No cpu shares support"),
        (cgroup.cpuset, "WARNING: No cpuset support"),
        (cgroup.pids, "WARNING: No pids limit support"),
        (info.machine.ipv4_forwarding, "WARNING: IPv4 forwarding is disabled"),
    ];
    let unified = cgroup.version == 2;
    let throttle: &[&str] = match (cgroup.io_throttle, unified) {
        (true, _) => &[],
        (false, true) => &["io.max (rbps)", "io.max (wbps)", "io.max (riops)", "io.max (wiops)"],
        (false, false) => &[
            "blkio throttle.read_bps_device",
            "blkio throttle.write_bps_device",
            "blkio throttle.read_iops_device",
            "blkio throttle.write_iops_device",
        ],
    };
    let weight: &[&str] = if unified && !cgroup.io_weight { &["io.weight", "io.weight (per device)"] } else { &[] };
    let devices = weight.iter().chain(throttle).map(|what| format!("WARNING: No {what} support"));
    let missing = missing.iter().filter(|(present, _)| !present).map(|(_, text)| (*text).to_owned());
    missing.chain(devices).chain(info.warnings.iter().cloned()).collect()
}
