//! Creating and changing a group in the unified (version 2) hierarchy.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use sys::bpf;

use super::convert::{cpu_weight, io_weight, or_max, swap_limit};
use super::devices::Rule;
use super::layout::Unified;
use super::{Error, Warning, device_program, files};
use crate::spec::{BlockIo, Cpu, DeviceRule, Memory, Rdma, Resources};

/// Controllers handed down to containers, where the root has them.
const WANTED: [&str; 7] = ["cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma"];

/// Creates the directory and applies the limits.
pub(super) fn create(
    unified: &Unified,
    path: &Path,
    resources: &Resources,
    warnings: &mut Vec<Warning>,
) -> Result<(), Error> {
    make(unified, path, warnings)?;
    apply(&unified.root.join(path), resources, warnings)
}

/// Makes the directory and its ancestors, with every controller enabled on the way down.
pub(super) fn make(unified: &Unified, path: &Path, warnings: &mut Vec<Warning>) -> Result<(), Error> {
    let wanted: Vec<&str> =
        WANTED.into_iter().filter(|name| unified.controllers.iter().any(|known| known == name)).collect();
    // Usually only the last directory is missing.
    let parent = path.parent().unwrap_or(Path::new(""));
    if let Some(enabled) = files::read_optional(&unified.root.join(parent).join("cgroup.subtree_control"))
        && missing(&enabled, &wanted).next().is_none()
    {
        return files::make_directory(&unified.root.join(path)).map(drop);
    }
    let mut directory = unified.root.clone();
    for component in path {
        enable(&directory, &wanted, warnings)?;
        directory.push(component);
        files::make_directory(&directory)?;
    }
    Ok(())
}

/// Writes everything that is set.
pub(super) fn apply(group: &Path, resources: &Resources, warnings: &mut Vec<Warning>) -> Result<(), Error> {
    if let Some(memory) = &resources.memory {
        apply_memory(group, memory, warnings)?;
    }
    if let Some(cpu) = &resources.cpu {
        apply_cpu(group, cpu)?;
    }
    if let Some(pids) = &resources.pids {
        let limit = if pids.limit > 0 { pids.limit } else { -1 };
        if limit > 0 || group.join("pids.max").exists() {
            files::set(group, "pids.max", or_max(limit))?;
        }
    }
    if let Some(block) = &resources.block_io {
        apply_io(group, block, warnings)?;
    }
    for limit in &resources.hugepage_limits {
        apply_hugetlb(group, &limit.page_size, limit.limit)?;
    }
    apply_rdma(group, &resources.rdma)?;
    if !resources.devices.is_empty() {
        apply_devices(group, &resources.devices)?;
    }
    if let Some(network) = &resources.network
        && (network.class_id.is_some_and(|class| class != 0) || !network.priorities.is_empty())
    {
        return Err(Error::Unsupported { setting: "network", reason: "cgroup v2 has no traffic classes" });
    }
    for (file, value) in &resources.unified {
        if file.is_empty() || file.contains('/') || file.starts_with('.') {
            return Err(Error::Invalid { setting: "unified", reason: "a key is not the name of a control file" });
        }
        // Some files take one line a write.
        value.lines().try_for_each(|line| files::set(group, file, line))?;
    }
    Ok(())
}

/// `rdma.max` has the same form in both versions.
pub(super) fn apply_rdma(group: &Path, limits: &BTreeMap<String, Rdma>) -> Result<(), Error> {
    for (device, limit) in limits {
        let part = |name: &str, value: Option<u32>| value.map_or(String::new(), |value| format!(" {name}={value}"));
        let line =
            format!("{device}{}{}", part("hca_handle", limit.hca_handles), part("hca_object", limit.hca_objects));
        files::set(group, "rdma.max", line)?;
    }
    Ok(())
}

fn missing<'a>(enabled: &str, wanted: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
    let enabled: Vec<String> = enabled.split_whitespace().map(str::to_owned).collect();
    wanted.iter().copied().filter(move |name| !enabled.iter().any(|known| known == name))
}

