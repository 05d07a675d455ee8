//! The daemon itself: configuration, listeners, signals, supervision.
//!
//! Most tests start `dockerd` with Docker's own places in a [`Sandbox`].
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use privileged_tests::http::Connection;
use privileged_tests::sandbox::{Sandbox, both, has, lacks};
use privileged_tests::{Daemon, Engine, Options, skip, until};

fn is_reference() -> bool {
    Engine::under_test() == Engine::Dockerd
}

#[test]
fn dmn_01_daemon_json_is_read_at_start() {
    let sandbox = Sandbox::new();
    let text = sandbox.run(
        r#"echo '{"labels":["a=b"],"log-driver":"none"}' >/etc/docker/daemon.json
        up $quiet; docker info -f 'first {{json .Labels}} {{.LoggingDriver}}'; down
        echo '{"labels":["a=c"]}' >/etc/docker/daemon.json
        up $quiet; docker info -f 'second {{json .Labels}} {{.LoggingDriver}}'; down"#,
    );
    has(&text, "first [\"a=b\"] none");
    has(&text, "second [\"a=c\"] json-file");
    lacks(&text, "ended with");
}

#[test]
fn dmn_01_a_bad_file_is_named_with_its_fault() {
    let sandbox = Sandbox::new();
    let cases = [
        ("{\"debug\": tru }", "invalid character ' ' in literal true (expecting 'e')", " at line 1, column 14"),
        ("{\"a\":1,\n\"b\"}", "invalid character '}' after object key", " at line 2, column 4"),
        ("{\"debug\":true", "unexpected EOF", " at line 1, column 14"),
        (
            "{\"debug\": \"yes\"}",
            "json: cannot unmarshal string into Go struct field Config.debug of type bool",
            " at line 1, column 11",
        ),
        ("{\"nope\":1}", "the following directives don't match any configuration option: nope", ""),
        ("{\"labels\":[\"a\"]}", "configuration validation from file failed: bad attribute format: a", ""),
        ("{\"dns\":[\"x\"]}", "configuration validation from file failed: x is not an ip address", ""),
    ];
    for (number, (content, ..)) in cases.iter().enumerate() {
        fs::write(sandbox.path(&format!("{number}.json")), content).unwrap();
    }
    let text = sandbox.run("for f in 0 1 2 3 4 5 6; do echo \"case $f\"; fails $quiet --config-file $f.json; done");
    for (number, (content, message, place)) in cases.iter().enumerate() {
        let here = text.split("case ").nth(number + 1).unwrap();
        has(here, "exit 1");
        let place = if is_reference() { "" } else { place };
        let unable = format!("unable to configure the Docker daemon with file {number}.json: {message}{place}");
        assert!(here.contains(&unable), "{content}: {here}");
    }
    if !is_reference() {
        let text = sandbox.run("echo '{\"mtu\":1400}' >g.json; fails --validate --config-file g.json; ls /var/lib");
        has(&text, "exit 0\nconfiguration OK\n");
        lacks(&text, "docker");
        has(&sandbox.run("fails --validate --config-file 0.json"), "exit 1\nunable to configure");
        let refused = sandbox.run("fails --validate --authorization-plugin x");
        has(&refused, "exit 1\nauthorization-plugins \"[x]\" is not supported by this engine: ");
    }
}

const TWO_HOSTS: &str = r#"
echo '{"hosts":["tcp://0.0.0.0:2375","unix:///var/run/docker.sock"]}' >/etc/docker/daemon.json
up $quiet
"#;

#[test]
fn dmn_02_tcp_and_unix_at_once() {
    let text = Sandbox::new().run(&format!(
        "{TWO_HOSTS} curl -s http://127.0.0.1:2375/_ping; echo; ls /var/run/docker.sock; docker -H tcp://127.0.0.1:2375 info -f '{{{{.ID}}}}' >/dev/null && echo same; down; ls /var/run/docker.sock; true"
    ));
    has(&text, "OK\n/var/run/docker.sock\nsame\n");
    if !is_reference() {
        has(&text, "No such file or directory");
    }
}

