//! Row X-01: files in and out of containers.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use privileged_tests::fixtures::Fixture;
use privileged_tests::{Client, Daemon, Options, until};
use serde_json::{Value, json};

/// A generator that gives the same trees everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Fills a directory with everything that file systems have.
fn plant(directory: &Path, dice: &mut Dice, depth: u32) {
    let mut first: Option<PathBuf> = None;
    for number in 0..4 + dice.roll(4) {
        let long = "n".repeat(1 + dice.roll(160) as usize);
        let path = directory.join(format!("{number} {long}"));
        match dice.roll(8) {
            0 | 1 if depth > 0 => {
                fs::create_dir(&path).unwrap();
                plant(&path, dice, depth - 1);
            }
            2 => symlink(["somewhere", "/etc/hosts", "./a b"][dice.roll(3) as usize], &path).unwrap(),
            3 => {
                let status = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
                assert!(status.success());
            }
            4 if first.is_some() => fs::hard_link(first.as_ref().unwrap(), &path).unwrap(),
            _ => {
                let content: Vec<u8> = (0..dice.roll(5) * dice.roll(40_000)).map(|_| dice.roll(256) as u8).collect();
                fs::write(&path, content).unwrap();
                first.get_or_insert(path.clone());
            }
        }
        let metadata = fs::symlink_metadata(&path).unwrap();
        std::os::unix::fs::lchown(&path, Some(dice.roll(3) as u32 * 1000), Some(dice.roll(70_000) as u32)).unwrap();
        if metadata.is_file() || metadata.is_dir() {
            let mode = [0o644, 0o755, 0o4755, 0o2750, 0o1777, 0o600][dice.roll(6) as usize];
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
    }
    stamp(directory, dice);
}

/// Gives everything in a directory whole seconds as its time, as archives have them.
fn stamp(directory: &Path, dice: &mut Dice) {
    let mut paths: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths.into_iter().chain([directory.to_owned()]) {
        let seconds = 1_000_000_000 + dice.roll(500_000_000);
        let run = std::process::Command::new("touch").args(["-h", "-d", &format!("@{seconds}")]).arg(&path).status();
        assert!(run.unwrap().success());
    }
}

/// Everything about a tree but the owners: kind, mode, time, link target or content, names of the same file.
fn snapshot(root: &Path, owners: bool) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut inodes: BTreeMap<u64, String> = BTreeMap::new();
    let mut pending = vec![root.to_owned()];
    while let Some(path) = pending.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let kind = metadata.file_type();
        let name = path.strip_prefix(root).unwrap().display().to_string();
        let owner = if owners { format!("{}:{}", metadata.uid(), metadata.gid()) } else { String::new() };
        let content = if kind.is_symlink() {
            fs::read_link(&path).unwrap().display().to_string()
        } else if kind.is_file() {
            format!("{:?}", fs::read(&path).unwrap())
        } else {
            String::new()
        };
        if kind.is_dir() {
            let mut children: Vec<PathBuf> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect();
            children.sort();
            pending.extend(children.into_iter().rev());
        }
        let first = if metadata.nlink() > 1 && kind.is_file() {
            inodes.entry(metadata.ino()).or_insert_with(|| name.clone()).clone()
        } else {
            String::new()
        };
        let kind = if kind.is_fifo() { "fifo".to_owned() } else { format!("{kind:?}") };
        let mode = metadata.mode();
        found.insert(name, format!("{kind} {mode:o} {owner} {} {first} {content}", metadata.mtime()));
    }
    found
}

