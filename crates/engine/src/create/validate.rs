//! Pure: settings that contradict each other or the machine. Texts are Docker's.

use crate::error::{Error, Invalid};
use crate::limits;
use crate::model::{ContainerConfig, HostConfig, NetworkMode, OnUnhealthy, Resources, RestartPolicy};

/// Checks the merged configuration, completes what depends on other settings, and returns warnings.
pub(super) fn check(config: &ContainerConfig, host: &mut HostConfig, cpus: usize) -> Result<Vec<String>, Error> {
    let mut warnings = limits::check(&mut host.resources, cpus, false)?;
    complete_resources(&mut host.resources);
    check_network(config, host)?;
    if host.network_mode == NetworkMode::Host && !host.port_bindings.is_empty() {
        warnings.push("Published ports are discarded when using host network mode".to_owned());
    }
    check_on_unhealthy(config, host)?;
    crate::log::check(&host.log)?;
    if host.auto_remove && host.restart_policy != RestartPolicy::No {
        return Err(Invalid::Conflict("cannot create container with both a restart policy and AutoRemove").into());
    }
    if !matches!(host.runtime.as_str(), "" | "gantry" | "runc" | "io.containerd.runc.v2") {
        return Err(Invalid::Runtime(host.runtime.clone()).into());
    }
    layer_limit(host)?;
    Ok(warnings)
}

/// The bytes that the container may write, of `--storage-opt size=`; 0 for no limit.
///
/// # Errors
/// [`Invalid::StorageOption`].
pub(super) fn layer_limit(host: &HostConfig) -> Result<u64, Error> {
    let mut limit = 0;
    for (key, value) in &host.storage_opt {
        let refused = |reason: String| Invalid::StorageOption { key: key.clone(), reason };
        if !key.eq_ignore_ascii_case("size") {
            return Err(refused("unknown option: there is only size".to_owned()).into());
        }
        limit = types::parse_size(value, 1024).map_err(|error| refused(error.to_string()))?;
    }
    Ok(limit)
}

/// Writes Docker's defaults into the limits.
fn complete_resources(resources: &mut Resources) {
    // As much swap as memory.
    if resources.memory > 0 && resources.memory_swap == 0 {
        resources.memory_swap = resources.memory.saturating_mul(2);
    }
    if resources.pids_limit == Some(0) {
        resources.pids_limit = None;
    }
}

fn check_network(config: &ContainerConfig, host: &HostConfig) -> Result<(), Error> {
    let shared = match &host.network_mode {
        NetworkMode::Container(_) => "container type network",
        NetworkMode::Host => "host type network",
        _ => return Ok(()),
    };
    if shared == "container type network" {
        if !host.port_bindings.is_empty() || host.publish_all_ports {
            return Err(Invalid::Conflict("port publishing and the container type network mode").into());
        }
        if !host.dns.is_empty() {
            return Err(Invalid::Conflict("dns and the network mode").into());
        }
        if !host.extra_hosts.is_empty() {
            return Err(Invalid::Conflict("custom host-to-IP mapping and the network mode").into());
        }
        if !config.exposed_ports.is_empty() && host.publish_all_ports {
            return Err(Invalid::Conflict("port exposing and the container type network mode").into());
        }
    }
    if !host.links.is_empty() {
        return Err(Invalid::Conflict(if shared == "host type network" {
            "host type networking can't be used with links. This would result in undefined behavior"
        } else {
            "container type network can't be used with links. This would result in undefined behavior"
        })
        .into());
    }
    Ok(())
}

/// The words of `--health-on-failure`, which arrive as an annotation or a label.
fn check_on_unhealthy(config: &ContainerConfig, host: &HostConfig) -> Result<(), Error> {
    let places = [&host.annotations, &config.labels];
    let mut words = places.into_iter().filter_map(|place| place.get(OnUnhealthy::KEY));
    match words.find(|word| OnUnhealthy::parse(word).is_none()) {
        Some(word) => Err(Invalid::OnUnhealthy(word.clone()).into()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(host: &mut HostConfig) -> String {
        "json-file".clone_into(&mut host.log.driver);
        check(&ContainerConfig::default(), host, 2).map_or_else(|error| error.to_string(), |_| String::new())
    }

    #[test]
    fn swap_defaults_to_twice_the_memory() {
        let mut host = HostConfig::default();
        host.resources.memory = 64 << 20;
        assert_eq!(text(&mut host), "");
        assert_eq!(host.resources.memory_swap, 128 << 20);
    }
}
