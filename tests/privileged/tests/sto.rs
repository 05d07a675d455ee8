//! Rows STO-01 to STO-19: the overlay2 tree and copy on write.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use privileged_tests::archive::{Image, Layer};
use privileged_tests::fixtures::Fixture;
use privileged_tests::{Daemon, Options, host, until};
use regex_lite::Regex;
use serde_json::{Value, json};

/// The directory of a container's own layer: `<data root>/overlay2/<64 hex>`.
fn layer(daemon: &Daemon, name: &str) -> PathBuf {
    let upper = PathBuf::from(daemon.inspect(name, "{{.GraphDriver.Data.UpperDir}}"));
    assert!(upper.starts_with(daemon.data_root().join("overlay2")), "{}", upper.display());
    upper.parent().unwrap().to_owned()
}

/// Loads an image whose bottom layer is busybox's and whose further layers are given.
fn load(daemon: &Daemon, reference: &str, layers: Vec<Layer>) -> privileged_tests::Run {
    let mut all = vec![busybox_layer()];
    all.extend(layers);
    let image =
        Image { reference: reference.to_owned(), layers: all, config: json!({"Env": ["PATH=/bin"], "Cmd": ["sh"]}) };
    let path = daemon.scratch("images").join(reference.replace([':', '/'], "-"));
    fs::write(&path, image.to_bytes()).unwrap();
    let run = daemon.docker(&["load", "-i", &path.display().to_string()]);
    fs::remove_file(path).unwrap();
    run
}

fn busybox_layer() -> Layer {
    let mut archive = tar::Archive::new(fs::File::open(Fixture::Busybox.archive().unwrap()).unwrap());
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.path().unwrap().ends_with("layer.tar") {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
            return Layer::from_tar(bytes);
        }
    }
    panic!("the busybox archive has no layer");
}

/// `count` small layers, each with one file of its own.
fn small_layers(count: usize, label: &str) -> Vec<Layer> {
    (0..count)
        .map(|number| Layer::of_files(&[(&format!("layers/{number}"), format!("{label} {number}").as_bytes())]))
        .collect()
}

#[test]
fn sto_01_a_hundred_containers_share_the_image() {
    let daemon = Daemon::shared();
    daemon.image(Fixture::Debian);
    let mut api = daemon.api();
    let body = json!({"Image": "debian:bookworm", "Cmd": ["sleep", "300"]});
    let ids: Vec<String> = (0..100)
        .map(|_| api.call("POST", "/containers/create", Some(&body))["Id"].as_str().unwrap().to_owned())
        .collect();
    for id in &ids[..5] {
        api.call("POST", &format!("/containers/{id}/start"), None);
    }
    for id in &ids {
        let used = host::disk_usage(Path::new(&daemon.inspect_upper(&mut api, id)));
        assert!(used < 5_000_000, "{id}: {used} bytes before anything was written");
    }
    for id in &ids {
        api.call("DELETE", &format!("/containers/{id}?force=1"), None);
    }
}

/// The upper directory through the API: a hundred clients would take longer than the test.
trait InspectUpper {
    fn inspect_upper(&self, api: &mut privileged_tests::http::Connection, id: &str) -> String;
}

impl InspectUpper for Daemon {
    fn inspect_upper(&self, api: &mut privileged_tests::http::Connection, id: &str) -> String {
        let value = api.call("GET", &format!("/containers/{id}/json"), None);
        value["GraphDriver"]["Data"]["UpperDir"].as_str().unwrap().to_owned()
    }
}

#[test]
fn sto_02_allocates_on_demand() {
    let daemon = Daemon::shared();
    let name = daemon.background("demand", "sleep 300");
    let upper = layer(daemon, &name).join("diff");
    let before = host::disk_usage(&upper);
    assert!(before < 100_000, "{before} bytes in a new container");
    daemon.docker(&["exec", &name, "sh", "-c", "dd if=/dev/urandom of=/ten bs=1M count=10; sync"]).exits(0);
    let grown = host::disk_usage(&upper) - before;
    assert!((10_000_000..12_000_000).contains(&grown), "{grown} bytes more after writing 10 MB");
}

