//! Rows KRN-01 to KRN-10 and KRN-12 to KRN-14: what the kernel isolates and limits.
#![allow(clippy::unwrap_used, missing_docs)]

use std::process::Command;
use std::time::Duration;

use privileged_tests::fixtures::Fixture;
use privileged_tests::{Daemon, Options, host, skip, until};
use regex_lite::Regex;
use serde_json::{Value, json};

fn host_command(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn krn_01_a_container_is_a_host_process() {
    let daemon = Daemon::shared();
    let name = daemon.name("process");
    for client in daemon.clients() {
        client.run(&["run", "-d", "--name", &name, "busybox", "sleep", "311"]).exits(0);
        let pid = client.run(&["inspect", "-f", "{{.State.Pid}}", &name]).ok().to_owned();
        assert_eq!(host_command("ps", &["-o", "args=", "-p", &pid]), "sleep 311");
        assert_eq!(std::fs::read_link(format!("/proc/{pid}/exe")).unwrap().to_str(), Some("/bin/busybox"));
        client.run(&["rm", "-f", &name]).exits(0);
        assert!(!host::alive(pid.parse().unwrap()));
    }
}

#[test]
fn krn_02_uts_namespace() {
    let daemon = Daemon::shared();
    let before = host_command("hostname", &[]);
    for client in daemon.clients() {
        let name = daemon.name("uts");
        let hostname = client.run(&["run", "--name", &name, "busybox", "hostname"]).ok().to_owned();
        assert_eq!(hostname, daemon.inspect(&name, "{{.Id}}")[..12]);
        assert_eq!(client.run(&["run", "--rm", "-h", "web1", "busybox", "hostname"]).ok(), "web1");
        let run = client.run(&["run", "--rm", "--hostname", "web1", "busybox", "cat", "/etc/hostname"]);
        assert_eq!(run.ok(), "web1");
    }
    assert_eq!(host_command("hostname", &[]), before);
}

#[test]
fn krn_03_ipc_namespace() {
    let daemon = Daemon::shared();
    daemon.image(Fixture::Debian);
    let name = daemon.name("ipc");
    daemon.docker(&["run", "-d", "--ipc=shareable", "--name", &name, "debian:bookworm", "sleep", "300"]).exits(0);
    let made = daemon.docker(&["exec", &name, "ipcmk", "-Q"]);
    let id = made.ok().rsplit(' ').next().unwrap().to_owned();
    // Other tests run beside this one: look for this queue on the host by its key.
    let queues = daemon.docker(&["exec", &name, "ipcs", "-q"]).ok().to_owned();
    let key = queues.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        let key = fields.next()?;
        (fields.next() == Some(id.as_str()) && key.starts_with("0x")).then(|| key.to_owned())
    });
    let key = key.expect("the queue is listed where it was made");
    assert!(!daemon.docker(&["run", "--rm", "debian:bookworm", "ipcs", "-q"]).ok().contains(&key));
    assert!(!host_command("ipcs", &["-q"]).contains(&key));
    let shared = format!("--ipc=container:{name}");
    assert!(daemon.docker(&["run", "--rm", &shared, "debian:bookworm", "ipcs", "-q"]).ok().contains(&key));
    let private = daemon.background("ipc-private", "sleep 300");
    let shared = format!("--ipc=container:{private}");
    daemon.docker(&["run", "--rm", &shared, "busybox", "true"]).exits(125).says("non-shareable IPC");
}

#[test]
fn krn_04_pid_namespace() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let run = client.run(&["run", "--rm", "busybox", "sh", "-c", "echo $$; ps; true"]);
        let lines = run.ok().lines().collect::<Vec<_>>();
        assert_eq!(lines[0], "1", "{run}");
        // The heading, the shell and ps itself.
        assert_eq!(lines.len(), 4, "{run}");
        assert_eq!(client.run(&["run", "--rm", "busybox", "sh", "-c", "readlink /proc/self; true"]).ok().len(), 1);
    }
}

