//! Rules about how a file is written.

use std::collections::BTreeSet;

use super::{Findings, Rule};
use crate::dockerfile::{Dockerfile, Instruction, Range, Stage};

/// Names that mean something else.
const RESERVED: [&str; 2] = ["context", "scratch"];

pub(super) fn check(file: &Dockerfile, findings: &mut Findings) {
    for empty in &file.empty_continuations {
        findings.add(Rule::NoEmptyContinuation, empty.range, || "Empty continuation line".to_owned());
    }
    casing(file, findings);
    for step in &file.global_args {
        findings.enter(&step.comments);
        let names: Vec<&str> = step.instruction.iter().map(|argument| argument.name.as_str()).collect();
        description("ARG", &names, &step.comments, step.range, findings);
    }
    let mut names = BTreeSet::new();
    for stage in &file.stages {
        findings.enter(&stage.from.comments);
        name(stage, &mut names, findings);
        for step in &stage.steps {
            findings.enter(&step.comments);
            match &step.instruction {
                Instruction::Maintainer(_) => findings.add(Rule::MaintainerDeprecated, step.range, || {
                    "Maintainer instruction is deprecated in favor of using label".to_owned()
                }),
                Instruction::Arg(arguments) => {
                    let names: Vec<&str> = arguments.iter().map(|argument| argument.name.as_str()).collect();
                    description("ARG", &names, &step.comments, step.range, findings);
                }
                _ => {}
            }
        }
    }
}

/// The name of a stage and the word before it.
fn name<'a>(stage: &'a Stage, names: &mut BTreeSet<&'a str>, findings: &mut Findings) {
    let (from, range) = (&stage.from.instruction, stage.from.range);
    let (Some(name), Some((middle, written))) = (from.name.as_deref(), &from.name_as_written) else { return };
    if written != name {
        findings.add(Rule::StageNameCasing, range, || format!("Stage name '{written}' should be lowercase"));
    }
    let word = &stage.from.word;
    let agrees = match (is_lower(word), is_upper(word)) {
        (true, _) => is_lower(middle),
        (_, true) => is_upper(middle),
        _ => true,
    };
    if !agrees {
        findings.add(Rule::FromAsCasing, range, || format!("'{middle}' and '{word}' keywords' casing do not match"));
    }
    if RESERVED.contains(&name) {
        findings.add(Rule::ReservedStageName, range, || {
            format!("Stage name should not use the same name as reserved stage {name:?}")
        });
    }
    if !names.insert(name) {
        findings.add(Rule::DuplicateStageName, range, || {
            format!("Duplicate stage name {name:?}, stage names should be unique")
        });
    }
    description("FROM", &[name], &stage.from.comments, range, findings);
}

/// A comment above a definition describes it, and so begins with its name.
fn description(word: &str, names: &[&str], comments: &[String], range: Range, findings: &mut Findings) {
    let Some(first) = comments.last().and_then(|comment| comment.split(' ').next()) else { return };
    if names.contains(&first) {
        return;
    }
    let example = if let [name] = names { name } else { "<arg_key>" };
    findings.add(Rule::InvalidDefinitionDescription, range, || {
        format!("Comment for {word} should follow the format: `# {example} <description>`")
    });
}

/// All words in the case that most have.
fn casing(file: &Dockerfile, findings: &mut Findings) {
    let words = || {
        file.stages.iter().flat_map(|stage| {
            let steps = stage.steps.iter().map(|step| (&*step.word, step.range, &step.comments));
            std::iter::once((&*stage.from.word, stage.from.range, &stage.from.comments)).chain(steps)
        })
    };
    let lower = words().filter(|(word, ..)| is_lower(word)).count();
    let upper = words().filter(|(word, ..)| is_upper(word)).count();
    let (agrees, case): (fn(&str) -> bool, _) =
        if lower > upper { (is_lower, "lowercase") } else { (is_upper, "uppercase") };
    for (word, range, comments) in words().filter(|(word, ..)| !agrees(word)) {
        findings.enter(comments);
        findings.add(Rule::ConsistentInstructionCasing, range, || {
            format!("Command '{word}' should match the case of the command majority ({case})")
        });
    }
}

fn is_lower(word: &str) -> bool {
    word == word.to_lowercase()
}

fn is_upper(word: &str) -> bool {
    word == word.to_uppercase()
}