#[test]
fn sto_03_first_write_copies_the_file_up() {
    let daemon = Daemon::shared();
    let content: Vec<u8> = (0..100 << 20).map(|number: u32| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    load(daemon, "large:1", vec![Layer::of_files(&[("large", &content)])]).exits(0);
    let name = daemon.name("copyup");
    daemon.docker(&["run", "-d", "--name", &name, "large:1", "sleep", "300"]).exits(0);
    let file = layer(daemon, &name).join("diff/large");
    assert!(!file.exists());
    daemon.docker(&["exec", &name, "sh", "-c", "printf x >>/large"]).exits(0);
    assert_eq!(fs::metadata(&file).unwrap().len(), (100 << 20) + 1);
    let copy = fs::read(&file).unwrap();
    assert!(copy[..100 << 20] == content[..] && copy[100 << 20] == b'x');
    daemon.docker(&["rm", "-f", &name]).exits(0);
    daemon.docker(&["rmi", "large:1"]).exits(0);
}

#[test]
fn sto_04_delete_makes_a_whiteout() {
    let daemon = Daemon::shared();
    let content = vec![b'w'; 3_000_000];
    load(daemon, "big:1", vec![Layer::of_files(&[("big", &content)])]).exits(0);
    let removed = vec![Layer::of_files(&[("big", &content)]), Layer::of_files(&[(".wh.big", b"")])];
    load(daemon, "big:2", removed).exits(0);
    let size = |image: &str| daemon.inspect(image, "{{.Size}}").parse::<u64>().unwrap();
    assert!(size("big:2") >= size("big:1"), "a whiteout does not shrink an image");
    for client in daemon.clients() {
        let name = daemon.name("whiteout");
        client.run(&["run", "--name", &name, "big:1", "rm", "/big"]).exits(0);
        let whiteout = fs::symlink_metadata(layer(daemon, &name).join("diff/big")).unwrap();
        assert!(whiteout.file_type().is_char_device() && whiteout.rdev() == 0);
        client.run(&["run", "--rm", "big:1", "test", "-e", "/big"]).exits(0);
        client.run(&["run", "--rm", "big:2", "test", "-e", "/big"]).exits(1);
    }
}

#[test]
fn sto_05_upper_wins_and_reads_fall_through() {
    let daemon = Daemon::shared();
    load(daemon, "through:1", vec![Layer::of_files(&[("both", b"lower\n"), ("below", b"lower only\n")])]).exits(0);
    for client in daemon.clients() {
        let script = "cat /both /below; echo upper >/both; cat /both /below";
        let run = client.run(&["run", "--rm", "through:1", "sh", "-c", script]);
        assert_eq!(run.ok(), "lower\nlower only\nupper\nlower only", "{run}");
        assert_eq!(client.run(&["run", "--rm", "through:1", "cat", "/both"]).ok(), "lower");
    }
}

#[test]
fn sto_06_the_deepest_image_runs_and_one_more_layer_is_refused() {
    let daemon = Daemon::shared();
    load(daemon, "deep:125", small_layers(124, "deep")).exits(0);
    for client in daemon.clients() {
        let run = client.run(&["run", "--rm", "deep:125", "sh", "-c", "ls /layers | wc -l; cat /layers/0 /layers/123"]);
        assert_eq!(run.ok(), "124\ndeep 0deep 123", "{run}");
    }
    let run = load(daemon, "deep:126", small_layers(125, "deeper"));
    assert!(run.code != 0, "{run}");
    run.says("max depth exceeded");
    daemon.docker(&["image", "inspect", "deep:126"]).exits(1);
    daemon.docker(&["rmi", "deep:125"]).exits(0);
}

#[test]
fn sto_07_the_kernel_knows_overlay() {
    let daemon = Daemon::shared();
    assert_eq!(daemon.docker(&["info", "--format", "{{.Driver}}"]).ok(), "overlay2");
    assert_eq!(daemon.docker(&["run", "--rm", "busybox", "grep", "-c", "overlay$", "/proc/filesystems"]).ok(), "1");
    assert!(fs::read_to_string("/proc/filesystems").unwrap().lines().any(|line| line == "nodev\toverlay"));
}

#[test]
fn sto_08_a_removed_driver_gives_a_clear_message() {
    for driver in ["aufs", "devicemapper", "overlay"] {
        let daemon = Daemon::prepare(Options { config: Some(json!({"storage-driver": driver})), ..Options::default() });
        if daemon.is_reference() && driver != "aufs" {
            // 20.10 still has the other two.
            continue;
        }
        let (code, output) = daemon.attempt();
        assert_ne!(code, 0, "{output}");
        assert!(output.contains(driver), "{output}");
        assert!(daemon.is_reference() || output.contains("overlay2"), "{output}");
    }
}

#[test]
fn sto_09_data_root_tree() {
    let daemon = Daemon::shared();
    let mut names = "buildkit containers image network overlay2 plugins runtimes swarm tmp trust volumes".to_owned();
    if !daemon.is_reference() {
        names += " builder";
    }
    for name in names.split(' ') {
        let metadata = fs::metadata(daemon.data_root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mode = metadata.permissions().mode() & 0o7777;
        // Later versions let others pass through some (0701, 0710, 0711), never list or write.
        let allowed: &[u32] = if name == "network" { &[0o750] } else { &[0o700, 0o701, 0o710, 0o711] };
        assert!(metadata.is_dir() && allowed.contains(&mode), "{name}: {mode:o}");
    }
}

#[test]
fn sto_10_overlay2_fresh_content() {
    let daemon = Daemon::start(Options { images: Vec::new(), ..Options::default() });
    let root = daemon.data_root().join("overlay2");
    let names: BTreeSet<String> = daemon.listing(&root, 1);
    assert!(names.contains("l"), "{names:?}");
    assert!(names.iter().all(|name| ["l", "backingFsBlockDev"].contains(&name.as_str())), "{names:?}");
    assert_eq!(fs::read_dir(root.join("l")).unwrap().count(), 0);
    if daemon.is_reference() && !names.contains("backingFsBlockDev") {
        // The reference makes the node only where the file system counts quotas.
        return;
    }
    let node = fs::symlink_metadata(root.join("backingFsBlockDev")).unwrap();
    assert!(node.file_type().is_block_device());
    assert_eq!(node.rdev(), fs::metadata(&root).unwrap().dev());
}

#[test]
fn sto_11_image_layer_directories() {
    let daemon = Daemon::start(Options::default());
    load(&daemon, "three:1", small_layers(2, "three")).exits(0);
    let mut bases = 0;
    let mut layers = 0;
    for path in layer_directories(&daemon) {
        layers += 1;
        assert!(path.join("diff").is_dir(), "{}", path.display());
        let link = fs::read_to_string(path.join("link")).unwrap();
        assert!(Regex::new("^[A-Z0-9]{26}$").unwrap().is_match(&link), "{link}");
        bases += u32::from(!path.join("lower").exists());
        assert_eq!(path.join("work").exists(), path.join("lower").exists(), "{}", path.display());
    }
    assert_eq!((layers, bases), (3, 1), "busybox's layer is shared and alone has no lower");
}

fn layer_directories(daemon: &Daemon) -> Vec<PathBuf> {
    let hex = Regex::new("^[0-9a-f]{64}$").unwrap();
    let root = daemon.data_root().join("overlay2");
    let names = daemon.listing(&root, 1);
    names.iter().filter(|name| hex.is_match(name)).map(|name| root.join(name)).collect()
}

/// Whether two paths lead to the same directory.
fn same(one: &Path, other: &Path) -> bool {
    let of = |path: &Path| {
        let found = fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (found.dev(), found.ino())
    };
    of(one) == of(other)
}

#[test]
fn sto_12_short_links() {
    let daemon = Daemon::start(Options::default());
    daemon.background("linked", "sleep 300");
    let root = daemon.data_root().join("overlay2");
    let mut count = 0;
    for name in daemon.listing(&root, 1).iter().filter(|name| name.len() >= 64) {
        let link = fs::read_to_string(root.join(name).join("link")).unwrap();
        let target = fs::read_link(root.join("l").join(&link)).unwrap();
        assert!(target.starts_with("..") && target.ends_with("diff"), "{}", target.display());
        assert!(same(&root.join("l").join(&target), &root.join(name).join("diff")), "{name}: {}", target.display());
        count += 1;
    }
    assert_eq!(count, 3, "one image layer, one init layer, one container layer");
    assert_eq!(fs::read_dir(root.join("l")).unwrap().count(), count);
}

#[test]
fn sto_13_container_layer_directory() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon.name("layered");
        client.run(&["run", "-d", "--name", &name, "busybox", "sleep", "300"]).exits(0);
        let directory = layer(daemon, &name);
        assert!(Regex::new("^[0-9a-f]{64}$").unwrap().is_match(directory.file_name().unwrap().to_str().unwrap()));
        let names: Vec<String> = daemon.listing(&directory, 1).into_iter().collect();
        assert_eq!(names, ["diff", "link", "lower", "merged", "work"]);
        client.run(&["kill", &name]).exits(0);
        until("merged disappears", 5, || (!directory.join("merged").exists()).then_some(()));
        client.run(&["rm", &name]).exits(0);
        assert!(!directory.exists());
    }
}

