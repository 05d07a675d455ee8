//! The monitor of one container; called as `docker-init` it is the container's first process instead.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    match arguments.next() {
        Some(program) if monitor::init::is_called(&program) => monitor::init::main(arguments),
        _ => monitor::main(),
    }
}