#[track_caller]
fn assert_same(left: &BTreeMap<String, String>, right: &BTreeMap<String, String>, what: &str) {
    for (name, about) in left {
        let other = right.get(name).map(|text| text.chars().take(200).collect::<String>());
        assert!(
            right.get(name) == Some(about),
            "{what}: {name}: {} | {other:?}",
            about.chars().take(200).collect::<String>()
        );
    }
    assert_eq!(left.len(), right.len(), "{what}");
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn x_01_random_trees_come_back_as_they_went_in() {
    let daemon = Daemon::shared();
    for (number, client) in daemon.clients().iter().enumerate() {
        let scratch = daemon.scratch(&daemon.name("trees"));
        let tree = scratch.join("tree");
        fs::create_dir(&tree).unwrap();
        plant(&tree, &mut Dice(7 + number as u64), 3);
        let running = daemon.background("cp", "sleep 600");
        let stopped = daemon.name("cp");
        daemon.docker(&["create", "--name", &stopped, "busybox", "true"]).exits(0);
        for container in [&running, &stopped] {
            client.run(&["cp", &text(&tree), &format!("{container}:/in")]).exits(0);
            let back = scratch.join(format!("back-{container}"));
            client.run(&["cp", &format!("{container}:/in"), &text(&back)]).exits(0);
            assert_same(&snapshot(&tree, false), &snapshot(&back, false), client.name);
            // Owners are in the stream, and in what `-a` makes of it.
            let archive = scratch.join(format!("{container}.tar"));
            let mut command = client.command(&["cp", &format!("{container}:/in"), "-"]);
            let status = command.stdout(fs::File::create(&archive).unwrap()).status().unwrap();
            assert!(status.success());
            let unpacked = scratch.join(format!("unpacked-{container}"));
            fs::create_dir(&unpacked).unwrap();
            let tar = std::process::Command::new("tar")
                .args(["--numeric-owner", "-xpf", &text(&archive), "-C", &text(&unpacked)])
                .stderr(Stdio::inherit())
                .status();
            assert!(tar.unwrap().success());
            assert_same(&snapshot(&tree, true), &snapshot(&unpacked.join("in"), true), client.name);
            if client.name == "gantry" {
                let owned = scratch.join(format!("owned-{container}"));
                client.run(&["cp", "-a", &format!("{container}:/in"), &text(&owned)]).exits(0);
                assert_same(&snapshot(&tree, true), &snapshot(&owned, true), "cp -a");
            }
        }
        daemon.docker(&["rm", "-f", &running, &stopped]).exits(0);
    }
}

/// The complaint of a client: its last line, since the stock client may log what it does on the way there.
fn outcome(client: &Client, arguments: &[&str]) -> String {
    let run = client.run(arguments);
    let last = run.stderr.trim().lines().last().unwrap_or_default();
    if run.code == 0 { String::new() } else { last.trim_start_matches("Error response from daemon: ").to_owned() }
}

#[test]
fn x_01_names_follow_dockers_rules() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon
            .background("names", "mkdir -p /d/sub /e; echo hi >/d/f; ln -s /d /link; ln -s /d/f /flink; sleep 600");
        until("the files are there", 30, || {
            (daemon.docker(&["exec", &name, "test", "-e", "/flink"]).code == 0).then_some(())
        });
        let here = daemon.scratch(&daemon.name("names"));
        fs::create_dir(here.join("dir")).unwrap();
        fs::write(here.join("file"), "x").unwrap();
        let at = |path: &str| text(&here.join(path));
        let from = |path: &str| format!("{name}:{path}");
        let copy = |arguments: &[&str]| outcome(&client, &[&["cp"], arguments].concat());
        assert_eq!(copy(&[&from("/d"), &at("dir")]), "");
        assert!(here.join("dir/d/f").exists() && here.join("dir/d/sub").is_dir());
        assert_eq!(copy(&[&from("/d"), &at("new")]), "");
        assert!(here.join("new/f").exists());
        assert_eq!(copy(&[&from("/d/."), &at("flat")]), "");
        assert!(here.join("flat/f").exists());
        assert_eq!(copy(&[&from("/d/f"), &at("file")]), "");
        assert_eq!(fs::read_to_string(here.join("file")).unwrap(), "hi\n");
        assert_eq!(copy(&[&from("/d/f"), &at("none/")]), "no such directory");
        assert_eq!(copy(&[&from("/d"), &at("file")]), "cannot copy directory");
        assert_eq!(
            copy(&[&from("/d/f"), &at("a/b")]),
            format!("invalid output path: directory {:?} does not exist", at("a"))
        );
        // Links: themselves, unless the path ends with a slash or -L is given.
        assert_eq!(copy(&[&from("/flink"), &at("dir")]), "");
        assert!(here.join("dir/flink").is_symlink());
        assert_eq!(copy(&["-L", &from("/flink"), &at("dir/followed")]), "");
        assert!(here.join("dir/followed").is_file() && !here.join("dir/followed").is_symlink());
        assert_eq!(copy(&[&from("/link/"), &at("dir")]), "");
        assert!(here.join("dir/link/f").exists());
        // Into the container.
        assert_eq!(copy(&[&at("file"), &from("/e")]), "");
        assert_eq!(copy(&[&at("file"), &from("/e/renamed")]), "");
        assert_eq!(copy(&[&at("dir"), &from("/link")]), "");
        assert_eq!(copy(&[&at("dir/."), &from("/e/flat")]), "");
        assert_eq!(copy(&[&at("dir"), &from("/e/file")]), "cannot copy directory");
        let found = daemon.docker(&["exec", &name, "sh", "-c", "cd /e; ls -d file renamed flat/d /d/dir"]);
        assert_eq!(found.ok(), "/d/dir\nfile\nflat/d\nrenamed");
        assert_eq!(copy(&[&at("nothing"), &from("/e")]), format!("lstat {}: no such file or directory", at("nothing")));
        assert_eq!(
            copy(&[&from("/nothing"), &at("dir")]),
            format!("Could not find the file /nothing in container {name}")
        );
        assert_eq!(
            copy(&[&at("file"), &from("/no/where")]),
            format!("Could not find the file /no in container {name}")
        );
        assert_eq!(copy(&[&from("/a"), &from("/b")]), "copying between containers is not supported");
        assert_eq!(copy(&["./a", "./b"]), "must specify at least one container source");
        assert_eq!(copy(&["-", &from("/d/f")]), format!("destination \"{name}:/d/f\" must be a directory"));
        client.run(&["cp", "nosuch:/x", &at("dir")]).exits(1).says("No such container: nosuch");
        // An archive through stdin.
        let tar = std::process::Command::new("tar").args(["-C", &text(&here), "-c", "file"]).output().unwrap();
        client.run_with_input(&["cp", "-", &from("/e/flat")], &tar.stdout).exits(0);
        assert_eq!(daemon.docker(&["exec", &name, "cat", "/e/flat/file"]).ok(), "hi");
        daemon.docker(&["rm", "-f", &name]).exits(0);
    }
}

