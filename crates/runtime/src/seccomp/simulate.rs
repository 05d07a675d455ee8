//! Tests of the compiler: a small interpreter of classic BPF, and the meaning of rules written out plainly.

#![allow(clippy::unwrap_used)]

use crate::spec::SeccompOperator;

/// Runs a program on one call; the return value is `SECCOMP_RET_*`.
pub(super) fn run(program: &[u8], audit: u32, number: u32, arguments: [u64; 6]) -> u32 {
    let word = |bytes: &[u8]| u32::from_ne_bytes(bytes.try_into().unwrap());
    let mut data = Vec::with_capacity(64);
    data.extend(number.to_ne_bytes());
    data.extend(audit.to_ne_bytes());
    data.extend(0u64.to_ne_bytes());
    data.extend(arguments.iter().flat_map(|argument| argument.to_ne_bytes()));
    let (mut at, mut accumulator) = (0usize, 0u32);
    loop {
        let instruction = &program[at * 8..at * 8 + 8];
        let code = u16::from_ne_bytes([instruction[0], instruction[1]]);
        let operand = word(&instruction[4..]);
        let (jump_true, jump_false) = (usize::from(instruction[2]), usize::from(instruction[3]));
        let branch = |holds: bool| if holds { jump_true } else { jump_false };
        at += 1;
        match code {
            0x20 => accumulator = word(&data[operand as usize..operand as usize + 4]),
            0x54 => accumulator &= operand,
            0x05 => at += operand as usize,
            0x15 => at += branch(accumulator == operand),
            0x25 => at += branch(accumulator > operand),
            0x35 => at += branch(accumulator >= operand),
            0x06 => return operand,
            other => panic!("unexpected operation {other:#x}"),
        }
    }
}

/// What an operator means.
pub(super) fn holds(op: SeccompOperator, argument: u64, value: u64, value_two: u64) -> bool {
    match op {
        SeccompOperator::NotEqual => argument != value,
        SeccompOperator::LessThan => argument < value,
        SeccompOperator::LessOrEqual => argument <= value,
        SeccompOperator::Equal => argument == value,
        SeccompOperator::GreaterOrEqual => argument >= value,
        SeccompOperator::GreaterThan => argument > value,
        SeccompOperator::MaskedEqual => argument & value == value_two,
    }
}

mod tests {
    use super::super::{Arch, Error, Host, compile, compile_for, default_profile};
    use super::{holds, run};
    use crate::spec::{Seccomp, SeccompAction, SeccompArg, SeccompOperator, SeccompRule};

    const ALLOW: u32 = 0x7fff_0000;
    const ERRNO: u32 = 0x0005_0000;
    const EPERM: u32 = ERRNO | 1;
    const ENOSYS: u32 = ERRNO | 38;
    const KILL: u32 = 0;
    const X86_64: u32 = 0xc000_003e;
    const I386: u32 = 0x4000_0003;

    fn rule(names: &[&str], action: SeccompAction, args: &[(u32, SeccompOperator, u64, u64)]) -> SeccompRule {
        SeccompRule {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            action,
            errno_ret: None,
            args: args
                .iter()
                .map(|&(index, op, value, value_two)| SeccompArg { index, value, value_two, op })
                .collect(),
        }
    }

    fn profile(default_action: SeccompAction, syscalls: Vec<SeccompRule>) -> Seccomp {
        Seccomp { default_action, syscalls, ..Seccomp::default() }
    }

