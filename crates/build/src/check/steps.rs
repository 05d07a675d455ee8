//! Rules that need values: a walk through the stages that are built, as a build would go.

use std::collections::BTreeSet;

use types::Reference;

use super::{Findings, Rule, Surroundings};
use crate::config::{Config, exposed, port_parts};
use crate::dockerfile::{CommandLine, Dockerfile, Files, From, Instruction, Range, Source, Stage, Step};
use crate::expand::{self, Arguments, Expansion, Globals, Lexer, Scope, Variables};
use crate::path::clean;
use crate::suggest::nearest;

/// Arguments of Docker's builder that never reach an environment.
const NO_VARIABLES: [&str; 2] = ["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"];

/// What a stage has come to.
#[derive(Clone, Default)]
struct State {
    config: Config,
    arguments: Arguments,
    /// The image it is made of is known, and with it what is undefined.
    known: bool,
    workdir_is_set: bool,
}

/// Earlier instructions of a kind of which only the last counts.
#[derive(Default)]
struct Last {
    cmd: Option<Range>,
    entrypoint: Option<Range>,
    healthcheck: Option<Range>,
}

/// One step's walk.
struct Walk<'a> {
    file: &'a Dockerfile,
    surroundings: &'a Surroundings<'a>,
    globals: &'a Globals,
    findings: &'a mut Findings,
    last: Last,
}

pub(super) fn check(file: &Dockerfile, surroundings: &Surroundings<'_>, findings: &mut Findings) {
    default_bases(file, surroundings, findings);
    let mut globals = surroundings.globals.clone();
    // What does not expand fails the build with its own message.
    if expand::declare(file, &mut globals).is_err() {
        return;
    }
    let mut bases = Vec::new();
    for stage in &file.stages {
        findings.enter(&stage.from.comments);
        let Ok(found) = expand::from(&stage.from.instruction, file.escape, &globals) else { return };
        from(stage, &found, file.escape, &globals, findings);
        bases.push(found.value.image);
    }
    let needed = file.needed(surroundings.target.unwrap_or(file.stages.len() - 1), &bases);
    let mut states: Vec<State> = Vec::new();
    for (at, stage) in file.stages.iter().enumerate() {
        let mut state = match file.stage_named(&bases[at], at) {
            Some(base) => states[base].clone(),
            None => State::of_image(&bases[at], surroundings),
        };
        if needed[at] {
            let last = Last::default();
            let mut walk = Walk { file, surroundings, globals: &globals, findings, last };
            // A step that fails here fails the build.
            let _ = stage.steps.iter().try_for_each(|step| walk.step(step, &mut state));
        }
        states.push(state);
    }
}

/// `FROM` with nothing but defaults.
fn default_bases(file: &Dockerfile, surroundings: &Surroundings<'_>, findings: &mut Findings) {
    let mut globals = surroundings.globals.defaults();
    if expand::declare(file, &mut globals).is_err() {
        return;
    }
    for stage in &file.stages {
        findings.enter(&stage.from.comments);
        let image = &stage.from.instruction.image;
        let Ok(found) = expand::from(&stage.from.instruction, file.escape, &globals) else { return };
        if found.value.image.parse::<Reference>().is_err() {
            findings.add(Rule::InvalidDefaultArgInFrom, stage.from.range, || {
                format!("Default value for ARG {image} results in empty or invalid base image name")
            });
        }
    }
}

/// Arguments and platform of a `FROM`.
fn from(stage: &Stage, found: &Expansion<From>, escape: char, globals: &Globals, findings: &mut Findings) {
    let range = stage.from.range;
    let known: BTreeSet<&str> = globals.names().collect();
    for name in found.missing.iter().filter(|name| !known.contains(name.as_str())) {
        let meant = suggestion("", nearest(name, known.iter().copied()));
        findings.add(Rule::UndefinedArgInFrom, range, || format!("FROM argument '{name}' is not declared{meant}"));
    }
    let (Some(written), Some(platform)) = (&stage.from.instruction.platform, &found.value.platform) else { return };
    let Ok(word) = Lexer::new(escape).expand(written, globals) else { return };
    if word.used.is_empty() && word.missing.is_empty() {
        let name = found.value.name.as_deref().unwrap_or_default();
        if platform_words(platform).is_some_and(|(os, machine)| !name.contains(os) && !name.contains(machine)) {
            findings.add(Rule::FromPlatformFlagConstDisallowed, range, || {
                format!("FROM --platform flag should not use constant value {platform:?}")
            });
        }
    }
    let only = word.missing.is_empty() && word.used.iter().eq(["TARGETPLATFORM"]);
    if only && globals.value("TARGETPLATFORM") == Some(platform.as_str()) {
        findings.add(Rule::RedundantTargetPlatform, range, || {
            format!("Setting platform to predefined {written} in FROM is redundant as this is the default behavior")
        });
    }
}

