//! Engines behind `ssh://`: ssh runs `docker system dial-stdio` there, and its input and output are the connection.

use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{ChildStderr, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

use crate::Error;

/// What is kept of ssh's complaints.
const COMPLAINTS: u64 = 8 * 1024;

/// A host reached by ssh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshHost {
    /// Who to be there; empty for ssh's own choice.
    pub user: String,
    /// Name, address, or an alias of ssh's configuration.
    pub name: String,
    /// Port; `None` for ssh's own choice.
    pub port: Option<u16>,
    /// Socket of the engine there; empty for the default one.
    pub socket: String,
}

/// An ssh that runs.
pub(crate) struct Ssh {
    command: String,
    watcher: JoinHandle<(io::Result<ExitStatus>, String)>,
}

// === impl SshHost ===

impl SshHost {
    /// The command line after `ssh`. A name cannot be taken for an option: it stands behind `--`.
    fn arguments(&self) -> Vec<String> {
        let mut arguments: Vec<String> =
            ["-o", "ConnectTimeout=30", "-o", "BatchMode=yes", "-T"].map(str::to_owned).into();
        if !self.user.is_empty() {
            arguments.extend(["-l".to_owned(), self.user.clone()]);
        }
        if let Some(port) = self.port {
            arguments.extend(["-p".to_owned(), port.to_string()]);
        }
        arguments.extend(["--".to_owned(), self.name.clone(), "docker".to_owned()]);
        if !self.socket.is_empty() {
            // The shell over there reads it once more.
            arguments.push(format!("--host=unix://{}", quoted(&self.socket)));
        }
        arguments.extend(["system".to_owned(), "dial-stdio".to_owned()]);
        arguments
    }

    /// Starts ssh.
    pub(crate) fn dial(&self) -> io::Result<(tokio::net::UnixStream, Ssh)> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let input = OwnedFd::from(theirs.try_clone()?);
        let arguments = self.arguments();
        let mut child = Command::new("ssh")
            .args(&arguments)
            .stdin(Stdio::from(input))
            .stdout(Stdio::from(OwnedFd::from(theirs)))
            .stderr(Stdio::piped())
            // Ctrl-C is for the container, not for the connection.
            .process_group(0)
            .spawn()?;
        let stderr = child.stderr.take();
        let watcher = std::thread::spawn(move || {
            let complaints = stderr.map(read_complaints).unwrap_or_default();
            (child.wait(), complaints)
        });
        let stream = tokio::net::UnixStream::from_std(ours)?;
        Ok((stream, Ssh { command: format!("ssh {}", arguments.join(" ")), watcher }))
    }
}

fn read_complaints(mut stderr: ChildStderr) -> String {
    let mut kept = Vec::new();
    let _ = stderr.by_ref().take(COMPLAINTS).read_to_end(&mut kept);
    // What comes after is read all the same: ssh must not block on it.
    let _ = io::copy(&mut stderr, &mut io::sink());
    String::from_utf8_lossy(&kept).trim().to_owned()
}

/// For a POSIX shell.
fn quoted(text: &str) -> String {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte));
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

// === impl Ssh ===

impl Ssh {
    /// Why the connection ended before it answered. Waits for ssh, whose output is closed.
    pub(crate) fn failure(self) -> Error {
        let (status, complaints) = match self.watcher.join() {
            Ok((Ok(status), complaints)) => (status.to_string(), complaints),
            Ok((Err(error), complaints)) => (error.to_string(), complaints),
            Err(_) => (String::new(), String::new()),
        };
        Error::Ssh { command: self.command, status, complaints }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_dockers() {
        let host = SshHost { user: "me".to_owned(), name: "-h".to_owned(), port: Some(22), socket: "/a b".to_owned() };
        assert_eq!(
            host.arguments().join(" "),
            "-o ConnectTimeout=30 -o BatchMode=yes -T -l me -p 22 -- -h docker --host=unix://'/a b' system dial-stdio"
        );
    }
}
