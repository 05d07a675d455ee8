//! Row X-02, `update`: limits and restart policy of containers that exist; and KRN-11, block I/O.
#![allow(clippy::unwrap_used, missing_docs)]

use privileged_tests::{Daemon, Options, host, until};
use serde_json::json;

/// One control file of a container's group, wherever this machine has it.
fn limit(daemon: &Daemon, name: &str, controller: &str, legacy: &str, unified: &str) -> String {
    let pid = daemon.container_pid(name);
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let legacy_path = groups.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let known = parts.next()?.split(',').any(|known| known == controller);
        known.then(|| format!("/sys/fs/cgroup/{controller}{}/{legacy}", parts.next().unwrap_or_default()))
    });
    let path = legacy_path.unwrap_or_else(|| {
        let path = groups.lines().find_map(|line| line.strip_prefix("0::")).unwrap();
        format!("/sys/fs/cgroup{path}/{unified}")
    });
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}")).trim().to_owned()
}

#[test]
fn x_02_update_changes_a_running_container_at_once() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon.name("live");
        client.run(&["run", "-d", "--name", &name, "-m", "64m", "busybox", "sleep", "300"]).exits(0);
        let run = client.run(&[
            "update",
            "-m",
            "32m",
            "--memory-swap",
            "64m",
            "--cpu-shares",
            "512",
            "--pids-limit",
            "20",
            &name,
        ]);
        assert_eq!(run.ok(), name);
        assert_eq!(limit(daemon, &name, "memory", "memory.limit_in_bytes", "memory.max"), (32 << 20).to_string());
        assert_eq!(limit(daemon, &name, "pids", "pids.max", "pids.max"), "20");
        client.run(&["update", "--pids-limit", "-1", "--cpus", "0.5", &name]).exits(0);
        assert_eq!(limit(daemon, &name, "pids", "pids.max", "pids.max"), "max");
        assert!(limit(daemon, &name, "cpu", "cpu.cfs_quota_us", "cpu.max").starts_with("50000"));
        client.run(&["update", "--cpuset-cpus", "0", &name]).exits(0);
        assert_eq!(
            client.run(&["exec", &name, "grep", "Cpus_allowed_list", "/proc/self/status"]).ok(),
            "Cpus_allowed_list:\t0"
        );
        let shown = "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.CpuShares}} {{.HostConfig.NanoCpus}} {{.HostConfig.CpusetCpus}}";
        assert_eq!(daemon.inspect(&name, shown), "33554432 67108864 512 500000000 0");
        // What was changed counts for the next run too.
        client.run(&["restart", "-t", "0", &name]).exits(0);
        assert_eq!(limit(daemon, &name, "memory", "memory.limit_in_bytes", "memory.max"), (32 << 20).to_string());
        assert!(limit(daemon, &name, "cpu", "cpu.cfs_quota_us", "cpu.max").starts_with("50000"));
        let filter = format!("container={name}");
        // The client asks in whole seconds.
        until("three events", 30, || {
            let ask = ["events", "--since", "90s", "--until", "0s", "--filter", &filter, "--filter", "event=update"];
            (client.run(&ask).ok().lines().count() == 3).then_some(())
        });
        client.run(&["rm", "-f", &name]).exits(0);
    }
}

#[test]
fn x_02_update_of_a_stopped_container_counts_for_its_next_start() {
    let daemon = Daemon::shared();
    let name = daemon.name("later");
    daemon.docker(&["create", "--name", &name, "-m", "64m", "busybox", "sleep", "300"]).exits(0);
    daemon.docker(&["update", "-m", "48m", &name]).exits(0);
    assert_eq!(daemon.inspect(&name, "{{.HostConfig.Memory}} {{.State.Status}}"), "50331648 created");
    daemon.docker(&["start", &name]).exits(0);
    assert_eq!(limit(daemon, &name, "memory", "memory.limit_in_bytes", "memory.max"), (48 << 20).to_string());
}

#[test]
fn x_02_update_refuses_contradictions_and_changes_nothing() {
    let daemon = Daemon::shared();
    let name = daemon.name("firm");
    daemon.docker(&["run", "-d", "--name", &name, "-m", "64m", "--cpus", "1", "busybox", "sleep", "300"]).exits(0);
    let cannot = format!("Cannot update container {}: Conflicting options: ", daemon.inspect(&name, "{{.Id}}"));
    for client in daemon.clients() {
        for (flags, text) in [
            (["-m", "1m"], "Minimum memory limit allowed is 6MB".to_owned()),
            (["-m", "256m"], "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time".to_owned()),
            (["--cpu-quota", "50000"], format!("{cannot}CPU Quota cannot be updated as NanoCPUs has already been set")),
            (["--cpuset-cpus", "4000"], "Requested CPUs are not available - requested 4000".to_owned()),
            (["--cpuset-mems", "x"], "Invalid value x for cpuset mems".to_owned()),
            (["--restart", "sometimes"], "invalid restart policy".to_owned()),
        ] {
            client.run(&["update", flags[0], flags[1], &name]).exits(1).says(&text);
        }
        client.run(&["update", "--memory", "32m", "no-such-one"]).exits(1).says("No such container: no-such-one");
        let run = client.run(&["update", &name]);
        run.exits(1).says("you must provide one or more flags when using this command");
    }
    assert_eq!(daemon.inspect(&name, "{{.HostConfig.Memory}} {{.HostConfig.RestartPolicy.Name}}"), "67108864 no");
    assert_eq!(limit(daemon, &name, "memory", "memory.limit_in_bytes", "memory.max"), (64 << 20).to_string());
    let rm = daemon.name("firm-rm");
    daemon.docker(&["run", "-d", "--rm", "--name", &rm, "busybox", "sleep", "300"]).exits(0);
    let run = daemon.docker(&["update", "--restart", "always", &rm]);
    run.exits(1).says("Restart policy cannot be updated because AutoRemove is enabled for the container");
}