#[test]
fn sto_14_lower_file() {
    let daemon = Daemon::shared();
    load(daemon, "lower:1", small_layers(2, "lower")).exits(0);
    let name = daemon.name("lower");
    daemon.docker(&["run", "-d", "--name", &name, "lower:1", "sleep", "300"]).exits(0);
    let directory = layer(daemon, &name);
    let lower = fs::read_to_string(directory.join("lower")).unwrap();
    let parts: Vec<&str> = lower.split(':').collect();
    assert_eq!(parts.len(), 4, "{lower}");
    assert!(parts.iter().all(|part| Regex::new("^l/[A-Z0-9]{26}$").unwrap().is_match(part)), "{lower}");
    let init = PathBuf::from(format!("{}-init", directory.display()));
    assert_eq!(parts[0], format!("l/{}", fs::read_to_string(init.join("link")).unwrap()));
    // Top layer first, busybox last.
    let overlay = daemon.data_root().join("overlay2");
    assert!(overlay.join(parts[1]).join("layers/1").exists());
    assert!(overlay.join(parts[2]).join("layers/0").exists());
    assert!(overlay.join(parts[3]).join("bin/busybox").exists());
}

#[test]
fn sto_15_init_layer() {
    let daemon = Daemon::shared();
    let name = daemon.background("init", "sleep 300");
    let diff = PathBuf::from(format!("{}-init/diff", layer(daemon, &name).display()));
    for file in ["etc/hosts", "etc/hostname", "etc/resolv.conf", "dev/console"] {
        let metadata = fs::symlink_metadata(diff.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(metadata.is_file() && metadata.len() == 0, "{file}");
    }
    assert_eq!(fs::read_link(diff.join("etc/mtab")).unwrap(), Path::new("/proc/mounts"));
    for directory in ["dev/pts", "dev/shm"] {
        assert!(diff.join(directory).is_dir(), "{directory}");
    }
}

#[test]
fn sto_16_mount_line_of_a_running_container() {
    let daemon = Daemon::shared();
    let name = daemon.background("mounted", "sleep 300");
    let directory = layer(daemon, &name);
    let id = directory.file_name().unwrap().to_str().unwrap().to_owned();
    // The mount may live in the container's namespace only, so it is read there; paths may be absolute or
    // relative to overlay2.
    let pid = daemon.container_pid(&name);
    let table = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
    let root = table.lines().find(|line| line.contains(" / / ")).expect("a root mount");
    assert!(root.contains(" - overlay overlay "), "{root}");
    let lower = fs::read_to_string(directory.join("lower")).unwrap();
    let root_of = |option: &str| {
        let options = root.rsplit(' ').next().unwrap();
        let value = options.split(',').find_map(|part| part.strip_prefix(&format!("{option}=")).map(str::to_owned));
        value.unwrap_or_else(|| panic!("{option} is missing: {root}"))
    };
    let lowers: Vec<String> = root_of("lowerdir").split(':').map(str::to_owned).collect();
    assert_eq!(lowers.len(), lower.split(':').count());
    for (shown, part) in lowers.iter().zip(lower.split(':')) {
        assert!(shown.ends_with(part), "{shown} is not {part}");
    }
    assert!(root_of("upperdir").ends_with(&format!("{id}/diff")), "{root}");
    assert!(root_of("workdir").ends_with(&format!("{id}/work")), "{root}");
    assert_eq!(
        daemon.inspect(&name, "{{.GraphDriver.Data.MergedDir}}"),
        directory.join("merged").display().to_string()
    );
    for client in daemon.clients() {
        let run = client.run(&["exec", &name, "mount"]);
        assert!(run.lines()[0].starts_with("overlay on / type overlay (rw,"), "{run}");
        assert!(run.lines()[0].contains("lowerdir=") && run.lines()[0].contains("/diff,workdir="), "{run}");
    }
}

#[test]
fn sto_17_files_of_the_container_appear_in_diff() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon.background("touched", "sleep 300");
        client.run(&["exec", &name, "sh", "-c", "echo content >/root/x; mkdir /made"]).exits(0);
        let diff = layer(daemon, &name).join("diff");
        assert_eq!(fs::read_to_string(diff.join("root/x")).unwrap(), "content\n");
        assert!(diff.join("made").is_dir());
    }
}

