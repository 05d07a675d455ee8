//! Bad input: Docker's message and exit code, and nothing half-made left behind.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;

use privileged_tests::archive::{Image, Layer};
use privileged_tests::registry::{Registry, free_port};
use privileged_tests::small_disk::SmallDisk;
use privileged_tests::{Daemon, Options, skip};
use serde_json::json;

/// An engine that has run something, so that directories made on first use are there.
fn fresh() -> Daemon {
    let daemon = Daemon::start(Options::default());
    daemon.docker(&["run", "--rm", "busybox", "true"]).exits(0);
    daemon
}

/// What an operation may not change when it fails: records on disk, images, containers.
fn state(daemon: &Daemon) -> BTreeSet<String> {
    let mut state = daemon.traces();
    let list = |arguments: &[&str]| daemon.docker(arguments).ok().lines().map(str::to_owned).collect::<Vec<_>>();
    state.extend(list(&["images", "-a", "--no-trunc", "--format", "image {{.ID}} {{.Repository}}:{{.Tag}}"]));
    state.extend(list(&["ps", "-a", "--no-trunc", "--format", "container {{.ID}} {{.Names}}"]));
    state.extend(list(&["volume", "ls", "--format", "volume {{.Name}}"]));
    state
}

#[track_caller]
fn assert_unchanged(daemon: &Daemon, before: &BTreeSet<String>) {
    let after = state(daemon);
    let added: Vec<_> = after.difference(before).collect();
    let removed: Vec<_> = before.difference(&after).collect();
    assert!(added.is_empty() && removed.is_empty(), "left behind: {added:#?}\ngone: {removed:#?}");
}

#[test]
fn bad_missing_image() {
    let daemon = fresh();
    let before = state(&daemon);
    for client in daemon.clients() {
        // Nothing listens there, so the answer does not depend on a network.
        let reference = format!("127.0.0.1:{}/absent:1", free_port());
        let run = client.run(&["run", "--rm", &reference, "true"]);
        run.exits(125)
            .says(&format!("Unable to find image '{reference}' locally"))
            .says("Error response from daemon: ");
        client.run(&["inspect", "--type=image", "absent"]).exits(1).says("No such image: absent");
        client.run(&["rmi", "absent"]).exits(1).says("No such image: absent");
        client.run(&["tag", "absent", "other"]).exits(1).says("No such image: absent");
    }
    assert_unchanged(&daemon, &before);
}

#[test]
fn bad_image_absent_from_the_registry() {
    let daemon = fresh();
    let Some(registry) = Registry::start() else { return skip("docker-registry is not installed") };
    let before = state(&daemon);
    for client in daemon.clients() {
        let reference = registry.reference("absent:1");
        let run = client.run(&["pull", &reference]);
        run.exits(1).says("manifest unknown");
        client.run(&["run", &reference]).exits(125).says("manifest unknown");
    }
    assert_unchanged(&daemon, &before);
}

#[test]
fn bad_missing_command() {
    let daemon = fresh();
    let before = state(&daemon);
    for client in daemon.clients() {
        let run = client.run(&["run", "--rm", "busybox", "nosuchcommand"]);
        run.exits(127).says("exec: \"nosuchcommand\": executable file not found in $PATH");
        let run = client.run(&["run", "--rm", "busybox", "/no/such"]);
        run.exits(127).says("exec: \"/no/such\": stat /no/such: no such file or directory");
        let run = client.run(&["run", "--rm", "busybox", "/etc/passwd"]);
        run.exits(126).says("exec: \"/etc/passwd\": permission denied");
        let run = client.run(&["run", "--rm", "busybox", "/etc"]);
        run.exits(126);
    }
    assert_unchanged(&daemon, &before);
    let name = daemon.background("target", "sleep 300");
    for client in daemon.clients() {
        let run = client.run(&["exec", &name, "nosuchcommand"]);
        run.exits(126);
        let text = format!("{}{}", run.stdout, run.stderr);
        assert!(text.contains("exec: \"nosuchcommand\": executable file not found in $PATH"), "{run}");
        client.run(&["exec", &name, "/etc/passwd"]).exits(126);
    }
}

