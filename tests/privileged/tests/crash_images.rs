//! The daemon is killed with SIGKILL while images come, go, are made and are read; what the next one finds is whole.
#![allow(clippy::unwrap_used, missing_docs)]

use std::process::{Child, Stdio};
use std::time::Duration;

use privileged_tests::archive::{Image, Layer};
use privileged_tests::registry::Registry;
use privileged_tests::{Daemon, Options};
use serde_json::json;

/// What the daemon does when it is killed. Each is a client that runs beside the others.
fn work(daemon: &Daemon, archive: &str, registry: Option<&Registry>, context: &str) -> Vec<Child> {
    let client = daemon.stock();
    let spawn = |arguments: &[&str]| {
        let mut command = client.command(arguments);
        command.env("DOCKER_BUILDKIT", "0");
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let mut children = vec![
        spawn(&["load", "-i", archive]),
        spawn(&["commit", "base", "committed:v1"]),
        spawn(&["save", "-o", &format!("{archive}.saved"), "busybox"]),
        spawn(&["build", "-q", "--no-cache", "-t", "built:v1", context]),
        spawn(&["rmi", "-f", "old:v1"]),
    ];
    if let Some(registry) = registry {
        children.push(spawn(&["pull", &registry.reference("loaded:v1")]));
    }
    children
}

#[test]
fn crash_while_images_come_and_go_leaves_a_whole_store() {
    let daemon = Daemon::start(Options::default());
    let scratch = daemon.scratch("work");
    let archive = scratch.join("loaded.tar").display().to_string();
    let noise = |seed: u64| {
        let mut state = seed | 1;
        let next = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 24) as u8
        };
        (0..3 << 20).map(next).collect::<Vec<u8>>()
    };
    let layers = (1..5).map(|seed| Layer::of_files(&[("noise", &noise(seed)), ("other", b"x")])).collect();
    let image = Image { reference: "loaded:v1".to_owned(), layers, config: json!({}) };
    std::fs::write(&archive, image.to_bytes()).unwrap();
    let registry = Registry::start();
    if let Some(registry) = registry.as_ref().filter(|_| std::path::Path::new("/usr/bin/skopeo").exists()) {
        registry.put(std::path::Path::new(&archive), "loaded:v1");
    }
    let context = scratch.join("context");
    std::fs::create_dir_all(&context).unwrap();
    std::fs::write(context.join("Dockerfile"), "FROM busybox\nCOPY f /f\nRUN echo 1 >/one\nRUN rm /f\n").unwrap();
    std::fs::write(context.join("f"), "content").unwrap();
    let context = context.display().to_string();
    daemon.docker(&["create", "--name", "base", "busybox", "true"]).exits(0);
    let traces = daemon.traces();
    for delay in [15, 40, 80, 130, 200, 300, 450, 700] {
        daemon.docker(&["commit", "base", "old:v1"]).exits(0);
        let mut children = work(&daemon, &archive, registry.as_ref(), &context);
        std::thread::sleep(Duration::from_millis(delay));
        daemon.kill();
        children.iter_mut().for_each(|child| drop(child.wait()));
        daemon.launch();
        if !daemon.is_reference() {
            let run = daemon.gantry(&["system", "fsck", "--deep"]);
            assert!(run.code == 0, "after {delay} ms: {run}");
        }
        // What is there works, and all of it can go.
        daemon.docker(&["run", "--rm", "--network", "none", "busybox", "true"]).exits(0);
        for name in ["loaded:v1", "committed:v1", "built:v1", "old:v1"] {
            daemon.docker(&["rmi", "-f", name]);
        }
        if let Some(registry) = &registry {
            daemon.docker(&["rmi", "-f", &registry.reference("loaded:v1")]);
        }
        daemon.docker(&["image", "prune", "-f"]).exits(0);
    }
    if !daemon.is_reference() {
        // 20.10 leaks layers here. Partial downloads stay for the next pull.
        let mut left = daemon.traces();
        left.retain(|path| !path.starts_with("image/overlay2/content/partial/"));
        assert_eq!(left, traces);
    }
}
