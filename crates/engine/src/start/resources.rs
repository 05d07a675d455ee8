//! Pure: limits in the runtime's terms.

use runtime::spec::{BlockIo, Cpu, DeviceRule, Memory, Pids, Resources, ThrottleDevice, WeightDevice, defaults};

use runtime::cgroup::Cgroup;

use super::observe::{self, BlockDevice, Observed};
use crate::error::{Error, Invalid};
use crate::model::{HostConfig, Resources as Limits, ThrottleDevice as Limit};

const DEFAULT_PERIOD: u64 = 100_000;

/// All limits and device rules of a container.
pub(super) fn plan(host: &HostConfig, observed: &Observed) -> Result<Resources, Error> {
    let limits = &host.resources;
    Ok(Resources { devices: device_rules(host, observed)?, ..of(limits, &observed.block_devices) })
}

/// The limits alone, without device rules.
fn of(limits: &Limits, devices: &[BlockDevice]) -> Resources {
    Resources {
        memory: memory(limits),
        cpu: cpu(limits),
        pids: limits.pids_limit.map(|limit| Pids { limit }),
        block_io: block_io(limits, devices),
        ..Resources::default()
    }
}

/// Brings the limits of a running container from `before` to `after`, or leaves them as they were. Blocks.
pub(crate) fn change(mut group: Cgroup, before: &HostConfig, after: &HostConfig) -> Result<(), Error> {
    let (old, new) = (&before.resources, &after.resources);
    let wanted = of(new, &observe::block_devices(new)?);
    let Err(refused) = group.update(&wanted) else {
        return lift(&mut group, old, new);
    };
    // What was unlimited is so again; the rest is set as it was.
    let restored = of(&unlimited(old, new), &observe::block_devices(old)?);
    if let Err(error) = group.update(&restored) {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(cgroup = %group.path().display(), error, "limits not restored after a refused change");
    }
    Err(runtime::Error::Cgroup(refused).into())
}

/// Takes away the throttles of devices that are no longer listed: a rate of zero is none.
fn lift(group: &mut Cgroup, old: &Limits, new: &Limits) -> Result<(), Error> {
    let gone = |old: &[Limit], new: &[Limit]| -> Vec<Limit> {
        let gone = old.iter().filter(|limit| !new.iter().any(|other| other.path == limit.path));
        gone.map(|limit| Limit { path: limit.path.clone(), rate: 0 }).collect()
    };
    let lifted = Limits {
        blkio_device_read_bps: gone(&old.blkio_device_read_bps, &new.blkio_device_read_bps),
        blkio_device_write_bps: gone(&old.blkio_device_write_bps, &new.blkio_device_write_bps),
        blkio_device_read_iops: gone(&old.blkio_device_read_iops, &new.blkio_device_read_iops),
        blkio_device_write_iops: gone(&old.blkio_device_write_iops, &new.blkio_device_write_iops),
        ..Limits::default()
    };
    if lifted == Limits::default() {
        return Ok(());
    }
    let lifted = of(&lifted, &observe::block_devices(&lifted)?);
    group.update(&lifted).map_err(|error| runtime::Error::Cgroup(error).into())
}

/// `old`, with the kernel's defaults where `new` has a limit and `old` has none.
fn unlimited(old: &Limits, new: &Limits) -> Limits {
    let mut limits = old.clone();
    for (limit, wanted, none) in [
        (&mut limits.memory, new.memory, -1),
        (&mut limits.memory_swap, new.memory_swap, -1),
        (&mut limits.memory_reservation, new.memory_reservation, -1),
        (&mut limits.cpu_shares, new.cpu_shares, 1024),
        (&mut limits.cpu_period, new.cpu_period, DEFAULT_PERIOD.cast_signed()),
        (&mut limits.cpu_quota, new.cpu_quota.max(new.nano_cpus), -1),
    ] {
        if *limit == 0 && wanted != 0 {
            *limit = none;
        }
    }
    if old.nano_cpus > 0 {
        limits.cpu_quota = 0;
    }
    if limits.pids_limit.is_none() && new.pids_limit.is_some() {
        limits.pids_limit = Some(0);
    }
    limits
}

fn device_rules(host: &HostConfig, observed: &Observed) -> Result<Vec<DeviceRule>, Error> {
    if host.privileged {
        return Ok(defaults::privileged_device_rules());
    }
    let mut rules = defaults::device_rules();
    rules.extend(observed.devices.iter().map(|(_, rule)| rule.clone()));
    for text in &host.resources.device_cgroup_rules {
        rules.push(parse_rule(text).ok_or_else(|| Invalid::DeviceRule(text.clone()))?);
    }
    Ok(rules)
}

