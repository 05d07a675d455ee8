//! Row X-09, the wire: attach and exec as raw streams, and attach over a websocket. Row CTR-24.
#![allow(clippy::unwrap_used, missing_docs)]

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use privileged_tests::{Daemon, until};
use serde_json::json;

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: tcp\r\n";
const WEBSOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://localhost\r\n";

/// A connection that has sent a request; the head of the answer has been read.
struct Wire {
    stream: UnixStream,
    head: String,
    /// What came behind the head.
    early: Vec<u8>,
}

impl Wire {
    fn open(daemon: &Daemon, request: &str, headers: &str, body: &str) -> Self {
        let mut stream = UnixStream::connect(daemon.socket()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let length = body.len();
        let json = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let text = format!("{request} HTTP/1.1\r\nHost: d\r\n{headers}{json}Content-Length: {length}\r\n\r\n{body}");
        stream.write_all(text.as_bytes()).unwrap();
        let mut wire = Self { stream, head: String::new(), early: Vec::new() };
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            let mut buffer = [0; 1024];
            let count = wire.stream.read(&mut buffer).unwrap();
            assert!(count > 0, "the connection ended: {}", String::from_utf8_lossy(&bytes));
            bytes.extend_from_slice(&buffer[..count]);
        };
        wire.early = bytes.split_off(end);
        wire.head = String::from_utf8(bytes).unwrap();
        wire
    }

    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn status(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.early.len() < count {
            let mut buffer = [0; 4096];
            let read = self.stream.read(&mut buffer).unwrap();
            assert!(read > 0, "the stream ended with {:?}", self.early);
            self.early.extend_from_slice(&buffer[..read]);
        }
        self.early.drain(..count).collect()
    }

    fn rest(mut self) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.early);
        self.stream.read_to_end(&mut rest).unwrap();
        rest
    }

    /// One frame of a server: opcode and payload.
    fn frame(&mut self) -> (u8, Vec<u8>) {
        let head = self.exactly(2);
        assert!(head[0] & 0x80 != 0 && head[1] & 0x80 == 0, "whole and not masked: {head:?}");
        let length = match head[1] {
            126 => u16::from_be_bytes(self.exactly(2).try_into().unwrap()).into(),
            length => usize::from(length),
        };
        (head[0] & 0x0f, self.exactly(length))
    }

    /// Payloads of data frames until they make up `text`.
    fn expect(&mut self, opcode: u8, text: &str) {
        let mut payload = Vec::new();
        while payload.len() < text.len() {
            let (found, piece) = self.frame();
            assert_eq!(found, opcode);
            payload.extend(piece);
        }
        assert_eq!(String::from_utf8_lossy(&payload), text);
    }

    fn send(&mut self, first: u8, payload: &[u8]) {
        let mask = [9, 8, 7, 6];
        let mut frame = vec![first, 0x80 | u8::try_from(payload.len()).unwrap()];
        frame.extend(mask);
        frame.extend(payload.iter().enumerate().map(|(index, byte)| byte ^ mask[index % 4]));
        self.stream.write_all(&frame).unwrap();
    }
}

