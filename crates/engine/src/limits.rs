//! Limits that contradict each other or the machine: the checks that `create` and `update` share. Texts are Docker's.
//!
//! What the kernel cannot do at all is dropped with a warning, as Docker does, and looked up only when it is asked for.

use std::path::Path;

use crate::error::{Error, Invalid};
use crate::model::Resources;

const MINIMUM_MEMORY: i64 = 6 * 1024 * 1024;
const CGROUPS: &str = "/sys/fs/cgroup";

/// Checks limits; drops those that this kernel does not have, with a warning each. `update`: they change a container
/// that has its memory limit already.
///
/// # Errors
/// [`Invalid`].
pub(crate) fn check(limits: &mut Resources, cpus: usize, update: bool) -> Result<Vec<String>, Error> {
    let mut warnings = Vec::new();
    check_memory(limits, update)?;
    check_oom(limits, update, &mut warnings);
    check_processors(limits, cpus)?;
    check_placement(limits)?;
    drop_unknown_weights(limits, &mut warnings);
    Ok(warnings)
}

fn check_memory(limits: &Resources, update: bool) -> Result<(), Invalid> {
    if limits.memory != 0 && limits.memory < MINIMUM_MEMORY {
        return Err(Invalid::MemoryTooSmall);
    }
    if limits.memory > 0 && limits.memory_swap > 0 && limits.memory_swap < limits.memory {
        return Err(Invalid::SwapTooSmall);
    }
    if limits.memory == 0 && limits.memory_swap > 0 && !update {
        return Err(Invalid::Limit("You should always set the Memory limit when using Memoryswap limit, see usage"));
    }
    if limits.memory_reservation > 0 && limits.memory_reservation < MINIMUM_MEMORY {
        return Err(Invalid::Limit("Minimum memory reservation allowed is 6MB"));
    }
    if limits.memory > 0 && limits.memory_reservation > limits.memory {
        let text = "Minimum memory limit can not be less than memory reservation limit, see usage";
        return Err(Invalid::Limit(text));
    }
    Ok(())
}

/// Version 2 has neither a switch for the killer nor a swappiness for each group.
fn check_oom(limits: &mut Resources, update: bool, warnings: &mut Vec<String>) {
    let lacks = |file: &str| !Path::new(CGROUPS).join("memory").join(file).exists();
    if limits.memory_swappiness.is_some() && lacks("memory.swappiness") {
        warnings.push("Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.".to_owned());
        limits.memory_swappiness = None;
    }
    if limits.oom_kill_disable.is_none() && !update && !lacks("memory.oom_control") {
        // Docker says so wherever it could be otherwise.
        limits.oom_kill_disable = Some(false);
    }
    if limits.oom_kill_disable == Some(true) {
        if lacks("memory.oom_control") {
            warnings.push("Your kernel does not support OomKillDisable. OomKillDisable discarded.".to_owned());
            limits.oom_kill_disable = None;
        } else if limits.memory == 0 {
            warnings.push("OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.".to_owned());
        }
    }
}

fn check_processors(limits: &Resources, cpus: usize) -> Result<(), Invalid> {
    if limits.nano_cpus > 0 {
        if limits.cpu_period > 0 {
            return Err(Invalid::CpuConflict("Period"));
        }
        if limits.cpu_quota > 0 {
            return Err(Invalid::CpuConflict("Quota"));
        }
    }
    let most = i64::try_from(cpus).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
    if limits.nano_cpus != 0 && !(10_000_000..=most).contains(&limits.nano_cpus) {
        return Err(Invalid::NanoCpus(cpus));
    }
    let (runtime, period) = (limits.cpu_realtime_runtime, limits.cpu_realtime_period);
    if (runtime != 0 || period != 0) && !has("cpu/cpu.rt_runtime_us") {
        return Err(Invalid::Limit("Your kernel does not support CPU real-time scheduler"));
    }
    if runtime != 0 && period != 0 && runtime > period {
        return Err(Invalid::Limit("cpu real-time runtime cannot be higher than cpu real-time period"));
    }
    Ok(())
}

