//! `gantry system df --why`: everything below the data root has an owner, and it can be asked for.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};

use privileged_tests::building::{build, context};
use privileged_tests::http::Connection;
use privileged_tests::{Daemon, Options, skip, until};
use serde_json::Value;

/// Everything below a directory, as `find -xdev` prints it.
fn everything(root: &Path) -> Vec<PathBuf> {
    let mut found = vec![root.to_owned()];
    let mut next = 0;
    while let Some(path) = found.get(next).cloned() {
        next += 1;
        if path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
            found.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        }
    }
    found
}

fn escape(path: &Path) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.');
    let bytes = path.to_str().unwrap().as_bytes();
    bytes.iter().map(|byte| if plain(byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// What the engine says of a path; `None` when it went away meanwhile.
fn why(api: &mut Connection, path: &Path) -> Option<Value> {
    let answer = api.request("GET", &format!("/gantry/why?path={}", escape(path)), None).unwrap();
    match answer.status {
        200 => Some(answer.json()),
        404 if path.symlink_metadata().is_err() => None,
        status => panic!("{}: {status} {}", path.display(), String::from_utf8_lossy(&answer.body)),
    }
}

/// Some of everything: images with and without names, a build, containers in two states, volumes, networks.
fn work(daemon: &Daemon) {
    let files = [("Dockerfile", "FROM busybox\nRUN echo one > /one\nCOPY Dockerfile /two\n")];
    build(&daemon.stock(), &["-t", "web:1", &context(daemon, &files)]).exits(0);
    daemon.docker(&["tag", "web:1", "web:2"]).exits(0);
    daemon.docker(&["network", "create", "inner"]).exits(0);
    daemon.docker(&["volume", "create", "idle"]).exits(0);
    let run = ["run", "-d", "--name", "busy", "--network", "inner", "-v", "data:/data", "web:1"];
    daemon.docker(&[&run[..], &["sh", "-c", "echo x >/own; echo y >/data/file; echo z; sleep 1000"]].concat()).exits(0);
    until("the log is written", 60, || (daemon.docker(&["logs", "busy"]).stdout == "z\n").then_some(()));
    daemon.docker(&["run", "--name", "ended", "--log-driver", "local", "-v", "/anonymous", "busybox", "echo"]).exits(0);
    daemon.docker(&["commit", "ended"]).exits(0);
}

#[test]
fn every_path_of_the_data_root_has_an_owner() {
    let daemon = Daemon::start(Options::default());
    if daemon.is_reference() {
        return skip("Gantry's own");
    }
    work(&daemon);
    let mut api = daemon.api();
    let mut kinds = std::collections::BTreeSet::new();
    for path in everything(daemon.data_root()) {
        let Some(answer) = why(&mut api, &path) else { continue };
        let kind = answer["Kind"].as_str().unwrap().to_owned();
        assert_ne!(kind, "nobody", "{}: {answer}", path.display());
        assert!(!answer["Owner"].as_str().unwrap().contains("is being made or removed"), "{answer}");
        assert!(answer["Files"].as_u64().unwrap() > 0, "{answer}");
        kinds.insert(kind);
    }
    for kind in ["engine", "layer", "image", "container", "log", "volume", "network"] {
        assert!(kinds.contains(kind), "{kind} is not among {kinds:?}");
    }
    daemon.docker(&["rm", "-fv", "busy", "ended"]).exits(0);
    daemon.gantry(&["system", "fsck"]).exits(0);
}

#[test]
fn the_owner_of_a_path_is_named() {
    let daemon = Daemon::start(Options::default());
    if daemon.is_reference() {
        return skip("Gantry's own");
    }
    work(&daemon);
    let root = daemon.data_root().to_owned();
    let id = daemon.inspect("busy", "{{.Id}}");
    let told = |path: &str| daemon.gantry(&["system", "df", "--why", path]).ok().to_owned();
    let upper = daemon.inspect("busy", "{{.GraphDriver.Data.UpperDir}}");
    let lower = daemon.inspect("web:1", "{{.GraphDriver.Data.UpperDir}}");
    let image = daemon.inspect("web:1", "{{.Id}}").replace("sha256:", "");
    let (busy, names) = (format!("container busy ({})", &id[..12]), format!("web:1, web:2 ({})", &image[..12]));
    for (path, words) in [
        (format!("{upper}/own"), vec!["own in writable layer of ", busy.as_str()]),
        (format!("{lower}/two"), vec!["two in files of layer sha256:", &names, "; below ", &busy]),
        (format!("containers/{id}/{id}-json.log"), vec!["log of ", &busy, " in 1 file or directory"]),
        (format!("containers/{id}/config.json"), vec!["specification of ", &busy]),
        ("volumes/data/_data/file".to_owned(), vec!["file in files of volume data, used by busy ("]),
        ("volumes/idle".to_owned(), vec!["volume idle, used by no container"]),
        (format!("image/overlay2/imagedb/content/sha256/{image}"), vec!["configuration of image ", &names]),
        (".".to_owned(), vec!["the data root itself"]),
    ] {
        let text = told(&path);
        assert!(words.iter().all(|word| text.contains(word)), "{path}: {text}");
    }
    let network = daemon.docker(&["network", "inspect", "-f", "{{.Id}}", "inner"]).ok().to_owned();
    assert!(told(&format!("network/{network}.json")).contains("record of network inner ("));
    let json = daemon.gantry(&["system", "df", "--format", "json", "--why", "volumes/data"]);
    let json: Value = serde_json::from_str(json.ok()).unwrap();
    assert_eq!((json["Kind"].as_str(), json["Containers"][0].as_str()), (Some("volume"), Some(id.as_str())), "{json}");

    // What is nobody's says whether anything will remove it.
    fs::create_dir(root.join("overlay2/stray")).unwrap();
    fs::write(root.join("overlay2/stray/file"), vec![0; 10_000]).unwrap();
    fs::write(root.join("notes"), "mine").unwrap();
    let stray = told("overlay2/stray/file");
    assert!(stray.contains("nobody's (a directory of no layer): `gantry system fsck --repair` removes it"), "{stray}");
    assert!(told("notes").contains("nobody's: the engine did not make it and never removes it"));
    daemon.gantry(&["system", "fsck", "--repair"]).exits(0);
    assert!(!root.join("overlay2/stray").exists() && root.join("notes").exists());

    let outside = daemon.gantry(&["system", "df", "--why", "/etc/passwd"]);
    outside.exits(1).says(&format!("/etc/passwd is not below the data root {}", root.display()));
    let climbing = daemon.gantry(&["system", "df", "--why", "volumes/../../etc"]);
    climbing.exits(1).says("is not below the data root");
    daemon.gantry(&["system", "df", "--why", "volumes/none"]).exits(1).says("no such file or directory");
    std::os::unix::fs::symlink("/etc", root.join("volumes/data/_data/way")).unwrap();
    assert!(told("volumes/data/_data/way").contains("way in files of volume data"));
    daemon.gantry(&["system", "df", "--why", "volumes/data/_data/way/passwd"]).exits(1).says("not below the data root");
    daemon.docker(&["rm", "-fv", "busy", "ended"]).exits(0);
    daemon.gantry(&["system", "fsck"]).exits(0);
}
