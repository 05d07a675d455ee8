//! The server on a real socket with a real engine without containers. Needs root, as the engine's roots do.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test; a skip is told")]

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::{Engine, EngineConfig};
use network::{DefaultBridge, NetworkConfig};
use server::{Listen, Server};
use tokio::sync::oneshot;

struct Daemon {
    root: PathBuf,
    socket: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Daemon {
    /// `None`, with the reason on stderr, where the engine cannot run.
    fn start(name: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: an engine needs root");
            return None;
        }
        let root = std::env::temp_dir().join(format!("gantry-http-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        let socket = root.join("api.sock");
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let (config, listen) = (config(&root), Listen::Unix(socket.clone()));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let server = Server::bind(vec![listen], &server::Access::default(), 100).unwrap();
                let engine: Arc<Engine> = Engine::open(config).await.unwrap();
                ready.send(()).unwrap();
                server.serve(engine, async { drop(stopped.await) }).await;
            });
        });
        is_ready.recv().unwrap();
        Some(Self { root, socket, stop: Some(stop), thread: Some(thread) })
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    /// One exchange on its own connection; the whole answer as text.
    fn exchange(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = self.connect();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: d\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop.take().map(|stop| stop.send(()));
        let ended = self.thread.take().map(std::thread::JoinHandle::join);
        let _ = std::fs::remove_dir_all(&self.root);
        assert!(std::thread::panicking() || ended.is_some_and(|ended| ended.is_ok()));
    }
}

fn config(root: &Path) -> EngineConfig {
    let (data_root, exec_root) = (root.join("data"), root.join("exec"));
    let mut network = NetworkConfig::new(&data_root, &exec_root, DefaultBridge::Disabled);
    network.iptables = false;
    network.ip_forward = false;
    EngineConfig {
        driver: store::DriverChoice::Vfs,
        ..EngineConfig::new(&data_root, &exec_root, "/nonexistent".into(), network)
    }
}

fn status_and_body(answer: &str) -> (&str, &str) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (&head["HTTP/1.1 ".len()..][..3], body)
}

#[test]
fn answers_carry_dockers_headers_and_texts() {
    let Some(daemon) = Daemon::start("headers") else { return };
    let ping = daemon.exchange("GET", "/_ping", "");
    for header in ["Api-Version: 1.51", "Docker-Experimental: false", "Ostype: linux", "Swarm: inactive"] {
        assert!(ping.contains(&format!("\r\n{header}\r\n")), "{ping}");
    }
    assert!(ping.contains("\r\nServer: Gantry/") && ping.ends_with("\r\n\r\nOK"), "{ping}");
    assert!(daemon.exchange("HEAD", "/_ping", "").ends_with("\r\n\r\n"));
    for (method, path, body, expected) in [
        ("GET", "/v1.41/containers/json?all=1", "", ("200", "[]\n")),
        ("GET", "/v1.41/images/json", "", ("200", "[]\n")),
        ("GET", "/v1.41/volumes", "", ("200", "{\"Volumes\":[],\"Warnings\":null}\n")),
        ("GET", "/v1.41/containers/nope/json", "", ("404", "{\"message\":\"No such container: nope\"}\n")),
        ("GET", "/images/nope/json", "", ("404", "{\"message\":\"No such image: nope:latest\"}\n")),
        (
            "POST",
            "/containers/create",
            "",
            ("400", "{\"message\":\"invalid JSON: got EOF while reading request body\"}\n"),
        ),
        (
            "POST",
            "/containers/create",
            "{\"Image\":\"nope\"}",
            ("404", "{\"message\":\"No such image: nope:latest\"}\n"),
        ),
        (
            "POST",
            "/containers/nope/kill",
            "",
            ("404", "{\"message\":\"cannot kill container: nope: No such container: nope\"}\n"),
        ),
        ("POST", "/containers/a/wait?condition=x", "", ("400", "{\"message\":\"invalid condition: \\\"x\\\"\"}\n")),
        (
            "POST",
            "/images/create?fromImage=A",
            "",
            ("400", "{\"message\":\"invalid reference format: repository name (A) must be lowercase\"}\n"),
        ),
        (
            "GET",
            "/containers/a/logs",
            "",
            ("400", "{\"message\":\"Bad parameters: you must choose at least one stream\"}\n"),
        ),
        (
            "POST",
            "/containers/a/attach?detachKeys=zz",
            "",
            ("400", "{\"message\":\"Invalid detach keys (zz) provided\"}\n"),
        ),
    ] {
        assert_eq!(status_and_body(&daemon.exchange(method, path, body)), expected, "{method} {path}");
    }
}