#[test]
fn dmn_03_the_tcp_listener_is_dockerds() {
    let text = Sandbox::new().run(&format!("{TWO_HOSTS} ss -ltnp"));
    let line = text.lines().find(|line| line.contains(":2375")).unwrap_or_else(|| panic!("{text}"));
    assert!(line.starts_with("LISTEN") && line.contains("\"dockerd\""), "{line}");
}

#[test]
fn dmn_04_the_default_is_the_unix_socket_alone() {
    let text = Sandbox::new().run("up $quiet; stat -c '%A %U %g' /var/run/docker.sock; echo; ss -ltnH");
    has(&text, "srw-rw---- root 4711\n");
    lacks(&text, "LISTEN");
}

#[test]
fn dmn_04_the_group_of_the_socket_can_be_chosen() {
    let text = Sandbox::new()
        .run("up $quiet -G 1234; stat -c '%A %g' /var/run/docker.sock; down; fails $quiet -G nosuchgroup");
    has(&text, "srw-rw---- 1234\n");
    has(&text, "exit 1\n");
    has(&text, "group nosuchgroup not found");
}

#[test]
fn dmn_05_a_flag_and_the_file_may_not_both_speak() {
    let text = Sandbox::new().run(
        r#"echo '{"hosts":["unix:///a","unix:///b"],"labels":["x=y"],"mtu":1400}' >/etc/docker/daemon.json
        fails $quiet -H fd:// --mtu 1300 --label a=b; ls /var/lib"#,
    );
    has(
        &text,
        "unable to configure the Docker daemon with file /etc/docker/daemon.json: the following directives are specified both as a flag and in the configuration file: hosts: (from flag: [fd://], from file: [unix:///a unix:///b]), labels: (from flag: [a=b], from file: [x=y]), mtu: (from flag: 1300, from file: 1400)\n",
    );
    has(&text, "exit 1\n");
}

#[test]
fn dmn_06_dockerd_alone_starts_and_a_new_unit_line_applies() {
    // The reference would wait for that containerd.
    let containerd = if is_reference() { "" } else { "--containerd=/run/containerd/containerd.sock" };
    let text = Sandbox::new().run(&format!(
        r#"up; docker info -f 'alone {{{{.DockerRootDir}}}} {{{{json .Labels}}}}'; down
        up {containerd} --label edited=yes; docker info -f 'edited {{{{json .Labels}}}}'; down"#
    ));
    has(&text, "alone /var/lib/docker []");
    has(&text, "edited [\"edited=yes\"]");
    lacks(&text, "ended with");
}

/// Starts the engine with a listening socket as descriptor 3, as systemd does.
fn activated(sandbox: &Sandbox, listener: UnixListener, arguments: &str) -> std::process::Child {
    let quiet = "--bridge none --iptables=false --ip-forward=false";
    let script = format!(
        "export LISTEN_PID=$$ LISTEN_FDS=1; exec bin/dockerd {quiet} --data-root $PWD/data --exec-root $PWD/run --pidfile $PWD/pid {arguments} 3<&0 </dev/null >>log 2>&1"
    );
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "sh", "-c", &script]);
    command.current_dir(sandbox.directory()).env("HOME", sandbox.path("home"));
    command.stdin(Stdio::from(std::os::fd::OwnedFd::from(listener))).spawn().unwrap()
}

