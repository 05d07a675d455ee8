//! Scheduling of the calling thread: policy, I/O priority, execution domain.

use std::io;

/// `struct sched_attr` (sched_setattr(2)).
#[derive(Clone, Copy, Debug, Default)]
pub struct SchedulerAttributes {
    /// `SCHED_*` number.
    pub policy: u32,
    /// `SCHED_FLAG_*` bits.
    pub flags: u64,
    /// Nice value.
    pub nice: i32,
    /// Static priority.
    pub priority: u32,
    /// Deadline policy: nanoseconds.
    pub runtime: u64,
    /// Deadline policy: nanoseconds.
    pub deadline: u64,
    /// Deadline policy: nanoseconds.
    pub period: u64,
}

#[repr(C)]
struct RawSchedulerAttributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

const IOPRIO_WHO_PROCESS: libc::c_int = 1;
const IOPRIO_CLASS_SHIFT: libc::c_int = 13;

/// Sets the scheduling policy.
///
/// # Errors
/// sched_setattr(2).
pub fn set_scheduler(attributes: SchedulerAttributes) -> io::Result<()> {
    let raw = RawSchedulerAttributes {
        size: size_of::<RawSchedulerAttributes>() as u32,
        policy: attributes.policy,
        flags: attributes.flags,
        nice: attributes.nice,
        priority: attributes.priority,
        runtime: attributes.runtime,
        deadline: attributes.deadline,
        period: attributes.period,
    };
    // SAFETY: `raw` has the kernel's layout and says its size.
    check(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, std::ptr::from_ref(&raw), 0) })
}

/// Sets the I/O scheduling class (1 realtime, 2 best effort, 3 idle) and the level within it.
///
/// # Errors
/// ioprio_set(2).
pub fn set_io_priority(class: i32, level: i32) -> io::Result<()> {
    let value = (class << IOPRIO_CLASS_SHIFT) | level;
    // SAFETY: integers only.
    check(unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, value) })
}

/// Sets the execution domain, for example `PER_LINUX32`.
///
/// # Errors
/// personality(2).
pub fn set_personality(domain: u64) -> io::Result<()> {
    // SAFETY: an integer only.
    check(unsafe { libc::syscall(libc::SYS_personality, domain) })
}

fn check(result: libc::c_long) -> io::Result<()> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
