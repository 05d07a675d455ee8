//! The walk over stages and steps.

use std::collections::{BTreeMap, BTreeSet};

use types::Platform;

use super::copying::{content, destination, flag, permissions, refuse_flags, sources};
use super::event::{Event, Stream};
use super::failure::Failure;
use super::options::Options;
use super::worker::{Content, Network, Origin, Record, RunStep, Script, Sources, Target, Worker};
use crate::config::Config;
use crate::dockerfile::{
    self, Argument, Dockerfile, Files, Instruction, Pair, Run, RunNetwork, RunSecurity, Stage, Task,
};
use crate::expand::{self, Arguments, Globals, Lexer, Scope};

/// The search path of images that have none.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A stage that is done.
struct Done<I> {
    name: Option<String>,
    image: Option<I>,
    config: Config,
}

/// A stage under way.
struct State<I> {
    image: Option<I>,
    config: Config,
    arguments: Arguments,
}

struct Walk<'a, W: Worker> {
    worker: &'a mut W,
    globals: Globals,
    /// Arguments that any stage has declared.
    declared: BTreeSet<String>,
    platform: Option<&'a str>,
    escape: char,
    number: usize,
    total: usize,
    done: Vec<Done<W::Image>>,
}

/// Builds a Dockerfile; gives the last stage's image.
///
/// # Errors
/// [`Failure`].
pub fn solve<W: Worker>(
    dockerfile: &Dockerfile,
    options: &Options,
    worker: &mut W,
) -> Result<W::Image, Failure<W::Error>> {
    let stages = options.stages(dockerfile).map_err(Failure::Instruction)?;
    let steps: usize = stages.iter().map(|stage| 1 + stage.steps.len()).sum();
    let host = Platform::host();
    let target = options.platform.as_deref().and_then(Platform::parse).unwrap_or_else(|| host.clone());
    let globals = Globals::new(options.arguments.clone());
    let mut walk = Walk {
        worker,
        globals: globals.with_platforms(&host, &target, options.target.as_deref()),
        declared: BTreeSet::new(),
        platform: options.platform.as_deref(),
        escape: dockerfile.escape,
        number: 0,
        total: dockerfile.global_args.len() + steps + options.labels.len(),
        done: Vec::new(),
    };
    let warnings = dockerfile.printed_warnings();
    if !warnings.is_empty() {
        let text = warnings.join("\n") + "\n";
        walk.worker.tell(Event::Output(Stream::Stderr, text.into_bytes()));
    }
    walk.global_arguments(dockerfile)?;
    for (number, stage) in stages.iter().enumerate() {
        let last = number + 1 == stages.len();
        walk.stage(stage, last.then_some(&options.labels))?;
    }
    let image = walk.done.pop().and_then(|done| done.image);
    let unused = walk.globals.unused(&walk.declared);
    if image.is_some() && !unused.is_empty() {
        let warning = format!("[Warning] One or more build-args [{}] were not consumed", unused.join(" "));
        walk.worker.tell(Event::Warning(warning));
    }
    image.ok_or(Failure::Nothing)
}

type Outcome<W, T = ()> = Result<T, Failure<<W as Worker>::Error>>;

