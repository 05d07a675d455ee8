//! From named rules to what each system call number of each architecture gets.

use std::collections::BTreeMap;

use super::Error;
use super::arch::Arch;
use crate::spec::{Seccomp, SeccompAction, SeccompArg, SeccompOperator, SeccompRule};

/// `SECCOMP_RET_*` (linux/seccomp.h).
pub(super) const KILL_THREAD: u32 = 0;
const KILL_PROCESS: u32 = 0x8000_0000;
const TRAP: u32 = 0x0003_0000;
const ERRNO: u32 = 0x0005_0000;
const TRACE: u32 = 0x7ff0_0000;
const LOG: u32 = 0x7ffc_0000;
const ALLOW: u32 = 0x7fff_0000;
const DATA_MASK: u32 = 0xffff;

/// A filter, ready to be turned into instructions.
#[derive(Debug)]
pub(super) struct Filter {
    /// Return value for calls without a rule.
    pub default: u32,
    /// Rules of each listed architecture.
    pub arches: BTreeMap<Arch, ArchRules>,
}

/// What one architecture's calls get.
#[derive(Debug, Default)]
pub(super) struct ArchRules {
    /// By number.
    pub calls: BTreeMap<u32, Verdict>,
    /// Calls above this number are unknown to the profile and get ENOSYS.
    pub newest: Option<u32>,
}

/// What one call gets.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    /// Always the same.
    Always(u32),
    /// The first alternative whose conditions hold; else the default.
    When(Vec<Alternative>),
}

/// Conditions that must all hold, and the return value then.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Alternative {
    pub conditions: Vec<SeccompArg>,
    pub result: u32,
}

impl Filter {
    pub(super) fn new(profile: &Seccomp, native: Arch) -> Result<Self, Error> {
        let default = result(profile.default_action, profile.default_errno_ret)
            .ok_or_else(|| Error::ErrnoWithoutAction("default".to_owned()))?;
        let mut filter = Self { default, arches: BTreeMap::new() };
        filter.arches.insert(native, ArchRules::default());
        for name in &profile.architectures {
            if let Some(arch) = Arch::named(name)? {
                filter.arches.insert(arch, ArchRules::default());
            }
        }
        refuse_notify(profile)?;
        for rule in &profile.syscalls {
            filter.add(rule)?;
        }
        if !permits(default) {
            filter.mark_newest(profile);
        }
        Ok(filter)
    }

    fn add(&mut self, rule: &SeccompRule) -> Result<(), Error> {
        let first = || rule.names.first().cloned().unwrap_or_default();
        if let Some(bad) = rule.args.iter().find(|arg| arg.index > 5) {
            return Err(Error::ArgumentIndex { name: first(), index: bad.index });
        }
        let result = result(rule.action, rule.errno_ret).ok_or_else(|| Error::ErrnoWithoutAction(first()))?;
        if result == self.default {
            return Ok(());
        }
        let alternatives = alternatives(&rule.args, result);
        for (arch, rules) in &mut self.arches {
            for name in &rule.names {
                if let Some(number) = arch.number(name) {
                    rules.add(name, number, result, &alternatives)?;
                }
                if *arch == Arch::X86 && rule.args.is_empty() {
                    rules.add_multiplexed(name, result)?;
                }
            }
        }
        Ok(())
    }

    /// Rules that repeat the default action count as known calls too: they are named.
    fn mark_newest(&mut self, profile: &Seccomp) {
        let names = || profile.syscalls.iter().flat_map(|rule| &rule.names);
        for (arch, rules) in &mut self.arches {
            // Private calls of 32-bit Arm lie far above the common range.
            rules.newest =
                names().filter_map(|name| arch.number(name)).filter(|number| number & 0x000f_0000 == 0).max();
        }
    }
}

impl ArchRules {
    fn add(&mut self, name: &str, number: u32, result: u32, alternatives: &[Alternative]) -> Result<(), Error> {
        match self.calls.get_mut(&number) {
            Some(Verdict::Always(known)) => {
                // An unconditional rule stands; a second one must say the same.
                if alternatives.is_empty() && *known != result {
                    return Err(Error::Contradiction(name.to_owned()));
                }
            }
            Some(Verdict::When(known)) if !alternatives.is_empty() => {
                for alternative in alternatives {
                    if !known.contains(alternative) {
                        known.push(alternative.clone());
                    }
                }
            }
            _ => {
                let verdict = if alternatives.is_empty() {
                    Verdict::Always(result)
                } else {
                    Verdict::When(alternatives.to_vec())
                };
                self.calls.insert(number, verdict);
            }
        }
        Ok(())
    }

