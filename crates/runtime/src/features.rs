//! What this runtime can do, for `features` (runtime-spec `features.md`).

use crate::plan::{capabilities, mount_option_names};

/// Kinds of hooks that are run.
pub const HOOKS: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// Kinds of namespaces that can be made and joined.
pub const NAMESPACES: [&str; 8] = ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"];

/// Mount options that are understood here and not handed to the file system, sorted.
#[must_use]
pub fn mount_options() -> Vec<String> {
    mount_option_names()
}

/// Capabilities by name, in the kernel's order.
#[must_use]
pub fn capability_names() -> &'static [&'static str] {
    &capabilities::NAMES
}
