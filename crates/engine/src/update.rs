//! `update`: new limits and a new restart policy for a container that exists.

use std::thread::available_parallelism;

use crate::container::Command;
use crate::engine::Engine;
use crate::error::{Error, Invalid};
use crate::limits;
use crate::model::{HostConfig, Overrides, Resources, RestartPolicy, UpdateContainer};

impl Engine {
    /// Changes limits and restart policy, at once when the container runs. Gives warnings.
    ///
    /// # Errors
    /// `InvalidParameter` for what contradicts itself or the container's present limits; then nothing has changed.
    pub async fn update(&self, name: &str, mut request: UpdateContainer) -> Result<Vec<String>, Error> {
        let cpus = available_parallelism().map_or(1, std::num::NonZero::get);
        let warnings = limits::check(&mut request.resources, cpus, true)?;
        let container = self.containers.find(name)?;
        let result = container.ask(|reply| Command::Update(Box::new(request), reply)).await;
        result.map_err(|error| match error {
            Error::NoSuchContainer(_) => error,
            source => Error::Update { id: container.spec.id.to_string(), source: Box::new(source) },
        })?;
        Ok(warnings)
    }
}

/// Pure: what a container has, changed by what is asked for. Texts are Docker's.
pub(crate) fn merge(host: &HostConfig, request: &UpdateContainer) -> Result<Overrides, Invalid> {
    let (had, new) = (&host.resources, &request.resources);
    check_processors(had, new)?;
    if new.memory != 0 && new.memory > had.memory_swap && new.memory_swap == 0 {
        return Err(Invalid::UpdateConflict(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
        ));
    }
    let restart_policy = match request.restart_policy {
        Some(policy) if host.auto_remove && policy != RestartPolicy::No => {
            return Err(Invalid::UpdateConflict(
                "Restart policy cannot be updated because AutoRemove is enabled for the container",
            ));
        }
        policy => policy.unwrap_or(host.restart_policy),
    };
    let mut resources = had.clone();
    for (present, wanted) in [
        (&mut resources.memory, new.memory),
        (&mut resources.memory_swap, new.memory_swap),
        (&mut resources.memory_reservation, new.memory_reservation),
        (&mut resources.kernel_memory_tcp, new.kernel_memory_tcp),
        (&mut resources.nano_cpus, new.nano_cpus),
        (&mut resources.cpu_shares, new.cpu_shares),
        (&mut resources.cpu_period, new.cpu_period),
        (&mut resources.cpu_quota, new.cpu_quota),
        (&mut resources.cpu_realtime_period, new.cpu_realtime_period),
        (&mut resources.cpu_realtime_runtime, new.cpu_realtime_runtime),
    ] {
        if wanted != 0 {
            *present = wanted;
        }
    }
    for (present, wanted) in
        [(&mut resources.cpuset_cpus, &new.cpuset_cpus), (&mut resources.cpuset_mems, &new.cpuset_mems)]
    {
        if !wanted.is_empty() {
            present.clone_from(wanted);
        }
    }
    merge_block_io(&mut resources, new);
    resources.pids_limit = new.pids_limit.or(resources.pids_limit);
    resources.memory_swappiness = new.memory_swappiness.or(resources.memory_swappiness);
    resources.oom_kill_disable = new.oom_kill_disable.or(resources.oom_kill_disable);
    Ok(Overrides { resources, restart_policy })
}

/// A quota is written in one of two ways, and a container keeps to one.
fn check_processors(had: &Resources, new: &Resources) -> Result<(), Invalid> {
    let conflicts = [
        (
            new.nano_cpus > 0 && had.cpu_period > 0,
            "Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set",
        ),
        (
            new.nano_cpus > 0 && had.cpu_quota > 0,
            "Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set",
        ),
        (
            new.cpu_period > 0 && had.nano_cpus > 0,
            "Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set",
        ),
        (
            new.cpu_quota > 0 && had.nano_cpus > 0,
            "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set",
        ),
    ];
    match conflicts.iter().find(|(conflict, _)| *conflict) {
        Some((_, text)) => Err(Invalid::UpdateConflict(text)),
        None => Ok(()),
    }
}

/// Beyond Docker, which ignores the limits of single devices here: a list replaces the one there was.
fn merge_block_io(resources: &mut Resources, new: &Resources) {
    if new.blkio_weight != 0 {
        resources.blkio_weight = new.blkio_weight;
    }
    for (present, wanted) in [
        (&mut resources.blkio_weight_device, &new.blkio_weight_device),
        (&mut resources.blkio_device_read_bps, &new.blkio_device_read_bps),
        (&mut resources.blkio_device_write_bps, &new.blkio_device_write_bps),
        (&mut resources.blkio_device_read_iops, &new.blkio_device_read_iops),
        (&mut resources.blkio_device_write_iops, &new.blkio_device_write_iops),
    ] {
        if !wanted.is_empty() {
            present.clone_from(wanted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(had: Resources, new: Resources) -> Result<Resources, String> {
        let host = HostConfig { resources: had, ..HostConfig::default() };
        let request = UpdateContainer { resources: new, restart_policy: None };
        merge(&host, &request).map(|overrides| overrides.resources).map_err(|invalid| invalid.to_string())
    }

    fn memory(memory: i64, memory_swap: i64) -> Resources {
        Resources { memory, memory_swap, ..Resources::default() }
    }

    #[test]
    fn what_is_not_set_stays() {
        let had = Resources { cpu_shares: 7, pids_limit: Some(9), ..memory(100, 200) };
        let new = Resources { cpuset_cpus: "0".to_owned(), pids_limit: Some(0), ..memory(150, 0) };
        let merged = merged(had, new).expect("fits");
        assert_eq!((merged.memory, merged.memory_swap, merged.cpu_shares), (150, 200, 7));
        assert_eq!((merged.cpuset_cpus.as_str(), merged.pids_limit), ("0", Some(0)));
    }

    #[test]
    fn contradictions_are_refused_with_dockers_words() {
        let text = merged(memory(100, 200), memory(300, 0)).expect_err("refused");
        assert!(text.ends_with("update the memoryswap at the same time"), "{text}");
        let cpus = |nano_cpus, cpu_quota| Resources { nano_cpus, cpu_quota, ..Resources::default() };
        let text = merged(cpus(5, 0), cpus(0, 5)).expect_err("refused");
        assert_eq!(text, "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set");
        let host = HostConfig { auto_remove: true, ..HostConfig::default() };
        let always = UpdateContainer { restart_policy: Some(RestartPolicy::Always), ..UpdateContainer::default() };
        assert!(merge(&host, &always).is_err());
    }
}
