//! The work that is measured, over raw HTTP so that the client's own cost is small and equal for every engine.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use privileged_tests::Client;
use privileged_tests::http::Connection;
use serde_json::{Value, json};

use super::figures::{Figures, median};
use super::memory::Processes;

/// An engine to be measured.
pub struct Subject {
    /// The stock CLI bound to it.
    pub client: Client,
    /// Its API socket.
    pub socket: PathBuf,
    /// Whose memory is counted.
    pub processes: Processes,
    /// Repetitions of a step whose median is taken.
    pub runs: usize,
    /// Containers of the `many` step.
    pub many: usize,
}

/// One piece of the work: measures and adds its figures.
pub type Step = fn(&Subject, &mut Figures);

const IMAGE: &str = "busybox:latest";
const CLIENTS: usize = 8;

impl Subject {
    fn connection(&self) -> Connection {
        Connection::new(&self.socket)
    }
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn specification(command: &[&str], network: &str) -> Value {
    json!({"Image": IMAGE, "Cmd": command, "HostConfig": {"NetworkMode": network}})
}

fn create(api: &mut Connection, command: &[&str], network: &str) -> String {
    let answer = api.call("POST", "/containers/create", Some(&specification(command, network)));
    answer["Id"].as_str().expect("create answers with an id").to_owned()
}

/// Life of a container on the default bridge.
pub fn life_bridge(subject: &Subject, figures: &mut Figures) {
    life(subject, figures, "bridge");
}

/// Life of a container without network.
pub fn life_none(subject: &Subject, figures: &mut Figures) {
    life(subject, figures, "none");
}

fn life(subject: &Subject, figures: &mut Figures, network: &str) {
    let mut api = subject.connection();
    one_life(&mut api, network);
    let rows: Vec<[f64; 4]> = (0..subject.runs).map(|_| one_life(&mut api, network)).collect();
    for (index, step) in ["create", "start", "wait", "remove"].into_iter().enumerate() {
        figures.add(format!("life_{network}_{step}_ms"), median(rows.iter().map(|row| row[index]).collect()));
    }
    figures.add(format!("life_{network}_total_ms"), median(rows.iter().map(|row| row.iter().sum()).collect()));
}

fn one_life(api: &mut Connection, network: &str) -> [f64; 4] {
    let begin = Instant::now();
    let id = create(api, &["true"], network);
    let created = milliseconds(begin);
    api.call("POST", &format!("/containers/{id}/start"), None);
    let started = milliseconds(begin);
    let code = api.call("POST", &format!("/containers/{id}/wait"), None)["StatusCode"].clone();
    let waited = milliseconds(begin);
    assert_eq!(code, 0, "true ends with 0");
    api.call("DELETE", &format!("/containers/{id}"), None);
    let removed = milliseconds(begin);
    [created, started - created, waited - started, removed - waited]
}

/// `docker run --rm` with the stock client.
pub fn cli_run(subject: &Subject, figures: &mut Figures) {
    let mut environment = std::process::Command::new("docker");
    subject.client.environment(&mut environment);
    environment.args(["run", "--rm", IMAGE, "true"]);
    environment.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut one = || {
        let begin = Instant::now();
        assert!(environment.status().expect("the docker CLI runs").success());
        milliseconds(begin)
    };
    one();
    figures.add("cli_run_rm_ms", median((0..subject.runs).map(|_| one()).collect()));
}

/// Exec of `true`, and one kill.
pub fn exec(subject: &Subject, figures: &mut Figures) {
    let mut api = subject.connection();
    let id = create(&mut api, &["sleep", "1000"], "bridge");
    api.call("POST", &format!("/containers/{id}/start"), None);
    one_exec(subject, &mut api, &id);
    figures.add("exec_ms", median((0..subject.runs).map(|_| one_exec(subject, &mut api, &id)).collect()));
    let begin = Instant::now();
    api.call("POST", &format!("/containers/{id}/kill"), None);
    api.call("POST", &format!("/containers/{id}/wait"), None);
    figures.add("kill_ms", milliseconds(begin));
    api.call("DELETE", &format!("/containers/{id}?force=1"), None);
}

fn one_exec(subject: &Subject, api: &mut Connection, id: &str) -> f64 {
    let begin = Instant::now();
    let request = json!({"Cmd": ["true"], "AttachStdout": true});
    let exec = api.call("POST", &format!("/containers/{id}/exec"), Some(&request))["Id"].clone();
    let exec = exec.as_str().expect("exec answers with an id");
    let mut stream = subject.connection();
    let body = json!({"Detach": false, "Tty": false});
    let answer = stream.request("POST", &format!("/exec/{exec}/start"), Some(&body)).expect("exec start");
    assert!(matches!(answer.status, 200 | 101), "exec start: {}", answer.status);
    let took = milliseconds(begin);
    assert_eq!(api.call("GET", &format!("/exec/{exec}/json"), None)["ExitCode"], 0);
    took
}

/// Many containers at once.
pub fn many(subject: &Subject, figures: &mut Figures) {
    let base = subject.processes.pss();
    let ids = Mutex::new(Vec::new());
    let begin = Instant::now();
    in_parallel(subject.many, |_| {
        let mut api = subject.connection();
        let id = create(&mut api, &["sleep", "1000"], "bridge");
        api.call("POST", &format!("/containers/{id}/start"), None);
        ids.lock().expect("no client panicked").push(id);
    });
    let took = begin.elapsed().as_secs_f64();
    figures.add("many_start_s", took);
    figures.add("many_start_per_s", subject.many as f64 / took);
    std::thread::sleep(Duration::from_secs(1));
    figures.add("idle_daemon_pss_mb", base);
    figures.add("pss_per_container_mb", (subject.processes.pss() - base) / subject.many as f64);
    let mut api = subject.connection();
    let lists = (0..10).map(|_| {
        let begin = Instant::now();
        api.call("GET", "/containers/json", None);
        milliseconds(begin)
    });
    figures.add("ps_many_ms", median(lists.collect()));
    let ids = ids.into_inner().expect("no client panicked");
    let begin = Instant::now();
    in_parallel(ids.len(), |index| {
        subject.connection().call("DELETE", &format!("/containers/{}?force=1", ids[index]), None);
    });
    figures.add("many_remove_s", begin.elapsed().as_secs_f64());
}

fn in_parallel(count: usize, work: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        break;
                    }
                    work(index);
                }
            });
        }
    });
}

/// 240 MB of log: made once in the container, then written ten times, so that making them costs little.
pub fn logs(subject: &Subject, figures: &mut Figures) {
    let megabytes = 240.0;
    let script = "L=$(printf 'x%.0s' $(seq 119)); yes $L | head -c 24000000 >/l; \
                  i=0; while [ $i -lt 10 ]; do cat /l; i=$((i+1)); done";
    let mut api = subject.connection();
    let id = create(&mut api, &["sh", "-c", script], "none");
    let begin = Instant::now();
    api.call("POST", &format!("/containers/{id}/start"), None);
    api.call("POST", &format!("/containers/{id}/wait"), None);
    figures.add("log_write_mb_s", megabytes / begin.elapsed().as_secs_f64());
    let begin = Instant::now();
    let mut bytes = 0;
    let path = format!("/containers/{id}/logs?stdout=1&stderr=1");
    subject.connection().exchange("GET", &path, None, |piece| bytes += piece.len()).expect("the log is read");
    figures.add("log_read_mb_s", bytes as f64 / 1e6 / begin.elapsed().as_secs_f64());
    assert!(bytes >= 240_000_000, "only {bytes} bytes of log");
    api.call("DELETE", &format!("/containers/{id}?force=1"), None);
}
