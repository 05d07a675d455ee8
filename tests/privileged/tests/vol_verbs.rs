//! Beyond Docker: volumes backed up, restored, cloned, renamed, measured, and copied as they are at one moment (wants #9).
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use privileged_tests::containers::remove;
use privileged_tests::volumes::{archive, files, own, seen, volume_with, volumes};
use privileged_tests::{Daemon, Plugin, until};
use rustix::fs::XattrFlags;

/// An access list with a named user, as the kernel has it (acl(5), `linux/posix_acl_xattr.h`).
const ACCESS_LIST: &[u8] = b"\x02\0\0\0\
    \x01\0\x06\0\xff\xff\xff\xff\
    \x02\0\x07\0\x39\x30\0\0\
    \x04\0\x04\0\xff\xff\xff\xff\
    \x10\0\x07\0\xff\xff\xff\xff\
    \x20\0\x04\0\xff\xff\xff\xff";

/// Files of every kind.
fn fill(root: &Path) {
    let attribute = |name: &str, key: &str, value: &[u8]| {
        rustix::fs::lsetxattr(root.join(name), key, value, XattrFlags::empty()).unwrap();
    };
    let deep = root.join("deep").join("d".repeat(120)).join("e".repeat(120));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("file"), "far down").unwrap();
    fs::write(root.join("plain"), "content").unwrap();
    fs::hard_link(root.join("plain"), root.join("deep/again")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", root.join("link")).unwrap();
    fs::write(root.join("new\nline"), "name").unwrap();
    fs::write(root.join("setuid"), "").unwrap();
    std::os::unix::fs::chown(root.join("setuid"), Some(3_000_000), Some(4321)).unwrap();
    fs::set_permissions(root.join("setuid"), fs::Permissions::from_mode(0o4711)).unwrap();
    for (name, kind, device) in [
        ("fifo", rustix::fs::FileType::Fifo, 0),
        ("whiteout", rustix::fs::FileType::CharacterDevice, 0),
        ("null", rustix::fs::FileType::CharacterDevice, rustix::fs::makedev(1, 3)),
    ] {
        rustix::fs::mknodat(rustix::fs::CWD, root.join(name), kind, 0o640.into(), device).unwrap();
    }
    let sparse = File::create(root.join("sparse")).unwrap();
    sparse.set_len(300 << 20).unwrap();
    sparse.write_all_at(b"in the middle", 100 << 20).unwrap();
    attribute("plain", "user.note", b"of mine");
    attribute("setuid", "security.capability", b"\x01\0\0\x02\n\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    attribute("deep", "trusted.overlay.opaque", b"y");
    fs::create_dir(root.join("shared")).unwrap();
    fs::write(root.join("shared/own"), "without a list").unwrap();
    attribute("shared", "system.posix_acl_default", ACCESS_LIST);
    attribute("plain", "system.posix_acl_access", ACCESS_LIST);
    let time = |seconds, nanos| rustix::fs::Timespec { tv_sec: seconds, tv_nsec: nanos };
    for (name, modified) in [("plain", time(1_000_000_000, 123_456_789)), ("fifo", time(5, 250_000_000))] {
        let times = rustix::fs::Timestamps { last_access: modified, last_modification: modified };
        rustix::fs::utimensat(rustix::fs::CWD, root.join(name), &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).unwrap();
    }
    fs::set_permissions(root, fs::Permissions::from_mode(0o1750)).unwrap();
    std::os::unix::fs::chown(root, Some(1234), Some(5678)).unwrap();
}

fn default_list(path: &Path) -> Option<Vec<u8>> {
    let mut value = [0; 200];
    let length = rustix::fs::lgetxattr(path, "system.posix_acl_default", &mut value[..]).ok()?;
    Some(value[..length].to_vec())
}

fn check_same(one: &Path, other: &Path) {
    let (expected, found) = (seen(one), seen(other));
    for (path, text) in &expected {
        assert_eq!(found.get(path), Some(text), "{path}");
    }
    assert_eq!(found.len(), expected.len());
    assert_eq!(default_list(&other.join("shared")).as_deref(), Some(ACCESS_LIST));
    let blocks = |root: &Path| fs::metadata(root.join("sparse")).unwrap().blocks();
    assert!(blocks(other) <= blocks(one) + 64, "the holes are filled: {} blocks", blocks(other));
    let mut middle = [0; 13];
    File::open(other.join("sparse")).unwrap().read_exact_at(&mut middle, 100 << 20).unwrap();
    assert_eq!(&middle, b"in the middle");
}

#[test]
fn volume_copies_have_everything_that_the_files_have() {
    let daemon = Daemon::shared();
    let Some(client) = own(daemon) else { return };
    let (volume, restored, clone) = (daemon.name("all"), daemon.name("restored"), daemon.name("clone"));
    client.run(&["volume", "create", "--label", "a=b", "--label", "line=x\ny", &volume]).ok();
    let root = files(daemon, &volume);
    fill(&root);
    let bytes = archive(&client, &volume, &[]);
    assert!(bytes.len() < 1 << 20, "{} bytes of archive", bytes.len());
    assert_eq!(client.run_with_input(&["volume", "restore", &restored], &bytes).ok(), restored);
    check_same(&root, &files(daemon, &restored));
    assert_eq!(client.run(&["volume", "clone", &volume, &clone]).ok(), clone);
    check_same(&root, &files(daemon, &clone));
    for name in [&restored, &clone] {
        let labels = client.run(&["volume", "inspect", "-f", "{{json .Labels}}", name]);
        assert_eq!(labels.ok(), r#"{"a":"b","line":"x\ny"}"#);
    }
    // Every tar reads it, and wonders about nothing.
    let (file, plain) = (daemon.scratch(&volume).join("v.tar.zst"), daemon.scratch(&format!("{volume}-plain")));
    client.run(&["volume", "backup", "-o", &file.display().to_string(), &volume]).ok();
    let options = ["--xattrs", "--xattrs-include=*", "-I", "zstd", "-xpf"];
    let tar = Command::new("tar").args(options).arg(&file).arg("-C").arg(&plain).output().unwrap();
    assert!(tar.status.success() && tar.stderr.is_empty(), "{}", String::from_utf8_lossy(&tar.stderr));
    check_same(&root, &plain);
    // And what tar writes is restored: plain, and compressed in other ways.
    for (compression, suffix) in [("--no-auto-compress", "tar"), ("-z", "tgz"), ("-J", "txz")] {
        let (file, name) = (file.with_extension(suffix), daemon.name("from-tar"));
        let options = ["--format=pax", "--sparse", "--xattrs", "--xattrs-include=*", compression];
        assert!(
            Command::new("tar")
                .args(options)
                .arg("-cf")
                .arg(&file)
                .arg("-C")
                .arg(&root)
                .arg(".")
                .status()
                .unwrap()
                .success()
        );
        client.run(&["volume", "restore", "-i", &file.display().to_string(), &name]).ok();
        check_same(&root, &files(daemon, &name));
        client.run(&["volume", "rm", &name]).ok();
    }
    client.run(&["volume", "rm", &volume, &restored, &clone]).ok();
}

#[test]
fn volume_restore_fills_what_is_free_and_nothing_else() {
    let daemon = Daemon::shared();
    let Some(client) = own(daemon) else { return };
    let (volume, other) = (volume_with(daemon, "data", "first"), daemon.name("other"));
    let bytes = archive(&client, &volume, &[]);
    let root = files(daemon, &volume);
    let text = || fs::read_to_string(root.join("file")).unwrap();
    fs::write(root.join("file"), "second").unwrap();
    fs::write(root.join("more"), "").unwrap();
    let restore =
        |options: &[&str]| client.run_with_input(&[&["volume", "restore"], options, &[&volume]].concat(), &bytes);
    restore(&[]).exits(1).says(&format!("restore {volume}: the volume is not empty"));
    // Not while a container has it, but when it only refers to it.
    let bind = format!("{volume}:/v");
    let user = daemon.name("user");
    client.run(&["run", "-d", "--name", &user, "-v", &bind, "busybox", "sleep", "1000"]).ok();
    restore(&["--force"]).exits(1).says(&format!("restore {volume}: volume is in use - [{user}]"));
    assert_eq!(text(), "second");
    client.run(&["kill", &user]).ok();
    client.run(&["wait", &user]).ok();
    assert_eq!(restore(&["-f"]).ok(), volume);
    assert!(text() == "first" && !root.join("more").exists());
    client.run(&["start", &user]).ok();
    assert_eq!(client.run(&["exec", &user, "cat", "/v/file"]).ok(), "first");
    remove(&client, &[&user]);
    // An empty one keeps what it is.
    client.run(&["volume", "create", "--label", "own=yes", &other]).ok();
    client.run_with_input(&["volume", "restore", &other], &bytes).ok();
    assert_eq!(fs::read_to_string(files(daemon, &other).join("file")).unwrap(), "first");
    assert_eq!(client.run(&["volume", "inspect", "-f", "{{json .Labels}}", &other]).ok(), r#"{"own":"yes"}"#);
    client.run(&["volume", "restore", "--from", &volume, &other]).exits(1).says("not empty");
    client.run(&["volume", "restore", "-f", "--from", &other, &other]).exits(1).says("replaced by itself");
    client.run_with_input(&["volume", "restore", "no/slash"], &bytes).exits(1).says("invalid characters");
    client.run(&["volume", "restore", "--from", &volume, "-i", "x", &other]).exits(1).says("conflicting options");
    client.run(&["volume", "backup", "nobody-there"]).exits(1).says("get nobody-there: no such volume");
    client.run(&["volume", "rm", &volume, &other]).ok();
}

#[test]
fn volume_rename_takes_a_free_name_and_only_from_nobody() {
    let daemon = Daemon::shared();
    let Some(client) = own(daemon) else { return };
    let (old, taken, new) = (volume_with(daemon, "old", "text"), volume_with(daemon, "taken", ""), daemon.name("new"));
    client.run(&["volume", "rename", &old, &taken]).exits(1).says("a volume of this name exists");
    client.run(&["volume", "rename", "nobody-there", &new]).exits(1).says("get nobody-there: no such volume");
    client.run(&["volume", "rename", &old, "no/slash"]).exits(1).says("invalid characters");
    let user = daemon.name("user");
    client.run(&["create", "--name", &user, "-v", &format!("{old}:/v"), "busybox"]).ok();
    client.run(&["volume", "rename", &old, &new]).exits(1).says(&format!("rename {old}: volume is in use - [{user}]"));
    remove(&client, &[&user]);
    let since = client.run(&["info", "-f", "{{.SystemTime}}"]).ok().to_owned();
    assert_eq!(client.run(&["volume", "rename", &old, &new]).ok(), "");
    assert!(!volumes(daemon).contains(&old));
    assert_eq!(fs::read_to_string(files(daemon, &new).join("file")).unwrap(), "text");
    assert_eq!(client.run(&["volume", "inspect", "-f", "{{.Labels.who}}", &new]).ok(), "me");
    let until_now = client.run(&["info", "-f", "{{.SystemTime}}"]).ok().to_owned();
    let filters = ["--filter", "type=volume", "--filter", &format!("volume={new}")];
    let events = client.run(&[&["events", "--since", &since, "--until", &until_now], &filters[..]].concat());
    assert!(events.ok().contains(&format!("volume rename {new} (driver=local, oldName={old})")), "{events}");
    // One without a name of its own becomes one with a name: `prune` leaves it.
    let anonymous = client.run(&["volume", "create"]).ok().to_owned();
    client.run(&["volume", "rename", &anonymous, &old]).ok();
    assert_eq!(client.run(&["volume", "inspect", "-f", "{{json .Labels}}", &old]).ok(), "null");
    client.run(&["volume", "rm", &old, &new, &taken]).ok();
}

#[test]
fn volume_snapshot_is_of_one_moment() {
    let daemon = Daemon::shared();
    let Some(client) = own(daemon) else { return };
    let (volume, writer) = (daemon.name("data"), daemon.name("writer"));
    // `b` follows `a`; many files between them make the copy take its time.
    let script = "mkdir /v/a /v/m /v/z; i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo >/v/m/$i; done; n=0
        while :; do n=$((n+1)); echo $n >/v/a/.n; mv /v/a/.n /v/a/n; echo $n >/v/z/.n; mv /v/z/.n /v/z/n; done";
    let bind = format!("{volume}:/v");
    client.run(&["run", "-d", "--name", &writer, "-v", &bind, "busybox", "sh", "-c", script]).ok();
    let root = files(daemon, &volume);
    let number = |root: &Path, name: &str| -> Option<u64> {
        fs::read_to_string(root.join(name).join("n")).ok()?.trim().parse().ok()
    };
    until("it writes", 60, || number(&root, "z"));
    let check = |copy: &str| {
        let (a, z) = (number(&files(daemon, copy), "a").unwrap(), number(&files(daemon, copy), "z").unwrap());
        assert!(a == z || a == z + 1, "{a} and {z}");
    };
    let mut made = vec![volume.clone()];
    for _ in 0..5 {
        let name = daemon.name("snap");
        assert_eq!(client.run(&["volume", "snapshot", &volume, &name]).ok(), name);
        check(&name);
        assert_eq!(client.run(&["inspect", "-f", "{{.State.Status}}", &writer]).ok(), "running");
        let before = number(&root, "a");
        until("it goes on", 60, || (number(&root, "a") > before).then_some(()));
        made.push(name);
    }
    let restored = daemon.name("restored");
    client.run_with_input(&["volume", "restore", &restored], &archive(&client, &volume, &["--pause"])).ok();
    check(&restored);
    made.push(restored);
    let label = |name: &str, key: &str| {
        client.run(&["volume", "inspect", "-f", &format!("{{{{index .Labels \"{key}\"}}}}"), name]).ok().to_owned()
    };
    assert_eq!(label(&made[1], "gantry.snapshot.of"), volume);
    assert!(label(&made[1], "gantry.snapshot.at").ends_with('Z'));
    let found = client.run(&["volume", "ls", "-q", "--filter", &format!("label=gantry.snapshot.of={volume}")]);
    assert_eq!(found.ok().lines().count(), 5);
    // One without a name has the time; back it goes to where it came from.
    let named = client.run(&["volume", "snapshot", &volume]).ok().to_owned();
    let digits = named.strip_prefix(&format!("{volume}-")).unwrap();
    assert!(digits.len() == 15 && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'), "{named}");
    made.push(named.clone());
    client.run(&["volume", "restore", "-f", "--from", &named, &volume]).exits(1).says("volume is in use");
    remove(&client, &[&writer]);
    client.run(&["volume", "restore", "-f", "--from", &named, &volume]).ok();
    assert_eq!(number(&root, "a"), number(&files(daemon, &named), "a"));
    assert_eq!(client.run(&["volume", "inspect", "-f", "{{json .Labels}}", &volume]).ok(), "null");
    client.run(&[&["volume", "rm"][..], &made.iter().map(String::as_str).collect::<Vec<_>>()].concat()).ok();
}

#[test]
fn volume_size_counts_files_and_blocks() {
    let daemon = Daemon::shared();
    let Some(client) = own(daemon) else { return };
    let volume = volume_with(daemon, "data", "12345");
    let root = files(daemon, &volume);
    File::create(root.join("sparse")).unwrap().set_len(50 << 20).unwrap();
    fs::hard_link(root.join("file"), root.join("again")).unwrap();
    let format = "{{.Name}} {{.Files}} {{.Size}} {{.OnDisk}}";
    let run = client.run(&["volume", "size", "--no-trunc", "--format", format, &volume]);
    let blocks = fs::metadata(root.join("file")).unwrap().blocks() * 512;
    assert_eq!(run.ok(), format!("{volume} 2 {} {blocks}", (50 << 20) + 5));
    let table = client.run(&["volume", "size"]);
    assert!(table.ok().starts_with("VOLUME NAME "), "{table}");
    assert!(table.lines().iter().any(|line| line.starts_with(&volume) && line.contains("52.43MB")), "{table}");
    client.run(&["volume", "size", "nobody-there"]).exits(1).says("get nobody-there: no such volume");
    client.run(&["volume", "rm", &volume]).ok();
}

#[test]
fn volume_verbs_of_a_volume_with_driver_options() {
    let daemon = Daemon::shared();
    let Some(client) = own(daemon) else { return };
    let device = daemon.scratch(&daemon.name("device"));
    fs::write(device.join("file"), "elsewhere").unwrap();
    let (volume, copy, restored) = (daemon.name("bound"), daemon.name("copy"), daemon.name("restored"));
    let options = ["-o", "type=none", "-o", "o=bind", "-o", &format!("device={}", device.display())];
    client.run(&[&["volume", "create"][..], &options, &[&volume]].concat()).ok();
    client.run(&["volume", "clone", &volume, &copy]).exits(0).says("WARNING: driver options are left out");
    client.run_with_input(&["volume", "restore", &restored], &archive(&client, &volume, &[])).exits(0).says("left out");
    for name in [&copy, &restored] {
        assert_eq!(fs::read_to_string(files(daemon, name).join("file")).unwrap(), "elsewhere");
        assert_eq!(client.run(&["volume", "inspect", "-f", "{{json .Options}}", name]).ok(), "null");
    }
    let size = client.run(&["volume", "size", "--format", "{{.Files}} {{.Size}}", &volume]);
    assert_eq!(size.ok(), "1 9B");
    client.run(&["volume", "restore", "-f", "--from", &copy, &volume]).exits(1).says("driver options of the volume");
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(&files(daemon, &volume).display().to_string()), "it stays mounted");
    let renamed = daemon.name("renamed");
    client.run(&["volume", "rename", &volume, &renamed]).ok();
    let bind = format!("{renamed}:/v");
    assert_eq!(client.run(&["run", "--rm", "-v", &bind, "busybox", "cat", "/v/file"]).ok(), "elsewhere");
    client.run(&["volume", "rm", &renamed, &copy, &restored]).ok();
}

#[test]
fn volume_verbs_of_a_plugin_s_volume() {
    let daemon = Daemon::shared();
    let Some(client) = own(daemon) else { return };
    let plugin = Plugin::volumes();
    let (volume, copy, restored) = (daemon.name("rack"), daemon.name("copy"), daemon.name("restored"));
    client.run(&["volume", "create", "-d", &plugin.name, "-o", "colour=red", "--label", "a=b", &volume]).ok();
    fs::write(plugin.directory(&volume).join("file"), "on the rack").unwrap();
    client.run(&["volume", "clone", &volume, &copy]).exits(0).says("left out");
    client.run_with_input(&["volume", "restore", &restored], &archive(&client, &volume, &[])).exits(0).says("left out");
    for name in [&copy, &restored] {
        assert_eq!(fs::read_to_string(files(daemon, name).join("file")).unwrap(), "on the rack");
        let shown = client.run(&["volume", "inspect", "-f", "{{.Driver}} {{json .Labels}}", name]);
        assert_eq!(shown.ok(), r#"local {"a":"b"}"#);
    }
    let size = client.run(&["volume", "size", "--format", "{{.Driver}} {{.Files}} {{.Size}}", &volume]);
    assert_eq!(size.ok(), format!("{} 1 11B", plugin.name));
    client.run(&["volume", "restore", "-f", "--from", &copy, &volume]).exits(1).says(&plugin.name);
    client.run(&["volume", "rename", &volume, "other"]).exits(1).says(&plugin.name);
    client.run(&["volume", "clone", &copy, &volume]).exits(1);
    assert_eq!(plugin.counts(&["Mount", "Unmount"]), [3, 3]);
    client.run(&["volume", "rm", &volume, &copy, &restored]).ok();
}
