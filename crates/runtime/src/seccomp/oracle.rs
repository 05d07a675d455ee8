//! libseccomp as the judge: both programs must answer the same on every call and a spread of arguments.

#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::process::{Command, Stdio};

use super::arch::Arch;
use super::simulate::{holds, run};
use super::{Host, compile_for, default_profile};
use crate::spec::{Seccomp, SeccompAction, SeccompArg, SeccompOperator, SeccompRule};

/// The newest call that Debian 12's libseccomp knows on every architecture.
const NEWEST_KNOWN: u32 = 450;

const ENOSYS: u32 = 0x0005_0000 | 38;

/// libseccomp's program and the names it did not know; `None` where there is no libseccomp to ask.
fn ask(profile: &Seccomp) -> Option<(Vec<u8>, Vec<String>)> {
    let mut child = Command::new("python3")
        .args(["-c", include_str!("oracle.py")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(serde_json::to_string(profile).unwrap().as_bytes()).ok()?;
    let output = child.wait_with_output().ok()?;
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        assert!(complaints.contains("libseccomp.so.2"), "{complaints}");
        return None;
    }
    let unknown = complaints.lines().filter_map(|line| line.strip_prefix("unknown ")).map(str::to_owned).collect();
    Some((output.stdout, unknown))
}

/// Compares on every number of every listed architecture; returns how many calls were compared.
fn compare(profile: &Seccomp) -> Option<usize> {
    let ours = compile_for(profile, Arch::X86_64).unwrap();
    let Some((theirs, unknown)) = ask(profile) else {
        println!("skipped: python3 or libseccomp.so.2 is missing");
        return None;
    };
    let values =
        [0, 1, 2, 4, 5, 38, 39, 40, 41, 0x2_0000, 0x7e02_0000, 0x1000_0011, 0xffff_ffff, 0x1_0000_0001, u64::MAX];
    let mut compared = 0;
    for (arch, base) in [(Arch::X86_64, 0), (Arch::X86, 0), (Arch::X32, 0x4000_0000), (Arch::Aarch64, 0)] {
        let named = profile.syscalls.iter().flat_map(|rule| &rule.names).filter_map(|name| arch.number(name));
        let newest = named.max();
        let strange: Vec<u32> = unknown.iter().filter_map(|name| arch.number(name)).collect();
        let numbers = (base..=base + NEWEST_KNOWN).chain(base + 500..base + 560);
        for number in numbers.filter(|number| !strange.contains(number)) {
            for value in values {
                for arguments in [[value; 6], [value, 2, 4, 1, 5, 0], [2, value, 0x7e02_0000, value, 1, 1]] {
                    let (one, two) =
                        (run(&ours, arch.audit(), number, arguments), run(&theirs, arch.audit(), number, arguments));
                    // Newer than the profile: the runtimes' patch, which libseccomp does not have.
                    let newer = one == ENOSYS && newest.is_some_and(|newest| number > newest);
                    assert!(
                        one == two || newer,
                        "{arch:?} {number} {arguments:x?}: ours {one:#x}, libseccomp's {two:#x} in {profile:?}"
                    );
                    compared += 1;
                }
            }
        }
    }
    Some(compared)
}

/// A small repeatable source of numbers (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    fn pick<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())].clone()
    }
}

fn all_arches() -> Vec<String> {
    ["X86", "X32"].map(|name| format!("SCMP_ARCH_{name}")).to_vec()
}

#[test]
fn the_default_profile_equals_libseccomps() {
    let names = ["CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_SYS_CHROOT", "CAP_SYS_TIME", "CAP_SYSLOG"].map(str::to_owned);
    for capabilities in [&names[..0], &names[..1], &names[1..]] {
        let host = Host { arch: Arch::X86_64, kernel: (6, 1), capabilities };
        if let Some(compared) = compare(&default_profile(host)) {
            assert!(compared > 50_000);
        }
    }
}

#[test]
fn every_operator_equals_libseccomps() {
    use SeccompOperator::{GreaterOrEqual, GreaterThan, LessOrEqual, LessThan, NotEqual};
    let names = ["read", "ioctl", "clone", "prctl", "futex"];
    for value in [0, 5, 0xffff_ffff, 0x1_0000_0001] {
        let operators = [GreaterOrEqual, GreaterThan, LessOrEqual, LessThan, NotEqual];
        let syscalls = names.iter().zip(operators).map(|(name, op)| SeccompRule {
            names: vec![(*name).to_owned()],
            action: SeccompAction::Errno,
            errno_ret: Some(5),
            args: vec![SeccompArg { index: 1, value, value_two: 0, op }],
        });
        let syscalls = syscalls.collect();
        compare(&Seccomp {
            default_action: SeccompAction::Allow,
            architectures: all_arches(),
            syscalls,
            ..Seccomp::default()
        });
    }
}