    #[test]
    fn every_operator_compares_64_bits() {
        use SeccompOperator::{Equal, GreaterOrEqual, GreaterThan, LessOrEqual, LessThan, MaskedEqual, NotEqual};
        let values = [0, 1, 5, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0005, 0x5_0000_0001, u64::MAX - 1, u64::MAX];
        for op in [NotEqual, LessThan, LessOrEqual, Equal, GreaterOrEqual, GreaterThan, MaskedEqual] {
            for (value, two) in values.iter().flat_map(|v| values.iter().map(move |t| (*v, *t & *v))) {
                let condition = (2, op, value, two);
                let program =
                    compile(&profile(SeccompAction::Allow, vec![rule(&["read"], SeccompAction::Errno, &[condition])]))
                        .unwrap();
                for argument in values {
                    let expected = if holds(op, argument, value, two) { EPERM } else { ALLOW };
                    let found = run(&program, X86_64, 0, [0, 0, argument, 0, 0, 0]);
                    assert_eq!(found, expected, "{op:?} {argument:#x} {value:#x} {two:#x}");
                }
            }
        }
    }

    #[test]
    fn conditions_join_and_alternatives_part() {
        use SeccompOperator::Equal;
        let both = rule(&["read"], SeccompAction::Errno, &[(0, Equal, 1, 0), (1, Equal, 2, 0)]);
        let either = rule(&["write"], SeccompAction::Errno, &[(0, Equal, 1, 0), (0, Equal, 2, 0)]);
        let program = compile(&profile(SeccompAction::Allow, vec![both, either])).unwrap();
        let call = |number, first, second| run(&program, X86_64, number, [first, second, 0, 0, 0, 0]);
        assert_eq!([call(0, 1, 2), call(0, 1, 3), call(0, 0, 2)], [EPERM, ALLOW, ALLOW]);
        assert_eq!([call(1, 1, 0), call(1, 2, 0), call(1, 3, 0)], [EPERM, EPERM, ALLOW]);
        assert_eq!(call(2, 1, 2), ALLOW);
    }

    #[test]
    fn an_unconditional_rule_wins() {
        let conditional = rule(&["read"], SeccompAction::Trap, &[(0, SeccompOperator::Equal, 1, 0)]);
        let plain = rule(&["read"], SeccompAction::Errno, &[]);
        for rules in [vec![conditional.clone(), plain.clone()], vec![plain.clone(), conditional]] {
            let program = compile(&profile(SeccompAction::Allow, rules)).unwrap();
            assert_eq!(run(&program, X86_64, 0, [1, 0, 0, 0, 0, 0]), EPERM);
        }
        let clash = vec![plain, rule(&["read"], SeccompAction::Trap, &[])];
        assert!(matches!(compile(&profile(SeccompAction::Allow, clash)), Err(Error::Contradiction(_))));
    }

    #[test]
    fn foreign_architectures_are_killed_and_new_calls_are_unknown() {
        let program = compile_for(
            &profile(SeccompAction::Errno, vec![rule(&["read", "mseal"], SeccompAction::Allow, &[])]),
            Arch::X86_64,
        )
        .unwrap();
        let call = |audit, number| run(&program, audit, number, [0; 6]);
        assert_eq!(call(X86_64, 0), ALLOW);
        assert_eq!(call(X86_64, 1), EPERM);
        assert_eq!(call(X86_64, 462), ALLOW);
        assert_eq!(call(X86_64, 463), ENOSYS);
        assert_eq!(call(X86_64, 0x4000_0000), KILL, "x32 is not listed");
        assert_eq!(call(X86_64, u32::MAX), EPERM);
        assert_eq!(call(I386, 3), KILL);
        let permissive = profile(SeccompAction::Allow, vec![rule(&["read"], SeccompAction::Errno, &[])]);
        assert_eq!(run(&compile(&permissive).unwrap(), X86_64, 4000, [0; 6]), ALLOW);
    }

    #[test]
    fn blocking_a_socket_call_blocks_its_other_door() {
        let mut blocked = profile(SeccompAction::Allow, vec![rule(&["listen", "shmat"], SeccompAction::Errno, &[])]);
        blocked.architectures = vec!["SCMP_ARCH_X86".to_owned()];
        let program = compile_for(&blocked, Arch::X86_64).unwrap();
        let call = |number, first| run(&program, I386, number, [first, 0, 0, 0, 0, 0]);
        assert_eq!([call(363, 0), call(102, 4), call(102, 5)], [EPERM, EPERM, ALLOW]);
        assert_eq!([call(117, 21), call(117, 22)], [EPERM, ALLOW]);
    }

