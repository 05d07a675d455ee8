//! Pure: the request and the image's configuration become the container's configuration.

use std::thread::available_parallelism;

use types::{ContainerId, Signal};

use super::validate;
use crate::config::{EngineConfig, LiveConfig};
use crate::error::{Error, Invalid};
use crate::model::{
    ContainerConfig, CreateContainer, Healthcheck, HostConfig, LogConfig, NamespaceMode, NetworkMode, PortKey, Ulimit,
};

/// What planning needs to know of the machine and the daemon.
#[derive(Clone, Debug)]
pub(super) struct Defaults {
    /// Processors online.
    pub cpus: usize,
    /// Log driver of containers that name none.
    pub log: LogConfig,
    /// Name of the host, for containers that share its network.
    pub host_name: String,
    /// Whether control groups are version 2 only.
    pub unified: bool,
    /// Whether users of containers are mapped.
    pub remapped: bool,
    /// Parent control group; empty for the engine's own.
    pub cgroup_parent: String,
    /// Resource limits.
    pub ulimits: Vec<Ulimit>,
    /// Bytes of `/dev/shm`.
    pub shm_size: u64,
    /// IPC namespace.
    pub ipc_mode: NamespaceMode,
    /// Cgroup namespace; the default depends on the machine.
    pub cgroupns_mode: NamespaceMode,
}

/// The configuration side of a new container.
#[derive(Debug)]
pub(super) struct CreatePlan {
    pub config: ContainerConfig,
    pub host: HostConfig,
    pub path: String,
    pub args: Vec<String>,
    pub warnings: Vec<String>,
}

impl Defaults {
    pub(super) fn observe(config: &EngineConfig, live: &LiveConfig) -> Self {
        let (driver, options) = config.log_driver.clone();
        let host_name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self {
            cpus: available_parallelism().map_or(1, std::num::NonZero::get),
            log: LogConfig { driver, options },
            host_name,
            unified: crate::system::CgroupFeatures::observe().version == 2,
            remapped: config.userns_remap.is_some(),
            cgroup_parent: config.container.cgroup_parent.clone(),
            ulimits: config.container.ulimits.clone(),
            shm_size: live.shm_size,
            ipc_mode: live.ipc_mode.clone(),
            cgroupns_mode: live.cgroupns_mode.clone(),
        }
    }
}

/// Writes Docker's defaults into what was left open, so that `inspect` shows what the container gets.
fn complete(host: &mut HostConfig, defaults: &Defaults) {
    if host.ipc_mode == NamespaceMode::Default {
        host.ipc_mode = defaults.ipc_mode.clone();
    }
    if host.cgroupns_mode == NamespaceMode::Default {
        host.cgroupns_mode = match &defaults.cgroupns_mode {
            // With version 1 privileged containers stay in the host's, whatever the daemon's default is.
            _ if host.privileged && !defaults.unified => NamespaceMode::Host,
            NamespaceMode::Default if defaults.unified => NamespaceMode::Private,
            NamespaceMode::Default => NamespaceMode::Host,
            mode => mode.clone(),
        };
    }
    let shares = host.ipc_mode == NamespaceMode::Host || host.pid_mode == NamespaceMode::Host;
    if (shares || host.privileged) && !host.security_opt.iter().any(|option| option.starts_with("label")) {
        // What sees the host's processes or objects cannot be confined from them.
        host.security_opt.push("label=disable".to_owned());
    }
    if host.cgroup_parent.is_empty() {
        host.cgroup_parent.clone_from(&defaults.cgroup_parent);
    }
    if host.shm_size == 0 {
        host.shm_size = defaults.shm_size;
    }
    let named = |own: &[Ulimit], name: &str| own.iter().any(|ulimit| ulimit.name == name);
    let missing = defaults.ulimits.iter().filter(|ulimit| !named(&host.resources.ulimits, &ulimit.name));
    let missing: Vec<Ulimit> = missing.cloned().collect();
    host.resources.ulimits.extend(missing);
    if !host.privileged {
        let owned = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
        host.masked_paths.get_or_insert_with(|| owned(&runtime::spec::defaults::MASKED_PATHS));
        host.readonly_paths.get_or_insert_with(|| owned(&runtime::spec::defaults::READONLY_PATHS));
    }
}

