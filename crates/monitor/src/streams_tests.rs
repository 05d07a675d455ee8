//! The streams without a container: pipes and sockets on both sides.

#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use logs::{FileOptions, Format, Log, LogPlan};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::poller::{Poller, Token};
use crate::protocol::AttachOptions;
use crate::streams::{Ends, Streams};

const ALL: AttachOptions = AttachOptions { stdin: true, stdout: true, stderr: true };

/// The container's ends of the pipes, and the monitor's side of them.
struct Bench {
    poller: Poller,
    streams: Streams,
    stdin: Option<File>,
    stdout: Option<File>,
    stderr: Option<File>,
    _directory: tempfile::TempDir,
    log: PathBuf,
}

impl Bench {
    fn new(tty: bool, stdin_once: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let log = path.clone();
        let plan = LogPlan { file: Some(FileOptions::new(path, Format::Json)), ..LogPlan::default() };
        let poller = Poller::new().unwrap();
        let mut streams = Streams::new(tty, stdin_once, Log::open(plan).unwrap());
        let pipe = || pipe_with(PipeFlags::CLOEXEC).unwrap();
        let ((stdin, input), (output, stdout), (errors, stderr)) = (pipe(), pipe(), pipe());
        for fd in [&input, &output, &errors] {
            crate::container::nonblocking(fd).unwrap();
        }
        streams.connect(Ends { stdin: Some(input), outputs: vec![output, errors] }, &poller);
        let [stdin, stdout, stderr] = [stdin, stdout, stderr].map(|fd| Some(File::from(fd)));
        Self { poller, streams, stdin, stdout, stderr, _directory: directory, log }
    }

    fn attach(&mut self, options: AttachOptions) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().unwrap();
        self.streams.attach(ours.into(), options, &self.poller).unwrap();
        theirs
    }

    /// What the monitor's loop does, until nothing happens any more.
    fn turn(&mut self) {
        let mut events = Vec::new();
        loop {
            self.poller.wait(Some(Instant::now() + Duration::from_millis(20)), &mut events).unwrap();
            if events.is_empty() {
                return;
            }
            for (token, flags) in events.drain(..) {
                match token {
                    Token::Output(stream) => drop(self.streams.output_ready(stream, false, &self.poller)),
                    Token::Stdin => self.streams.stdin_ready(&self.poller),
                    Token::Client(id) => self.streams.client_ready(id, flags, &self.poller),
                    other => panic!("{other:?}"),
                }
            }
            self.streams.flush_log(&self.poller);
        }
    }

    /// Goes on until it is so; the threads on the other side may be slow.
    fn until(&mut self, what: &str, so: impl Fn(&Self) -> bool) {
        let begin = Instant::now();
        while !so(self) {
            assert!(begin.elapsed() < Duration::from_secs(20), "{what}");
            self.turn();
        }
    }

    fn print(&mut self, stdout: &str, stderr: &str) {
        self.stdout.as_ref().unwrap().write_all(stdout.as_bytes()).unwrap();
        self.turn();
        self.stderr.as_ref().unwrap().write_all(stderr.as_bytes()).unwrap();
        self.turn();
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

fn available(client: &UnixStream) -> Vec<u8> {
    client.set_nonblocking(true).unwrap();
    let mut bytes = vec![0; 1 << 20];
    let mut reader = client;
    let length = reader.read(&mut bytes).unwrap_or(0);
    bytes.truncate(length);
    bytes
}

#[test]
fn output_goes_to_the_log_and_to_clients_in_frames() {
    let mut bench = Bench::new(false, false);
    let both = bench.attach(ALL);
    let errors = bench.attach(AttachOptions { stderr: true, ..AttachOptions::default() });
    bench.print("out\n", "err");
    assert_eq!(available(&both), b"\x01\0\0\0\0\0\0\x04out\n\x02\0\0\0\0\0\0\x03err");
    assert_eq!(available(&errors), b"\x02\0\0\0\0\0\0\x03err");
    assert!(bench.log().starts_with("{\"log\":\"out\\n\",\"stream\":\"stdout\""));
    (bench.stdout, bench.stderr) = (None, None);
    bench.turn();
    assert!(bench.streams.outputs_closed());
    bench.streams.flush_log(&bench.poller);
    assert!(bench.log().contains("{\"log\":\"err\",\"stream\":\"stderr\""), "the unfinished line is recorded");
}

#[test]
fn a_terminal_is_raw() {
    let mut bench = Bench::new(true, false);
    let client = bench.attach(ALL);
    bench.print("out\r\n", "");
    assert_eq!(available(&client), b"out\r\n");
}

#[test]
fn input_ends_with_the_client_only_when_asked() {
    for once in [false, true] {
        let mut bench = Bench::new(false, once);
        let mut client = bench.attach(ALL);
        client.write_all(b"some input").unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        bench.turn();
        let mut stdin = bench.stdin.take().unwrap();
        let mut bytes = [0; 32];
        assert_eq!(stdin.read(&mut bytes).unwrap(), 10);
        bench.print("still there", "");
        assert_eq!(available(&client), b"\x01\0\0\0\0\0\0\x0bstill there");
        crate::container::nonblocking(&OwnedFd::from(stdin.try_clone().unwrap())).unwrap();
        assert_eq!(stdin.read(&mut bytes).is_ok(), once, "the end of input is a read of 0");
    }
}

#[test]
fn input_sent_before_the_client_left_arrives_whole() {
    let mut bench = Bench::new(false, true);
    let mut client = bench.attach(ALL);
    let text = vec![b'i'; 150_000];
    let sent = text.clone();
    let writer = std::thread::spawn(move || client.write_all(&sent).unwrap());
    let mut got = Vec::new();
    let mut stdin = bench.stdin.take().unwrap();
    let reader = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        stdin.read_to_end(&mut got).unwrap();
        got
    });
    bench.until("the input is read", |_| reader.is_finished());
    writer.join().unwrap();
    assert!(reader.join().unwrap() == text);
}

#[test]
fn a_slow_client_holds_the_container_but_a_dead_one_does_not() {
    let mut bench = Bench::new(false, false);
    let slow = bench.attach(ALL);
    let mut stdout = bench.stdout.take().unwrap();
    let total = 12 * 1024 * 1024;
    let producer = std::thread::spawn(move || stdout.write_all(&vec![b'x'; total]));
    bench.until("the client is behind", |bench| bench.streams.is_held());
    bench.turn();
    assert!(!producer.is_finished(), "the pipe is not read while the client is behind");
    let late = bench.streams.deadline().unwrap();
    assert!(late <= Instant::now() + Duration::from_secs(11));
    drop(slow);
    bench.until("the output is recorded", |bench| bench.log().len() > total);
    producer.join().unwrap().unwrap();
    assert!(bench.streams.clients_served());
}

#[test]
fn a_stalled_client_is_given_up() {
    let mut bench = Bench::new(false, false);
    let stalled = bench.attach(ALL);
    let mut stdout = bench.stdout.take().unwrap();
    let producer = std::thread::spawn(move || stdout.write_all(&vec![b'x'; 12 * 1024 * 1024]));
    bench.until("the client is behind", |bench| bench.streams.is_held());
    assert!(!producer.is_finished());
    bench.streams.tick(Instant::now() + crate::attached::PATIENCE, &bench.poller);
    bench.until("the container goes on", |_| producer.is_finished());
    producer.join().unwrap().unwrap();
    drop(stalled);
}
