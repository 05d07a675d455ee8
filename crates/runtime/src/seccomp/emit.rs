//! From rules to classic BPF instructions.
//!
//! ```text
//! load architecture → one block each: load number → binary tree over ranges of numbers → return
//! ```
//!
//! Every block ends in a return on every path, so blocks compose by concatenation and all jumps go forward. A jump
//! farther than the 255 instructions of a conditional jump goes through an unconditional one.

use std::collections::BTreeMap;

use super::Error;
use super::arch::{Arch, X32_BIT};
use super::rules::{self, Alternative, ArchRules, Filter, Verdict};
use crate::spec::{SeccompArg, SeccompOperator};

/// `BPF_MAXINSNS`.
const MAXIMUM: usize = 4096;

/// Offsets in `struct seccomp_data`: number, architecture, first argument.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
const EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const GREATER: u16 = 0x25; // BPF_JMP | BPF_JGT | BPF_K
const AT_LEAST: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

/// `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    pub code: u16,
    pub jump_true: u8,
    pub jump_false: u8,
    pub operand: u32,
}

type Block = Vec<Instruction>;

/// The whole program, as the kernel takes it.
pub(super) fn program(filter: &Filter) -> Result<Vec<u8>, Error> {
    let block = arches(filter);
    if block.len() > MAXIMUM {
        return Err(Error::TooLong(block.len()));
    }
    Ok(block.iter().flat_map(|instruction| instruction.to_bytes()).collect())
}

impl Instruction {
    fn new(code: u16, operand: u32) -> Self {
        Self { code, jump_true: 0, jump_false: 0, operand }
    }

    fn to_bytes(self) -> [u8; 8] {
        let [code_low, code_high] = self.code.to_ne_bytes();
        let [a, b, c, d] = self.operand.to_ne_bytes();
        [code_low, code_high, self.jump_true, self.jump_false, a, b, c, d]
    }
}

/// Where a condition leads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Exit {
    /// To the next instruction: the condition holds so far.
    Next,
    /// Past the condition: it holds.
    Holds,
    /// To the next alternative: it does not hold.
    Fails,
}

fn arches(filter: &Filter) -> Block {
    let mut program = vec![Instruction::new(LOAD, ARCHITECTURE)];
    let mut rest = vec![ret(rules::KILL_THREAD)];
    // x86-64 and x32 share an audit number; the rest is one block each.
    let mut blocks: Vec<(u32, Block)> = Vec::new();
    if let Some(block) = x86_64_family(filter) {
        blocks.push((Arch::X86_64.audit(), block));
    }
    for (arch, rules) in &filter.arches {
        if !matches!(arch, Arch::X86_64 | Arch::X32) {
            blocks.push((arch.audit(), arch_block(*arch, rules, filter.default)));
        }
    }
    for (audit, block) in blocks.into_iter().rev() {
        rest = choose(EQUAL, audit, block, rest);
    }
    program.extend(rest);
    program
}

/// Calls with the x32 bit belong to x32; where that is not listed they are of a foreign architecture. The number -1
/// is what a tracer leaves to skip a call: it carries the bit but is x86-64's.
fn x86_64_family(filter: &Filter) -> Option<Block> {
    let normal = filter.arches.get(&Arch::X86_64);
    let x32 = filter.arches.get(&Arch::X32);
    if normal.is_none() && x32.is_none() {
        return None;
    }
    let killed = || vec![ret(rules::KILL_THREAD)];
    let low = normal.map_or_else(killed, |rules| tree_of(Arch::X86_64, rules, filter.default));
    let high = match x32 {
        Some(rules) => tree_of(Arch::X32, rules, filter.default),
        None => choose(EQUAL, u32::MAX, vec![ret(filter.default)], killed()),
    };
    let mut block = vec![Instruction::new(LOAD, NUMBER)];
    block.extend(choose(AT_LEAST, X32_BIT, high, low));
    Some(block)
}

fn arch_block(arch: Arch, rules: &ArchRules, default: u32) -> Block {
    let mut block = vec![Instruction::new(LOAD, NUMBER)];
    block.extend(tree_of(arch, rules, default));
    block
}

/// A binary tree over ranges of call numbers that get the same verdict. The accumulator holds the number.
fn tree_of(arch: Arch, rules: &ArchRules, default: u32) -> Block {
    let first = if arch == Arch::X32 { X32_BIT } else { 0 };
    let mut starts: BTreeMap<u32, Verdict> = BTreeMap::from([(first, Verdict::Always(default))]);
    let fallback = |number: u32| match rules.newest {
        Some(newest) if number > newest => Verdict::Always(rules::unknown_call()),
        _ => Verdict::Always(default),
    };
    for (number, verdict) in &rules.calls {
        starts.insert(*number, verdict.clone());
        starts.insert(number + 1, fallback(number + 1));
    }
    if let Some(newest) = rules.newest {
        starts.entry(newest + 1).or_insert_with(|| fallback(newest + 1));
        // The number that a tracer uses to skip a call is not a new call.
        starts.insert(u32::MAX, Verdict::Always(default));
    }
    let mut ranges: Vec<(u32, Verdict)> = starts.into_iter().collect();
    ranges.dedup_by(|next, previous| next.1 == previous.1);
    search(&ranges, arch, default)
}

