//! Volumes that lead elsewhere, are taken away, or are on a disk that is full or read-only: a clear word, and nothing lost.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::PathBuf;

use privileged_tests::small_disk::SmallDisk;
use privileged_tests::{Daemon, Options, skip};

fn mountpoint(daemon: &Daemon, volume: &str) -> PathBuf {
    PathBuf::from(daemon.docker(&["volume", "inspect", "-f", "{{.Mountpoint}}", volume]).ok())
}

#[test]
fn links_in_a_volume_lead_nowhere_on_the_host() {
    let daemon = Daemon::shared();
    let (outside, volume, name) = (daemon.scratch("outside"), daemon.name("links"), daemon.name("links"));
    fs::write(outside.join("secret"), "the host's").unwrap();
    let shown = outside.display().to_string();
    let script =
        format!("ln -s {shown} /v/directory; ln -s {shown}/secret /v/file; ln -s ../../../../../../..{shown} /v/up");
    let named = format!("{volume}:/v");
    daemon.docker(&["run", "--name", &name, "-v", &named, "busybox", "sh", "-c", &script]).ok();
    let before = daemon.listing(&outside, 3);
    for client in daemon.clients() {
        // Mounted on, in a volume, through a link: the container's own directory of that name is made and used.
        for link in ["directory", "up"] {
            let below = format!("{}:/v/{link}/mounted", daemon.name("below"));
            let run =
                client.run(&["run", "--rm", "-v", &named, "-v", &below, "busybox", "touch", "/v/directory/mounted/x"]);
            assert!(run.code == 0 || run.code == 125, "{run}");
        }
        // Copied through, in both directions, while the container does not run.
        let own = daemon.scratch("own").join("file");
        fs::write(&own, "mine").unwrap();
        client.run(&["cp", &own.display().to_string(), &format!("{name}:/v/directory/copied")]);
        client.run(&["cp", &own.display().to_string(), &format!("{name}:/v/file")]);
        let got = client.run(&["cp", "-L", &format!("{name}:/v/file"), &daemon.scratch("got").display().to_string()]);
        assert!(!got.stdout.contains("the host's"));
        let got = daemon.scratch("got").join("file");
        assert!(
            !fs::read_to_string(&got).unwrap_or_default().contains("the host's"),
            "a file of the host was copied out"
        );
        // An image whose volume is behind such a link is filled inside the container.
        client.run(&["run", "--rm", "-v", &named, "-v", "/v/up/filled", "busybox", "true"]);
    }
    assert_eq!(daemon.listing(&outside, 3), before, "nothing was made on the host");
    assert_eq!(fs::read_to_string(outside.join("secret")).unwrap(), "the host's");
    daemon.docker(&["rm", "-fv", &name]).ok();
    daemon.docker(&["volume", "rm", &volume]).ok();
    assert!(outside.join("secret").exists(), "removing the volume follows no link");
}

#[test]
fn the_daemons_own_files_are_not_written_to() {
    let daemon = Daemon::shared();
    if daemon.is_reference() {
        return; // It lets them be overwritten.
    }
    let root = daemon.data_root().display().to_string();
    for client in daemon.clients() {
        for source in [root.clone(), format!("{root}/overlay2")] {
            let refused = client.run(&["run", "--rm", "-v", &format!("{source}:/x"), "busybox", "true"]);
            refused
                .exits(125)
                .says(&format!("{source} is where this daemon keeps images and containers"))
                .says("(:ro)");
            let mount = format!("type=bind,src={source},dst=/x");
            client.run(&["run", "--rm", "--mount", &mount, "busybox", "true"]).exits(125);
        }
        let look = client.run(&["run", "--rm", "-v", &format!("{root}:/x:ro"), "busybox", "ls", "/x"]);
        assert!(look.ok().contains("overlay2"));
        client.run(&["run", "--rm", "-v", &format!("{root}/volumes:/x"), "busybox", "true"]).ok();
    }
}

#[test]
fn a_volume_that_was_taken_away_is_told_and_can_be_removed() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let (volume, name) = (daemon.name("taken"), daemon.name("taken"));
        let named = format!("{volume}:/v");
        client.run(&["run", "-d", "--name", &name, "-v", &named, "busybox", "sleep", "1000"]).ok();
        let place = mountpoint(daemon, &volume);
        client.run(&["volume", "rm", &volume]).exits(1).says("volume is in use");
        fs::remove_dir_all(&place).unwrap();
        // Who has it mounted goes on; who comes later hears which directory is not there.
        client.run(&["exec", &name, "ls", "/v"]).ok();
        if !daemon.is_reference() {
            let refused = client.run(&["run", "--rm", "-v", &named, "busybox", "true"]);
            assert_ne!(refused.code, 0);
            refused.says(&place.display().to_string()).says("no such file or directory");
        }
        client.run(&["rm", "-f", &name]).ok();
        client.run(&["volume", "rm", &volume]).ok();
        client.run(&["run", "--rm", "-v", &named, "busybox", "touch", "/v/new"]).ok();
        client.run(&["volume", "rm", &volume]).ok();
    }
}

