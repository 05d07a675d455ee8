//! The profile that containers get unless told otherwise: equal in effect to Docker's.

use super::arch::Arch;
use super::default_calls::ALLOWED;
use super::docker_profile::Host;
use crate::spec::{Seccomp, SeccompAction, SeccompArg, SeccompOperator, SeccompRule};

/// Calls that become allowed with a capability.
const BY_CAPABILITY: &[(&str, &[&str])] = &[
    ("CAP_BPF", &["bpf"]),
    ("CAP_DAC_READ_SEARCH", &["open_by_handle_at"]),
    ("CAP_PERFMON", &["perf_event_open"]),
    (
        "CAP_SYS_ADMIN",
        &[
            "bpf",
            "clone",
            "clone3",
            "fanotify_init",
            "fsconfig",
            "fsmount",
            "fsopen",
            "fspick",
            "lookup_dcookie",
            "lsm_get_self_attr",
            "lsm_list_modules",
            "lsm_set_self_attr",
            "mount",
            "mount_setattr",
            "move_mount",
            "open_tree",
            "perf_event_open",
            "quotactl",
            "quotactl_fd",
            "setdomainname",
            "sethostname",
            "setns",
            "syslog",
            "umount",
            "umount2",
            "unshare",
        ],
    ),
    ("CAP_SYS_BOOT", &["reboot"]),
    ("CAP_SYS_CHROOT", &["chroot"]),
    ("CAP_SYS_MODULE", &["delete_module", "finit_module", "init_module"]),
    ("CAP_SYS_NICE", &["get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node"]),
    ("CAP_SYS_PACCT", &["acct"]),
    ("CAP_SYS_PTRACE", &["kcmp", "pidfd_getfd", "process_madvise", "process_vm_readv", "process_vm_writev", "ptrace"]),
    ("CAP_SYS_RAWIO", &["ioperm", "iopl"]),
    ("CAP_SYS_TIME", &["clock_settime", "clock_settime64", "settimeofday", "stime"]),
    ("CAP_SYS_TTY_CONFIG", &["vhangup"]),
    ("CAP_SYSLOG", &["syslog"]),
];

/// Tracing others was safe for seccomp filters only from this kernel on.
const TRACING: &[&str] = &["process_vm_readv", "process_vm_writev", "ptrace"];
const TRACING_SINCE: (u32, u32) = (4, 8);

/// Calls that only some architectures have.
const X86_ONLY: &[&str] = &["arch_prctl", "modify_ldt"];
const ARM_ONLY: &[&str] =
    &["arm_fadvise64_64", "arm_sync_file_range", "breakpoint", "cacheflush", "set_tls", "sync_file_range2"];

/// Execution domains of Linux, with and without UNAME26 and 32-bit uname, and the query.
const PERSONALITIES: [u64; 5] = [0x0, 0x0008, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// All `CLONE_NEW*` flags that clone(2) knows, the time namespace excepted.
const CLONE_NAMESPACES: u64 = 0x7e02_0000;

const AF_ALG: u64 = 38;
const AF_VSOCK: u64 = 40;

/// The default profile for a container with these capabilities (its bounding set) on this machine.
pub fn default_profile(host: Host<'_>) -> Seccomp {
    let held = |name: &str| host.capabilities.iter().any(|capability| capability == name);
    let mut syscalls = vec![allow(ALLOWED)];
    if host.kernel >= TRACING_SINCE {
        syscalls.push(allow(TRACING));
    }
    // The kernel's crypto interface and the hypervisor's sockets reach outside the container.
    let family = |op, value| when("socket", op, value, 0);
    syscalls.push(family(SeccompOperator::LessThan, AF_ALG));
    syscalls.push(family(SeccompOperator::Equal, AF_ALG + 1));
    syscalls.push(family(SeccompOperator::GreaterThan, AF_VSOCK));
    syscalls.extend(PERSONALITIES.map(|value| when("personality", SeccompOperator::Equal, value, 0)));
    syscalls.push(allow(match host.arch {
        Arch::X86_64 | Arch::X32 => X86_ONLY,
        Arch::X86 => &X86_ONLY[1..],
        Arch::Aarch64 | Arch::Arm => ARM_ONLY,
    }));
    syscalls.extend(BY_CAPABILITY.iter().filter(|(name, _)| held(name)).map(|(_, calls)| allow(calls)));
    if !held("CAP_SYS_ADMIN") {
        syscalls.push(when("clone", SeccompOperator::MaskedEqual, CLONE_NAMESPACES, 0));
        // The flags of clone3 lie in memory, out of a filter's sight: make libc fall back to clone.
        syscalls.push(SeccompRule {
            names: vec!["clone3".to_owned()],
            action: SeccompAction::Errno,
            errno_ret: Some(libc::ENOSYS.cast_unsigned()),
            args: Vec::new(),
        });
    }
    Seccomp {
        default_action: SeccompAction::Errno,
        default_errno_ret: Some(libc::EPERM.cast_unsigned()),
        architectures: architectures(host.arch),
        syscalls,
        ..Seccomp::default()
    }
}

/// The native architecture and the older ones that its kernel also runs.
fn architectures(native: Arch) -> Vec<String> {
    let all: &[Arch] = match native {
        Arch::X86_64 => &[Arch::X86_64, Arch::X86, Arch::X32],
        Arch::Aarch64 => &[Arch::Aarch64, Arch::Arm],
        other => &[other],
    };
    all.iter().map(|arch| arch.scmp_name().to_owned()).collect()
}

fn allow(names: &[&str]) -> SeccompRule {
    SeccompRule {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        action: SeccompAction::Allow,
        ..SeccompRule::default()
    }
}

/// Allows a call when its first argument compares as said.
fn when(name: &str, op: SeccompOperator, value: u64, value_two: u64) -> SeccompRule {
    SeccompRule { args: vec![SeccompArg { index: 0, value, value_two, op }], ..allow(&[name]) }
}