fn frame(stream: u8, text: &str) -> Vec<u8> {
    [&[stream, 0, 0, 0][..], &u32::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat()
}

/// A container that waits for input; gives its name.
fn waiting(daemon: &Daemon, flags: &[&str], command: &[&str]) -> String {
    let name = daemon.name("wire");
    daemon.docker(&[&["run", "-d", "-i", "--name", &name], flags, &["busybox"], command].concat()).exits(0);
    name
}

#[test]
fn x_09_attach_takes_the_connection_over_and_half_closes() {
    let daemon = Daemon::shared();
    let versions: &[(&str, &str)] = match daemon.is_reference() {
        true => &[("/v1.41", "application/vnd.docker.raw-stream")],
        false => &[
            ("/v1.41", "application/vnd.docker.raw-stream"),
            ("/v1.42", "application/vnd.docker.multiplexed-stream"),
            ("", "application/vnd.docker.multiplexed-stream"),
        ],
    };
    for (version, content_type) in versions {
        // Made to be attached to: the end of its first client's input is the end of its own.
        let name = daemon.name("wire");
        let script = "echo ready >&2; cat; echo end";
        daemon.docker(&["create", "-i", "--name", &name, "busybox", "sh", "-c", script]).exits(0);
        daemon.docker(&["start", &name]).exits(0);
        let target = format!("POST {version}/containers/{name}/attach?stream=1&stdin=1&stdout=1&stderr=1&logs=1");
        until("its first line is in the log", 30, || {
            daemon.docker(&["logs", &name]).stderr.contains("ready").then_some(())
        });
        let mut wire = Wire::open(daemon, &target, UPGRADE, "");
        assert_eq!(wire.status(), "HTTP/1.1 101 UPGRADED");
        assert_eq!((wire.header("upgrade"), wire.header("content-type")), (Some("tcp"), Some(*content_type)));
        assert_eq!(wire.exactly(8 + 6), frame(2, "ready\n"), "what was said before");
        wire.stream.write_all(b"word\n").unwrap();
        assert_eq!(wire.exactly(8 + 5), frame(1, "word\n"));
        wire.stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(wire.rest(), frame(1, "end\n"), "the end of input alone does not end the output");
        daemon.docker(&["rm", "-f", &name]).exits(0);
    }
}

#[test]
fn x_09_exec_streams_raw_and_framed() {
    let daemon = Daemon::shared();
    let name = daemon.background("exec", "sleep 600");
    let create = |config: serde_json::Value| {
        let answer = daemon.api().call("POST", &format!("/containers/{name}/exec"), Some(&config));
        answer["Id"].as_str().unwrap().to_owned()
    };
    let start = |id: &str, headers: &str, body: &str| {
        Wire::open(daemon, &format!("POST /v1.41/exec/{id}/start"), headers, body)
    };
    let id = create(json!({"Cmd": ["cat"], "AttachStdin": true, "AttachStdout": true}));
    let mut wire = start(&id, UPGRADE, r#"{"Detach": false}"#);
    assert_eq!(wire.status(), "HTTP/1.1 101 UPGRADED");
    wire.stream.write_all(b"through\n").unwrap();
    wire.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(wire.rest(), frame(1, "through\n"));
    let id = create(
        json!({"Cmd": ["sh", "-c", "echo o; echo e >&2"], "Tty": true, "AttachStdout": true, "AttachStderr": true}),
    );
    let wire = start(&id, UPGRADE, r#"{"Tty": true}"#);
    assert_eq!(String::from_utf8(wire.rest()).unwrap(), "o\r\ne\r\n", "a terminal has no frames");
    let id = create(json!({"Cmd": ["true"]}));
    assert_eq!(start(&id, "Connection: close\r\n", r#"{"Detach": true}"#).status(), "HTTP/1.1 200 OK");
    if !daemon.is_reference() {
        // Docker takes the size from API 1.42 on.
        let id = create(json!({"Cmd": ["stty", "size"], "Tty": true, "AttachStdout": true}));
        let wire = Wire::open(
            daemon,
            &format!("POST /v1.42/exec/{id}/start"),
            UPGRADE,
            r#"{"Tty": true, "ConsoleSize": [33, 77]}"#,
        );
        assert_eq!(String::from_utf8(wire.rest()).unwrap(), "33 77\r\n");
    }
    daemon.docker(&["rm", "-f", &name]).exits(0);
}

#[test]
fn x_09_attach_is_refused_while_frozen() {
    let daemon = Daemon::shared();
    let name = waiting(daemon, &[], &["cat"]);
    daemon.docker(&["pause", &name]).exits(0);
    let wire = Wire::open(
        daemon,
        &format!("POST /v1.41/containers/{name}/attach?stream=1&stdout=1"),
        "Connection: close\r\n",
        "",
    );
    assert_eq!(wire.status(), "HTTP/1.1 409 Conflict");
    let body = String::from_utf8(wire.rest()).unwrap();
    assert!(body.contains(&format!("container {name} is paused, unpause the container before attach")), "{body}");
    daemon.docker(&["unpause", &name]).exits(0);
    daemon.docker(&["rm", "-f", &name]).exits(0);
}

#[test]
fn x_09_websocket_carries_a_session() {
    let daemon = Daemon::shared();
    let name = waiting(daemon, &[], &["sh", "-c", "echo before; cat; echo on-stderr >&2"]);
    until("its first line is in the log", 30, || {
        daemon.docker(&["logs", &name]).stdout.contains("before").then_some(())
    });
    let target = format!("GET /v1.41/containers/{name}/attach/ws?stream=1&stdin=1&stdout=1&stderr=1&logs=1");
    let mut wire = Wire::open(daemon, &target, WEBSOCKET, "");
    assert!(wire.status().starts_with("HTTP/1.1 101 "), "{}", wire.head);
    assert_eq!(wire.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    wire.expect(2, "before\n");
    wire.send(0x82, b"binary\n");
    wire.expect(2, "binary\n");
    wire.send(0x81, b"text\n");
    wire.expect(2, "text\n");
    // A message in three frames with a ping in the middle.
    wire.send(0x02, b"frag");
    wire.send(0x89, b"ping");
    wire.send(0x00, b"ment");
    wire.send(0x80, b"ed\n");
    let (mut pongs, mut text) = (0, Vec::new());
    while pongs == 0 || text != b"fragmented\n" {
        match wire.frame() {
            (10, payload) => {
                assert_eq!(payload, b"ping");
                pongs += 1;
            }
            (2, payload) => text.extend(payload),
            other => panic!("{other:?} behind {text:?}"),
        }
    }
    // The end of the process is the end of the session.
    daemon.docker(&["kill", &name]).exits(0);
    if !daemon.is_reference() {
        assert_eq!(wire.frame(), (8, vec![3, 232]));
        wire.send(0x88, &[3, 232]);
    }
    wire.rest();
    daemon.docker(&["rm", "-f", &name]).exits(0);
}

#[test]
fn x_09_websocket_of_a_terminal_sends_raw_bytes_and_detaches() {
    let daemon = Daemon::shared();
    let name = waiting(daemon, &["-t"], &["cat"]);
    let target = format!("GET /v1.41/containers/{name}/attach/ws?stream=1&stdin=1&stdout=1&detachKeys=ctrl-a,b");
    let mut wire = Wire::open(daemon, &target, WEBSOCKET, "");
    wire.send(0x82, b"typed\r");
    wire.expect(2, "typed\r\ntyped\r\n");
    wire.send(0x82, b"\x01");
    wire.send(0x82, b"b");
    // The session ends and the container goes on.
    wire.rest();
    assert_eq!(daemon.inspect(&name, "{{.State.Status}}"), "running");
    daemon.docker(&["rm", "-f", &name]).exits(0);
}

#[test]
fn x_09_websocket_streams_are_chosen_and_old_clients_get_text() {
    let daemon = Daemon::shared();
    let name = daemon.name("wire");
    daemon.docker(&["run", "--name", &name, "busybox", "sh", "-c", "echo out; echo err >&2"]).exits(0);
    let replay = |version: &str, streams: &str, opcode: u8, text: &str| {
        let target = format!("GET {version}/containers/{name}/attach/ws?logs=1{streams}");
        let mut wire = Wire::open(daemon, &target, WEBSOCKET, "");
        // Which of the two streams comes first nobody promises.
        let mut lines: Vec<String> = Vec::new();
        while lines.concat().len() < text.len() {
            let (found, piece) = wire.frame();
            assert_eq!(found, opcode);
            lines.extend(String::from_utf8(piece).unwrap().split_inclusive('\n').map(str::to_owned));
        }
        lines.sort();
        assert_eq!(lines.concat(), text);
        wire.rest();
    };
    replay("/v1.27", "", 1, "err\nout\n");
    replay("/v1.28", "", 2, "err\nout\n");
    if !daemon.is_reference() {
        replay("/v1.42", "&stderr=1", 2, "err\n");
        replay("/v1.42", "&stdout=1", 2, "out\n");
    }
    daemon.docker(&["rm", "-f", &name]).exits(0);
}

#[test]
fn x_09_websocket_refuses_what_is_none() {
    let daemon = Daemon::shared();
    let name = waiting(daemon, &[], &["cat"]);
    let target = format!("GET /v1.41/containers/{name}/attach/ws?stream=1&stdin=1&stdout=1");
    if !daemon.is_reference() {
        let plain = Wire::open(daemon, &target, "Connection: close\r\n", "");
        assert_eq!(plain.status(), "HTTP/1.1 400 Bad Request");
        let old = Wire::open(daemon, &target, &WEBSOCKET.replace("Version: 13", "Version: 8"), "");
        assert_eq!(old.status(), "HTTP/1.1 400 Bad Request");
        let missing = Wire::open(daemon, "GET /v1.41/containers/nosuch/attach/ws?stream=1", WEBSOCKET, "");
        assert_eq!(missing.status(), "HTTP/1.1 404 Not Found");
        // A frame without a mask breaks the protocol: the session closes with 1002.
        let mut wire = Wire::open(daemon, &target, WEBSOCKET, "");
        wire.stream.write_all(&[0x82, 1, b'x']).unwrap();
        assert_eq!(wire.frame(), (8, vec![3, 234]));
    }
    assert_eq!(daemon.inspect(&name, "{{.State.Status}}"), "running");
    daemon.docker(&["rm", "-f", &name]).exits(0);
}

#[test]
fn ctr_24_start_attached_with_input() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon.name("start");
        daemon
            .docker(&["create", "-i", "--name", &name, "busybox", "sh", "-c", "read word; echo got $word; exit 7"])
            .exits(0);
        for round in ["one", "two"] {
            let run = client.run_with_input(&["start", "-ai", &name], format!("{round}\n").as_bytes());
            run.exits(7);
            assert_eq!(run.stdout, format!("got {round}\n"), "{run}");
        }
        let run = client.run_with_input(&["start", "-i", &name], b"three\n");
        run.exits(7);
        assert_eq!(run.stdout, "got three\n", "{run}");
        daemon.docker(&["rm", &name]).exits(0);
    }
}