/// Hands controllers down to the children of `directory`. One that is refused (for example because processes
/// live in the directory itself) becomes a warning: asking for one of its limits fails later, at its file.
fn enable(directory: &Path, wanted: &[&str], warnings: &mut Vec<Warning>) -> Result<(), Error> {
    let available = files::read(&directory.join("cgroup.controllers"))?;
    let enabled = files::read(&directory.join("cgroup.subtree_control"))?;
    let names: Vec<&str> = missing(&enabled, wanted).collect();
    let (offered, absent): (Vec<&str>, Vec<&str>) =
        names.iter().partition(|name| available.split_whitespace().any(|known| known == **name));
    let warning =
        |name: &str| Warning::ControllerUnavailable { controller: name.to_owned(), path: directory.to_owned() };
    warnings.extend(absent.into_iter().map(warning));
    if offered.is_empty() {
        return Ok(());
    }
    let all: Vec<String> = offered.iter().map(|name| format!("+{name}")).collect();
    if files::set(directory, "cgroup.subtree_control", all.join(" ")).is_ok() {
        return Ok(());
    }
    for name in offered {
        if files::set(directory, "cgroup.subtree_control", format!("+{name}")).is_err() {
            warnings.push(warning(name));
        }
    }
    Ok(())
}

fn apply_memory(group: &Path, memory: &Memory, warnings: &mut Vec<Warning>) -> Result<(), Error> {
    let swap = swap_limit(memory.limit, memory.swap)?;
    let limit = memory.limit.filter(|limit| *limit != 0);
    if let Some(limit) = limit.filter(|limit| *limit > 0)
        && memory.check_before_update == Some(true)
    {
        let usage = files::number(&group.join("memory.current")).unwrap_or(0);
        if usage > limit.cast_unsigned() {
            let peak = files::number(&group.join("memory.peak")).unwrap_or(usage);
            return Err(Error::MemoryInUse { limit, usage, peak });
        }
    }
    if let Some(swap) = swap {
        if group.join("memory.swap.max").exists() {
            files::set(group, "memory.swap.max", or_max(swap))?;
        } else if memory.swap.is_some_and(|swap| swap > 0) {
            // Without swap accounting the limit stands without swap, as in Docker.
            warnings.push(Warning::Discarded { setting: "memory.swap" });
        }
    }
    if let Some(limit) = limit {
        files::set(group, "memory.max", or_max(limit))?;
    }
    if let Some(reservation) = memory.reservation.filter(|reservation| *reservation != 0) {
        files::set(group, "memory.low", or_max(reservation))?;
    }
    for (setting, asked) in [
        ("memory.kernel", memory.kernel.is_some_and(|value| value > 0)),
        ("memory.kernelTCP", memory.kernel_tcp.is_some_and(|value| value > 0)),
        ("memory.swappiness", memory.swappiness.is_some_and(|value| value.cast_signed() != -1)),
        ("memory.disableOOMKiller", memory.disable_oom_killer == Some(true)),
    ] {
        if asked {
            warnings.push(Warning::Discarded { setting });
        }
    }
    Ok(())
}

