//! Instructions as Docker's histories show them, in Go's ways of printing values.

use std::fmt::Write as _;
use std::time::Duration;

use types::format_go_duration;

use super::{Config, Healthcheck};
use crate::dockerfile::{Argument, Instruction, Pair};
use crate::quote;

/// The text behind `#(nop) `, of an instruction that has just been applied.
pub(super) fn text(instruction: &Instruction, config: &Config) -> String {
    let word = instruction.word();
    match instruction {
        Instruction::Arg(arguments) => listed(word, arguments.iter().map(argument)),
        Instruction::Cmd(_) => format!("{word} {}", quoted(config.cmd.as_deref())),
        Instruction::Entrypoint(_) => format!("{word} {}", quoted(config.entrypoint.as_deref())),
        Instruction::Env(pairs) | Instruction::Label(pairs) => listed(word, pairs.iter().map(pair)),
        Instruction::Expose(ports) => listed(word, ports.iter().cloned()),
        Instruction::Healthcheck(check) => format!("{word} {}", health(check)),
        Instruction::Shell(words) | Instruction::Volume(words) => format!("{word} [{}]", words.join(" ")),
        Instruction::Maintainer(text)
        | Instruction::Onbuild(text)
        | Instruction::Stopsignal(text)
        | Instruction::User(text) => format!("{word} {text}"),
        Instruction::Workdir(_) => format!("{word} {}", config.working_dir),
        Instruction::Add(_) | Instruction::Copy(_) | Instruction::Run(_) => word.to_owned(),
    }
}

fn listed(word: &str, items: impl Iterator<Item = String>) -> String {
    items.fold(word.to_owned(), |text, item| text + " " + &item)
}

fn pair(pair: &Pair) -> String {
    format!("{}={}", pair.name, pair.value)
}

fn argument(argument: &Argument) -> String {
    argument.value.as_ref().map_or_else(|| argument.name.clone(), |value| format!("{}={value}", argument.name))
}

/// `%q` of a slice.
fn quoted(words: Option<&[String]>) -> String {
    let words: Vec<String> = words.unwrap_or_default().iter().map(|word| quote::quoted(word)).collect();
    format!("[{}]", words.join(" "))
}

/// `%q` of the structure Docker keeps it in.
fn health(check: &Healthcheck) -> String {
    let mut text = format!("&{{{}", quoted(Some(&check.test)));
    for time in [check.interval, check.timeout, check.start_period, check.start_interval] {
        let time: Duration = time.unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = write!(text, " \"{}\"", format_go_duration(time));
    }
    text + " " + &letter(check.retries.unwrap_or_default()) + "}"
}

/// `%q` of a number: the letter it is the code of.
fn letter(code: u32) -> String {
    match char::from_u32(code) {
        Some('\'') => "'\\''".to_owned(),
        letter => format!("'{}'", quote::escaped(letter.unwrap_or(char::REPLACEMENT_CHARACTER))),
    }
}