#[test]
fn a_connection_takes_many_requests_and_small_ones_are_quick() {
    let Some(daemon) = Daemon::start("many") else { return };
    let mut stream = daemon.connect();
    let mut buffer = [0; 4096];
    let begin = Instant::now();
    for _ in 0..200 {
        stream.write_all(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n").unwrap();
        let count = stream.read(&mut buffer).unwrap();
        assert!(buffer[..count].ends_with(b"OK"));
    }
    // Far above what it takes, since tests share the machine: 0.1 ms each in a release build.
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    // Two requests sent at once are answered in order.
    stream.write_all(&b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n".repeat(2)).unwrap();
    let mut seen = Vec::new();
    while seen.windows(4).filter(|window| window == b"\r\nOK" || window == b"\n\r\nO").count() < 2 {
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0);
        seen.extend_from_slice(&buffer[..count]);
    }
}

#[test]
fn events_are_streamed_until_their_time_is_over() {
    let Some(daemon) = Daemon::start("events") else { return };
    let mut stream = daemon.connect();
    write!(stream, "GET /events?filters=%7B%22type%22%3A%5B%22volume%22%5D%7D HTTP/1.1\r\nHost: d\r\n\r\n").unwrap();
    let mut buffer = [0; 4096];
    let count = stream.read(&mut buffer).unwrap();
    assert!(String::from_utf8_lossy(&buffer[..count]).starts_with("HTTP/1.1 200 OK"), "headers come at once");
    let created = daemon.exchange("POST", "/volumes/create", "{\"Name\":\"vol\"}");
    assert_eq!(status_and_body(&created).0, "201");
    let count = stream.read(&mut buffer).unwrap();
    let line = String::from_utf8_lossy(&buffer[..count]).into_owned();
    assert!(line.contains("\"Type\":\"volume\",\"Action\":\"create\",\"Actor\":{\"ID\":\"vol\""), "{line}");
    // A window that is over ends at once, and shows what happened in it.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 1;
    let past = daemon.exchange("GET", &format!("/events?since=1&until={now}"), "");
    assert!(past.contains("\"ID\":\"vol\""), "{past}");
}

#[test]
fn connections_beyond_the_limit_are_refused_in_words_until_others_leave() {
    let Some(daemon) = Daemon::start("limit") else { return };
    let mut open: Vec<UnixStream> = (0..100).map(|_| daemon.connect()).collect();
    let ping = |stream: &mut UnixStream| {
        stream.write_all(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n").unwrap();
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    };
    // Once the last one is answered, all are counted.
    assert!(ping(&mut open[99]).starts_with("HTTP/1.1 200 "));
    let refused = daemon.exchange("GET", "/_ping", "");
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("{\"message\":\"too many open conn"), "{refused}");
    drop(open.split_off(50));
    let begin = Instant::now();
    while !daemon.exchange("GET", "/_ping", "").starts_with("HTTP/1.1 200 ") {
        assert!(begin.elapsed() < Duration::from_secs(30), "places are not given back");
    }
    assert!(ping(&mut open[0]).starts_with("HTTP/1.1 200 "), "those that are open stay");
}