#[test]
fn x_01_mounts_are_seen_and_read_only_ones_refused() {
    let daemon = Daemon::shared();
    let scratch = daemon.scratch(&daemon.name("mounts"));
    let bind = scratch.join("bind");
    fs::create_dir(&bind).unwrap();
    fs::write(bind.join("seen"), "in the bind").unwrap();
    fs::write(scratch.join("file"), "copied").unwrap();
    let file = text(&scratch.join("file"));
    for client in daemon.clients() {
        let (name, volume) = (daemon.name("mounts"), daemon.name("vol"));
        let mounts = [format!("{volume}:/vol"), format!("{}:/host/bind", text(&bind)), format!("{volume}:/locked:ro")];
        let mut create = vec!["create", "--name", &name];
        mounts.iter().for_each(|mount| create.extend(["-v", mount.as_str()]));
        create.extend(["busybox", "sleep", "600"]);
        daemon.docker(&create).exits(0);
        for state in ["created", "running", "paused", "exited"] {
            let steps: &[&str] = match state {
                "running" => &["start"],
                "paused" => &["pause"],
                "exited" => &["unpause", "kill"],
                _ => &[],
            };
            for step in steps {
                daemon.docker(&[step, &name]).exits(0);
            }
            client.run(&["cp", &file, &format!("{name}:/vol/{state}")]).exits(0);
            let out = scratch.join(format!("out-{}-{state}", client.name));
            client.run(&["cp", &format!("{name}:/host/bind/seen"), &text(&out)]).exits(0);
            assert_eq!(fs::read_to_string(&out).unwrap(), "in the bind");
            client.run(&["cp", &format!("{name}:/locked/{state}"), &text(&out)]).exits(0);
            assert_eq!(fs::read_to_string(&out).unwrap(), "copied", "one volume, seen twice");
            client
                .run(&["cp", &file, &format!("{name}:/locked/x")])
                .exits(1)
                .says("mounted volume is marked read-only");
            // What cp mounts for itself nobody else sees, neither now nor later.
            let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
            assert!(!mounts.lines().any(|line| line.contains(&text(&bind))), "{mounts}");
        }
        let read_only = daemon.name("ro");
        daemon
            .docker(&["run", "-d", "--name", &read_only, "--read-only", "-v", &mounts[0], "busybox", "sleep", "600"])
            .exits(0);
        client
            .run(&["cp", &file, &format!("{read_only}:/etc/x")])
            .exits(1)
            .says("container rootfs is marked read-only");
        client.run(&["cp", &file, &format!("{read_only}:/vol/x")]).exits(0);
        // A mount point is not replaced.
        client.run(&["cp", &file, &format!("{read_only}:/vol")]).exits(0);
        let busy = client.run(&["cp", &file, &format!("{name}:/etc/hosts")]);
        busy.exits(1).says("unlinkat /etc/hosts: device or resource busy");
        daemon.docker(&["rm", "-f", &name, &read_only]).exits(0);
        daemon.docker(&["volume", "rm", &volume]).exits(0);
    }
}