#[test]
fn bad_user() {
    let daemon = fresh();
    let before = state(&daemon);
    for client in daemon.clients() {
        let run = client.run(&["run", "--rm", "-u", "nobodyhere", "busybox", "true"]);
        run.exits(125).says("unable to find user nobodyhere: no matching entries in passwd file");
        let run = client.run(&["run", "--rm", "-u", "root:nogroup-here", "busybox", "true"]);
        run.exits(125).says("unable to find group nogroup-here: no matching entries in group file");
    }
    assert_unchanged(&daemon, &before);
}

#[test]
fn bad_port_in_use() {
    let daemon = fresh();
    let port = free_port();
    let publish = format!("{port}:80");
    daemon.docker(&["run", "-d", "--name", "holder", "-p", &publish, "busybox", "sleep", "300"]).exits(0);
    let before = state(&daemon);
    for client in daemon.clients() {
        let run = client.run(&["run", "-d", "--name", "second", "-p", &publish, "busybox", "sleep", "300"]);
        run.exits(125).says(&format!("Bind for 0.0.0.0:{port} failed: port is already allocated"));
        assert_eq!(daemon.inspect("second", "{{.State.Status}}"), "created");
        client.run(&["rm", "second"]).exits(0);
        // Somebody else's port.
        let listener = TcpListener::bind(("0.0.0.0", 0)).unwrap();
        let foreign = listener.local_addr().unwrap().port();
        let run =
            client.run(&["run", "-d", "--name", "third", "-p", &format!("{foreign}:80"), "busybox", "sleep", "300"]);
        run.exits(125).says("address already in use");
        client.run(&["rm", "third"]).exits(0);
    }
    assert_unchanged(&daemon, &before);
    for client in daemon.clients() {
        client.run(&["rm", "-f", "holder"]).exits(0);
        client.run(&["run", "-d", "--name", "holder", "-p", &publish, "busybox", "sleep", "300"]).exits(0);
    }
}

#[test]
fn bad_name() {
    let daemon = fresh();
    daemon.docker(&["run", "-d", "--name", "taken", "busybox", "sleep", "300"]).exits(0);
    let before = state(&daemon);
    for client in daemon.clients() {
        client
            .run(&["run", "--name", "taken", "busybox", "true"])
            .exits(125)
            .says("Conflict. The container name \"/taken\"");
        client.run(&["rename", "taken", "taken"]).exits(1);
        let run = client.run(&["run", "--name", "no/slash", "busybox", "true"]);
        run.exits(125).says("Invalid container name (no/slash), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed");
        for command in ["start", "stop", "kill", "rm", "logs", "restart", "pause", "wait"] {
            client.run(&[command, "absent"]).exits(1).says("No such container: absent");
        }
    }
    assert_unchanged(&daemon, &before);
}

#[test]
fn bad_reference() {
    let daemon = fresh();
    let before = state(&daemon);
    for client in daemon.clients() {
        client.run(&["run", "UPPER", "true"]).exits(125).says("repository name").says("must be lowercase");
        client.run(&["pull", "a:b:c"]).exits(1).says("invalid reference format");
        client.run(&["tag", "busybox", "-bad-"]).exits(1).says("invalid reference format");
        client.run(&["tag", "busybox", "x:bad tag"]).exits(1).says("invalid reference format");
    }
    assert_unchanged(&daemon, &before);
}

fn image(reference: &str, content: &[u8]) -> Image {
    let layer = Layer::of_files(&[("content", content)]);
    Image { reference: reference.to_owned(), layers: vec![layer], config: json!({"Cmd": ["/content"]}) }
}

fn load(daemon: &Daemon, name: &str, bytes: &[u8]) -> Vec<privileged_tests::Run> {
    let path = daemon.scratch("archives").join(name);
    fs::write(&path, bytes).unwrap();
    daemon.clients().iter().map(|client| client.run(&["load", "-i", &path.display().to_string()])).collect()
}

