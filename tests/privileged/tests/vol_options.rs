//! Volumes that something is mounted for, parts of volumes, and images as mounts.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::Path;

use privileged_tests::http::Connection;
use privileged_tests::{Daemon, Options, until};
use serde_json::json;

/// Whether something is mounted at a path of the host.
fn mounted(path: &str) -> bool {
    fs::read_to_string("/proc/self/mounts").unwrap().lines().any(|line| line.split(' ').nth(1) == Some(path))
}

fn mountpoint(daemon: &Daemon, volume: &str) -> String {
    daemon.docker(&["volume", "inspect", "-f", "{{.Mountpoint}}", volume]).ok().to_owned()
}

fn memory_volume(daemon: &Daemon, name: &str) {
    let options = ["-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m,uid=1000,mode=750"];
    daemon.docker(&[&["volume", "create"][..], &options, &[name]].concat()).ok();
}

#[test]
fn vol_18_driver_options_mount_at_the_first_use_and_unmount_after_the_last() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let (volume, one) = (daemon.name("memory"), daemon.name("one"));
        let options = ["-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m,uid=1000,mode=750"];
        assert_eq!(client.run(&[&["volume", "create"][..], &options, &[&volume]].concat()).ok(), volume);
        let shown = client.run(&["volume", "inspect", "-f", "{{json .Options}}", &volume]);
        assert_eq!(shown.ok(), r#"{"device":"tmpfs","o":"size=1m,uid=1000,mode=750","type":"tmpfs"}"#);
        let place = mountpoint(daemon, &volume);
        assert!(!mounted(&place));

        let bind = format!("{volume}:/v");
        let script = "echo shared >/v/a; touch /v/ready; sleep 1000";
        client.run(&["run", "-d", "--name", &one, "-v", &bind, "busybox", "sh", "-c", script]).ok();
        until("the volume is in use", 60, || Path::new(&place).join("ready").exists().then_some(()));
        let script = "cat /v/a; stat -c %u:%a /v; grep ' /v ' /proc/mounts | cut -d' ' -f3; df -k /v | tail -1";
        let other = client.run(&["run", "--rm", "-v", &bind, "busybox", "sh", "-c", script]);
        let lines: Vec<String> = other.ok().lines().map(str::to_owned).collect();
        assert_eq!(lines[..3], ["shared", "1000:750", "tmpfs"]);
        assert!(lines[3].contains(" 1024 "), "{lines:?}");
        assert!(mounted(&place), "the first container still uses it");
        client.run(&["volume", "rm", &volume]).exits(1).says("volume is in use - [");

        client.run(&["rm", "-f", &one]).ok();
        until("nobody uses it", 60, || (!mounted(&place)).then_some(()));
        assert_eq!(client.run(&["run", "--rm", "-v", &bind, "busybox", "ls", "/v"]).ok(), "", "memory forgets");
        client.run(&["volume", "rm", &volume]).ok();
    }
}

#[test]
fn vol_18_what_the_local_driver_cannot_do_is_refused_in_dockers_words() {
    let daemon = Daemon::shared();
    let name = daemon.name("bad");
    for (options, text) in [
        (&["foo=bar"][..], "invalid option: \"foo\""),
        (&["type=tmpfs"], "missing required option: \"device\""),
        (&["device=tmpfs"], "missing required option: \"type\""),
        (&["size=10m"], "quota size requested but no quota support"),
        (&["size=ten"], "invalid size: 'ten'"),
    ] {
        let options: Vec<&str> = options.iter().flat_map(|option| ["-o", option]).collect();
        let refused = daemon.docker(&[&["volume", "create"][..], &options, &[&name]].concat());
        refused.exits(1).says(&format!("Error response from daemon: create {name}: {text}"));
        daemon.docker(&["volume", "inspect", &name]).exits(1);
    }
    // What cannot be mounted is told when it is used, and nothing stays behind.
    for (options, text) in [
        (["type=nosuch", "device=foo", "o="], ": no such device"),
        (["type=none", "device=/no/such/place", "o=bind"], "flags: 0x1000: no such file or directory"),
        (["type=nfs", "device=:/x", "o=addr=no-such-host.invalid"], "error resolving passed in network volume address"),
    ] {
        let options: Vec<&str> = options.iter().flat_map(|option| ["-o", option]).collect();
        daemon.docker(&[&["volume", "create"][..], &options, &[&name]].concat()).ok();
        let place = mountpoint(daemon, &name);
        let run = daemon.docker(&["run", "--rm", "-v", &format!("{name}:/v"), "busybox", "true"]);
        assert!((125..=127).contains(&run.code), "{run}");
        run.says(&format!("error while mounting volume '{place}': ")).says(text);
        assert!(!mounted(&place));
        daemon.docker(&["volume", "rm", &name]).ok();
    }
}

