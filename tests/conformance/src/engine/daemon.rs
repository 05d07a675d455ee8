//! An engine in the virtual machine, and its clients.

use std::cell::RefCell;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use privileged_tests::http::Connection;
use serde_json::Value;

/// An emulated machine is slow; nothing that works takes this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the checks are done with.
#[derive(Clone, Debug, Default)]
pub struct Programs {
    /// `gantry`, with `gantry-monitor` beside it.
    pub gantry: PathBuf,
    /// A static busybox.
    pub busybox: PathBuf,
}

/// A running daemon.
#[derive(Debug)]
pub struct Daemon {
    programs: Programs,
    name: String,
    flags: Vec<String>,
    child: RefCell<Child>,
}

/// What a client said.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

// === impl Daemon ===

impl Daemon {
    /// Starts one on roots of its own, with the image `busybox`.
    pub fn start(programs: &Programs, name: &str, flags: &[&str]) -> Result<Self> {
        fs::create_dir_all(root(name))?;
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let child = RefCell::new(spawn(programs, name, &flags)?);
        let daemon = Self { programs: programs.clone(), name: name.to_owned(), flags, child };
        daemon.wait()?;
        daemon.import()?;
        Ok(daemon)
    }

    /// Another one, with the same programs.
    pub(super) fn another(&self, name: &str, flags: &[&str]) -> Result<Self> {
        Self::start(&self.programs, name, flags)
    }

    /// Kills it and starts it again.
    pub(super) fn crash(&self) -> Result<()> {
        self.child.borrow_mut().kill()?;
        self.child.borrow_mut().wait()?;
        *self.child.borrow_mut() = spawn(&self.programs, &self.name, &self.flags)?;
        self.wait()
    }

    fn wait(&self) -> Result<()> {
        until("the daemon answers", || {
            if let Some(status) = self.child.borrow_mut().try_wait()? {
                bail!("the daemon ended with {status}:\n{}", self.log());
            }
            let answer = Connection::with_version(&self.socket(), "").request("GET", "/_ping", None);
            Ok(answer.is_ok_and(|answer| answer.status == 200).then_some(()))
        })
    }

    fn import(&self) -> Result<()> {
        let tree = root(&self.name).join("image");
        fs::create_dir_all(tree.join("bin"))?;
        for directory in ["dev", "proc", "sys", "etc", "tmp", "mnt"] {
            fs::create_dir_all(tree.join(directory))?;
        }
        fs::write(tree.join("etc/passwd"), "root:x:0:0:root:/:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n")?;
        fs::write(tree.join("etc/group"), "root:x:0:\nuser:x:1000:\n")?;
        fs::copy(&self.programs.busybox, tree.join("bin/busybox"))?;
        let list = Command::new(&self.programs.busybox).arg("--list").output()?;
        for applet in String::from_utf8_lossy(&list.stdout).lines().filter(|name| *name != "busybox") {
            symlink("busybox", tree.join("bin").join(applet))?;
        }
        let archive = root(&self.name).join("image.tar");
        let tar = Command::new(&self.programs.busybox)
            .arg("tar")
            .args(["-c", "-f"])
            .arg(&archive)
            .arg("-C")
            .arg(&tree)
            .arg(".")
            .status()?;
        ensure!(tar.success(), "busybox tar failed");
        self.ok(&["import", "-c", "ENV PATH=/bin", &archive.display().to_string(), "busybox"])?;
        fs::remove_dir_all(&tree)?;
        fs::remove_file(&archive).context("removing the archive")
    }

    /// A command of busybox.
    pub(super) fn busybox(&self) -> Command {
        Command::new(&self.programs.busybox)
    }

    /// Path of the API socket.
    pub(super) fn socket(&self) -> PathBuf {
        root(&self.name).join("engine.sock")
    }

    /// What the daemon wrote.
    pub fn log(&self) -> String {
        fs::read_to_string(root(&self.name).join("daemon.log")).unwrap_or_default()
    }

    /// Runs Gantry's client.
    pub(super) fn run(&self, arguments: &[&str]) -> Result<Said> {
        self.client(&self.programs.gantry, arguments)
    }

