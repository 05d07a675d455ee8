//! `inspect` of containers and execs.

use std::collections::BTreeMap;

use api::ApiVersion;
use api::container::{
    DriverData, ExecInspect, Health, HealthcheckResult, Inspect, MountPoint, NetworkSettings, PortBinding,
    ProcessConfig, State,
};
use api::network::{EndpointIpamConfig, EndpointSettings};
use base64::Engine as _;
use engine::model::{self, ContainerDetails, ContainerSpec, ContainerState, ExecDetails, NetworkMode, PortKey};

use super::{config, host, or_null, time};

/// Encodes `GET /containers/{id}/json`.
#[must_use]
pub fn details(container: &ContainerDetails, version: ApiVersion) -> Inspect {
    let spec = &container.spec;
    let id = &spec.id;
    let path = |path: &std::path::Path| path.to_string_lossy().into_owned();
    let exec_ids: Vec<String> = container.exec_ids.iter().map(ToString::to_string).collect();
    let size = |part: fn((u64, u64)) -> u64| container.size.map(|size| i64::try_from(part(size)).unwrap_or(i64::MAX));
    let graph: BTreeMap<String, String> = container.graph_driver.clone();
    Inspect {
        id: id.to_string(),
        created: time::rfc3339(spec.created),
        path: spec.path.clone(),
        args: spec.args.clone(),
        state: state(container),
        image: spec.image.map(|image| image.to_string()).unwrap_or_default(),
        resolv_conf_path: path(&container.resolv_conf_path),
        hostname_path: path(&container.hostname_path),
        hosts_path: path(&container.hosts_path),
        log_path: path(&container.log_path),
        name: format!("/{}", container.name),
        restart_count: i64::from(container.restart_count),
        driver: spec.driver.clone(),
        platform: spec.platform.os.clone(),
        mount_label: String::new(),
        process_label: String::new(),
        app_armor_profile: app_armor_profile(&spec.host),
        exec_ids: or_null(exec_ids),
        host_config: api::container::HostConfig {
            links: or_null(container.links.clone()),
            ..host::host_config(&spec.host, version)
        },
        graph_driver: DriverData { data: or_null(graph), name: spec.driver.clone() },
        size_rw: size(|(own, _)| own),
        size_root_fs: size(|(_, all)| all),
        mounts: mount_points(spec, &container.stale_binds),
        volumes: (version < ApiVersion(20)).then(|| volumes(spec, |point| point.source.clone())),
        volumes_rw: (version < ApiVersion(20)).then(|| volumes(spec, |point| point.rw)),
        config: api::container::Config { mac_address: wanted_mac(spec), ..config::config(&spec.config) },
        network_settings: network_settings(container, version),
    }
}

/// The address that was asked for on the container's main network: where older clients look for it.
fn wanted_mac(spec: &ContainerSpec) -> String {
    let network = match &spec.host.network_mode {
        NetworkMode::Bridge => "bridge",
        NetworkMode::Named(name) => name,
        NetworkMode::None | NetworkMode::Host | NetworkMode::Container(_) => return String::new(),
    };
    spec.endpoints.get(network).map(|endpoint| endpoint.mac.clone()).unwrap_or_default()
}

fn state(container: &ContainerDetails) -> State {
    let (state, health) = (&container.state, container.health.as_deref());
    let exit = state.exit();
    let since = match state {
        ContainerState::Running { since, .. } | ContainerState::Paused { since, .. } => Some(*since),
        _ => exit.and_then(|exit| exit.started_at),
    };
    // While the next run goes on, the end of the last one is still told.
    let finished = container.finished_at.filter(|_| state.is_running());
    let restarting = matches!(state, ContainerState::Restarting { .. });
    // A container whose first start failed is still `created` to Docker's users, with the code of the failure.
    let never_ran = matches!(state, ContainerState::Exited(exit) if exit.started_at.is_none());
    State {
        status: if never_ran { "created" } else { state.word() }.to_owned(),
        // Docker calls a restarting container running.
        running: state.is_running() || restarting,
        paused: matches!(state, ContainerState::Paused { .. }),
        restarting,
        oom_killed: exit.is_some_and(|exit| exit.oom_killed) || container.out_of_memory,
        dead: matches!(state, ContainerState::Dead(_)),
        pid: i64::from(state.pid().unwrap_or(0)),
        exit_code: exit.map_or(0, |exit| i64::from(exit.code)),
        error: exit.map(|exit| exit.error.clone()).unwrap_or_default(),
        started_at: time::optional(since),
        finished_at: time::optional(exit.filter(|_| !never_ran).map(|exit| exit.at).or(finished)),
        health: health.map(encode_health),
    }
}

fn encode_health(health: &model::Health) -> Health {
    let result = |result: &model::CheckResult| HealthcheckResult {
        start: time::rfc3339(result.start),
        end: time::rfc3339(result.end),
        exit_code: result.exit_code,
        output: result.output.clone(),
    };
    Health {
        status: health.status.word().to_owned(),
        failing_streak: i64::from(health.failing_streak),
        log: Some(health.log.iter().map(result).collect()),
    }
}

/// As asked for. Nothing confines by it here, as in a Docker on a kernel without AppArmor.
fn app_armor_profile(host: &model::HostConfig) -> String {
    let options = host.security_opt.iter().rev();
    let mut named = options.filter_map(|option| option.strip_prefix("apparmor=").or(option.strip_prefix("apparmor:")));
    named.next().map(str::to_owned).unwrap_or_default()
}