/// `c 42:* rmw`
fn parse_rule(text: &str) -> Option<DeviceRule> {
    let mut words = text.split_whitespace();
    let (kind, numbers, access) = (words.next()?, words.next()?, words.next()?);
    let (major, minor) = numbers.split_once(':')?;
    let number = |text: &str| match text {
        "*" => Some(None),
        digits => digits.parse::<i64>().ok().filter(|number| *number >= 0).map(Some),
    };
    let valid = matches!(kind, "a" | "b" | "c") && words.next().is_none() && !access.is_empty();
    if !valid || !access.bytes().all(|letter| b"rwm".contains(&letter)) {
        return None;
    }
    Some(DeviceRule {
        allow: true,
        kind: Some(kind.to_owned()),
        major: number(major)?,
        minor: number(minor)?,
        access: access.to_owned(),
    })
}

fn memory(limits: &Limits) -> Option<Memory> {
    let set = |value: i64| (value != 0).then_some(value);
    let memory = Memory {
        limit: set(limits.memory),
        reservation: set(limits.memory_reservation),
        swap: set(limits.memory_swap),
        kernel_tcp: set(limits.kernel_memory_tcp),
        swappiness: limits.memory_swappiness.and_then(|value| u64::try_from(value).ok()),
        disable_oom_killer: limits.oom_kill_disable.filter(|disabled| *disabled),
        ..Memory::default()
    };
    (memory != Memory::default()).then_some(memory)
}

fn cpu(limits: &Limits) -> Option<Cpu> {
    let set = |value: i64| u64::try_from(value).ok().filter(|value| *value > 0);
    let mut cpu = Cpu {
        shares: set(limits.cpu_shares),
        quota: (limits.cpu_quota != 0).then_some(limits.cpu_quota),
        period: set(limits.cpu_period),
        realtime_runtime: (limits.cpu_realtime_runtime != 0).then_some(limits.cpu_realtime_runtime),
        realtime_period: set(limits.cpu_realtime_period),
        cpus: limits.cpuset_cpus.clone(),
        mems: limits.cpuset_mems.clone(),
        ..Cpu::default()
    };
    if limits.nano_cpus > 0 {
        // Billionths of a processor over a period of 100 ms.
        cpu.period = Some(DEFAULT_PERIOD);
        cpu.quota = Some(limits.nano_cpus / (1_000_000_000 / DEFAULT_PERIOD.cast_signed()));
    }
    (cpu != Cpu::default()).then_some(cpu)
}

fn block_io(limits: &Limits, devices: &[BlockDevice]) -> Option<BlockIo> {
    let numbers = |path: &str| devices.iter().find(|(known, ..)| known == path);
    let throttle = |list: &[Limit]| {
        list.iter()
            .filter_map(|limit| {
                let (_, major, minor) = numbers(&limit.path)?;
                Some(ThrottleDevice { major: *major, minor: *minor, rate: limit.rate })
            })
            .collect()
    };
    let weights = limits.blkio_weight_device.iter().filter_map(|limit| {
        let (_, major, minor) = numbers(&limit.path)?;
        let weight = u16::try_from(limit.rate).ok();
        Some(WeightDevice { major: *major, minor: *minor, weight, leaf_weight: None })
    });
    let block_io = BlockIo {
        weight: (limits.blkio_weight > 0).then_some(limits.blkio_weight),
        weight_device: weights.collect(),
        throttle_read_bps_device: throttle(&limits.blkio_device_read_bps),
        throttle_write_bps_device: throttle(&limits.blkio_device_write_bps),
        throttle_read_iops_device: throttle(&limits.blkio_device_read_iops),
        throttle_write_iops_device: throttle(&limits.blkio_device_write_iops),
        ..BlockIo::default()
    };
    (block_io != BlockIo::default()).then_some(block_io)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_processor_is_half_a_period() {
        let cpu = cpu(&Limits { nano_cpus: 500_000_000, ..Limits::default() }).expect("set");
        assert_eq!((cpu.quota, cpu.period), (Some(50_000), Some(100_000)));
    }

    #[test]
    fn nothing_asked_is_nothing_set() {
        assert_eq!((cpu(&Limits::default()), memory(&Limits::default())), (None, None));
    }

    #[test]
    fn device_rules_are_parsed_strictly() {
        let rule = parse_rule("c 42:* rmw").expect("valid");
        assert_eq!((rule.major, rule.minor, rule.access.as_str()), (Some(42), None, "rmw"));
        for bad in ["", "c 42", "x 1:1 r", "c 1:1 q", "c -1:1 r", "c 1:1 r extra"] {
            assert!(parse_rule(bad).is_none(), "{bad}");
        }
    }
}
