//! The host side of a create request.

use api::ApiVersion;
use api::container::{self as wire, RestartPolicy as WireRestart};
use engine::model::{
    DeviceMapping, DeviceRequest, HostConfig, LogConfig, Resources, RestartPolicy, ThrottleDevice, Ulimit,
};

use super::{modes, mounts, ports};
use crate::failure::Failure;

pub(super) const KERNEL_MEMORY_WARNING: &str =
    "Your kernel does not support kernel memory limit capabilities or the cgroup is not mounted. Limitation discarded.";

pub(super) fn decode(
    mut wire: wire::HostConfig,
    version: ApiVersion,
    warnings: &mut Vec<String>,
) -> Result<HostConfig, Failure> {
    prepare(&mut wire, version, warnings)?;
    let resources = resources(&mut wire);
    let extra_hosts = wire.extra_hosts.unwrap_or_default();
    extra_hosts.iter().try_for_each(|entry| check_extra_host(entry))?;
    Ok(HostConfig {
        binds: wire.binds.unwrap_or_default().iter().map(|raw| mounts::bind(raw)).collect::<Result<_, _>>()?,
        mounts: wire.mounts.into_iter().map(|wire| mounts::mount(wire, version)).collect::<Result<_, _>>()?,
        tmpfs: wire.tmpfs,
        volumes_from: wire.volumes_from.unwrap_or_default(),
        container_id_file: wire.container_id_file,
        isolation: wire.isolation,
        volume_driver: wire.volume_driver,
        log: LogConfig { driver: wire.log_config.kind, options: wire.log_config.config },
        network_mode: modes::network(&wire.network_mode)?,
        port_bindings: ports::bindings(wire.port_bindings)?,
        publish_all_ports: wire.publish_all_ports,
        restart_policy: restart_policy(&wire.restart_policy)?,
        auto_remove: wire.auto_remove,
        console_size: (short(wire.console_size.0), short(wire.console_size.1)),
        annotations: wire.annotations,
        cap_add: wire.cap_add.unwrap_or_default(),
        cap_drop: wire.cap_drop.unwrap_or_default(),
        cgroupns_mode: modes::cgroup(&wire.cgroupns_mode)?,
        ipc_mode: modes::ipc(&wire.ipc_mode)?,
        pid_mode: modes::pid(&wire.pid_mode)?,
        uts_mode: modes::uts(&wire.uts_mode)?,
        userns_mode: modes::user(&wire.userns_mode)?,
        dns: wire.dns.unwrap_or_default().iter().map(|text| address(text)).collect::<Result<_, _>>()?,
        dns_options: wire.dns_options.unwrap_or_default(),
        dns_search: wire.dns_search.unwrap_or_default(),
        extra_hosts,
        group_add: wire.group_add.unwrap_or_default(),
        links: wire.links.unwrap_or_default(),
        oom_score_adj: wire.oom_score_adj,
        privileged: wire.privileged,
        readonly_rootfs: wire.readonly_rootfs,
        security_opt: wire.security_opt.unwrap_or_default(),
        storage_opt: wire.storage_opt,
        shm_size: u64::try_from(wire.shm_size).map_err(|_| Failure::invalid("SHM size can not be less than 0"))?,
        sysctls: wire.sysctls,
        runtime: wire.runtime,
        cgroup_parent: wire.cgroup_parent,
        init: wire.init,
        masked_paths: wire.masked_paths,
        readonly_paths: wire.readonly_paths,
        resources,
    })
}

/// Checks what needs no translation, and takes out what the version does not know.
fn prepare(wire: &mut wire::HostConfig, version: ApiVersion, warnings: &mut Vec<String>) -> Result<(), Failure> {
    check_unsupported(wire)?;
    check_ranges(wire)?;
    if wire.auto_remove && !matches!(wire.restart_policy.name.as_str(), "" | "no") {
        return Err(Failure::invalid("can't create 'AutoRemove' container with restart policy"));
    }
    if version < ApiVersion(42) && wire.kernel_memory > 0 {
        warnings.push(KERNEL_MEMORY_WARNING.to_owned());
    }
    if version < ApiVersion(42) {
        wire.console_size = (0, 0);
    }
    if version < ApiVersion(43) {
        wire.annotations.clear();
    }
    if wire.annotations.contains_key("") {
        let text = "invalid Annotations: the empty string is not permitted as an annotation key";
        return Err(Failure::invalid(text));
    }
    Ok(())
}

pub(super) fn resources(wire: &mut wire::HostConfig) -> Resources {
    let throttles = |devices: Option<Vec<wire::ThrottleDevice>>| {
        let decode = |device: wire::ThrottleDevice| ThrottleDevice { path: device.path, rate: device.rate };
        devices.unwrap_or_default().into_iter().map(decode).collect()
    };
    let weights = wire.blkio_weight_device.take().unwrap_or_default();
    let devices = wire.devices.take().unwrap_or_default();
    let requests = wire.device_requests.take().unwrap_or_default();
    let ulimits = wire.ulimits.take().unwrap_or_default();
    Resources {
        memory: wire.memory,
        memory_swap: wire.memory_swap,
        memory_reservation: wire.memory_reservation,
        kernel_memory_tcp: wire.kernel_memory_tcp,
        // -1 is how old clients say "not set".
        memory_swappiness: wire.memory_swappiness.filter(|value| *value != -1),
        oom_kill_disable: wire.oom_kill_disable,
        nano_cpus: wire.nano_cpus,
        cpu_shares: wire.cpu_shares,
        cpu_period: wire.cpu_period,
        cpu_quota: wire.cpu_quota,
        cpu_realtime_period: wire.cpu_realtime_period,
        cpu_realtime_runtime: wire.cpu_realtime_runtime,
        cpuset_cpus: std::mem::take(&mut wire.cpuset_cpus),
        cpuset_mems: std::mem::take(&mut wire.cpuset_mems),
        pids_limit: wire.pids_limit.filter(|limit| *limit > 0),
        blkio_weight: wire.blkio_weight,
        blkio_weight_device: weights
            .into_iter()
            .map(|device| ThrottleDevice { path: device.path, rate: u64::from(device.weight) })
            .collect(),
        blkio_device_read_bps: throttles(wire.blkio_device_read_bps.take()),
        blkio_device_write_bps: throttles(wire.blkio_device_write_bps.take()),
        blkio_device_read_iops: throttles(wire.blkio_device_read_iops.take()),
        blkio_device_write_iops: throttles(wire.blkio_device_write_iops.take()),
        devices: devices
            .into_iter()
            .map(|device| DeviceMapping {
                path_on_host: device.path_on_host,
                path_in_container: device.path_in_container,
                permissions: device.cgroup_permissions,
            })
            .collect(),
        device_requests: requests.into_iter().map(device_request).collect(),
        device_cgroup_rules: wire.device_cgroup_rules.take().unwrap_or_default(),
        ulimits: ulimits
            .into_iter()
            .map(|limit| Ulimit { name: limit.name, soft: limit.soft, hard: limit.hard })
            .collect(),
    }
}