    #[test]
    fn what_is_not_supported_is_said() {
        let listener = Seccomp { listener_path: "/x".to_owned(), ..Seccomp::default() };
        assert!(matches!(compile(&listener), Err(Error::ListenerUnsupported)));
        let notify = profile(SeccompAction::Allow, vec![rule(&["read"], SeccompAction::Notify, &[])]);
        assert!(matches!(compile(&notify), Err(Error::ListenerUnsupported)));
        let index = profile(
            SeccompAction::Allow,
            vec![rule(&["read"], SeccompAction::Errno, &[(6, SeccompOperator::Equal, 0, 0)])],
        );
        assert!(matches!(compile(&index), Err(Error::ArgumentIndex { .. })));
        let arch = Seccomp { architectures: vec!["SCMP_ARCH_VAX".to_owned()], ..Seccomp::default() };
        assert!(matches!(compile(&arch), Err(Error::UnknownArchitecture(_))));
    }

    #[test]
    fn the_default_profile_blocks_what_dockers_does() {
        let host = Host { arch: Arch::X86_64, kernel: (6, 1), capabilities: &[] };
        let began = std::time::Instant::now();
        let program = compile_for(&default_profile(host), Arch::X86_64).unwrap();
        println!("compiled to {} instructions in {:?}", program.len() / 8, began.elapsed());
        assert!(began.elapsed().as_millis() < 50, "compiling took {:?}", began.elapsed());
        let call =
            |name: &str, first| run(&program, X86_64, Arch::X86_64.number(name).unwrap(), [first, 0, 0, 0, 0, 0]);
        for name in ["mount", "setns", "unshare", "bpf", "keyctl", "reboot", "io_uring_setup", "userfaultfd", "iopl"] {
            assert_eq!(call(name, 0), EPERM, "{name}");
        }
        for name in ["read", "execve", "ptrace", "arch_prctl", "rseq", "mseal", "statmount"] {
            assert_eq!(call(name, 0), ALLOW, "{name}");
        }
        assert_eq!(call("clone3", 0), ENOSYS);
        assert_eq!([call("clone", 0x11), call("clone", 0x1000_0000 | 0x11)], [ALLOW, EPERM]);
        assert_eq!([1, 38, 39, 40, 41].map(|family| call("socket", family)), [ALLOW, EPERM, ALLOW, EPERM, ALLOW]);
        assert_eq!([0, 8, 0xffff_ffff, 0x4_0000].map(|p| call("personality", p)), [ALLOW, ALLOW, ALLOW, EPERM]);
        let admin = ["CAP_SYS_ADMIN".to_owned()];
        let privileged = compile_for(&default_profile(Host { capabilities: &admin, ..host }), Arch::X86_64).unwrap();
        for name in ["mount", "clone3", "clone", "setns"] {
            let number = Arch::X86_64.number(name).unwrap();
            assert_eq!(run(&privileged, X86_64, number, [0x1000_0000, 0, 0, 0, 0, 0]), ALLOW, "{name}");
        }
        assert_eq!(run(&program, I386, 120, [0x11, 0, 0, 0, 0, 0]), ALLOW, "32-bit clone");
        assert_eq!(run(&program, X86_64, 0x4000_0000 + 520, [0; 6]), ALLOW, "x32 execve");
    }

    #[test]
    fn other_architectures_compile_too() {
        for arch in [Arch::Aarch64, Arch::Arm, Arch::X86] {
            let host = Host { arch, kernel: (6, 1), capabilities: &[] };
            let program = compile_for(&default_profile(host), arch).unwrap();
            assert_eq!(run(&program, arch.audit(), arch.number("execve").unwrap(), [0; 6]), ALLOW);
            assert_eq!(run(&program, arch.audit(), arch.number("mount").unwrap(), [0; 6]), EPERM);
        }
    }
}
