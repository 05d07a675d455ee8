//! The body of `POST /containers/{id}/update`: the limits of a host configuration, and a restart policy.

use api::ApiVersion;
use api::container::HostConfig;
use engine::model::UpdateContainer;

use super::host;
use crate::failure::Failure;

/// Decodes it; the second part are warnings for the client.
///
/// # Errors
/// 400 in Docker's words; 400 too for what a container has for life, which Docker ignores.
pub fn update(mut wire: HostConfig, version: ApiVersion) -> Result<(UpdateContainer, Vec<String>), Failure> {
    check_fixed(&wire)?;
    host::check_unsupported(&wire)?;
    host::check_ranges(&wire)?;
    let mut warnings = Vec::new();
    if version < ApiVersion(42) && wire.kernel_memory > 0 {
        warnings.push(host::KERNEL_MEMORY_WARNING.to_owned());
    }
    let restart_policy = match wire.restart_policy.name.as_str() {
        "" => None,
        _ => Some(host::restart_policy(&wire.restart_policy)?),
    };
    // Zero and every negative number lift the limit; versions before 1.40 do not know it.
    let pids_limit = wire.pids_limit.filter(|_| version >= ApiVersion(40)).map(|limit| limit.max(0));
    let mut resources = host::resources(&mut wire);
    resources.pids_limit = pids_limit;
    Ok((UpdateContainer { resources, restart_policy }, warnings))
}

/// What belongs to the process or its device list and cannot change under it.
fn check_fixed(wire: &HostConfig) -> Result<(), Failure> {
    let fixed = [
        (!wire.cgroup_parent.is_empty(), "CgroupParent"),
        (wire.devices.as_ref().is_some_and(|list| !list.is_empty()), "Devices"),
        (wire.device_cgroup_rules.as_ref().is_some_and(|list| !list.is_empty()), "DeviceCgroupRules"),
        (wire.device_requests.as_ref().is_some_and(|list| !list.is_empty()), "DeviceRequests"),
        (wire.ulimits.as_ref().is_some_and(|list| !list.is_empty()), "Ulimits"),
        (wire.init.is_some(), "Init"),
    ];
    match fixed.iter().find(|(set, _)| *set) {
        Some((_, name)) => {
            Err(Failure::invalid(format!("{name} cannot be updated: it is fixed when a container is created")))
        }
        None => Ok(()),
    }
}
