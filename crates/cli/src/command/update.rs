//! `update`.

use serde_json::{Value, json};

use super::common::container_path;
use super::container_host::{bytes, restart_policy};
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};
use crate::options::check;

static FLAGS: &[Flag] = &[
    Flag::value(
        "blkio-weight",
        "uint16",
        "Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)",
    ),
    Flag::value("cpu-period", "int", "Limit CPU CFS (Completely Fair Scheduler) period"),
    Flag::value("cpu-quota", "int", "Limit CPU CFS (Completely Fair Scheduler) quota"),
    Flag::value("cpu-rt-period", "int", "Limit the CPU real-time period in microseconds"),
    Flag::value("cpu-rt-runtime", "int", "Limit the CPU real-time runtime in microseconds"),
    Flag::value("cpu-shares", "int", "CPU shares (relative weight)").short('c'),
    Flag::value("cpus", "decimal", "Number of CPUs").check(check::cpus),
    Flag::value("cpuset-cpus", "string", "CPUs in which to allow execution (0-3, 0,1)"),
    Flag::value("cpuset-mems", "string", "MEMs in which to allow execution (0-3, 0,1)"),
    Flag::value("kernel-memory", "bytes", "Kernel memory limit (deprecated)").hidden(),
    Flag::value("memory", "bytes", "Memory limit").short('m'),
    Flag::value("memory-reservation", "bytes", "Memory soft limit"),
    Flag::value("memory-swap", "bytes", "Swap limit equal to memory plus swap: -1 to enable unlimited swap"),
    Flag::value("pids-limit", "int", "Tune container pids limit (set -1 for unlimited)"),
    Flag::value("restart", "string", "Restart policy to apply when a container exits"),
];

/// `update`.
pub static COMMAND: Command = Command {
    paths: &["container update", "update"],
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Update configuration of one or more containers",
    flags: &[FLAGS],
    interspersed: true,
    args: Args::AtLeast(1),
    run,
};

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    if !FLAGS.iter().any(|flag| m.given(flag.name)) {
        return Err(Failure::Invalid("you must provide one or more flags when using this command".to_owned()));
    }
    let body = body(m).map_err(Failure::Invalid)?;
    let client = context.client()?;
    let (mut warnings, mut failed) = (Vec::<String>::new(), Vec::new());
    for name in m.args() {
        let update = async { client.post(&container_path(name, "/update")).json(&body)?.fetch::<Value>().await };
        match context.wait(async { Ok(update.await) })? {
            Ok(answer) => {
                context.line(name);
                let listed = answer["Warnings"].as_array().into_iter().flatten();
                warnings.extend(listed.filter_map(|warning| warning.as_str().map(str::to_owned)));
            }
            Err(error) => failed.push(error.to_string()),
        }
    }
    warnings.iter().for_each(|warning| context.line(warning));
    Failure::all(failed)
}

fn body(m: &Matches) -> Result<Value, String> {
    let number = |flag: &str| m.number(flag).unwrap_or(0);
    let mut body = json!({
        "BlkioWeight": number("blkio-weight"),
        "CpuPeriod": number("cpu-period"),
        "CpuQuota": number("cpu-quota"),
        "CpuRealtimePeriod": number("cpu-rt-period"),
        "CpuRealtimeRuntime": number("cpu-rt-runtime"),
        "CpuShares": number("cpu-shares"),
        "CpusetCpus": m.text("cpuset-cpus"),
        "CpusetMems": m.text("cpuset-mems"),
        "KernelMemory": bytes(m, "kernel-memory"),
        "Memory": bytes(m, "memory"),
        "MemoryReservation": bytes(m, "memory-reservation"),
        "MemorySwap": bytes(m, "memory-swap"),
        "NanoCpus": match m.text("cpus") {
            "" => 0,
            text => check::nano_cpus(text)?,
        },
    });
    if m.given("pids-limit") {
        body["PidsLimit"] = json!(number("pids-limit"));
    }
    if m.given("restart") {
        body["RestartPolicy"] = restart_policy(m.text("restart"))?;
    }
    Ok(body)
}
