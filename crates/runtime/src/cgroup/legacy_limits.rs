//! Version 1 control files, controller by controller.

use std::path::{Path, PathBuf};

use super::layout::Controller;
use super::{Error, Warning, devices, files};
use crate::spec::{BlockIo, Cpu, Memory, Network, Resources, ThrottleDevice};

/// Where a controller's directory of the group is, when it is mounted.
type Directory<'a> = &'a dyn Fn(Controller) -> Option<PathBuf>;

/// Writes everything that is set.
pub(super) fn apply(directory: Directory<'_>, resources: &Resources, warnings: &mut Vec<Warning>) -> Result<(), Error> {
    if !resources.devices.is_empty()
        && let Some(group) = directory(Controller::Devices)
    {
        apply_devices(&group, resources)?;
    }
    if let Some(memory) = &resources.memory {
        apply_memory(directory, memory, warnings)?;
    }
    if let Some(cpu) = &resources.cpu {
        apply_cpu(directory, cpu)?;
        apply_cpuset(directory, cpu)?;
    }
    if let Some(pids) = &resources.pids {
        let limit = if pids.limit > 0 { pids.limit.to_string() } else { "max".to_owned() };
        if let Some(group) = directory(Controller::Pids) {
            files::set(&group, "pids.max", limit)?;
        } else if pids.limit > 0 {
            return Err(not_mounted("pids.limit"));
        }
    }
    if let Some(block) = &resources.block_io {
        apply_blkio(directory, block, warnings)?;
    }
    if let Some(group) = directory(Controller::Hugetlb) {
        for limit in &resources.hugepage_limits {
            files::set(&group, &format!("hugetlb.{}.limit_in_bytes", limit.page_size), limit.limit.to_string())?;
        }
    }
    if let Some(group) = directory(Controller::Rdma) {
        super::unified::apply_rdma(&group, &resources.rdma)?;
    }
    resources.network.as_ref().map_or(Ok(()), |network| apply_network(directory, network))
}

fn not_mounted(setting: &'static str) -> Error {
    Error::Unsupported { setting, reason: "the controller is not mounted" }
}

fn apply_devices(group: &Path, resources: &Resources) -> Result<(), Error> {
    for (allow, rule) in devices::legacy_writes(&resources.devices)? {
        files::set(group, if allow { "devices.allow" } else { "devices.deny" }, rule)?;
    }
    Ok(())
}

fn apply_memory(directory: Directory<'_>, memory: &Memory, warnings: &mut Vec<Warning>) -> Result<(), Error> {
    if *memory == Memory::default() {
        return Ok(());
    }
    let group = directory(Controller::Memory).ok_or_else(|| not_mounted("memory"))?;
    if memory.check_before_update == Some(true)
        && let Some(limit) = memory.limit.filter(|limit| *limit > 0)
    {
        let usage = files::number(&group.join("memory.usage_in_bytes")).unwrap_or(0);
        if usage > limit.cast_unsigned() {
            return Err(memory_in_use(&group, limit));
        }
    }
    apply_memory_limits(&group, memory, warnings)?;
    if let Some(reservation) = set_and_nonzero(memory.reservation) {
        files::set(&group, "memory.soft_limit_in_bytes", reservation.to_string())?;
    }
    for (file, setting, value) in [
        ("memory.kmem.limit_in_bytes", "memory.kernel", memory.kernel),
        ("memory.kmem.tcp.limit_in_bytes", "memory.kernelTCP", memory.kernel_tcp),
    ] {
        // Deprecated: newer kernels refuse or lack it, and the runtimes ignore it.
        if let Some(value) = set_and_nonzero(value)
            && files::set(&group, file, value.to_string()).is_err()
        {
            warnings.push(Warning::Discarded { setting });
        }
    }
    match memory.swappiness.map(u64::cast_signed) {
        None | Some(-1) => {}
        Some(value @ 0..=100) => files::set(&group, "memory.swappiness", value.to_string())?,
        Some(_) => return Err(Error::Invalid { setting: "memory.swappiness", reason: "it is not between 0 and 100" }),
    }
    match memory.disable_oom_killer {
        Some(disable) => files::set(&group, "memory.oom_control", if disable { "1" } else { "0" }),
        None => Ok(()),
    }
}

/// The kernel keeps `limit <= limit of memory and swap` at every step, so the order of the writes depends on
/// the present values: try one, then the other.
fn apply_memory_limits(group: &Path, memory: &Memory, warnings: &mut Vec<Warning>) -> Result<(), Error> {
    const LIMIT: &str = "memory.limit_in_bytes";
    const TOTAL: &str = "memory.memsw.limit_in_bytes";
    let limit = set_and_nonzero(memory.limit);
    let mut total = set_and_nonzero(memory.swap);
    if limit == Some(-1) && total.is_none() {
        total = Some(-1);
    }
    if let (Some(limit), Some(total)) = (limit, total)
        && total >= 0
        && (limit < 0 || total < limit)
    {
        return Err(Error::Invalid { setting: "memory.swap", reason: "it must not be smaller than the memory limit" });
    }
    if total.is_some() && !group.join(TOTAL).exists() {
        if memory.swap.is_some_and(|swap| swap > 0) {
            warnings.push(Warning::Discarded { setting: "memory.swap" });
        }
        total = None;
    }
    let set = |file, value: Option<i64>| value.map_or(Ok(()), |value| files::set(group, file, value.to_string()));
    let written = match set(LIMIT, limit) {
        Err(error) if total.is_some() && error.write_errno() == Some(libc::EINVAL) => {
            set(TOTAL, total).and_then(|()| set(LIMIT, limit))
        }
        Err(error) => Err(error),
        Ok(()) => set(TOTAL, total),
    };
    match (written, limit) {
        (Err(error), Some(limit)) if error.write_errno() == Some(libc::EBUSY) => Err(memory_in_use(group, limit)),
        (result, _) => result,
    }
}