/// A repeatable profile over a handful of calls.
fn random_profile(random: &mut Random, operators: &[SeccompOperator]) -> Seccomp {
    let names = [
        "read",
        "write",
        "clone",
        "ioctl",
        "execve",
        "open",
        "personality",
        "prctl",
        "mount",
        "futex",
        "io_setup",
        "clone3",
        "chown32",
        "time",
        "arch_prctl",
        "no_such_call",
    ];
    let (default_action, action) =
        random.pick(&[(SeccompAction::Errno, SeccompAction::Allow), (SeccompAction::Allow, SeccompAction::Errno)]);
    let count = random.below(12);
    let mut syscalls = Vec::new();
    for _ in 0..count {
        let args = (0..random.below(4)).map(|_| SeccompArg {
            index: random.below(6) as u32,
            value: random.pick(&[0, 1, 4, 0x2_0000, 0x7e02_0000, 0xffff_ffff, 0x1_0000_0001]),
            value_two: 0,
            op: random.pick(operators),
        });
        let args: Vec<SeccompArg> = args.collect();
        let names = (0..=random.below(4)).map(|_| random.pick(&names).to_owned()).collect();
        syscalls.push(SeccompRule { names, action, errno_ret: None, args });
    }
    let architectures = if random.below(3) == 0 { Vec::new() } else { all_arches() };
    Seccomp { default_action, architectures, syscalls, ..Seccomp::default() }
}

/// With equality alone: libseccomp 2.5 answers wrongly when it merges other comparisons on one call into a tree.
/// Without the calls behind `socketcall` and `ipc`: it applies conditions to arguments that mean something else there.
#[test]
fn random_profiles_equal_libseccomps() {
    let mut random = Random(0x5eed);
    for _ in 0..15 {
        compare(&random_profile(&mut random, &[SeccompOperator::Equal, SeccompOperator::MaskedEqual]));
    }
}

/// The rules read one by one: some rule's conditions hold, each on its own where an argument comes twice.
fn named_by_a_rule(profile: &Seccomp, number: u32, arguments: [u64; 6]) -> bool {
    let holds = |arg: &SeccompArg| holds(arg.op, arguments[arg.index as usize], arg.value, arg.value_two);
    profile.syscalls.iter().any(|rule| {
        let repeated = (0..6).any(|index| rule.args.iter().filter(|arg| arg.index == index).count() > 1);
        rule.names.iter().any(|name| Arch::X86_64.number(name) == Some(number))
            && if repeated { rule.args.iter().any(holds) } else { rule.args.iter().all(holds) }
    })
}

#[test]
fn random_profiles_mean_what_they_say() {
    use SeccompOperator::{Equal, GreaterOrEqual, GreaterThan, LessOrEqual, LessThan, MaskedEqual, NotEqual};
    let operators = [NotEqual, LessThan, LessOrEqual, Equal, GreaterOrEqual, GreaterThan, MaskedEqual];
    let mut random = Random(0xfeed);
    for _ in 0..200 {
        let profile = random_profile(&mut random, &operators);
        let program = compile_for(&profile, Arch::X86_64).unwrap();
        let (allowed, refused) = (0x7fff_0000, 0x0005_0001);
        let (named, other) =
            if profile.default_action == SeccompAction::Allow { (refused, allowed) } else { (allowed, refused) };
        for _ in 0..2000 {
            let number = random.pick(&[0, 1, 2, 16, 56, 59, 135, 157, 158, 165, 201, 202, 206]);
            let arguments =
                [(); 6].map(|()| random.pick(&[0, 1, 4, 5, 0x2_0000, 0xffff_ffff, 0x1_0000_0001, u64::MAX]));
            let found = run(&program, Arch::X86_64.audit(), number, arguments);
            let expected = if named_by_a_rule(&profile, number, arguments) { named } else { other };
            assert!(found == expected || found == ENOSYS, "{number} {arguments:x?} gave {found:#x} in {profile:?}");
        }
    }
}
