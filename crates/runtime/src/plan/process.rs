//! A process, from the configuration's words to what the kernel takes. Shared by create and exec.

use std::ffi::CString;
use std::path::PathBuf;

use rustix::process::Resource;
use sys::scheduling::SchedulerAttributes;

use super::CapabilityPlan;
use crate::error::Error;
use crate::spec::{IoPriority, Process, Scheduler};

/// A process, ready to be set up.
#[derive(Clone, Debug)]
pub(crate) struct ProcessPlan {
    /// Command and arguments; at least one.
    pub args: Vec<String>,
    /// Whole environment.
    pub env: Vec<CString>,
    /// Directories of the environment's PATH, when it has one.
    pub search: Option<String>,
    /// Whether the environment names HOME; the container's passwd file says otherwise.
    pub has_home: bool,
    pub cwd: PathBuf,
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    pub umask: u32,
    pub capabilities: CapabilityPlan,
    pub rlimits: Vec<RlimitStep>,
    pub no_new_privileges: bool,
    pub oom_score_adj: Option<i32>,
    pub apparmor_profile: String,
    pub selinux_label: String,
    pub scheduler: SchedulerPlan,
}

/// One resource limit; `None` is unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RlimitStep {
    pub resource: Resource,
    pub soft: Option<u64>,
    pub hard: Option<u64>,
}

/// Scheduling of a process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SchedulerPlan {
    pub attributes: Option<SchedulerAttributes>,
    /// Class and level for ioprio_set(2).
    pub io_priority: Option<(i32, i32)>,
}

const DEFAULT_UMASK: u32 = 0o022;

const RESOURCES: [(&str, Resource); 16] = [
    ("RLIMIT_AS", Resource::As),
    ("RLIMIT_CORE", Resource::Core),
    ("RLIMIT_CPU", Resource::Cpu),
    ("RLIMIT_DATA", Resource::Data),
    ("RLIMIT_FSIZE", Resource::Fsize),
    ("RLIMIT_LOCKS", Resource::Locks),
    ("RLIMIT_MEMLOCK", Resource::Memlock),
    ("RLIMIT_MSGQUEUE", Resource::Msgqueue),
    ("RLIMIT_NICE", Resource::Nice),
    ("RLIMIT_NOFILE", Resource::Nofile),
    ("RLIMIT_NPROC", Resource::Nproc),
    ("RLIMIT_RSS", Resource::Rss),
    ("RLIMIT_RTPRIO", Resource::Rtprio),
    ("RLIMIT_RTTIME", Resource::Rttime),
    ("RLIMIT_SIGPENDING", Resource::Sigpending),
    ("RLIMIT_STACK", Resource::Stack),
];

const POLICIES: [(&str, u32); 7] = [
    ("SCHED_OTHER", 0),
    ("SCHED_FIFO", 1),
    ("SCHED_RR", 2),
    ("SCHED_BATCH", 3),
    ("SCHED_ISO", 4),
    ("SCHED_IDLE", 5),
    ("SCHED_DEADLINE", 6),
];

const SCHEDULER_FLAGS: [(&str, u64); 7] = [
    ("SCHED_FLAG_RESET_ON_FORK", 0x01),
    ("SCHED_FLAG_RECLAIM", 0x02),
    ("SCHED_FLAG_DL_OVERRUN", 0x04),
    ("SCHED_FLAG_KEEP_POLICY", 0x08),
    ("SCHED_FLAG_KEEP_PARAMS", 0x10),
    ("SCHED_FLAG_UTIL_CLAMP_MIN", 0x20),
    ("SCHED_FLAG_UTIL_CLAMP_MAX", 0x40),
];

// === impl ProcessPlan ===

impl ProcessPlan {
    /// Reads the process of a configuration.
    pub fn new(process: &Process) -> Result<Self, Error> {
        if process.args.first().is_none_or(String::is_empty) {
            return Err(Error::invalid("process.args", "no command"));
        }
        if process.args.iter().any(|argument| argument.contains('\0')) {
            return Err(Error::invalid("process.args", "an argument contains a zero byte"));
        }
        if !process.cwd.is_absolute() {
            return Err(Error::invalid("process.cwd", format!("{} is not an absolute path", process.cwd.display())));
        }
        if process.exec_cpu_affinity.as_ref().is_some_and(|a| !a.initial.is_empty() || !a.final_list.is_empty()) {
            return Err(Error::unsupported("process.execCPUAffinity", "processor affinity is not implemented"));
        }
        let variable =
            |name: &str| process.env.iter().rev().find_map(|entry| entry.strip_prefix(name)?.strip_prefix('='));
        let env = process.env.iter().map(|entry| CString::new(entry.as_str()));
        Ok(Self {
            env: env
                .collect::<Result<_, _>>()
                .map_err(|_| Error::invalid("process.env", "an entry contains a zero byte"))?,
            search: variable("PATH").map(str::to_owned),
            has_home: variable("HOME").is_some(),
            args: process.args.clone(),
            cwd: process.cwd.clone(),
            uid: process.user.uid,
            gid: process.user.gid,
            groups: process.user.additional_gids.clone(),
            umask: process.user.umask.unwrap_or(DEFAULT_UMASK),
            capabilities: CapabilityPlan::new(&process.capabilities.clone().unwrap_or_default())?,
            rlimits: rlimits(process)?,
            no_new_privileges: process.no_new_privileges,
            oom_score_adj: process.oom_score_adj,
            apparmor_profile: process.apparmor_profile.clone(),
            selinux_label: process.selinux_label.clone(),
            scheduler: SchedulerPlan {
                attributes: process.scheduler.as_ref().map(scheduler).transpose()?,
                io_priority: process.io_priority.as_ref().map(io_priority).transpose()?,
            },
        })
    }
}