/// What `--tmpfs` mounts stays in `HostConfig.Tmpfs` and is no mount point to Docker.
pub(super) fn mount_points(spec: &ContainerSpec, stale: &[String]) -> Vec<MountPoint> {
    let shown = |point: &&model::MountPoint| point.kind != "tmpfs" || !spec.host.tmpfs.contains_key(&point.destination);
    let encode = |point: &model::MountPoint| MountPoint {
        kind: point.kind.clone(),
        name: point.name.clone(),
        source: point.source.clone(),
        destination: point.destination.clone(),
        driver: point.driver.clone(),
        mode: point.mode.clone(),
        rw: point.rw,
        propagation: point.propagation.clone(),
        stale: stale.contains(&point.destination),
    };
    spec.mounts.iter().filter(shown).map(encode).collect()
}

/// One member of every volume and bind, by destination: how clients saw them before there were mount points.
fn volumes<T>(spec: &ContainerSpec, member: impl Fn(&model::MountPoint) -> T) -> BTreeMap<String, T> {
    let points = spec.mounts.iter().filter(|point| matches!(point.kind.as_str(), "bind" | "volume"));
    points.map(|point| (point.destination.clone(), member(point))).collect()
}

fn network_settings(container: &ContainerDetails, version: ApiVersion) -> NetworkSettings {
    let short = container.spec.id.short();
    let networks: BTreeMap<String, EndpointSettings> = container
        .networks
        .iter()
        .map(|(name, settings)| {
            let mut encoded = endpoint(settings, version);
            // Up to API 1.44 the aliases on a user's network had the short id, once the container had run.
            let ran = !matches!(container.state, ContainerState::Created);
            if ran && version < ApiVersion(45) && !matches!(name.as_str(), "bridge" | "host" | "none" | "default") {
                encoded.aliases.get_or_insert_default().push(short.to_owned());
            }
            (name.clone(), encoded)
        })
        .collect();
    let bridge = networks.get("bridge").cloned().unwrap_or_default();
    NetworkSettings {
        sandbox_id: container.sandbox_id.clone(),
        sandbox_key: container.sandbox_key.to_string_lossy().into_owned(),
        ports: container.ports.iter().map(published).collect(),
        endpoint_id: bridge.endpoint_id,
        gateway: bridge.gateway,
        ip_address: bridge.ip_address,
        ip_prefix_len: bridge.ip_prefix_len,
        mac_address: bridge.mac_address,
        networks,
        ..NetworkSettings::default()
    }
}

/// An exposed port without a binding is `null`.
fn published((port, bindings): (&PortKey, &Vec<(String, u16)>)) -> (String, Option<Vec<PortBinding>>) {
    let binding = |(ip, port): &(String, u16)| PortBinding { host_ip: ip.clone(), host_port: port.to_string() };
    (port.to_string(), or_null(bindings.iter().map(binding).collect()))
}

/// One endpoint; members that came with later versions are harmless to earlier clients, as Docker sends them too.
pub(super) fn endpoint(settings: &model::EndpointSettings, version: ApiVersion) -> EndpointSettings {
    let request = &settings.request;
    let asked = request.ipv4.is_some() || request.ipv6.is_some() || !request.link_local.is_empty();
    let ipam = asked.then(|| EndpointIpamConfig {
        ipv4_address: request.ipv4.map(|ip| ip.to_string()).unwrap_or_default(),
        ipv6_address: request.ipv6.map(|ip| ip.to_string()).unwrap_or_default(),
        link_local_ips: request.link_local.iter().map(ToString::to_string).collect(),
    });
    let dns_names = if version < ApiVersion(44) { Vec::new() } else { settings.dns_names.clone() };
    let ipv6 = settings.ipv6;
    EndpointSettings {
        ipam_config: ipam,
        links: or_null(request.links.clone()),
        aliases: or_null(settings.aliases.clone()),
        mac_address: settings.mac.clone(),
        driver_opts: or_null(request.driver_opts.clone()),
        gw_priority: request.gateway_priority,
        network_id: settings.network_id.clone(),
        endpoint_id: settings.endpoint_id.clone(),
        gateway: settings.gateway.clone(),
        ip_address: settings.ip.clone(),
        ip_prefix_len: i64::from(settings.prefix_len),
        ipv6_gateway: ipv6.and_then(|own| own.gateway).map(|gateway| gateway.to_string()).unwrap_or_default(),
        global_ipv6_address: ipv6.map(|own| own.ip().to_string()).unwrap_or_default(),
        global_ipv6_prefix_len: ipv6.map_or(0, |own| i64::from(own.address.prefix_len())),
        dns_names: or_null(dns_names),
    }
}

/// Encodes `GET /exec/{id}/json`.
#[must_use]
pub fn exec(details: &ExecDetails) -> ExecInspect {
    let config = &details.config;
    let (entrypoint, arguments) =
        config.cmd.split_first().map(|(first, rest)| (first.clone(), rest.to_vec())).unwrap_or_default();
    let base64 = base64::engine::general_purpose::STANDARD;
    let keys = crate::hijack::DetachKeys::parse(&config.detach_keys).ok().filter(|_| !config.detach_keys.is_empty());
    ExecInspect {
        id: details.id.to_string(),
        running: details.running,
        exit_code: details.exit_code.map(i64::from),
        process_config: ProcessConfig {
            tty: config.tty,
            entrypoint,
            arguments,
            privileged: Some(config.privileged),
            user: config.user.clone(),
        },
        open_stdin: config.attach_stdin,
        open_stderr: config.attach_stderr,
        open_stdout: config.attach_stdout,
        can_remove: details.can_remove,
        container_id: details.container.to_string(),
        detach_keys: keys.map(|keys| base64.encode(keys.bytes())).unwrap_or_default(),
        pid: i64::from(details.pid),
    }
}
