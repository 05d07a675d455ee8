//! `cargo xtask bench`: the same work on an optimised Gantry and, when asked, on another engine.
//!
//! | figure                                            | meaning                                                     |
//! |---------------------------------------------------|-------------------------------------------------------------|
//! | `life_{bridge,none}_{create,start,wait,remove}_ms` | one container of `true`, step by step, median              |
//! | `life_{bridge,none}_total_ms`                     | the sum of the four, median                                 |
//! | `cli_run_rm_ms`                                   | `docker run --rm busybox true` with the stock client, median |
//! | `exec_ms`                                         | exec create + start + end of `true`, median                 |
//! | `kill_ms`                                         | kill + wait of `sleep`                                      |
//! | `many_start_s`, `many_start_per_s`                | create + start of `--many` (100) containers by 8 clients    |
//! | `idle_daemon_pss_mb`                              | memory of the engine's processes before the many            |
//! | `pss_per_container_mb`                            | what each of the many added to it                           |
//! | `ps_many_ms`                                      | list of the many, median of 10                              |
//! | `many_remove_s`                                   | forced removal of the many by 8 clients                     |
//! | `log_write_mb_s`, `log_read_mb_s`                 | 240 MB of 120-byte lines through the log and back           |
//! | `load_s`, `save_s`                                | an image of two layers, 375 MB, from and to a file          |
//! | `push_built_s`, `push_pulled_s`                   | the same to an empty registry: loaded before, pulled before |
//! | `pull_s`                                          | the same from that registry, nothing of it here             |
//! | `names_per_s`, `names_p50_ms`, `names_p99_ms`     | lookups from inside a container, 32 at once by one socket   |
//! | `names_40k_p99_ms`                                | the same, 40,000 a second, counted from when each was due   |
//! | `names_socket_each_per_s`, `…_p99_ms`             | one after the other, each by a socket of its own            |
//! | `direct_per_s`, `loopback_per_s`, `dnat_per_s`   | requests to nginx by wrk: at its own address, by a published port on loopback, and from another host |
//! | `loopback_part`, `dnat_part`                      | the same as a part of `direct_per_s`                        |
//! | `connect_ms`, `disconnect_ms`, `plug_total_ms`    | a running container and another network, medians            |
//! | `start_100_ports_ms`                              | start of a container that publishes 100 ports, median       |
//! | `start_ms`, `start_named_volume_ms`, `named_volume_adds_ms` | create + start of a container without network, without and with a new named volume, medians |
//! | `copy_up_10k_ms`, `cp_a_10k_ms`, `copy_up_part_of_cp` | 10,000 files of an image into a new volume, and the same by `cp -a` |
//! | `images_peak_mb`                                  | the most memory resident at a time meanwhile (`VmHWM`)      |
//!
//! Memory is the sum of `Pss` (proc(5), smaps_rollup) over the engine's processes, in MB of 1024 kB.

mod figures;
mod images;
mod memory;
mod names;
mod network;
mod volumes;
mod work;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use privileged_tests::fixtures::Fixture;
use privileged_tests::{Client, Daemon, Engine, Options};

use crate::cargo::{Profile, build};
use figures::Figures;
use work::Subject;

/// What the command line asks for.
struct Plan {
    against: Option<String>,
    runs: usize,
    many: usize,
    only: Vec<String>,
}

/// Measures and prints.
pub fn run(arguments: &[String]) -> Result<()> {
    let plan = parse(arguments)?;
    let programs = build(Profile::Release)?;
    let gantry = programs.get("gantry").context("the build made no gantry program")?;
    let directory = gantry.parent().context("a program has a directory")?.to_owned();
    let options = Options { engine: Some(Engine::Gantry), binary: Some(gantry.clone()), ..Options::default() };
    let theirs = match plan.against.as_deref() {
        None => None,
        Some("dockerd") => {
            let daemon = Daemon::start(Options { engine: Some(Engine::Dockerd), ..Options::default() });
            println!("dockerd on {}", daemon.host());
            let directory = daemon.exec_root().parent().context("a private directory")?.display().to_string();
            Some(measure(&plan, daemon.stock(), &daemon.socket(), memory::Processes::Reference(directory)))
        }
        Some(socket) => Some(foreign(&plan, Path::new(socket.trim_start_matches("unix://")))?),
    };
    let ours = {
        let daemon = Daemon::start(options);
        println!("gantry on {}", daemon.host());
        measure(&plan, daemon.stock(), &daemon.socket(), memory::Processes::In(directory))
    };
    figures::print(&ours, theirs.as_ref());
    Ok(())
}

fn foreign(plan: &Plan, socket: &Path) -> Result<Figures> {
    let host = format!("unix://{}", socket.display());
    println!("reference on {host}");
    let client = Client { name: "docker", program: PathBuf::from("docker"), host, home: std::env::temp_dir() };
    if client.run(&["image", "inspect", "busybox:latest"]).code != 0 {
        let archive = Fixture::Busybox.archive()?;
        client.run(&["load", "-q", "-i", &archive.display().to_string()]).exits(0);
    }
    Ok(measure(plan, client, socket, memory::Processes::Reference(String::new())))
}

fn measure(plan: &Plan, client: Client, socket: &Path, processes: memory::Processes) -> Figures {
    let subject = Subject { client, socket: socket.to_owned(), processes, runs: plan.runs, many: plan.many };
    let mut figures = Figures::default();
    let steps: [(&str, work::Step); 10] = [
        ("life_bridge", work::life_bridge),
        ("life_none", work::life_none),
        ("cli_run", work::cli_run),
        ("exec", work::exec),
        ("many", work::many),
        ("logs", work::logs),
        ("images", images::images),
        ("names", names::names),
        ("network", network::network),
        ("volumes", volumes::volumes),
    ];
    for (name, step) in steps {
        if plan.only.is_empty() || plan.only.iter().any(|wanted| wanted == name) {
            step(&subject, &mut figures);
        }
    }
    figures
}

fn parse(arguments: &[String]) -> Result<Plan> {
    let mut plan = Plan { against: None, runs: 15, many: 100, only: Vec::new() };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let value = words.next().with_context(|| format!("{word} takes a value"))?;
        match word.as_str() {
            "--against" => plan.against = Some(value.clone()),
            "--runs" => plan.runs = value.parse().context("--runs takes a number")?,
            "--many" => plan.many = value.parse().context("--many takes a number")?,
            "--only" => plan.only = value.split(',').map(str::to_owned).collect(),
            _ => bail!("unknown flag {word}: bench [--against SOCKET|dockerd] [--runs N] [--many N] [--only NAME,…]"),
        }
    }
    Ok(plan)
}
