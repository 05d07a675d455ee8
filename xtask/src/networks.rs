//! `cargo xtask soak network-cycles [N]`: networks made and removed, with a container on some of them; nothing of them may stay.

use std::collections::BTreeSet;
use std::process::Command;
use std::thread;

use anyhow::{Context as _, Result, bail, ensure};
use privileged_tests::load::Size;
use privileged_tests::{Daemon, Engine, Options, until};

use crate::cargo::{Profile, build, output};

/// Clients that work side by side.
const CLIENTS: usize = 4;
/// Every so many networks one gets a container.
const WITH_CONTAINER: usize = 20;
/// Growth of the daemon's memory that an allocator's caches explain.
const SLACK_KB: u64 = 3 * 1024;

/// Makes and removes N networks (10,000), with one of each kind of driver in turn; fails when something is left.
pub fn run(arguments: &[String]) -> Result<()> {
    let cycles: usize = arguments.first().map_or(Ok(10_000), |text| text.parse()).context("N is a number")?;
    // The program that `GANTRY_BIN` names, or an optimised build.
    let binary = match std::env::var_os("GANTRY_BIN") {
        Some(path) => path.into(),
        None => build(Profile::Release)?.get("gantry").context("the build made no gantry program")?.clone(),
    };
    let binary = Some(binary);
    let daemon = Daemon::start(Options { engine: Some(Engine::Gantry), binary, ..Options::default() });
    // What is made once and stays is there before counting.
    cycle(&daemon, "first", true)?;
    let (before, kernel) = (Size::of(daemon.pid()), kernel(&daemon)?);
    let work = |client: usize| -> Result<()> {
        let mine = (0..cycles).filter(|number| number % CLIENTS == client);
        mine.into_iter().try_for_each(|number| cycle(&daemon, &format!("n{number}"), number % WITH_CONTAINER == 0))
    };
    thread::scope(|scope| -> Result<()> {
        let clients: Vec<_> = (0..CLIENTS).map(|client| scope.spawn(move || work(client))).collect();
        clients.into_iter().try_for_each(|client| client.join().unwrap_or_else(|_| bail!("a client panicked")))
    })?;
    // Namespaces die in the background.
    until("everything is gone", 60, || (self::kernel(&daemon).ok()? == kernel).then_some(()));
    let after = Size::of(daemon.pid());
    println!("networks made and removed {cycles}");
    println!("memory (Pss, kB)          {} -> {}", before.memory, after.memory);
    println!("descriptors               {} -> {}", before.descriptors, after.descriptors);
    ensure!(after.descriptors <= before.descriptors, "descriptors were left open");
    ensure!(after.memory <= before.memory + SLACK_KB, "the daemon's memory grew");
    // The first pool is free again.
    let subnet = "{{(index .IPAM.Config 0).Subnet}}";
    daemon.docker(&["network", "create", "last"]).exits(0);
    println!("subnet of the next one    {}", daemon.inspect("last", subnet));
    daemon.docker(&["network", "rm", "last"]).exits(0);
    Ok(())
}

/// One network, of a driver that its name decides.
fn cycle(daemon: &Daemon, name: &str, container: bool) -> Result<()> {
    let driver = if name.ends_with(['3', '7']) { "macvlan" } else { "bridge" };
    let run = |words: &[&str]| {
        let said = daemon.gantry(words);
        ensure!(said.code == 0, "{words:?}: {}", said.stderr);
        Ok(())
    };
    run(&["network", "create", "-d", driver, name])?;
    if container {
        run(&["run", "--rm", "--network", name, "busybox", "true"])?;
    }
    run(&["network", "rm", name])
}

/// What the kernel and the disk have of networks: devices, tables, records.
fn kernel(daemon: &Daemon) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for line in output(Command::new("ip").args(["-o", "link"]))?.lines() {
        let name = line.split(": ").nth(1).unwrap_or_default().split('@').next().unwrap_or_default();
        if ["br-", "dm-", "veth"].iter().any(|prefix| name.starts_with(prefix)) {
            found.insert(name.to_owned());
        }
    }
    let table = format!("gantry_{}", daemon.bridge());
    let rules = output(Command::new("nft").args(["list", "table", "inet", &table]))?;
    found.extend(rules.lines().filter(|line| line.contains("br-")).map(|line| line.trim().to_owned()));
    found.extend(daemon.listing(&daemon.data_root().join("network"), 2));
    Ok(found)
}