#[test]
fn bad_archive() {
    let daemon = fresh();
    let before = state(&daemon);
    let whole = image("broken:1", &vec![b'x'; 200_000]).to_bytes();
    for run in load(&daemon, "noise", b"this is no archive at all") {
        run.exits(1);
    }
    for run in load(&daemon, "truncated", &whole[..whole.len() / 2]) {
        run.exits(1);
    }
    let mut empty = tar::Builder::new(Vec::new());
    empty.append_data(&mut tar::Header::new_gnu(), "nothing", &b""[..]).unwrap();
    for run in load(&daemon, "no-manifest", &empty.into_inner().unwrap()) {
        run.exits(1);
    }
    for client in daemon.clients() {
        client.run(&["load", "-i", "/no/such/file"]).exits(1).says("no such file or directory");
    }
    assert_unchanged(&daemon, &before);
}

#[test]
fn bad_layer_digest_in_an_archive() {
    let daemon = fresh();
    let before = state(&daemon);
    let good = image("broken:1", b"the right content of this layer");
    let mut bytes = good.to_bytes();
    let wanted = b"the right content";
    let at = bytes.windows(wanted.len()).position(|window| window == wanted).unwrap();
    bytes[at..at + wanted.len()].copy_from_slice(b"the wrong content");
    for run in load(&daemon, "wrong-digest", &bytes) {
        run.exits(1).says("invalid diffID for layer 0: expected \"sha256:");
        run.says(&good.layers[0].digest().to_string());
    }
    assert_unchanged(&daemon, &before);
    for run in load(&daemon, "right-digest", &good.to_bytes()) {
        assert_eq!(run.ok(), "Loaded image: broken:1");
    }
}

#[test]
fn bad_layer_digest_in_a_pull() {
    let daemon = fresh();
    let Some(registry) = Registry::start() else { return skip("docker-registry is not installed") };
    let archive = daemon.scratch("archives").join("image");
    // Random content does not compress, so that the layer is the largest blob.
    let mut content = vec![0; 300_000];
    std::io::Read::read_exact(&mut fs::File::open("/dev/urandom").unwrap(), &mut content).unwrap();
    fs::write(&archive, image("broken:1", &content).to_bytes()).unwrap();
    let reference = registry.put(&archive, "broken:1");
    let (blob, size) = registry.blobs().into_iter().max_by_key(|(_, size)| *size).unwrap();
    assert!(size > 250_000);
    let mut bytes = fs::read(&blob).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    fs::write(&blob, bytes).unwrap();
    let before = state(&daemon);
    for client in daemon.clients() {
        let run = client.run(&["pull", &reference]);
        run.exits(1);
        let digest = blob.parent().unwrap().file_name().unwrap().to_str().unwrap();
        run.says("filesystem layer verification failed for digest sha256:").says(digest);
    }
    assert_unchanged(&daemon, &before);
}

#[test]
fn bad_full_disk_during_load_and_pull() {
    let place = std::env::temp_dir().join(format!("gtdisk{}", std::process::id()));
    let Some(disk) = SmallDisk::new(&place, 60) else { return skip("no small file system can be mounted") };
    let daemon = Daemon::start(Options { data_root: Some(place.join("data")), ..Options::default() });
    let mut content = vec![0; 100 << 20];
    std::io::Read::read_exact(&mut fs::File::open("/dev/urandom").unwrap(), &mut content).unwrap();
    let bytes = image("large:1", &content).to_bytes();
    drop(content);
    let (before, used) = (state(&daemon), disk.used());
    for run in load(&daemon, "large", &bytes) {
        run.exits(1).says("no space left on device");
        assert_unchanged(&daemon, &before);
    }
    if let Some(registry) = Registry::start() {
        let reference = registry.put(&daemon.scratch("archives").join("large"), "large:1");
        for client in daemon.clients() {
            let run = client.run(&["pull", &reference]);
            run.exits(1).says("no space left on device");
            assert_unchanged(&daemon, &before);
        }
    } else {
        skip("docker-registry is not installed: load only");
    }
    let grown = disk.used().saturating_sub(used);
    assert!(grown < 2 << 20, "{grown} bytes are still taken");
    // The engine goes on working.
    daemon.docker(&["run", "--rm", "busybox", "true"]).exits(0);
    drop(daemon);
}