fn search(ranges: &[(u32, Verdict)], arch: Arch, default: u32) -> Block {
    match ranges {
        [] => vec![ret(default)],
        [(_, verdict)] => leaf(verdict, arch, default),
        _ => {
            let (low, high) = ranges.split_at(ranges.len() / 2);
            choose(AT_LEAST, high[0].0, search(high, arch, default), search(low, arch, default))
        }
    }
}

fn leaf(verdict: &Verdict, arch: Arch, default: u32) -> Block {
    match verdict {
        Verdict::Always(result) => vec![ret(*result)],
        Verdict::When(alternatives) => {
            let mut block: Block = alternatives.iter().flat_map(|one| alternative(one, arch)).collect();
            block.push(ret(default));
            block
        }
    }
}

/// Tests of all conditions, then the return; a failed test continues behind it. At most 6 conditions of 6
/// instructions: a short jump always reaches.
fn alternative(alternative: &Alternative, arch: Arch) -> Block {
    let mut steps: Vec<(Instruction, Exit, Exit)> = Vec::new();
    let mut ends: Vec<usize> = Vec::new();
    for condition in &alternative.conditions {
        let start = steps.len();
        steps.extend(condition_steps(condition, arch));
        ends.resize(steps.len(), steps.len());
        debug_assert!(start < steps.len());
    }
    let failed = steps.len() + 1;
    let mut block: Block = Vec::with_capacity(failed);
    for (at, (instruction, when_true, when_false)) in steps.iter().enumerate() {
        let distance = |exit: &Exit| match exit {
            Exit::Next => 0,
            Exit::Holds => (ends[at] - at - 1) as u8,
            Exit::Fails => (failed - at - 1) as u8,
        };
        block.push(Instruction { jump_true: distance(when_true), jump_false: distance(when_false), ..*instruction });
    }
    block.push(ret(alternative.result));
    block
}

/// The high half decides, or leaves it to the low half; 32-bit architectures have only the low half.
fn condition_steps(condition: &SeccompArg, arch: Arch) -> Vec<(Instruction, Exit, Exit)> {
    use Exit::{Fails, Holds, Next};
    let load = |half: u32| (Instruction::new(LOAD, ARGUMENTS + condition.index * 8 + half), Next, Next);
    let halves = |value: u64| ((value >> 32) as u32, value as u32);
    // Little-endian: the high half comes second.
    let (low, high) = (0, 4);
    let mut steps = Vec::with_capacity(6);
    if condition.op == SeccompOperator::MaskedEqual {
        let (mask_high, mask_low) = halves(condition.value);
        let (value_high, value_low) = halves(condition.value_two & condition.value);
        if !arch.is_32_bit() && mask_high != 0 {
            steps.push(load(high));
            steps.push((Instruction::new(AND, mask_high), Next, Next));
            steps.push((Instruction::new(EQUAL, value_high), Next, Fails));
        }
        steps.push(load(low));
        steps.push((Instruction::new(AND, mask_low), Next, Next));
        steps.push((Instruction::new(EQUAL, value_low), Next, Fails));
        return steps;
    }
    let (value_high, value_low) = halves(condition.value);
    // The comparison of the low halves, its outcome when true and when false, and what a greater and a
    // smaller high half mean.
    let (code, when_true, when_false, greater, smaller) = match condition.op {
        SeccompOperator::Equal => (EQUAL, Next, Fails, Fails, Fails),
        SeccompOperator::NotEqual => (EQUAL, Fails, Next, Holds, Holds),
        SeccompOperator::GreaterThan => (GREATER, Next, Fails, Holds, Fails),
        SeccompOperator::GreaterOrEqual => (AT_LEAST, Next, Fails, Holds, Fails),
        SeccompOperator::LessThan => (AT_LEAST, Fails, Next, Fails, Holds),
        SeccompOperator::LessOrEqual | SeccompOperator::MaskedEqual => (GREATER, Fails, Next, Fails, Holds),
    };
    if !arch.is_32_bit() {
        steps.push(load(high));
        if greater != smaller {
            steps.push((Instruction::new(GREATER, value_high), greater, Next));
        }
        steps.push((Instruction::new(EQUAL, value_high), Next, smaller));
    }
    steps.push(load(low));
    steps.push((Instruction::new(code, value_low), when_true, when_false));
    steps
}

/// `if accumulator <code> operand { then } else { otherwise }`, with `otherwise` first in memory.
fn choose(code: u16, operand: u32, then: Block, otherwise: Block) -> Block {
    let mut block = Vec::with_capacity(then.len() + otherwise.len() + 2);
    match u8::try_from(otherwise.len()) {
        Ok(distance) => block.push(Instruction { code, jump_true: distance, jump_false: 0, operand }),
        Err(_) => {
            block.push(Instruction { code, jump_true: 0, jump_false: 1, operand });
            block.push(Instruction::new(JUMP, otherwise.len() as u32));
        }
    }
    block.extend(otherwise);
    block.extend(then);
    block
}

fn ret(result: u32) -> Instruction {
    Instruction::new(RETURN, result)
}