#[test]
fn vol_18_a_bound_directory_outlives_its_volume() {
    let daemon = Daemon::shared();
    let (volume, stopped) = (daemon.name("bound"), daemon.name("stopped"));
    let directory = daemon.scratch("bound");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("kept"), "kept").unwrap();
    let device = format!("device={}", directory.display());
    daemon.docker(&["volume", "create", "-o", "type=none", "-o", "o=bind", "-o", &device, &volume]).ok();
    let bind = format!("{volume}:/v");
    daemon.docker(&["run", "--name", &stopped, "-v", &bind, "busybox", "sh", "-c", "cat /v/kept >/v/made"]).ok();
    assert_eq!(fs::read_to_string(directory.join("made")).unwrap(), "kept");

    // Files go in and out while the container does not run.
    let file = directory.with_extension("in").display().to_string();
    fs::write(&file, "in").unwrap();
    daemon.docker(&["cp", &file, &format!("{stopped}:/v/copied")]).ok();
    assert_eq!(fs::read_to_string(directory.join("copied")).unwrap(), "in");
    daemon.docker(&["cp", &format!("{stopped}:/v/kept"), &file]).ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
    assert!(!mounted(&mountpoint(daemon, &volume)));

    let usage = daemon.docker(&["system", "df", "-v", "--format", "{{json .Volumes}}"]);
    assert!(!usage.ok().contains(&volume), "what is elsewhere takes no space here");
    daemon.docker(&["rm", "-v", &stopped]).ok();
    daemon.docker(&["volume", "rm", &volume]).ok();
    assert!(directory.join("kept").exists() && directory.join("made").exists());
}

#[test]
fn vol_18_what_backs_volumes_follows_a_killed_daemon() {
    let daemon = Daemon::start(Options::default());
    if daemon.is_reference() {
        return; // Without --live-restore its containers end with it.
    }
    memory_volume(&daemon, "memory");
    memory_volume(&daemon, "left");
    let (place, left) = (mountpoint(&daemon, "memory"), mountpoint(&daemon, "left"));
    let bind = ["-v", "memory:/v", "-v", "left:/left"];
    daemon
        .docker(&[&["run", "-d", "--name", "short", "-v", "left:/v"][..], &["busybox", "sleep", "1000"]].concat())
        .ok();
    daemon.docker(&[&["run", "-d", "--name", "one"][..], &bind[..2], &["busybox", "sleep", "1000"]].concat()).ok();
    daemon.docker(&["exec", "one", "sh", "-c", "echo here >/v/a"]).ok();
    let pid = daemon.container_pid("short");
    daemon.kill();
    std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
    until("the container has ended", 60, || (!privileged_tests::host::alive(pid)).then_some(()));
    assert!(mounted(&place) && mounted(&left));
    daemon.launch();
    until("what nobody uses is unmounted", 60, || (!mounted(&left)).then_some(()));
    assert_eq!(daemon.docker(&["run", "--rm", "-v", "memory:/v", "busybox", "cat", "/v/a"]).ok(), "here");
    assert!(mounted(&place));
    daemon.docker(&["rm", "-f", "one"]).ok();
    until("nobody uses it", 60, || (!mounted(&place)).then_some(()));
}

