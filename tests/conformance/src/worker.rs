//! Processes that live in the groups under test: started by a check, told what to do line by line.
//!
//! The conversation: the check writes a line, the worker answers with one line. It ends with its standard input.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use runtime::cgroup::{Cgroup, Layout};
use runtime::seccomp::{self, Host};
use rustix::io::Errno;

/// A running worker, seen from the check.
#[derive(Debug)]
pub struct Worker {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

// === impl Worker ===

impl Worker {
    /// Starts this program again as a worker.
    pub fn start() -> Result<Self> {
        let mut child = Command::new("/proc/self/exe")
            .arg("worker")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting a worker")?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("a worker without output")?);
        Ok(Self { child, input, output })
    }

    /// Starts one inside a group.
    pub fn start_in(group: &Cgroup) -> Result<Self> {
        let worker = Self::start()?;
        group.join(worker.pid())?;
        Ok(worker)
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Tells it something, without waiting for the answer.
    pub fn tell(&mut self, line: &str) -> Result<()> {
        let input = self.input.as_mut().context("the worker was told to end")?;
        writeln!(input, "{line}").context("writing to the worker")
    }

    /// Waits for one line.
    pub fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line).context("reading from the worker")?;
        if line.is_empty() {
            bail!("the worker ended");
        }
        Ok(line.trim_end().to_owned())
    }

    /// Tells it something and waits for the answer.
    pub fn ask(&mut self, line: &str) -> Result<String> {
        self.tell(line)?;
        self.answer()
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        self.input = None;
        self.child.wait().context("waiting for the worker")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What the started program does.
#[allow(clippy::print_stdout)]
pub fn main() -> Result<()> {
    let mut children = Vec::new();
    let mut memory: Vec<Vec<u8>> = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match words.as_slice() {
            ["ping"] => "pong".to_owned(),
            ["allocate", mebibytes] => {
                memory.push(vec![1u8; mebibytes.parse::<usize>()? << 20]);
                "done".to_owned()
            }
            ["spin", milliseconds] => spin(Duration::from_millis(milliseconds.parse()?)),
            ["fork", count] => fork(count.parse()?, &mut children),
            ["open", mode, path] => open(mode, Path::new(path)),
            ["mknod", major, minor, path] => mknod(major.parse()?, minor.parse()?, Path::new(path)),
            ["cpus"] => allowed_cpus("/proc/self/status")?,
            ["enter", layout, path] => enter(layout, path)?,
            ["groups"] => std::fs::read_to_string("/proc/self/cgroup")?.replace('\n', ";"),
            ["seccomp"] => load_default_filter()?,
            ["probe", what] => probe(what),
            other => bail!("unknown request {other:?}"),
        };
        println!("{answer}");
    }
    for child in &mut children {
        end(child);
    }
    Ok(())
}

/// `Cpus_allowed_list` of a status file.
pub fn allowed_cpus(status: &str) -> Result<String> {
    let text = std::fs::read_to_string(status)?;
    let line = text.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    Ok(line.context("no Cpus_allowed_list")?.trim().to_owned())
}

fn end(child: &mut Child) {
    drop(child.kill());
    drop(child.wait());
}

fn spin(time: Duration) -> String {
    let start = Instant::now();
    let mut rounds = 0u64;
    while start.elapsed() < time {
        rounds = std::hint::black_box(rounds + 1);
    }
    "done".to_owned()
}

/// How many children could be started; they stay.
fn fork(count: usize, children: &mut Vec<Child>) -> String {
    let mut started = 0;
    for _ in 0..count {
        let child = Command::new("/proc/self/exe").arg("worker").stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
        match child {
            Ok(child) => children.push(child),
            Err(error) => return format!("{started} {}", error.raw_os_error().unwrap_or(0)),
        }
        started += 1;
    }
    format!("{started} 0")
}

fn open(mode: &str, path: &Path) -> String {
    let result = OpenOptions::new().read(mode.contains('r')).write(mode.contains('w')).open(path);
    result.map_or_else(|error| error.raw_os_error().unwrap_or(0).to_string(), |_| "ok".to_owned())
}

fn mknod(major: u32, minor: u32, path: &Path) -> String {
    let device = rustix::fs::makedev(major, minor);
    let made = rustix::fs::mknodat(
        rustix::fs::CWD,
        path,
        rustix::fs::FileType::CharacterDevice,
        rustix::fs::Mode::from_raw_mode(0o600),
        device,
    );
    drop(std::fs::remove_file(path));
    errno(made)
}

/// Enters a group the way a new process does.
fn enter(layout: &str, path: &str) -> Result<String> {
    let mut observed = Layout::observe()?;
    if let ("legacy-only", Layout::Legacy(legacy)) = (layout, &mut observed) {
        legacy.unified = None;
    }
    let entry = Cgroup::open_in(observed, path)?.entry()?;
    entry.enter()?;
    entry.enter_unified()?;
    Ok("done".to_owned())
}

fn load_default_filter() -> Result<String> {
    let profile = seccomp::default_profile(Host::here(&[]));
    let program = seccomp::compile(&profile)?;
    seccomp::load(&program, seccomp::load_flags(&profile)?)?;
    Ok("done".to_owned())
}

/// One system call; its errno or `ok`.
fn probe(what: &str) -> String {
    use rustix::net::{AddressFamily, SocketType, socket};
    let family = |raw| socket(AddressFamily::from_raw(raw), SocketType::STREAM, None).map(drop);
    let result = match what {
        "mount" => rustix::mount::mount("none", "/proc/self/none", "tmpfs", rustix::mount::MountFlags::empty(), None),
        "hostname" => rustix::system::sethostname(b"never"),
        "chroot" => rustix::process::chroot("/proc/self/none"),
        "vsock" => family(40),
        "alg" => family(38),
        "unix" => family(1),
        "getpid" => {
            let _ = rustix::process::getpid();
            Ok(())
        }
        _ => Err(Errno::INVAL),
    };
    errno(result)
}

fn errno(result: Result<(), Errno>) -> String {
    result.map_or_else(|error| error.raw_os_error().to_string(), |()| "ok".to_owned())
}
