//! The host side of a container.

use api::ApiVersion;
use api::container::{self as wire, BindOptions, ImageOptions, TmpfsOptions, VolumeDriver, VolumeOptions};
use engine::model::{
    BindMount, HostConfig, MountRequest, MountRequestKind, NamespaceMode, NetworkMode, PortBindingRequest,
    RestartPolicy, ThrottleDevice,
};

use super::or_null;

/// Size of /dev/shm when none was asked for.
const SHM_SIZE: i64 = 64 << 20;

pub(super) fn host_config(host: &HostConfig, version: ApiVersion) -> wire::HostConfig {
    let mut encoded = wire::HostConfig {
        binds: or_null(host.binds.iter().map(bind).collect()),
        container_id_file: host.container_id_file.clone(),
        isolation: host.isolation.clone(),
        volume_driver: host.volume_driver.clone(),
        log_config: wire::LogConfig { kind: host.log.driver.clone(), config: host.log.options.clone() },
        network_mode: network_mode(&host.network_mode, version),
        port_bindings: host
            .port_bindings
            .iter()
            .map(|(port, bindings)| (port.to_string(), Some(bindings.iter().map(port_binding).collect())))
            .collect(),
        restart_policy: restart_policy(host.restart_policy),
        auto_remove: host.auto_remove,
        volumes_from: or_null(host.volumes_from.clone()),
        console_size: (u32::from(host.console_size.0), u32::from(host.console_size.1)),
        annotations: host.annotations.clone(),
        cap_add: or_null(host.cap_add.clone()),
        cap_drop: or_null(host.cap_drop.clone()),
        cgroupns_mode: namespace(&host.cgroupns_mode),
        dns: Some(host.dns.iter().map(ToString::to_string).collect()),
        dns_options: Some(host.dns_options.clone()),
        dns_search: Some(host.dns_search.clone()),
        extra_hosts: or_null(host.extra_hosts.clone()),
        group_add: or_null(host.group_add.clone()),
        ipc_mode: namespace(&host.ipc_mode),
        links: or_null(host.links.clone()),
        oom_score_adj: host.oom_score_adj,
        pid_mode: namespace(&host.pid_mode),
        privileged: host.privileged,
        publish_all_ports: host.publish_all_ports,
        readonly_rootfs: host.readonly_rootfs,
        security_opt: or_null(host.security_opt.clone()),
        storage_opt: host.storage_opt.clone(),
        tmpfs: host.tmpfs.clone(),
        uts_mode: namespace(&host.uts_mode),
        userns_mode: namespace(&host.userns_mode),
        shm_size: i64::try_from(host.shm_size).ok().filter(|size| *size > 0).unwrap_or(SHM_SIZE),
        sysctls: host.sysctls.clone(),
        runtime: if host.runtime.is_empty() { "runc".to_owned() } else { host.runtime.clone() },
        cgroup_parent: host.cgroup_parent.clone(),
        mounts: host.mounts.iter().map(mount).collect(),
        masked_paths: host.masked_paths.clone(),
        readonly_paths: host.readonly_paths.clone(),
        init: host.init,
        ..wire::HostConfig::default()
    };
    resources(&mut encoded, &host.resources);
    encoded
}

fn resources(encoded: &mut wire::HostConfig, resources: &engine::model::Resources) {
    let throttles = |devices: &[ThrottleDevice]| {
        let encode = |device: &ThrottleDevice| wire::ThrottleDevice { path: device.path.clone(), rate: device.rate };
        Some(devices.iter().map(encode).collect())
    };
    let weight = |device: &ThrottleDevice| wire::WeightDevice {
        path: device.path.clone(),
        weight: u16::try_from(device.rate).unwrap_or(u16::MAX),
    };
    let device = |device: &engine::model::DeviceMapping| wire::DeviceMapping {
        path_on_host: device.path_on_host.clone(),
        path_in_container: device.path_in_container.clone(),
        cgroup_permissions: device.permissions.clone(),
    };
    let ulimit =
        |limit: &engine::model::Ulimit| wire::Ulimit { name: limit.name.clone(), hard: limit.hard, soft: limit.soft };
    encoded.cpu_shares = resources.cpu_shares;
    encoded.memory = resources.memory;
    encoded.nano_cpus = resources.nano_cpus;
    encoded.blkio_weight = resources.blkio_weight;
    encoded.blkio_weight_device = Some(resources.blkio_weight_device.iter().map(weight).collect());
    encoded.blkio_device_read_bps = throttles(&resources.blkio_device_read_bps);
    encoded.blkio_device_write_bps = throttles(&resources.blkio_device_write_bps);
    encoded.blkio_device_read_iops = throttles(&resources.blkio_device_read_iops);
    encoded.blkio_device_write_iops = throttles(&resources.blkio_device_write_iops);
    encoded.cpu_period = resources.cpu_period;
    encoded.cpu_quota = resources.cpu_quota;
    encoded.cpu_realtime_period = resources.cpu_realtime_period;
    encoded.cpu_realtime_runtime = resources.cpu_realtime_runtime;
    encoded.cpuset_cpus.clone_from(&resources.cpuset_cpus);
    encoded.cpuset_mems.clone_from(&resources.cpuset_mems);
    encoded.devices = Some(resources.devices.iter().map(device).collect());
    encoded.device_requests = or_null(resources.device_requests.iter().map(device_request).collect());
    encoded.device_cgroup_rules = or_null(resources.device_cgroup_rules.clone());
    encoded.kernel_memory_tcp = resources.kernel_memory_tcp;
    encoded.memory_reservation = resources.memory_reservation;
    encoded.memory_swap = resources.memory_swap;
    encoded.memory_swappiness = resources.memory_swappiness;
    encoded.oom_kill_disable = resources.oom_kill_disable;
    encoded.pids_limit = resources.pids_limit;
    encoded.ulimits = Some(resources.ulimits.iter().map(ulimit).collect());
}