#[test]
fn vol_17_a_mount_makes_a_volume_with_options() {
    let daemon = Daemon::shared();
    let (name, volume) = (daemon.name("mount"), daemon.name("made"));
    let mount = format!(
        "type=volume,src={volume},dst=/v,volume-driver=local,volume-opt=type=tmpfs,volume-opt=device=tmpfs,volume-label=a=b"
    );
    let grep = "grep ' /v ' /proc/mounts | cut -d' ' -f1-3";
    let run = daemon.docker(&["run", "--name", &name, "--mount", &mount, "busybox", "sh", "-c", grep]);
    assert_eq!(run.ok(), "tmpfs /v tmpfs");
    assert_eq!(
        daemon.inspect(&name, "{{json .HostConfig.Mounts}}"),
        format!(
            r#"[{{"Type":"volume","Source":"{volume}","Target":"/v","VolumeOptions":{{"Labels":{{"a":"b"}},"DriverConfig":{{"Name":"local","Options":{{"device":"tmpfs","type":"tmpfs"}}}}}}}}]"#
        )
    );
    let shown = daemon.docker(&["volume", "inspect", "-f", "{{json .Options}} {{json .Labels}}", &volume]);
    assert_eq!(shown.ok(), r#"{"device":"tmpfs","type":"tmpfs"} {"a":"b"}"#);
    let bad = daemon.name("bad");
    let mount = format!("type=volume,src={bad},dst=/v,volume-opt=foo=bar");
    let refused = daemon.docker(&["create", "--mount", &mount, "busybox"]);
    refused.exits(1).says(&format!("create {bad}: invalid option: \"foo\""));
    daemon.docker(&["rm", &name]).ok();
    daemon.docker(&["volume", "rm", &volume]).ok();
}

#[test]
fn vol_17_a_part_of_a_volume_is_mounted_and_never_more() {
    let daemon = Daemon::shared();
    if daemon.is_reference() {
        return; // From API 1.45 on.
    }
    let volume = daemon.name("parts");
    let script = "echo foo >/v/bar.txt; mkdir /v/empty /v/subdir /v/hack; echo world >/v/subdir/hello.txt; \
                  ln -s / /v/hack/root; ln -s ../subdir /v/hack/good; ln -s root /v/hack/bad";
    daemon.docker(&["run", "--rm", "-v", &format!("{volume}:/v"), "busybox", "sh", "-c", script]).ok();
    let mount = |part: &str, target: &str| format!("type=volume,src={volume},dst={target},volume-subpath={part}");
    for client in daemon.clients() {
        let run = |part: &str, command: &[&str]| {
            client.run(&[&["run", "--rm", "--mount", &mount(part, "/volume"), "busybox"][..], command].concat())
        };
        assert_eq!(run("subdir", &["ls", "/volume"]).ok(), "hello.txt");
        assert_eq!(run("hack/good", &["ls", "/volume"]).ok(), "hello.txt");
        assert_eq!(run("bar.txt", &["cat", "/volume"]).ok(), "foo");
        run("../../etc/passwd", &["true"]).exits(125).says("subpath must be a relative path within the volume");
        run("nothing", &["true"]).says("cannot access path ");
        for bad in ["hack/root", "hack/bad"] {
            run(bad, &["true"]).says("path concatenation escapes the base directory");
        }
        let anonymous = ["create", "--mount", "type=volume,dst=/v,volume-subpath=x", "busybox"];
        client.run(&anonymous).exits(1).says("must not set Subpath when using anonymous volumes");
    }
    // An empty part is filled from the image; files are reached while the container does not run.
    let name = daemon.name("part");
    daemon.docker(&["create", "--name", &name, "--mount", &mount("empty", "/etc"), "busybox"]).ok();
    let copied = Path::new(&mountpoint(daemon, &volume)).join("empty");
    assert!(copied.join("passwd").exists());
    let file = daemon.scratch("part").join("file").display().to_string();
    daemon.docker(&["cp", &format!("{name}:/etc/passwd"), &file]).ok();
    assert_eq!(fs::read(&file).unwrap(), fs::read(copied.join("passwd")).unwrap());
    let shown = daemon.inspect(&name, "{{json (index .HostConfig.Mounts 0).VolumeOptions}}");
    assert_eq!(shown, r#"{"Subpath":"empty"}"#);
    daemon.docker(&["rm", &name]).ok();
    daemon.docker(&["volume", "rm", &volume]).ok();
}

/// An image with one file more than busybox has, in a layer of its own.
fn data_image(daemon: &Daemon, stem: &str) -> String {
    let (image, maker) = (daemon.name(stem), daemon.name("maker"));
    let script = "mkdir -p /data/sub; echo bar >/data/foo; echo deep >/data/sub/deep";
    daemon.docker(&["run", "--name", &maker, "busybox", "sh", "-c", script]).ok();
    daemon.docker(&["commit", &maker, &image]).ok();
    daemon.docker(&["rm", &maker]).ok();
    image
}

#[test]
fn vol_17_images_are_mounted_to_be_read() {
    let daemon = Daemon::shared();
    if daemon.is_reference() {
        return; // From API 1.48 on.
    }
    let image = data_image(daemon, "data");
    for client in daemon.clients() {
        let mount = format!("type=image,src={image},dst=/image");
        let script = "cat /image/data/foo; touch /image/x 2>&1; ls /image/bin/busybox";
        let run = client.run(&["run", "--rm", "--mount", &mount, "busybox", "sh", "-c", script]);
        assert_eq!(run.ok(), "bar\ntouch: /image/x: Read-only file system\n/image/bin/busybox");
        // Two of them, one of a single layer, and a part.
        let part = format!("type=image,src={image},dst=/part,image-subpath=data/sub");
        let arguments = ["run", "--rm", "--mount", &part, "--mount", "type=image,src=busybox,dst=/b", "busybox"];
        let run = client.run(&[&arguments[..], &["sh", "-c", "cat /part/*; ls -d /b/bin"]].concat());
        assert_eq!(run.ok(), "deep\n/b/bin");
    }
    // A client that is told of a missing image pulls that of the container, so it is asked for directly.
    let mount = json!({ "Type": "image", "Source": "no-such-image", "Target": "/i" });
    let body = json!({ "Image": "busybox", "HostConfig": { "Mounts": [mount] } });
    let mut api = Connection::with_version(&daemon.socket(), "/v1.51");
    let answer = api.request("POST", "/containers/create", Some(&body)).unwrap();
    assert_eq!((answer.status, &answer.json()["message"]), (404, &json!("No such image: no-such-image:latest")));
    daemon.docker(&["rmi", &image]).ok();
}

#[test]
fn vol_17_a_mounted_image_is_in_use_and_its_files_outlive_it() {
    let daemon = Daemon::shared();
    if daemon.is_reference() {
        return; // From API 1.48 on.
    }
    let (image, name, other) = (data_image(daemon, "used"), daemon.name("user"), daemon.name("other"));
    let mount = format!("type=image,src={image},dst=/image");
    let cat = ["busybox", "cat", "/image/data/foo"];
    daemon.docker(&[&["run", "--name", &name, "--mount", &mount][..], &cat].concat()).ok();
    let id = daemon.inspect(&name, "{{.Id}}");
    let point = daemon.inspect(&name, "{{with index .Mounts 0}}{{.Type}} {{.Name}} {{.Destination}} {{.RW}}{{end}}");
    assert_eq!(point, format!("image {image} /image false"));
    let refused = daemon.docker(&["rmi", &image]);
    refused.exits(1).says(&format!("(must force) - container {} is using its referenced image", &id[..12]));
    daemon.docker(&["rmi", "-f", &image]).ok();
    daemon.docker(&["image", "inspect", &image]).exits(1);
    assert_eq!(daemon.docker(&["start", "-a", &name]).ok(), "bar");
    let file = daemon.scratch("from-image").join("file").display().to_string();
    daemon.docker(&["cp", &format!("{name}:/image/data/foo"), &file]).ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), "bar\n");
    daemon.docker(&["cp", &file, &format!("{name}:/image/new")]).exits(1);
    let run = daemon.docker(&[&["run", "--name", &other, "--volumes-from", &name][..], &cat].concat());
    assert_eq!(run.ok(), "bar");
    daemon.docker(&["rm", &name]).ok();
    assert_eq!(daemon.docker(&["start", "-a", &other]).ok(), "bar");
    daemon.docker(&["rm", &other]).ok();
}