/// System and machine; either may be left out.
fn platform_words(platform: &str) -> Option<(&str, &str)> {
    let mut parts = platform.split('/');
    let (first, second) = (parts.next()?, parts.next());
    match second {
        Some(machine) => Some((first, machine)),
        None if ["linux", "windows", "darwin", "freebsd"].contains(&first) => Some((first, std::env::consts::ARCH)),
        None => Some(("linux", first)),
    }
}

fn suggestion(mark: &str, meant: Option<&str>) -> String {
    meant.map_or_else(String::new, |meant| format!(" (did you mean {mark}{meant}?)"))
}

// === impl State ===

impl State {
    fn of_image(image: &str, surroundings: &Surroundings<'_>) -> Self {
        let config = if image == "scratch" { Some(Config::default()) } else { (surroundings.image)(image) };
        let known = config.is_some();
        let mut config = config.unwrap_or_default();
        // Every stage has one, the image's or the engine's.
        if config.env.value("PATH").is_none() {
            config.env.push("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned());
        }
        Self { config, known, ..Self::default() }
    }
}

// === impl Walk ===

impl Walk<'_> {
    /// Checks a step and carries it out; `None` when it cannot be.
    fn step(&mut self, step: &Step, state: &mut State) -> Option<()> {
        self.findings.enter(&step.comments);
        if let Instruction::Arg(_) = &step.instruction {
            return self.arguments(step, state);
        }
        let scope = Scope { env: &state.config.env, arguments: &state.arguments, globals: self.globals };
        let mut found = expand::instruction(&step.instruction, self.file.escape, &scope).ok()?;
        if let Instruction::Run(run) = &step.instruction {
            found.missing.extend(expand::mounts(run, self.file.escape, &scope).ok()?.missing);
        }
        self.undefined(step, state, &found.missing);
        self.words(step, &found.value, state);
        state.config.apply(&found.value).ok()?;
        Some(())
    }

    /// `ARG`s are declared one after the other.
    fn arguments(&mut self, step: &Step, state: &mut State) -> Option<()> {
        let Instruction::Arg(arguments) = &step.instruction else { return Some(()) };
        for argument in arguments {
            self.secret("ARG", &argument.name, step.range);
            let one = Instruction::Arg(vec![argument.clone()]);
            let scope = Scope { env: &state.config.env, arguments: &state.arguments, globals: self.globals };
            let found = expand::instruction(&one, self.file.escape, &scope).ok()?;
            self.undefined(step, state, &found.missing);
            if let Instruction::Arg(expanded) = &found.value {
                expanded.iter().for_each(|argument| state.arguments.declare(argument));
            }
        }
        Some(())
    }

    fn undefined(&mut self, step: &Step, state: &State, missing: &BTreeSet<String>) {
        let declared: BTreeSet<&str> = state.arguments.names().collect();
        for name in missing.iter().filter(|name| state.known && !declared.contains(name.as_str())) {
            if NO_VARIABLES.contains(&name.as_str()) {
                continue;
            }
            let variables = state.config.env.iter().filter_map(|line| line.split('=').next());
            let meant = suggestion("$", nearest(name, variables.chain(declared.iter().copied())));
            self.findings
                .add(Rule::UndefinedVar, step.range, || format!("Usage of undefined variable '${name}'{meant}"));
        }
    }

