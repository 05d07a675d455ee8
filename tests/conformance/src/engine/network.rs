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
