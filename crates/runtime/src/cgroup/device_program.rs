//! Device rules as an eBPF program for a version 2 group.
//!
//! The kernel calls it with `struct bpf_cgroup_dev_ctx { u32 access_type; u32 major; u32 minor; }`, where
//! `access_type` is `access << 16 | kind`. The answer 1 lets the access through.
//!
//! The list is tested from its end, so that the last matching rule wins, for every requested access on its own:
//! register 3 holds the accesses that no rule has granted yet. A matching deny rule that touches one of them
//! refuses; when none is left, the access is granted; what the list leaves open is granted too (the state of a new
//! group).

use sys::bpf::Instruction;

use super::devices::{DeviceKind, Rule};

const RESULT: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const OPEN: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

/// `BPF_DEVCG_DEV_*`.
const BLOCK: i32 = 1;
const CHARACTER: i32 = 2;

const LOAD_WORD: u8 = 0x61; // BPF_LDX | BPF_MEM | BPF_W
const AND: u8 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const SHIFT_RIGHT: u8 = 0x74; // BPF_ALU | BPF_RSH | BPF_K
const COPY: u8 = 0xbc; // BPF_ALU | BPF_MOV | BPF_X
const SET: u8 = 0xb4; // BPF_ALU | BPF_MOV | BPF_K
const JUMP_EQUAL: u8 = 0x16; // BPF_JMP32 | BPF_JEQ | BPF_K
const JUMP_NOT_EQUAL: u8 = 0x56; // BPF_JMP32 | BPF_JNE | BPF_K
const EXIT: u8 = 0x95;

/// Compiles the list.
pub(super) fn compile(rules: &[Rule]) -> Vec<Instruction> {
    let mut program = vec![
        load(KIND, 0),
        copy(OPEN, KIND),
        op(AND, KIND, 0xffff),
        op(SHIFT_RIGHT, OPEN, 16),
        load(MAJOR, 4),
        load(MINOR, 8),
    ];
    for rule in rules.iter().rev() {
        if rule.is_total() {
            // The verifier refuses unreachable instructions: nothing may follow.
            program.extend(answer(rule.allow));
            return program;
        }
        emit(rule, &mut program);
    }
    program.extend(answer(true));
    program
}

fn emit(rule: &Rule, program: &mut Vec<Instruction>) {
    let verdict = if rule.allow {
        let mut body = vec![op(AND, OPEN, !i32::from(rule.access.0)), jump(JUMP_NOT_EQUAL, OPEN, 0, 2)];
        body.extend(answer(true));
        body
    } else {
        let mut body =
            vec![copy(RESULT, OPEN), op(AND, RESULT, i32::from(rule.access.0)), jump(JUMP_EQUAL, RESULT, 0, 2)];
        body.extend(answer(false));
        body
    };
    let kind = rule.kind.map(|kind| (KIND, if kind == DeviceKind::Block { BLOCK } else { CHARACTER }));
    let major = rule.major.map(|major| (MAJOR, major.cast_signed()));
    let minor = rule.minor.map(|minor| (MINOR, minor.cast_signed()));
    let tests: Vec<(u8, i32)> = [kind, major, minor].into_iter().flatten().collect();
    for (index, (register, value)) in tests.iter().enumerate() {
        let distance = tests.len() - index - 1 + verdict.len();
        program.push(jump(JUMP_NOT_EQUAL, *register, *value, distance as i16));
    }
    program.extend(verdict);
}

fn answer(allow: bool) -> [Instruction; 2] {
    [op(SET, RESULT, i32::from(allow)), op(EXIT, 0, 0)]
}

fn op(code: u8, register: u8, immediate: i32) -> Instruction {
    Instruction { code, registers: register, offset: 0, immediate }
}

fn copy(to: u8, from: u8) -> Instruction {
    Instruction { code: COPY, registers: from << 4 | to, offset: 0, immediate: 0 }
}

