//! Binds whose files are the container's user's inside and their owner's on the host.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::PathBuf;

use privileged_tests::{Daemon, Options};
use serde_json::json;

/// A directory of the host that belongs to user 1234 and group 4321, with one file of root's.
fn source(daemon: &Daemon) -> PathBuf {
    let source = daemon.scratch(&daemon.name("idmap"));
    fs::write(source.join("own"), "own").unwrap();
    fs::write(source.join("roots"), "root's").unwrap();
    chown(source.join("own"), Some(1234), Some(4321)).unwrap();
    chown(&source, Some(1234), Some(4321)).unwrap();
    source
}

fn owner(path: PathBuf) -> (u32, u32) {
    let stat = fs::symlink_metadata(path).unwrap();
    (stat.uid(), stat.gid())
}

#[test]
fn files_of_the_host_keep_their_owner() {
    let daemon = Daemon::shared();
    if daemon.is_reference() {
        return; // It has no such mounts.
    }
    for client in daemon.clients() {
        let source = source(daemon);
        let bind = format!("{}:/d:idmap", source.display());
        let script = "stat -c '%u:%g' /d /d/own; touch /d/made; mkdir /d/directory; stat -c '%u:%g' /d/made";
        let run = client.run(&["run", "--rm", "-v", &bind, "busybox", "sh", "-c", script]);
        assert_eq!(run.ok(), "0:0\n0:0\n0:0");
        for made in ["made", "directory", "own"] {
            assert_eq!(owner(source.join(made)), (1234, 4321), "{made}");
        }
        // Another user of the container, by number.
        let script = "stat -c '%u:%g' /d/own; echo more >>/d/own; touch /d/users";
        let run = client.run(&["run", "--rm", "-u", "33:34", "-v", &bind, "busybox", "sh", "-c", script]);
        assert_eq!(run.ok(), "33:34");
        assert_eq!(owner(source.join("users")), (1234, 4321));
        // What is root's on the host is nobody's to the container's root, which cannot give files to the owner's number.
        let script =
            "stat -c %u /d/roots; touch /d/x; chown 1234 /d/x || echo refused; rm /d/x; touch /d/roots || echo shut";
        let run = client.run(&["run", "--rm", "-v", &bind, "busybox", "sh", "-c", script]);
        assert_eq!(
            run.ok().lines().filter(|line| !line.contains(": ")).collect::<Vec<_>>(),
            ["65534", "refused", "shut"]
        );
        assert_eq!(owner(source.join("roots")), (0, 0));
        let shown = client.run(&["run", "--rm", "-v", &format!("{bind},ro"), "busybox", "touch", "/d/x"]);
        shown.exits(1).says("Read-only file system");
    }
}

#[test]
fn ids_are_mapped_as_told() {
    let daemon = Daemon::shared();
    if daemon.is_reference() {
        return;
    }
    let source = source(daemon);
    let bind = format!("{}:/d:idmap=uids=1234-7-1#0-0-1;gids=4321-8-1#0-0-1", source.display());
    let run = daemon.docker(&["run", "--rm", "-v", &bind, "busybox", "stat", "-c", "%u:%g", "/d/own", "/d/roots"]);
    assert_eq!(run.ok(), "7:8\n0:0");
    for bad in ["idmap=uids=0-0-0;gids=0-0-1", "idmap=what", "idmap,idmap"] {
        let bind = format!("{}:/d:{bad}", source.display());
        daemon
            .docker(&["run", "--rm", "-v", &bind, "busybox", "true"])
            .exits(125)
            .says(&format!("invalid mode: {bad}"));
    }
    daemon.docker(&["run", "--rm", "-v", "volume:/d:idmap", "busybox", "true"]).exits(125).says("invalid mode: idmap");
}

#[test]
fn mapped_users_own_the_hosts_files_too() {
    let config = json!({ "userns-remap": "default" });
    let daemon = Daemon::start(Options { config: Some(config), ..Options::default() });
    if daemon.is_reference() {
        return;
    }
    let source = source(&daemon);
    let bind = format!("{}:/d:idmap", source.display());
    let script = "stat -c '%u:%g' /d/own; touch /d/made; stat -c '%u:%g' /d/made";
    let run = daemon.docker(&["run", "--rm", "-u", "5:6", "-v", &bind, "busybox", "sh", "-c", script]);
    assert_eq!(run.ok(), "5:6\n5:6");
    assert_eq!(owner(source.join("made")), (1234, 4321));
}
