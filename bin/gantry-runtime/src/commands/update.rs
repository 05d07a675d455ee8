//! `update`.

use std::io::Read as _;

use anyhow::Context as _;
use runtime::spec::{BlockIo, Cpu, Memory, Pids, Resources};

use crate::Global;
use crate::arguments::{Flag, Parsed};
use crate::record::Record;

/// Its flags.
pub(crate) const FLAGS: &[Flag] = &[
    Flag::value("resources", Some('r')),
    Flag::value("blkio-weight", None),
    Flag::value("cpu-period", None),
    Flag::value("cpu-quota", None),
    Flag::value("cpu-burst", None),
    Flag::value("cpu-share", None),
    Flag::value("cpu-rt-period", None),
    Flag::value("cpu-rt-runtime", None),
    Flag::value("cpuset-cpus", None),
    Flag::value("cpuset-mems", None),
    Flag::value("cpu-idle", None),
    Flag::value("memory", None),
    Flag::value("memory-reservation", None),
    Flag::value("memory-swap", None),
    Flag::value("pids-limit", None),
];

/// Changes limits of a container: from a file (`-` is standard input), or those the flags name.
pub(crate) fn update(global: &Global, parsed: &Parsed) -> anyhow::Result<u8> {
    let mut record = Record::load(global, parsed.id()?)?;
    record.must_be_alive()?;
    let resources = match parsed.last("resources") {
        Some(path) => read(path)?,
        None => from_flags(parsed)?,
    };
    record.cgroup()?.update(&resources)?;
    remember(&mut record, resources);
    record.save(global)?;
    Ok(0)
}

fn read(path: &str) -> anyhow::Result<Resources> {
    let mut text = Vec::new();
    let done = match path {
        "-" => std::io::stdin().read_to_end(&mut text),
        path => std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut text)),
    };
    done.with_context(|| format!("read {path}"))?;
    serde_json::from_slice(&text).with_context(|| format!("read {path}"))
}

fn from_flags(parsed: &Parsed) -> anyhow::Result<Resources> {
    let text = |flag: &str| parsed.last(flag).unwrap_or_default().to_owned();
    let bytes = |flag: &str| parsed.last(flag).map(|text| size(flag, text)).transpose();
    let cpu = Cpu {
        shares: parsed.number("cpu-share")?,
        quota: parsed.number("cpu-quota")?,
        burst: parsed.number("cpu-burst")?,
        period: parsed.number("cpu-period")?,
        realtime_runtime: parsed.number("cpu-rt-runtime")?,
        realtime_period: parsed.number("cpu-rt-period")?,
        cpus: text("cpuset-cpus"),
        mems: text("cpuset-mems"),
        idle: parsed.number("cpu-idle")?,
    };
    let memory = Memory {
        limit: bytes("memory")?,
        reservation: bytes("memory-reservation")?,
        swap: bytes("memory-swap")?,
        ..Memory::default()
    };
    let weight = parsed.number("blkio-weight")?;
    Ok(Resources {
        cpu: (cpu != Cpu::default()).then_some(cpu),
        memory: (memory != Memory::default()).then_some(memory),
        pids: parsed.number("pids-limit")?.map(|limit| Pids { limit }),
        block_io: weight.map(|weight| BlockIo { weight: Some(weight), ..BlockIo::default() }),
        ..Resources::default()
    })
}

/// A size with a binary unit (`64m`), or -1.
fn size(flag: &str, text: &str) -> anyhow::Result<i64> {
    let lower = text.to_ascii_lowercase();
    let lower = lower.strip_suffix('b').unwrap_or(&lower);
    let (digits, shift) = match lower.chars().last() {
        Some('k') => (&lower[..lower.len() - 1], 10),
        Some('m') => (&lower[..lower.len() - 1], 20),
        Some('g') => (&lower[..lower.len() - 1], 30),
        Some('t') => (&lower[..lower.len() - 1], 40),
        _ => (lower, 0),
    };
    let number: Option<i64> = digits.parse().ok();
    let bytes = number.and_then(|number| if number < 0 { Some(-1) } else { number.checked_mul(1 << shift) });
    bytes.with_context(|| format!("--{flag}: {text:?} is not a size"))
}

/// Keeps the record's limits in step, for whoever reads them.
fn remember(record: &mut Record, changed: Resources) {
    let linux = record.spec.linux.get_or_insert_default();
    let kept = linux.resources.get_or_insert_default();
    kept.cpu = changed.cpu.or(kept.cpu.take());
    kept.memory = changed.memory.or(kept.memory.take());
    kept.pids = changed.pids.or(kept.pids.take());
    kept.block_io = changed.block_io.or(kept.block_io.take());
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("memory", "64m").unwrap(), 64 << 20);
        assert_eq!(size("memory", "2GB").unwrap(), 2 << 30);
        assert_eq!(size("memory", "-1").unwrap(), -1);
        assert_eq!(size("memory", "4096").unwrap(), 4096);
        assert!(size("memory", "x").is_err() && size("memory", "9999999t").is_err());
    }
}
