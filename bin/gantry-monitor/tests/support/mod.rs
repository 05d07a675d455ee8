//! A busybox container under the real monitor, driven as the daemon drives it.

#![allow(clippy::unwrap_used, clippy::print_stderr, dead_code)]

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use monitor::client::{self, Spawned};
use monitor::protocol::{self, AttachOptions, ExitRecord, LogPlan, Reply, Request, RootfsPlan, StartPlan};
use runtime::spec::{self, Process, Spec, defaults};
use sys::seqpacket::SeqPacket;

/// A directory for one container, with a root file system.
pub struct Bundle {
    pub directory: tempfile::TempDir,
    pub id: String,
}

/// A started container.
pub struct Running {
    pub bundle: Bundle,
    pub spawned: Spawned,
    pub pid: i32,
}

impl Bundle {
    /// `None`, visibly, where containers cannot be made.
    pub fn new(test: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIP {test}: needs root");
            return None;
        }
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let id = format!("{:0>64}", format!("c{:x}{number:04x}", std::process::id()));
        let directory = tempfile::Builder::new().prefix("gantry-monitor-").tempdir().unwrap();
        let root = directory.path().join("rootfs");
        for name in ["bin", "proc", "dev", "sys", "tmp", "etc"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        std::fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
        for applet in ["sh", "cat", "echo", "sleep", "seq", "yes", "head", "stty", "kill", "tty", "dd", "true", "ls"] {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(applet)).unwrap();
        }
        std::fs::create_dir(directory.path().join("run")).unwrap();
        Some(Self { directory, id })
    }

    pub fn run_dir(&self) -> PathBuf {
        self.directory.path().join("run")
    }

    pub fn log(&self) -> PathBuf {
        self.directory.path().join("x-json.log")
    }

    pub fn logged(&self) -> String {
        let query = logs::Query { framed: false, ..logs::Query::default() };
        let mut reader = logs::Reader::open(&self.log(), logs::Format::Json, query, None).unwrap();
        let mut out = Vec::new();
        while reader.next_chunk(&mut out).unwrap() == logs::ChunkState::Data {}
        String::from_utf8(out).unwrap()
    }

    pub fn plan(&self, arguments: &[&str]) -> StartPlan {
        let linux = spec::Linux {
            namespaces: defaults::namespaces(),
            cgroups_path: format!("/gantry-test-{}", self.id),
            resources: Some(spec::Resources { devices: defaults::device_rules(), ..spec::Resources::default() }),
            ..spec::Linux::default()
        };
        let spec = Spec {
            oci_version: "1.2.0".to_owned(),
            process: Some(process(arguments, false)),
            mounts: defaults::mounts(64 << 20),
            linux: Some(linux),
            ..Spec::default()
        };
        StartPlan {
            container_id: self.id.clone(),
            run_dir: self.run_dir(),
            spec,
            seccomp: None,
            rootfs: RootfsPlan { path: self.directory.path().join("rootfs"), mounts: Vec::new() },
            log: LogPlan { file: Some(logs::FileOptions::new(self.log(), logs::Format::Json)), ..LogPlan::default() },
            tty: false,
            size: (0, 0),
            open_stdin: false,
            stdin_once: false,
            init: false,
            attached: Vec::new(),
        }
    }

    pub fn terminal_plan(&self, arguments: &[&str]) -> StartPlan {
        let mut plan = StartPlan { tty: true, size: (25, 80), open_stdin: true, ..self.plan(arguments) };
        plan.spec.process = Some(process(arguments, true));
        plan
    }

    /// Starts the container, with clients attached from the beginning.
    pub fn start(self, mut plan: StartPlan, attach: &[AttachOptions]) -> (Running, Vec<UnixStream>) {
        let spawned = spawn();
        let (ours, theirs): (Vec<_>, Vec<_>) = attach.iter().map(|_| UnixStream::pair().unwrap()).unzip();
        plan.attached = attach.to_vec();
        let fds: Vec<_> = theirs.iter().map(AsFd::as_fd).collect();
        protocol::send(&spawned.socket, &Request::Start(Box::new(plan)), &fds).unwrap();
        drop(theirs);
        let Reply::Started { pid, start_time } = receive(&spawned.socket) else { panic!("not started") };
        assert!(start_time > 0);
        (Running { bundle: self, spawned, pid }, ours)
    }

    /// Starts what cannot start.
    pub fn fail(&self, plan: StartPlan) -> protocol::Failure {
        let mut spawned = spawn();
        protocol::send(&spawned.socket, &Request::Start(Box::new(plan)), &[]).unwrap();
        match receive(&spawned.socket) {
            Reply::Failed(failure) => {
                assert!(!spawned.child.wait().unwrap().success());
                failure
            }
            other => panic!("{other:?}"),
        }
    }
}