fn device_request(wire: wire::DeviceRequest) -> DeviceRequest {
    DeviceRequest {
        driver: wire.driver,
        count: wire.count,
        device_ids: wire.device_ids.unwrap_or_default(),
        capabilities: wire.capabilities.unwrap_or_default(),
        options: wire.options.unwrap_or_default(),
    }
}

pub(super) fn check_unsupported(wire: &wire::HostConfig) -> Result<(), Failure> {
    if !matches!(wire.isolation.as_str(), "" | "default") {
        let text = format!("invalid isolation ({}): linux only supports 'default'", wire.isolation);
        return Err(Failure::invalid(text));
    }
    if wire.io_maximum_bandwidth != 0 {
        return Err(Failure::invalid("invalid option: QoS maximum bandwidth configuration is not supported on linux"));
    }
    if wire.io_maximum_iops != 0 {
        return Err(Failure::invalid("invalid option: QoS maximum IOPs configuration is not supported on linux"));
    }
    let unsupported = [
        (!wire.cgroup.is_empty(), "HostConfig.Cgroup"),
        (wire.cpu_count != 0, "HostConfig.CpuCount"),
        (wire.cpu_percent != 0, "HostConfig.CpuPercent"),
    ];
    match unsupported.iter().find(|(set, _)| *set) {
        Some((_, option)) => Err(Failure::unsupported(option)),
        None => Ok(()),
    }
}

pub(super) fn check_ranges(wire: &wire::HostConfig) -> Result<(), Failure> {
    let oom = wire.oom_score_adj;
    if !(-1000..=1000).contains(&oom) {
        return Err(Failure::invalid(format!("Invalid value {oom}, range for oom score adj is [-1000, 1000]")));
    }
    if let Some(swappiness) = wire.memory_swappiness.filter(|value| !(-1..=100).contains(value)) {
        let text = format!("Invalid value: {swappiness}, valid memory swappiness range is 0-100");
        return Err(Failure::invalid(text));
    }
    if wire.blkio_weight > 0 && !(10..=1000).contains(&wire.blkio_weight) {
        return Err(Failure::invalid("Range of blkio weight is from 10 to 1000"));
    }
    if wire.cpu_shares < 0 {
        let text = format!("invalid CPU shares ({}): value must be a positive integer", wire.cpu_shares);
        return Err(Failure::invalid(text));
    }
    if wire.cpu_period != 0 && !(1000..=1_000_000).contains(&wire.cpu_period) {
        return Err(Failure::invalid(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ));
    }
    if wire.cpu_quota > 0 && wire.cpu_quota < 1000 {
        return Err(Failure::invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)"));
    }
    Ok(())
}

pub(super) fn restart_policy(wire: &WireRestart) -> Result<RestartPolicy, Failure> {
    let count = wire.maximum_retry_count;
    let policy = match wire.name.as_str() {
        "" => return Ok(RestartPolicy::No),
        "on-failure" if count < 0 => {
            return Err(Failure::invalid("invalid restart policy: maximum retry count cannot be negative"));
        }
        "on-failure" => {
            let maximum_retry_count = u32::try_from(count).unwrap_or(u32::MAX);
            return Ok(RestartPolicy::OnFailure { maximum_retry_count });
        }
        "no" => RestartPolicy::No,
        "always" => RestartPolicy::Always,
        "unless-stopped" => RestartPolicy::UnlessStopped,
        other => {
            return Err(Failure::invalid(format!(
                "invalid restart policy: unknown policy '{other}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
            )));
        }
    };
    if count == 0 {
        return Ok(policy);
    }
    let text = "invalid restart policy: maximum retry count can only be used with 'on-failure'";
    Err(Failure::invalid(if count < 0 { format!("{text} and cannot be negative") } else { text.to_owned() }))
}

fn check_extra_host(entry: &str) -> Result<(), Failure> {
    let (name, address) = entry.split_once(':').unwrap_or((entry, ""));
    if name.is_empty() || !entry.contains(':') {
        return Err(Failure::invalid(format!("bad format for add-host: {entry:?}")));
    }
    if address == "host-gateway" || address.parse::<std::net::IpAddr>().is_ok() {
        return Ok(());
    }
    Err(Failure::invalid(format!("invalid IP address in add-host: {address:?}")))
}

fn address(text: &str) -> Result<std::net::IpAddr, Failure> {
    text.parse().map_err(|_| Failure::invalid(format!("bad nameserver address: {text}")))
}

fn short(value: u32) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}
