//! Many containers and many clients at once, and what the daemon looks like afterwards.

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::daemon::Daemon;
use crate::wait::until;

/// How much load.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Running containers.
    pub containers: usize,
    /// Clients at the same time, each on a connection of its own.
    pub clients: usize,
    /// How long they ask.
    pub duration: Duration,
}

/// What was seen.
#[derive(Clone, Debug)]
pub struct Report {
    /// Median time of a list of all containers.
    pub list: Duration,
    /// From the start of the daemon until it lists all containers as running.
    pub start: Duration,
    /// Requests answered.
    pub requests: u64,
    /// The first complaints of clients; empty when every request was answered well.
    pub errors: Vec<String>,
    /// The daemon before the clients came and after they left.
    pub before: Size,
    /// See `before`.
    pub after: Size,
}

/// What a process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Open descriptors.
    pub descriptors: usize,
    /// Proportional set size in kB.
    pub memory: u64,
    /// Threads.
    pub threads: usize,
}

// === impl Size ===

impl Size {
    /// Of a process that runs.
    pub fn of(pid: u32) -> Self {
        let count = |what: &str| fs::read_dir(format!("/proc/{pid}/{what}")).map_or(0, Iterator::count);
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap_or_default();
        let memory = line.trim().trim_end_matches(" kB").parse().unwrap_or(0);
        Self { descriptors: count("fd"), memory, threads: count("task") }
    }
}

// === impl Load ===

impl Load {
    /// Brings the load on an engine that nobody else uses.
    pub fn put(&self, daemon: &Daemon) -> Report {
        let names: Vec<String> = (0..self.containers).map(|number| format!("load-{number}")).collect();
        start_all(daemon, &names);
        let mut times: Vec<Duration> = (0..11).map(|_| timed_list(daemon, names.len())).collect();
        times.sort();
        daemon.stop();
        let begin = Instant::now();
        daemon.launch();
        until("all containers run after the restart", 60, || (running(daemon) == names.len()).then_some(()));
        let start = begin.elapsed();
        // The first round fills caches and pools, which is no growth.
        let warm = Load { duration: self.duration / 10, ..*self };
        warm.ask(daemon, &names);
        let before = settled(daemon, usize::MAX);
        let (requests, errors) = self.ask(daemon, &names);
        let after = settled(daemon, before.descriptors);
        Report { list: times[times.len() / 2], start, requests, errors, before, after }
    }

    /// All clients ask until the time is over; gives the number of answers and the first complaints.
    fn ask(&self, daemon: &Daemon, names: &[String]) -> (u64, Vec<String>) {
        let (requests, errors, over) = (AtomicU64::new(0), Mutex::new(Vec::new()), AtomicBool::new(false));
        std::thread::scope(|scope| {
            for client in 0..self.clients {
                let (requests, errors, over) = (&requests, &errors, &over);
                scope.spawn(move || {
                    let mut api = daemon.api();
                    for (turn, name) in names.iter().cycle().skip(client).enumerate() {
                        if over.load(Ordering::Relaxed) {
                            return;
                        }
                        let path = match turn % 5 {
                            0 => "/containers/json?all=1".to_owned(),
                            1 => format!("/containers/{name}/json"),
                            2 => format!("/containers/{name}/logs?stdout=1&tail=5"),
                            3 => "/images/json".to_owned(),
                            _ => format!("/containers/{name}/top"),
                        };
                        match api.request("GET", &path, None) {
                            Ok(answer) if answer.status == 200 => {
                                requests.fetch_add(1, Ordering::Relaxed);
                            }
                            Ok(answer) => complain(errors, format!("{path}: {}", answer.status)),
                            Err(error) => complain(errors, format!("{path}: {error}")),
                        }
                    }
                });
            }
            std::thread::sleep(self.duration);
            over.store(true, Ordering::Relaxed);
        });
        (requests.into_inner(), errors.into_inner().expect("no client panicked"))
    }
}

fn complain(errors: &Mutex<Vec<String>>, text: String) {
    let mut errors = errors.lock().expect("no client panicked");
    if errors.len() < 10 {
        errors.push(text);
    }
}

/// Creates and starts containers of a quiet process without network, by eight clients.
fn start_all(daemon: &Daemon, names: &[String]) {
    let body = json!({
        "Image": "busybox",
        "Cmd": ["sh", "-c", "echo up; exec sleep 100000"],
        "HostConfig": {"NetworkMode": "none"},
    });
    std::thread::scope(|scope| {
        for part in names.chunks(names.len().div_ceil(8)) {
            let body = &body;
            scope.spawn(move || {
                let mut api = daemon.api();
                for name in part {
                    let made = api.request("POST", &format!("/containers/create?name={name}"), Some(body));
                    assert_eq!(made.expect("an answer").status, 201, "create {name}");
                    let started = api.request("POST", &format!("/containers/{name}/start"), None);
                    assert_eq!(started.expect("an answer").status, 204, "start {name}");
                }
            });
        }
    });
}

fn timed_list(daemon: &Daemon, expected: usize) -> Duration {
    let mut api = daemon.api();
    api.request("GET", "/_ping", None).expect("an answer");
    let begin = Instant::now();
    let answer = api.request("GET", "/containers/json?all=1", None).expect("an answer");
    let elapsed = begin.elapsed();
    let list: Vec<serde_json::Value> = serde_json::from_slice(&answer.body).expect("a list");
    assert_eq!(list.len(), expected, "containers in the list");
    elapsed
}

fn running(daemon: &Daemon) -> usize {
    let Ok(answer) = daemon.api().request("GET", "/containers/json", None) else { return 0 };
    serde_json::from_slice::<Vec<serde_json::Value>>(&answer.body).map_or(0, |list| list.len())
}

/// How long the daemon keeps a thread that has nothing to do, and a little more.
const IDLE: Duration = Duration::from_secs(12);

/// The daemon's size when connections of clients that left are closed (at most `descriptors` are open, or none goes any
/// more) and the threads that served them have ended.
fn settled(daemon: &Daemon, descriptors: usize) -> Size {
    let pid = daemon.pid();
    let mut last = (Size::of(pid), Instant::now());
    until("the daemon has closed the connections", 90, || {
        let now = Size::of(pid);
        if (now.descriptors, now.threads) != (last.0.descriptors, last.0.threads) {
            last = (now, Instant::now());
        }
        let quiet = last.1.elapsed();
        (quiet > IDLE && (now.descriptors <= descriptors || quiet > 2 * IDLE)).then_some(now)
    })
}
