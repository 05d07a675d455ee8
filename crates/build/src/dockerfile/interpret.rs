//! The meaning of a line: which instruction with which words and flags.

use std::time::Duration;

use types::parse_go_duration;

use super::flags::{BadFlag, Flags, Kind};
use super::heredoc::Heredoc;
use super::instruction::{
    Add, Argument, CommandLine, Copy, Files, From, Healthcheck, Instruction, Run, RunNetwork, RunSecurity, Source,
    WORDS,
};
use super::line::Line;
use super::mount::MountFlag;

/// What a line means.
pub(super) enum Meaning {
    /// A stage begins.
    Stage(From),
    /// The stage goes on.
    Step(Instruction),
}

/// What is wrong with an instruction.
pub(super) struct Fault {
    pub(super) message: String,
    /// The word in the line that is wrong; `None` is the instruction.
    pub(super) word: Option<String>,
    pub(super) suggestion: Option<String>,
}

impl std::convert::From<String> for Fault {
    fn from(message: String) -> Self {
        Self { message, word: None, suggestion: None }
    }
}

impl std::convert::From<&str> for Fault {
    fn from(message: &str) -> Self {
        message.to_owned().into()
    }
}

impl std::convert::From<BadFlag> for Fault {
    fn from(BadFlag { message, flag, suggestion }: BadFlag) -> Self {
        Self { message, word: Some(flag), suggestion }
    }
}

/// Gives a line its meaning.
pub(super) fn interpret(line: &Line) -> Result<Meaning, Fault> {
    let word = line.word.to_ascii_uppercase();
    Ok(Meaning::Step(match word.as_str() {
        "FROM" => return from(line).map(Meaning::Stage),
        "ADD" => Instruction::Add(add(line)?),
        "ARG" => Instruction::Arg(arguments(line)?),
        "CMD" => Instruction::Cmd(command(line)?),
        "COPY" => Instruction::Copy(copy(line)?),
        "ENTRYPOINT" => Instruction::Entrypoint(command(line)?),
        "ENV" | "LABEL" => {
            no_flags(line)?;
            if line.pairs.is_empty() {
                return Err(at_least_one(&word).into());
            }
            if line.pairs.iter().any(|pair| pair.name.is_empty()) {
                return Err(format!("{word} names can not be blank").into());
            }
            let pairs = line.pairs.clone();
            if word == "ENV" { Instruction::Env(pairs) } else { Instruction::Label(pairs) }
        }
        "EXPOSE" => {
            let mut ports = some(line, &word)?;
            ports.sort();
            Instruction::Expose(ports)
        }
        "HEALTHCHECK" => Instruction::Healthcheck(healthcheck(line)?),
        "MAINTAINER" => Instruction::Maintainer(single(line, &word)?),
        "ONBUILD" => Instruction::Onbuild(onbuild(line)?),
        "RUN" => Instruction::Run(run(line)?),
        "SHELL" => Instruction::Shell(shell(line)?),
        "STOPSIGNAL" => Instruction::Stopsignal(single(line, &word)?),
        "USER" => Instruction::User(single(line, &word)?),
        "VOLUME" => Instruction::Volume(volume(line)?),
        "WORKDIR" => Instruction::Workdir(single(line, &word)?),
        _ => {
            let suggestion = crate::suggest::nearest_any_case(&line.word, WORDS);
            return Err(Fault { suggestion, ..format!("unknown instruction: {}", line.word).into() });
        }
    }))
}

fn at_least_one(word: &str) -> String {
    format!("{word} requires at least one argument")
}

fn no_flags(line: &Line) -> Result<(), Fault> {
    Flags::parse(&line.flags, &[])?;
    Ok(())
}

/// The only argument of an instruction that takes its line as it is.
fn single(line: &Line, word: &str) -> Result<String, Fault> {
    let [argument] = &line.args[..] else {
        return Err(format!("{word} requires exactly one argument").into());
    };
    no_flags(line)?;
    Ok(argument.clone())
}

fn some(line: &Line, word: &str) -> Result<Vec<String>, Fault> {
    if line.args.is_empty() {
        return Err(at_least_one(word).into());
    }
    no_flags(line)?;
    Ok(line.args.clone())
}

fn command_line(args: &[String], json: bool) -> CommandLine {
    if json { CommandLine::Exec(args.to_vec()) } else { CommandLine::Shell(args.join(" ")) }
}

fn command(line: &Line) -> Result<CommandLine, Fault> {
    no_flags(line)?;
    Ok(command_line(&line.args, line.json))
}