#[test]
fn dmn_06_sockets_of_systemd_are_taken_over_and_left_alone() {
    for address in ["fd://", "fd://3"] {
        let sandbox = Sandbox::new();
        let socket = sandbox.path("activated.sock");
        let mut daemon = activated(&sandbox, UnixListener::bind(&socket).unwrap(), &format!("-H {address}"));
        until("the engine answers", 60, || {
            assert!(daemon.try_wait().unwrap().is_none(), "{}", sandbox.log());
            let answer = Connection::with_version(&socket, "").request("GET", "/_ping", None).ok()?;
            (answer.status == 200).then_some(())
        });
        assert!(Command::new("kill").arg(daemon.id().to_string()).status().unwrap().success());
        until("the daemon ends", 60, || daemon.try_wait().unwrap());
        if !is_reference() {
            assert!(socket.exists(), "systemd's socket is not ours to remove");
        }
    }
    let text = Sandbox::new().run("fails $quiet -H fd://");
    has(&text, "exit 1\n");
    has(&text, "no sockets found via socket activation");
}

/// The units in `contrib`, with a program that is there.
#[test]
fn units_of_systemd_are_well_formed() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        return skip("systemd-analyze is not installed");
    }
    let sandbox = Sandbox::new();
    let contrib = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contrib/systemd");
    for name in ["gantry.service", "gantry.socket"] {
        let unit = fs::read_to_string(contrib.join(name)).unwrap().replace("/usr/bin/dockerd", "/bin/true");
        fs::write(sandbox.path(name), unit).unwrap();
    }
    let mut command = Command::new("timeout");
    command.args(["60", "systemd-analyze", "verify", "./gantry.service", "./gantry.socket"]);
    let output = command.current_dir(sandbox.directory()).output().unwrap();
    assert!(output.status.success(), "{}", both(&output));
    lacks(&both(&output), "gantry.");
}

#[test]
fn dmn_07_containerd_is_accepted_and_noted() {
    let sandbox = Sandbox::new();
    if is_reference() {
        return skip("the reference wants that containerd to be there");
    }
    sandbox.run("up $quiet -D --containerd=/run/containerd/containerd.sock; down");
    has(&sandbox.log(), "DEBUG containerd has no effect: ");
}

#[test]
fn dmn_08_readiness_is_told_when_the_api_answers() {
    let sandbox = Sandbox::new();
    let (notify, socket) = (sandbox.path("notify"), sandbox.path("d.sock"));
    let manager = UnixDatagram::bind(&notify).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let heard = || {
        let mut buffer = [0; 512];
        let count = manager.recv(&mut buffer).unwrap_or_else(|error| panic!("{error}\n{}", sandbox.log()));
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    };
    let script = format!(
        "export NOTIFY_SOCKET={} DOCKER_HOST=unix://{}; up $quiet -H $DOCKER_HOST; kill -HUP $P; read line <go; down",
        notify.display(),
        socket.display()
    );
    assert!(Command::new("mkfifo").arg(sandbox.path("go")).status().unwrap().success());
    let mut child = sandbox.command(&script).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    assert!(heard().contains("READY=1"));
    let answer = Connection::with_version(&socket, "").request("GET", "/_ping", None).unwrap();
    assert_eq!(answer.status, 200);
    if !is_reference() {
        let reloading = heard();
        assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
        assert!(heard().contains("READY=1"));
    }
    fs::write(sandbox.path("go"), "on\n").unwrap();
    assert!(heard().contains("STOPPING=1"));
    assert!(until("the daemon ends", 60, || child.try_wait().unwrap()).success());
}

#[test]
fn dmn_08_the_watchdog_is_fed() {
    if is_reference() {
        return skip("the reference does not feed a watchdog");
    }
    let sandbox = Sandbox::new();
    let name = format!("gantry-test-{}", std::process::id());
    use std::os::linux::net::SocketAddrExt as _;
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let manager = UnixDatagram::bind_addr(&address).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    // Names without a file belong to a network namespace, so this engine stays in ours.
    let script = format!(
        "export NOTIFY_SOCKET=@{name} WATCHDOG_USEC=100000; exec bin/dockerd --bridge none --iptables=false --ip-forward=false --data-root data --exec-root run --pidfile pid -H unix://d.sock >>log 2>&1"
    );
    let mut child = Command::new("setpriv")
        .args(["--pdeathsig", "TERM", "sh", "-c", &script])
        .current_dir(sandbox.directory())
        .spawn()
        .unwrap();
    let mut fed = 0;
    let mut buffer = [0; 512];
    while fed < 3 {
        let count = manager.recv(&mut buffer).unwrap();
        fed += u32::from(buffer[..count].starts_with(b"WATCHDOG=1"));
    }
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    until("the daemon ends", 60, || child.try_wait().unwrap());
}