impl<W: Worker> Walk<'_, W> {
    fn step(&mut self, text: &str) -> Outcome<W> {
        if self.worker.is_cancelled() {
            return Err(Failure::Cancelled);
        }
        self.number += 1;
        self.worker.tell(Event::Step { number: self.number, total: self.total, text: text.to_owned() });
        Ok(())
    }

    fn global_arguments(&mut self, dockerfile: &Dockerfile) -> Outcome<W> {
        for step in &dockerfile.global_args {
            self.step(&step.text)?;
            for argument in &step.instruction {
                let value = argument.value.as_deref().map(|text| self.word(text, &self.globals)).transpose()?;
                self.globals.declare(&Argument { value, ..argument.clone() });
            }
        }
        Ok(())
    }

    fn word(&self, text: &str, variables: &impl expand::Variables) -> Result<String, expand::Error> {
        Ok(Lexer::new(self.escape).expand(text, variables)?.text)
    }

    fn stage(&mut self, stage: &Stage, labels: Option<&BTreeMap<String, String>>) -> Outcome<W> {
        let name = stage.from.instruction.name.clone();
        if let Some(name) = &name
            && self.done.iter().any(|done| done.name.as_ref() == Some(name))
        {
            return Err(Failure::Instruction(format!("{name} stage name already used")));
        }
        self.step(&stage.from.text)?;
        let mut state = self.begin(&stage.from.instruction)?;
        self.triggers(&mut state)?;
        self.tell_image(&state);
        for step in &stage.steps {
            self.step(&step.text)?;
            self.dispatch(&step.instruction, &mut state)?;
            self.tell_image(&state);
        }
        for (key, value) in labels.into_iter().flatten() {
            self.step(&format!("LABEL {key}={value}"))?;
            let pair = Pair { name: key.clone(), value: value.clone(), legacy: false };
            self.apply(&Instruction::Label(vec![pair]), &mut state)?;
            self.tell_image(&state);
        }
        if let Some(image) = &state.image {
            self.worker.tell(Event::Stage(image.to_string()));
        }
        self.done.push(Done { name, image: state.image, config: state.config });
        Ok(())
    }

    fn tell_image(&mut self, state: &State<W::Image>) {
        let image = state.image.as_ref().map(W::Image::to_string).unwrap_or_default();
        self.worker.tell(Event::Image(image));
    }

    fn begin(&mut self, from: &dockerfile::From) -> Outcome<W, State<W::Image>> {
        let expanded = expand::from(from, self.escape, &self.globals)?.value;
        let (name, platform) = (expanded.image, expanded.platform.filter(|text| !text.is_empty()));
        if name.is_empty() {
            return Err(Failure::Instruction(format!("base name ({}) should not be blank", from.image)));
        }
        let lower = name.to_lowercase();
        let stage = self.done.iter().find(|done| done.name.as_deref() == Some(&lower));
        let (image, mut config) = match stage {
            Some(done) => (done.image.clone(), done.config.clone()),
            None if name == "scratch" => (None, Config::default()),
            None => {
                let platform = platform.as_deref().or(self.platform);
                let base = self.worker.base(&name, platform).map_err(Failure::Plain)?;
                (Some(base.image), base.config)
            }
        };
        if !config.env.iter().any(|line| line.starts_with("PATH=")) {
            config.env.push(PATH.to_owned());
        }
        let config = Config { author: String::new(), cmd_is_own: false, ..config };
        Ok(State { image, config, arguments: Arguments::default() })
    }

    /// Carries out what the base has for its children.
    fn triggers(&mut self, state: &mut State<W::Image>) -> Outcome<W> {
        let triggers = std::mem::take(&mut state.config.on_build);
        if triggers.is_empty() {
            return Ok(());
        }
        self.worker.tell(Event::Triggers(triggers.len()));
        let admit = |word: &str| match word {
            "onbuild" => Err("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed".to_owned()),
            "maintainer" | "from" => Err(format!("{} isn't allowed as an ONBUILD trigger", word.to_uppercase())),
            _ => Ok(()),
        };
        for trigger in &triggers {
            for step in dockerfile::steps(trigger, admit)? {
                self.dispatch(&step.instruction, state)?;
            }
        }
        Ok(())
    }

    fn dispatch(&mut self, instruction: &Instruction, state: &mut State<W::Image>) -> Outcome<W> {
        let scope = Scope { env: &state.config.env, arguments: &state.arguments, globals: &self.globals };
        let instruction = expand::instruction(instruction, self.escape, &scope)?.value;
        match &instruction {
            Instruction::Run(run) => self.run(run, state),
            Instruction::Copy(copy) => {
                if copy.parents {
                    return Err(flag("parents"));
                }
                let origin = match &copy.from {
                    Some(from) => self.origin(from, state)?,
                    None => Origin::Context,
                };
                self.files("COPY", &copy.files, Sources { origin, ..sources(false) }, state)
            }
            Instruction::Add(add) => {
                if add.keep_git_dir.is_some() {
                    return Err(flag("keep-git-dir"));
                }
                let (unpack, checksum) = (add.unpack, add.checksum.clone());
                self.files("ADD", &add.files, Sources { unpack, checksum, ..sources(true) }, state)
            }
            Instruction::Workdir(_) => {
                state.config.apply(&instruction)?;
                let path = state.config.working_dir.clone();
                let command = nop(&state.config, &format!("#(nop) WORKDIR {path}"));
                self.make(state, command, |worker, record| worker.configure(record, Some(&path)))
            }
            Instruction::Arg(arguments) => {
                for argument in arguments {
                    self.declared.insert(argument.name.clone());
                    state.arguments.declare(argument);
                }
                self.apply(&instruction, state)
            }
            _ => self.apply(&instruction, state),
        }
    }

    /// Carries out what only changes the configuration.
    fn apply(&mut self, instruction: &Instruction, state: &mut State<W::Image>) -> Outcome<W> {
        match state.config.apply(instruction)? {
            Some(comment) => self.commit(state, comment),
            None => Ok(()),
        }
    }

    /// An image with the configuration as it is now.
    fn commit(&mut self, state: &mut State<W::Image>, comment: String) -> Outcome<W> {
        let mut command = nop(&state.config, "#(nop) ");
        command.push(comment);
        self.make(state, command, |worker, record| worker.configure(record, None))
    }

    /// The image of a step, from the cache or made.
    fn make(
        &mut self,
        state: &mut State<W::Image>,
        command: Vec<String>,
        make: impl FnOnce(&mut W, &Record<'_, W::Image>) -> Result<W::Image, W::Error>,
    ) -> Outcome<W> {
        let record = record(state, command, false);
        let image = match self.worker.cached(&record).map_err(Failure::Plain)? {
            Some(image) => {
                self.worker.tell(Event::UsingCache);
                image
            }
            None => make(self.worker, &record).map_err(Failure::Plain)?,
        };
        state.image = Some(image);
        Ok(())
    }

    fn run(&mut self, run: &Run, state: &mut State<W::Image>) -> Outcome<W> {
        if let Some(name) = run.flags.iter().find(|name| !matches!(**name, "network" | "security")) {
            return Err(flag(name));
        }
        if run.security != RunSecurity::Sandbox {
            return Err(flag("security"));
        }
        let (words, script) = match run.task() {
            Task::Command(command) => (command.words(&state.config.shell()), None),
            Task::Script { name, content } => (vec![format!("/dev/pipes/{name}")], Some(Script { name, content })),
        };
        let scope = Scope { env: &state.config.env, arguments: &state.arguments, globals: &self.globals };
        let line = |(name, value): (String, String)| format!("{name}={value}");
        let given: Vec<String> = scope.environment().into_iter().map(line).collect();
        let recorded: Vec<String> = scope.recorded().into_iter().map(line).collect();
        let mut command = Vec::new();
        if !recorded.is_empty() {
            command.push(format!("|{}", recorded.len()));
            command.extend(recorded);
        }
        command.extend(words.iter().cloned());
        if let Some(script) = &script {
            // The text is what is run: without it, two scripts would be one.
            command.push(script.content.clone());
        }
        let network = match run.network {
            RunNetwork::Default => Network::Default,
            RunNetwork::None => Network::None,
            RunNetwork::Host => Network::Host,
        };
        let env = state.config.env.iter().chain(&given).cloned().collect();
        let step = RunStep { command: words, env, network, script };
        let record = record(state, command, true);
        let image = match self.worker.cached(&record).map_err(Failure::Plain)? {
            Some(image) => {
                self.worker.tell(Event::UsingCache);
                image
            }
            None => match self.worker.run(&record, &step).map_err(Failure::Plain)? {
                Ok(image) => image,
                Err(code) => return Err(Failure::Command { command: step.command.join(" "), code }),
            },
        };
        state.image = Some(image);
        Ok(())
    }

    /// Where `COPY --from` copies from.
    fn origin(&mut self, from: &str, state: &State<W::Image>) -> Outcome<W, Origin<W::Image>> {
        let scope = Scope { env: &state.config.env, arguments: &state.arguments, globals: &self.globals };
        let from = self.word(from, &scope)?;
        if let Ok(number) = from.parse::<i64>() {
            let stage = usize::try_from(number).ok().and_then(|number| self.done.get(number));
            let outside = || Failure::Instruction(format!("invalid from flag value {from}: index out of bounds"));
            return Ok(Origin::Image(stage.ok_or_else(outside)?.image.clone()));
        }
        let lower = from.to_lowercase();
        if let Some(stage) = self.done.iter().find(|done| done.name.as_deref() == Some(&lower)) {
            return Ok(Origin::Image(stage.image.clone()));
        }
        let base = self.worker.base(&from, self.platform);
        let base = base.map_err(|error| Failure::Worker(format!("invalid from flag value {from}"), error))?;
        Ok(Origin::Image(Some(base.image)))
    }

    fn files(
        &mut self,
        word: &str,
        files: &Files,
        mut sources: Sources<W::Image>,
        state: &mut State<W::Image>,
    ) -> Outcome<W> {
        refuse_flags(files)?;
        let failed = |text: String| Failure::Instruction(format!("{word} failed: {text}"));
        for source in &files.sources {
            sources.contents.push(match source {
                dockerfile::Source::Inline(document) => {
                    Content::Inline(document.name.clone(), document.content.clone())
                }
                dockerfile::Source::Path(path) => content(path, sources.is_add).map_err(failed)?,
            });
        }
        let (requested, owner) = (&files.destination, files.chown.clone());
        let mode = files.chmod.as_deref().map(permissions).transpose().map_err(Failure::Instruction)?;
        let keep_owners = owner.is_none() && matches!(sources.origin, Origin::Image(_));
        let found = self.worker.find(&sources);
        let (digest, found) = found.map_err(|error| Failure::Worker(format!("{word} failed"), error))?;
        if self.worker.count(&found) == 0 {
            return Err(failed("no source files were specified".to_owned()));
        }
        if self.worker.count(&found) > 1 && !requested.ends_with('/') {
            let text = format!(
                "When using {word} with more than one source file, the destination must be a directory and end with a /"
            );
            return Err(Failure::Instruction(text));
        }
        let chown = owner.as_deref().map(|owner| format!("--chown={owner} ")).unwrap_or_default();
        let chmod = files.chmod.as_deref().map(|mode| format!("--chmod={mode} ")).unwrap_or_default();
        let command = nop(&state.config, &format!("#(nop) {word} {chown}{chmod}{digest} in {requested} "));
        let target = Target { path: destination(&state.config.working_dir, requested), owner, mode, keep_owners };
        self.make(state, command, |worker, record| worker.copy(record, found, &target))
    }
}

fn record<I>(state: &State<I>, command: Vec<String>, is_run: bool) -> Record<'_, I> {
    Record { parent: state.image.as_ref(), config: &state.config, command, is_run, author: &state.config.author }
}

/// The command of a step that runs nothing.
fn nop(config: &Config, text: &str) -> Vec<String> {
    let mut words = config.shell();
    words.push(text.to_owned());
    words
}
