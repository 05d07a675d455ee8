//! What an exec needs to know before it is asked for: user, capabilities, filter.

use monitor::protocol::{ExecPlan, Filter};

use super::{process, rootfs_file, security, users};
use crate::engine::Engine;
use crate::error::Error;
use crate::exec::ExecEntry;
use crate::model::{ContainerSpec, HostConfig};

/// Plans an exec; `size` is the terminal's at the start, rows and columns. Blocks.
///
/// # Errors
/// [`crate::error::Invalid`] for a user or group that the container does not know.
pub(crate) fn plan_exec(
    engine: &Engine,
    spec: &ContainerSpec,
    entry: &ExecEntry,
    size: Option<(u16, u16)>,
) -> Result<ExecPlan, Error> {
    let mut config = entry.config.clone();
    config.console_size = size.or(config.console_size);
    let rootfs = engine.store.rootfs(&spec.id)?;
    let (passwd, group) = (rootfs_file::read(&rootfs, "etc/passwd"), rootfs_file::read(&rootfs, "etc/group"));
    let (wanted, groups) = if config.user.is_empty() {
        (&spec.config.user, spec.host.group_add.as_slice())
    } else {
        (&config.user, [].as_slice())
    };
    let user = users::resolve(wanted, groups, &passwd, &group)?;
    // A privileged exec is as unconfined as a privileged container.
    let host =
        if config.privileged { HostConfig { privileged: true, ..HostConfig::default() } } else { spec.host.clone() };
    let capabilities = security::capabilities(&host)?;
    let filter = engine.filters.for_container(&host, &capabilities)?;
    let confined = security::no_new_privileges(&spec.host, engine.config.container.no_new_privileges)?;
    Ok(ExecPlan {
        exec_id: entry.id.to_string(),
        process: process::exec_process(spec, &config, &user, &capabilities, confined),
        seccomp: filter.map(|filter| Filter(filter.to_vec())),
        tty: config.tty,
        size: config.console_size.unwrap_or_default(),
    })
}
