//! Help pages in Docker's layout.

use rustix::termios;

use super::{COMMANDS, Command, GROUPS};
use crate::Hooks;
use crate::flags::flag_block;
use crate::root::GLOBAL;

/// Commands that the first page shows first, in this order.
const COMMON: [&str; 12] =
    ["run", "exec", "ps", "build", "pull", "push", "images", "login", "logout", "search", "version", "info"];

/// A command that only programs call.
const HIDDEN: &str = "dial-stdio";

/// `Usage:  docker run [OPTIONS] IMAGE …`
#[must_use]
pub fn usage(program: &str, path: &str, command: &Command) -> String {
    let space = if command.usage.is_empty() { "" } else { " " };
    // A second line names the program again.
    format!("Usage:  {program} {path}{space}{}", command.usage.replace("{program}", program))
}

/// The page of one command.
#[must_use]
pub fn command(program: &str, path: &str, command: &Command) -> String {
    page(program, path, command, columns())
}

fn page(program: &str, path: &str, command: &Command, columns: Option<usize>) -> String {
    let mut page = format!("{}\n\n{}\n", usage(program, path, command), command.about);
    if command.paths.len() > 1 {
        let names: Vec<String> = command.paths.iter().map(|path| format!("{program} {path}")).collect();
        page.push_str(&format!("\nAliases:\n  {}\n", names.join(", ")));
    }
    let flags = flag_block(command.flags.iter().copied().flatten(), columns);
    if !flags.is_empty() {
        page.push_str(&format!("\nOptions:\n{flags}"));
    }
    page
}

/// The page of a group.
#[must_use]
pub fn group(program: &str, name: &str) -> String {
    let about = GROUPS.iter().find(|(group, _)| *group == name).map_or("", |(_, about)| about);
    let prefix = format!("{name} ");
    let mut lines: Vec<(&str, &str)> = COMMANDS
        .iter()
        .filter_map(|command| {
            let path =
                command.paths.iter().find_map(|path| path.strip_prefix(&prefix)).filter(|path| *path != HIDDEN)?;
            Some((path, first_line(command.about)))
        })
        .collect();
    lines.sort_unstable();
    format!(
        "Usage:  {program} {name} COMMAND\n\n{about}\n\nCommands:\n{}\nRun '{program} {name} COMMAND --help' for more information on a command.\n",
        column(&lines)
    )
}

/// The first page.
#[must_use]
pub fn root(program: &str, hooks: &Hooks) -> String {
    let top = |name: &str| {
        COMMANDS.iter().find(|command| command.paths.contains(&name)).map(|command| first_line(command.about))
    };
    let common: Vec<(&str, &str)> = COMMON.iter().filter_map(|name| Some((*name, top(name)?))).collect();
    let mut groups = GROUPS.to_vec();
    groups.extend(hooks.programs.iter().map(|own| (own.name, own.about)));
    groups.sort_unstable();
    let mut rest: Vec<(&str, &str)> = COMMANDS
        .iter()
        .flat_map(|command| command.paths.iter().map(|path| (*path, first_line(command.about))))
        .filter(|(path, _)| !path.contains(' ') && !COMMON.contains(path))
        .collect();
    rest.sort_unstable();
    format!(
        "Usage:  {program} [OPTIONS] COMMAND\n\nA self-sufficient runtime for containers\n\nCommon Commands:\n{}\nManagement Commands:\n{}\nCommands:\n{}\nGlobal Options:\n{}\nRun '{program} COMMAND --help' for more information on a command.\n",
        column(&common),
        column(&groups),
        column(&rest),
        flag_block(&GLOBAL, columns())
    )
}

/// Lists show the first line of what a command is about.
fn first_line(about: &'static str) -> &'static str {
    about.lines().next().unwrap_or_default()
}

fn column(lines: &[(&str, &str)]) -> String {
    // Docker's column is wide enough for its longest command, `container`, and never narrower.
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0).max(11);
    lines.iter().map(|(name, about)| format!("  {name:<width$} {about}\n")).collect()
}

/// Columns of the terminal at stdin, as Docker asks for them.
fn columns() -> Option<usize> {
    termios::tcgetwinsize(std::io::stdin()).ok().map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(path: &str) -> &'static Command {
        COMMANDS.iter().find(|command| command.paths.contains(&path)).expect("a command")
    }

    #[test]
    fn a_page_is_laid_out_as_dockers() {
        let expected = "\
Usage:  docker logs [OPTIONS] CONTAINER

Fetch the logs of a container

Aliases:
  docker container logs, docker logs

Options:
      --details        Show extra details provided to logs
  -f, --follow         Follow log output
      --since string   Show logs since timestamp (e.g.
                       \"2013-01-02T13:23:37Z\") or relative (e.g. \"42m\"
                       for 42 minutes)
  -n, --tail string    Number of lines to show from the end of the logs
                       (default \"all\")
  -t, --timestamps     Show timestamps
      --until string   Show logs before a timestamp (e.g.
                       \"2013-01-02T13:23:37Z\") or relative (e.g. \"42m\"
                       for 42 minutes)
";
        assert_eq!(page("docker", "logs", find("logs"), None), expected);
    }

    #[test]
    fn lines_of_a_group_and_of_the_first_page() {
        assert!(group("gantry", "volume").starts_with(
            "Usage:  gantry volume COMMAND\n\nManage volumes\n\nCommands:\n  backup      Write a volume to an archive (tar, compressed with zstd; streamed to STDOUT by default)\n  clone       Make"
        ));
        let hooks = Hooks { programs: &[], start_daemon: || Ok(()), fsck: |_, _, _| Ok(String::new()) };
        let first = root("gantry", &hooks);
        assert!(first.contains("Common Commands:\n  run         Create and run a new container from an image\n"));
        assert!(first.contains("\n  container   Manage containers\n"));
    }

    #[test]
    fn names_are_unique() {
        let mut paths: Vec<&str> = COMMANDS.iter().flat_map(|command| command.paths.iter().copied()).collect();
        let count = paths.len();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), count);
        for command in COMMANDS {
            let flags: Vec<_> = command.flags.iter().copied().flatten().collect();
            for (at, flag) in flags.iter().enumerate() {
                let clash = flags[..at]
                    .iter()
                    .find(|other| other.name == flag.name || (flag.short.is_some() && other.short == flag.short));
                assert!(clash.is_none(), "{:?} --{}", command.paths, flag.name);
                let known = flag.same_as.is_empty() || flags.iter().any(|other| other.name == flag.same_as);
                assert!(known, "--{} stands for a flag that is not there", flag.name);
            }
        }
    }
}