fn rlimits(process: &Process) -> Result<Vec<RlimitStep>, Error> {
    let mut steps: Vec<RlimitStep> = Vec::new();
    for limit in &process.rlimits {
        let known = RESOURCES.iter().find(|(name, _)| *name == limit.kind);
        let &(_, resource) =
            known.ok_or_else(|| Error::invalid("process.rlimits", format!("unknown limit {:?}", limit.kind)))?;
        if steps.iter().any(|step| step.resource == resource) {
            return Err(Error::invalid("process.rlimits", format!("{} is named twice", limit.kind)));
        }
        if limit.soft > limit.hard {
            let reason = format!("{}: soft limit {} exceeds hard limit {}", limit.kind, limit.soft, limit.hard);
            return Err(Error::invalid("process.rlimits", reason));
        }
        let bound = |value: u64| (value != u64::MAX).then_some(value);
        steps.push(RlimitStep { resource, soft: bound(limit.soft), hard: bound(limit.hard) });
    }
    Ok(steps)
}

fn scheduler(scheduler: &Scheduler) -> Result<SchedulerAttributes, Error> {
    let policy = POLICIES.iter().find(|(name, _)| *name == scheduler.policy).map(|entry| entry.1);
    let mut flags = 0;
    for word in &scheduler.flags {
        let known = SCHEDULER_FLAGS.iter().find(|(name, _)| name == word);
        flags |= known.ok_or_else(|| Error::invalid("process.scheduler.flags", format!("unknown flag {word:?}")))?.1;
    }
    Ok(SchedulerAttributes {
        policy: policy
            .ok_or_else(|| Error::invalid("process.scheduler.policy", format!("unknown {:?}", scheduler.policy)))?,
        flags,
        nice: scheduler.nice,
        priority: u32::try_from(scheduler.priority)
            .map_err(|_| Error::invalid("process.scheduler.priority", "is negative"))?,
        runtime: scheduler.runtime,
        deadline: scheduler.deadline,
        period: scheduler.period,
    })
}

fn io_priority(priority: &IoPriority) -> Result<(i32, i32), Error> {
    let class = match priority.class.as_str() {
        "IOPRIO_CLASS_RT" => 1,
        "IOPRIO_CLASS_BE" => 2,
        "IOPRIO_CLASS_IDLE" => 3,
        other => return Err(Error::invalid("process.ioPriority.class", format!("unknown {other:?}"))),
    };
    match (0..8).contains(&priority.priority) {
        true => Ok((class, priority.priority)),
        false => Err(Error::invalid("process.ioPriority.priority", "is not between 0 and 7")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::spec::Rlimit;

    fn process() -> Process {
        Process { args: vec!["sh".into()], cwd: "/".into(), ..Process::default() }
    }

    #[test]
    fn the_last_path_counts() {
        let env = vec!["PATH=/a".to_owned(), "PATHS=/b".to_owned(), "PATH=/c".to_owned()];
        let plan = ProcessPlan::new(&Process { env, ..process() }).unwrap();
        assert_eq!(plan.search.as_deref(), Some("/c"));
        assert!(!plan.has_home);
        assert_eq!(plan.umask, 0o022);
    }

    #[test]
    fn bad_processes_are_refused() {
        assert!(ProcessPlan::new(&Process { args: vec![], ..process() }).is_err());
        assert!(ProcessPlan::new(&Process { args: vec!["a\0b".into()], ..process() }).is_err());
        assert!(ProcessPlan::new(&Process { cwd: "relative".into(), ..process() }).is_err());
        let limit = |soft, hard| Rlimit { kind: "RLIMIT_NOFILE".into(), soft, hard };
        assert!(ProcessPlan::new(&Process { rlimits: vec![limit(2, 1)], ..process() }).is_err());
        assert!(ProcessPlan::new(&Process { rlimits: vec![limit(1, 2), limit(1, 2)], ..process() }).is_err());
        let plan = ProcessPlan::new(&Process { rlimits: vec![limit(1, u64::MAX)], ..process() }).unwrap();
        assert_eq!((plan.rlimits[0].soft, plan.rlimits[0].hard), (Some(1), None));
    }
}