fn device_request(request: &engine::model::DeviceRequest) -> wire::DeviceRequest {
    wire::DeviceRequest {
        driver: request.driver.clone(),
        count: request.count,
        device_ids: or_null(request.device_ids.clone()),
        capabilities: or_null(request.capabilities.clone()),
        options: or_null(request.options.clone()),
    }
}

/// `default` became `bridge` with Docker 27 (API 1.46).
pub(super) fn network_mode(mode: &NetworkMode, version: ApiVersion) -> String {
    match mode {
        NetworkMode::Bridge if version < ApiVersion(46) => "default".to_owned(),
        NetworkMode::Bridge => "bridge".to_owned(),
        NetworkMode::None => "none".to_owned(),
        NetworkMode::Host => "host".to_owned(),
        NetworkMode::Container(container) => format!("container:{container}"),
        NetworkMode::Named(name) => name.clone(),
    }
}

fn namespace(mode: &NamespaceMode) -> String {
    match mode {
        NamespaceMode::Default => String::new(),
        NamespaceMode::Private => "private".to_owned(),
        NamespaceMode::Shareable => "shareable".to_owned(),
        NamespaceMode::None => "none".to_owned(),
        NamespaceMode::Host => "host".to_owned(),
        NamespaceMode::Container(container) => format!("container:{container}"),
    }
}

fn bind(bind: &BindMount) -> String {
    let parts = [bind.source.as_str(), bind.destination.as_str(), bind.mode.as_str()];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(":")
}

fn port_binding(binding: &PortBindingRequest) -> wire::PortBinding {
    let host_port = match binding.host_ports {
        None => String::new(),
        Some((first, last)) if first == last => first.to_string(),
        Some((first, last)) => format!("{first}-{last}"),
    };
    wire::PortBinding { host_ip: binding.host_ip.map(|ip| ip.to_string()).unwrap_or_default(), host_port }
}

fn restart_policy(policy: RestartPolicy) -> wire::RestartPolicy {
    let (name, count) = match policy {
        RestartPolicy::No => ("no", 0),
        RestartPolicy::Always => ("always", 0),
        RestartPolicy::UnlessStopped => ("unless-stopped", 0),
        RestartPolicy::OnFailure { maximum_retry_count } => ("on-failure", i64::from(maximum_retry_count)),
    };
    wire::RestartPolicy { name: name.to_owned(), maximum_retry_count: count }
}

fn mount(request: &MountRequest) -> wire::Mount {
    let mut encoded = wire::Mount {
        source: request.source.clone(),
        target: request.target.clone(),
        read_only: request.read_only,
        ..wire::Mount::default()
    };
    match request.kind {
        MountRequestKind::Bind => {
            "bind".clone_into(&mut encoded.kind);
            encoded.bind_options = or_null(BindOptions {
                propagation: request.propagation.clone(),
                non_recursive: request.non_recursive,
                create_mountpoint: request.create_source,
                read_only_non_recursive: request.read_only_non_recursive,
                read_only_force_recursive: request.read_only_force_recursive,
            });
        }
        MountRequestKind::Volume => {
            "volume".clone_into(&mut encoded.kind);
            encoded.volume_options = or_null(VolumeOptions {
                no_copy: request.no_copy,
                labels: request.labels.clone(),
                subpath: request.subpath.clone(),
                driver_config: or_null(VolumeDriver {
                    name: request.driver.clone(),
                    options: request.driver_options.clone(),
                }),
            });
        }
        MountRequestKind::Image => {
            "image".clone_into(&mut encoded.kind);
            encoded.image_options = or_null(ImageOptions { subpath: request.subpath.clone() });
        }
        MountRequestKind::Tmpfs => {
            "tmpfs".clone_into(&mut encoded.kind);
            encoded.tmpfs_options = or_null(TmpfsOptions {
                size_bytes: i64::try_from(request.tmpfs_size).unwrap_or(i64::MAX),
                mode: request.tmpfs_mode,
                options: request.tmpfs_options.clone(),
            });
        }
    }
    encoded
}
