//! The daemon killed with SIGKILL in the middle of changes of networks, over and over: afterwards the kernel has what
//! the records say.

use serde_json::{Value, json};

use crate::daemon::Daemon;
use crate::http::Connection;
use crate::killed;
use crate::net_state::{NetState, quiet_port};
use crate::random::Random;

const CONTAINERS: u64 = 5;
const NETWORKS: u64 = 3;

/// Kills and restarts the daemon `rounds` times; panics when kernel and records disagree. The same seed does the same
/// requests, though not at the same moments.
pub fn run(daemon: &Daemon, rounds: u32, seed: u64) {
    let ports: Vec<u16> = (0..3).map(|number| quiet_port(number * 7)).collect();
    prepare(daemon, &ports);
    let mut random = Random::new(seed);
    for round in 1..=rounds {
        killed::round(daemon, &mut random, 250, step);
        NetState::demand_agreement(daemon, &ports, &format!("round {round}, seed {seed}"));
    }
    daemon.docker(&["ps", "-q"]).exits(0);
}

/// The containers and networks that the changes are about.
fn prepare(daemon: &Daemon, ports: &[u16]) {
    let mut api = daemon.api();
    for number in 0..NETWORKS {
        api.call("POST", "/networks/create", Some(&json!({"Name": format!("net{number}")})));
    }
    for number in 0..CONTAINERS {
        let mut body = json!({"Image": "busybox", "Cmd": ["sleep", "100000"], "StopSignal": "SIGKILL"});
        if let Some(port) = ports.get(number as usize) {
            body["ExposedPorts"] = json!({"80/tcp": {}});
            body["HostConfig"] =
                json!({"PortBindings": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": port.to_string()}]}});
        }
        api.call("POST", &format!("/containers/create?name=c{number}"), Some(&body));
        api.call("POST", &format!("/containers/c{number}/start"), None);
    }
    NetState::demand_agreement(daemon, ports, "before anything was killed");
}

/// One change; refusals are fine, only a lost daemon ends it.
fn step(api: &mut Connection, random: &mut Random) -> std::io::Result<()> {
    let container = format!("c{}", random.below(CONTAINERS));
    let network = format!("net{}", random.below(NETWORKS));
    let passing = format!("passing{}", random.below(3));
    let endpoint = json!({"Container": container, "Force": true});
    let (method, path, body): (&str, String, Option<Value>) = match random.below(8) {
        0 | 1 => ("POST", format!("/networks/{network}/connect"), Some(json!({"Container": container}))),
        2 | 3 => ("POST", format!("/networks/{network}/disconnect"), Some(endpoint)),
        4 => ("POST", format!("/containers/{container}/stop?t=0"), None),
        5 => ("POST", format!("/containers/{container}/start"), None),
        6 => ("POST", "/networks/create".to_owned(), Some(json!({"Name": passing}))),
        _ => ("DELETE", format!("/networks/{passing}"), None),
    };
    api.request(method, &path, body.as_ref()).map(|_| ())
}