#[test]
fn vol_17_the_layers_of_a_removed_mounted_image_survive_the_daemon_and_go_with_the_container() {
    let daemon = Daemon::start(Options::default());
    if daemon.is_reference() {
        return; // From API 1.48 on.
    }
    daemon.docker(&["run", "--rm", "busybox", "true"]).ok();
    let before = daemon.traces();
    let image = data_image(&daemon, "layers");
    let mount = format!("type=image,src={image},dst=/image");
    daemon.docker(&["create", "--name", "user", "--mount", &mount, "busybox", "cat", "/image/data/foo"]).ok();
    daemon.docker(&["rmi", "-f", &image]).ok();
    daemon.restart();
    assert_eq!(daemon.docker(&["start", "-a", "user"]).ok(), "bar");
    daemon.docker(&["rm", "user"]).ok();
    assert_eq!(daemon.traces(), before);
}

#[test]
fn vol_17_mapped_users_own_what_parts_and_images_show() {
    let mapped = Options { config: Some(json!({ "userns-remap": "default" })), ..Options::default() };
    let daemon = Daemon::start(mapped);
    if daemon.is_reference() {
        return; // From API 1.45 on.
    }
    let image = data_image(&daemon, "mapped");
    daemon.docker(&["run", "--rm", "-v", "parts:/v", "busybox", "mkdir", "/v/part"]).ok();
    memory_volume(&daemon, "memory");
    let mount = format!("type=image,src={image},dst=/image");
    let part = "type=volume,src=parts,dst=/part,volume-subpath=part";
    let script = "touch /part/x /memory/x && cat /image/data/foo && stat -c %u /part/x /memory/x /image/data/foo";
    let run =
        ["run", "--rm", "--mount", &mount, "--mount", part, "-v", "memory:/memory", "busybox", "sh", "-c", script];
    assert_eq!(daemon.docker(&run).ok(), "bar\n0\n0\n0");
}