fn check_placement(limits: &Resources) -> Result<(), Invalid> {
    let places = [(&limits.cpuset_cpus, "cpus", "CPUs", "cpu"), (&limits.cpuset_mems, "mems", "memory nodes", "node")];
    for (wanted, short, what, device) in places {
        if wanted.is_empty() {
            continue;
        }
        let Some(numbers) = numbers(wanted) else {
            return Err(Invalid::Placement(format!(
                "Invalid value {wanted} for cpuset {short}: invalid format: {wanted}"
            )));
        };
        let available = available(short, device);
        let known = self::numbers(&available).unwrap_or_default();
        if !numbers.iter().all(|number| known.contains(number)) {
            return Err(Invalid::Placement(format!(
                "Requested {what} are not available - requested {wanted}, available: {available}"
            )));
        }
    }
    Ok(())
}

/// What containers may be placed on: the root group's share, or what is online.
fn available(kind: &str, device: &str) -> String {
    let candidates = [
        format!("{CGROUPS}/cpuset/cpuset.{kind}"),
        format!("{CGROUPS}/cpuset.{kind}.effective"),
        format!("/sys/devices/system/{device}/online"),
    ];
    let texts = candidates.iter().filter_map(|path| std::fs::read_to_string(path).ok());
    texts.map(|text| text.trim().to_owned()).find(|text| !text.is_empty()).unwrap_or_default()
}

/// `0-2,4` as single numbers.
fn numbers(list: &str) -> Option<Vec<u32>> {
    let mut numbers = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.trim().parse::<u32>().ok()?, last.trim().parse::<u32>().ok()?);
        // No machine has more; a list must not fill the memory.
        if first > last || last > 8191 {
            return None;
        }
        numbers.extend(first..=last);
    }
    Some(numbers)
}

/// Weights need a scheduler that knows them.
fn drop_unknown_weights(limits: &mut Resources, warnings: &mut Vec<String>) {
    let known = || {
        ["blkio/blkio.weight", "blkio/blkio.bfq.weight"].into_iter().any(has)
            || !has("blkio") && crate::system::weighs_io()
    };
    if limits.blkio_weight > 0 && !known() {
        warnings.push(
            "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.".to_owned(),
        );
        limits.blkio_weight = 0;
    }
    if !limits.blkio_weight_device.is_empty() && !known() {
        warnings.push("Your kernel does not support Block I/O weight_device or the cgroup is not mounted. Weight-device discarded.".to_owned());
        limits.blkio_weight_device.clear();
    }
}

fn has(file: &str) -> bool {
    Path::new(CGROUPS).join(file).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(mut limits: Resources) -> String {
        check(&mut limits, 2, false).map_or_else(|error| error.to_string(), |_| String::new())
    }

    #[test]
    fn contradictions_are_told_in_dockers_words() {
        let memory = |memory, memory_swap, memory_reservation| Resources {
            memory,
            memory_swap,
            memory_reservation,
            ..Resources::default()
        };
        for (limits, text) in [
            (memory(1 << 20, 0, 0), "Minimum memory limit allowed is 6MB"),
            (memory(64 << 20, 1 << 20, 0), "Minimum memoryswap limit should be larger than memory limit, see usage"),
            (memory(0, 64 << 20, 0), "You should always set the Memory limit when using Memoryswap limit, see usage"),
            (memory(0, 0, 1 << 20), "Minimum memory reservation allowed is 6MB"),
            (
                memory(10 << 20, 0, 11 << 20),
                "Minimum memory limit can not be less than memory reservation limit, see usage",
            ),
            (
                Resources { nano_cpus: 3_000_000_000, ..Resources::default() },
                "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
            ),
            (
                Resources { cpuset_cpus: "abc".to_owned(), ..Resources::default() },
                "Invalid value abc for cpuset cpus: invalid format: abc",
            ),
            (Resources::default(), ""),
        ] {
            assert_eq!(refusal(limits), text);
        }
        assert!(check(&mut memory(0, 64 << 20, 0), 2, true).is_ok());
    }

    #[test]
    fn lists_of_places_are_read() {
        assert_eq!(numbers("0-2,4"), Some(vec![0, 1, 2, 4]));
        assert_eq!([numbers("2-1"), numbers("x"), numbers("0-99999"), numbers("")], [None, None, None, None]);
    }
}