fn apply_cpu(group: &Path, cpu: &Cpu) -> Result<(), Error> {
    if cpu.realtime_period.is_some_and(|period| period != 0) || cpu.realtime_runtime.is_some_and(|time| time != 0) {
        return Err(Error::Unsupported { setting: "cpu.realtimeRuntime", reason: "cgroup v2 has no realtime limits" });
    }
    if let Some(idle) = cpu.idle {
        files::set(group, "cpu.idle", idle.to_string())?;
    }
    // An idle group has a fixed weight and refuses another.
    if let Some(shares) = cpu.shares.filter(|shares| *shares != 0 && cpu.idle != Some(1)) {
        files::set(group, "cpu.weight", cpu_weight(shares).to_string())?;
    }
    let quota = cpu.quota.filter(|quota| *quota != 0);
    let period = cpu.period.filter(|period| *period != 0);
    if quota.is_some() || period.is_some() {
        let present = files::read_optional(&group.join("cpu.max")).unwrap_or_default();
        let mut words = present.split_whitespace();
        let quota = quota.map_or_else(|| words.next().unwrap_or("max").to_owned(), or_max);
        let period = period.or_else(|| present.split_whitespace().nth(1)?.parse().ok()).unwrap_or(100_000);
        files::set(group, "cpu.max", format!("{quota} {period}"))?;
    }
    if let Some(burst) = cpu.burst {
        files::set(group, "cpu.max.burst", burst.to_string())?;
    }
    for (file, value) in [("cpuset.cpus", &cpu.cpus), ("cpuset.mems", &cpu.mems)] {
        if !value.is_empty() {
            files::set(group, file, value)?;
        }
    }
    Ok(())
}

fn apply_io(group: &Path, block: &BlockIo, warnings: &mut Vec<Warning>) -> Result<(), Error> {
    // With the BFQ scheduler its own file has the say, in version 1's scale.
    let bfq = group.join("io.bfq.weight").exists();
    let plain = group.join("io.weight").exists();
    let (file, scale): (&str, fn(u16) -> u64) =
        if bfq { ("io.bfq.weight", u64::from) } else { ("io.weight", io_weight) };
    if let Some(weight) = block.weight.filter(|weight| *weight != 0) {
        if bfq || plain {
            files::set(group, file, format!("default {}", scale(weight)))?;
        } else {
            warnings.push(Warning::Discarded { setting: "blockIO.weight" });
        }
    }
    for device in &block.weight_device {
        let Some(weight) = device.weight.filter(|weight| *weight != 0) else { continue };
        if bfq || plain {
            files::set(group, file, format!("{}:{} {}", device.major, device.minor, scale(weight)))?;
        } else {
            warnings.push(Warning::Discarded { setting: "blockIO.weightDevice" });
        }
    }
    for (key, devices) in [
        ("rbps", &block.throttle_read_bps_device),
        ("wbps", &block.throttle_write_bps_device),
        ("riops", &block.throttle_read_iops_device),
        ("wiops", &block.throttle_write_iops_device),
    ] {
        for device in devices {
            let rate = if device.rate == 0 { "max".to_owned() } else { device.rate.to_string() };
            files::set(group, "io.max", format!("{}:{} {key}={rate}", device.major, device.minor))?;
        }
    }
    Ok(())
}

fn apply_hugetlb(group: &Path, page_size: &str, limit: u64) -> Result<(), Error> {
    if !page_size.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(Error::Invalid { setting: "hugepageLimits", reason: "a page size is not like 2MB" });
    }
    files::set(group, &format!("hugetlb.{page_size}.max"), limit.to_string())?;
    let reserved = format!("hugetlb.{page_size}.rsvd.max");
    if group.join(&reserved).exists() { files::set(group, &reserved, limit.to_string()) } else { Ok(()) }
}

/// Attaches the new program before the old ones go: in between both must agree, so access is never wider than
/// either list says.
fn apply_devices(group: &Path, rules: &[DeviceRule]) -> Result<(), Error> {
    let failed = |step: &'static str| move |source| Error::DeviceProgram { step, path: group.to_owned(), source };
    let instructions = device_program::compile(&Rule::parse_all(rules)?);
    let directory = File::open(group).map_err(failed("find the group for"))?;
    let old = bpf::device_programs(directory.as_fd()).map_err(failed("list"))?;
    let program = bpf::load_device_program(&instructions).map_err(failed("load"))?;
    bpf::attach_device_program(directory.as_fd(), program.as_fd()).map_err(failed("attach"))?;
    for program in old {
        bpf::detach_device_program(directory.as_fd(), program.as_fd()).map_err(failed("detach"))?;
    }
    Ok(())
}
