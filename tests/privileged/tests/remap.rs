//! Row KRN-07 in depth: containers whose users are mapped, their networks, files and neighbours; and the `oom` event
//! of row X-03, told while a container goes on.
#![allow(clippy::unwrap_used, missing_docs)]

use std::os::unix::fs::MetadataExt as _;
use std::sync::OnceLock;

use privileged_tests::{Daemon, Options, host, until};
use serde_json::json;

/// One engine with mapped users for this file.
fn mapped() -> &'static Daemon {
    static SHARED: OnceLock<Daemon> = OnceLock::new();
    SHARED.get_or_init(|| {
        Daemon::start(Options { config: Some(json!({ "userns-remap": "default" })), ..Options::default() })
    })
}

#[test]
fn krn_07_a_mapped_container_has_power_over_its_own_network() {
    let daemon = mapped();
    for client in daemon.clients() {
        // ping of busybox opens a raw socket.
        let run = client.run(&["run", "--rm", "busybox", "ping", "-c", "1", "-W", "20", &daemon.gateway()]);
        assert!(run.ok().contains("1 packets received"), "{run}");
        let script = "ip link set lo down && ip link set lo up && ip addr add 192.0.2.1/32 dev lo && ip -o addr";
        let run = client.run(&["run", "--rm", "--cap-add", "NET_ADMIN", "busybox", "sh", "-c", script]);
        assert!(run.ok().contains("192.0.2.1/32"), "{run}");
        let without = client.run(&["run", "--rm", "busybox", "ip", "link", "set", "lo", "down"]);
        assert_ne!(without.code, 0, "{without}");
    }
    let name = daemon.background("raw", "sleep 300");
    // The network is owned by the namespace that the process is in: its sysctls show the container's root as owner.
    let run = daemon.docker(&["exec", &name, "stat", "-c", "%u", "/proc/sys/net/ipv4/ip_local_port_range"]);
    assert_eq!(run.ok(), "0");
    daemon.docker(&["exec", &name, "ping", "-c", "1", "-W", "20", &daemon.gateway()]).exits(0);
    let pid = daemon.container_pid(&name).to_string();
    assert_ne!(host::namespace(&pid, "user"), host::namespace("self", "user"));
    daemon.docker(&["rm", "-f", &name]).exits(0);
}

#[test]
fn krn_07_a_mapped_container_is_reached_on_networks_and_ports() {
    let daemon = mapped();
    let network = daemon.name("mapped-net");
    daemon.docker(&["network", "create", &network]).exits(0);
    let server = daemon.name("mapped-server");
    let serve = "while :; do nc -l -p 80 -e echo served; done";
    let run =
        ["run", "-d", "--name", &server, "--network", &network, "-p", "127.0.0.1::80", "busybox", "sh", "-c", serve];
    daemon.docker(&run).exits(0);
    for client in daemon.clients() {
        until("the name is served", 60, || {
            let reach = format!("nc {server} 80 < /dev/null");
            let run = client.run(&["run", "--rm", "--network", &network, "busybox", "sh", "-c", &reach]);
            (run.stdout.trim() == "served").then_some(())
        });
        // Who shares the network shares its users, so that it has the same power there.
        let shared = format!("container:{server}");
        let script = "readlink /proc/self/ns/user; ping -c 1 -W 20 127.0.0.1 >/dev/null && echo pinged";
        let run = client.run(&["run", "--rm", "--network", &shared, "busybox", "sh", "-c", script]);
        run.exits(0);
        let pid = daemon.container_pid(&server).to_string();
        assert_eq!(run.lines(), [host::namespace(&pid, "user").as_str(), "pinged"]);
    }
    let port = daemon.docker(&["port", &server, "80/tcp"]).ok().to_owned();
    until("the port is published", 60, || {
        use std::io::Read as _;
        let mut text = String::new();
        std::net::TcpStream::connect(&port).ok()?.read_to_string(&mut text).ok()?;
        (text.trim() == "served").then_some(())
    });
    daemon.docker(&["rm", "-f", &server]).exits(0);
    daemon.docker(&["network", "rm", &network]).exits(0);
}