#[test]
fn krn_05_network_namespace() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let listen = "nc -l -p 80 -e echo served & sleep 1; netstat -ltn";
        let first = daemon.background("net", listen);
        let second = daemon.background("net", listen);
        for name in [&first, &second] {
            until("it listens", 10, || daemon.docker(&["logs", name]).stdout.contains(":80 ").then_some(()));
        }
        let run = client.run(&["run", "--rm", "busybox", "sh", "-c", "ls /sys/class/net; ip route"]);
        assert!(run.lines().contains(&"lo") && run.lines().contains(&"eth0"), "{run}");
        assert!(!run.stdout.contains(daemon.bridge()), "{run}");
        assert!(run.stdout.contains(&format!("default via {} dev eth0", daemon.gateway())), "{run}");
        let run = client.run(&["run", "--rm", "--network", "none", "busybox", "ip", "-o", "-4", "addr"]);
        assert!(run.lines().len() == 1 && run.stdout.contains("127.0.0.1"), "{run}");
        let run = client.run(&["run", "--rm", "--network", "host", "busybox", "readlink", "/proc/self/ns/net"]);
        assert_eq!(run.ok(), host::namespace("self", "net"));
    }
}

#[test]
fn krn_06_mount_namespace() {
    let daemon = Daemon::shared();
    let name = daemon.name("mounts");
    let script = "mount -t tmpfs only-inside /tmp && grep only-inside /proc/mounts && sleep 300";
    daemon.docker(&["run", "-d", "--cap-add", "SYS_ADMIN", "--name", &name, "busybox", "sh", "-c", script]).exits(0);
    until("it is mounted inside", 10, || {
        daemon.docker(&["logs", &name]).stdout.contains("only-inside /tmp tmpfs").then_some(())
    });
    assert!(!std::fs::read_to_string("/proc/mounts").unwrap().contains("only-inside"));
    let pid = daemon.container_pid(&name);
    assert_ne!(host::namespace(&pid.to_string(), "mnt"), host::namespace("self", "mnt"));
    for client in daemon.clients() {
        let run = client.run(&["run", "--rm", "busybox", "cat", "/proc/mounts"]);
        assert!(run.lines()[0].starts_with("overlay / overlay "), "{run}");
        assert!(!run.stdout.contains("only-inside"), "{run}");
        client.run(&["run", "--rm", "busybox", "mount", "-t", "tmpfs", "x", "/tmp"]).exits(1);
    }
}

#[test]
fn krn_07_user_namespace() {
    let config = json!({"userns-remap": "default"});
    let daemon = Daemon::start(Options { config: Some(config), ..Options::default() });
    for client in daemon.clients() {
        let name = daemon.name("mapped");
        client
            .run(&[
                "run",
                "-d",
                "--name",
                &name,
                "busybox",
                "sh",
                "-c",
                "cat /proc/self/uid_map; id -u; touch /owned; sleep 300",
            ])
            .exits(0);
        until("its output", 10, || (daemon.docker(&["logs", &name]).lines().len() == 2).then_some(()));
        let log = daemon.docker(&["logs", &name]).stdout;
        let fields: Vec<&str> = log.lines().next().unwrap().split_whitespace().collect();
        assert_eq!(fields[0], "0");
        assert!(fields[1].parse::<u32>().unwrap() >= 100_000, "{log}");
        assert_eq!(log.lines().nth(1), Some("0"), "root inside");
        let uid = host::status(daemon.container_pid(&name), "Uid").unwrap();
        assert!(uid.split_whitespace().all(|id| id.parse::<u32>().unwrap() >= 100_000), "{uid}");
        client.run(&["rm", "-f", &name]).exits(0);
    }
}

#[test]
fn krn_08_cgroup_namespace() {
    let daemon = Daemon::shared();
    let run = daemon.docker(&["run", "--rm", "--cgroupns=private", "busybox", "cat", "/proc/self/cgroup"]);
    run.exits(0);
    assert!(run.lines().iter().all(|line| line.ends_with(":/")), "{run}");
    assert!(run.lines().contains(&"0::/"), "{run}");
    let run = daemon.docker(&["run", "--rm", "--cgroupns=host", "busybox", "cat", "/proc/self/cgroup"]);
    assert!(run.lines().iter().any(|line| !line.ends_with(":/")), "{run}");
    if host::unified() {
        for client in daemon.clients() {
            assert_eq!(client.run(&["run", "--rm", "busybox", "cat", "/proc/self/cgroup"]).ok(), "0::/");
        }
    }
}

