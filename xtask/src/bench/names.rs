//! Lookups by the embedded name server, from inside a container's network.

use std::io;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use privileged_tests::http::Connection;
use privileged_tests::names::{A, query, within};
use serde_json::json;

use super::figures::Figures;
use super::work::Subject;

/// Questions that wait for their answers at once.
const OUTSTANDING: usize = 32;
const SERVER: &str = "127.0.0.11:53";
/// Questions a second on a schedule.
const RATE: u32 = 40_000;
/// How long an answer is waited for before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(1);
const TIME: Duration = Duration::from_secs(3);
const NETWORK: &str = "bench-names";

/// How long lookups took, in milliseconds.
struct Lookups {
    times: Vec<f64>,
    took: Duration,
}

/// One name asked for again and again: many questions at once by one socket, then each by a socket of its own.
pub fn names(subject: &Subject, figures: &mut Figures) {
    let mut api = Connection::new(&subject.socket);
    api.call("POST", "/networks/create", Some(&json!({"Name": NETWORK})));
    let ids: Vec<String> = ["bench-db", "bench-web"].into_iter().map(|name| start(&mut api, name)).collect();
    let shown = api.call("GET", &format!("/containers/{}/json", ids[1]), None);
    let pid = shown["State"]["Pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).expect("it runs");
    let question = query("bench-db", A);
    within(pid, || by_one_socket(&question, Duration::from_millis(500))).expect("names are served");
    let together = within(pid, || by_one_socket(&question, TIME)).expect("names are served");
    figures.add("names_per_s", together.rate());
    figures.add("names_p50_ms", together.percentile(0.5));
    figures.add("names_p99_ms", together.percentile(0.99));
    let scheduled = within(pid, || on_a_schedule(&question, TIME)).expect("names are served");
    figures.add("names_40k_p99_ms", scheduled.percentile(0.99));
    let single = within(pid, || by_new_sockets(&question, TIME)).expect("names are served");
    figures.add("names_socket_each_per_s", single.rate());
    figures.add("names_socket_each_p99_ms", single.percentile(0.99));
    for id in ids {
        api.call("DELETE", &format!("/containers/{id}?force=1"), None);
    }
    api.call("DELETE", &format!("/networks/{NETWORK}"), None);
}

fn start(api: &mut Connection, name: &str) -> String {
    let body = json!({"Image": "busybox:latest", "Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": NETWORK}});
    let answer = api.call("POST", &format!("/containers/create?name={name}"), Some(&body));
    let id = answer["Id"].as_str().expect("create answers with an id").to_owned();
    api.call("POST", &format!("/containers/{id}/start"), None);
    id
}

fn by_one_socket(question: &[u8], time: Duration) -> io::Result<Lookups> {
    let socket = connected()?;
    let mut sent = [Instant::now(); OUTSTANDING];
    let mut message = question.to_vec();
    let mut ask = |number: usize, sent: &mut [Instant; OUTSTANDING]| {
        message[..2].copy_from_slice(&(number as u16).to_be_bytes());
        sent[number] = Instant::now();
        socket.send(&message).map(drop)
    };
    let begin = Instant::now();
    (0..OUTSTANDING).try_for_each(|number| ask(number, &mut sent))?;
    let (mut times, mut buffer) = (Vec::with_capacity(1 << 20), [0; 512]);
    while begin.elapsed() < time {
        let length = socket.recv(&mut buffer)?;
        let number = usize::from(u16::from_be_bytes([buffer[0], buffer[1]]));
        check(&buffer[..length])?;
        times.push(sent[number].elapsed().as_secs_f64() * 1e3);
        ask(number, &mut sent)?;
    }
    Ok(Lookups { times, took: begin.elapsed() })
}

/// Times count from when a question was due: one that had to wait behind others is not made to look quick.
fn on_a_schedule(question: &[u8], time: Duration) -> io::Result<Lookups> {
    let socket = connected()?;
    socket.set_nonblocking(true)?;
    let gap = Duration::from_secs(1) / RATE;
    let mut message = question.to_vec();
    let (begin, mut asked) = (Instant::now(), 0_u32);
    let mut due = vec![begin; 1 << 16];
    let (mut times, mut buffer) = (Vec::with_capacity(1 << 18), [0; 512]);
    while begin.elapsed() < time + PATIENCE && (begin.elapsed() < time || times.len() < asked as usize) {
        let next = begin + gap * asked;
        if begin.elapsed() < time && next <= Instant::now() {
            let number = asked as u16;
            message[..2].copy_from_slice(&number.to_be_bytes());
            due[usize::from(number)] = next;
            socket.send(&message)?;
            asked += 1;
        }
        match socket.recv(&mut buffer) {
            Ok(length) => {
                let number = usize::from(u16::from_be_bytes([buffer[0], buffer[1]]));
                check(&buffer[..length])?;
                times.push(due[number].elapsed().as_secs_f64() * 1e3);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    // Those that were dropped on the way.
    times.resize(asked as usize, PATIENCE.as_secs_f64() * 1e3);
    Ok(Lookups { times, took: begin.elapsed() })
}

fn by_new_sockets(question: &[u8], time: Duration) -> io::Result<Lookups> {
    let begin = Instant::now();
    let (mut times, mut buffer) = (Vec::with_capacity(1 << 18), [0; 512]);
    while begin.elapsed() < time {
        let since = Instant::now();
        let socket = connected()?;
        socket.send(question)?;
        let length = socket.recv(&mut buffer)?;
        check(&buffer[..length])?;
        times.push(since.elapsed().as_secs_f64() * 1e3);
    }
    Ok(Lookups { times, took: begin.elapsed() })
}

fn connected() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect(SERVER)?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    Ok(socket)
}

/// One address and no failure.
fn check(answer: &[u8]) -> io::Result<()> {
    let fine = answer.len() > 12 && answer[3] & 15 == 0 && answer[6..8] == [0, 1];
    if fine { Ok(()) } else { Err(io::Error::other(format!("a wrong answer: {answer:?}"))) }
}

impl Lookups {
    fn rate(&self) -> f64 {
        self.times.len() as f64 / self.took.as_secs_f64()
    }

    fn percentile(&self, part: f64) -> f64 {
        let mut times = self.times.clone();
        times.sort_by(f64::total_cmp);
        times[((times.len() - 1) as f64 * part) as usize]
    }
}