/// Merges, completes and checks.
///
/// # Errors
/// [`Error::NoCommand`], [`Error::Invalid`].
pub(super) fn plan(
    request: CreateContainer,
    image: &store::ImageConfig,
    id: &ContainerId,
    defaults: &Defaults,
) -> Result<CreatePlan, Error> {
    let CreateContainer { mut config, mut host, .. } = request;
    merge(&mut config, &image.config)?;
    let mut command = config.entrypoint.iter().chain(&config.cmd).flatten().cloned();
    let path = command.next().filter(|path| !path.is_empty()).ok_or(Error::NoCommand)?;
    let args = command.collect();
    if config.hostname.is_empty() {
        config.hostname = match host.network_mode {
            NetworkMode::Host => defaults.host_name.clone(),
            _ => id.short().to_owned(),
        };
    }
    if !config.working_dir.is_empty() {
        if !config.working_dir.starts_with('/') {
            return Err(Invalid::WorkingDir(config.working_dir).into());
        }
        config.working_dir = normalise(&config.working_dir);
    }
    crate::log::complete(&mut host.log, &defaults.log);
    let warnings = validate::check(&config, &mut host, defaults.cpus)?;
    if defaults.remapped {
        crate::start::check_user_namespace(&host)?;
    }
    complete(&mut host, defaults);
    crate::start::check_security(&host)?;
    Ok(CreatePlan { config, host, path, args, warnings })
}

pub(super) fn no_image() -> Error {
    Error::Store(store::Error::Reference(types::InvalidReference::Format))
}

/// Docker's `runconfig` merge: what the request leaves out comes from the image.
fn merge(config: &mut ContainerConfig, image: &store::ContainerConfig) -> Result<(), Error> {
    if config.user.is_empty() {
        config.user.clone_from(&image.user);
    }
    config.exposed_ports.extend(image.exposed_ports.keys().filter_map(|key| key.parse::<PortKey>().ok()));
    for variable in &image.env {
        let name = variable.split('=').next().unwrap_or_default();
        if !config.env.iter().any(|own| own.split('=').next() == Some(name)) {
            config.env.push(variable.clone());
        }
    }
    for (key, value) in &image.labels {
        config.labels.entry(key.clone()).or_insert_with(|| value.clone());
    }
    merge_command(config, image);
    merge_health(&mut config.healthcheck, image.healthcheck.as_ref());
    if config.working_dir.is_empty() {
        config.working_dir.clone_from(&image.working_dir);
    }
    config.volumes.extend(image.volumes.keys().cloned());
    if config.stop_signal.is_none() {
        let signal = image.stop_signal.as_deref().filter(|signal| !signal.is_empty());
        config.stop_signal =
            signal.map(str::parse::<Signal>).transpose().map_err(|error| Error::Invalid(Invalid::Signal(error)))?;
    }
    if config.stop_timeout.is_none() {
        config.stop_timeout = image.stop_timeout;
    }
    if config.shell.is_none() {
        config.shell.clone_from(&image.shell);
    }
    config.on_build.clear();
    Ok(())
}

/// A new entrypoint takes the image's command away; `--entrypoint ""` resets the image's entrypoint.
fn merge_command(config: &mut ContainerConfig, image: &store::ContainerConfig) {
    let own_command = config.cmd.as_ref().is_some_and(|cmd| !cmd.is_empty());
    if config.entrypoint.as_ref().is_none_or(Vec::is_empty) {
        if !own_command {
            config.cmd.clone_from(&image.cmd);
        }
        if config.entrypoint.is_none() {
            config.entrypoint.clone_from(&image.entrypoint);
        }
    }
    if config.entrypoint.as_ref().is_some_and(|words| matches!(words.as_slice(), [only] if only.is_empty())) {
        config.entrypoint = None;
    }
}

