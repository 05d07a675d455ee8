//! Published ports, and what a network costs.

use std::process::Command;
use std::time::Instant;

use privileged_tests::fixtures::Fixture;
use privileged_tests::http::Connection;
use privileged_tests::until;
use serde_json::json;

use super::figures::{Figures, median};
use super::work::Subject;

const ROUNDS: usize = 3;
const PORT: u16 = 18_080;
const NETWORK: &str = "bench-plug";
/// The other host's side of the cable, and ours.
const HOST: &str = "10.98.77.1";
const OTHER: &str = "10.98.77.2";

/// nginx at its own address, through a port published on loopback, and through one from another host; then connecting
/// and disconnecting a network, and a container with 100 published ports.
pub fn network(subject: &Subject, figures: &mut Figures) {
    let mut api = Connection::new(&subject.socket);
    load(subject);
    requests(&mut api, figures);
    plug(&mut api, figures, subject.runs);
    ports(&mut api, figures, subject.runs);
}

fn load(subject: &Subject) {
    let archive = Fixture::Web.archive().expect("the image of nginx").display().to_string();
    subject.client.run(&["load", "-q", "-i", &archive]).exits(0);
}

fn requests(api: &mut Connection, figures: &mut Figures) {
    let host = json!({"PortBindings": {"80/tcp": [{"HostPort": PORT.to_string()}]}});
    let id = start(api, &json!({"Image": "web:v1", "HostConfig": host}));
    let shown = api.call("GET", &format!("/containers/{id}/json"), None);
    let address = shown["NetworkSettings"]["Networks"]["bridge"]["IPAddress"].as_str().expect("an address").to_owned();
    let direct = format!("http://{address}/");
    let loopback = format!("http://127.0.0.1:{PORT}/");
    until("nginx answers", 30, || {
        let answered = Command::new("curl").args(["-fs", "-o", "/dev/null", &loopback]).status();
        answered.is_ok_and(|status| status.success()).then_some(())
    });
    let other = Other::new();
    let (mut here, mut through, mut outside) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        here.push(wrk(&[], &direct));
        through.push(wrk(&[], &loopback));
        outside.push(wrk(&["ip", "netns", "exec", &other.name], &format!("http://{HOST}:{PORT}/")));
    }
    let direct = median(here);
    figures.add("direct_per_s", direct);
    for (name, values) in [("loopback", through), ("dnat", outside)] {
        let rate = median(values);
        figures.add(format!("{name}_per_s"), rate);
        figures.add(format!("{name}_part"), rate / direct);
    }
    remove(api, &id);
}

/// Requests a second with 32 connections.
fn wrk(prefix: &[&str], url: &str) -> f64 {
    let words = [prefix, &["wrk", "-t1", "-c32", "-d3s", url]].concat();
    let output = Command::new(words[0]).args(&words[1..]).output().expect("wrk is installed");
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
    line.and_then(|rate| rate.trim().parse().ok()).unwrap_or_else(|| panic!("{text}"))
}

fn plug(api: &mut Connection, figures: &mut Figures, runs: usize) {
    api.call("POST", "/networks/create", Some(&json!({"Name": NETWORK})));
    let id = start(api, &json!({"Image": "busybox:latest", "Cmd": ["sleep", "1000"]}));
    let body = json!({"Container": id});
    let (mut on, mut off) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let since = Instant::now();
        api.call("POST", &format!("/networks/{NETWORK}/connect"), Some(&body));
        on.push(milliseconds(since));
        let since = Instant::now();
        api.call("POST", &format!("/networks/{NETWORK}/disconnect"), Some(&body));
        off.push(milliseconds(since));
    }
    let (on, off) = (median(on), median(off));
    figures.add("connect_ms", on);
    figures.add("disconnect_ms", off);
    figures.add("plug_total_ms", on + off);
    remove(api, &id);
    api.call("DELETE", &format!("/networks/{NETWORK}"), None);
}

fn ports(api: &mut Connection, figures: &mut Figures, runs: usize) {
    let bindings = (0..100).map(|n| (format!("{}/tcp", 1000 + n), json!([{"HostPort": (20_000 + n).to_string()}])));
    let bindings: serde_json::Map<_, _> = bindings.collect();
    let exposed: serde_json::Map<_, _> = bindings.keys().map(|key| (key.clone(), json!({}))).collect();
    let host = json!({"PortBindings": bindings});
    let body =
        json!({"Image": "busybox:latest", "Cmd": ["sleep", "1000"], "ExposedPorts": exposed, "HostConfig": host});
    let mut times = Vec::new();
    for _ in 0..runs.min(7) {
        let answer = api.call("POST", "/containers/create", Some(&body));
        let id = answer["Id"].as_str().expect("create answers with an id").to_owned();
        let since = Instant::now();
        api.call("POST", &format!("/containers/{id}/start"), None);
        times.push(milliseconds(since));
        remove(api, &id);
    }
    figures.add("start_100_ports_ms", median(times));
}

fn start(api: &mut Connection, body: &serde_json::Value) -> String {
    let answer = api.call("POST", "/containers/create", Some(body));
    let id = answer["Id"].as_str().expect("create answers with an id").to_owned();
    api.call("POST", &format!("/containers/{id}/start"), None);
    id
}

fn remove(api: &mut Connection, id: &str) {
    api.call("DELETE", &format!("/containers/{id}?force=1"), None);
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

/// Another host: a network namespace at the end of a cable.
struct Other {
    name: String,
}

impl Other {
    fn new() -> Self {
        let name = format!("bench{}", std::process::id());
        let (ours, theirs) = ("benchcable0", "benchcable1");
        ip(&format!("netns add {name}"));
        ip(&format!("link add {ours} type veth peer name {theirs} netns {name}"));
        ip(&format!("addr add {HOST}/30 dev {ours}"));
        ip(&format!("link set {ours} up"));
        ip(&format!("-n {name} addr add {OTHER}/30 dev {theirs}"));
        ip(&format!("-n {name} link set {theirs} up"));
        Self { name }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // The cable goes with it.
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

fn ip(words: &str) {
    let status = Command::new("ip").args(words.split(' ')).status().expect("ip is installed");
    assert!(status.success(), "ip {words}");
}
