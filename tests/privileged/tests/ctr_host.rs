//! Rows KRN-11 and KRN-15, CTR-47, CTR-48, CTR-50, CTR-52, CTR-54, CTR-55, and devices by their CDI names.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::process::Command;

use privileged_tests::fixtures::Fixture;
use privileged_tests::{Daemon, Options, skip, until};
use serde_json::json;

/// A loop device, detached when dropped.
struct Loop {
    device: String,
    file: std::path::PathBuf,
}

impl Loop {
    fn attach(directory: &Path) -> Option<Self> {
        let file = directory.join("disk.img");
        std::fs::File::create(&file).unwrap().set_len(64 << 20).unwrap();
        let output = Command::new("losetup").args(["--show", "-f"]).arg(&file).output().ok()?;
        let device = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        (output.status.success() && !device.is_empty()).then_some(Self { device, file })
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["-d", &self.device]).status();
        let _ = std::fs::remove_file(&self.file);
    }
}

#[test]
fn krn_11_block_io_is_limited_and_counted() {
    let daemon = Daemon::shared();
    let Some(disk) = Loop::attach(&daemon.scratch("krn11")) else {
        return skip("no loop device can be attached here");
    };
    let device = &disk.device;
    for client in daemon.clients() {
        let name = daemon.name("slow");
        let limit = format!("{device}:1mb");
        let map = format!("{device}:/dev/x");
        let write =
            "dd if=/dev/zero of=/dev/x bs=256k count=16 conv=notrunc oflag=direct 2>&1; echo written; sleep 300";
        let run = [
            "run",
            "-d",
            "--name",
            &name,
            "--device",
            &map,
            "--device-write-bps",
            &limit,
            "busybox",
            "sh",
            "-c",
            write,
        ];
        let begin = std::time::Instant::now();
        client.run(&run).exits(0);
        until("it is written", 90, || daemon.docker(&["logs", &name]).stdout.contains("written").then_some(()));
        // 4 MiB at 1 MiB a second: nearly four seconds, whatever else the machine does.
        assert!(begin.elapsed().as_secs() >= 2, "{:?}", begin.elapsed());
        let throttle = "(index .HostConfig.BlkioDeviceWriteBps 0)";
        let shown = format!("{{{{{throttle}.Path}}}} {{{{{throttle}.Rate}}}}");
        assert_eq!(daemon.inspect(&name, &shown), format!("{device} 1048576"));
        let stats = daemon.docker(&["stats", "--no-stream", "--format", "{{.BlockIO}}", &name]);
        assert!(stats.ok().ends_with("MB"), "{stats}");
        if !daemon.is_reference() {
            // Beyond Docker, the limits of a device change under the container.
            let body = json!({ "BlkioDeviceWriteBps": [{ "Path": device, "Rate": 2_000_000 }] });
            daemon.api().call("POST", &format!("/containers/{name}/update"), Some(&body));
            assert_eq!(daemon.inspect(&name, "{{(index .HostConfig.BlkioDeviceWriteBps 0).Rate}}"), "2000000");
        }
        client.run(&["rm", "-f", &name]).exits(0);
        let run = client.run(&["run", "--rm", "--device-read-bps", "/dev/no-such-disk:1mb", "busybox", "true"]);
        assert_ne!(run.code, 0);
        run.says("no such file or directory");
    }
}

#[test]
fn krn_15_systemctl_needs_what_a_container_does_not_have() {
    let daemon = Daemon::shared();
    daemon.image(Fixture::Debian);
    for client in daemon.clients() {
        // There is neither a manager to talk to, nor the right to mount what one would need.
        let script = "ls /run/systemd/system /run/dbus/system_bus_socket 2>/dev/null; mount -t tmpfs none /mnt";
        let run = client.run(&["run", "--rm", "debian:bookworm", "sh", "-c", script]);
        assert!(run.code != 0 && run.stdout.is_empty(), "{run}");
        run.says("permission denied");
        // Docker 20.10 cannot give what this machine does not have, and fails here.
        if !daemon.is_reference() {
            let script = "mount -t tmpfs none /mnt && grep -q ' /mnt tmpfs' /proc/mounts";
            client.run(&["run", "--rm", "--privileged", "debian:bookworm", "sh", "-c", script]).exits(0);
        }
    }
}

