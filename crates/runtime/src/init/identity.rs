//! Giving up what the runtime is: identity, capabilities, limits.

use std::io;

use rustix::process::{Gid, Rlimit, Uid};
use rustix::thread::CapabilitySet;

use crate::error::{Error, Step};
use crate::plan::{CapabilityPlan, ProcessPlan, capabilities};

/// What this process may still have, before anything is given up.
pub(crate) fn available() -> Result<u64, Error> {
    let sets = rustix::thread::capabilities(None).map_err(Error::step(Step::Capabilities, ""))?;
    Ok(sets.permitted.bits())
}

/// Drops every capability from the bounding set that the process is not to have, known to us or not.
pub(crate) fn drop_bounding(keep: u64) -> Result<(), Error> {
    for number in 0..64_u32 {
        let bit = CapabilitySet::from_bits_retain(1 << number);
        match rustix::thread::capability_is_in_bounding_set(bit) {
            Ok(true) if keep & (1 << number) == 0 => {}
            Ok(_) => continue,
            // Past the last one this kernel has.
            Err(rustix::io::Errno::INVAL) => break,
            Err(error) => return Err(Error::step(Step::Capabilities, "bounding set")(error)),
        }
        let name = capabilities::NAMES.get(number as usize).copied().unwrap_or("an unknown capability");
        rustix::thread::remove_capability_from_bounding_set(bit).map_err(Error::step(Step::Capabilities, name))?;
    }
    Ok(())
}

/// Becomes the user of the container, keeping capabilities until [`set_capabilities`].
pub(crate) fn become_user(plan: &ProcessPlan) -> Result<(), Error> {
    let failed = |what: String| Error::step::<rustix::io::Errno>(Step::User, what);
    rustix::thread::set_keep_capabilities(true).map_err(failed("keep capabilities".to_owned()))?;
    set_groups(&plan.groups)?;
    let (uid, gid) = (Uid::from_raw(plan.uid), Gid::from_raw(plan.gid));
    rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(failed(format!("group {}", plan.gid)))?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(failed(format!("user {}", plan.uid)))?;
    rustix::thread::set_keep_capabilities(false).map_err(failed("keep capabilities".to_owned()))
}

/// Sets the supplementary groups. Where the user namespace forbids it and none are asked for, that is fine.
fn set_groups(groups: &[u32]) -> Result<(), Error> {
    let list: Vec<Gid> = groups.iter().map(|&gid| Gid::from_raw(gid)).collect();
    match rustix::thread::set_thread_groups(&list) {
        Err(rustix::io::Errno::PERM) if groups.is_empty() && setgroups_denied() => Ok(()),
        result => result.map_err(Error::step(Step::User, format!("groups {groups:?}"))),
    }
}

fn setgroups_denied() -> bool {
    std::fs::read_to_string("/proc/self/setgroups").is_ok_and(|text| text.trim() == "deny")
}

/// Sets the capability sets, with `extra` (needed for one more step) permitted on top.
pub(crate) fn set_capabilities(plan: CapabilityPlan, extra: u64) -> Result<(), Error> {
    let sets = rustix::thread::CapabilitySets {
        effective: CapabilitySet::from_bits_retain(plan.effective | extra),
        permitted: CapabilitySet::from_bits_retain(plan.permitted | extra),
        inheritable: CapabilitySet::from_bits_retain(plan.inheritable),
    };
    rustix::thread::set_capabilities(None, sets).map_err(Error::step(Step::Capabilities, ""))
}

/// Raises the ambient set, which execve gives to programs without capabilities of their own.
pub(crate) fn set_ambient(ambient: u64) -> Result<(), Error> {
    // EINVAL: a kernel without ambient capabilities (before Linux 4.3).
    match rustix::thread::clear_ambient_capability_set() {
        Ok(()) | Err(rustix::io::Errno::INVAL) => {}
        Err(error) => return Err(Error::step(Step::Capabilities, "ambient set")(error)),
    }
    for number in (0..64).filter(|number| ambient & (1_u64 << number) != 0) {
        let bit = CapabilitySet::from_bits_retain(1 << number);
        rustix::thread::configure_capability_in_ambient_set(bit, true)
            .map_err(Error::step(Step::Capabilities, "ambient set"))?;
    }
    Ok(())
}

/// Sets the resource limits of this process. What it may not raise is cut to the present hard limit: a machine that
/// cannot give more gives what it has.
pub(crate) fn limit(plan: &ProcessPlan) -> Result<(), Error> {
    for step in &plan.rlimits {
        let wanted = Rlimit { current: step.soft, maximum: step.hard };
        match rustix::process::setrlimit(step.resource, wanted) {
            Err(rustix::io::Errno::PERM) => {
                let hard = rustix::process::getrlimit(step.resource).maximum;
                let cut = Rlimit { current: lesser(step.soft, hard), maximum: lesser(step.hard, hard) };
                rustix::process::setrlimit(step.resource, cut)
            }
            result => result,
        }
        .map_err(Error::step(Step::Rlimit, format!("{:?}", step.resource)))?;
    }
    Ok(())
}

/// Raises hard limits of a process to what it is going to set, for one that has no power over the host itself.
pub(crate) fn raise_hard_limits(pid: rustix::process::Pid, plan: &ProcessPlan) -> Result<(), Error> {
    for step in &plan.rlimits {
        let failed = || Error::step::<rustix::io::Errno>(Step::Rlimit, format!("{:?}", step.resource));
        let present = rustix::process::getrlimit(step.resource);
        if lesser(step.hard, present.maximum) == step.hard {
            continue;
        }
        let wanted = Rlimit { current: present.current, maximum: step.hard };
        match rustix::process::prlimit(Some(pid), step.resource, wanted) {
            Ok(_) | Err(rustix::io::Errno::PERM) => {}
            Err(error) => return Err(failed()(error)),
        }
    }
    Ok(())
}

/// The lower of two limits, of which `None` is unlimited.
fn lesser(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (bound, None) | (None, bound) => bound,
    }
}

/// Hands the standard streams to the user, who could otherwise not open `/dev/stdout` again. The null device stays
/// as it is, and so does what refuses.
pub(crate) fn own_streams(uid: u32) -> io::Result<()> {
    use rustix::stdio::{stderr, stdin, stdout};
    let null = rustix::fs::stat("/dev/null").map(|stat| stat.st_rdev).ok();
    for stream in [stdin(), stdout(), stderr()] {
        let Ok(stat) = rustix::fs::fstat(stream) else { continue };
        if stat.st_uid == uid || (stat.st_rdev != 0 && Some(stat.st_rdev) == null) {
            continue;
        }
        match rustix::fs::fchown(stream, Some(Uid::from_raw(uid)), None) {
            Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::PERM | rustix::io::Errno::ROFS) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
