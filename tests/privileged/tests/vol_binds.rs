//! Directories and files of the host in containers.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use privileged_tests::Daemon;

/// Where `/dst` and a place of the host is.
fn bind(source: &std::path::Path, target: &str) -> String {
    format!("{}:{target}", source.display())
}

#[test]
fn vol_03_a_directory_of_the_host_is_the_same_on_both_sides() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon.name("bind");
        let source = daemon.scratch(&name);
        fs::write(source.join("before"), "1").unwrap();
        client.run(&["run", "-d", "--name", &name, "-v", &bind(&source, "/opt/data"), "busybox", "sleep", "1000"]).ok();
        assert_eq!(client.run(&["exec", &name, "ls", "/opt/data"]).ok(), "before");
        fs::write(source.join("host"), "from the host").unwrap();
        assert_eq!(client.run(&["exec", &name, "cat", "/opt/data/host"]).ok(), "from the host");
        client.run(&["exec", &name, "sh", "-c", "echo inside >/opt/data/container"]).ok();
        assert_eq!(fs::read_to_string(source.join("container")).unwrap(), "inside\n");
        let shown = client.run(&["inspect", "-f", "{{range .Mounts}}{{.Type}} {{.Source}} {{.RW}}{{end}}", &name]);
        assert_eq!(shown.ok(), format!("bind {} true", source.display()));
        client.run(&["rm", "-f", &name]).ok();
        assert!(source.join("container").exists(), "what is the host's stays");
    }
}

#[test]
fn vol_04_a_missing_directory_of_the_host_is_made_for_v_alone() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let base = daemon.scratch(&daemon.name("missing"));
        let missing = base.join("a/b");
        client.run(&["run", "--rm", "-v", &bind(&missing, "/x"), "busybox", "touch", "/x/file"]).ok();
        let made = fs::metadata(&missing).unwrap();
        assert!(made.is_dir() && missing.join("file").exists());
        assert_eq!((made.uid(), made.permissions().mode() & 0o7777), (0, 0o755));
        let other = base.join("c");
        let mount = format!("type=bind,src={},dst=/x", other.display());
        let text =
            format!("invalid mount config for type \"bind\": bind source path does not exist: {}", other.display());
        client.run(&["run", "--rm", "--mount", &mount, "busybox", "true"]).exits(125).says(&text);
        assert!(!other.exists());
        if !daemon.is_reference() {
            let mount = format!("{mount},bind-create-src");
            // The stock client of this age has no word for it.
            let run = client.run(&["run", "--rm", "--mount", &mount, "busybox", "true"]);
            assert_eq!(run.code == 0, other.exists(), "{run}");
        }
    }
}

#[test]
fn vol_05_a_name_is_a_volume_and_a_relative_path_the_clients() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let (directory, volume) = (daemon.scratch(&daemon.name("relative")), daemon.name("relative"));
        fs::create_dir_all(directory.join("sub")).unwrap();
        fs::write(directory.join("sub/file"), "found").unwrap();
        let arguments = ["run", "--rm", "-v", "./sub:/y", "-v", &format!("{volume}:/x"), "busybox", "cat", "/y/file"];
        let output = client.command(&arguments).current_dir(&directory).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "found", "{output:?}");
        let place = client.run(&["volume", "inspect", "-f", "{{.Mountpoint}}", &volume]);
        assert!(place.ok().ends_with(&format!("/volumes/{volume}/_data")));
        client.run(&["volume", "rm", &volume]).ok();
        client
            .run(&["run", "--rm", "-v", "a/b:/x", "busybox", "true"])
            .exits(125)
            .says("\"a/b\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed");
    }
}

#[test]
fn vol_06_the_containers_path_is_absolute() {
    let daemon = Daemon::shared();
    let text = "invalid mount path: 'data' mount path must be absolute";
    for client in daemon.clients() {
        client.run(&["run", "--rm", "-v", "/tmp:data", "busybox", "true"]).exits(125).says(text);
        client.run(&["run", "--rm", "-v", "/tmp:/", "busybox", "true"]).exits(125).says("destination can't be '/'");
    }
}

#[test]
fn vol_07_a_bind_is_only_read() {
    let daemon = Daemon::shared();
    let source = daemon.scratch("ro");
    fs::create_dir_all(source.join("below")).unwrap();
    for client in daemon.clients() {
        let run = |mode: &str, command: &str| {
            let volume = format!("{}:/d:{mode}", source.display());
            client.run(&["run", "--rm", "-v", &volume, "busybox", "sh", "-c", command])
        };
        run("ro", "touch /d/x").exits(1).says("touch: /d/x: Read-only file system");
        run("ro,z", "touch /d/x").exits(1).says("Read-only file system");
        for mode in ["rw", "Z", "rw,rprivate"] {
            run(mode, "touch /d/x && rm /d/x").ok();
        }
        run("what", "true").exits(125).says("invalid mode: what");
        let mount = format!("type=bind,src={},dst=/d,readonly", source.display());
        let refused = client.run(&["run", "--rm", "--mount", &mount, "busybox", "touch", "/d/x"]);
        refused.exits(1).says("Read-only file system");
    }
}

