//! System call filter (`linux.seccomp`), in libseccomp's vocabulary.

use serde::{Deserialize, Serialize};

use super::absent;

/// A filter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Seccomp {
    /// What happens to a call that no rule names.
    pub default_action: SeccompAction,
    /// Errno (or trace data) of the default action; absent means EPERM.
    #[serde(skip_serializing_if = "absent")]
    pub default_errno_ret: Option<u32>,
    /// `SCMP_ARCH_…` names the filter covers beyond the native one.
    #[serde(skip_serializing_if = "absent")]
    pub architectures: Vec<String>,
    /// `SECCOMP_FILTER_FLAG_…` names.
    #[serde(skip_serializing_if = "absent")]
    pub flags: Vec<String>,
    /// Unix socket that receives the notification descriptor.
    #[serde(skip_serializing_if = "absent")]
    pub listener_path: String,
    /// Opaque data sent along with it.
    #[serde(skip_serializing_if = "absent")]
    pub listener_metadata: String,
    /// The rules.
    #[serde(skip_serializing_if = "absent")]
    pub syscalls: Vec<SeccompRule>,
}

/// One rule: some calls, under conditions, get an action.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SeccompRule {
    /// System call names; unknown ones are skipped.
    pub names: Vec<String>,
    /// What happens.
    pub action: SeccompAction,
    /// Errno (or trace data); absent means EPERM.
    #[serde(skip_serializing_if = "absent")]
    pub errno_ret: Option<u32>,
    /// Conditions, all of which must hold.
    #[serde(skip_serializing_if = "absent")]
    pub args: Vec<SeccompArg>,
}

/// A condition on one argument.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SeccompArg {
    /// Which argument, 0 to 5.
    pub index: u32,
    /// What it is compared with; the mask for a masked comparison.
    pub value: u64,
    /// Second operand of a masked comparison.
    #[serde(skip_serializing_if = "absent")]
    pub value_two: u64,
    /// How it is compared.
    pub op: SeccompOperator,
}

/// What the kernel does with a system call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SeccompAction {
    /// Kill the thread (also spelled `SCMP_ACT_KILL`).
    #[default]
    #[serde(rename = "SCMP_ACT_KILL_THREAD", alias = "SCMP_ACT_KILL")]
    KillThread,
    /// Kill the whole process.
    #[serde(rename = "SCMP_ACT_KILL_PROCESS")]
    KillProcess,
    /// Send SIGSYS.
    #[serde(rename = "SCMP_ACT_TRAP")]
    Trap,
    /// Fail with an errno.
    #[serde(rename = "SCMP_ACT_ERRNO")]
    Errno,
    /// Hand to the tracer.
    #[serde(rename = "SCMP_ACT_TRACE")]
    Trace,
    /// Let it through.
    #[serde(rename = "SCMP_ACT_ALLOW")]
    Allow,
    /// Let it through and log it.
    #[serde(rename = "SCMP_ACT_LOG")]
    Log,
    /// Hand to the notification listener.
    #[serde(rename = "SCMP_ACT_NOTIFY")]
    Notify,
}

/// How an argument is compared with a rule's value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SeccompOperator {
    /// Not equal.
    #[serde(rename = "SCMP_CMP_NE")]
    NotEqual,
    /// Less than.
    #[serde(rename = "SCMP_CMP_LT")]
    LessThan,
    /// Less than or equal.
    #[serde(rename = "SCMP_CMP_LE")]
    LessOrEqual,
    /// Equal.
    #[default]
    #[serde(rename = "SCMP_CMP_EQ")]
    Equal,
    /// Greater than or equal.
    #[serde(rename = "SCMP_CMP_GE")]
    GreaterOrEqual,
    /// Greater than.
    #[serde(rename = "SCMP_CMP_GT")]
    GreaterThan,
    /// `argument & value == value_two`.
    #[serde(rename = "SCMP_CMP_MASKED_EQ")]
    MaskedEqual,
}
