//! Limits do what they say.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use runtime::cgroup::{Controller, Error, Layout};
use runtime::spec::{BlockIo, Cpu, DeviceRule, HugepageLimit, Memory, Pids, Resources, ThrottleDevice};
use rustix::event::{PollFd, Timespec, poll};

use super::{Place, control, with_group};
use crate::report::Outcome;
use crate::worker::{Worker, allowed_cpus};

const MEBIBYTE: i64 = 1 << 20;

fn memory(memory: Memory) -> Resources {
    Resources { memory: Some(memory), ..Resources::default() }
}

fn cpu(cpu: Cpu) -> Resources {
    Resources { cpu: Some(cpu), ..Resources::default() }
}

pub(super) fn memory_limit_kills_and_counts(place: &Place) -> Result<Outcome> {
    let limit = Some(32 * MEBIBYTE);
    with_group(place, "oom", &memory(Memory { limit, swap: limit, ..Memory::default() }), |group| {
        let watch = group.oom_watch()?;
        let mut worker = Worker::start_in(group)?;
        ensure!(worker.ask("allocate 4")? == "done", "4 MiB of 32 were refused");
        ensure!(group.oom_kills()? == 0, "killed already");
        let ready = |timeout| -> Result<bool> {
            let timeout = Timespec { tv_sec: timeout, tv_nsec: 0 };
            let mut fds = [PollFd::new(&watch, watch.interest())];
            Ok(poll(&mut fds, Some(&timeout))? > 0 && fds[0].revents().intersects(watch.interest()))
        };
        ensure!(!ready(0)?, "the watch fired too early");
        worker.tell("allocate 64")?;
        let status = worker.wait()?;
        ensure!(status.signal() == Some(9), "64 MiB of 32 ended with {status}");
        ensure!(ready(5)?, "the watch stayed silent");
        watch.acknowledge()?;
        ensure!(group.oom_kills()? == 1, "counted {}", group.oom_kills()?);
        ensure!(group.stats()?.memory.oom_kills == 1, "not in the statistics");
        Ok(Outcome::Passed)
    })
}

pub(super) fn memory_and_swap_limits_are_written(place: &Place) -> Result<Outcome> {
    let limits = Memory {
        limit: Some(64 * MEBIBYTE),
        reservation: Some(32 * MEBIBYTE),
        swap: Some(96 * MEBIBYTE),
        ..Memory::default()
    };
    with_group(place, "memory", &memory(limits), |group| {
        let read = |legacy, unified| control(group, ("memory", legacy), unified);
        ensure!(read("memory.limit_in_bytes", "memory.max")? == "67108864", "limit");
        ensure!(read("memory.soft_limit_in_bytes", "memory.low")? == "33554432", "reservation");
        if group.warnings().is_empty() {
            let swap = read("memory.memsw.limit_in_bytes", "memory.swap.max")?;
            let expected = if group.layout().is_unified() { "33554432" } else { "100663296" };
            ensure!(swap == expected, "swap limit {swap}");
        }
        ensure!(group.stats()?.memory.limit == 64 << 20, "the statistics show another limit");
        Ok(Outcome::Passed)
    })
}

pub(super) fn cpu_quota_throttles(place: &Place) -> Result<Outcome> {
    let limits = Cpu { quota: Some(20_000), period: Some(100_000), ..Cpu::default() };
    with_group(place, "quota", &cpu(limits), |group| {
        let mut worker = Worker::start_in(group)?;
        worker.ask("spin 600")?;
        let stats = group.stats()?.cpu;
        let used = Duration::from_nanos(stats.total);
        ensure!(used < Duration::from_millis(300), "used {used:?} of 600 ms at 20 %");
        ensure!(used > Duration::from_millis(10), "used {used:?}");
        ensure!(stats.throttling.throttled_periods > 0, "never throttled: {stats:?}");
        Ok(Outcome::Passed)
    })
}

pub(super) fn cpu_shares_become_weight(place: &Place) -> Result<Outcome> {
    let limits = Cpu { shares: Some(512), burst: Some(0), ..Cpu::default() };
    with_group(place, "shares", &cpu(limits), |group| {
        let weight = control(group, ("cpu", "cpu.shares"), "cpu.weight")?;
        let expected = if group.layout().is_unified() { "59" } else { "512" };
        ensure!(weight == expected, "weight {weight}");
        Ok(Outcome::Passed)
    })
}