    /// On 32-bit x86 the same call also goes through `socketcall` or `ipc`, selected by the first argument.
    fn add_multiplexed(&mut self, name: &str, result: u32) -> Result<(), Error> {
        let (door, calls): (&str, &[(&str, u64)]) = if SOCKET_CALLS.iter().any(|(call, _)| *call == name) {
            ("socketcall", &SOCKET_CALLS)
        } else {
            ("ipc", &IPC_CALLS)
        };
        let Some((_, selector)) = calls.iter().find(|(call, _)| *call == name) else { return Ok(()) };
        let Some(number) = Arch::X86.number(door) else { return Ok(()) };
        let condition = SeccompArg { index: 0, value: *selector, value_two: 0, op: SeccompOperator::Equal };
        self.add(name, number, result, &[Alternative { conditions: vec![condition], result }])
    }
}

/// Selectors of `socketcall(2)` (linux/net.h).
const SOCKET_CALLS: [(&str, u64); 20] = [
    ("socket", 1),
    ("bind", 2),
    ("connect", 3),
    ("listen", 4),
    ("accept", 5),
    ("getsockname", 6),
    ("getpeername", 7),
    ("socketpair", 8),
    ("send", 9),
    ("recv", 10),
    ("sendto", 11),
    ("recvfrom", 12),
    ("shutdown", 13),
    ("setsockopt", 14),
    ("getsockopt", 15),
    ("sendmsg", 16),
    ("recvmsg", 17),
    ("accept4", 18),
    ("recvmmsg", 19),
    ("sendmmsg", 20),
];

/// Selectors of `ipc(2)` (linux/ipc.h).
const IPC_CALLS: [(&str, u64); 12] = [
    ("semop", 1),
    ("semget", 2),
    ("semctl", 3),
    ("semtimedop", 4),
    ("msgsnd", 11),
    ("msgrcv", 12),
    ("msgget", 13),
    ("msgctl", 14),
    ("shmat", 21),
    ("shmdt", 22),
    ("shmget", 23),
    ("shmctl", 24),
];

/// Return value of an action; `None` when it carries an errno that it cannot.
fn result(action: SeccompAction, errno: Option<u32>) -> Option<u32> {
    let data = errno.unwrap_or(libc::EPERM.cast_unsigned()) & DATA_MASK;
    let plain = |value| if errno.is_some() { None } else { Some(value) };
    match action {
        SeccompAction::Errno => Some(ERRNO | data),
        SeccompAction::Trace => Some(TRACE | data),
        SeccompAction::KillThread => plain(KILL_THREAD),
        SeccompAction::KillProcess => plain(KILL_PROCESS),
        SeccompAction::Trap => plain(TRAP),
        SeccompAction::Allow => plain(ALLOW),
        SeccompAction::Log => plain(LOG),
        // Refused before it comes to this.
        SeccompAction::Notify => None,
    }
}

fn refuse_notify(profile: &Seccomp) -> Result<(), Error> {
    let notify = |action| action == SeccompAction::Notify;
    if notify(profile.default_action) || profile.syscalls.iter().any(|rule| notify(rule.action)) {
        return Err(Error::ListenerUnsupported);
    }
    Ok(())
}

fn permits(result: u32) -> bool {
    matches!(result, ALLOW | LOG) || result & !DATA_MASK == TRACE
}

/// Return value for calls that the profile is too old to know.
pub(super) fn unknown_call() -> u32 {
    ERRNO | libc::ENOSYS.cast_unsigned()
}

/// No conditions: none. Different arguments: one alternative. An argument twice: one alternative a condition.
fn alternatives(args: &[SeccompArg], result: u32) -> Vec<Alternative> {
    if args.is_empty() {
        return Vec::new();
    }
    let repeated = args.iter().enumerate().any(|(at, arg)| args[..at].iter().any(|other| other.index == arg.index));
    if repeated {
        return args.iter().map(|arg| Alternative { conditions: vec![arg.clone()], result }).collect();
    }
    let mut conditions = args.to_vec();
    conditions.sort_by_key(|arg| arg.index);
    vec![Alternative { conditions, result }]
}
