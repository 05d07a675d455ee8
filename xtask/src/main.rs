//! The project's own tools: `cargo xtask <command>`.
//!
//! | command                                  | does                                                       |
//! |------------------------------------------|------------------------------------------------------------|
//! | `check`                                  | format, lints, layer law, sizes, unsafe, licences          |
//! | `test [filter]`                          | builds everything the tests need and runs them             |
//! | `features`                               | which rows of `docs/dev/features.txt` the last run proved  |
//! | `fixtures`                               | builds the fixture images only                             |
//! | `fuzz [SECONDS]`                         | feeds the parsers with what nobody would write             |
//! | `bench [--against SOCKET] [--runs N]`    | measures an optimised build, beside another engine         |
//! | `soak [N]`                               | repeats the crash tests                                    |
//! | `soak disk-crash [N]`                    | kills the daemon while containers, images and volumes change |
//! | `soak network-crash [N]`                 | kills the daemon while networks change                     |
//! | `soak network-cycles [N]`                | makes and removes N networks; nothing of them may stay     |
//! | `soak networks [N M CLIENTS]`            | makes and removes N networks of M containers at once       |
//! | `soak load [CONTAINERS CLIENTS SECONDS]` | many containers and many clients, on an optimised build    |
//! | `diff [SCRIPT]`                          | compares the API's answers with those of Debian's dockerd  |
//! | `suite NAME [--only ENGINE] [TEXT]`      | test suites that others wrote, beside Docker               |
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod cargo;
mod check;
mod diff;
mod features;
mod fuzz;
mod load;
mod networks;
mod soak;
mod soak_crash;
mod suite;
mod test;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "usage: cargo xtask check | test [filter] | features | fixtures | fuzz [SECONDS] | \
                     bench [--against SOCKET|dockerd] [--runs N] [--many N] [--only NAME,NAME] | soak [N] | soak load [N N N] | soak disk-crash [N] | soak network-crash [N] | soak network-cycles [N] | soak networks [N M CLIENTS] | diff [SCRIPT] | \
                     suite docker-py|bollard [--only ENGINE] [TEXT]";

fn main() -> ExitCode {
    match dispatch() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((command, rest)) = arguments.split_first() else { bail!(USAGE) };
    match command.as_str() {
        "check" => check::run(),
        "test" => test::run(rest),
        "features" => features::run(),
        "fixtures" => test::fixtures(),
        "bench" => bench::run(rest),
        "fuzz" => fuzz::run(rest),
        "soak" => soak::run(rest),
        "diff" => diff::run(rest),
        "suite" => suite::run(rest),
        _ => bail!(USAGE),
    }
}
