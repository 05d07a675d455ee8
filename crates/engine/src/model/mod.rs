//! What the engine knows about containers: specification (immutable), state (observed), and what it tells callers.

mod details;
mod event;
mod health;
mod host;
pub mod image;
pub mod network;
mod process;
mod spec;
mod state;

pub use details::{
    ContainerDetails, ContainerSummary, EndpointSettings, ExecDetails, MountPoint, MountedImage, ProcessList,
};
pub use event::{Event, EventKind};
pub use health::{CheckResult, Health, HealthStatus, OnUnhealthy};
pub use host::{
    BindMount, DeviceMapping, DeviceRequest, HostConfig, LogConfig, MountRequest, MountRequestKind, NamespaceMode,
    NetworkMode, Overrides, PortBindingRequest, Resources, RestartPolicy, ThrottleDevice, Ulimit, UpdateContainer,
};
pub use process::{ContainerConfig, ExecConfig, Healthcheck, PortKey, Protocol};
pub use spec::{ContainerSpec, CreateContainer, EndpointRequest};
pub use state::{ContainerState, ExitInfo};
pub use store::files::PathStat;