#[test]
fn krn_09_memory_limit() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon.name("small");
        client.run(&["run", "-d", "-m", "64m", "--name", &name, "busybox", "sleep", "300"]).exits(0);
        let limit = host::cgroup_value(daemon.container_pid(&name), "memory", "memory.limit_in_bytes", "memory.max");
        assert_eq!(limit.as_deref(), Some("67108864"));
        let greedy = daemon.name("greedy");
        // tail keeps the last line, and /dev/zero has only one.
        client.run(&["run", "-m", "64m", "--name", &greedy, "busybox", "tail", "/dev/zero"]).exits(137);
        assert_eq!(daemon.inspect(&greedy, "{{.State.OOMKilled}} {{.State.ExitCode}}"), "true 137");
        assert_eq!(daemon.inspect(&name, "{{.HostConfig.Memory}} {{.State.OOMKilled}}"), "67108864 false");
        client.run(&["rm", "-f", &name, &greedy]).exits(0);
    }
}

#[test]
fn krn_10_cpu_limit() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon.name("half");
        client
            .run(&["run", "-d", "--cpus", "0.5", "--name", &name, "busybox", "sh", "-c", "while :; do :; done"])
            .exits(0);
        let pid = daemon.container_pid(&name);
        if host::unified() {
            assert_eq!(host::cgroup_value(pid, "cpu", "", "cpu.max").as_deref(), Some("50000 100000"));
        } else {
            assert_eq!(host::cgroup_value(pid, "cpu", "cpu.cfs_quota_us", "").as_deref(), Some("50000"));
            assert_eq!(host::cgroup_value(pid, "cpu", "cpu.cfs_period_us", "").as_deref(), Some("100000"));
        }
        std::thread::sleep(Duration::from_secs(1));
        let run = daemon.docker(&["stats", "--no-stream", "--format", "{{.CPUPerc}}", &name]);
        let percent: f64 = run.ok().trim_end_matches('%').parse().unwrap();
        assert!(percent > 0.0 && percent <= 60.0, "{run}");
        client.run(&["rm", "-f", &name]).exits(0);
    }
}

#[test]
fn krn_12_built_in_runtime() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let info: Value = serde_json::from_str(client.run(&["info", "--format", "{{json .}}"]).ok()).unwrap();
        let default = info["DefaultRuntime"].as_str().unwrap();
        let runtimes = info["Runtimes"].as_object().unwrap();
        assert!(runtimes.contains_key(default), "{info}");
        assert!(!runtimes.keys().any(|name| name.contains("lxc")), "{info}");
        let text = client.run(&["info"]);
        assert!(Regex::new(&format!("(?m)^ Default Runtime: {default}$")).unwrap().is_match(&text.stdout), "{text}");
        assert!(Regex::new(&format!("(?m)^ Runtimes: .*{default}")).unwrap().is_match(&text.stdout), "{text}");
    }
}

#[test]
fn krn_13_shares_the_host_kernel() {
    let daemon = Daemon::shared();
    daemon.image(Fixture::Debian);
    for client in daemon.clients() {
        let run = client.run(&["run", "--rm", "debian:bookworm", "uname", "-r"]);
        assert_eq!(run.ok(), host_command("uname", &["-r"]));
        let run = client.run(&["run", "--rm", "debian:bookworm", "cat", "/etc/os-release"]);
        assert!(run.stdout.contains("VERSION_CODENAME=bookworm"), "{run}");
        client.run(&["run", "--rm", "busybox", "test", "-e", "/etc/os-release"]).exits(1);
    }
}

#[test]
fn krn_14_starts_in_a_second_and_costs_little() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let mut times: Vec<Duration> = (0..5)
            .map(|_| {
                let run = client.run(&["run", "--rm", "busybox", "true"]);
                run.exits(0);
                run.elapsed
            })
            .collect();
        times.sort();
        assert!(times[2] < Duration::from_secs(1), "{times:?}");
    }
    let name = daemon.background("idle", "exec sleep 300");
    let pid = daemon.container_pid(&name);
    let parent: u32 = host::status(pid, "PPid").unwrap().parse().unwrap();
    if daemon.is_reference() {
        return skip("the reference's shim takes more than 2 MB");
    }
    let memory = std::fs::read_to_string(format!("/proc/{parent}/smaps_rollup")).unwrap();
    // The proportional share: pages of the program file are common to all monitors.
    let share = memory.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap();
    let kilobytes: u64 = share.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kilobytes < 2048, "{kilobytes} kB beside the container's process");
}
