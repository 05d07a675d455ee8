//! Fields of a create request that no row names: honoured and shown, or refused by name without a trace.
#![allow(clippy::unwrap_used, missing_docs)]

use privileged_tests::{Daemon, Options, host, until};
use serde_json::{Value, json};

fn refusal(daemon: &Daemon, host: &Value) -> (u16, String) {
    let body = json!({ "Image": "busybox", "Cmd": ["true"], "HostConfig": host });
    let answer = daemon.api().request("POST", "/containers/create", Some(&body)).unwrap();
    (answer.status, answer.json()["message"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn x_02_what_cannot_be_is_refused_at_create_and_leaves_nothing() {
    let daemon = Daemon::start(Options::default());
    if daemon.is_reference() {
        return; // It refuses most of these at the start.
    }
    let before = daemon.traces();
    for (host, text) in [
        (json!({ "CapAdd": ["FLY"] }), "invalid CapAdd: unknown capability: \"CAP_FLY\""),
        (json!({ "SecurityOpt": ["magic=on"] }), "invalid --security-opt 2: \"magic=on\""),
        (json!({ "SecurityOpt": ["writable-cgroups=true"], "CgroupnsMode": "host" }), "writable-cgroups"),
        (json!({ "Ulimits": [{ "Name": "luck", "Soft": 1, "Hard": 1 }] }), "invalid ulimit type: luck"),
        (json!({ "Cgroup": "container:x" }), "HostConfig.Cgroup is not supported"),
        (json!({ "CpuCount": 1 }), "HostConfig.CpuCount is not supported"),
        (
            json!({ "StorageOpt": { "size": "1G" } }),
            "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
        ),
        (json!({ "Isolation": "hyperv" }), "invalid isolation (hyperv)"),
        (json!({ "VolumeDriver": "nope", "Binds": ["refused:/v"] }), "plugin \"nope\" not found"),
        (
            json!({ "Mounts": [{ "Type": "bind", "Source": "/tmp", "Target": "/t",
                "BindOptions": { "ReadOnlyForceRecursive": true } }] }),
            "ReadOnlyForceRecursive requires ReadOnly",
        ),
        (
            json!({ "Mounts": [{ "Type": "tmpfs", "Target": "/t", "TmpfsOptions": { "Options": [["fast"]] } }] }),
            "invalid option: \"fast\"",
        ),
    ] {
        let (status, message) = refusal(&daemon, &host);
        assert!((400..=501).contains(&status) && message.contains(text), "{host}: {status} {message}");
    }
    assert_eq!(daemon.traces(), before);
}

#[test]
fn x_02_security_options_and_paths_are_reported() {
    let daemon = Daemon::shared();
    let name = daemon.name("options");
    let run = ["create", "--name", &name, "--security-opt", "apparmor=unconfined", "--security-opt", "label=disable"];
    daemon
        .docker(&[&run[..], &["--security-opt", "systempaths=unconfined", "busybox", "cat", "/proc/keys"]].concat())
        .exits(0);
    let shown = "{{.AppArmorProfile}} {{json .HostConfig.MaskedPaths}} {{json .HostConfig.ReadonlyPaths}}";
    assert_eq!(daemon.inspect(&name, shown), "unconfined [] []");
    assert_eq!(daemon.inspect(&name, "{{json .HostConfig.SecurityOpt}}"), r#"["apparmor=unconfined","label=disable"]"#);
    daemon.docker(&["run", "--rm", "busybox", "sh", "-c", "test ! -s /proc/keys"]).exits(0);
    daemon.docker(&["start", "-a", &name]).exits(0);
    daemon.docker(&["rm", &name]).exits(0);
}

#[test]
fn x_02_read_only_binds_reach_below() {
    let daemon = Daemon::shared();
    let directory = daemon.scratch("below");
    let inner = directory.join("inner");
    std::fs::create_dir_all(&inner).unwrap();
    let mount = |arguments: &[&str]| {
        assert!(std::process::Command::new("mount").args(arguments).status().unwrap().success());
    };
    let path = inner.display().to_string();
    mount(&["-t", "tmpfs", "below", &path]);
    let source = directory.display().to_string();
    let write = |options: &str| {
        let mount = format!("type=bind,src={source},dst=/d,readonly{options}");
        daemon.docker(&["run", "--rm", "--mount", &mount, "busybox", "touch", "/d/inner/x"]).code
    };
    let bind = format!("{source}:/d:ro");
    let plain = daemon.docker(&["run", "--rm", "-v", &bind, "busybox", "touch", "/d/inner/x"]).code;
    let results = (plain, write(""), if daemon.is_reference() { 0 } else { write(",bind-recursive=writable") });
    let forced = if daemon.is_reference() { 1 } else { write(",bind-recursive=readonly,bind-propagation=rprivate") };
    assert!(std::process::Command::new("umount").arg(&path).status().unwrap().success());
    // Docker 20.10 leaves what is below writable.
    let expected = if daemon.is_reference() { (0, 0, 0) } else { (1, 1, 0) };
    assert_eq!((results, forced), (expected, 1));
}

#[test]
fn x_02_tmpfs_options_are_honoured() {
    let daemon = Daemon::shared();
    if daemon.is_reference() {
        return; // Docker 20.10 has no such field.
    }
    let name = daemon.name("tmpfs");
    let body = json!({
        "Image": "busybox", "Cmd": ["sh", "-c", "cp /bin/busybox /t/busybox && /t/busybox stat -c %u /t"],
        "HostConfig": { "Mounts": [{ "Type": "tmpfs", "Target": "/t",
            "TmpfsOptions": { "SizeBytes": 8_388_608, "Options": [["exec"], ["uid", "1234"]] } }] },
    });
    daemon.api().call("POST", &format!("/containers/create?name={name}"), Some(&body));
    assert_eq!(daemon.docker(&["start", "-a", &name]).ok(), "1234");
    let shown = daemon.inspect(&name, "{{json (index .HostConfig.Mounts 0).TmpfsOptions.Options}}");
    assert_eq!(shown, r#"[["exec"],["uid","1234"]]"#);
    daemon.docker(&["rm", &name]).exits(0);
}

#[test]
fn ctr_29_rm_is_kept_by_the_next_daemon() {
    let daemon = Daemon::start(Options::default());
    let name = daemon.name("brief");
    daemon.docker(&["run", "-d", "--rm", "--name", &name, "busybox", "sleep", "300"]).exits(0);
    let pid = daemon.container_pid(&name);
    daemon.kill();
    assert!(std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
    until("it has ended", 30, || (!host::alive(pid)).then_some(()));
    daemon.launch();
    until("it is removed", 30, || daemon.docker(&["ps", "-aq"]).ok().is_empty().then_some(()));
}

#[test]
fn ctr_46_retries_that_are_used_up_stay_so() {
    let daemon = Daemon::start(Options::default());
    let name = daemon.name("tired");
    daemon.docker(&["run", "-d", "--restart", "on-failure:2", "--name", &name, "busybox", "false"]).exits(0);
    let state = || daemon.inspect(&name, "{{.State.Status}} {{.RestartCount}} {{.State.ExitCode}}");
    until("it has given up", 30, || (state() == "exited 2 1").then_some(()));
    let finished = daemon.inspect(&name, "{{.State.FinishedAt}}");
    daemon.kill();
    daemon.launch();
    // A container that a policy brings back comes before the daemon has started this one.
    daemon.docker(&["run", "--rm", "busybox", "true"]).exits(0);
    assert_eq!((state().as_str(), daemon.inspect(&name, "{{.State.FinishedAt}}")), ("exited 2 1", finished));
}