#[test]
fn dmn_09_a_hangup_reloads_and_a_bad_file_changes_nothing() {
    let sandbox = Sandbox::new();
    let text = sandbox.run(
        r#"f=/etc/docker/daemon.json; echo '{"labels":["a=b"]}' >$f; up $quiet
        timeout 60 docker events --filter type=daemon --format '{{json .}}' >events & 
        until [ "$(docker info -f '{{.NEventsListener}}')" = 1 ]; do sleep 0.1; done
        echo '{"labels":["a=c","x=y"],"debug":true,"registry-mirrors":["http://127.0.0.1:5001"],"insecure-registries":["10.0.0.0/8","foo:5000"],"live-restore":true,"max-concurrent-downloads":7,"log-driver":"none"}' >$f
        kill -HUP $P; until grep -q reload events; do sleep 0.1; done
        docker info -f 'new {{json .Labels}} {{.Debug}} {{json .RegistryConfig}} {{.LiveRestoreEnabled}} {{.LoggingDriver}}'
        echo '{"labels":' >$f; kill -HUP $P; until grep -q 'unexpected EOF' log; do sleep 0.1; done
        docker info -f 'kept {{json .Labels}}'; cat events; echo '{"log-driver":"none"}' >$f; down
        up $quiet; docker info -f 'restarted {{.LoggingDriver}} {{json .Labels}}'"#,
    );
    has(&text, "new [\"a=c\",\"x=y\"] true ");
    has(&text, "\"Mirrors\":[\"http://127.0.0.1:5001/\"]");
    has(&text, "\"foo:5000\":{\"Mirrors\":[],\"Name\":\"foo:5000\",\"Official\":false,\"Secure\":false}");
    has(&text, "\"10.0.0.0/8\"");
    has(&text, " true json-file\n");
    has(&text, "kept [\"a=c\",\"x=y\"]");
    has(&text, "restarted none []");
    for part in [
        "\"Type\":\"daemon\",\"Action\":\"reload\"",
        "\"labels\":\"[\\\"a=c\\\",\\\"x=y\\\"]\"",
        "\"registry-mirrors\":\"[\\\"http://127.0.0.1:5001\\\"]\"",
        "\"insecure-registries\":\"[\\\"10.0.0.0/8\\\",\\\"foo:5000\\\"]\"",
        "\"max-concurrent-downloads\":\"7\"",
        "\"max-concurrent-uploads\":\"5\"",
        "\"default-shm-size\":\"67108864\"",
        "\"live-restore\":\"true\"",
        "\"debug\":\"true\"",
    ] {
        has(&text, part);
    }
}

#[test]
fn dmn_09_containers_end_with_the_daemon_when_live_restore_is_off() {
    let options = Options { flags: vec!["--live-restore=false".to_owned()], ..Options::default() };
    let daemon = Daemon::start(options);
    let once = daemon.background("once", "trap 'exit 3' TERM; while :; do sleep 0.1; done");
    let always = daemon.name("unless");
    let script = "trap 'exit 4' TERM; while :; do sleep 0.1; done";
    daemon
        .docker(&["run", "-d", "--restart=unless-stopped", "--name", &always, "busybox", "sh", "-c", script])
        .exits(0);
    let pid = daemon.container_pid(&once);
    daemon.stop();
    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "the container ran on");
    daemon.launch();
    assert_eq!(daemon.inspect(&once, "{{.State.Status}} {{.State.ExitCode}}"), "exited 3");
    until("the other one is back", 60, || (daemon.inspect(&always, "{{.State.Running}}") == "true").then_some(()));
}