#[test]
fn sto_18_a_hundred_layers_mount() {
    let daemon = Daemon::shared();
    load(daemon, "hundred:1", small_layers(99, "hundred")).exits(0);
    let name = daemon.name("hundred");
    daemon.docker(&["run", "-d", "--name", &name, "hundred:1", "sleep", "300"]).exits(0);
    assert_eq!(
        daemon.docker(&["exec", &name, "sh", "-c", "cat /layers/* | wc -c; ls /layers | wc -l"]).ok().lines().count(),
        2
    );
    let lower = fs::read_to_string(layer(daemon, &name).join("lower")).unwrap();
    assert_eq!(lower.split(':').count(), 101);
    // With names of 64 digits and a path the option string would not fit into a page.
    assert!(lower.len() < 4096, "{} bytes", lower.len());
}

#[test]
fn sto_19_inspect_exposes_the_driver_paths() {
    let daemon = Daemon::shared();
    let name = daemon.background("paths", "sleep 300");
    for client in daemon.clients() {
        let data: Value =
            serde_json::from_str(client.run(&["inspect", "-f", "{{json .GraphDriver.Data}}", &name]).ok()).unwrap();
        let text = |key: &str| data[key].as_str().unwrap_or_else(|| panic!("{key}: {data}")).to_owned();
        let directory = layer(daemon, &name).display().to_string();
        assert_eq!(text("UpperDir"), format!("{directory}/diff"));
        assert_eq!(text("WorkDir"), format!("{directory}/work"));
        assert_eq!(text("MergedDir"), format!("{directory}/merged"));
        let lower = text("LowerDir");
        let lower: Vec<&str> = lower.split(':').collect();
        assert!(same(Path::new(lower[0]), Path::new(&format!("{directory}-init/diff"))), "{lower:?}");
        assert!(lower.len() == 2 && Path::new(lower[1]).join("bin/busybox").exists(), "{lower:?}");
        assert_eq!(client.run(&["inspect", "-f", "{{.GraphDriver.Name}}", &name]).ok(), "overlay2");
    }
}

