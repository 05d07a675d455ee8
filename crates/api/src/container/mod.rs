//! `/containers` and `/exec`.

mod change;
mod config;
mod details;
mod exec;
mod host;
mod path_stat;
mod process;
mod stats;
mod summary;

pub use change::Change;
pub use config::{Config, CreateRequest, CreateResponse, Healthcheck, Words};
pub use details::{DriverData, Health, HealthcheckResult, Inspect, MountPoint, NetworkSettings, State};
pub use exec::{ExecCreateRequest, ExecInspect, ExecStartRequest, IdResponse, ProcessConfig};
pub use host::{
    BindOptions, DeviceMapping, DeviceRequest, HostConfig, ImageOptions, LogConfig, Mount, PortBinding, RestartPolicy,
    ThrottleDevice, TmpfsOptions, Ulimit, VolumeDriver, VolumeOptions, WeightDevice,
};
pub use path_stat::PathStat;
pub use process::{TopResponse, UpdateResponse, WaitError, WaitResponse};
pub use stats::{
    BlkioEntry, BlkioStats, CpuStats, CpuUsage, MemoryStats, NetworkStats, PidsStats, Stats, ThrottlingData,
};
pub use summary::{HostSummary, NetworkSummary, Port, Summary};
