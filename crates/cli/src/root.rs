//! From the first word to the command: global flags, groups, help.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::command::{COMMANDS, Command, GROUPS, help};
use crate::context::{Context, TlsChoice};
use crate::flags::{Flag, Matches, Parsed, parse};
use crate::{Environment, Failure, Hooks};

/// Flags before the command.
pub static GLOBAL: [Flag; 8] = [
    Flag::value("config", "string", "Location of client config files"),
    Flag::value("host", "list", "Daemon socket to connect to").short('H'),
    Flag::switch("version", "Print version information and quit").short('v'),
    Flag::switch("tls", "Use TLS; implied by --tlsverify"),
    Flag::value("tlscacert", "string", "Trust certs signed only by this CA").default("\"~/.docker/ca.pem\""),
    Flag::value("tlscert", "string", "Path to TLS certificate file").default("\"~/.docker/cert.pem\""),
    Flag::value("tlskey", "string", "Path to TLS key file").default("\"~/.docker/key.pem\""),
    Flag::switch("tlsverify", "Use TLS and verify the remote"),
];

/// Runs the command line.
///
/// # Errors
/// Whatever the command fails with.
pub fn run(
    program: &'static str,
    args: &[String],
    environment: &Environment,
    hooks: &Hooks,
) -> Result<ExitCode, Failure> {
    let global = match parse(&GLOBAL, false, args) {
        Ok(Parsed::Matches(matches)) => matches,
        Ok(Parsed::Help(short)) => {
            deprecated(short);
            print(&help::root(program, hooks));
            return Ok(ExitCode::SUCCESS);
        }
        Err(error) => {
            let usage = format!("Usage:  {program} [OPTIONS] COMMAND [ARG...]");
            let text = format!("{error}\n\n{usage}\n\nRun '{program} --help' for more information");
            return Err(Failure::Usage { text, code: 125 });
        }
    };
    if global.on("version") {
        print(&crate::command::version_line(program));
        return Ok(ExitCode::SUCCESS);
    }
    let words = global.args();
    let asks_help = words.first().is_some_and(|word| word == "help");
    let words = if asks_help { &words[1..] } else { words };
    let Some(first) = words.first() else {
        show(&help::root(program, hooks), asks_help);
        return Ok(ExitCode::SUCCESS);
    };
    if let Some(own) = hooks.programs.iter().find(|own| own.name == first) {
        let rest = if asks_help { vec!["--help".to_owned()] } else { words[1..].to_vec() };
        return Ok((own.run)(&rest));
    }
    let Some((path, command, rest)) = find(program, words)? else {
        show(&help::group(program, first), asks_help || words.len() > 1);
        return Ok(ExitCode::SUCCESS);
    };
    if asks_help {
        print(&help::command(program, path, command));
        return Ok(ExitCode::SUCCESS);
    }
    dispatch(program, path, command, rest, &global, environment, hooks)
}

fn dispatch(
    program: &'static str,
    path: &'static str,
    command: &'static Command,
    rest: &[String],
    global: &Matches,
    environment: &Environment,
    hooks: &Hooks,
) -> Result<ExitCode, Failure> {
    let flags = command.flags.iter().copied().flatten();
    let matches = match parse(flags, command.interspersed, rest) {
        Ok(Parsed::Matches(matches)) => matches,
        Ok(Parsed::Help(short)) => {
            deprecated(short);
            print(&help::command(program, path, command));
            return Ok(ExitCode::SUCCESS);
        }
        Err(error) => {
            let usage = help::usage(program, path, command);
            let text = format!("{error}\n\n{usage}\n\nRun '{program} {path} --help' for more information");
            return Err(Failure::Usage { text, code: 125 });
        }
    };
    if let Some(wrong) = command.args.wrong(matches.args().len()) {
        let usage = help::usage(program, path, command);
        let hint = command.args.hint();
        let text = format!(
            "{program}: '{program} {path}' {wrong}\n\n{usage}\n\n{hint} '{program} {path} --help' for more information"
        );
        return Err(Failure::Usage { text, code: 1 });
    }
    let hosts = global.list("host").into_iter().map(str::to_owned).collect();
    let context = Context::new(program, environment, hooks, hosts, global.maybe("config").map(PathBuf::from))
        .with_tls(TlsChoice::of(global));
    (command.run)(&context, &matches)?;
    Ok(ExitCode::SUCCESS)
}

/// The command that `words` name, under the path that help shows for it, and the words after it. `None` when they
/// name a group alone.
#[allow(clippy::type_complexity)]
fn find<'w>(
    program: &str,
    words: &'w [String],
) -> Result<Option<(&'static str, &'static Command, &'w [String])>, Failure> {
    let first = words[0].as_str();
    let group = GROUPS.iter().find(|(name, _)| *name == first);
    let (wanted, rest) = match (group, words.get(1)) {
        (Some(_), None) => return Ok(None),
        (Some(_), Some(word)) if word == "--help" || word == "-h" || word == "help" => return Ok(None),
        (Some(_), Some(word)) => (format!("{first} {word}"), &words[2..]),
        (None, _) => (first.to_owned(), &words[1..]),
    };
    let found = COMMANDS.iter().find_map(|command| {
        let path = command.paths.iter().copied().find(|path| *path == wanted)?;
        Some((command.shown(path), *command))
    });
    match found {
        Some((path, command)) => Ok(Some((path, command, rest))),
        None => Err(unknown(program, first, &wanted, group.is_some())),
    }
}

fn unknown(program: &str, first: &str, wanted: &str, in_group: bool) -> Failure {
    let text = if in_group {
        format!(
            "{program}: unknown command: {program} {wanted}\n\nUsage:  {program} {first}\n\nRun '{program} {first} --help' for more information"
        )
    } else {
        format!("{program}: unknown command: {program} {wanted}\n\nRun '{program} --help' for more information")
    };
    Failure::Usage { text, code: 1 }
}

fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// A page that nobody asked for is no output.
fn show(page: &str, asked: bool) {
    if asked {
        print(page);
    } else {
        complain(page);
    }
}

fn complain(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

fn deprecated(short: bool) {
    if short {
        complain("Flag shorthand -h has been deprecated, use --help\n");
    }
}
