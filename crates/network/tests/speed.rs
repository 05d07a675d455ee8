//! How long things take; run with `cargo test -p network --test speed -- --ignored --nocapture`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod support;

use std::time::{Duration, Instant};

use network::{Network, Protocol};
use support::*;

const ROUNDS: usize = 200;

fn report(name: &str, mut times: Vec<Duration>) {
    times.sort();
    println!("{name:24} median {:>8.1?}  p95 {:>8.1?}", times[times.len() / 2], times[times.len() * 95 / 100]);
}

#[test]
#[ignore = "measures"]
fn one_after_the_other() {
    let Some(machine) = Machine::new() else { return };
    let started = Instant::now();
    let network = Network::open(machine.config(), &[]).unwrap();
    println!("open {:?}", started.elapsed());
    for ports in [&[][..], &[publish(None, 8080, 80, Protocol::Tcp)]] {
        let mut times = [const { Vec::new() }; 4];
        for _ in 0..ROUNDS {
            let request = request(ports);
            let mut now = Instant::now();
            let mut lap = |slot: usize| {
                times[slot].push(now.elapsed());
                now = Instant::now();
            };
            let sandbox = network.create_sandbox(&request.container_id).unwrap();
            lap(0);
            let record = network.attach(&sandbox, &request).unwrap();
            lap(1);
            network.detach(&record).unwrap();
            lap(2);
            network.remove_sandbox(&sandbox.key);
            lap(3);
        }
        println!("{} published ports", ports.len());
        for (name, times) in ["create_sandbox", "attach", "detach", "remove_sandbox"].iter().zip(times) {
            report(name, times);
        }
    }
    let started = Instant::now();
    drop(network);
    println!("drop {:?}", started.elapsed());
}

#[test]
#[ignore = "measures"]
fn eight_at_once() {
    let Some(machine) = Machine::new() else { return };
    let network = Network::open(machine.config(), &[]).unwrap();
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let record = attach(&network, &[]);
                    network.detach(&record).unwrap();
                    network.remove_sandbox(&record.sandbox_key);
                }
            });
        }
    });
    println!("{:.0} attach+detach a second", 400.0 / started.elapsed().as_secs_f64());
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..25).map(|_| attach(&network, &[])).for_each(drop));
        }
    });
    println!("{:.0} attach a second", 200.0 / started.elapsed().as_secs_f64());
}
