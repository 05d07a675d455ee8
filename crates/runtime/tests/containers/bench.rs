//! How long it takes. Prints; only absurd times fail, because the machine may be busy.

use std::time::{Duration, Instant};

use runtime::{ExecRequest, Stdio};

use crate::Test;
use crate::host::{Bundle, finish, kill, remove, wait};

/// All of them.
pub const TESTS: &[Test] = &[("a_life_is_short", a_life_is_short), ("an_exec_is_short", an_exec_is_short)];

const ROUNDS: usize = 30;

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Processor time of this process and of the children it has reaped (proc(5), in ticks of 10 ms): says more than the
/// clock where the machine is busy.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = text.rsplit_once(')').unwrap().1.split_ascii_whitespace();
    Duration::from_millis(10 * fields.skip(11).take(4).map(|field| field.parse::<u64>().unwrap()).sum::<u64>())
}

fn a_life_is_short() {
    let bundle = Bundle::new(&["/bin/true"]);
    let used = processor_time();
    let [mut create, mut start, mut end, mut remove_group] = [const { Vec::new() }; 4];
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        let (mut created, stdout, stderr) = bundle.create().unwrap();
        create.push(begin.elapsed());
        let begin = Instant::now();
        created.start().unwrap();
        start.push(begin.elapsed());
        let begin = Instant::now();
        finish(created.pid, stdout, stderr);
        end.push(begin.elapsed());
        let begin = Instant::now();
        remove(&created);
        remove_group.push(begin.elapsed());
    }
    let [create, start, end, remove_group] = [create, start, end, remove_group].map(median);
    let used = (processor_time() - used) / ROUNDS as u32;
    println!(
        "processor time of a life {used:?}; create {create:?}, start {start:?}, end {end:?}, cgroup removal {remove_group:?}"
    );
    assert!(create + start < Duration::from_millis(200));
}

fn an_exec_is_short() {
    let bundle = Bundle::sh("sleep 60");
    let (mut created, ..) = bundle.create().unwrap();
    created.start().unwrap();
    let mut process = bundle.spec.process.clone().unwrap();
    process.args = vec!["/bin/true".to_owned()];
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let request = ExecRequest {
            target: created.pid,
            process: process.clone(),
            seccomp: None,
            stdio: Stdio::Inherit,
            cgroup: created.cgroup.clone(),
            preserve_fds: 0,
        };
        let begin = Instant::now();
        let execed = runtime::exec(request).unwrap();
        times.push(begin.elapsed());
        wait(execed.pid);
    }
    kill(&created);
    let time = median(times);
    println!("exec {time:?}");
    assert!(time < Duration::from_millis(100));
}