#[test]
fn x_02_update_below_what_is_in_use_leaves_the_old_limit() {
    let daemon = Daemon::shared();
    let name = daemon.name("full");
    let fill = "head -c 48m /dev/zero > /big; echo full; sleep 300";
    let memory =
        ["run", "-d", "--name", &name, "--tmpfs", "/t", "-m", "128m", "--memory-swap", "128m", "busybox", "sh", "-c"];
    let script = fill.replace("/big", "/t/big").replace("48m", "50331648");
    daemon.docker(&[&memory[..], &[&script]].concat()).exits(0);
    until("it has filled its memory", 30, || daemon.docker(&["logs", &name]).stdout.contains("full").then_some(()));
    let before = limit(daemon, &name, "memory", "memory.limit_in_bytes", "memory.max");
    let run = daemon.docker(&["update", "-m", "16m", "--memory-swap", "16m", &name]);
    // Version 2 would kill to reach a limit; version 1 refuses.
    if std::path::Path::new("/sys/fs/cgroup/memory/memory.limit_in_bytes").exists() {
        run.exits(1).says("Cannot update container");
        assert_eq!(limit(daemon, &name, "memory", "memory.limit_in_bytes", "memory.max"), before);
        assert_eq!(daemon.inspect(&name, "{{.HostConfig.Memory}}"), before);
    }
    daemon.docker(&["rm", "-f", &name]).exits(0);
}

#[test]
fn x_02_update_of_the_restart_policy_survives_the_daemon() {
    let daemon = Daemon::start(Options::default());
    for client in daemon.clients() {
        let name = daemon.name("policy");
        client.run(&["run", "-d", "--name", &name, "busybox", "sleep", "300"]).exits(0);
        client.run(&["update", "--restart", "on-failure:3", "--cpu-shares", "333", &name]).exits(0);
        let shown = "{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}} {{.HostConfig.CpuShares}}";
        assert_eq!(daemon.inspect(&name, shown), "on-failure 3 333");
        daemon.kill();
        daemon.launch();
        assert_eq!(daemon.inspect(&name, shown), "on-failure 3 333");
        // The new policy is the one that acts.
        let pid = daemon.container_pid(&name);
        assert!(std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
        until("it is started again", 30, || {
            let now = daemon.inspect(&name, "{{.State.Pid}} {{.RestartCount}}");
            (now.ends_with(" 1") && !now.starts_with(&format!("{pid} ")) && !now.starts_with("0 ")).then_some(())
        });
        client.run(&["rm", "-f", &name]).exits(0);
    }
}

#[test]
fn x_02_update_over_the_api_honours_or_refuses_every_field() {
    let daemon = Daemon::shared();
    let name = daemon.background("fields", "sleep 300");
    let path = format!("/containers/{name}/update");
    let mut api = daemon.api();
    let answer = api.request("POST", &path, Some(&json!({ "CpuShares": 256, "PidsLimit": 0 }))).unwrap();
    assert_eq!((answer.status, answer.json()), (200, json!({ "Warnings": null })));
    assert_eq!(limit(daemon, &name, "pids", "pids.max", "pids.max"), "max");
    if daemon.is_reference() {
        return; // It ignores what it cannot change.
    }
    for body in [
        json!({ "Ulimits": [{ "Name": "nofile", "Soft": 1, "Hard": 1 }] }),
        json!({ "Devices": [{ "PathOnHost": "/dev/null" }] }),
        json!({ "CgroupParent": "/x" }),
    ] {
        let answer = api.request("POST", &path, Some(&body)).unwrap();
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.json()["message"].as_str().unwrap().contains("cannot be updated"), "{body}");
    }
}

#[test]
fn krn_10_shares_are_those_that_the_kernel_has() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        for (shares, refusal, weight) in [
            ("1", "the minimum allowed cpu-shares is 2", "1"),
            ("262145", "the maximum allowed cpu-shares is 262144", "10000"),
        ] {
            let name = daemon.name("shares");
            let run = client.run(&["run", "-d", "--cpu-shares", shares, "--name", &name, "busybox", "sleep", "300"]);
            if host::unified() {
                // Another scale there: its bounds are the nearest.
                run.exits(0);
                assert_eq!(limit(daemon, &name, "cpu", "cpu.shares", "cpu.weight"), weight);
            } else {
                run.exits(125).says(refusal);
            }
            client.run(&["rm", "-f", &name]).exits(0);
        }
        let name = daemon.name("shares");
        client.run(&["run", "-d", "--cpu-shares", "2", "--name", &name, "busybox", "sleep", "300"]).exits(0);
        if !host::unified() {
            let before = limit(daemon, &name, "cpu", "cpu.shares", "cpu.weight");
            client.run(&["update", "--cpu-shares", "1", &name]).exits(1).says("the minimum allowed cpu-shares is 2");
            assert_eq!(limit(daemon, &name, "cpu", "cpu.shares", "cpu.weight"), before);
        }
        client.run(&["rm", "-f", &name]).exits(0);
    }
}
