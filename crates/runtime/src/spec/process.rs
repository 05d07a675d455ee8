//! What runs inside the container (`process`).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::absent;

/// One process: the container's first, or one executed later.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Process {
    /// Whether its stdio is a pseudo terminal.
    #[serde(skip_serializing_if = "absent")]
    pub terminal: bool,
    /// Initial size of that terminal.
    #[serde(skip_serializing_if = "absent")]
    pub console_size: Option<ConsoleSize>,
    /// Who it runs as.
    pub user: User,
    /// Command and arguments.
    pub args: Vec<String>,
    /// Windows only; kept so that a file survives a round trip.
    #[serde(skip_serializing_if = "absent")]
    pub command_line: String,
    /// The environment, as `NAME=value`.
    #[serde(skip_serializing_if = "absent")]
    pub env: Vec<String>,
    /// Working directory, absolute inside the container.
    pub cwd: PathBuf,
    /// Capability sets; absent means none at all.
    #[serde(skip_serializing_if = "absent")]
    pub capabilities: Option<Capabilities>,
    /// Resource limits (setrlimit(2)).
    #[serde(skip_serializing_if = "absent")]
    pub rlimits: Vec<Rlimit>,
    /// Whether execve may not gain privileges (PR_SET_NO_NEW_PRIVS).
    #[serde(skip_serializing_if = "absent")]
    pub no_new_privileges: bool,
    /// AppArmor profile to change to.
    #[serde(skip_serializing_if = "absent")]
    pub apparmor_profile: String,
    /// Adjustment of the out-of-memory score, -1000 to 1000.
    #[serde(skip_serializing_if = "absent")]
    pub oom_score_adj: Option<i32>,
    /// Scheduling policy (sched_setattr(2)).
    #[serde(skip_serializing_if = "absent")]
    pub scheduler: Option<Scheduler>,
    /// SELinux label.
    #[serde(skip_serializing_if = "absent")]
    pub selinux_label: String,
    /// I/O scheduling class and priority (ioprio_set(2)).
    #[serde(rename = "ioPriority", skip_serializing_if = "absent")]
    pub io_priority: Option<IoPriority>,
    /// Processors for executed processes.
    #[serde(rename = "execCPUAffinity", skip_serializing_if = "absent")]
    pub exec_cpu_affinity: Option<CpuAffinity>,
}

/// Size of a terminal in characters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsoleSize {
    /// Rows.
    pub height: u16,
    /// Columns.
    pub width: u16,
}

/// Identity inside the container (`process.user`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// File mode creation mask; absent means 0022.
    #[serde(skip_serializing_if = "absent")]
    pub umask: Option<u32>,
    /// Supplementary group ids.
    #[serde(skip_serializing_if = "absent")]
    pub additional_gids: Vec<u32>,
    /// Windows only.
    #[serde(skip_serializing_if = "absent")]
    pub username: String,
}

/// Capability sets by `CAP_…` name (`process.capabilities`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Capabilities {
    /// Bounding set.
    #[serde(skip_serializing_if = "absent")]
    pub bounding: Vec<String>,
    /// Effective set.
    #[serde(skip_serializing_if = "absent")]
    pub effective: Vec<String>,
    /// Inheritable set.
    #[serde(skip_serializing_if = "absent")]
    pub inheritable: Vec<String>,
    /// Permitted set.
    #[serde(skip_serializing_if = "absent")]
    pub permitted: Vec<String>,
    /// Ambient set.
    #[serde(skip_serializing_if = "absent")]
    pub ambient: Vec<String>,
}

/// One resource limit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rlimit {
    /// `RLIMIT_…` name.
    #[serde(rename = "type")]
    pub kind: String,
    /// Ceiling; `u64::MAX` is unlimited.
    pub hard: u64,
    /// Value in force; `u64::MAX` is unlimited.
    pub soft: u64,
}

/// Scheduling policy (`process.scheduler`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Scheduler {
    /// `SCHED_OTHER`, `SCHED_BATCH`, `SCHED_IDLE`, `SCHED_FIFO`, `SCHED_RR`, `SCHED_DEADLINE` or `SCHED_ISO`.
    pub policy: String,
    /// Nice value.
    #[serde(skip_serializing_if = "absent")]
    pub nice: i32,
    /// Static priority.
    #[serde(skip_serializing_if = "absent")]
    pub priority: i32,
    /// `SCHED_FLAG_…` names.
    #[serde(skip_serializing_if = "absent")]
    pub flags: Vec<String>,
    /// Deadline policy: run time in nanoseconds.
    #[serde(skip_serializing_if = "absent")]
    pub runtime: u64,
    /// Deadline policy: deadline in nanoseconds.
    #[serde(skip_serializing_if = "absent")]
    pub deadline: u64,
    /// Deadline policy: period in nanoseconds.
    #[serde(skip_serializing_if = "absent")]
    pub period: u64,
}

/// I/O priority (`process.ioPriority`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IoPriority {
    /// `IOPRIO_CLASS_RT`, `IOPRIO_CLASS_BE` or `IOPRIO_CLASS_IDLE`.
    pub class: String,
    /// Level within the class, 0 (highest) to 7.
    pub priority: i32,
}

/// Processors of an executed process (`process.execCPUAffinity`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CpuAffinity {
    /// List in force until it joins the cgroup, for example `0-3,7`.
    #[serde(skip_serializing_if = "absent")]
    pub initial: String,
    /// List in force from then on.
    #[serde(rename = "final", skip_serializing_if = "absent")]
    pub final_list: String,
}