#[test]
fn x_01_what_is_mounted_in_memory_is_seen_while_it_runs() {
    let daemon = Daemon::shared();
    if daemon.is_reference() {
        // Docker's cp does not look into the container's own namespace.
        return;
    }
    let name = daemon.name("tmpfs");
    daemon
        .docker(&[
            "run",
            "-d",
            "--name",
            &name,
            "--read-only",
            "--tmpfs",
            "/mem",
            "busybox",
            "sh",
            "-c",
            "echo here >/mem/f; sleep 600",
        ])
        .exits(0);
    let scratch = daemon.scratch(&daemon.name("tmpfs"));
    for client in daemon.clients() {
        until("the file is there", 30, || {
            (daemon.docker(&["exec", &name, "test", "-s", "/mem/f"]).code == 0).then_some(())
        });
        let out = text(&scratch.join(client.name));
        client.run(&["cp", &format!("{name}:/mem/f"), &out]).exits(0);
        assert_eq!(fs::read_to_string(&out).unwrap(), "here\n");
        client.run(&["cp", &out, &format!("{name}:/mem/{}", client.name)]).exits(0);
        assert_eq!(daemon.docker(&["exec", &name, "cat", &format!("/mem/{}", client.name)]).ok(), "here");
    }
}

#[test]
fn x_01_a_container_that_swaps_paths_leads_nowhere() {
    let daemon = Daemon::shared();
    let scratch = daemon.scratch(&daemon.name("swap"));
    let outside = scratch.join("outside");
    fs::create_dir_all(outside.join("sub")).unwrap();
    fs::write(outside.join("sub/secret"), "of the host").unwrap();
    let before = snapshot(&outside, true);
    let inside = scratch.join("sub");
    fs::create_dir_all(inside.join("deep")).unwrap();
    (0..20).for_each(|number| fs::write(inside.join(format!("deep/{number}")), "mine").unwrap());
    // The same path does not exist in the container; only a link that escapes would find it.
    let script = format!(
        "mkdir -p /w/real/sub /w/away; echo inner >/w/real/sub/secret; cp -r /w/real /w/t; \
         while :; do mv /w/t /w/away/d 2>/dev/null; ln -s {0} /w/t; mv /w/t /w/away/l; mv /w/away/d /w/t; \
         mv /w/t/sub /w/away/s; ln -s {0}/sub /w/t/sub; rm -f /w/t/sub; mv /w/away/s /w/t/sub; rm -f /w/away/l; done",
        text(&outside)
    );
    let name = daemon.background("swap", &script);
    for client in daemon.clients() {
        for round in 0..6 {
            let out = scratch.join(format!("out-{}-{round}", client.name));
            // Most of them fail in some way, which is fine.
            client.run(&["cp", &format!("{name}:/w/t/"), &text(&out)]);
            for (path, about) in if out.exists() { snapshot(&out, false) } else { BTreeMap::new() } {
                assert!(!about.contains(&format!("{:?}", b"of the host".to_vec())), "{path}: {about}");
            }
            client.run(&["cp", &text(&inside), &format!("{name}:/w/t")]);
            client.run(&["cp", &text(&inside.join("deep")), &format!("{name}:/w/t/sub")]);
        }
    }
    assert_same(&before, &snapshot(&outside, true), "the host's directory");
    daemon.docker(&["rm", "-f", &name]).exits(0);
}