#[test]
fn a_container_whose_records_were_taken_away_can_be_removed() {
    let daemon = Daemon::shared();
    if daemon.is_reference() {
        return; // Its records are elsewhere.
    }
    for client in daemon.clients() {
        let name = daemon.name("bare");
        let id = client.run(&["create", "--name", &name, "-v", "/v", "busybox"]).ok().to_owned();
        fs::remove_dir_all(daemon.data_root().join("containers").join(&id)).unwrap();
        client.run(&["rm", "-v", &name]).ok();
        client.run(&["inspect", &name]).exits(1);
    }
    whole(daemon);
}

fn disk(stem: &str, megabytes: u64) -> Option<(SmallDisk, PathBuf)> {
    let place = std::env::temp_dir().join(format!("gt{stem}{}", std::process::id()));
    SmallDisk::new(&place, megabytes).map(|disk| (disk, place))
}

fn whole(daemon: &Daemon) {
    if !daemon.is_reference() {
        daemon.gantry(&["system", "fsck"]).exits(0);
    }
}

#[test]
fn a_full_disk_is_told_and_nothing_half_made_stays() {
    let Some((_disk, place)) = disk("full", 64) else { return skip("no small file system can be mounted") };
    let daemon = Daemon::start(Options { data_root: Some(place.join("data")), ..Options::default() });
    let (image, maker) = ("files", "maker");
    daemon
        .docker(&[
            "run",
            "--name",
            maker,
            "busybox",
            "sh",
            "-c",
            "mkdir /data; head -c 12000000 /dev/urandom >/data/file",
        ])
        .ok();
    daemon.docker(&["commit", maker, image]).ok();
    daemon.docker(&["rm", maker]).ok();
    daemon.docker(&["run", "-d", "--name", "runs", "-v", "kept:/v", "busybox", "sleep", "1000"]).ok();
    daemon.docker(&["exec", "runs", "sh", "-c", "echo kept >/v/file"]).ok();
    let filled = daemon.docker(&["exec", "runs", "sh", "-c", "head -c 100000000 /dev/zero >/v/zeros"]);
    filled.exits(1);
    daemon.docker(&[
        "exec",
        "runs",
        "sh",
        "-c",
        "head -c 3000000 /dev/zero >/v/part; rm /v/zeros; head -c 100000000 /dev/zero >/v/zeros",
    ]);
    daemon.docker(&["exec", "runs", "rm", "/v/part"]).ok();
    let before = daemon.traces();
    for client in daemon.clients() {
        // The image's 12 MB do not fit beside.
        let refused = client.run(&["create", "-v", "new:/data", image]);
        refused.exits(1).says("no space left on device");
        client.run(&["volume", "inspect", "new"]).exits(1);
        assert_eq!(daemon.traces(), before);
    }
    whole(&daemon);
    assert_eq!(daemon.docker(&["exec", "runs", "cat", "/v/file"]).ok(), "kept");
    daemon.docker(&["exec", "runs", "rm", "/v/zeros"]).ok();
    daemon.docker(&["run", "--rm", "-v", "new:/data", image, "true"]).exits(0);
    daemon.docker(&["rm", "-f", "runs"]).ok();
    drop(daemon);
}

#[test]
fn a_disk_that_turned_read_only_is_told_and_nothing_is_lost() {
    let Some((disk, place)) = disk("erofs", 64) else { return skip("no small file system can be mounted") };
    let daemon = Daemon::start(Options { data_root: Some(place.join("data")), ..Options::default() });
    if daemon.is_reference() {
        return; // It keeps files open for writing, so that the disk cannot turn.
    }
    daemon.docker(&["run", "--name", "ended", "-v", "kept:/v", "busybox", "touch", "/v/file"]).ok();
    let before = daemon.traces();
    disk.read_only(true);
    for client in daemon.clients() {
        client.run(&["volume", "create", "new"]).exits(1).says("read-only file system");
        client.run(&["create", "-v", "other:/v", "busybox"]).exits(1).says("read-only file system");
        client.run(&["start", "ended"]).exits(1).says("read-only file system");
        client.run(&["rm", "ended"]).exits(1).says("read-only file system");
        client.run(&["volume", "prune", "-f"]).ok();
        assert_eq!(client.run(&["ps", "-a", "--format", "{{.Names}}"]).ok(), "ended");
        assert_eq!(client.run(&["volume", "ls", "-q"]).ok(), "kept");
    }
    daemon.kill();
    let (code, said) = daemon.attempt();
    assert!(code != 0 && said.to_lowercase().contains("read-only file system"), "{code}: {said}");
    disk.read_only(false);
    daemon.launch();
    whole(&daemon);
    assert_eq!(daemon.traces(), before);
    let run = daemon.docker(&["run", "--rm", "-v", "kept:/v", "busybox", "ls", "/v"]);
    assert_eq!(run.ok(), "file");
    daemon.docker(&["start", "-a", "ended"]).ok();
    daemon.docker(&["rm", "ended"]).ok();
}