#[test]
fn sto_20_no_forest_of_hard_links() {
    let daemon = Daemon::shared();
    let (maker, image) = (daemon.name("maker"), daemon.name("linked"));
    let script = "echo one >/one; ln /one /two; mkdir /many; for i in $(seq 200); do echo $i >/many/$i; done";
    daemon.docker(&["run", "--name", &maker, "busybox", "sh", "-c", script]).ok();
    daemon.docker(&["commit", &maker, &image]).ok();
    daemon.docker(&["rm", &maker]).ok();
    let upper = PathBuf::from(daemon.inspect(&image, "{{.GraphDriver.Data.UpperDir}}"));
    let names: Vec<String> = (0..5).map(|number| daemon.name(&format!("user{number}"))).collect();
    names.iter().for_each(|name| drop(daemon.docker(&["create", "--name", name, &image]).ok().to_owned()));
    // Of all the image's files only those have several names that have them in the image, whoever uses it.
    let several = |directory: &Path| {
        let output = Command::new("find").arg(directory).args(["-links", "+1", "-type", "f"]).output().unwrap();
        let mut found: Vec<PathBuf> = String::from_utf8(output.stdout).unwrap().lines().map(PathBuf::from).collect();
        found.sort();
        found
    };
    assert_eq!(several(&upper), [upper.join("one"), upper.join("two")]);
    assert_eq!(fs::metadata(upper.join("one")).unwrap().nlink(), 2);
    for name in &names {
        let own = PathBuf::from(daemon.inspect(name, "{{.GraphDriver.Data.UpperDir}}"));
        assert!(several(own.parent().unwrap()).is_empty(), "a container's layer has links into others");
        let inodes = Command::new("find").arg(own.parent().unwrap()).output().unwrap().stdout;
        assert!(inodes.split(|byte| *byte == b'\n').count() < 12, "a new container takes few inodes");
    }
    daemon.docker(&[&["rm"][..], &names.iter().map(String::as_str).collect::<Vec<_>>()].concat()).ok();
    daemon.docker(&["rmi", &image]).ok();
}