    /// Rules of single instructions. `value` is the step's, expanded.
    fn words(&mut self, step: &Step, value: &Instruction, state: &mut State) {
        let (range, word) = (step.range, &step.word);
        match value {
            Instruction::Env(pairs) | Instruction::Label(pairs) => {
                if pairs.iter().any(|pair| pair.legacy) {
                    self.findings.add(Rule::LegacyKeyValueFormat, range, || {
                        format!("\"{word} key=value\" should be used instead of legacy \"{word} key value\" format")
                    });
                }
                if let Instruction::Env(_) = value {
                    pairs.iter().for_each(|pair| self.secret("ENV", &pair.name, range));
                }
            }
            Instruction::Cmd(line) => {
                self.json(step, line, state);
                let before = self.last.cmd.replace(range);
                self.repeated(word, before);
            }
            Instruction::Entrypoint(line) => {
                self.json(step, line, state);
                let before = self.last.entrypoint.replace(range);
                self.repeated(word, before);
            }
            Instruction::Healthcheck(_) => {
                let before = self.last.healthcheck.replace(range);
                self.repeated(word, before);
            }
            Instruction::Workdir(path) => {
                if !state.workdir_is_set && !path.starts_with('/') {
                    self.findings.add(Rule::WorkdirRelativePath, range, || {
                        format!("Relative workdir {path:?} can have unexpected results if the base image changes")
                    });
                }
                state.workdir_is_set = true;
            }
            Instruction::Expose(ports) => ports.iter().for_each(|port| self.port(port, range)),
            Instruction::Add(add) => self.ignored("Add", &add.files, range),
            Instruction::Copy(copy) if copy.from.is_none() => self.ignored("Copy", &copy.files, range),
            _ => {}
        }
    }

    fn json(&mut self, step: &Step, line: &CommandLine, state: &State) {
        if matches!(line, CommandLine::Shell(_)) && state.config.shell.is_none() {
            let word = &step.word;
            self.findings.add(Rule::JSONArgsRecommended, step.range, || {
                format!("JSON arguments recommended for {word} to prevent unintended behavior related to OS signals")
            });
        }
    }

    /// The earlier one is told: it is the one without effect.
    fn repeated(&mut self, word: &str, before: Option<Range>) {
        if let Some(range) = before {
            self.findings.add(Rule::MultipleInstructionsDisallowed, range, || {
                format!(
                    "Multiple {word} instructions should not be used in the same stage because only the last one will be used"
                )
            });
        }
    }

    fn secret(&mut self, word: &str, name: &str, range: Range) {
        const SECRET: [&str; 10] =
            ["apikey", "auth", "credential", "credentials", "key", "password", "pword", "passwd", "secret", "token"];
        const PUBLIC: [&str; 3] = ["public", "file", "version"];
        let lower = name.to_lowercase();
        let has = |words: &[&str]| lower.split('_').any(|part| words.contains(&part));
        if has(&SECRET) && !has(&PUBLIC) {
            self.findings.add(Rule::SecretsUsedInArgOrEnv, range, || {
                format!("Do not use ARG or ENV instructions for sensitive data ({word} {name:?})")
            });
        }
    }

    fn port(&mut self, port: &str, range: Range) {
        let (address, host, own) = port_parts(port);
        let protocol = own.split_once('/').map_or("", |(_, protocol)| protocol);
        if exposed(&own.to_lowercase()).is_err() {
            return;
        }
        if protocol != protocol.to_lowercase() {
            self.findings.add(Rule::ExposeProtoCasing, range, || {
                format!("Defined protocol '{port}' in EXPOSE instruction should be lowercase")
            });
        }
        if !address.is_empty() || !host.is_empty() {
            self.findings.add(Rule::ExposeInvalidFormat, range, || {
                format!("EXPOSE instruction should not define an IP address or host-port mapping, found '{port}'")
            });
        }
    }

    /// Whether a path with exceptions below it is left out is not known before a walk, so these are not told.
    fn ignored(&mut self, word: &str, files: &Files, range: Range) {
        let Some(ignore) = self.surroundings.ignore.filter(|ignore| !ignore.has_exceptions()) else { return };
        for source in &files.sources {
            let Source::Path(path) = source else { continue };
            if path.contains("://") || path.starts_with("git@") {
                continue;
            }
            let path = clean(path);
            let relative = path.trim_start_matches('/');
            let out =
                if relative.is_empty() || relative == "." { ignore.ignores_all() } else { ignore.ignores(relative) };
            if out {
                self.findings.add(Rule::CopyIgnoredFile, range, || {
                    format!("Attempting to {word} file {path:?} that is excluded by .dockerignore")
                });
            }
        }
    }
}