fn merge_health(own: &mut Option<Healthcheck>, image: Option<&store::Healthcheck>) {
    let Some(image) = image else { return };
    let own = own.get_or_insert_with(Healthcheck::default);
    let inherit = |own: &mut i64, image: i64| {
        if *own == 0 {
            *own = image;
        }
    };
    if own.test.is_empty() {
        own.test.clone_from(&image.test);
    }
    inherit(&mut own.interval, image.interval);
    inherit(&mut own.timeout, image.timeout);
    inherit(&mut own.start_period, image.start_period);
    inherit(&mut own.start_interval, image.start_interval);
    inherit(&mut own.retries, image.retries);
}

/// Removes `.`, `..` and doubled slashes from an absolute path, without touching the disk.
pub(super) fn normalise(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults() -> Defaults {
        let log = LogConfig { driver: "json-file".to_owned(), options: std::collections::BTreeMap::new() };
        Defaults {
            cpus: 2,
            log,
            host_name: "machine".to_owned(),
            unified: true,
            remapped: false,
            cgroup_parent: String::new(),
            ulimits: Vec::new(),
            shm_size: 64 << 20,
            ipc_mode: NamespaceMode::Private,
            cgroupns_mode: NamespaceMode::Default,
        }
    }

    fn image(entrypoint: Option<&[&str]>, cmd: Option<&[&str]>) -> store::ImageConfig {
        let words = |words: Option<&[&str]>| words.map(|words| words.iter().map(|&word| word.to_owned()).collect());
        let mut image = store::ImageConfig::default();
        image.config.entrypoint = words(entrypoint);
        image.config.cmd = words(cmd);
        image.config.env = vec!["PATH=/bin".to_owned(), "A=image".to_owned()];
        image
    }

    fn command(entrypoint: Option<&[&str]>, cmd: Option<&[&str]>, image: &store::ImageConfig) -> Result<String, Error> {
        let words = |words: Option<&[&str]>| words.map(|words| words.iter().map(|&word| word.to_owned()).collect());
        let config = ContainerConfig { entrypoint: words(entrypoint), cmd: words(cmd), ..ContainerConfig::default() };
        let request = CreateContainer { config, ..CreateContainer::default() };
        let planned = plan(request, image, &ContainerId::from_bytes([7; 32]), &defaults())?;
        Ok(std::iter::once(planned.path).chain(planned.args).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn entrypoint_and_command_combine_as_in_docker() {
        let both = image(Some(&["entry"]), Some(&["default"]));
        for (entrypoint, cmd, expected) in [
            (None, None, "entry default"),
            (None, Some(&["mine"][..]), "entry mine"),
            (Some(&["other"][..]), None, "other"),
            (Some(&["other"][..]), Some(&["mine"][..]), "other mine"),
        ] {
            assert_eq!(command(entrypoint, cmd, &both).ok().as_deref(), Some(expected));
        }
        assert_eq!(command(Some(&[""]), Some(&["mine"]), &both).ok().as_deref(), Some("mine"));
        assert!(matches!(command(Some(&[""]), None, &both), Err(Error::NoCommand)));
        assert!(matches!(command(None, None, &image(None, None)), Err(Error::NoCommand)));
    }

    #[test]
    fn environment_of_the_request_wins() {
        let config = ContainerConfig {
            env: vec!["A=mine".to_owned()],
            cmd: Some(vec!["x".to_owned()]),
            ..ContainerConfig::default()
        };
        let request = CreateContainer { config, ..CreateContainer::default() };
        let planned = plan(request, &image(None, None), &ContainerId::from_bytes([7; 32]), &defaults()).expect("valid");
        assert_eq!(planned.config.env, ["A=mine", "PATH=/bin"]);
        assert_eq!(planned.config.hostname, "070707070707");
    }

    #[test]
    fn paths_are_normalised() {
        for (path, expected) in [("/", "/"), ("/a/../b//c/.", "/b/c"), ("/../..", "/")] {
            assert_eq!(normalise(path), expected);
        }
    }
}
