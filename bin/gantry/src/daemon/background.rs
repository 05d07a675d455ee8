//! A daemon seen from outside: started in the background when none listens, and stopped.

use std::error::Error;
use std::fs::File;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::options::Options;
use super::sockets::DOCKER_SOCKET;
use super::values::Host;

/// How long a daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Lines of the log that explain a failed start.
const LAST_WORDS: usize = 5;

/// Starts a daemon with default settings and waits until it answers on the default socket. Its log is
/// `daemon.log` in the exec root.
pub(crate) fn start_in_background() -> Result<(), Box<dyn Error>> {
    let exec_root = Path::new(cli::DEFAULT_SOCKET).parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(exec_root)?;
    let log = exec_root.join("daemon.log");
    let output = File::options().create(true).append(true).open(&log)?;
    let this = std::env::current_exe()?;
    let mut daemon = Command::new(this)
        .arg0_gantry()
        .args(["daemon", "--detached"])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()?;
    wait_for(&mut daemon, Path::new(cli::DEFAULT_SOCKET), &log).map_err(Into::into)
}

/// The program may have been called by another of its names; the daemon must not be.
trait Arg0 {
    fn arg0_gantry(&mut self) -> &mut Self;
}

impl Arg0 for Command {
    fn arg0_gantry(&mut self) -> &mut Self {
        use std::os::unix::process::CommandExt as _;
        self.arg0("gantry")
    }
}

fn wait_for(daemon: &mut Child, socket: &Path, log: &Path) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if UnixStream::connect(socket).is_ok() {
            return Ok(());
        }
        if let Some(status) = daemon.try_wait()? {
            bail!("the daemon did not start ({status}); the end of {}:\n{}", log.display(), last_words(log));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    bail!("the daemon does not answer; see {}", log.display())
}

fn last_words(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_WORDS)..].join("\n")
}

/// Ends the daemon of these roots, after its containers when asked.
pub(super) fn stop(options: &Options, containers: bool) -> anyhow::Result<()> {
    let pid = read_pid(&options.pidfile)?;
    let process = pidfd_open(pid, PidfdFlags::empty()).context("the daemon is not running")?;
    if containers {
        stop_containers(&socket(options)?)?;
    }
    pidfd_send_signal(&process, Signal::TERM).context("ask the daemon to end")?;
    let mut ended = [rustix::event::PollFd::new(&process, rustix::event::PollFlags::IN)];
    let patience = rustix::event::Timespec { tv_sec: PATIENCE.as_secs().cast_signed(), tv_nsec: 0 };
    if rustix::event::poll(&mut ended, Some(&patience))? == 0 {
        bail!("the daemon (pid {}) does not end", pid.as_raw_nonzero());
    }
    Ok(())
}

fn read_pid(pidfile: &Path) -> anyhow::Result<Pid> {
    let missing = || format!("no daemon is running here: cannot read {}", pidfile.display());
    let text = std::fs::read_to_string(pidfile).with_context(missing)?;
    let pid = text.trim().parse().ok().and_then(Pid::from_raw);
    pid.with_context(|| format!("{} holds no process id", pidfile.display()))
}

fn socket(options: &Options) -> anyhow::Result<PathBuf> {
    let unix = options.hosts.iter().find_map(|host| match host {
        Host::Unix(path) if path.as_os_str().is_empty() => Some(PathBuf::from(DOCKER_SOCKET)),
        Host::Unix(path) => Some(path.clone()),
        Host::Tcp { .. } | Host::Inherited(_) => None,
    });
    Ok(unix.unwrap_or_else(|| options.exec_root.join("gantry.sock")))
}

/// Through the command line, which speaks the API already: every running container is stopped.
fn stop_containers(socket: &Path) -> anyhow::Result<()> {
    let gantry = || -> anyhow::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg0_gantry().arg("-H").arg(format!("unix://{}", socket.display()));
        Ok(command)
    };
    let listed = gantry()?.args(["ps", "-q", "--no-trunc"]).output().context("list the running containers")?;
    if !listed.status.success() {
        bail!("list the running containers: {}", String::from_utf8_lossy(&listed.stderr).trim());
    }
    let ids = String::from_utf8(listed.stdout)?;
    if ids.trim().is_empty() {
        return Ok(());
    }
    let stopped = gantry()?.arg("stop").args(ids.split_whitespace()).stdout(Stdio::null()).status()?;
    if stopped.success() { Ok(()) } else { bail!("some containers did not stop") }
}
