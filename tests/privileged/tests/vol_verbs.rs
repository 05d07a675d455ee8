//! Beyond Docker: volumes backed up, restored, cloned, renamed, measured, and copied as they are at one moment (wants #9).
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use privileged_tests::containers::remove;
use privileged_tests::small_disk::SmallDisk;
use privileged_tests::{Client, Daemon, Options, Plugin, skip, until};
use rustix::fs::XattrFlags;

/// An access list with a named user, as the kernel has it (acl(5), `linux/posix_acl_xattr.h`).
const ACCESS_LIST: &[u8] = b"\x02\0\0\0\
    \x01\0\x06\0\xff\xff\xff\xff\
    \x02\0\x07\0\x39\x30\0\0\
    \x04\0\x04\0\xff\xff\xff\xff\
    \x10\0\x07\0\xff\xff\xff\xff\
    \x20\0\x04\0\xff\xff\xff\xff";

/// Gantry's own client of an engine; none on the reference.
fn own(daemon: &Daemon) -> Option<Client> {
    if daemon.is_reference() {
        skip("Docker has no such command");
        return None;
    }
    daemon.clients().pop()
}

fn files(daemon: &Daemon, volume: &str) -> PathBuf {
    daemon.docker(&["volume", "inspect", "-f", "{{.Mountpoint}}", volume]).ok().into()
}

/// A volume with a file in it.
fn volume_with(daemon: &Daemon, stem: &str, text: &str) -> String {
    let name = daemon.name(stem);
    daemon.docker(&["volume", "create", "--label", "who=me", &name]).ok();
    fs::write(files(daemon, &name).join("file"), text).unwrap();
    name
}

fn volumes(daemon: &Daemon) -> Vec<String> {
    daemon.docker(&["volume", "ls", "-q"]).ok().lines().map(str::to_owned).collect()
}

/// What is half done in the data root.
fn drafts(daemon: &Daemon) -> Vec<PathBuf> {
    let entries = fs::read_dir(daemon.data_root().join("tmp")).unwrap();
    let drafts = entries.map(|entry| entry.unwrap().path());
    drafts.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("volume-")).collect()
}

fn archive(client: &Client, volume: &str, options: &[&str]) -> Vec<u8> {
    let output = client.command(&[&["volume", "backup"], options, &[volume]].concat()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Everything that can be seen of a tree, by path.
fn seen(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut inodes: BTreeMap<u64, usize> = BTreeMap::new();
    let mut pending = vec![root.to_owned()];
    while let Some(path) = pending.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let kind = metadata.mode() & 0o170_000;
        let mut text = format!(
            "{:o} {}:{} {}.{:09} {}",
            metadata.mode(),
            metadata.uid(),
            metadata.gid(),
            metadata.mtime(),
            metadata.mtime_nsec(),
            metadata.rdev(),
        );
        if kind != 0o040_000 {
            text += &format!(" {} names {}", metadata.len(), metadata.nlink());
        }
        match kind {
            0o040_000 => pending.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path())),
            0o120_000 => text += &format!(" {}", fs::read_link(&path).unwrap().display()),
            0o100_000 if metadata.len() < 1 << 20 => text += &format!(" {:?}", fs::read(&path).unwrap()),
            _ => {}
        }
        for name in ["user.note", "trusted.overlay.opaque", "security.capability", "system.posix_acl_access"] {
            let mut value = [0; 200];
            if let Ok(length) = rustix::fs::lgetxattr(&path, name, &mut value[..]) {
                text += &format!(" {name}={:?}", &value[..length]);
            }
        }
        *inodes.entry(metadata.ino()).or_default() += 1;
        found.insert(path.strip_prefix(root).unwrap().display().to_string(), text);
    }
    found
}

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