#[test]
fn ctr_47_create_then_start() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon.name("created");
        client.run(&["create", "--net", "none", "--name", &name, "busybox", "ls", "/sys/class/net"]).exits(0);
        let listed = client.run(&["ps", "-a", "--filter", &format!("name={name}"), "--format", "{{.Status}}"]);
        assert_eq!(listed.ok(), "Created");
        assert_eq!(client.run(&["start", "-a", &name]).ok(), "lo");
        client.run(&["rm", &name]).exits(0);
    }
}

#[test]
fn ctr_48_exposed_ports_are_shown_and_published_on_demand() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon.name("exposed");
        client
            .run(&[
                "run",
                "-d",
                "-P",
                "--expose",
                "22",
                "--expose",
                "7000-7001/udp",
                "--name",
                &name,
                "busybox",
                "sleep",
                "300",
            ])
            .exits(0);
        let exposed = daemon.inspect(&name, "{{json .Config.ExposedPorts}}");
        assert_eq!(exposed, r#"{"22/tcp":{},"7000/udp":{},"7001/udp":{}}"#);
        let port = client.run(&["port", &name, "22/tcp"]);
        assert!(port.ok().lines().next().unwrap().starts_with("0.0.0.0:"), "{port}");
        client.run(&["rm", "-f", &name]).exits(0);
    }
}

#[test]
fn ctr_50_a_script_loops_in_the_background() {
    let daemon = Daemon::shared();
    daemon.image(Fixture::Debian);
    for client in daemon.clients() {
        let name = daemon.name("loop");
        let run = [
            "run",
            "-d",
            "--name",
            &name,
            "debian:bookworm",
            "/bin/bash",
            "-c",
            "while true; do echo haha;sleep 1;done",
        ];
        client.run(&run).exits(0);
        until("three lines", 60, || (client.run(&["logs", &name]).lines().len() >= 3).then_some(()));
        let logs = client.run(&["logs", &name]);
        assert!(logs.lines().iter().all(|line| *line == "haha"), "{logs}");
        client.run(&["rm", "-f", &name]).exits(0);
    }
}

#[test]
fn ctr_52_the_form_of_the_command_decides_how_a_stop_ends() {
    let daemon = Daemon::shared();
    let app = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.1; done";
    for client in daemon.clients() {
        let code = |more: &[&str], script: &str, time: &str| {
            let name = daemon.name("stop");
            let run = ["run", "-d", "--name", &name];
            client.run(&[&run[..], more, &["busybox", "sh", "-c", script]].concat()).exits(0);
            until("it is ready", 30, || daemon.docker(&["logs", &name]).stdout.contains("ready").then_some(()));
            client.run(&["stop", "-t", time, &name]).exits(0);
            let code = daemon.inspect(&name, "{{.State.ExitCode}}");
            client.run(&["rm", &name]).exits(0);
            code
        };
        // The program itself is PID 1 and gets the signal.
        assert_eq!(code(&[], app, "60"), "0");
        // A shell is, and neither dies of it nor hands it on.
        assert_eq!(code(&[], "echo ready; sleep 300; true", "1"), "137");
        // An init does.
        assert_eq!(code(&["--init"], "echo ready; sleep 300; true", "60"), "143");
    }
}

#[test]
fn ctr_54_containers_do_not_see_each_others_changes() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let (first, second) = (daemon.name("one"), daemon.name("two"));
        for name in [&first, &second] {
            client.run(&["run", "-d", "--name", name, "busybox", "sleep", "300"]).exits(0);
            client.run(&["exec", name, "sh", "-c", "echo $0 > /etc/issue; rm /bin/vi", name]).exits(0);
        }
        assert_eq!(client.run(&["exec", &first, "cat", "/etc/issue"]).ok(), first);
        assert_eq!(client.run(&["exec", &second, "cat", "/etc/issue"]).ok(), second);
        client.run(&["run", "--rm", "busybox", "sh", "-c", "test -e /bin/vi -a ! -e /etc/issue"]).exits(0);
        client.run(&["rm", "-f", &first, &second]).exits(0);
    }
}

