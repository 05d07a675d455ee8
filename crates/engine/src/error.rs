//! Everything that can go wrong in the engine. Display is the text that Docker's clients show.

use std::io;
use std::path::PathBuf;

use types::{ErrorKind, InvalidReference, Kind};

/// A failure of the engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No container has that name or id.
    #[error("No such container: {0}")]
    NoSuchContainer(String),
    /// A prefix that several containers share.
    #[error("multiple IDs found with provided prefix: {0}")]
    AmbiguousPrefix(String),
    /// No exec has that id.
    #[error("No such exec instance: {0}")]
    NoSuchExec(String),
    /// A path that is not in the container.
    #[error("Could not find the file {path} in container {container}")]
    NoSuchPath {
        /// As asked for.
        path: String,
        /// As asked for.
        container: String,
    },
    /// No container has an endpoint of that name.
    #[error("endpoint {0} not found")]
    NoSuchEndpoint(String),
    /// The container is on that network.
    #[error("endpoint with name {container} already exists in network {network}")]
    EndpointExists {
        /// Name of the container.
        container: String,
        /// Name of the network.
        network: String,
    },
    /// The container is not on the network.
    #[error("container {container} is not connected to the network {network}")]
    NotConnected {
        /// Full id.
        container: String,
        /// Name of the network.
        network: String,
    },
    /// The name belongs to another container.
    #[error(
        "Conflict. The container name \"/{name}\" is already in use by container \"{holder}\". You have to remove (or rename) that container to be able to reuse that name."
    )]
    NameInUse {
        /// The name without the slash.
        name: String,
        /// Full id of the holder.
        holder: String,
    },
    /// A name with characters that names may not have.
    #[error("Invalid container name ({0}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")]
    InvalidName(String),
    /// Renaming to the present name.
    #[error("Renaming a container with the same name as its current name")]
    SameName,
    /// Nothing to run.
    #[error("no command specified")]
    NoCommand,
    /// A change of limits that was refused or could not be made.
    #[error("Cannot update container {id}")]
    Update {
        /// The container.
        id: String,
        /// Why.
        #[source]
        source: Box<Error>,
    },
    /// The container is in a state that forbids the action.
    #[error("{0}")]
    State(StateConflict),
    /// A request that contradicts itself or names something impossible.
    #[error("{0}")]
    Invalid(Invalid),
    /// A log driver that keeps nothing.
    #[error("configured logging driver does not support reading")]
    Unreadable,
    /// The log could not be opened, or its collector not be reached.
    #[error("failed to create task for container: {0}")]
    LogDriver(String),
    /// The container's process could not be started; `message` is the runtime's text.
    #[error(
        "failed to create task for container: failed to create shim task: OCI runtime create failed: unable to start container process: {message}: unknown"
    )]
    StartFailed {
        /// What the runtime said.
        message: String,
        /// Exit code the container gets: 126, 127 or 128.
        code: i32,
        /// Class of the failure.
        kind: ErrorKind,
    },
    /// An exec could not be started.
    #[error("OCI runtime exec failed: exec failed: unable to start container process: {message}: unknown")]
    ExecFailed {
        /// What the runtime said.
        message: String,
        /// Exit code the exec gets: 126 or 127.
        code: i32,
        /// Class of the failure.
        kind: ErrorKind,
    },
    /// The container's monitor did not answer.
    #[error("the monitor of container {0} does not answer")]
    MonitorGone(String),
    /// The monitor refused a request.
    #[error("{0}")]
    Monitor(String),
    /// The monitor could not be started.
    #[error(transparent)]
    Spawn(#[from] monitor::Error),
    /// A file of ours.
    #[error("{action} {path}")]
    File {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A record that does not parse.
    #[error("damaged record {path}")]
    Record {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The network refused or failed.
    #[error(transparent)]
    Network(#[from] network::Error),
    /// The runtime room failed.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
    /// The log could not be read.
    #[error(transparent)]
    Logs(#[from] logs::Error),
    /// A pull failed.
    #[error(transparent)]
    Transfer(#[from] transfer::Error),
    /// A failure that several clients are told.
    #[error(transparent)]
    Shared(std::sync::Arc<Self>),
    /// A Dockerfile that cannot be understood.
    #[error(transparent)]
    Dockerfile(#[from] build::dockerfile::Error),
    /// A build that cannot begin.
    #[error("{0}")]
    BuildRequest(String),
    /// What a build is to be made from cannot be had.
    #[error("{0}")]
    BuildContext(String),
    /// A build that failed on its way.
    #[error(transparent)]
    Build(Box<build::solve::Failure<Self>>),
    /// A step of a build that copies files.
    #[error("{0}")]
    BuildFiles(String),
    /// A filter that is none.
    #[error(transparent)]
    Filter(#[from] crate::filters::InvalidFilter),
    /// A reference that is none.
    #[error(transparent)]
    Reference(#[from] InvalidReference),
    /// The engine is shutting down, or a task of it ended early.
    #[error("the engine is shutting down")]
    ShuttingDown,
}

/// Why the container's present state forbids an action.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateConflict {
    /// Needs a running container.
    #[error("container {0} is not running")]
    NotRunning(String),
    /// `kill` of a container that does not run.
    #[error("cannot kill container: {0}: container {1} is not running")]
    CannotKill(String, String),
    /// Attach to a container that has ended.
    #[error("cannot attach to a stopped container, start it first")]
    AttachStopped,
    /// Attach to a frozen container.
    #[error("container {0} is paused, unpause the container before attach")]
    AttachPaused(String),
    /// Attach to a container between two runs.
    #[error("container {0} is restarting, wait until the container is running")]
    AttachRestarting(String),
    /// The container is frozen.
    #[error("container {0} is paused, unpause the container before exec")]
    Paused(String),
    /// `pause` of a frozen container.
    #[error("container {0} is already paused")]
    AlreadyPaused(String),
    /// `unpause` of a container that is not frozen.
    #[error("Container {0} is not paused")]
    NotPaused(String),
    /// Start of a running, or stop of a stopped container.
    #[error("container is already in that state")]
    Unchanged,
    /// Start of a frozen container.
    #[error("cannot start a paused container, try unpause instead")]
    StartPaused,
    /// `rm` of a running container.
    ///
    /// The first sentence is Docker 28's; clients of older engines look for the second.
    #[error(
        "cannot remove container \"{name}\": container is {state}: stop the container before removing or force \
         remove. You cannot remove a {state} container"
    )]
    RemoveRunning {
        /// Name with the slash.
        name: String,
        /// Present state.
        state: &'static str,
    },
    /// The container is being removed.
    #[error("removal of container {0} is already in progress")]
    BeingRemoved(String),
    /// Nothing can be changed any more.
    #[error("container is marked for removal and cannot be \"update\"")]
    UpdateDead,
    /// The container is about to be restarted by its policy.
    #[error("Container {0} is restarting, wait until the container is running")]
    Restarting(String),
    /// Commit of a container that could not be removed whole.
    #[error("You cannot commit container {0} which is Dead")]
    CommitDead(String),
    /// An exec that has been started before.
    #[error("exec command {0} is already running")]
    ExecRunning(String),
    /// An exec that has ended.
    #[error("exec command has already run")]
    ExecEnded,
}

/// What is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Invalid {
    /// A user that the image does not know.
    #[error("unable to find user {0}: no matching entries in passwd file")]
    User(String),
    /// A group that the image does not know.
    #[error("unable to find group {0}: no matching entries in group file")]
    Group(String),
    /// A user or group id out of range.
    #[error("uids and gids must be in range 0-2147483647")]
    IdRange,
    /// A working directory that is not absolute.
    #[error("the working directory '{0}' is invalid, it needs to be an absolute path")]
    WorkingDir(String),
    /// A mount's source does not exist.
    #[error("invalid mount config for type \"bind\": bind source path does not exist: {0}")]
    BindSource(String),
    /// Two mounts at one place.
    #[error("Duplicate mount point: {0}")]
    DuplicateMount(String),
    /// A mount over the root.
    #[error("invalid specification: destination can't be '/'")]
    MountRoot,
    /// A mount destination that is not absolute.
    #[error("invalid mount path: '{0}' mount path must be absolute")]
    MountPath(String),
    /// Words behind a mount's second colon that mean nothing.
    #[error("invalid mode: {0}")]
    MountMode(String),
    /// Memory below the least a container can start with.
    #[error("Minimum memory limit allowed is 6MB")]
    MemoryTooSmall,
    /// Swap limit below the memory limit.
    #[error("Minimum memoryswap limit should be larger than memory limit, see usage")]
    SwapTooSmall,
    /// What cannot be done to an unhealthy container.
    #[error("invalid gantry.health-on-failure: {0:?}; use one of 'none', 'restart', 'stop', or 'kill'")]
    OnUnhealthy(String),
    /// Limits that contradict each other or the kernel.
    #[error("{0}")]
    Limit(&'static str),
    /// Processors or memory nodes that are not there.
    #[error("{0}")]
    Placement(String),
    /// More CPUs than the machine has.
    #[error("range of CPUs is from 0.01 to {0}.00, as there are only {0} CPUs available")]
    NanoCpus(usize),
    /// Contradicting CPU settings.
    #[error("conflicting options: Nano CPUs and CPU {0} cannot both be set")]
    CpuConflict(&'static str),
    /// Options that exclude each other.
    #[error("conflicting options: {0}")]
    Conflict(&'static str),
    /// A capability nobody knows.
    #[error("invalid {0}: unknown capability: {1:?}")]
    Capability(&'static str, String),
    /// A security option nobody knows.
    #[error("invalid --security-opt 2: \"{0}\"")]
    SecurityOpt(String),
    /// A limit of processes that the kernel does not know.
    #[error("invalid ulimit type: {0}")]
    Ulimit(String),
    /// A seccomp profile that does not parse.
    #[error("opening seccomp profile ({0}) failed")]
    Seccomp(String),
    /// A sysctl outside the container's namespaces.
    #[error("sysctl '{0}' is not allowed in the container: it is not namespaced, or the namespace is the host's")]
    Sysctl(String),
    /// A device that is not there or is none.
    #[error("error gathering device information while adding custom device \"{0}\": no such file or directory")]
    Device(String),
    /// A device request that no driver takes.
    #[error("could not select device driver {driver:?} with capabilities: [{capabilities}]")]
    NoDeviceDriver {
        /// The driver asked for; often none.
        driver: String,
        /// Lists of capabilities.
        capabilities: String,
    },
    /// A device request that contradicts itself.
    #[error("{0}")]
    DeviceRequest(&'static str),
    /// CDI devices that no file defines.
    #[error("CDI device injection failed: unresolvable CDI devices {0}")]
    CdiDevices(String),
    /// A rule for the device cgroup that does not parse.
    #[error("invalid device cgroup rule format: '{0}'")]
    DeviceRule(String),
    /// A log driver, or an option of one, that means nothing here.
    #[error("{0}")]
    Log(String),
    /// A log request for no stream.
    #[error("Bad parameters: you must choose at least one stream")]
    NoStream,
    /// A runtime that is not configured.
    #[error("unknown or invalid runtime name: {0}")]
    Runtime(String),
    /// A container with mapped users asks for what is the host's.
    #[error("{0}")]
    UserNamespace(&'static str),
    /// An option that this engine does not offer.
    #[error("{0} is not supported by this engine")]
    Unsupported(&'static str),
    /// A container whose namespace is to be joined does not run.
    #[error("cannot join network namespace of a non running container: {0}")]
    JoinStopped(String),
    /// A container whose IPC namespace is its own is asked to share it.
    #[error("can't join IPC of container {0}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)")]
    NotShareable(String),
    /// A named network with host, none or container mode semantics it cannot have.
    #[error("network-scoped alias is supported only for containers in user defined networks")]
    AliasOnDefault,
    /// A link of a network on the default bridge.
    #[error("links on the default bridge are those of the container, not of its endpoint")]
    LinkOnDefault,
    /// A fixed address on a network whose subnet the engine chose.
    #[error("user specified IP address is supported only when connecting to networks with user configured subnets")]
    AddressWithoutSubnet,
    /// A fixed address that belongs to no subnet of the network.
    #[error("no configured subnet contains IP address {0}")]
    AddressOutside(std::net::IpAddr),
    /// A hardware address that is none.
    #[error("invalid MAC address: {0}")]
    Mac(String),
    /// A name that no device can have.
    #[error("invalid network interface name '{0}'")]
    DeviceName(String),
    /// An option of an endpoint that this engine does not offer.
    #[error("endpoint option {0} is not supported by this engine")]
    EndpointOption(String),
    /// The host's network cannot be plugged.
    #[error("container cannot be disconnected from host network or connected to host network")]
    HostNetwork,
    /// A shared network cannot be plugged.
    #[error(
        "container sharing network namespace with another container or host cannot be connected to any other network"
    )]
    SharedNetwork,
    /// `none` beside another network.
    #[error("container cannot be connected to multiple networks with one of the networks in private (none) mode")]
    NoneNetwork,
    /// A link to nobody.
    #[error("could not get container for {0}: No such container: {0}")]
    LinkTarget(String),
    /// A link to a container on the host's network.
    #[error(
        "conflicting options: host type networking can't be used with links. This would result in undefined behavior"
    )]
    LinkToHost,
    /// Two links with one name.
    #[error("Conflict. The link name \"{0}\" is given to two containers")]
    LinkAlias(String),
    /// A linked container that does not run.
    #[error("Cannot link to a non running container: /{name} AS /{parent}/{alias}")]
    LinkStopped {
        /// Its name.
        name: String,
        /// The linking container.
        parent: String,
        /// Its name there.
        alias: String,
    },
    /// A linked container that is not on the default bridge.
    #[error("Cannot link to /{0}, as it does not belong to the default network")]
    LinkElsewhere(String),
    /// A name that is no link's.
    #[error("Could not get parent name: {0}")]
    NotALink(String),
    /// A fixed address on a network whose subnet was not configured by its user.
    #[error("user specified IP address is supported on user defined networks only")]
    AddressOnDefault,
    /// A change that does not go with what the container has.
    #[error("{0}")]
    UpdateConflict(&'static str),
    /// A stop signal of the image that is none.
    #[error("{0}")]
    Signal(types::InvalidSignal),
    /// `top` with options of `ps` that leave out the pid.
    #[error("Couldn't find PID field in ps output")]
    PsWithoutPid,
    /// Files for a container whose root cannot be written.
    #[error("container rootfs is marked read-only")]
    RootfsReadOnly,
    /// Volumes are to be taken from a container that is not there.
    #[error("No such container: {0}")]
    VolumesFrom(String),
    /// Files for a volume that cannot be written.
    #[error("mounted volume is marked read-only")]
    VolumeReadOnly,
    /// A `--change` that is none.
    #[error("{0}")]
    Change(String),
    /// `ps` did not like its arguments.
    #[error("ps: {0}")]
    Ps(String),
}

/// The texts of an error and its causes, outermost first.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        // A transparent wrapper repeats the text of its cause.
        if !text.ends_with(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

impl Error {
    /// Wraps a failed file operation.
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}

impl From<StateConflict> for Error {
    fn from(conflict: StateConflict) -> Self {
        Self::State(conflict)
    }
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl Kind for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoSuchContainer(_) | Self::NoSuchEndpoint(_) | Self::NoSuchExec(_) | Self::NoSuchPath { .. } => {
                ErrorKind::NotFound
            }
            Self::Invalid(Invalid::JoinStopped(_) | Invalid::UpdateConflict(_)) => ErrorKind::Conflict,
            Self::AmbiguousPrefix(_)
            | Self::InvalidName(_)
            | Self::SameName
            | Self::NoCommand
            | Self::Dockerfile(_)
            | Self::BuildRequest(_)
            | Self::Invalid(_)
            | Self::Reference(_) => ErrorKind::InvalidParameter,
            Self::EndpointExists { .. } => ErrorKind::Forbidden,
            Self::NameInUse { .. } => ErrorKind::Conflict,
            Self::Unreadable => ErrorKind::NotImplemented,
            Self::Update { source, .. } => source.kind(),
            Self::State(StateConflict::Unchanged) => ErrorKind::NotModified,
            Self::State(_) => ErrorKind::Conflict,
            Self::StartFailed { kind, .. } | Self::ExecFailed { kind, .. } => *kind,
            Self::Store(error) => error.kind(),
            Self::Network(error) => error.kind(),
            Self::Runtime(error) => error.kind(),
            Self::Logs(error) => error.kind(),
            Self::Transfer(error) => error.kind(),
            Self::Shared(error) => error.kind(),
            Self::Filter(error) => error.kind(),
            Self::ShuttingDown => ErrorKind::Unavailable,
            Self::Build(_) | Self::BuildFiles(_) | Self::BuildContext(_) => ErrorKind::System,
            Self::NotConnected { .. }
            | Self::LogDriver(_)
            | Self::MonitorGone(_)
            | Self::Monitor(_)
            | Self::Spawn(_)
            | Self::File { .. }
            | Self::Record { .. } => ErrorKind::System,
        }
    }
}
