//! What Docker gives a container when nothing else is asked (moby `oci/defaults.go`, `oci/caps/defaults.go`).

use std::path::PathBuf;

use super::{DeviceRule, Mount, Namespace, NamespaceKind};

/// Capabilities of an ordinary container.
pub const CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// Paths hidden from an unprivileged container; those that the machine lacks are skipped.
pub const MASKED_PATHS: [&str; 11] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

/// Paths that an unprivileged container may read and not write.
pub const READONLY_PATHS: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The mounts every container has, in order. `shm_size` is in bytes.
#[must_use]
pub fn mounts(shm_size: u64) -> Vec<Mount> {
    let shm = format!("size={shm_size}");
    vec![
        mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        mount("/sys/fs/cgroup", "cgroup", "cgroup", &["ro", "nosuid", "noexec", "nodev"]),
        mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", &shm]),
    ]
}

/// New namespaces of every kind an ordinary container has its own of. The cgroup namespace is added by the
/// caller on cgroup v2, where Docker makes it private, and so is a user namespace when ids are remapped.
#[must_use]
pub fn namespaces() -> Vec<Namespace> {
    [NamespaceKind::Mount, NamespaceKind::Network, NamespaceKind::Uts, NamespaceKind::Pid, NamespaceKind::Ipc]
        .map(|kind| Namespace { kind, path: None })
        .to_vec()
}

/// The device rules that Docker writes into an unprivileged container's configuration: nothing but the
/// harmless character devices. The runtime adds its own ([`runtime_device_rules`]) behind them.
#[must_use]
pub fn device_rules() -> Vec<DeviceRule> {
    let mut rules = vec![DeviceRule { allow: false, access: "rwm".to_owned(), ..DeviceRule::default() }];
    rules.extend([(1, 5), (1, 3), (1, 9), (1, 8), (5, 0), (5, 1)].map(|(major, minor)| character(major, minor, "rwm")));
    rules.push(DeviceRule { allow: false, ..character(10, 229, "rwm") });
    rules
}

/// The single rule of a privileged container.
#[must_use]
pub fn privileged_device_rules() -> Vec<DeviceRule> {
    vec![DeviceRule { allow: true, access: "rwm".to_owned(), ..DeviceRule::default() }]
}

/// Rules that the runtime appends for every container, so that device nodes can be made and the default
/// ones and pseudo terminals used, whatever the configuration says (runc does the same).
#[must_use]
pub fn runtime_device_rules() -> Vec<DeviceRule> {
    let any = |kind: &str| DeviceRule { kind: Some(kind.to_owned()), ..character(-1, -1, "m") };
    let mut rules = vec![any("c"), any("b")];
    let known = [(1, 3), (1, 8), (1, 7), (5, 0), (1, 5), (1, 9), (136, -1), (5, 2)];
    rules.extend(known.map(|(major, minor)| character(major, minor, "rwm")));
    rules
}

fn character(major: i64, minor: i64, access: &str) -> DeviceRule {
    DeviceRule {
        allow: true,
        kind: Some("c".to_owned()),
        major: (major >= 0).then_some(major),
        minor: (minor >= 0).then_some(minor),
        access: access.to_owned(),
    }
}

fn mount(destination: &str, kind: &str, source: &str, options: &[&str]) -> Mount {
    Mount {
        destination: PathBuf::from(destination),
        kind: kind.to_owned(),
        source: source.to_owned(),
        options: options.iter().map(|&option| option.to_owned()).collect(),
        ..Mount::default()
    }
}