fn from(line: &Line) -> Result<From, Fault> {
    let (image, named) = match &line.args[..] {
        [image] => (image, None),
        [image, middle, name] if middle.eq_ignore_ascii_case("as") => (image, Some((middle.clone(), name.clone()))),
        _ => return Err("FROM requires either one or three arguments".into()),
    };
    let name = named.as_ref().map(|(_, name)| name.to_lowercase());
    if let (Some(lower), Some((_, written))) = (&name, &named)
        && !stage_name(lower)
    {
        let message =
            format!("invalid name for build stage: {written:?}, name can't start with a number or contain symbols");
        return Err(Fault { word: Some(written.clone()), ..message.into() });
    }
    let flags = Flags::parse(&line.flags, &[("platform", Kind::Text)])?;
    Ok(From { image: image.clone(), platform: flags.text("platform"), name, name_as_written: named })
}

fn stage_name(name: &str) -> bool {
    name.starts_with(|letter: char| letter.is_ascii_lowercase())
        && name.chars().all(|letter| matches!(letter, 'a'..='z' | '0'..='9' | '-' | '_' | '.'))
}

fn arguments(line: &Line) -> Result<Vec<Argument>, Fault> {
    if line.args.is_empty() {
        return Err(at_least_one("ARG").into());
    }
    no_flags(line)?;
    let argument = |word: &String| match word.split_once('=') {
        Some(("", _)) => Err(Fault::from("ARG names can not be blank")),
        Some((name, value)) => Ok(Argument { name: name.to_owned(), value: Some(value.to_owned()) }),
        None => Ok(Argument { name: word.clone(), value: None }),
    };
    line.args.iter().map(argument).collect()
}

const FILE_FLAGS: [(&str, Kind); 4] =
    [("chown", Kind::Text), ("chmod", Kind::Text), ("link", Kind::Switch), ("exclude", Kind::Texts)];