#[test]
fn x_01_the_api_tells_what_a_path_is() {
    let daemon = Daemon::shared();
    let script = "mkdir -p /d; echo hi >/d/f; chmod 4755 /d/f; ln -s /d /l; ln -s ../nowhere /d/dangling; sleep 600";
    let name = daemon.background("stat", script);
    until("the files are there", 30, || {
        (daemon.docker(&["exec", &name, "test", "-L", "/d/dangling"]).code == 0).then_some(())
    });
    let mut api = daemon.api();
    let mut stat = |path: &str| {
        let answer = api.request("HEAD", &format!("/containers/{name}/archive?path={path}"), None).unwrap();
        let header = answer.header("x-docker-container-path-stat").map(base64_decode).unwrap_or_default();
        (answer.status, serde_json::from_slice::<Value>(&header).unwrap_or_default())
    };
    let (status, file) = stat("/d/f");
    assert_eq!(
        (status, &file["name"], &file["size"], &file["mode"]),
        (200, &"f".into(), &3.into(), &8_389_101_u32.into())
    );
    assert_eq!(stat("/l").1["linkTarget"], "/d");
    assert_eq!(stat("/l/").1["mode"], 2_147_484_141_u32);
    assert_eq!(stat("/d/dangling").1["linkTarget"], "/nowhere");
    assert_eq!(stat("/d/.").1["name"], ".");
    assert_eq!(stat("/").1["name"], "/");
    assert_eq!((stat("/none").0, stat("").0, stat("/d/f/").0), (404, 400, 500));
    let refused = |path: &str| daemon.api().request("GET", path, None).unwrap();
    let answer = refused(&format!("/containers/{name}/archive?path=/none"));
    assert_eq!(answer.json()["message"], format!("Could not find the file /none in container {name}"));
    assert_eq!(refused("/containers/nosuch/archive?path=/").status, 404);
    let answer = refused(&format!("/containers/{name}/archive?path=/l/"));
    assert_eq!((answer.header("content-type"), &answer.body[..3]), (Some("application/x-tar"), &b"l/\0"[..]));
    // `--until` counts whole seconds, so the latest events come a moment later.
    until("the event", 30, || {
        let filter = format!("container={name}");
        let events = daemon.docker(&["events", "--since", "1h", "--until", "0s", "--filter", &filter]);
        events.ok().contains("container archive-path").then_some(())
    });
    daemon.docker(&["rm", "-f", &name]).exits(0);
}

fn base64_decode(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0u32, 0);
    for value in text.bytes().filter_map(|byte| ALPHABET.iter().position(|letter| *letter == byte)) {
        bits = bits << 6 | value as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

#[test]
fn x_01_cp_a_gives_files_to_the_containers_user() {
    let daemon = Daemon::shared();
    if daemon.is_reference() {
        // Docker 20.10 looks the user up on the host.
        return;
    }
    let scratch = daemon.scratch(&daemon.name("owner"));
    let file = scratch.join("file");
    fs::write(&file, "x").unwrap();
    chown(&file, Some(77), Some(78)).unwrap();
    for client in daemon.clients() {
        let name = daemon.name("owner");
        daemon.docker(&["run", "-d", "--name", &name, "--user", "1000:1001", "busybox", "sleep", "600"]).exits(0);
        client.run(&["cp", &text(&file), &format!("{name}:/tmp/plain")]).exits(0);
        client.run(&["cp", "-a", &text(&file), &format!("{name}:/tmp/archive")]).exits(0);
        let owners = daemon.docker(&["exec", &name, "stat", "-c", "%u:%g", "/tmp/plain", "/tmp/archive"]);
        assert_eq!(owners.lines(), ["77:78", "1000:1001"]);
        daemon.docker(&["rm", "-f", &name]).exits(0);
    }
}

#[test]
fn x_01_mapped_users_keep_their_files() {
    let options = Options { config: Some(json!({"userns-remap": "default"})), ..Options::default() };
    let daemon = Daemon::prepare(options);
    if daemon.is_reference() {
        return;
    }
    daemon.launch();
    daemon.image(Fixture::Busybox);
    let name = daemon.background("mapped", "echo own >/own; chown 12:34 /own; sleep 600");
    until("the file is there", 30, || (daemon.docker(&["exec", &name, "test", "-s", "/own"]).code == 0).then_some(()));
    let scratch = daemon.scratch("mapped");
    let file = scratch.join("file");
    fs::write(&file, "x").unwrap();
    chown(&file, Some(5), Some(6)).unwrap();
    for state in ["running", "exited"] {
        if state == "exited" {
            daemon.docker(&["kill", &name]).exits(0);
        }
        let answer = daemon.api().request("GET", &format!("/containers/{name}/archive?path=/own"), None).unwrap();
        let archive = scratch.join("own.tar");
        fs::write(&archive, &answer.body).unwrap();
        let listing =
            std::process::Command::new("tar").args(["--numeric-owner", "-tvf", &text(&archive)]).output().unwrap();
        let listing = String::from_utf8_lossy(&listing.stdout).into_owned();
        assert!(listing.contains(" 12/34 "), "{state}: {listing}");
        daemon.docker(&["cp", &text(&file), &format!("{name}:/put-{state}")]).exits(0);
    }
    daemon.docker(&["start", &name]).exits(0);
    let owners = daemon.docker(&["exec", &name, "stat", "-c", "%u:%g", "/put-running", "/put-exited"]);
    assert_eq!(owners.lines(), ["5:6", "5:6"], "{owners}");
}