impl Running {
    pub fn ask(&self, request: &Request, fds: &[std::os::fd::BorrowedFd<'_>]) -> (Reply, Vec<OwnedFd>) {
        protocol::send(&self.spawned.socket, request, fds).unwrap();
        receive_with(&self.spawned.socket)
    }

    pub fn exec(&self, exec_id: &str, arguments: &[&str], stdout: OwnedFd) -> Reply {
        let null = File::open("/dev/null").unwrap();
        let plan = protocol::ExecPlan {
            exec_id: exec_id.to_owned(),
            process: process(arguments, false),
            seccomp: None,
            tty: false,
            size: (0, 0),
        };
        self.ask(&Request::Exec(Box::new(plan)), &[null.as_fd(), stdout.as_fd(), null.as_fd()]).0
    }

    pub fn kill(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_raw(self.pid).unwrap(), signal).unwrap();
    }

    /// Waits for the end and checks that the record says the same.
    pub fn end(mut self) -> (Bundle, ExitRecord) {
        let record = loop {
            match receive(&self.spawned.socket) {
                Reply::Exited(record) => break record,
                Reply::ExecExited { .. } | Reply::OutOfMemory { .. } => {}
                other => panic!("{other:?}"),
            }
        };
        let run_dir = self.bundle.run_dir();
        assert_eq!(client::exit_record(&run_dir).unwrap(), Some(record.clone()));
        assert!(self.spawned.child.wait().unwrap().success());
        assert!(!run_dir.join(protocol::CONTROL_SOCKET).exists());
        assert_eq!(client::monitor_record(&run_dir).unwrap(), None);
        assert!(!Path::new("/sys/fs/cgroup/memory").join(format!("gantry-test-{}", self.bundle.id)).exists());
        (self.bundle, record)
    }
}

pub fn process(arguments: &[&str], terminal: bool) -> Process {
    let capabilities: Vec<String> = defaults::CAPABILITIES.iter().map(|&name| name.to_owned()).collect();
    Process {
        terminal,
        args: arguments.iter().map(|&argument| argument.to_owned()).collect(),
        env: vec!["PATH=/bin".to_owned(), "TERM=xterm".to_owned()],
        cwd: "/".into(),
        capabilities: Some(spec::Capabilities {
            bounding: capabilities.clone(),
            effective: capabilities.clone(),
            permitted: capabilities,
            ..spec::Capabilities::default()
        }),
        ..Process::default()
    }
}

pub fn spawn() -> Spawned {
    client::spawn(Path::new(env!("CARGO_BIN_EXE_gantry-monitor")), None).unwrap()
}

pub fn receive(socket: &SeqPacket) -> Reply {
    receive_with(socket).0
}

pub fn receive_with(socket: &SeqPacket) -> (Reply, Vec<OwnedFd>) {
    protocol::receive(socket, &mut Vec::new()).unwrap()
}

/// Reads until the text has come, or fails after five seconds.
pub fn expect(client: &mut UnixStream, text: &str) -> String {
    use std::io::Read as _;
    client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut seen = Vec::new();
    let mut bytes = [0; 4096];
    loop {
        let so_far = String::from_utf8_lossy(&seen).into_owned();
        if so_far.contains(text) {
            return so_far;
        }
        match client.read(&mut bytes) {
            Ok(length @ 1..) => seen.extend_from_slice(&bytes[..length]),
            other => panic!("{other:?} before {text:?}; seen {so_far:?}"),
        }
    }
}
