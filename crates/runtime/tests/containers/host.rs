//! What the tests share: a root file system, a configuration to start from, and running it to its end.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use runtime::spec::{Capabilities, Linux, Process, Resources, Root, Spec, defaults};
use runtime::{CreateOptions, CreateRequest, Created, Error, Rootfs, Stdio};
use rustix::process::{Pid, WaitOptions, waitpid};

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// A bundle in a temporary directory: a busybox root file system and a configuration like Docker's.
pub struct Bundle {
    pub id: String,
    pub directory: tempfile::TempDir,
    pub spec: Spec,
    pub rootfs: Rootfs,
}

/// What a container left behind.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

// === impl Bundle ===

impl Bundle {
    /// A bundle whose container runs a shell command.
    pub fn sh(script: &str) -> Self {
        Self::new(&["/bin/sh", "-c", script])
    }

    pub fn new(args: &[&str]) -> Self {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let id = format!("runtime-test-{}-{number}", std::process::id());
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("rootfs");
        make_rootfs(&root);
        Self { spec: spec(&id, args), rootfs: Rootfs { path: root, mounts: Vec::new() }, id, directory }
    }

    pub fn root(&self) -> &Path {
        &self.rootfs.path
    }

    /// A path of the temporary directory, outside of the root file system.
    pub fn outside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn linux(&mut self) -> &mut Linux {
        self.spec.linux.as_mut().unwrap()
    }

    pub fn process(&mut self) -> &mut Process {
        self.spec.process.as_mut().unwrap()
    }

    pub fn mount(&mut self, destination: &str, kind: &str, source: &str, options: &str) {
        self.spec.mounts.push(runtime::spec::Mount {
            destination: destination.into(),
            kind: kind.into(),
            source: source.into(),
            options: options.split(',').map(str::to_owned).collect(),
            ..Default::default()
        });
    }

    pub fn request(&self, stdio: Stdio) -> CreateRequest {
        CreateRequest {
            id: self.id.clone(),
            spec: self.spec.clone(),
            bundle: self.directory.path().to_owned(),
            rootfs: self.rootfs.clone(),
            seccomp: None,
            stdio,
            options: CreateOptions::default(),
        }
    }

    /// Creates the container with pipes. Gives the reading ends of its output.
    pub fn create(&self) -> Result<(Created, OwnedFd, OwnedFd), Error> {
        let (stdout, stdout_writer) = std::io::pipe().unwrap();
        let (stderr, stderr_writer) = std::io::pipe().unwrap();
        let stdio = Stdio::Pipes {
            stdin: File::open("/dev/null").unwrap().into(),
            stdout: stdout_writer.into(),
            stderr: stderr_writer.into(),
        };
        Ok((runtime::create(self.request(stdio))?, stdout.into(), stderr.into()))
    }

    /// Creates, starts and waits.
    pub fn try_run(&self) -> Result<Outcome, Error> {
        let (mut created, stdout, stderr) = self.create()?;
        let started = created.start();
        let outcome = finish(created.pid, stdout, stderr);
        remove(&created);
        started.map(|()| outcome)
    }

    #[track_caller]
    pub fn run(&self) -> Outcome {
        match self.try_run() {
            Ok(outcome) => outcome,
            Err(error) => panic!("{}", chain(&error)),
        }
    }

    /// Runs and gives the output of a command that succeeds.
    #[track_caller]
    pub fn output(&self) -> String {
        let outcome = self.run();
        assert_eq!(outcome.code, 0, "{outcome:?}");
        outcome.stdout
    }

    /// The error of a container that cannot be made or started, with all its causes.
    #[track_caller]
    pub fn refusal(&self) -> String {
        match self.try_run() {
            Ok(outcome) => panic!("it ran: {outcome:?}"),
            Err(error) => chain(&error),
        }
    }
}

pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

pub fn finish(pid: i32, stdout: OwnedFd, stderr: OwnedFd) -> Outcome {
    let (mut out, mut err) = (String::new(), String::new());
    File::from(stdout).read_to_string(&mut out).unwrap();
    File::from(stderr).read_to_string(&mut err).unwrap();
    Outcome { code: wait(pid), stdout: out, stderr: err }
}

pub fn wait(pid: i32) -> i32 {
    let (_, status) = waitpid(Pid::from_raw(pid), WaitOptions::empty()).unwrap().unwrap();
    status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal)).unwrap()
}

pub fn kill(created: &Created) {
    rustix::process::pidfd_send_signal(&created.pidfd, rustix::process::Signal::KILL).unwrap();
    wait(created.pid);
    remove(created);
}

pub fn remove(created: &Created) {
    created.cgroup.as_ref().unwrap().remove().unwrap();
}

fn make_rootfs(root: &Path) {
    for directory in ["bin", "etc", "proc", "sys", "dev", "tmp", "root", "var"] {
        std::fs::create_dir_all(root.join(directory)).unwrap();
    }
    std::fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
    for applet in "sh cat ls echo id mount stat touch sleep readlink grep head hostname true false test mkdir wc tr dd \
                   sort env pwd chmod kill ps nproc tty stty umask rm ln cut find unshare"
        .split_ascii_whitespace()
    {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    std::fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n")
        .unwrap();
}

fn spec(id: &str, args: &[&str]) -> Spec {
    let capabilities: Vec<String> = defaults::CAPABILITIES.map(str::to_owned).to_vec();
    let list = |paths: &[&str]| paths.iter().map(|&path| path.to_owned()).collect::<Vec<_>>();
    Spec {
        oci_version: "1.2.0".to_owned(),
        process: Some(Process {
            args: args.iter().map(|&argument| argument.to_owned()).collect(),
            env: vec!["PATH=/usr/bin:/bin".to_owned()],
            cwd: "/".into(),
            capabilities: Some(Capabilities {
                bounding: capabilities.clone(),
                effective: capabilities.clone(),
                permitted: capabilities,
                ..Capabilities::default()
            }),
            ..Process::default()
        }),
        root: Some(Root { path: "rootfs".into(), readonly: false }),
        hostname: "inside".to_owned(),
        mounts: defaults::mounts(64 << 20),
        linux: Some(Linux {
            namespaces: defaults::namespaces(),
            cgroups_path: format!("/gantry-runtime-test/{id}"),
            resources: Some(Resources { devices: defaults::device_rules(), ..Resources::default() }),
            masked_paths: list(&defaults::MASKED_PATHS),
            readonly_paths: list(&defaults::READONLY_PATHS),
            ..Linux::default()
        }),
        ..Spec::default()
    }
}
