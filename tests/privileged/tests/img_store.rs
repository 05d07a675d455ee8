//! The store's truth: what is saved, pushed and pulled is the same to the last attribute; every byte is counted; a check
//! finds what is broken, repairs what has no owner, and nothing else.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use privileged_tests::archive::{Image, Layer};
use privileged_tests::registry::Registry;
use privileged_tests::{Daemon, Options, skip, until};
use serde_json::{Value, json};
use tar::EntryType;

fn header(kind: EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1_600_000_000);
    header
}

/// An image with everything that is easily lost.
fn peculiar(reference: &str) -> Image {
    let mut tar = tar::Builder::new(Vec::new());
    let capability = [1, 0, 0, 2, 0x0a, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let records: [(&str, &[u8]); 6] = [
        ("mtime", b"1234567890.123456789"),
        ("uid", b"3000000"),
        ("gid", b"70000"),
        ("SCHILY.xattr.security.capability", &capability),
        ("SCHILY.xattr.user.note", b"with\nlines\n"),
        ("SCHILY.xattr.trusted.mark", b"\0\xff"),
    ];
    tar.append_data(&mut header(EntryType::Directory, 0o1777, 0), "tmp/", std::io::empty()).unwrap();
    tar.append_pax_extensions(records).unwrap();
    tar.append_data(&mut header(EntryType::Regular, 0o755, 7), "program", &b"program"[..]).unwrap();
    tar.append_data(&mut header(EntryType::Regular, 0o6755, 1), "setuid", &b"s"[..]).unwrap();
    tar.append_link(&mut header(EntryType::Link, 0o6755, 0), "again", "setuid").unwrap();
    let mut owned = header(EntryType::Symlink, 0o777, 0);
    owned.set_uid(2_000_000_000);
    tar.append_link(&mut owned, "link", "nowhere/at all").unwrap();
    let long = format!("{}/{}", "d".repeat(200), "f".repeat(200));
    tar.append_data(&mut header(EntryType::Regular, 0o600, 0), &long, std::io::empty()).unwrap();
    tar.append_pax_extensions([("path", &b"not\xfftext"[..])]).unwrap();
    tar.append_data(&mut header(EntryType::Regular, 0o644, 0), "x", std::io::empty()).unwrap();
    tar.append_data(&mut header(EntryType::Fifo, 0o644, 0), "fifo", std::io::empty()).unwrap();
    let mut device = header(EntryType::Char, 0o620, 0);
    device.set_device_major(1).unwrap();
    device.set_device_minor(3).unwrap();
    tar.append_data(&mut device, "null", std::io::empty()).unwrap();
    let first = Layer::from_tar(tar.into_inner().unwrap());
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in [(".wh.fifo", ""), ("tmp/.wh..wh..opq", ""), ("tmp/new", "1")] {
        let mut header = header(EntryType::Regular, 0o644, content.len() as u64);
        tar.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    let second = Layer::from_tar(tar.into_inner().unwrap());
    Image { reference: reference.to_owned(), layers: vec![first, second], config: json!({"Cmd": ["/program"]}) }
}

/// Everything about every entry of a directory, by name.
fn tree(directory: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut pending = vec![directory.to_owned()];
    let mut links: BTreeMap<u64, PathBuf> = BTreeMap::new();
    while let Some(next) = pending.pop() {
        let mut entries: Vec<PathBuf> = fs::read_dir(&next).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            let stat = fs::symlink_metadata(&path).unwrap();
            let name = path.strip_prefix(directory).unwrap().to_owned();
            let same = links.entry(stat.ino()).or_insert_with(|| name.clone()).clone();
            let content = if stat.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
            let target = fs::read_link(&path).unwrap_or_default();
            let kind = if stat.file_type().is_char_device() { stat.rdev() } else { 0 };
            // What no archive describes, whiteouts and directories on the way, is of now.
            let times = if stat.mtime() > 1_700_000_000 { (0, 0) } else { (stat.mtime(), stat.mtime_nsec()) };
            // A directory's size is the file system's business.
            let size = if stat.is_dir() { 0 } else { stat.len() };
            found.insert(
                name,
                format!(
                    "{:o} {}:{} {size} {times:?} {kind} {target:?} {content:?} {same:?} {}",
                    stat.mode(),
                    stat.uid(),
                    stat.gid(),
                    xattrs(&path)
                ),
            );
            if stat.is_dir() {
                pending.push(path);
            }
        }
    }
    found
}

fn xattrs(path: &Path) -> String {
    let script = "import os,sys\np=os.fsencode(sys.argv[1])\nprint(sorted((a,os.getxattr(p,a,follow_symlinks=False)) for a in os.listxattr(p,follow_symlinks=False)))";
    let output = Command::new("python3").args(["-c", script]).arg(path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The trees of all layers of an image, topmost first.
fn trees(daemon: &Daemon, image: &str) -> Vec<BTreeMap<PathBuf, String>> {
    let upper = daemon.inspect(image, "{{.GraphDriver.Data.UpperDir}}");
    let lower = daemon.inspect(image, "{{.GraphDriver.Data.LowerDir}}");
    std::iter::once(upper.as_str()).chain(lower.split(':')).map(|layer| tree(Path::new(layer))).collect()
}

fn whole(daemon: &Daemon) {
    if !daemon.is_reference() {
        let run = daemon.gantry(&["system", "fsck", "--deep"]);
        assert!(run.code == 0 && run.stdout.ends_with(": whole\n"), "{run}");
    }
}

#[test]
fn img_24_25_27_an_image_is_the_same_after_save_load_push_and_pull() {
    let Some(registry) = Registry::start().filter(|_| Path::new("/usr/bin/skopeo").exists()) else {
        return skip("docker-registry or skopeo is not installed");
    };
    let daemon = Daemon::start(Options { images: Vec::new(), ..Options::default() });
    let scratch = daemon.scratch("archives");
    let file = |name: &str| scratch.join(name).display().to_string();
    let image = peculiar("peculiar:v1");
    fs::write(file("made.tar"), image.to_bytes()).unwrap();
    daemon.docker(&["load", "-i", &file("made.tar")]).exits(0);
    let id = daemon.inspect("peculiar:v1", "{{.Id}}");
    assert_eq!(id, image.id().to_string());
    let before = trees(&daemon, "peculiar:v1");
    let program = &before[1][Path::new("program")];
    assert!(program.contains("100755 3000000:70000 7 (1234567890, 123456789)"), "{program}");
    assert!(program.contains("security.capability") && program.contains("with\\nlines"), "{program}");
    assert!(before[1].contains_key(Path::new("again")));

    let compare = |how: &str, name: &str| {
        assert_eq!(daemon.inspect(name, "{{.Id}}"), id, "{how}");
        assert!(trees(&daemon, name) == before, "{how}: {:#?}\n{before:#?}", trees(&daemon, name));
        daemon.docker(&["rmi", "-f", name]).exits(0);
        assert!(daemon.docker(&["images", "-aq"]).ok().is_empty(), "{how}");
    };
    let skopeo = |from: &str, to: &str| {
        let mut command = Command::new("skopeo");
        command.args([
            "--insecure-policy",
            "copy",
            "-q",
            "--src-tls-verify=false",
            "--dest-tls-verify=false",
            from,
            to,
        ]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{from} to {to}: {}", String::from_utf8_lossy(&output.stderr));
    };
    daemon.docker(&["save", "-o", &file("saved.tar"), "peculiar:v1"]).exits(0);
    let name = registry.reference("peculiar:v1");
    daemon.docker(&["tag", "peculiar:v1", &name]).exits(0);
    daemon.docker(&["push", &name]).exits(0);
    daemon.docker(&["rmi", &name]).exits(0);
    compare("load of the archive that was made", "peculiar:v1");
    daemon.docker(&["load", "-i", &file("saved.tar")]).exits(0);
    compare("load of the archive that was saved", "peculiar:v1");
    daemon.docker(&["pull", &name]).exits(0);
    compare("pull of what was pushed", &name);
    // An independent reader and writer in between.
    skopeo(&format!("docker-archive:{}", file("saved.tar")), &format!("docker-archive:{}:peculiar:v1", file("s1.tar")));
    daemon.docker(&["load", "-i", &file("s1.tar")]).exits(0);
    compare("skopeo, docker-archive", "peculiar:v1");
    skopeo(&format!("docker://{name}"), &format!("docker-archive:{}:peculiar:v1", file("s2.tar")));
    daemon.docker(&["load", "-i", &file("s2.tar")]).exits(0);
    compare("skopeo, from the registry", "peculiar:v1");
    if !daemon.is_reference() {
        // 20.10 writes and reads no OCI layouts.
        skopeo(&format!("oci-archive:{}", file("saved.tar")), &format!("oci-archive:{}:peculiar:v1", file("s3.tar")));
        daemon.docker(&["load", "-i", &file("s3.tar")]).exits(0);
        let all = daemon.docker(&["images", "-aq", "--no-trunc"]);
        compare("skopeo, oci-archive", all.ok());
    }
    whole(&daemon);
}

/// What du says of the data root.
fn du(root: &Path, apparent: bool) -> u64 {
    let mut command = Command::new("du");
    command.args(["-sx", "--block-size=1"]).args(apparent.then_some("--apparent-size")).arg(root);
    let text = String::from_utf8(command.output().unwrap().stdout).unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn x_03_system_df_counts_every_byte_that_du_does() {
    let daemon = Daemon::start(Options::default());
    if daemon.is_reference() {
        return skip("this account of everything is Gantry's own");
    }
    daemon.docker(&["volume", "create", "data"]).exits(0);
    let script =
        "dd if=/dev/zero of=/data/zeros bs=1M count=3; echo 123 >/written; for i in $(seq 1000); do echo $i; done";
    daemon.docker(&["run", "--name", "writer", "-v", "data:/data", "busybox", "sh", "-c", script]).exits(0);
    daemon.docker(&["commit", "writer", "made:v1"]).exits(0);
    daemon.docker(&["run", "--rm", "busybox", "sh", "-c", "dd if=/dev/zero of=/gone bs=1M count=3"]).exits(0);
    daemon.docker(&["rmi", "made:v1"]).exits(0);
    let lives = daemon.background("lives", "sleep 300");
    let root = daemon.data_root();
    let usage = |key: &str| {
        let kinds = daemon.api().call("GET", "/gantry/usage", None)["Kinds"].as_array().unwrap().clone();
        let sum: u64 = kinds.iter().map(|kind| kind[key].as_u64().unwrap()).sum();
        (sum, kinds)
    };
    // What was removed is freed in a quiet moment, so both may change between two looks.
    let kinds = until("the sum is what du says", 60, || {
        let (sum, kinds) = usage("Allocated");
        (sum == du(root, false)).then_some(kinds)
    });
    until("so is the sum of sizes", 60, || (usage("Apparent").0 == apparent(root)).then_some(()));
    let of = |name: &str| {
        let kind = kinds.iter().find(|kind| kind["Kind"] == name).unwrap_or_else(|| panic!("no {name}"));
        kind["Allocated"].as_u64().unwrap()
    };
    assert!(of("volumes") > 3 << 20 && of("image layers") > 1 << 20 && of("image blobs") > 1 << 19, "{kinds:#?}");
    assert!(of("container logs") > 1000 && of("container layers") > 0 && of("image records") > 0, "{kinds:#?}");
    let shown = daemon.gantry(&["system", "df", "-v"]);
    let last = shown.ok().lines().last().unwrap().to_owned();
    assert!(shown.stdout.contains("Data root usage") && last.starts_with("total"), "{shown}");
    // The stock client's columns keep their meaning: what a container wrote, not what it takes.
    let answer: Value = daemon.api().call("GET", "/system/df", None);
    let containers = answer["Containers"].as_array().unwrap();
    let writer = containers.iter().find(|one| one["Names"][0] == "/writer").unwrap();
    assert_eq!(writer["SizeRw"], 4);
    assert!(answer["Volumes"][0]["UsageData"]["Size"].as_u64().unwrap() >= 3 << 20);
    daemon.docker(&["rm", "-f", &lives]).exits(0);
}

/// As du counts, whichever edition is installed: what every file, link and directory says of its size.
fn apparent(root: &Path) -> u64 {
    let output = Command::new("find").arg(root).args(["-xdev", "-printf", "%y %n %i %s\\n"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut seen = std::collections::HashSet::new();
    let mut sum = 0;
    for line in text.lines() {
        let mut words = line.split(' ');
        let (kind, names, inode) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        let counts = kind == "d" || names == "1" || seen.insert(inode.to_owned());
        if counts && matches!(kind, "f" | "d" | "l") {
            sum += words.next().unwrap().parse::<u64>().unwrap();
        }
    }
    sum
}

/// Puts things into the data root that belong to nothing; gives where.
fn plant(root: &Path) -> Vec<PathBuf> {
    let hex = |digit: &str| digit.repeat(64);
    let orphans = [
        format!("overlay2/{}", hex("a")),
        format!("image/overlay2/content/blobs/sha256/{}", hex("b")),
        format!("image/overlay2/imagedb/metadata/sha256/{}", hex("c")),
        format!("image/overlay2/distribution/diffid-by-digest/sha256/{}", hex("d")),
        format!("image/overlay2/distribution/v2metadata-by-diffid/sha256/{}", hex("e")),
        "overlay2/l/AAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned(),
        "tmp/load-left".to_owned(),
        "image/overlay2/layerdb/tmp/write-left".to_owned(),
        format!("containers/{}.new", hex("f")),
        "image/overlay2/content/partial/nonsense".to_owned(),
        "network/.tmp-left.json-1-0".to_owned(),
    ];
    let orphans: Vec<PathBuf> = orphans.iter().map(|path| root.join(path)).collect();
    for (number, path) in orphans.iter().enumerate() {
        match number {
            0 | 2 | 6 | 7 | 8 => {
                fs::create_dir(path).unwrap();
                fs::write(path.join("file"), vec![1; 5000]).unwrap();
            }
            5 => std::os::unix::fs::symlink("../nowhere/diff", path).unwrap(),
            _ => fs::write(path, b"x").unwrap(),
        }
    }
    orphans
}

fn report(run: &privileged_tests::Run) -> Value {
    serde_json::from_str(run.stdout.trim()).unwrap_or_else(|error| panic!("{error}: {run}"))
}

/// The paths of the problems of one kind.
fn paths(report: &Value, kind: &str) -> Vec<PathBuf> {
    let problems = report["Problems"].as_array().unwrap().iter();
    let mut paths: Vec<PathBuf> =
        problems.filter(|one| one["Kind"] == kind).map(|one| PathBuf::from(one["Path"].as_str().unwrap())).collect();
    paths.sort();
    paths
}

#[test]
fn sto_21_fsck_finds_what_is_broken_and_removes_only_what_has_no_owner() {
    let daemon = Daemon::start(Options::default());
    if daemon.is_reference() {
        return skip("the check is Gantry's own");
    }
    let root = daemon.data_root().to_owned();
    let fsck = |options: &[&str]| daemon.gantry(&[&["system", "fsck", "--format", "json"], options].concat());
    let name = daemon.background("lives", "echo here >/file; sleep 300");
    until("the file is written", 30, || (daemon.docker(&["exec", &name, "cat", "/file"]).code == 0).then_some(()));
    daemon.docker(&["volume", "create", "kept"]).exits(0);
    whole(&daemon);

    let mut planted = plant(&root);
    planted.sort();
    let run = fsck(&[]);
    assert_eq!((run.code, paths(&report(&run), "orphan")), (1, planted.clone()), "{run}");
    assert!(planted.iter().all(|path| path.symlink_metadata().is_ok()), "nothing is removed unasked");
    let shown = daemon.gantry(&["system", "fsck"]);
    assert!(shown.code == 1 && shown.stdout.contains("a directory of no layer ("), "{shown}");
    let run = fsck(&["--repair"]);
    assert_eq!((run.code, paths(&report(&run), "orphan")), (0, planted.clone()), "{run}");
    assert!(planted.iter().all(|path| path.symlink_metadata().is_err()), "{run}");
    whole(&daemon);
    assert_eq!(daemon.docker(&["exec", &name, "cat", "/file"]).ok(), "here");

    // Another daemon's check is refused while this one runs; afterwards it is the same check.
    let offline = root.display().to_string();
    let refused = fsck(&["--data-root", &offline]);
    assert!(refused.code == 1 && refused.stderr.contains("is in use by another daemon"), "{refused}");
    daemon.docker(&["rm", "-f", &name]).exits(0);
    daemon.stop();
    let mut planted = plant(&root);
    planted.sort();
    let run = fsck(&["--data-root", &offline]);
    assert_eq!((run.code, paths(&report(&run), "orphan")), (1, planted.clone()), "{run}");
    let run = fsck(&["--data-root", &offline, "--repair"]);
    assert_eq!((run.code, paths(&report(&run), "orphan")), (0, planted.clone()), "{run}");
    assert_eq!(report(&fsck(&["--data-root", &offline, "--deep"]))["Whole"], true);

    // Damage is told and left for a person.
    let blobs = root.join("image/overlay2/content/blobs/sha256");
    let blob = fs::read_dir(&blobs).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&blob).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&blob, bytes).unwrap();
    assert_eq!(fsck(&["--data-root", &offline]).code, 0, "its size is right");
    let run = fsck(&["--data-root", &offline, "--deep", "--repair"]);
    assert_eq!((run.code, paths(&report(&run), "damaged")), (1, vec![blob.clone()]), "{run}");
    fs::remove_file(&blob).unwrap();
    let run = fsck(&["--data-root", &offline, "--repair"]);
    assert_eq!((run.code, paths(&report(&run), "missing")), (1, vec![blob]), "{run}");
    let run = fsck(&["--data-root", "/nonexistent"]);
    assert!(run.code == 1 && run.stderr.contains("/nonexistent is not the data root of a daemon"), "{run}");
}

/// One store, many clients: who loses a race is told so, and what is used stays.
#[test]
fn img_39_images_come_and_go_while_they_are_used() {
    let daemon = Daemon::start(Options::default());
    let archive = daemon.scratch("race").join("racing.tar");
    let layers = vec![Layer::of_files(&[("one", b"1")]), Layer::of_files(&[("two", b"2")])];
    let image = Image { reference: "racing:v1".to_owned(), layers, config: json!({"Cmd": ["/x"]}) };
    fs::write(&archive, image.to_bytes()).unwrap();
    let archive = archive.display().to_string();
    let saved = format!("{archive}.saved");
    daemon.docker(&["create", "--name", "base", "busybox", "true"]).exits(0);
    let work: [&[&str]; 8] = [
        &["load", "-q", "-i", &archive],
        &["load", "-q", "-i", &archive],
        &["rmi", "racing:v1"],
        &["rmi", "-f", "racing:v1"],
        &["image", "prune", "-f"],
        &["save", "-o", &saved, "busybox", "racing:v1"],
        &["commit", "base", "racing:v1"],
        &["run", "--rm", "--network", "none", "busybox", "true"],
    ];
    std::thread::scope(|scope| {
        for arguments in work {
            let daemon = &daemon;
            scope.spawn(move || {
                for _ in 0..8 {
                    let run = daemon.docker(arguments);
                    // Loads, commits, prunes and runs of what is there never fail; the others may find nothing.
                    let loser = run.stderr.contains("No such image") || run.stderr.contains("No such layer");
                    assert!(run.code == 0 || (loser && matches!(arguments[0], "rmi" | "save")), "{run}");
                }
            });
        }
    });
    whole(&daemon);
    daemon.docker(&["rmi", "-f", "racing:v1"]);
    daemon.docker(&["image", "prune", "-f"]).exits(0);
    assert_eq!(daemon.docker(&["images", "-aq"]).lines().len(), 1);
    whole(&daemon);
}
