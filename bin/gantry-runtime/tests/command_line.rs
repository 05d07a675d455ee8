//! The command line as an engine uses it, with real containers. Needs root and /bin/busybox.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::io::{IoSliceMut, Read as _};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use runtime::spec::Spec;
use serde_json::Value;

/// A bundle and a root for records. What is left of its container goes when it is dropped.
struct Place {
    directory: tempfile::TempDir,
    id: String,
}

// === impl Place ===

impl Place {
    /// `None`, with a visible word, where containers cannot be made.
    fn new(name: &str, command: &[&str]) -> Option<Self> {
        if !rustix::process::geteuid().is_root() || !std::path::Path::new("/bin/busybox").exists() {
            eprintln!("SKIPPED {name}: needs root and /bin/busybox (package busybox-static)");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("rootfs");
        for part in ["bin", "proc", "sys", "dev"] {
            std::fs::create_dir_all(root.join(part)).unwrap();
        }
        std::fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
        for applet in ["sh", "sleep", "echo", "tty", "ps", "cat", "id"] {
            symlink("busybox", root.join("bin").join(applet)).unwrap();
        }
        let place = Self { directory, id: format!("{name}-{}", std::process::id()) };
        place.ok(&["spec", "--bundle", place.path(".").to_str().unwrap()]);
        place.configure(|spec| {
            let process = spec.process.as_mut().unwrap();
            process.terminal = false;
            process.args = command.iter().map(|&word| word.to_owned()).collect();
            spec.linux.as_mut().unwrap().cgroups_path = format!("/gantry-runtime-cli/{}", place.id);
        });
        Some(place)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn configure(&self, change: impl FnOnce(&mut Spec)) {
        let path = self.path("config.json");
        let mut spec: Spec = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        change(&mut spec);
        std::fs::write(path, serde_json::to_vec(&spec).unwrap()).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gantry-runtime"));
        command.arg("--root").arg(self.path("records")).args(["--log-format=json", "--log"]).arg(self.path("log"));
        command.args(arguments).current_dir(self.directory.path()).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    #[track_caller]
    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap().trim_end().to_owned()
    }

    /// `create`, whose streams the container keeps: they go to files.
    fn create(&self, more: &[&str]) {
        let log = std::fs::File::create(self.path("output")).unwrap();
        let mut command = self.command(&["create"]);
        command.args(more).arg(&self.id).stdout(log.try_clone().unwrap()).stderr(log);
        assert!(command.status().unwrap().success(), "{}", std::fs::read_to_string(self.path("output")).unwrap());
    }

    fn state(&self) -> Value {
        serde_json::from_str(&self.ok(&["state", &self.id])).unwrap()
    }

    #[track_caller]
    fn await_status(&self, status: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.state()["status"] != status {
            assert!(Instant::now() < deadline, "never {status}: {}", self.state());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.run(&["delete", "--force", &self.id]);
    }
}

#[test]
fn a_container_goes_through_its_life() {
    let Some(place) = Place::new("life", &["sh", "-c", "echo started; sleep 100"]) else { return };
    let id = place.id.as_str();
    place.create(&["--pid-file", "pid"]);
    assert_eq!(place.state()["status"], "created");
    assert_eq!(std::fs::read_to_string(place.path("output")).unwrap(), "");
    assert_eq!(place.state()["pid"].to_string(), std::fs::read_to_string(place.path("pid")).unwrap());
    assert_eq!(place.refused(&["create", id]), "container with given ID already exists");
    place.ok(&["start", id]);
    place.await_status("running");
    assert!(place.refused(&["start", id]).contains("running state"));
    assert!(place.refused(&["delete", id]).contains("that is not stopped: running"));
    assert!(place.ok(&["list"]).contains(id));
    assert_eq!(place.ok(&["list", "-q"]), format!("{id}\n"));
    let listed: Value = serde_json::from_str(&place.ok(&["list", "--format", "json"])).unwrap();
    assert_eq!(listed[0]["id"], id);
    place.ok(&["pause", id]);
    assert_eq!(place.state()["status"], "paused");
    assert!(place.refused(&["exec", id, "id"]).contains("paused"));
    place.ok(&["resume", id]);
    assert_eq!(place.state()["status"], "running");
    let pids: Vec<i64> = serde_json::from_str(&place.ok(&["ps", "--format", "json", id])).unwrap();
    assert!(pids.contains(&place.state()["pid"].as_i64().unwrap()));
    let stats: Value = serde_json::from_str(&place.ok(&["events", "--stats", id])).unwrap();
    assert!(stats["data"]["pids"]["current"].as_u64().unwrap() >= 1);
    place.ok(&["update", "--pids-limit", "17", id]);
    let stats: Value = serde_json::from_str(&place.ok(&["events", "--stats", id])).unwrap();
    assert_eq!(stats["data"]["pids"]["limit"], 17);
    place.ok(&["kill", id, "KILL"]);
    place.await_status("stopped");
    assert_eq!(place.state()["pid"], 0);
    assert_eq!(place.refused(&["kill", id]), "container not running");
    place.ok(&["delete", id]);
    assert_eq!(place.refused(&["state", id]), "container does not exist");
    assert_eq!(std::fs::read_to_string(place.path("output")).unwrap(), "started\n");
}

#[test]
fn run_gives_the_containers_exit_status() {
    let Some(place) = Place::new("run", &["sh", "-c", "echo out; echo err >&2; exit 7"]) else { return };
    let output = place.run(&["run", &place.id]);
    assert_eq!(output.status.code(), Some(7));
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
    assert_eq!(place.ok(&["list", "-q"]), "");
    place.configure(|spec| spec.process.as_mut().unwrap().args = vec!["sh".into(), "-c".into(), "kill -9 $$".into()]);
    // Nothing but another namespace's process can kill a container's first process with this.
    assert_eq!(place.run(&["run", &place.id]).status.code(), Some(0));
}

#[test]
fn errors_reach_the_log() {
    let Some(place) = Place::new("log", &["nope"]) else { return };
    let words = "unable to start container process: exec: \"nope\": executable file not found in $PATH";
    assert_eq!(place.refused(&["create", &place.id]), words);
    let line: Value = serde_json::from_str(&std::fs::read_to_string(place.path("log")).unwrap()).unwrap();
    assert_eq!((line["level"].as_str(), line["msg"].as_str()), (Some("error"), Some(words)));
    assert_eq!(place.ok(&["list", "-q"]), "", "nothing is left");
    assert!(place.refused(&["--systemd-cgroup", "list"]).contains("systemd"));
    assert!(place.refused(&["frobnicate"]).contains("no such command"));
    assert!(place.refused(&["state", "../escape"]).contains("invalid container ID"));
    place.ok(&["delete", "--force", "never-was"]);
}

#[test]
fn exec_runs_in_the_container() {
    let Some(place) = Place::new("exec", &["sleep", "100"]) else { return };
    let id = place.id.as_str();
    place.create(&[]);
    place.ok(&["start", id]);
    assert_eq!(
        place.ok(&[
            "exec",
            "--user",
            "5:6",
            "--env",
            "A=b",
            "--cwd",
            "/bin",
            id,
            "sh",
            "-c",
            "id -u; id -g; echo $A; pwd"
        ]),
        "5\n6\nb\n/bin\n"
    );
    assert_eq!(place.run(&["exec", id, "sh", "-c", "exit 9"]).status.code(), Some(9));
    assert!(place.refused(&["exec", id, "nope"]).ends_with("exec: \"nope\": executable file not found in $PATH"));
    // As containerd does it: a file, in the background.
    let process = r#"{"user":{"uid":0,"gid":0},"args":["sh","-c","echo from-file > /dev/shm/done"],"cwd":"/","env":["PATH=/bin"]}"#;
    std::fs::write(place.path("process.json"), process).unwrap();
    place.ok(&["exec", "--detach", "--process", "process.json", "--pid-file", "exec-pid", id]);
    assert!(std::fs::read_to_string(place.path("exec-pid")).unwrap().parse::<i32>().unwrap() > 1);
    let deadline = Instant::now() + Duration::from_secs(20);
    while place.run(&["exec", id, "cat", "/dev/shm/done"]).stdout != b"from-file\n" {
        assert!(Instant::now() < deadline, "never written");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn terminals_are_handed_over() {
    let Some(place) = Place::new("terminal", &["sh", "-c", "tty; echo over"]) else { return };
    place.configure(|spec| spec.process.as_mut().unwrap().terminal = true);
    assert!(place.refused(&["create", &place.id]).contains("console socket"));
    let listener = UnixListener::bind(place.path("console.sock")).unwrap();
    place.create(&["--console-socket", "console.sock"]);
    let (socket, _) = listener.accept().unwrap();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = rustix::net::RecvAncillaryBuffer::new(&mut space);
    let mut text = [0; 64];
    let flags = rustix::net::RecvFlags::CMSG_CLOEXEC;
    rustix::net::recvmsg(&socket, &mut [IoSliceMut::new(&mut text)], &mut control, flags).unwrap();
    let master: OwnedFd = control
        .drain()
        .find_map(|message| match message {
            rustix::net::RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        })
        .unwrap();
    place.ok(&["start", &place.id]);
    let (mut text, mut buffer) = (Vec::new(), [0; 256]);
    let mut master = std::fs::File::from(master);
    while let Ok(length @ 1..) = master.read(&mut buffer) {
        text.extend_from_slice(&buffer[..length]);
    }
    assert_eq!(String::from_utf8(text).unwrap(), "/dev/pts/0\r\nover\r\n");
}

#[test]
fn hooks_see_the_whole_life() {
    let Some(place) = Place::new("hooks", &["sh", "-c", "true"]) else { return };
    let log = place.path("hooks");
    let hook = |name: &str| runtime::spec::Hook {
        path: "/bin/busybox".into(),
        args: vec!["sh".into(), "-c".into(), format!("echo {name} >> {}", log.display())],
        ..Default::default()
    };
    place.configure(|spec| {
        spec.hooks = Some(runtime::spec::Hooks {
            create_runtime: vec![hook("createRuntime")],
            poststart: vec![hook("poststart")],
            poststop: vec![hook("poststop")],
            ..Default::default()
        });
    });
    place.create(&[]);
    place.ok(&["start", &place.id]);
    place.await_status("stopped");
    place.ok(&["delete", &place.id]);
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "createRuntime\npoststart\npoststop\n");
}

#[test]
fn the_program_cannot_be_overwritten_from_inside() {
    // The container's command is our own program, which shows where it was executed from.
    let Some(place) = Place::new("seal", &["/proc/self/exe", "--root", "/dev/shm", "list", "-q"]) else { return };
    assert_eq!(place.ok(&["run", &place.id]), "");
    place.configure(|spec| {
        let process = spec.process.as_mut().unwrap();
        process.args = ["sh", "-c", "sleep 100"].map(str::to_owned).to_vec();
        spec.linux.as_mut().unwrap().resources = None;
    });
    place.create(&[]);
    // Until it is started, the container's first process is our program.
    let file = format!("/proc/{}/exe", place.state()["pid"]);
    let error = std::fs::OpenOptions::new().append(true).open(file).unwrap_err();
    assert!([Some(26), Some(30)].contains(&error.raw_os_error()), "ETXTBSY or EROFS, not {error}");
    let mounts = std::fs::read_link(format!("/proc/{}/exe", place.state()["pid"])).unwrap();
    let own = std::path::Path::new(env!("CARGO_BIN_EXE_gantry-runtime"));
    assert_ne!(mounts, own, "executed through the host's path");
}

#[test]
fn features_are_told() {
    let output = Command::new(env!("CARGO_BIN_EXE_gantry-runtime")).arg("features").output().unwrap();
    let features: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(features["ociVersionMax"], "1.2.0");
    assert!(features["mountOptions"].as_array().unwrap().contains(&"rro".into()));
    assert_eq!(features["linux"]["cgroup"]["v2"], true);
}
