//! Requests that cannot be carried out as they are.

/// What is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Invalid {
    /// A path that is asked about and not below the data root.
    #[error("{path} is not below the data root {}", root.display())]
    OutsideDataRoot {
        /// As given.
        path: String,
        /// Where the engine keeps everything.
        root: std::path::PathBuf,
    },
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
    /// A writable bind of what the engine keeps its images and containers in.
    #[error(
        "invalid mount config for type \"bind\": {0} is where this daemon keeps images and containers, which a container that writes there would break: mount it read-only (:ro), or only its directory volumes"
    )]
    OwnDataRoot(String),
    /// A bind wants mounts to travel, which the place of its source does not give.
    #[error("path {path} is mounted on {place} but it is not a {kinds} mount")]
    NotShared {
        /// The bind's source.
        path: String,
        /// Where what it is on is mounted.
        place: String,
        /// What would do.
        kinds: &'static str,
    },
    /// An option of the storage driver that it does not have, or not so.
    #[error("--storage-opt {key}: {reason}")]
    StorageOption {
        /// Its name.
        key: String,
        /// What is wrong.
        reason: String,
    },
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
