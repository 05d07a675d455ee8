//! One run of a command-line client and what came out of it.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A command-line client bound to one engine's socket.
#[derive(Clone, Debug)]
pub struct Client {
    /// `docker` (the stock CLI) or `gantry`; used in failure messages.
    pub name: &'static str,
    /// The program that is run.
    pub program: PathBuf,
    /// Value of `DOCKER_HOST` (and `GANTRY_HOST`).
    pub host: String,
    /// Home directory, so that no user's client configuration takes part.
    pub home: PathBuf,
}

/// The result of one client command.
#[derive(Clone, Debug)]
pub struct Run {
    /// The whole command line, for messages.
    pub command: String,
    /// Exit code; 128 + signal when the client itself was killed.
    pub code: i32,
    /// Everything on stdout.
    pub stdout: String,
    /// Everything on stderr.
    pub stderr: String,
    /// Wall time from spawn to exit.
    pub elapsed: Duration,
}

// === impl Client ===

impl Client {
    /// Runs the client with no stdin; a command that hangs is ended after 120 s with code 124.
    pub fn run(&self, arguments: &[&str]) -> Run {
        self.run_with_input(arguments, &[])
    }

    /// Runs the client and feeds it `input` on stdin.
    pub fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Run {
        let mut command = self.command(arguments);
        command.stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() });
        finish(command, arguments, input)
    }

    /// Runs the client with a file as its stdin.
    pub fn run_with_file(&self, arguments: &[&str], file: std::fs::File) -> Run {
        let mut command = self.command(arguments);
        command.stdin(file);
        finish(command, arguments, &[])
    }

    /// The command with environment set, bounded by `timeout`, for callers that drive it themselves.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command.args(["-k", "5", "120"]).arg(&self.program).args(arguments);
        self.environment(&mut command);
        command
    }

    /// Points a command at this engine and away from the user's configuration.
    pub fn environment(&self, command: &mut Command) {
        command
            .env("DOCKER_HOST", &self.host)
            .env("GANTRY_HOST", &self.host)
            .env("HOME", &self.home)
            .env("DOCKER_CLI_HINTS", "false")
            .env_remove("DOCKER_CONTEXT")
            .env_remove("DOCKER_CONFIG")
            .env_remove("DOCKER_API_VERSION")
            .env_remove("DOCKER_TLS_VERIFY");
    }
}

fn finish(mut command: Command, arguments: &[&str], input: &[u8]) -> Run {
    let text = format!(
        "{} {}",
        command.get_args().nth(3).map_or_else(String::new, |program| program.to_string_lossy().into_owned()),
        arguments.join(" ")
    );
    let begin = Instant::now();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the client starts");
    let stdin = child.stdin.take();
    let output = std::thread::scope(|scope| {
        if let Some(mut stdin) = stdin {
            // A client that does not read its stdin closes the pipe: that is not a failure of the test.
            scope.spawn(move || {
                let _ = stdin.write_all(input);
            });
        }
        child.wait_with_output().expect("the client is waited for")
    });
    use std::os::unix::process::ExitStatusExt as _;
    let status = output.status;
    Run {
        command: text,
        code: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default()),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        elapsed: begin.elapsed(),
    }
}

// === impl Run ===

impl Run {
    /// Demands exit code 0 and gives stdout without surrounding blanks.
    #[track_caller]
    pub fn ok(&self) -> &str {
        self.exits(0);
        self.stdout.trim()
    }

    /// Demands an exit code.
    #[track_caller]
    pub fn exits(&self, code: i32) -> &Self {
        assert!(self.code == code, "expected exit code {code}\n{self}");
        self
    }

    /// Demands a text on stderr.
    #[track_caller]
    pub fn says(&self, text: &str) -> &Self {
        assert!(self.stderr.contains(text), "stderr lacks {text:?}\n{self}");
        self
    }

    /// Stdout's lines without trailing blanks.
    pub fn lines(&self) -> Vec<&str> {
        self.stdout.lines().map(str::trim_end).collect()
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "$ {}   -> {} after {:?}", self.command, self.code, self.elapsed)?;
        writeln!(f, "--- stdout\n{}", self.stdout)?;
        write!(f, "--- stderr\n{}", self.stderr)
    }
}