#[test]
fn vol_07_mounts_travel_where_the_host_lets_them() {
    let image = privileged_tests::fixtures::Fixture::Busybox.archive().unwrap().display().to_string();
    let script = r#"up; mkdir -p src; mount -t tmpfs tmpfs src; mount --make-private src; mkdir src/below
        docker load -q -i IMAGE >/dev/null
        docker run --rm -v $PWD/src:/d:rslave busybox true 2>&1; docker run --rm -v $PWD/src:/d:rshared busybox true 2>&1
        mount --make-shared src
        docker run -d --name one -v $PWD/src:/d:rslave busybox sleep 1000 >/dev/null
        mount -t tmpfs tmpfs src/below; touch src/below/host; docker exec one ls /d/below; umount src/below
        docker rm -f one >/dev/null; down; umount src"#;
    let text = privileged_tests::sandbox::Sandbox::new().run(&script.replace("IMAGE", &image));
    assert!(
        text.contains("but it is not a shared or slave mount") && text.contains("but it is not a shared mount"),
        "{text}"
    );
    assert_eq!(text.lines().last(), Some("host"), "{text}");
}

#[test]
fn vol_08_a_single_file_is_bound() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let (file, name) = (daemon.scratch(&daemon.name("file")).join("history"), daemon.name("file"));
        fs::write(&file, "one\n").unwrap();
        client
            .run(&["run", "-d", "--name", &name, "-v", &bind(&file, "/root/.history"), "busybox", "sleep", "1000"])
            .ok();
        client.run(&["exec", &name, "sh", "-c", "echo two >>/root/.history"]).ok();
        assert_eq!(fs::read_to_string(&file).unwrap(), "one\ntwo\n");
        client.run(&["rm", "-f", &name]).ok();
    }
}

#[test]
fn vol_09_a_replaced_file_is_not_seen_and_inspect_says_so() {
    let daemon = Daemon::shared();
    let (directory, name) = (daemon.scratch("stale"), daemon.name("stale"));
    let (file, other) = (directory.join("conf"), directory.join("new"));
    fs::write(&file, "old").unwrap();
    daemon.docker(&["run", "-d", "--name", &name, "-v", &bind(&file, "/conf"), "busybox", "sleep", "1000"]).ok();
    let shown = || daemon.api().call("GET", &format!("/containers/{name}/json"), None);
    let stale = || shown()["Mounts"][0]["Stale"].as_bool().unwrap_or(false);
    assert!(!stale());
    fs::write(&other, "new").unwrap();
    fs::rename(&other, &file).unwrap();
    assert_eq!(daemon.docker(&["exec", &name, "cat", "/conf"]).ok(), "old");
    if !daemon.is_reference() {
        assert!(stale(), "the file is another one now");
        daemon.docker(&["restart", "-t", "0", &name]).ok();
        assert!(!stale());
    } else {
        daemon.docker(&["restart", "-t", "0", &name]).ok();
    }
    assert_eq!(daemon.docker(&["exec", &name, "cat", "/conf"]).ok(), "new");
    daemon.docker(&["rm", "-f", &name]).ok();
}

#[test]
fn vol_10_a_missing_file_becomes_a_directory_and_that_is_told() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let missing = daemon.scratch(&daemon.name("config")).join("httpd.conf");
        let run = client.run(&["run", "--rm", "-v", &bind(&missing, "/etc/passwd"), "busybox", "true"]);
        assert!(missing.is_dir(), "Docker has always made one");
        assert_ne!(run.code, 0);
        run.says("not a directory");
        if !daemon.is_reference() {
            run.says("/etc/passwd is a file in the image");
        }
        fs::remove_dir(&missing).unwrap();
        let run =
            client.run(&["run", "--rm", "-v", &bind(&missing, "/new/place"), "busybox", "ls", "-d", "/new/place"]);
        assert_eq!(run.ok(), "/new/place");
        assert!(!run.stderr.contains("WARNING"), "{run}");
    }
}

#[test]
fn vol_11_the_time_zone_is_the_hosts() {
    let daemon = Daemon::shared();
    // What /etc/localtime is: a zone three hours and a half behind.
    let zone = daemon.scratch("zone").join("localtime");
    let file =
        [&b"TZif2"[..], &[0; 15], &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 4]].concat();
    let body = [&(-12_600_i32).to_be_bytes()[..], &[0, 0], b"NST\0"].concat();
    fs::write(&zone, [&file[..], &body, &file, &body, b"\nNST3:30\n"].concat()).unwrap();
    let image = daemon.image(privileged_tests::fixtures::Fixture::Debian);
    for client in daemon.clients() {
        let bind = format!("{}:/etc/localtime:ro", zone.display());
        let run = client.run(&["run", "--rm", "-v", &bind, image, "date", "+%z"]);
        assert_eq!(run.ok(), "-0330");
    }
    if !daemon.is_reference() {
        let here = std::process::Command::new("date").arg("+%z").output().unwrap();
        let here = String::from_utf8(here.stdout).unwrap();
        assert_eq!(daemon.gantry(&["run", "--rm", "--tz", "local", image, "date", "+%z"]).ok(), here.trim());
        let run = daemon.gantry(&["run", "--rm", "--tz", "Nowhere/Land", image, "date", "+%z"]);
        run.exits(125).says("Nowhere/Land");
    }
}
