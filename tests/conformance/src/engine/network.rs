//! Networks: bridge, names, published ports.

use std::io::Read as _;
use std::net::TcpStream;

use anyhow::{Result, ensure};

use super::Daemon;
use super::daemon::until;
use crate::report::Outcome;

pub(super) fn bridge_carries(daemon: &Daemon) -> Result<Outcome> {
    daemon.ok(&["network", "create", "own"])?;
    let serve = "while :; do nc -l -p 80 -e echo served; done";
    daemon.background("server", &["--network", "own", "-p", "127.0.0.1:8080:80"], serve)?;
    let reach = |script: &str| daemon.run(&["run", "--rm", "--network", "own", "busybox", "sh", "-c", script]);
    until("the name is served", || Ok((reach("nc server 80 < /dev/null")?.stdout == "served").then_some(())))?;
    let answer = until("the port is published", || {
        let Ok(mut stream) = TcpStream::connect("127.0.0.1:8080") else { return Ok(None) };
        let mut text = String::new();
        Ok(stream.read_to_string(&mut text).ok().map(|_| text).filter(|text| !text.is_empty()))
    })?;
    ensure!(answer.trim() == "served", "{answer}");
    let gateway = daemon.script(&[], "ping -c 1 -w 20 $(ip route | sed -n 's/default via \\([^ ]*\\).*/\\1/p')")?;
    ensure!(gateway.contains("1 packets received"), "{gateway}");
    daemon.remove(&["server"])?;
    daemon.ok(&["network", "rm", "own"])?;
    Ok(Outcome::Passed)
}

/// macvlan on a VLAN of a device, ipvlan in two modes, and a network that leads nowhere: what a kernel may lack.
pub(super) fn wires_carry(daemon: &Daemon) -> Result<Outcome> {
    // The other machine is a container at the end of a cable.
    daemon.background("machine", &["--network", "none", "--privileged"], "while :; do sleep 1000; done")?;
    let pid = daemon.inspect("machine", "{{.State.Pid}}")?;
    let host = |script: &str| {
        let output = daemon.busybox().args(["sh", "-ec", script]).output()?;
        ensure!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    };
    host(&format!(
        "ip link add wire0 type veth
         peer=$(ip link | sed -n 's/.*: \\(veth[0-9]*\\)@wire0.*/\\1/p')
         ip link set $peer name cable0
         ip link set cable0 netns {pid}
         ip addr add 10.77.0.1/24 dev wire0
         ip link set wire0 up"
    ))?;
    let there = "ip link set cable0 name eth0
         ip link set eth0 up
         ip addr add 10.77.0.200/24 dev eth0
         ip route add 10.77.9.0/24 via 10.77.0.1
         ip link add link eth0 name eth0.50 type vlan id 50
         ip link set eth0.50 up
         ip addr add 10.77.50.200/24 dev eth0.50";
    daemon.ok(&["exec", "machine", "sh", "-ec", there])?;
    for (driver, options, subnet, address, route) in [
        ("macvlan", "parent=wire0.50", "10.77.50.0/24", "10.77.50.200", "default via 10.77.50.1 dev eth0"),
        ("ipvlan", "parent=wire0", "10.77.0.0/24", "10.77.0.200", "default via 10.77.0.1 dev eth0"),
        ("ipvlan", "parent=wire0 ipvlan_mode=l3", "10.77.9.0/24", "10.77.0.200", "default dev eth0"),
    ] {
        let options = options.split(' ').flat_map(|option| ["-o", option]);
        let words: Vec<&str> =
            ["network", "create", "-d", driver, "--subnet", subnet].into_iter().chain(options).collect();
        daemon.ok(&[&words[..], &["wire"]].concat())?;
        let said = daemon.script(&["--network", "wire"], &format!("ip route; ping -c 1 -w 20 {address}"))?;
        ensure!(said.contains(route), "{driver}: no {route:?} in {said}");
        ensure!(said.contains("1 packets received"), "{driver}: {said}");
        daemon.ok(&["network", "rm", "wire"])?;
    }
    let gone = daemon.busybox().args(["ip", "link", "show", "wire0.50"]).output()?;
    ensure!(!gone.status.success(), "the VLAN outlived its network");
    daemon.ok(&["network", "create", "-d", "macvlan", "nowhere"])?;
    let said = daemon.script(&["--network", "nowhere"], "ip route; ip -o link show eth0")?;
    ensure!(!said.contains("default") && said.contains("eth0"), "{said}");
    daemon.remove(&["machine"])?;
    daemon.ok(&["network", "rm", "nowhere"])?;
    let left = daemon.busybox().args(["sh", "-c", "ip -o link | grep -c dm-"]).output()?;
    ensure!(String::from_utf8_lossy(&left.stdout).trim() == "0", "the dummy device outlived its network");
    Ok(Outcome::Passed)
}