#[test]
fn dmn_21_flags_belong_to_their_level() {
    let sandbox = Sandbox::new();
    let server = "-b=br0 --bip=10.9.0.1/24 -H=unix:///x.sock --icc=false --ip-forward=false --iptables=false --mtu=1400 --dns=1.1.1.1 --dns-search=example.com";
    // A file that is not there ends the daemon right behind the flags.
    let text = sandbox.run(&format!(
        "for f in {server}; do echo \"flag $f\"; fails $f --config-file /nonexistent; done; for f in --link=a:b --net=host -P; do echo \"flag $f\"; fails $f; done"
    ));
    let cases: Vec<&str> = text.split("flag -").skip(1).collect();
    assert_eq!(cases.len(), 12, "{text}");
    for case in &cases[..9] {
        has(case, "open /nonexistent: no such file or directory");
    }
    has(cases[9], "unknown flag: --link");
    has(cases[10], "unknown flag: --net");
    has(cases[11], "unknown shorthand flag: 'P' in -P");
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        for flag in ["--bip", "--icc", "--ip-forward", "--iptables", "--mtu"] {
            client.run(&["run", "--rm", flag, "busybox", "true"]).exits(125).says(&format!("unknown flag: {flag}"));
        }
        let run = client.run(&[
            "run",
            "--rm",
            "--dns",
            "1.1.1.1",
            "--dns-search",
            "example.com",
            "-h",
            "here",
            "--net",
            "none",
            "-P",
            "busybox",
            "sh",
            "-c",
            "hostname; cat /etc/resolv.conf",
        ]);
        has(run.ok(), "here");
        has(run.ok(), "nameserver 1.1.1.1");
    }
}

#[test]
fn dmn_21_defaults_of_the_daemon_reach_containers() {
    let config = serde_json::json!({
        "dns": ["9.9.9.9"], "dns-search": ["daemon.example"], "dns-opts": ["ndots:2"],
        "default-ulimits": {"nofile": {"Name": "nofile", "Hard": 222, "Soft": 111}},
        "default-shm-size": "32M", "default-ipc-mode": "shareable", "no-new-privileges": true, "init": true,
    });
    let daemon = Daemon::start(Options { config: Some(config), ..Options::default() });
    let script =
        "cat /etc/resolv.conf; ulimit -Sn; ulimit -Hn; df -k /dev/shm | tail -1; grep NoNewPrivs /proc/self/status";
    for client in daemon.clients() {
        let name = daemon.name("defaults");
        let run = client.run(&["run", "--name", &name, "busybox", "sh", "-c", script]);
        for part in [
            "nameserver 9.9.9.9",
            "search daemon.example",
            "options ndots:2",
            "111\n222\n",
            " 32768 ",
            "NoNewPrivs:\t1",
        ] {
            has(&run.stdout, part);
        }
        assert_eq!(daemon.inspect(&name, "{{.HostConfig.ShmSize}} {{.HostConfig.IpcMode}}"), "33554432 shareable");
        let own =
            client.run(&["run", "--rm", "--dns", "8.8.8.8", "--ulimit", "nofile=50", "busybox", "sh", "-c", script]);
        has(&own.stdout, "nameserver 8.8.8.8");
        has(&own.stdout, "50\n50\n");
    }
    has(daemon.docker(&["info", "-f", "{{json .SecurityOptions}}"]).ok(), "name=no-new-privileges");
}

