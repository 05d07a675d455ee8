//! What an engine's networks look like on the host, beside what its records say.

use std::collections::BTreeSet;
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use regex_lite::Regex;
use serde_json::Value;

use crate::daemon::Daemon;

/// Everything of an engine's networks that can be counted, one line each; so two of them can be compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetState {
    /// Bridges, ports on them, namespaces, elements of the firewall's maps and sets, addresses, reserved ports.
    pub things: BTreeSet<String>,
}

// === impl NetState ===

impl NetState {
    /// What the kernel has; whether `ports` are reserved.
    pub fn of_kernel(daemon: &Daemon, ports: &[u16]) -> Self {
        let mut things = BTreeSet::new();
        let bridges = bridges(daemon);
        for bridge in &bridges {
            things.insert(format!("bridge {bridge}"));
            let ports = fs::read_dir(format!("/sys/class/net/{bridge}/brif")).into_iter().flatten().flatten();
            things.extend(ports.map(|port| format!("port {} on {bridge}", port.file_name().display())));
        }
        let pins = fs::read_dir(daemon.exec_root().join("netns")).into_iter().flatten().flatten();
        let pins: Vec<_> = pins.map(|pin| pin.path()).collect();
        for pin in &pins {
            things.insert(format!("namespace {}", pin.file_name().unwrap_or_default().display()));
            let text = output("nsenter", &[&format!("--net={}", pin.display()), "ip", "-o", "-4", "addr"]);
            let own = Regex::new(r"inet (\S+)/\d+ .* scope global").expect("a pattern");
            things.extend(own.captures_iter(&text).map(|found| format!("address {}", &found[1])));
        }
        let table = output("nft", &["list", "table", "inet", &format!("gantry_{}", daemon.bridge())]);
        let published = Regex::new(r"(tcp|udp) \. (\d+) : ([\d.]+) \. (\d+)").expect("a pattern");
        let mapped = published.captures_iter(&table);
        things.extend(mapped.map(|one| format!("element {}/{} to {}:{}", &one[2], &one[1], &one[3], &one[4])));
        things.extend(set(&table, "bridges").into_iter().map(|device| format!("known bridge {device}")));
        let taken = |port: &&u16| TcpListener::bind(("0.0.0.0", **port)).is_err();
        things.extend(ports.iter().filter(taken).map(|port| format!("reserved {port}")));
        Self { things }
    }

    /// What the records say; of the ports only these, as on the other side.
    pub fn of_records(daemon: &Daemon, ports: &[u16]) -> Self {
        let mut api = daemon.api();
        let mut things = BTreeSet::new();
        let mut bridge = |name: &str| {
            things.insert(format!("bridge {name}"));
            things.insert(format!("known bridge {name}"));
        };
        let device = |network: &Value| {
            let id = network["Id"].as_str().unwrap_or_default().to_owned();
            if network["Name"] == "bridge" { daemon.bridge().to_owned() } else { format!("br-{}", &id[..12]) }
        };
        let networks = api.call("GET", "/networks", None);
        let networks: Vec<&Value> = networks.as_array().into_iter().flatten().collect();
        networks.iter().filter(|one| one["Driver"] == "bridge").for_each(|network| bridge(&device(network)));
        for container in api.call("GET", "/containers/json", None).as_array().into_iter().flatten() {
            let id = container["Id"].as_str().unwrap_or_default();
            let settings = api.call("GET", &format!("/containers/{id}/json"), None)["NetworkSettings"].clone();
            let key = settings["SandboxKey"].as_str().unwrap_or_default();
            // One that is on no network has a namespace that only its processes hold.
            if let Some(name) = Path::new(key).file_name() {
                things.insert(format!("namespace {}", name.display()));
            }
            for endpoint in settings["Networks"].as_object().into_iter().flat_map(|all| all.values()) {
                let text = |field: &str| endpoint[field].as_str().unwrap_or_default().to_owned();
                let (endpoint_id, address) = (text("EndpointID"), text("IPAddress"));
                if address.is_empty() {
                    continue;
                }
                let network = networks.iter().find(|one| one["Id"] == text("NetworkID").as_str());
                let bridge = network.map(|network| device(network)).unwrap_or_default();
                things.insert(format!("port veth{} on {bridge}", &endpoint_id[..11]));
                things.insert(format!("address {address}"));
            }
            let addresses = settings["Networks"].as_object().into_iter().flat_map(|all| all.values());
            let addresses: Vec<&str> = addresses.filter_map(|one| one["IPAddress"].as_str()).collect();
            for (port, bindings) in settings["Ports"].as_object().into_iter().flatten() {
                for binding in bindings.as_array().into_iter().flatten().filter(|one| one["HostIp"] != "::") {
                    let (number, protocol) = port.split_once('/').unwrap_or_default();
                    let host = binding["HostPort"].as_str().unwrap_or_default();
                    if ports.iter().any(|port| port.to_string() == host) {
                        things.insert(format!("reserved {host}"));
                    }
                    // Which of its networks leads out is the engine's business; one of them it is.
                    let leads = |address: &&&str| !address.is_empty() && maps(daemon, host, address);
                    let address = addresses.iter().find(leads).copied().unwrap_or("nowhere");
                    things.insert(format!("element {host}/{protocol} to {address}:{number}"));
                }
            }
        }
        Self { things }
    }