pub(super) fn cpuset_places_processes(place: &Place) -> Result<Outcome> {
    let placed = cpu(Cpu { cpus: "0".to_owned(), mems: "0".to_owned(), ..Cpu::default() });
    let direct = with_group(place, "cpuset", &placed, |group| {
        let mut worker = Worker::start_in(group)?;
        let cpus = worker.ask("cpus")?;
        ensure!(cpus == "0", "may run on {cpus}");
        Ok(Outcome::Passed)
    })?;
    with_group(place, "cpuset-later", &Resources::default(), |group| {
        let worker = Worker::start_in(group)?;
        group.update(&placed)?;
        let cpus = allowed_cpus(&format!("/proc/{}/status", worker.pid()))?;
        ensure!(cpus == "0", "after the update it may run on {cpus}");
        Ok(direct)
    })
}

pub(super) fn pids_limit_refuses_forks(place: &Place) -> Result<Outcome> {
    let limits = Resources { pids: Some(Pids { limit: 5 }), ..Resources::default() };
    with_group(place, "pids", &limits, |group| {
        let mut worker = Worker::start_in(group)?;
        let answer = worker.ask("fork 10")?;
        ensure!(answer == "4 11", "started, errno: {answer}");
        let pids = group.stats()?.pids;
        ensure!((pids.current, pids.limit) == (5, 5), "{pids:?}");
        Ok(Outcome::Passed)
    })
}

pub(super) fn block_throttle_is_written(place: &Place) -> Result<Outcome> {
    let Some((major, minor)) = block_device() else {
        return Ok(Outcome::Skipped("there is no block device".to_owned()));
    };
    let limit = ThrottleDevice { major, minor, rate: 1 << 20 };
    let block = BlockIo { throttle_read_bps_device: vec![limit], ..BlockIo::default() };
    with_group(place, "block", &Resources { block_io: Some(block), ..Resources::default() }, |group| {
        let text = control(group, ("blkio", "blkio.throttle.read_bps_device"), "io.max")?;
        ensure!(text.starts_with(&format!("{major}:{minor} ")) && text.contains("1048576"), "{text}");
        Ok(Outcome::Passed)
    })
}

fn block_device() -> Option<(i64, i64)> {
    let entries = std::fs::read_dir("/sys/block").ok()?;
    entries.flatten().find_map(|entry| {
        let text = std::fs::read_to_string(entry.path().join("dev")).ok()?;
        let (major, minor) = text.trim().split_once(':')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    })
}

pub(super) fn hugetlb_limit_is_written(place: &Place) -> Result<Outcome> {
    if !Path::new("/sys/kernel/mm/hugepages/hugepages-2048kB").exists() {
        return Ok(Outcome::Skipped("the kernel has no 2 MiB pages".to_owned()));
    }
    if let Layout::Legacy(legacy) = &place.layout
        && legacy.unified.is_none()
        && legacy.mount(Controller::Hugetlb).is_none()
    {
        return Ok(Outcome::Skipped("the hugetlb controller is not mounted".to_owned()));
    }
    let limit = HugepageLimit { page_size: "2MB".to_owned(), limit: 4 << 20 };
    with_group(place, "hugetlb", &Resources { hugepage_limits: vec![limit], ..Resources::default() }, |group| {
        let member = group.memberships().into_iter().find(|member| member.unified || member.name == "hugetlb");
        let directory = member.context("no hugetlb controller")?.directory;
        let files = ["hugetlb.2MB.max", "hugetlb.2MB.limit_in_bytes"];
        let text = files.iter().find_map(|file| std::fs::read_to_string(directory.join(file)).ok());
        ensure!(text.as_deref().map(str::trim) == Some("4194304"), "{text:?}");
        ensure!(group.stats()?.hugetlb.contains_key("2MB"), "not in the statistics");
        Ok(Outcome::Passed)
    })
}

