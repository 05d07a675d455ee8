//! Figures of the monitor, for people to read; asserts nothing about speed.
//! `cargo test --release -p gantry-monitor --test measure -- --ignored --nocapture --test-threads 1`

#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod support;

use std::time::Instant;

use monitor::protocol::LogPlan;
use rustix::process::Signal;
use support::Bundle;

#[test]
#[ignore = "a measurement"]
fn log_throughput() {
    let Some(bundle) = Bundle::new("log_throughput") else { return };
    let mut block = Vec::new();
    while block.len() < 64 * 1024 * 120 {
        block.extend_from_slice(&[b'x'; 119]);
        block.push(b'\n');
    }
    std::fs::write(bundle.directory.path().join("rootfs/block"), &block).unwrap();
    let script = "i=0; while [ $i -lt 64 ]; do cat /block; i=$((i+1)); done";
    let plan = bundle.plan(&["sh", "-c", script]);
    let begin = Instant::now();
    let (running, _) = bundle.start(plan, &[]);
    let (bundle, _) = running.end();
    let megabytes = block.len() as f64 * 64.0 / 1e6;
    let rate = megabytes / begin.elapsed().as_secs_f64();
    eprintln!("log: {megabytes:.0} MB of 120-byte lines at {rate:.0} MB/s");
    let query = logs::Query { tail: Some(64 * 64 * 1024 + 1), framed: false, ..logs::Query::default() };
    let mut reader = logs::Reader::open(&bundle.log(), logs::Format::Json, query, None).unwrap();
    let (mut chunk, mut total) = (Vec::new(), 0);
    while reader.next_chunk(&mut chunk).unwrap() == logs::ChunkState::Data {
        total += chunk.len();
        chunk.clear();
    }
    assert_eq!(total, block.len() * 64);
}

#[test]
#[ignore = "a measurement"]
fn idle_memory() {
    let mut all = Vec::new();
    for _ in 0..20 {
        let Some(bundle) = Bundle::new("idle_memory") else { return };
        let plan = bundle.plan(&["sh", "-c", "seq 1 10000; sleep 100"]);
        all.push(bundle.start(plan, &[]).0);
    }
    std::thread::sleep(std::time::Duration::from_secs(2));
    let field = |pid: u32, name: &str| -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let sum = |name| all.iter().map(|running| field(running.spawned.child.id(), name)).sum::<u64>() / 20;
    let private = sum("Private_Dirty:");
    eprintln!("idle monitor: {} kB PSS, {} kB RSS, {private} kB private dirty", sum("Pss:"), sum("Rss:"));
    for running in all {
        running.kill(Signal::KILL);
        running.end();
    }
}

#[test]
#[ignore = "a measurement"]
fn start_and_whole_life() {
    let (mut starts, mut lives) = (Vec::new(), Vec::new());
    for _ in 0..50 {
        let Some(bundle) = Bundle::new("start_and_whole_life") else { return };
        let mut plan = bundle.plan(&["true"]);
        plan.log = LogPlan::default();
        let begin = Instant::now();
        let (running, _) = bundle.start(plan, &[]);
        starts.push(begin.elapsed());
        running.end();
        lives.push(begin.elapsed());
    }
    starts.sort();
    lives.sort();
    eprintln!("start: median {:?}; whole life: median {:?}", starts[25], lives[25]);
}