/// A tar with one entry of that name, or a link and an entry behind it.
fn hostile(entries: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, link) in entries {
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_gnu_mut().unwrap().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_size(if *kind == tar::EntryType::Regular { 4 } else { 0 });
        header.set_cksum();
        let content: &[u8] = if *kind == tar::EntryType::Regular { b"evil" } else { b"" };
        builder.append(&header, content).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn volume_restore_leaves_nothing_of_a_bad_archive() {
    use tar::EntryType::{Link, Regular, Symlink};
    let daemon = Daemon::start(Options::default());
    let Some(client) = own(&daemon) else { return };
    let volume = volume_with(&daemon, "data", "first");
    for number in 0..20 {
        let bytes: Vec<u8> = (0..100_000_u32).map(|at| (at.wrapping_mul(at) >> 7) as u8 ^ number).collect();
        fs::write(files(&daemon, &volume).join(format!("f{number}")), bytes).unwrap();
    }
    let whole = archive(&client, &volume, &[]);
    let plain =
        Command::new("zstd").arg("-dc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map(|mut child| {
            std::io::Write::write_all(&mut child.stdin.take().unwrap(), &whole).unwrap();
            child.wait_with_output().unwrap().stdout
        });
    let plain = plain.expect("zstd");
    // Between two entries, where nothing but the end mark is missing.
    let last = plain.iter().rposition(|byte| *byte != 0).unwrap().next_multiple_of(512);
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    let bad: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", b" ".to_vec()),
        ("no archive", b"what is this".repeat(100)),
        ("half", whole[..whole.len() / 2].to_vec()),
        ("all but a byte", whole[..whole.len() - 1].to_vec()),
        ("changed", changed),
        ("half a tar", plain[..plain.len() / 2].to_vec()),
        ("no end", plain[..last].to_vec()),
        ("up", hostile(&[("../../evil", Regular, "")])),
        ("a link out", hostile(&[("x", Link, "../../../../etc/passwd")])),
    ];
    let force = volume_with(&daemon, "force", "kept");
    for (what, bytes) in &bad {
        let name = daemon.name("bad");
        let run = client.run_with_input(&["volume", "restore", &name], bytes);
        assert!(run.code == 1 && !run.stderr.is_empty(), "{what}: {run}");
        assert!(!volumes(&daemon).contains(&name), "{what}");
        let run = client.run_with_input(&["volume", "restore", "-f", &force], bytes);
        assert!(run.code == 1, "{what}: {run}");
        assert_eq!(fs::read_to_string(files(&daemon, &force).join("file")).unwrap(), "kept", "{what}");
        until("no draft is left", 60, || drafts(&daemon).is_empty().then_some(()));
    }
    // Names that would lead out stay inside.
    let outside = daemon.scratch("outside");
    let target = outside.display().to_string();
    let (name, link) = (daemon.name("tricky"), "way");
    let bytes = hostile(&[("/abs", Regular, ""), (link, Symlink, &target), ("way/evil", Regular, "")]);
    let run = client.run_with_input(&["volume", "restore", &name], &bytes);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "{run}");
    assert!(!Path::new("/abs").exists());
    if run.code == 0 {
        assert_eq!(fs::read_to_string(files(&daemon, &name).join("abs")).unwrap(), "evil");
    }
    client.run(&["system", "fsck"]).exits(0);
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

