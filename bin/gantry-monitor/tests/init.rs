//! `docker-init`: exit codes, signals and zombies, as a plain process and as process 1 of a namespace.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Output, Stdio};

fn init(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gantry-monitor"));
    command.arg0("/sbin/docker-init").args(arguments);
    command
}

fn shell(script: &str) -> Output {
    init(&["--", "/bin/busybox", "sh", "-c", script]).output().unwrap()
}

#[test]
fn ends_with_the_commands_code() {
    for code in [0, 1, 42, 255] {
        assert_eq!(shell(&format!("exit {code}")).status.code(), Some(code));
    }
    assert_eq!(shell("kill -TERM $$").status.code(), Some(143));
    assert_eq!(shell("kill -KILL $$").status.code(), Some(137));
    assert_eq!(shell("echo $0 \"$@\"").stdout, b"sh\n");
}

#[test]
fn says_why_a_command_does_not_run() {
    let missing = init(&["--", "/no/such/command"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(127));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("exec /no/such/command failed: No such file"));
    assert_eq!(init(&["--", "/etc/passwd"]).output().unwrap().status.code(), Some(126));
    assert_eq!(init(&["--"]).output().unwrap().status.code(), Some(1));
}

#[test]
fn passes_signals_on() {
    let script = "trap 'echo usr1; exit 7' USR1; echo ready; while :; do sleep 0.05; done";
    let mut child = init(&["--", "/bin/busybox", "sh", "-c", script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::USR1).unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "usr1");
    assert_eq!(child.wait().unwrap().code(), Some(7));
}

#[test]
fn reaps_orphans_as_process_1() {
    // The inner shell leaves a child behind, which comes to process 1 and must not stay a zombie.
    let script = "(sleep 0.1 &); sleep 0.5; echo $PPID; ps -o stat,comm | grep -c '^Z'";
    let output = Command::new("unshare")
        .args(["--pid", "--fork", "--mount-proc", "bash", "-c"])
        .arg("exec -a docker-init \"$0\" -- /bin/busybox sh -c \"$1\"")
        .args([env!("CARGO_BIN_EXE_gantry-monitor"), script])
        .output()
        .unwrap();
    if String::from_utf8_lossy(&output.stderr).contains("unshare failed") {
        eprintln!("SKIP reaps_orphans_as_process_1: {}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1\n0\n", "{output:?}");
}