    /// What only one side has.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let here = self.things.difference(&other.things).map(|thing| format!("only in the kernel: {thing}"));
        here.chain(other.things.difference(&self.things).map(|thing| format!("only in the records: {thing}"))).collect()
    }

    /// Waits until kernel and records agree: what is removed goes in the background.
    #[track_caller]
    pub fn demand_agreement(daemon: &Daemon, ports: &[u16], what: &str) {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let differences = Self::of_kernel(daemon, ports).differences(&Self::of_records(daemon, ports));
            if differences.is_empty() {
                return;
            }
            assert!(Instant::now() < end, "{what}: {differences:#?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The bridges that this engine made, by what they say of themselves.
fn bridges(daemon: &Daemon) -> Vec<String> {
    let root = std::path::absolute(daemon.data_root()).unwrap_or_else(|_| daemon.data_root().to_owned());
    let alias = format!("gantry {}", root.display());
    let all = fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    let own =
        all.filter(|device| fs::read_to_string(device.path().join("ifalias")).is_ok_and(|text| text.trim() == alias));
    own.map(|device| device.file_name().display().to_string()).collect()
}

/// Whether the firewall sends a port of the host to an address.
fn maps(daemon: &Daemon, port: &str, address: &str) -> bool {
    let map = output("nft", &["list", "map", "inet", &format!("gantry_{}", daemon.bridge()), "published"]);
    map.contains(&format!(" . {port} : {address} . "))
}

/// The elements of a set of names in the text of a table.
fn set(table: &str, name: &str) -> Vec<String> {
    let Some((_, behind)) = table.split_once(&format!("set {name} {{")) else { return Vec::new() };
    let own = behind.split_once('}').map_or(behind, |(own, _)| own);
    let list = own.split_once("elements").map_or("", |(_, list)| list);
    let words = list.split(|sign: char| sign.is_whitespace() || sign == ',');
    let words = words.map(|word| word.trim_matches(['"', '{', '}', '=']));
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A port that nobody has for TCP and UDP at the moment, away from those that the kernel gives out by chance.
pub fn quiet_port(number: u16) -> u16 {
    let first = 20_000 + (std::process::id() % 100) as u16 * 100;
    let free =
        |port: &u16| TcpListener::bind(("0.0.0.0", *port)).is_ok() && UdpSocket::bind(("0.0.0.0", *port)).is_ok();
    (first + number..first + 1000).find(free).expect("a free port")
}
