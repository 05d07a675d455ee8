//! Rows CTR-39 to CTR-42: `docker exec`.
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use privileged_tests::fixtures::Fixture;
use privileged_tests::{Daemon, host, until};

#[test]
fn ctr_39_exec_runs_in_all_namespaces_and_passes_the_exit_code() {
    let daemon = Daemon::shared();
    let name = daemon.background("c1", "sleep 300");
    let pid = daemon.container_pid(&name).to_string();
    for client in daemon.clients() {
        for kind in ["mnt", "net", "pid", "ipc", "uts"] {
            let run = client.run(&["exec", &name, "readlink", &format!("/proc/self/ns/{kind}")]);
            assert_eq!(run.ok(), host::namespace(&pid, kind), "{run}");
        }
        client.run(&["exec", &name, "sh", "-c", "exit 33"]).exits(33);
        let run = client.run(&["exec", &name, "sh", "-c", "echo out; echo err >&2"]);
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("out\n", "err\n"), "{run}");
        let run = client.run(&["exec", "-e", "ADDED=1", "-w", "/tmp", &name, "sh", "-c", "echo $ADDED $PWD"]);
        assert_eq!(run.ok(), "1 /tmp", "{run}");
        let run = client.run_with_input(&["exec", "-i", &name, "wc", "-c"], b"12345");
        assert_eq!(run.ok(), "5", "{run}");
        client.run(&["exec", &name, "/no/such/program"]).exits(126);
        // The exec is in the container's cgroup too.
        let run = client.run(&[
            "exec",
            &name,
            "sh",
            "-c",
            "cat /proc/self/cgroup >/tmp/e; cat /proc/1/cgroup >/tmp/1; cmp /tmp/e /tmp/1",
        ]);
        run.exits(0);
    }
}

#[test]
fn ctr_40_second_shell() {
    let daemon = Daemon::shared();
    daemon.image(Fixture::Debian);
    for client in daemon.clients() {
        let name = daemon.name("c1");
        client.run(&["run", "-d", "--name", &name, "debian:bookworm", "sleep", "300"]).exits(0);
        let mut terminal = daemon.terminal(&client, &["exec", "-it", &name, "/bin/bash"]);
        terminal.expect(r"root@[0-9a-f]{12}:/# ");
        terminal.send("tty; cat /proc/1/comm\r");
        terminal.expect(r"/dev/pts/[0-9]+");
        terminal.expect("sleep\r");
        terminal.resize(40, 100);
        until("the size reaches the shell", 10, || {
            terminal.send("stty size\r");
            (terminal.expect(r"[0-9]+ [0-9]+\r\n").trim() == "40 100").then_some(())
        });
        terminal.send("exit 4\r");
        assert_eq!(terminal.wait(), 4);
        assert_eq!(daemon.inspect(&name, "{{.State.Status}}"), "running");
        client.run(&["rm", "-f", &name]).exits(0);
    }
}

#[test]
fn ctr_41_exec_detached_returns_at_once() {
    let daemon = Daemon::shared();
    let name = daemon.background("c1", "sleep 300");
    for (number, client) in daemon.clients().iter().enumerate() {
        let file = format!("/done{number}");
        let run = client.run(&["exec", "-d", &name, "sh", "-c", &format!("sleep 3; touch {file}")]);
        run.exits(0);
        assert_eq!(run.stdout, "", "{run}");
        assert!(run.elapsed < Duration::from_millis(2500), "{run}");
        client.run(&["exec", &name, "test", "-e", &file]).exits(1);
        until("it goes on in the background", 15, || {
            (client.run(&["exec", &name, "test", "-e", &file]).code == 0).then_some(())
        });
    }
}

#[test]
fn ctr_42_exec_needs_a_running_container() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon.name("down");
        client.run(&["run", "--name", &name, "busybox", "true"]).exits(0);
        let id = daemon.inspect(&name, "{{.Id}}");
        let text = if daemon.is_reference() { "Container" } else { "container" };
        let run = client.run(&["exec", &name, "true"]);
        run.exits(1).says(&format!("Error response from daemon: {text} {id} is not running"));
    }
}