/// A restore that has got half of an archive, and waits for the rest.
fn half_restored(daemon: &Daemon, client: &Client, name: &str, bytes: &[u8]) -> (std::process::Child, File) {
    let fifo = daemon.scratch(name).join("fifo");
    let path = CString::new(fifo.display().to_string()).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let mut command = client.command(&["volume", "restore", "-i", &fifo.display().to_string(), name]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut file = File::options().write(true).open(&fifo).unwrap();
    std::io::Write::write_all(&mut file, &bytes[..bytes.len() / 2]).unwrap();
    until("some of it is unpacked", 60, || drafts(daemon).iter().any(|draft| seen(draft).len() > 4).then_some(()));
    (child, file)
}

#[test]
fn volume_restore_dies_with_its_client_and_with_its_daemon() {
    let daemon = Daemon::start(Options::default());
    let Some(client) = own(&daemon) else { return };
    let volume = volume_with(&daemon, "data", "first");
    let mut state = 1_u32;
    for number in 0..40 {
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let bytes: Vec<u8> = (0..500_000).map(|_| next()).collect();
        fs::write(files(&daemon, &volume).join(format!("f{number}")), bytes).unwrap();
    }
    let whole = archive(&client, &volume, &[]);
    // The client goes.
    let (mut child, file) = half_restored(&daemon, &client, "client-gone", &whole);
    let _ = child.kill();
    let _ = child.wait();
    drop(file);
    until("nothing is left of it", 60, || drafts(&daemon).is_empty().then_some(()));
    assert!(!volumes(&daemon).contains(&"client-gone".to_owned()));
    // The daemon goes.
    let (mut child, file) = half_restored(&daemon, &client, "daemon-gone", &whole);
    daemon.kill();
    drop(file);
    assert!(!child.wait().unwrap().success());
    daemon.launch();
    assert!(!volumes(&daemon).contains(&"daemon-gone".to_owned()));
    assert_eq!(drafts(&daemon), [] as [PathBuf; 0]);
    client.run(&["system", "fsck"]).exits(0);
    // Who reads a backup learns that there is no more of it; meanwhile the volume stays.
    let mut command = client.command(&["volume", "backup", &volume]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut output = child.stdout.take().unwrap();
    std::io::Read::read_exact(&mut output, &mut [0; 1000]).unwrap();
    client.run(&["volume", "rm", &volume]).exits(1).says("volume is in use - [it is being copied]");
    let refused = format!("rename {volume}: volume is in use - [it is being copied]");
    client.run(&["volume", "rename", &volume, "other"]).exits(1).says(&refused);
    let run = client.run_with_input(&["volume", "restore", "-f", &volume], &whole);
    run.exits(1).says(&format!("restore {volume}: volume is in use - [it is being copied]"));
    daemon.kill();
    std::io::Read::read_to_end(&mut output, &mut Vec::new()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    // Between the two steps of a rename.
    let directory = daemon.data_root().join("volumes");
    fs::rename(directory.join(&volume), directory.join("renamed")).unwrap();
    daemon.launch();
    client.run(&["system", "fsck"]).exits(0);
    assert_eq!(client.run(&["volume", "inspect", "-f", "{{.Name}} {{.Labels.who}}", "renamed"]).ok(), "renamed me");
    client.run(&["volume", "rename", "renamed", &volume]).ok();
    // And at any moment of a clone, a rename or a snapshot: whole or not there.
    for round in 0..6 {
        let (copy, renamed) = (format!("copy{round}"), format!("renamed{round}"));
        let script =
            format!("volume clone {volume} {copy}\nvolume rename {copy} {renamed}\nvolume snapshot {volume} {copy}");
        let commands: Vec<Vec<&str>> = script.lines().map(|line| line.split(' ').collect()).collect();
        std::thread::scope(|scope| {
            let client = &client;
            let work = scope.spawn(move || commands.iter().for_each(|words| drop(client.run(words))));
            if round > 0 {
                let seen = until("it has begun", 60, || {
                    let begun = !drafts(&daemon).is_empty() || daemon.data_root().join("volumes").join(&copy).exists();
                    (begun || work.is_finished()).then_some(round)
                });
                std::thread::sleep(std::time::Duration::from_millis(seen * 15));
            }
            daemon.kill();
            work.join().unwrap();
        });
        daemon.launch();
        let expected = seen(&files(&daemon, &volume)).len();
        for name in volumes(&daemon).iter().filter(|name| **name != volume) {
            let root = files(&daemon, name);
            assert_eq!(root.parent().unwrap().file_name().unwrap().to_str().unwrap(), name);
            assert_eq!(seen(&root).len(), expected, "{name}");
            client.run(&["volume", "rm", name]).ok();
        }
        client.run(&["system", "fsck"]).exits(0);
    }
}

#[test]
fn volume_clone_shares_blocks_where_the_file_system_can() {
    let place = std::env::temp_dir().join(format!("gtreflink{}", std::process::id()));
    let xfs = SmallDisk::made_by("mkfs.xfs", &["-q", "-m", "reflink=1"], &place, 800);
    let Some(disk) = xfs.or_else(|| SmallDisk::made_by("mkfs.btrfs", &["-q"], &place, 800)) else {
        return skip("neither mkfs.xfs nor mkfs.btrfs makes a file system that is mounted here");
    };
    let daemon =
        Daemon::start(Options { data_root: Some(place.join("data")), images: Vec::new(), ..Options::default() });
    let Some(client) = own(&daemon) else { return };
    let volume = volume_with(&daemon, "data", "first");
    let large = files(&daemon, &volume).join("large");
    let options = ["if=/dev/urandom", "bs=1M", "count=200", "conv=fsync"];
    assert!(
        Command::new("dd")
            .args(options)
            .arg(format!("of={}", large.display()))
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .success()
    );
    let before = disk.used();
    for (verb, copy) in [("clone", "copy1"), ("snapshot", "copy2")] {
        client.run(&["volume", verb, &volume, copy]).ok();
        assert!(fs::read(files(&daemon, copy).join("large")).unwrap() == fs::read(&large).unwrap());
    }
    rustix::fs::syncfs(File::open(&large).unwrap()).unwrap();
    let grown = disk.used().saturating_sub(before);
    assert!(grown < 5 << 20, "{grown} bytes more");
    drop(daemon);
}

#[test]
fn volume_copies_that_find_no_room_leave_nothing() {
    let place = std::env::temp_dir().join(format!("gtfull{}", std::process::id()));
    let Some(disk) = SmallDisk::new(&place, 60) else { return skip("no small file system can be mounted") };
    let daemon =
        Daemon::start(Options { data_root: Some(place.join("data")), images: Vec::new(), ..Options::default() });
    let Some(client) = own(&daemon) else { return };
    let volume = volume_with(&daemon, "data", "first");
    let mut bytes = vec![0; 35 << 20];
    std::io::Read::read_exact(&mut File::open("/dev/urandom").unwrap(), &mut bytes).unwrap();
    fs::write(files(&daemon, &volume).join("large"), &bytes).unwrap();
    drop(bytes);
    let (whole, used) = (archive(&client, &volume, &[]), disk.used());
    let runs = [
        client.run(&["volume", "clone", &volume, "copy"]),
        client.run(&["volume", "snapshot", &volume, "copy"]),
        client.run(&["volume", "backup", "--pause", "-o", "/dev/shm/never", &volume]),
        client.run_with_input(&["volume", "restore", "copy"], &whole),
    ];
    for run in runs {
        run.exits(1).says("no space left on device");
    }
    assert_eq!(volumes(&daemon), [volume.as_str()]);
    until("the room is there again", 60, || {
        (drafts(&daemon).is_empty() && disk.used() < used + (2 << 20)).then_some(())
    });
    client.run(&["system", "fsck"]).exits(0);
    drop(daemon);
}