fn load(register: u8, offset: i16) -> Instruction {
    Instruction { code: LOAD_WORD, registers: CONTEXT << 4 | register, offset, immediate: 0 }
}

fn jump(code: u8, register: u8, value: i32, offset: i16) -> Instruction {
    Instruction { code, registers: register, offset, immediate: value }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::devices::{Access, tests::rule};
    use super::*;
    use crate::spec::DeviceRule;

    /// Runs a program on one access, the way the kernel's interpreter does.
    fn run(program: &[Instruction], kind: u32, access: u32, major: u32, minor: u32) -> bool {
        let context = [access << 16 | kind, major, minor];
        let mut registers = [0u32; 11];
        let mut at = 0usize;
        loop {
            let instruction = program[at];
            let (to, from) = (usize::from(instruction.registers & 15), usize::from(instruction.registers >> 4));
            let value = instruction.immediate.cast_unsigned();
            at += 1;
            match instruction.code {
                LOAD_WORD => registers[to] = context[instruction.offset as usize / 4],
                AND => registers[to] &= value,
                SHIFT_RIGHT => registers[to] >>= value,
                COPY => registers[to] = registers[from],
                SET => registers[to] = value,
                JUMP_EQUAL if registers[to] == value => at += instruction.offset as usize,
                JUMP_NOT_EQUAL if registers[to] != value => at += instruction.offset as usize,
                JUMP_EQUAL | JUMP_NOT_EQUAL => {}
                EXIT => return registers[0] == 1,
                other => panic!("unexpected operation {other:#x}"),
            }
        }
    }

    /// The meaning of a list: every requested access is decided by the last rule that names it.
    fn expected(rules: &[Rule], kind: u32, access: u32, major: u32, minor: u32) -> bool {
        (0..3).map(|bit| 1u8 << bit).filter(|bit| access & u32::from(*bit) != 0).all(|bit| {
            rules
                .iter()
                .rev()
                .find(|rule| {
                    rule.access.0 & bit != 0
                        && rule.kind.is_none_or(|k| (k == DeviceKind::Block) == (kind == 1))
                        && rule.major.is_none_or(|m| m == major)
                        && rule.minor.is_none_or(|m| m == minor)
                })
                .is_none_or(|rule| rule.allow)
        })
    }

    fn check(list: &[DeviceRule]) {
        let rules = Rule::parse_all(list).unwrap();
        let program = compile(&rules);
        for (kind, access) in (1..=2).flat_map(|kind| (1..=7).map(move |access| (kind, access))) {
            for (major, minor) in [(1, 3), (1, 5), (5, 3), (8, 0), (0, 0), (u32::MAX, 3)] {
                assert_eq!(
                    run(&program, kind, access, major, minor),
                    expected(&rules, kind, access, major, minor),
                    "{list:?} on kind {kind} access {access} {major}:{minor}"
                );
            }
        }
    }

    #[test]
    fn the_program_means_what_the_list_says() {
        let deny_all = rule(false, "a", -1, -1, "rwm");
        check(&[]);
        check(std::slice::from_ref(&deny_all));
        check(&[deny_all.clone(), rule(true, "c", 1, 3, "r"), rule(true, "c", 1, 3, "w")]);
        check(&[
            deny_all.clone(),
            rule(true, "c", -1, -1, "m"),
            rule(true, "c", 1, -1, "rwm"),
            rule(false, "c", 1, 5, "w"),
        ]);
        check(&[rule(false, "b", 8, 0, "rw"), rule(true, "a", -1, -1, "r"), rule(true, "b", 8, -1, "m")]);
        check(&[deny_all, rule(true, "a", -1, 3, "rw"), rule(true, "a", -1, -1, "rwm")]);
    }

    #[test]
    fn nothing_follows_a_total_rule() {
        let rules = Rule::parse_all(&[rule(true, "c", 1, 3, "r"), rule(false, "a", -1, -1, "rwm")]).unwrap();
        assert_eq!(compile(&rules).len(), 8);
        assert_eq!(rules[1].access, Access::ALL);
    }
}
