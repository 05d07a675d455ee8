//! The command line alone, without a daemon inside: for trying it against any engine.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args();
    let program = args.next().unwrap_or_default();
    let args: Vec<String> = args.collect();
    let environment = cli::Environment::new(std::env::vars_os());
    let hooks = cli::Hooks {
        programs: &[],
        start_daemon: || Err("this example has no daemon inside".into()),
        fsck: |_, _, _| Err("this example has no daemon inside".into()),
    };
    cli::main(&program, &args, &environment, &hooks)
}
