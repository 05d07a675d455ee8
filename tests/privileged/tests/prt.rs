//! Rows PRT-04, PRT-08, PRT-17: published ports.
#![allow(clippy::unwrap_used, missing_docs)]

use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use privileged_tests::fixtures::Fixture;
use privileged_tests::registry::free_port;
use privileged_tests::{Client, Daemon, until};
use regex_lite::Regex;

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().unwrap();
    assert!(status.success(), "ip {arguments}");
}

fn curl(prefix: &[&str], url: &str) -> Option<String> {
    let mut command = Command::new("env");
    let output = command.args(prefix).args(["curl", "-fs", "--max-time", "3", url]).output().unwrap();
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn web(daemon: &Daemon, client: &Client, publish: &str) -> String {
    daemon.image(Fixture::Web);
    let name = daemon.name("web");
    client.run(&["run", "-d", "--name", &name, "-p", publish, "web:v1"]).exits(0);
    name
}

#[test]
fn prt_04_host_port_answers() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let port = free_port();
        let name = web(daemon, &client, &format!("{port}:80"));
        for address in ["127.0.0.1".to_owned(), daemon.gateway()] {
            let page = until("nginx answers", 15, || curl(&[], &format!("http://{address}:{port}/")));
            assert_eq!(page, "hello\n");
        }
        let run = client.run(&["ps", "--filter", &format!("name={name}"), "--format", "{{.Ports}}"]);
        let pattern = format!(r"^0\.0\.0\.0:{port}->80/tcp(, (\[::\]|::):{port}->80/tcp)?$");
        assert!(Regex::new(&pattern).unwrap().is_match(run.ok()), "{run}");
        client.run(&["rm", "-f", &name]).exits(0);
        assert_eq!(curl(&[], &format!("http://127.0.0.1:{port}/")), None, "the port is free again");
    }
}

#[test]
fn prt_08_udp() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        daemon.image(Fixture::Web);
        let name = daemon.name("udp");
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let port = UdpSocket::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port();
        let publish = format!("{port}:5353/udp");
        client.run(&["run", "-d", "--name", &name, "-p", &publish, "web:v1", "python3", "-c", ECHO]).exits(0);
        let answer = until("the echo", 15, || {
            socket.send_to(b"ping", ("127.0.0.1", port)).unwrap();
            let mut buffer = [0; 16];
            let (count, _) = socket.recv_from(&mut buffer).ok()?;
            Some(buffer[..count].to_vec())
        });
        assert_eq!(answer, b"ping");
        let run = client.run(&["ps", "--filter", &format!("name={name}"), "--format", "{{.Ports}}"]);
        assert!(run.ok().contains(&format!(":{port}->5353/udp")), "{run}");
        client.run(&["rm", "-f", &name]).exits(0);
    }
}

#[test]
fn prt_17_reachable_from_another_machine() {
    let daemon = Daemon::shared();
    let machine = Machine::new();
    for client in daemon.clients() {
        let port = free_port();
        let name = web(daemon, &client, &format!("{port}:80"));
        let url = format!("http://{}:{port}/", machine.host_address);
        let page = until("nginx answers the other machine", 15, || curl(&["ip", "netns", "exec", &machine.name], &url));
        assert_eq!(page, "hello\n");
        client.run(&["rm", "-f", &name]).exits(0);
    }
}

/// An echo server; busybox's nc of Debian has no UDP.
const ECHO: &str = "
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(('', 5353))
while True:
    data, peer = server.recvfrom(2048)
    server.sendto(data, peer)
";

/// Another machine: a network namespace on the other end of a cable.
struct Machine {
    name: String,
    host_address: String,
}

impl Machine {
    fn new() -> Self {
        let process = std::process::id();
        let name = format!("gtm{process}");
        let network = format!("10.{}.{}", 200 + process / 256 % 32, process % 256);
        ip(&format!("netns add {name}"));
        ip(&format!("link add gth{process} type veth peer name gtp{process}"));
        ip(&format!("link set gtp{process} netns {name}"));
        ip(&format!("addr add {network}.1/24 dev gth{process}"));
        ip(&format!("link set gth{process} up"));
        ip(&format!("-n {name} addr add {network}.2/24 dev gtp{process}"));
        ip(&format!("-n {name} link set gtp{process} up"));
        Self { name, host_address: format!("{network}.1") }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The cable goes with the namespace.
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}
