//! `gantry-runtime`: the OCI runtime on the command line that engines drive.

fn main() -> std::process::ExitCode {
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
    gantry_runtime::run(&arguments)
}
