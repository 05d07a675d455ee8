//! Rows CTR-30 to CTR-35: attach, detach and logs.
#![allow(clippy::unwrap_used, missing_docs)]

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use privileged_tests::{Client, Daemon, host, until};

fn interactive(daemon: &Daemon, client: &Client, stem: &str) -> String {
    let name = daemon.name(stem);
    client.run(&["run", "-itd", "--name", &name, "busybox", "sh"]).exits(0);
    name
}

#[test]
fn ctr_30_attach_connects_to_pid_1() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = interactive(daemon, &client, "attached");
        let mut terminal = daemon.terminal(&client, &["attach", &name]);
        terminal.send("\recho pid=$$\r");
        terminal.expect("pid=1\r");
        terminal.send("exit\r");
        assert_eq!(terminal.wait(), 0);
        assert_eq!(daemon.inspect(&name, "{{.State.Status}} {{.State.ExitCode}}"), "exited 0");
    }
}

#[test]
fn ctr_30_attach_without_terminal_shows_both_streams_and_the_exit_code() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let script = "while [ ! -e /go ]; do sleep 0.1; done; echo out; echo err >&2; exit 9";
        let name = daemon.background("streams", script);
        let mut command = client.command(&["attach", &name]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // The client gives no sign that it is attached.
        std::thread::sleep(Duration::from_millis(700));
        daemon.docker(&["exec", &name, "touch", "/go"]).exits(0);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(9));
        assert_eq!((&output.stdout[..], &output.stderr[..]), (&b"out\n"[..], &b"err\n"[..]));
    }
}

#[test]
fn ctr_31_attach_to_a_stopped_container() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon.name("stopped");
        client.run(&["run", "--name", &name, "busybox", "true"]).exits(0);
        client.run(&["attach", &name]).exits(1).says("cannot attach to a stopped container, start it first");
    }
}

#[test]
fn ctr_32_detach_keys_leave_it_running() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon.name("detached");
        let mut terminal = daemon.terminal(&client, &["run", "-it", "--name", &name, "busybox", "sh"]);
        terminal.expect("/ # ");
        terminal.send("\x10\x11");
        terminal.wait();
        assert_eq!(daemon.inspect(&name, "{{.State.Status}}"), "running");
        // A single Ctrl-P belongs to the program inside (wants F4).
        let mut terminal = daemon.terminal(&client, &["attach", &name]);
        terminal.send("\recho one two\r");
        terminal.expect("\none two");
        terminal.send("\x10\r");
        terminal.expect("\none two");
        terminal.send("\x10\x11");
        terminal.wait();
        assert_eq!(daemon.inspect(&name, "{{.State.Status}}"), "running");
        // Other keys.
        let mut terminal = daemon.terminal(&client, &["attach", "--detach-keys", "ctrl-a,x", &name]);
        terminal.send("\recho again\r");
        terminal.expect("\nagain");
        terminal.send("\x01x");
        terminal.wait();
        assert_eq!(daemon.inspect(&name, "{{.State.Status}}"), "running");
        client.run(&["rm", "-f", &name]).exits(0);
    }
}

#[test]
fn ctr_33_exit_stops_the_container() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon.name("left");
        let mut terminal = daemon.terminal(&client, &["run", "-it", "--name", &name, "busybox", "sh"]);
        terminal.expect("/ # ");
        terminal.send("exit\r");
        assert_eq!(terminal.wait(), 0);
        let run = client.run(&["ps", "-a", "--filter", &format!("name={name}"), "--format", "{{.Status}}"]);
        assert!(run.ok().starts_with("Exited (0) "), "{run}");
    }
}

#[test]
fn ctr_34_logs_of_running_and_exited_containers() {
    let daemon = Daemon::shared();
    let running = daemon.background("talks", "echo out; echo err >&2; echo last; sleep 300");
    let exited = daemon.name("talked");
    daemon
        .docker(&["run", "--name", &exited, "busybox", "sh", "-c", "seq 1000; echo err >&2; printf partial"])
        .exits(0);
    until("all output", 10, || daemon.docker(&["logs", &running]).stdout.ends_with("last\n").then_some(()));
    let numbers: String = (1..=1000).map(|number| format!("{number}\n")).collect();
    for client in daemon.clients() {
        let run = client.run(&["logs", &running]);
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("out\nlast\n", "err\n"), "{run}");
        let run = client.run(&["logs", &exited]);
        assert_eq!(
            (run.stdout.as_str(), run.stderr.as_str()),
            (format!("{numbers}partial").as_str(), "err\n"),
            "{run}"
        );
    }
}

#[test]
fn ctr_34_logs_of_a_terminal_are_one_stream() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon.name("tty");
        client.run(&["run", "-t", "-d", "--name", &name, "busybox", "sh", "-c", "echo out; echo err >&2"]).exits(0);
        client.run(&["wait", &name]).exits(0);
        let run = client.run(&["logs", &name]);
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("out\r\nerr\r\n", ""), "{run}");
    }
}

#[test]
fn ctr_35_logs_follow_until_the_end() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon.background("follows", "for i in 1 2 3 4 5; do echo line $i; sleep 0.4; done");
        let begin = Instant::now();
        let mut child = client.command(&["logs", "-f", &name]).stdout(Stdio::piped()).spawn().unwrap();
        let mut arrivals = Vec::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            arrivals.push((line.unwrap(), begin.elapsed()));
        }
        assert!(child.wait().unwrap().success());
        let lines: Vec<&str> = arrivals.iter().map(|(line, _)| line.as_str()).collect();
        assert_eq!(lines, ["line 1", "line 2", "line 3", "line 4", "line 5"]);
        let spread = arrivals[4].1 - arrivals[0].1;
        assert!(spread > Duration::from_millis(700), "the lines came in one piece: {arrivals:?}");
    }
}

#[test]
fn ctr_35_logs_follow_until_interrupted() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon.background("endless", "while :; do echo tick; sleep 0.2; done");
        let mut terminal = daemon.terminal(&client, &["logs", "-f", &name]);
        terminal.expect("tick");
        terminal.send("\x03");
        assert_ne!(terminal.wait(), 0);
        assert!(host::alive(daemon.container_pid(&name)));
        daemon.docker(&["rm", "-f", &name]).exits(0);
    }
}
