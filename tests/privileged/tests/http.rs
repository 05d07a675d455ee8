//! Requests as clients write them: letters of either case, other bodies, odd paths, crowds.
#![allow(clippy::unwrap_used, missing_docs)]

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use privileged_tests::http::{Answer, Connection, Request};
use privileged_tests::{Daemon, Options, until};
use serde_json::Value;

/// One request with a body as it stands and one header.
fn send(daemon: &Daemon, line: (&str, &str), header: (&str, &str), body: Option<&str>) -> Answer {
    let (method, path) = line;
    let headers = [(header.0.to_owned(), header.1.to_owned())];
    let request = Request { method, path, headers: &headers, body: body.map(str::to_owned), chunked: false };
    Connection::new(&daemon.socket()).send(&request).unwrap()
}

fn post(daemon: &Daemon, path: &str, body: &str) -> Answer {
    send(daemon, ("POST", path), ("Content-Type", "application/json"), Some(body))
}

fn message(answer: &Answer) -> String {
    answer.json()["message"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn x_08_every_version_from_1_24_to_1_51_is_spoken() {
    let daemon = Daemon::shared();
    let newest = if daemon.is_reference() { 41 } else { 51 };
    let ask =
        |version: &str| Connection::with_version(&daemon.socket(), version).request("GET", "/info", None).unwrap();
    for minor in 24..=newest {
        let answer = ask(&format!("/v1.{minor}"));
        assert_eq!(answer.status, 200, "1.{minor}");
        assert!(answer.json()["ServerVersion"].is_string(), "1.{minor}");
    }
    let refused = ask(&format!("/v1.{}", newest + 1));
    let text = format!("client version 1.{} is too new. Maximum supported API version is 1.{newest}", newest + 1);
    assert_eq!((refused.status, message(&refused)), (400, text));
    // Consoles of Docker's early years read failures as text.
    let old = ask("/v1.11");
    assert_eq!(old.status, 400);
    let old =
        Connection::with_version(&daemon.socket(), "/v1.20").request("GET", "/containers/nope/json", None).unwrap();
    assert_eq!((old.status, old.header("content-type")), (404, Some("text/plain; charset=utf-8")));
    assert!(String::from_utf8_lossy(&old.body).starts_with("No such container: nope"));
}

#[test]
fn x_08_members_are_found_in_any_case() {
    let daemon = Daemon::shared();
    let name = daemon.name("case");
    let body = r#"{"image":"busybox","CMD":["true"],"labels":{"A":"1","a":"2"},"Tty":false,"tty":true,
        "hostconfig":{"MEMORY":67108864,"restartPolicy":{"name":"on-failure","maximumretrycount":3}}}"#;
    // Of two that differ in case only, which one counts is nobody's business; this one has no twin.
    let body = body.replace(r#""Tty":false,"tty":true"#, r#""tTY":true"#);
    let created = post(daemon, &format!("/containers/create?name={name}"), &body);
    assert_eq!(created.status, 201, "{}", message(&created));
    let answer = daemon.api().request("GET", &format!("/containers/{name}/json"), None).unwrap().json();
    assert_eq!(answer["Config"]["Cmd"], serde_json::json!(["true"]));
    assert_eq!(answer["Config"]["Tty"], true);
    assert_eq!(answer["Config"]["Labels"], serde_json::json!({"A": "1", "a": "2"}));
    assert_eq!(answer["HostConfig"]["Memory"], 67_108_864);
    assert_eq!(answer["HostConfig"]["RestartPolicy"]["MaximumRetryCount"], 3);
    daemon.docker(&["rm", &name]).exits(0);
}

#[test]
fn x_08_bodies_that_do_not_fit_are_refused_without_a_trace() {
    let daemon = Daemon::start(Options::default());
    if daemon.is_reference() {
        return; // It answers 500 to most of these.
    }
    let before = daemon.traces();
    let create = ("POST", "/containers/create");
    for (content_type, body, status, text) in [
        ("text/plain", "{}", 400, "unsupported Content-Type header (text/plain): must be 'application/json'"),
        (
            "application/json; x",
            "{}",
            400,
            "malformed Content-Type header (application/json; x): mime: invalid media parameter",
        ),
        ("application/json", "", 400, "invalid JSON: got EOF while reading request body"),
        ("application/json", "null", 400, "config cannot be empty in order to create a container"),
        ("application/json", "{", 400, "invalid JSON: unexpected EOF"),
        ("application/json", r#"{"Image":"busybox"} x"#, 400, "unexpected content after JSON"),
        (
            "application/json",
            "[]",
            400,
            "invalid JSON: invalid type: sequence, expected struct Config at line 1 column 2",
        ),
        (
            "application/json",
            r#"{"Image":7}"#,
            400,
            "invalid JSON: invalid type: integer `7`, expected a string at line 1 column 10",
        ),
    ] {
        let answer = send(&daemon, create, ("Content-Type", content_type), Some(body));
        assert_eq!((answer.status, message(&answer)), (status, text.to_owned()), "{content_type} {body}");
    }
    let large = format!(r#"{{"Image":"busybox","Labels":{{"a":"{}"}}}}"#, "x".repeat(17 << 20));
    let answer = Connection::new(&daemon.socket()).request("POST", create.1, Some(&Value::String(large)));
    // A client that writes to the end may find the connection closed before it reads why.
    if let Ok(answer) = answer {
        assert_eq!((answer.status, message(&answer)), (413, "the request body is larger than 16 MiB".to_owned()));
    }
    assert_eq!(daemon.traces(), before);
    let answer = daemon.api().request("GET", "/containers/json?all=1", None).unwrap();
    assert_eq!(answer.json(), serde_json::json!([]));
}

#[test]
fn x_08_an_empty_body_is_enough_where_nothing_has_to_be_said() {
    let daemon = Daemon::shared();
    if daemon.is_reference() {
        return; // Docker 23 began with it.
    }
    let created = daemon.api().request("POST", "/volumes/create", None).unwrap();
    assert_eq!(created.status, 201);
    let name = created.json()["Name"].as_str().unwrap().to_owned();
    daemon.docker(&["volume", "rm", &name]).exits(0);
    let exec = daemon.background("empty", "sleep 600");
    let answer = daemon.api().request("POST", &format!("/containers/{exec}/exec"), None).unwrap();
    assert_eq!((answer.status, message(&answer)), (400, "No exec command specified".to_owned()));
    daemon.docker(&["rm", "-f", &exec]).exits(0);
}

#[test]
fn x_08_paths_and_queries_are_read_as_go_reads_them() {
    let daemon = Daemon::shared();
    let ask = |method: &str, path: &str| send(daemon, (method, path), ("X-Nothing", "x"), None);
    let moved = ask("GET", "/containers//json?all=1");
    assert_eq!((moved.status, moved.header("location")), (301, Some("/v1.41/containers/json?all=1")));
    assert_eq!(ask("OPTIONS", "/containers/json").status, 200);
    assert_eq!(ask("GET", "/containers/json/").status, 404);
    assert_eq!(ask("HEAD", "/containers/json").status, 404);
    for (query, text) in
        [("all=%zz", "invalid URL escape \"%zz\""), ("all=1;limit=2", "invalid semicolon separator in query")]
    {
        let answer = ask("GET", &format!("/containers/json?{query}"));
        assert_eq!((answer.status, message(&answer)), (400, text.to_owned()), "{query}");
    }
    let answer = ask("GET", "/networks/bridge?verbose=maybe");
    let text = "invalid value for verbose: maybe: strconv.ParseBool: parsing \"maybe\": invalid syntax";
    assert_eq!((answer.status, message(&answer)), (400, text.to_owned()));
}

#[test]
fn x_08_garbage_closes_its_own_connection_only() {
    let daemon = Daemon::shared();
    for garbage in [
        b"\0\x01\x02\r\n\r\n".to_vec(),
        b"GET /_ping\r\n\r\n".to_vec(),
        b"POST /volumes/create HTTP/1.1\r\nHost: d\r\nContent-Length: -5\r\n\r\n".to_vec(),
        b"POST /volumes/create HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_vec(),
        [b"GET /_ping HTTP/1.1\r\nHost: d\r\n".to_vec(), b"X: y\r\n".repeat(300_000), b"\r\n".to_vec()].concat(),
        [b"GET /_ping HTTP/1.1\r\nX: ".to_vec(), vec![b'y'; 3 << 20], b"\r\n\r\n".to_vec()].concat(),
    ] {
        let mut stream = UnixStream::connect(daemon.socket()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        // It may be closed before all was written.
        let _ = stream.write_all(&garbage);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert_eq!(daemon.api().request("GET", "/_ping", None).unwrap().status, 200);
}

#[test]
fn x_08_a_crowd_of_clients_is_served_and_leaves_nothing_behind() {
    let daemon = Daemon::start(Options::default());
    let descriptors = || std::fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().count();
    let before = descriptors();
    let connect = || {
        let stream = until("there is room to wait in", 30, || UnixStream::connect(daemon.socket()).ok());
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream
    };
    let mut crowd: Vec<UnixStream> = (0..700).map(|_| connect()).collect();
    for stream in &mut crowd {
        stream.write_all(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n").unwrap();
    }
    for stream in &mut crowd {
        let mut answer = [0; 15];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
    }
    drop(crowd);
    // A few are opened and closed by whatever else the engine does.
    until("the descriptors are given back", 60, || (descriptors() < before + 20).then_some(()));
}
