//! An engine under test on private roots: start, kill, restart, clean up.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use crate::client::{Client, Run};
use crate::fixtures::Fixture;
use crate::http::Connection;
use crate::options::{Engine, Options, gantry_binary};
use crate::terminal::Terminal;
use crate::wait::until;

/// A running engine. Dropping it removes its containers, ends it and deletes what it left.
pub struct Daemon {
    engine: Engine,
    directory: PathBuf,
    data_root: PathBuf,
    bridge: String,
    subnet: String,
    options: Options,
    child: Mutex<Option<Child>>,
    reaper: Mutex<Child>,
    loaded: Mutex<BTreeSet<&'static str>>,
}

static COUNTER: AtomicU32 = AtomicU32::new(0);

// === impl Daemon ===

impl Daemon {
    /// The engine shared by the tests of one file, with busybox loaded; ended when the test process ends.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Daemon> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(Options::default()))
    }

    /// Starts an engine, waits until it answers and loads the images asked for.
    pub fn start(options: Options) -> Self {
        let daemon = Self::prepare(options);
        daemon.launch();
        for fixture in daemon.options.images.clone() {
            daemon.image(fixture);
        }
        daemon
    }

    /// An engine whose directories exist but whose daemon was not started: see `launch`, `attempt`.
    pub fn prepare(options: Options) -> Self {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let directory = std::env::temp_dir().join(format!("gt{process}-{number}"));
        let bridge = options.bridge.clone().unwrap_or_else(|| format!("gt{process}x{number}"));
        let subnet = format!("10.{}.{}", 64 + (process / 32) % 128, (process % 32) * 8 + number % 8);
        for part in ["home", "data", "run"] {
            fs::create_dir_all(directory.join(part)).expect("a private directory");
        }
        if let Some(config) = &options.config {
            fs::write(directory.join("daemon.json"), config.to_string()).expect("the config file");
        }
        let reaper = Command::new("sh")
            .args(["-c", include_str!("reaper.sh"), "reaper"])
            .arg(&directory)
            .arg(&bridge)
            .env("SUBNET", format!("{subnet}.0/24"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group_zero()
            .spawn()
            .expect("the reaper starts");
        let data_root = options.data_root.clone().unwrap_or_else(|| directory.join("data"));
        Self {
            engine: options.engine.unwrap_or_else(Engine::under_test),
            directory,
            data_root,
            bridge,
            subnet,
            options,
            child: Mutex::new(None),
            reaper: Mutex::new(reaper),
            loaded: Mutex::default(),
        }
    }

    /// Starts the daemon process and waits until its API answers.
    pub fn launch(&self) {
        // Two dockerds that start in the same moment trip over each other's iptables chains.
        let attempts = if self.is_reference() { 4 } else { 1 };
        let started = (0..attempts).any(|_| {
            self.spawn();
            until("the engine answers", 30, || self.answers())
        });
        assert!(started, "the daemon ended\n{}", self.log());
    }

    /// Whether the daemon came up; none while that is open.
    fn answers(&self) -> Option<bool> {
        if let Some(child) = self.child.lock().unwrap().as_mut()
            && let Ok(Some(_)) = child.try_wait()
        {
            return Some(false);
        }
        let answer = Connection::with_version(&self.socket(), "").request("GET", "/_ping", None).ok()?;
        (answer.status == 200).then_some(true)
    }

    /// Starts a daemon that is expected to end by itself; gives its exit code and its output.
    pub fn attempt(&self) -> (i32, String) {
        self.spawn();
        let mut child = self.child.lock().unwrap().take().expect("just spawned");
        let code = until("the daemon ends", 30, || child.try_wait().expect("wait")).code().unwrap_or(-1);
        (code, self.log())
    }

    fn spawn(&self) {
        let mut command = match self.engine {
            Engine::Gantry => {
                let mut command = Command::new(self.options.binary.clone().unwrap_or_else(gantry_binary));
                command.arg("daemon");
                match self.options.bridge {
                    Some(_) => command.args(["-b", &self.bridge]),
                    None => command.args(["--bridge-name", &self.bridge, "--bip", &format!("{}.1/24", self.subnet)]),
                };
                command
            }
            Engine::Dockerd => {
                self.make_bridge();
                let program = self.options.binary.clone().unwrap_or_else(|| PathBuf::from("dockerd"));
                let mut command = Command::new(program);
                command.args(["--bridge", &self.bridge, "--live-restore"]);
                command
            }
        };
        if self.options.config.is_some() {
            command.arg("--config-file").arg(self.directory.join("daemon.json"));
        }
        let log =
            File::options().create(true).append(true).open(self.directory.join("daemon.out")).expect("daemon.out");
        let child = command
            .arg("--data-root")
            .arg(&self.data_root)
            .arg("--exec-root")
            .arg(self.exec_root())
            .args(["-H", &self.host()])
            .arg("--pidfile")
            .arg(self.directory.join("engine.pid"))
            .args(&self.options.flags)
            .env_remove("DOCKER_HOST")
            .env("HOME", self.directory.join("home"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("dup"))
            .stderr(log)
            .spawn()
            .expect("the daemon program is there: build it first (cargo xtask test does)");
        fs::write(self.directory.join("daemon.pid"), child.id().to_string()).expect("daemon.pid");
        *self.child.lock().unwrap() = Some(child);
    }

    fn make_bridge(&self) {
        let exists = Path::new("/sys/class/net").join(&self.bridge).exists();
        if !exists {
            for arguments in [
                format!("link add {} type bridge", self.bridge),
                format!("addr add {}.1/24 dev {}", self.subnet, self.bridge),
                format!("link set {} up", self.bridge),
            ] {
                let status = Command::new("ip").args(arguments.split(' ')).status().expect("ip runs");
                assert!(status.success(), "ip {arguments}");
            }
        }
    }

    /// Ends the daemon with SIGKILL; its containers are none of its business.
    pub fn kill(&self) {
        let mut child = self.child.lock().unwrap().take().expect("a running daemon");
        child.kill().expect("kill");
        child.wait().expect("wait");
    }

    /// Ends the daemon with SIGTERM; gives its exit code.
    pub fn stop(&self) -> i32 {
        let mut child = self.child.lock().unwrap().take().expect("a running daemon");
        let pid = child.id().to_string();
        assert!(Command::new("kill").arg(pid).status().expect("kill").success());
        until("the daemon ends", 30, || child.try_wait().expect("wait")).code().unwrap_or(-1)
    }

    /// `stop`, then `launch`.
    pub fn restart(&self) {
        self.stop();
        self.launch();
    }

    /// Which engine this is.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// True for the reference engine: for the few expectations in which Docker 20.10 differs.
    pub fn is_reference(&self) -> bool {
        self.engine == Engine::Dockerd
    }

    /// Path of the API socket.
    pub fn socket(&self) -> PathBuf {
        self.directory.join("engine.sock")
    }

    /// The socket as clients write it.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// The data root.
    pub fn data_root(&self) -> &Path {
        &self.data_root
    }

    /// The exec root.
    pub fn exec_root(&self) -> PathBuf {
        self.directory.join("run")
    }

    /// A directory for the test's own files; deleted with the engine.
    pub fn scratch(&self, name: &str) -> PathBuf {
        let path = self.directory.join("scratch").join(name);
        fs::create_dir_all(&path).expect("a scratch directory");
        path
    }

    /// The default bridge's device name.
    pub fn bridge(&self) -> &str {
        &self.bridge
    }

    /// The host's address on the default bridge.
    pub fn gateway(&self) -> String {
        format!("{}.1", self.subnet)
    }

    /// Process id of the daemon.
    pub fn pid(&self) -> u32 {
        self.child.lock().unwrap().as_ref().expect("a running daemon").id()
    }

    /// What the daemon wrote to stdout and stderr.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("daemon.out")).unwrap_or_default()
    }

    /// The stock `docker` CLI.
    pub fn stock(&self) -> Client {
        self.client("docker", PathBuf::from("docker"))
    }

    /// Every client that a row is checked with: the stock CLI and, on Gantry, Gantry's own.
    pub fn clients(&self) -> Vec<Client> {
        let mut clients = vec![self.stock()];
        if self.engine == Engine::Gantry {
            let program = self.options.binary.clone().unwrap_or_else(gantry_binary);
            clients.push(self.client("gantry", program));
        }
        clients
    }

    /// Runs the stock CLI.
    pub fn docker(&self, arguments: &[&str]) -> Run {
        self.stock().run(arguments)
    }

    /// Runs Gantry's own client; on the reference engine the stock CLI.
    pub fn gantry(&self, arguments: &[&str]) -> Run {
        self.clients().last().expect("at least the stock CLI").run(arguments)
    }

    /// Runs a client on a pseudo terminal of 24 rows and 80 columns.
    pub fn terminal(&self, client: &Client, arguments: &[&str]) -> Terminal {
        Terminal::start(client, arguments)
    }

    /// A new API connection.
    pub fn api(&self) -> Connection {
        Connection::new(&self.socket())
    }

    /// Loads a fixture image unless it was loaded before; gives its reference.
    pub fn image(&self, fixture: Fixture) -> &'static str {
        let mut loaded = self.loaded.lock().unwrap();
        if !loaded.contains(fixture.reference()) {
            let archive = fixture.archive().unwrap_or_else(|error| panic!("{error:#}"));
            self.docker(&["load", "-q", "-i", &archive.display().to_string()]).exits(0);
            loaded.insert(fixture.reference());
        }
        fixture.reference()
    }

    /// A container name nobody else in this process uses.
    pub fn name(&self, stem: &str) -> String {
        format!("{stem}-{}", COUNTER.fetch_add(1, Ordering::Relaxed))
    }

    /// Starts a detached busybox container that runs a shell script; gives its name.
    pub fn background(&self, stem: &str, script: &str) -> String {
        let name = self.name(stem);
        self.docker(&["run", "-d", "--name", &name, "busybox", "sh", "-c", script]).exits(0);
        name
    }

    /// One value of `docker inspect -f`.
    pub fn inspect(&self, object: &str, format: &str) -> String {
        self.docker(&["inspect", "-f", format, object]).ok().to_owned()
    }

    /// Host process id of a container.
    pub fn container_pid(&self, name: &str) -> u32 {
        self.inspect(name, "{{.State.Pid}}").parse().expect("a pid")
    }

    /// Relative paths below a directory, at most `depth` levels deep, for before-and-after comparisons.
    pub fn listing(&self, directory: &Path, depth: usize) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        list(directory, directory, depth, &mut found);
        found
    }

    /// What must be the same before and after an operation that failed: images, layers, containers, temporary files.
    pub fn traces(&self) -> BTreeSet<String> {
        self.settle();
        let mut all = BTreeSet::new();
        for part in ["image", "overlay2", "containers", "volumes", "tmp"] {
            let depth = if part == "image" { 7 } else { 1 };
            let below = self.listing(&self.data_root.join(part), depth);
            all.extend(below.into_iter().map(|path| format!("{part}/{path}")));
        }
        // What all containers share comes with the first one, and stays.
        all.remove("overlay2/shared-init");
        all
    }

    /// Waits until what was removed is off the disk, and what was made is on it: Gantry does both behind the answer.
    fn settle(&self) {
        let places =
            ["removed/0", "removed/1", "unsynced"].map(|name| self.data_root.join("image/overlay2").join(name));
        let empty = |place: &PathBuf| fs::read_dir(place).map_or(true, |mut entries| entries.next().is_none());
        until("the disk is as the daemon wants it", 60, || places.iter().all(empty).then_some(()));
    }

    fn client(&self, name: &'static str, program: PathBuf) -> Client {
        Client { name, program, host: self.host(), home: self.directory.join("home") }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(30).collect();
            eprintln!("--- end of the daemon's log");
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
        let mut reaper = self.reaper.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        drop(reaper.stdin.take());
        let child = self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        // The reaper has ended the daemon before it ends itself; both waits only collect exit statuses.
        if let Some(mut child) = child {
            let _ = child.wait();
        }
        let _ = reaper.wait();
    }
}

fn list(root: &Path, directory: &Path, depth: usize, found: &mut BTreeSet<String>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        found.insert(path.strip_prefix(root).expect("below the root").display().to_string());
        if depth > 1 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            list(root, &path, depth - 1, found);
        }
    }
}

/// Puts the reaper out of reach of the terminal's interrupt key.
trait OwnGroup {
    fn process_group_zero(&mut self) -> &mut Self;
}

impl OwnGroup for Command {
    fn process_group_zero(&mut self) -> &mut Self {
        use std::os::unix::process::CommandExt as _;
        self.process_group(0)
    }
}
