//! The daemon is killed with SIGKILL while containers run and log; nothing of theirs may be lost.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use privileged_tests::{Daemon, Options, host, until};
use serde_json::json;

const CONTAINERS: usize = 50;

fn start(daemon: &Daemon, name: &str, script: &str, binds: &[String]) {
    let mut api = daemon.api();
    let body = json!({
        "Image": "busybox",
        "Cmd": ["sh", "-c", script],
        "HostConfig": {"NetworkMode": "none", "Binds": binds},
    });
    api.call("POST", &format!("/containers/create?name={name}"), Some(&body));
    api.call("POST", &format!("/containers/{name}/start"), None);
}

/// Demands the lines `line 0`, `line 1`, … without a gap or a repetition; gives their number.
fn demand_sequence(name: &str, log: &str) -> usize {
    let mut count = 0;
    for (number, line) in log.lines().enumerate() {
        assert_eq!(line, format!("line {number}"), "{name}: a line is missing, doubled or torn");
        count += 1;
    }
    count
}

#[test]
fn crash_fifty_logging_containers_survive_kill_9() {
    let daemon = Daemon::start(Options::default());
    let script = "i=0; while :; do echo line $i; i=$((i+1)); usleep 300000; done";
    let names: Vec<String> = (0..CONTAINERS).map(|number| format!("logger{number}")).collect();
    std::thread::scope(|scope| {
        for part in names.chunks(13) {
            let daemon = &daemon;
            scope.spawn(move || part.iter().for_each(|name| start(daemon, name, script, &[])));
        }
    });
    let control = daemon.scratch("control");
    let binds = [format!("{}:/control", control.display())];
    start(&daemon, "ends", "while [ ! -e /control/go ]; do usleep 100000; done; echo line 0; exit 42", &binds);
    let identity = |name: &str| {
        let pid = daemon.container_pid(name);
        (pid, host::start_time(pid))
    };
    let before: BTreeMap<&String, _> = names.iter().map(|name| (name, identity(name))).collect();
    let ends = daemon.container_pid("ends");

    daemon.kill();
    std::fs::write(control.join("go"), "").unwrap();
    until("the one container ends while nobody watches", 10, || (!host::alive(ends)).then_some(()));
    // Longer than a pipe's capacity would hide: every container writes on.
    std::thread::sleep(Duration::from_secs(2));
    daemon.launch();

    for name in &names {
        assert_eq!(identity(name), before[name], "{name} is the same process");
    }
    assert_eq!(daemon.docker(&["ps", "-q"]).lines().len(), CONTAINERS);
    assert_eq!(daemon.docker(&["wait", "ends"]).ok(), "42");
    assert_eq!(daemon.inspect("ends", "{{.State.Status}} {{.State.ExitCode}}"), "exited 42");
    if !daemon.is_reference() {
        // 20.10 loses what a container wrote and left while no daemon was there to read it.
        assert_eq!(daemon.docker(&["logs", "ends"]).ok(), "line 0");
    }

    // A wait that was begun after the restart sees the end of a container that was started before it.
    let waiting = daemon.stock().command(&["wait", "logger0"]).stdout(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    daemon.docker(&["kill", "logger0"]).exits(0);
    let output = waiting.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "137");

    let mut kill = vec!["kill"];
    kill.extend(names[1..].iter().map(String::as_str));
    daemon.docker(&kill).exits(0);
    for name in &names {
        let run = daemon.docker(&["logs", name]);
        assert!(demand_sequence(name, &run.stdout) >= 7, "{run}");
    }
}

#[test]
fn crash_twice_in_a_row_with_exec_attach_and_stop_afterwards() {
    let daemon = Daemon::start(Options::default());
    let name =
        daemon.background("lives", "trap 'exit 5' TERM; i=0; while :; do echo line $i; i=$((i+1)); usleep 50000; done");
    let pid = daemon.container_pid(&name);
    for _ in 0..2 {
        daemon.kill();
        std::thread::sleep(Duration::from_millis(500));
        daemon.launch();
        assert_eq!(daemon.container_pid(&name), pid);
        assert_eq!(daemon.docker(&["exec", &name, "echo", "inside"]).ok(), "inside");
    }
    let address = daemon.inspect(&name, "{{.NetworkSettings.Networks.bridge.IPAddress}}");
    assert!(daemon.docker(&["run", "--rm", "busybox", "ping", "-c", "1", "-W", "5", &address]).code == 0);
    daemon.docker(&["stop", &name]).exits(0);
    assert_eq!(daemon.inspect(&name, "{{.State.ExitCode}}"), "5");
    assert!(demand_sequence(&name, &daemon.docker(&["logs", &name]).stdout) > 15);
}

#[test]
fn crash_term_leaves_containers_running() {
    let daemon = Daemon::start(Options::default());
    let name = daemon.background("stays", "sleep 300");
    let pid = daemon.container_pid(&name);
    assert_eq!(daemon.stop(), 0, "SIGTERM is a regular end");
    assert!(host::alive(pid));
    daemon.launch();
    assert_eq!(daemon.container_pid(&name), pid);
}

#[test]
fn crash_during_many_starts_leaves_nothing_half_made() {
    let daemon = Daemon::start(Options::default());
    daemon.docker(&["run", "--rm", "busybox", "true"]).exits(0);
    let traces = daemon.traces();
    // Early, in the thick of it, late.
    for delay in [40, 100, 160, 220] {
        start_many_and_kill(&daemon, Duration::from_millis(delay));
        daemon.launch();
        remove_all(&daemon);
    }
    daemon.docker(&["run", "--rm", "busybox", "true"]).exits(0);
    if !daemon.is_reference() {
        // 20.10 leaks layers here.
        assert_eq!(daemon.traces(), traces);
    }
}

/// The daemon dies some time after eight clients began to start containers.
fn start_many_and_kill(daemon: &Daemon, delay: Duration) {
    let client = daemon.stock();
    let mut children: Vec<_> = (0..8)
        .map(|number| {
            let name = format!("half{number}");
            let mut command = client.command(&["run", "-d", "--name", &name, "busybox", "sleep", "300"]);
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        })
        .collect();
    std::thread::sleep(delay);
    daemon.kill();
    for child in &mut children {
        child.wait().unwrap();
    }
}

/// Whatever the daemon still knows can be removed.
fn remove_all(daemon: &Daemon) {
    let all = daemon.docker(&["ps", "-aq"]);
    if !all.ok().is_empty() {
        let mut remove = vec!["rm", "-f"];
        remove.extend(all.lines());
        daemon.docker(&remove).exits(0);
    }
}