fn memory_in_use(group: &Path, limit: i64) -> Error {
    let read = |file| files::number(&group.join(file)).unwrap_or(0);
    Error::MemoryInUse { limit, usage: read("memory.usage_in_bytes"), peak: read("memory.max_usage_in_bytes") }
}

fn apply_cpu(directory: Directory<'_>, cpu: &Cpu) -> Result<(), Error> {
    let shares = cpu.shares.filter(|shares| *shares != 0);
    let quota = set_and_nonzero(cpu.quota);
    let period = cpu.period.filter(|period| *period != 0);
    let realtime_period = cpu.realtime_period.filter(|period| *period != 0);
    let realtime_runtime = set_and_nonzero(cpu.realtime_runtime);
    let unset = shares.is_none() && quota.is_none() && period.is_none() && cpu.burst.is_none() && cpu.idle.is_none();
    if unset && realtime_period.is_none() && realtime_runtime.is_none() {
        return Ok(());
    }
    let group = directory(Controller::Cpu).ok_or_else(|| not_mounted("cpu"))?;
    let set = |file: &str, value: Option<String>| value.map_or(Ok(()), |value| files::set(&group, file, value));
    let text = |value: u64| value.to_string();
    set("cpu.rt_period_us", realtime_period.map(text))?;
    set("cpu.rt_runtime_us", realtime_runtime.map(|value| value.to_string()))?;
    set("cpu.idle", cpu.idle.map(|value| value.to_string()))?;
    // An idle group has a fixed weight and refuses another.
    if cpu.idle != Some(1) {
        set("cpu.shares", shares.map(text))?;
        if let (Some(wanted), Some(nearest)) = (shares, shares.and_then(|_| files::number(&group.join("cpu.shares"))))
            && wanted != nearest
        {
            return Err(Error::Shares { above: wanted > nearest, nearest });
        }
    }
    // The old quota may be too large for the new period, or the other way round.
    let quota = quota.map(|value| value.to_string());
    if set("cpu.cfs_period_us", period.map(text)).is_err() {
        set("cpu.cfs_quota_us", quota.clone())?;
        set("cpu.cfs_period_us", period.map(text))?;
    } else {
        set("cpu.cfs_quota_us", quota)?;
    }
    set("cpu.cfs_burst_us", cpu.burst.map(text))
}

fn apply_cpuset(directory: Directory<'_>, cpu: &Cpu) -> Result<(), Error> {
    if cpu.cpus.is_empty() && cpu.mems.is_empty() {
        return Ok(());
    }
    let group = directory(Controller::CpuSet).ok_or_else(|| not_mounted("cpu.cpus"))?;
    for (file, value) in [("cpuset.cpus", &cpu.cpus), ("cpuset.mems", &cpu.mems)] {
        if !value.is_empty() {
            files::set(&group, file, value)?;
        }
    }
    Ok(())
}

fn apply_blkio(directory: Directory<'_>, block: &BlockIo, warnings: &mut Vec<Warning>) -> Result<(), Error> {
    if *block == BlockIo::default() {
        return Ok(());
    }
    let group = directory(Controller::Blkio).ok_or_else(|| not_mounted("blockIO"))?;
    // Weights need the CFQ or BFQ scheduler; Docker warns and runs on without.
    let weight_file = ["blkio.weight", "blkio.bfq.weight"].into_iter().find(|file| group.join(file).exists());
    let device_file = ["blkio.weight_device", "blkio.bfq.weight_device"].into_iter().find(|f| group.join(f).exists());
    for (file, value) in [(weight_file, block.weight), (Some("blkio.leaf_weight"), block.leaf_weight)] {
        let Some(value) = value.filter(|value| *value != 0) else { continue };
        match file.filter(|file| group.join(file).exists()) {
            Some(file) => files::set(&group, file, value.to_string())?,
            None => warnings.push(Warning::Discarded { setting: "blockIO.weight" }),
        }
    }
    for device in &block.weight_device {
        let Some(weight) = device.weight.filter(|weight| *weight != 0) else { continue };
        match device_file {
            Some(file) => files::set(&group, file, format!("{}:{} {weight}", device.major, device.minor))?,
            None => warnings.push(Warning::Discarded { setting: "blockIO.weightDevice" }),
        }
    }
    let throttle = |file: &str, devices: &[ThrottleDevice]| {
        devices.iter().try_for_each(|d| files::set(&group, file, format!("{}:{} {}", d.major, d.minor, d.rate)))
    };
    throttle("blkio.throttle.read_bps_device", &block.throttle_read_bps_device)?;
    throttle("blkio.throttle.write_bps_device", &block.throttle_write_bps_device)?;
    throttle("blkio.throttle.read_iops_device", &block.throttle_read_iops_device)?;
    throttle("blkio.throttle.write_iops_device", &block.throttle_write_iops_device)
}

fn apply_network(directory: Directory<'_>, network: &Network) -> Result<(), Error> {
    if let Some(class) = network.class_id.filter(|class| *class != 0) {
        let group = directory(Controller::NetCls).ok_or_else(|| not_mounted("network.classID"))?;
        files::set(&group, "net_cls.classid", class.to_string())?;
    }
    for priority in &network.priorities {
        let group = directory(Controller::NetPrio).ok_or_else(|| not_mounted("network.priorities"))?;
        files::set(&group, "net_prio.ifpriomap", format!("{} {}", priority.name, priority.priority))?;
    }
    Ok(())
}

fn set_and_nonzero(value: Option<i64>) -> Option<i64> {
    value.filter(|value| *value != 0)
}