#[test]
fn krn_07_processes_objects_and_networks_are_joined() {
    let daemon = mapped();
    let name = daemon.name("joined");
    daemon.docker(&["run", "-d", "--ipc", "shareable", "--name", &name, "busybox", "sleep", "300"]).exits(0);
    let pid = daemon.container_pid(&name).to_string();
    for (flag, kind) in [("--pid", "pid"), ("--ipc", "ipc"), ("--network", "net")] {
        let place = format!("container:{name}");
        let script = format!("readlink /proc/self/ns/user; readlink /proc/self/ns/{kind}; id -u");
        let run = daemon.docker(&["run", "--rm", flag, &place, "busybox", "sh", "-c", &script]);
        run.exits(0);
        assert_eq!(run.lines(), [host::namespace(&pid, "user"), host::namespace(&pid, kind), "0".to_owned()]);
    }
    // The host's users are one flag away, and then everything is as without mapping.
    let run = daemon.docker(&["run", "--rm", "--userns", "host", "busybox", "cat", "/proc/self/uid_map"]);
    assert!(run.ok().contains("4294967295"), "{run}");
    // Docker 20.10 cannot give the capabilities that this machine does not have.
    let privileged = if daemon.is_reference() { "--init=false" } else { "--privileged" };
    let run =
        daemon.docker(&["run", "--rm", "--userns", "host", privileged, "busybox", "readlink", "/proc/self/ns/user"]);
    assert_eq!(run.ok(), host::namespace("self", "user"));
    for flags in [&["--privileged"][..], &["--network", "host"], &["--pid", "host"]] {
        let run = daemon.docker(&[&["run", "--rm"], flags, &["busybox", "true"]].concat());
        run.exits(125).says("user namespace");
    }
    daemon.docker(&["rm", "-f", &name]).exits(0);
}

#[test]
fn krn_07_files_belong_to_the_mapped_users() {
    let daemon = mapped();
    let (name, volume) = (daemon.name("owner"), daemon.name("owned"));
    let mount = format!("{volume}:/data");
    let script = "touch /data/root /own; chown 1000:1000 /own; sleep 300";
    daemon.docker(&["run", "-d", "--name", &name, "-v", &mount, "busybox", "sh", "-c", script]).exits(0);
    let stat = |path: &str| daemon.docker(&["exec", &name, "stat", "-c", "%u:%g", path]).stdout.trim().to_owned();
    until("they are made", 60, || (stat("/own") == "1000:1000").then_some(()));
    assert_eq!(stat("/data/root"), "0:0");
    // What is copied in belongs to the container's root, what is copied out to whoever copies.
    let scratch = daemon.scratch("mapped-files");
    std::fs::write(scratch.join("in"), "in").unwrap();
    for client in daemon.clients() {
        client.run(&["cp", scratch.join("in").to_str().unwrap(), &format!("{name}:/in")]).exits(0);
        assert_eq!(stat("/in"), "0:0");
        client.run(&["cp", &format!("{name}:/data/root"), scratch.join("out").to_str().unwrap()]).exits(0);
        assert_eq!(std::fs::metadata(scratch.join("out")).unwrap().uid(), 0);
        std::fs::remove_file(scratch.join("out")).unwrap();
    }
    // A second container finds the volume to be its own.
    let run =
        daemon.docker(&["run", "--rm", "-v", &mount, "busybox", "sh", "-c", "stat -c %u /data/root && rm /data/root"]);
    assert_eq!(run.ok(), "0");
    daemon.docker(&["rm", "-f", "-v", &name]).exits(0);
    daemon.docker(&["volume", "rm", &volume]).exits(0);
}

#[test]
fn x_03_out_of_memory_is_told_while_the_container_goes_on() {
    let daemon = Daemon::start(Options::default());
    let begin = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs().to_string();
    let limits = ["-m", "32m", "--memory-swap", "32m"];
    let name = daemon.name("survivor");
    // tail keeps the last line, and /dev/zero has only one.
    let script = "tail /dev/zero; sleep 300";
    let run = [&["run", "-d", "--name", &name], &limits[..], &["busybox", "sh", "-c", script]].concat();
    daemon.docker(&run).exits(0);
    let told = |name: &str| {
        let filter = format!("container={name}");
        let ask = ["events", "--since", &begin, "--until", "0s", "--filter", &filter, "--filter", "event=oom"];
        daemon.docker(&ask).ok().lines().count()
    };
    until("the event", 60, || (told(&name) == 1).then_some(()));
    // A limit that comes later is watched as well.
    let late = daemon.background("late", "while ! test -e /go; do sleep 0.1; done; tail /dev/zero; sleep 300");
    daemon.docker(&["update", "-m", "32m", "--memory-swap", "32m", &late]).exits(0);
    daemon.docker(&["exec", &late, "touch", "/go"]).exits(0);
    until("the event", 60, || (told(&late) == 1).then_some(()));
    if !daemon.is_reference() {
        // Docker 20.10 tells the event alone. A daemon that comes back knows it, and does not tell it again.
        for _ in 0..2 {
            for name in [&name, &late] {
                assert_eq!(daemon.inspect(name, "{{.State.Running}} {{.State.OOMKilled}}"), "true true");
            }
            daemon.restart();
        }
        assert_eq!(told(&name), 0);
    }
    daemon.docker(&["rm", "-f", &name, &late]).exits(0);
}