fn file_flags(line: &Line, word: &str, own: &[(&'static str, Kind)]) -> Result<Flags, Fault> {
    if line.args.len() < 2 {
        let lacks = "requires at least two arguments, but only one was provided. Destination could not be determined";
        return Err(format!("{word} {lacks}").into());
    }
    let known: Vec<(&'static str, Kind)> = FILE_FLAGS.iter().chain(own).copied().collect();
    Ok(Flags::parse(&line.flags, &known)?)
}

/// Sources and destination; here-documents take their places among the sources.
fn files(line: &Line, word: &str, flags: &Flags) -> Result<Files, Fault> {
    let document = |word: &str| Heredoc::of_word(word).is_ok_and(|found| found.is_some());
    let Some((destination, sources)) = line.args.split_last() else {
        return Err(at_least_one(word).into());
    };
    if !line.json && document(destination) {
        return Err(format!("{word} cannot accept a heredoc as a destination").into());
    }
    let mut documents = line.heredocs.iter();
    let mut source = |path: &String| match (!line.json && document(path)).then(|| documents.next()).flatten() {
        Some(document) => Source::Inline(document.clone()),
        None => Source::Path(path.clone()),
    };
    Ok(Files {
        sources: sources.iter().map(&mut source).collect(),
        destination: destination.clone(),
        chown: flags.text("chown"),
        chmod: flags.text("chmod"),
        link: flags.switch("link").unwrap_or_default(),
        excludes: flags.texts("exclude"),
    })
}

fn add(line: &Line) -> Result<Add, Fault> {
    let own = [("keep-git-dir", Kind::Switch), ("checksum", Kind::Text), ("unpack", Kind::Switch)];
    let flags = file_flags(line, "ADD", &own)?;
    Ok(Add {
        files: files(line, "ADD", &flags)?,
        checksum: flags.text("checksum"),
        keep_git_dir: flags.switch("keep-git-dir"),
        unpack: flags.switch("unpack"),
    })
}

fn copy(line: &Line) -> Result<Copy, Fault> {
    let flags = file_flags(line, "COPY", &[("from", Kind::Text), ("parents", Kind::Switch)])?;
    Ok(Copy {
        files: files(line, "COPY", &flags)?,
        from: flags.text("from"),
        parents: flags.switch("parents").unwrap_or_default(),
    })
}

fn run(line: &Line) -> Result<Run, Fault> {
    let known = [("mount", Kind::Texts), ("network", Kind::Text), ("security", Kind::Text), ("device", Kind::Texts)];
    let flags = Flags::parse(&line.flags, &known)?;
    let mounts: Vec<MountFlag> = flags.texts("mount").into_iter().map(MountFlag).collect();
    mounts.iter().try_for_each(MountFlag::check)?;
    let names = flags.names();
    let given = |name: &str| names.contains(&name).then(|| flags.text(name).unwrap_or_default());
    let network = match given("network").as_deref() {
        None | Some("default") => RunNetwork::Default,
        Some("none") => RunNetwork::None,
        Some("host") => RunNetwork::Host,
        Some(other) => return Err(format!("invalid network mode {other:?}").into()),
    };
    let security = match given("security").as_deref() {
        None | Some("sandbox") => RunSecurity::Sandbox,
        Some("insecure") => RunSecurity::Insecure,
        Some(other) => return Err(format!("security {other:?} is not valid").into()),
    };
    Ok(Run {
        command: command_line(&line.args, line.json),
        heredocs: line.heredocs.clone(),
        mounts,
        network,
        security,
        devices: flags.texts("device"),
        flags: names,
    })
}

fn shell(line: &Line) -> Result<Vec<String>, Fault> {
    no_flags(line)?;
    match (&line.args[..], line.json) {
        ([], _) => Err(at_least_one("SHELL").into()),
        (words, true) => Ok(words.to_vec()),
        (_, false) => Err("SHELL requires the arguments to be in JSON form".into()),
    }
}

fn volume(line: &Line) -> Result<Vec<String>, Fault> {
    let paths: Vec<String> = some(line, "VOLUME")?.iter().map(|path| path.trim().to_owned()).collect();
    if paths.iter().any(String::is_empty) {
        return Err("VOLUME specified can not be an empty string".into());
    }
    Ok(paths)
}

fn onbuild(line: &Line) -> Result<String, Fault> {
    let Some(trigger) = line.args.first().map(|word| word.to_uppercase()) else {
        return Err(at_least_one("ONBUILD").into());
    };
    no_flags(line)?;
    match trigger.as_str() {
        "ONBUILD" => return Err("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed".into()),
        "MAINTAINER" | "FROM" => return Err(format!("{trigger} isn't allowed as an ONBUILD trigger").into()),
        _ => {}
    }
    let text = line.logical.text.trim_start();
    let mut text = text.get(line.word.len()..).unwrap_or_default().trim().to_owned();
    for document in &line.heredocs {
        text = format!("{text}\n{}{}", document.content, document.name);
    }
    Ok(text)
}

fn healthcheck(line: &Line) -> Result<Healthcheck, Fault> {
    let Some((kind, args)) = line.args.split_first() else {
        return Err(at_least_one("HEALTHCHECK").into());
    };
    let kind = kind.to_uppercase();
    if kind == "NONE" {
        if !args.is_empty() {
            return Err("HEALTHCHECK NONE takes no arguments".into());
        }
        return Ok(Healthcheck { test: vec![kind], ..Healthcheck::default() });
    }
    let names = ["interval", "timeout", "start-period", "start-interval", "retries"];
    let flags = Flags::parse(&line.flags, &names.map(|name| (name, Kind::Text)))?;
    if kind != "CMD" {
        return Err(format!("Unknown type {kind:?} in HEALTHCHECK (try CMD)").into());
    }
    if args.is_empty() {
        return Err("Missing command after HEALTHCHECK CMD".into());
    }
    let how = if line.json { "CMD" } else { "CMD-SHELL" };
    Ok(Healthcheck {
        test: std::iter::once(how).chain(args.iter().map(String::as_str)).map(str::to_owned).collect(),
        interval: duration(&flags, "interval")?,
        timeout: duration(&flags, "timeout")?,
        start_period: duration(&flags, "start-period")?,
        start_interval: duration(&flags, "start-interval")?,
        retries: retries(&flags)?,
    })
}

/// A time of at least a millisecond; nothing for zero, which is "not set" in an image.
fn duration(flags: &Flags, name: &str) -> Result<Option<Duration>, Fault> {
    let Some(text) = flags.text(name) else { return Ok(None) };
    let wrong = |message: String| Fault { word: Some(text.clone()), ..message.into() };
    let short = || wrong(format!("Interval {name:?} cannot be less than 1ms"));
    if let Some(positive) = text.strip_prefix('-')
        && parse_go_duration(positive).is_ok_and(|duration| !duration.is_zero())
    {
        return Err(short());
    }
    let duration = parse_go_duration(&text).map_err(|error| wrong(error.to_string()))?;
    if duration.is_zero() {
        return Ok(None);
    }
    if duration < Duration::from_millis(1) { Err(short()) } else { Ok(Some(duration)) }
}

fn retries(flags: &Flags) -> Result<Option<u32>, Fault> {
    let Some(text) = flags.text("retries") else { return Ok(None) };
    let wrong = |message: String| Fault { word: Some(text.clone()), ..message.into() };
    match text.parse::<i32>() {
        Ok(number) => match u32::try_from(number) {
            Ok(number) => Ok(Some(number).filter(|number| *number > 0)),
            Err(_) => Err(wrong(format!("--retries cannot be negative ({number})"))),
        },
        Err(error) => {
            let large =
                matches!(error.kind(), std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow);
            let reason = if large { "value out of range" } else { "invalid syntax" };
            Err(wrong(format!("strconv.ParseInt: parsing {text:?}: {reason}")))
        }
    }
}