pub(super) fn unified_map_is_written(place: &Place) -> Result<Outcome> {
    let map = [("memory.high".to_owned(), "33554432".to_owned())];
    let resources = Resources { unified: map.into_iter().collect(), ..Resources::default() };
    if !place.layout.is_unified() {
        let path = format!("{}/unified", place.parent);
        let refused = runtime::cgroup::Cgroup::create_in(place.layout.clone(), path, &resources);
        ensure!(matches!(refused, Err(Error::Unsupported { .. })), "accepted on cgroup v1");
        return Ok(Outcome::Passed);
    }
    with_group(place, "unified", &resources, |group| {
        ensure!(control(group, ("", ""), "memory.high")? == "33554432", "not written");
        Ok(Outcome::Passed)
    })
}

fn devices(allowed: &[(i64, i64, &str)]) -> Resources {
    let deny = DeviceRule { allow: false, access: "rwm".to_owned(), ..DeviceRule::default() };
    let rules = allowed.iter().map(|&(major, minor, access)| DeviceRule {
        allow: true,
        kind: Some("c".to_owned()),
        major: Some(major),
        minor: Some(minor),
        access: access.to_owned(),
    });
    Resources { devices: std::iter::once(deny).chain(rules).collect(), ..Resources::default() }
}

pub(super) fn device_rules_hold_and_change(place: &Place) -> Result<Outcome> {
    let node = place.scratch.join("node");
    with_group(place, "devices", &devices(&[(1, 3, "rwm")]), |group| {
        let mut worker = Worker::start_in(group)?;
        let mut expect = |request: &str, answer: &str| -> Result<()> {
            let found = worker.ask(request)?;
            ensure!(found == answer, "{request}: {found} instead of {answer}");
            Ok(())
        };
        expect("open rw /dev/null", "ok")?;
        expect("open r /dev/zero", "1")?;
        expect(&format!("mknod 1 3 {}", node.display()), "ok")?;
        expect(&format!("mknod 1 5 {}", node.display()), "1")?;
        group.update(&devices(&[(1, 5, "r")]))?;
        expect("open r /dev/zero", "ok")?;
        expect("open w /dev/zero", "1")?;
        expect("open rw /dev/zero", "1")?;
        expect("open r /dev/null", "1")?;
        group.update(&devices(&[(1, 5, "r"), (1, 5, "w"), (-1, -1, "m")]))?;
        expect("open rw /dev/zero", "ok")?;
        expect(&format!("mknod 1 7 {}", node.display()), "ok")?;
        expect("open r /dev/full", "1")?;
        Ok(Outcome::Passed)
    })
}

pub(super) fn update_changes_limits(place: &Place) -> Result<Outcome> {
    let limit = |mebibytes: i64, swap: i64| {
        memory(Memory { limit: Some(mebibytes * MEBIBYTE), swap: Some(swap * MEBIBYTE), ..Memory::default() })
    };
    with_group(place, "update", &limit(32, 64), |group| {
        let read = |group: &_| control(group, ("memory", "memory.limit_in_bytes"), "memory.max");
        // Up beyond the old total and down below it: the writes need opposite orders.
        group.update(&limit(128, 256))?;
        ensure!(read(group)? == (128i64 << 20).to_string(), "not raised");
        group.update(&limit(16, 16))?;
        ensure!(read(group)? == (16i64 << 20).to_string(), "not lowered");
        group.update(&cpu(Cpu { quota: Some(50_000), ..Cpu::default() }))?;
        group.update(&cpu(Cpu { period: Some(50_000), ..Cpu::default() }))?;
        let quota = control(group, ("cpu", "cpu.cfs_quota_us"), "cpu.max")?;
        ensure!(quota.starts_with("50000"), "quota {quota}");
        ensure!(read(group)? == (16i64 << 20).to_string(), "an unset limit changed");
        let busy = Memory { limit: Some(4096), check_before_update: Some(true), ..Memory::default() };
        let mut worker = Worker::start_in(group)?;
        worker.ask("allocate 4")?;
        ensure!(matches!(group.update(&memory(busy)), Err(Error::MemoryInUse { .. })), "below the use");
        Ok(Outcome::Passed)
    })
}