#[test]
fn dmn_21_networks_are_cut_from_the_configured_pools() {
    let text = Sandbox::new().run(
        r#"echo '{"default-address-pools":[{"base":"10.200.0.0/16","size":24}]}' >/etc/docker/daemon.json
        up; docker network create mine >/dev/null; docker info 2>/dev/null | grep 'Base:'
        for n in bridge mine; do docker network inspect -f '{{.Name}} {{range .IPAM.Config}}{{.Subnet}}{{end}}' $n; done"#,
    );
    has(&text, "Base: 10.200.0.0/16, Size: 24");
    has(&text, "bridge 10.200.0.0/24\n");
    has(&text, "mine 10.200.1.0/24\n");
}

#[test]
fn dmn_22_the_storage_driver_can_be_chosen() {
    let text = Sandbox::new().run(
        "for d in overlay2 vfs; do up $quiet -s $d --data-root /var/lib/$d; docker info -f 'driver {{.Driver}}'; ls /var/lib/$d; down; done; fails $quiet -s nope; fails $quiet -s devicemapper",
    );
    has(&text, "driver overlay2");
    has(&text, "driver vfs");
    has(&text, "exit 1\n");
    has(&text, "error initializing graphdriver: ");
    if !is_reference() {
        has(&text, "driver not supported: nope: choose overlay2 or vfs");
        has(&text, "the storage-driver devicemapper has been removed: choose overlay2 or vfs");
    }
}

#[test]
fn dmn_23_the_root_is_made_at_the_first_start() {
    let text = Sandbox::new()
        .run("ls -d /var/lib/docker || echo before; up $quiet; ls /var/lib/docker; stat -c '%a' /var/lib/docker");
    has(&text, "before\n");
    for part in ["containers", "image", "network", "overlay2", "volumes"] {
        has(&text, &format!("\n{part}\n"));
    }
}

#[test]
fn dmn_23_a_root_that_docker_made_is_left_alone() {
    if is_reference() {
        return skip("this is about the other engine's data");
    }
    let text = Sandbox::new().run(
        "mkdir -p /var/lib/docker/network/files; touch /var/lib/docker/network/files/local-kv.db; fails $quiet; find /var/lib/docker -type f",
    );
    has(&text, "exit 1\n");
    has(&text, "/var/lib/docker belongs to Docker's own daemon: name another directory with --data-root");
    lacks(&text, "gantry.lock");
}

#[test]
fn dmn_24_a_restart_of_the_daemon_brings_containers_back() {
    let daemon = Daemon::start(Options::default());
    let name = daemon.name("always");
    let id =
        daemon.docker(&["run", "-d", "--restart=always", "--name", &name, "busybox", "sleep", "600"]).ok().to_owned();
    daemon.restart();
    until("it is up", 60, || (daemon.inspect(&name, "{{.State.Running}}") == "true").then_some(()));
    assert_eq!(daemon.inspect(&name, "{{.Id}}"), id);
    // The process ends while no daemon watches: the next one starts it again.
    let pid = daemon.container_pid(&name);
    daemon.kill();
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
    daemon.launch();
    until("it is up again", 60, || {
        let line = daemon.inspect(&name, "{{.State.Running}} {{.State.Pid}}");
        (line.starts_with("true") && line != format!("true {pid}")).then_some(())
    });
    assert_eq!(daemon.inspect(&name, "{{.Id}}"), id);
}

#[test]
fn dmn_25_a_listener_that_lets_everybody_be_root_is_called_out() {
    let sandbox = Sandbox::new();
    let text = sandbox.run("up $quiet -H tcp://0.0.0.0:2375 -H unix:///var/run/docker.sock; docker info 2>&1");
    if is_reference() {
        return has(&text, "API is accessible on http://0.0.0.0:2375 without encryption.");
    }
    let notice = "[DEPRECATION NOTICE]: API is accessible on http://0.0.0.0:2375 without encryption.";
    has(&text, &format!("\n{notice}\n"));
    assert!(text.trim_end().ends_with("or the unix socket alone."), "{text}");
    has(&sandbox.log(), &format!("WARN {notice}"));
    let text = Sandbox::new().run("up $quiet; docker info 2>&1");
    lacks(&text, "DEPRECATION");
}
