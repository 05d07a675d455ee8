//! Beyond Docker: copies of volumes are whole or not there, whatever archive, disk, client and daemon do (wants #9).
#![allow(clippy::unwrap_used, missing_docs)]

use std::ffi::CString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use privileged_tests::small_disk::SmallDisk;
use privileged_tests::volumes::{archive, drafts, files, own, seen, volume_with, volumes};
use privileged_tests::{Client, Daemon, Options, skip, until};

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

/// An engine with a volume of 20 MB that does not compress.
fn with_large_volume() -> Option<(Daemon, Client, String)> {
    let daemon = Daemon::start(Options { images: Vec::new(), ..Options::default() });
    let client = own(&daemon)?;
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
    Some((daemon, client, volume))
}

#[test]
fn volume_restore_dies_with_its_client_and_with_its_daemon() {
    let Some((daemon, client, volume)) = with_large_volume() else { return };
    let whole = archive(&client, &volume, &[]);
    let (mut child, file) = half_restored(&daemon, &client, "client-gone", &whole);
    let _ = child.kill();
    let _ = child.wait();
    drop(file);
    until("nothing is left of it", 60, || drafts(&daemon).is_empty().then_some(()));
    assert!(!volumes(&daemon).contains(&"client-gone".to_owned()));
    let (mut child, file) = half_restored(&daemon, &client, "daemon-gone", &whole);
    daemon.kill();
    drop(file);
    assert!(!child.wait().unwrap().success());
    daemon.launch();
    assert!(!volumes(&daemon).contains(&"daemon-gone".to_owned()));
    assert_eq!(drafts(&daemon), [] as [PathBuf; 0]);
    client.run(&["system", "fsck"]).exits(0);
}

#[test]
fn volume_backup_keeps_the_volume_and_tells_when_it_breaks_off() {
    let Some((daemon, client, volume)) = with_large_volume() else { return };
    let whole = archive(&client, &volume, &[]);
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
    // Nor does it keep the volume behind the daemon's death.
    daemon.launch();
    client.run(&["volume", "rm", &volume]).ok();
}

#[test]
fn volume_rename_is_completed_by_the_next_daemon() {
    let daemon = Daemon::start(Options { images: Vec::new(), ..Options::default() });
    let Some(client) = own(&daemon) else { return };
    let volume = volume_with(&daemon, "data", "first");
    daemon.kill();
    // Between its two steps.
    let directory = daemon.data_root().join("volumes");
    fs::rename(directory.join(&volume), directory.join("renamed")).unwrap();
    daemon.launch();
    client.run(&["system", "fsck"]).exits(0);
    assert_eq!(client.run(&["volume", "inspect", "-f", "{{.Name}} {{.Labels.who}}", "renamed"]).ok(), "renamed me");
}

#[test]
fn volume_copies_are_whole_or_not_there_when_the_daemon_dies() {
    let Some((daemon, client, volume)) = with_large_volume() else { return };
    for round in 0..6 {
        let (copy, renamed) = (format!("copy{round}"), format!("renamed{round}"));
        let script =
            format!("volume clone {volume} {copy}\nvolume rename {copy} {renamed}\nvolume snapshot {volume} {copy}");
        let commands: Vec<Vec<&str>> = script.lines().map(|line| line.split(' ').collect()).collect();
        std::thread::scope(|scope| {
            let client = &client;
            let work = scope.spawn(move || commands.iter().for_each(|words| drop(client.run(words))));
            until("it has begun", 60, || {
                let begun = !drafts(&daemon).is_empty() || daemon.data_root().join("volumes").join(&copy).exists();
                (begun || work.is_finished()).then_some(())
            });
            // At another moment in each round.
            std::thread::sleep(std::time::Duration::from_millis(round * 15));
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