#[test]
fn ctr_55_the_base_system_is_the_images_own() {
    let daemon = Daemon::shared();
    daemon.image(Fixture::Debian);
    for client in daemon.clients() {
        let run = client.run(&["run", "--rm", "debian:bookworm", "cat", "/etc/debian_version"]);
        assert!(run.ok().starts_with("12"), "{run}");
        let run =
            client.run(&["run", "--rm", "busybox", "sh", "-c", "test ! -e /etc/debian_version && busybox | head -1"]);
        assert!(run.ok().starts_with("BusyBox"), "{run}");
    }
}

#[test]
fn x_04_devices_come_by_their_cdi_names() {
    if Daemon::shared().is_reference() {
        return; // Docker 20.10 does not know them.
    }
    let directory = std::env::temp_dir().join(format!("cdi-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let marker = directory.join("hooked");
    let given = directory.join("given");
    std::fs::write(&given, "from the host").unwrap();
    let yaml = format!(
        "cdiVersion: 0.6.0\nkind: vendor.example/thing\ncontainerEdits:\n  env: [THING_ALL=yes]\ndevices:\n- name: one\n  \
         containerEdits:\n    env: [THING=one]\n    deviceNodes:\n    - path: /dev/thing\n      hostPath: /dev/zero\n    \
         - path: /dev/readable\n      hostPath: /dev/kmsg\n      permissions: r\n    mounts:\n    - hostPath: {}\n      containerPath: /given\n      options: [ro, bind]\n    hooks:\n    \
         - hookName: createRuntime\n      path: /bin/touch\n      args: [touch, {}]\n",
        given.display(),
        marker.display(),
    );
    std::fs::write(directory.join("vendor.yaml"), yaml).unwrap();
    std::fs::write(directory.join("broken.json"), "{").unwrap();
    let config = json!({ "cdi-spec-dirs": [directory] });
    let daemon = Daemon::start(Options { config: Some(config), ..Options::default() });
    for client in daemon.clients() {
        let script =
            "echo $THING $THING_ALL; cat /given; echo; head -c 3 /dev/thing | od -An -tx1; echo x > /dev/readable";
        let run = client.run(&["run", "--rm", "--device", "vendor.example/thing=one", "busybox", "sh", "-c", script]);
        assert_eq!(run.lines()[..3], ["one yes", "from the host", " 00 00 00"], "{run}");
        run.exits(1).says("/dev/readable");
        assert!(marker.exists());
        std::fs::remove_file(&marker).unwrap();
        let name = daemon.name("unknown");
        let run = client.run(&["run", "--name", &name, "--device", "vendor.example/thing=two", "busybox", "true"]);
        run.exits(125).says("CDI device injection failed: unresolvable CDI devices vendor.example/thing=two");
        assert_eq!(
            daemon.inspect(&name, "{{(index .HostConfig.DeviceRequests 0).DeviceIDs}}"),
            "[vendor.example/thing=two]"
        );
        let run = client.run(&["run", "--rm", "--gpus", "all", "busybox", "true"]);
        run.exits(125).says("could not select device driver \"\" with capabilities: [[gpu]]");
        client.run(&["rm", &name]).exits(0);
    }
    // What NVIDIA's tool writes makes `--gpus` work.
    let gpu = r#"{"cdiVersion":"0.5.0","kind":"nvidia.com/gpu","devices":[
        {"name":"0","containerEdits":{"env":["GPU=zero"]}},{"name":"all","containerEdits":{"env":["GPU=all"]}}]}"#;
    std::fs::write(directory.join("nvidia.json"), gpu).unwrap();
    for client in daemon.clients() {
        let gpus = |gpus: &str| {
            client.run(&["run", "--rm", "--gpus", gpus, "busybox", "sh", "-c", "echo $GPU"]).ok().to_owned()
        };
        assert_eq!([gpus("all"), gpus("1"), gpus("device=0")], ["all", "zero", "zero"]);
    }
    drop(daemon);
    std::fs::remove_dir_all(&directory).unwrap();
}