    /// Runs a client.
    pub(super) fn client(&self, program: &Path, arguments: &[&str]) -> Result<Said> {
        let output = Command::new(program)
            .args(arguments)
            .env("DOCKER_HOST", format!("unix://{}", self.socket().display()))
            .env("HOME", "/tmp")
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("starting {}", program.display()))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        let code = output.status.code().unwrap_or(-1);
        Ok(Said { code, stdout: text(&output.stdout), stderr: text(&output.stderr) })
    }

    /// Runs the client and demands success; gives its output.
    pub(super) fn ok(&self, arguments: &[&str]) -> Result<String> {
        let said = self.run(arguments)?;
        ensure!(said.code == 0, "{arguments:?} ended with {}: {} {}", said.code, said.stdout, said.stderr);
        Ok(said.stdout)
    }

    /// Starts a container in the background that runs a script.
    pub(super) fn background(&self, name: &str, flags: &[&str], script: &str) -> Result<()> {
        let arguments = [&["run", "-d", "--name", name], flags, &["busybox", "sh", "-c", script]].concat();
        self.ok(&arguments).map(drop)
    }

    /// The output of a container that runs a script and is gone then.
    pub(super) fn script(&self, flags: &[&str], script: &str) -> Result<String> {
        self.ok(&[&["run", "--rm"], flags, &["busybox", "sh", "-c", script]].concat())
    }

    /// One value of `inspect`.
    pub(super) fn inspect(&self, name: &str, format: &str) -> Result<String> {
        self.ok(&["inspect", "-f", format, name])
    }

    /// Removes containers, with their volumes.
    pub(super) fn remove(&self, names: &[&str]) -> Result<()> {
        self.ok(&[&["rm", "-f", "-v"], names].concat()).map(drop)
    }

    /// Removes every container.
    pub(super) fn sweep(&self) {
        if let Ok(said) = self.run(&["ps", "-aq"]) {
            let ids: Vec<&str> = said.stdout.lines().collect();
            if !ids.is_empty() {
                drop(self.remove(&ids));
            }
        }
    }

    /// The answer to a request, whatever its status.
    pub(super) fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        let mut connection = Connection::with_version(&self.socket(), "/v1.51");
        let answer = connection.request(method, path, body).with_context(|| format!("{method} {path}"))?;
        Ok((answer.status, answer.json()))
    }

    /// The container's group.
    pub(super) fn group(&self, name: &str) -> Result<PathBuf> {
        let pid = self.inspect(name, "{{.State.Pid}}")?;
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).context("the container's group")?;
        let path = text.lines().find_map(|line| line.strip_prefix("0::")).context("no unified group")?;
        Ok(PathBuf::from(format!("/sys/fs/cgroup{path}")))
    }

    /// A control file of the container's group.
    pub(super) fn control(&self, name: &str, file: &str) -> Result<String> {
        let path = self.group(name)?.join(file);
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        Ok(text.trim().to_owned())
    }

    /// Demands values of control files.
    pub(super) fn controls(&self, name: &str, expected: &[(&str, &str)]) -> Result<()> {
        for (file, value) in expected {
            let found = self.control(name, file)?;
            ensure!(found == *value, "{file} is {found:?} instead of {value:?}");
        }
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.sweep();
        drop(self.child.borrow_mut().kill());
        drop(self.child.borrow_mut().wait());
    }
}

fn root(name: &str) -> PathBuf {
    Path::new("/var/lib").join(name)
}

fn spawn(programs: &Programs, name: &str, flags: &[String]) -> Result<Child> {
    let root = root(name);
    let log = File::options().create(true).append(true).open(root.join("daemon.log"))?;
    Command::new(&programs.gantry)
        .arg("daemon")
        .arg("--data-root")
        .arg(root.join("data"))
        .arg("--exec-root")
        .arg(Path::new("/run").join(name))
        .arg("--pidfile")
        .arg(root.join("daemon.pid"))
        .args(["-H", &format!("unix://{}", root.join("engine.sock").display())])
        .args(["--bridge-name", name, "--config-file", "/dev/null"])
        .args(flags)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("starting the daemon")
}

/// Waits for something, with a bound.
pub(super) fn until<T>(what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        ensure!(Instant::now() < deadline, "waited in vain: {what}");
        sleep(Duration::from_millis(50));
    }
}
