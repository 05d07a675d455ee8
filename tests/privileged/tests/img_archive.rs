//! Rows IMG-24, IMG-25, IMG-39: images in archives, in and out.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs::File;
use std::io::Write as _;
use std::process::{Command, Stdio};

use privileged_tests::archive::{Image, Layer};
use privileged_tests::images::import;
use privileged_tests::{Daemon, Options, skip};
use serde_json::{Value, json};

/// The names of an archive's members.
fn members(archive: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(archive);
    let name = |entry: tar::Entry<'_, &[u8]>| entry.path().unwrap().display().to_string();
    archive.entries().unwrap().map(|entry| name(entry.unwrap())).collect()
}

/// A member of an archive as JSON.
fn member(archive: &[u8], name: &str) -> Value {
    let mut archive = tar::Archive::new(archive);
    let mut entries = archive.entries().unwrap().map(Result::unwrap);
    let entry = entries.find(|entry| entry.path().unwrap().to_str() == Some(name));
    serde_json::from_reader(entry.unwrap_or_else(|| panic!("no {name}"))).unwrap()
}

/// A program's output for an input.
fn piped(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).unwrap());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{program} failed");
        output.stdout
    })
}

#[test]
fn img_24_save_writes_an_archive() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon.name("saved");
        let id = import(&client, &name, &name, &[]);
        let file = daemon.scratch(&daemon.name("archive")).join("saved.tar");
        let path = file.display().to_string();
        // A flag may follow the name.
        assert_eq!(client.run(&["save", &name, "-o", &path]).ok(), "");
        let archive = std::fs::read(&file).unwrap();
        let item = &member(&archive, "manifest.json")[0];
        assert_eq!(item["RepoTags"], json!([format!("{name}:latest")]));
        let names = members(&archive);
        assert!(item["Config"].as_str().unwrap().contains(&id[7..]) && item["Layers"].as_array().unwrap().len() == 1);
        assert!(names.contains(&item["Config"].as_str().unwrap().to_owned()), "{names:?}");
        assert!(member(&archive, "repositories")[&name]["latest"].is_string());
        if !daemon.is_reference() {
            assert_eq!(member(&archive, "oci-layout")["imageLayoutVersion"], "1.0.0");
            let manifest = &member(&archive, "index.json")["manifests"][0];
            assert_eq!(manifest["annotations"]["io.containerd.image.name"], format!("docker.io/library/{name}:latest"));
        }
        let streamed = client.command(&["image", "save", &name]).output().unwrap();
        assert_eq!(members(&streamed.stdout), names);
        client.run(&["save", "nosuch", "-o", &path]).exits(1).says("nosuch");
        assert_eq!(std::fs::read(&file).unwrap(), archive, "a failure keeps the old file");
        client.run(&["save"]).exits(1).says("requires at least 1 argument");
        client.run(&["save", "-o", "/no/such/place/x.tar", &name]).exits(1).says("/no/such/place");
        let terminal = daemon.terminal(&client, &["save", &name]);
        let mut terminal = terminal;
        terminal.expect("cowardly refusing to save to a terminal. Use the -o flag or redirect");
        assert_eq!(terminal.wait(), 1);
        client.run(&["rmi", &name]).exits(0);
    }
}

#[test]
fn img_24_several_images_and_all_tags_of_a_repository() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let (one, two) = (daemon.name("several"), daemon.name("several"));
        let first = import(&client, &format!("{one}:a"), "1", &[]);
        import(&client, &format!("{one}:b"), "2", &[]);
        let other = import(&client, &two, "3", &[]);
        let archive = client.command(&["save", &one, &other]).output().unwrap().stdout;
        let manifest = member(&archive, "manifest.json");
        let mut names: Vec<String> =
            manifest.as_array().unwrap().iter().map(|item| item["RepoTags"].to_string()).collect();
        names.sort();
        // By its id it has no name.
        assert_eq!(names, [format!("[\"{one}:a\"]"), format!("[\"{one}:b\"]"), "null".to_owned()]);
        client.run(&["rmi", &format!("{one}:a"), &format!("{one}:b"), &two]).exits(0);
        let load = client.run_with_input(&["load"], &archive);
        let lines = load.exits(0).lines();
        for line in
            [format!("Loaded image ID: {other}"), format!("Loaded image: {one}:a"), format!("Loaded image: {one}:b")]
        {
            // Docker tells ids only when the last image has no name.
            let optional = daemon.is_reference() && line.contains("ID");
            assert!(optional || lines.contains(&line.as_str()), "{load}");
        }
        assert_eq!(daemon.inspect(&format!("{one}:a"), "{{.Id}}"), first);
        client.run(&["rmi", &format!("{one}:a"), &format!("{one}:b"), &other]).exits(0);
    }
}

#[test]
fn img_25_load_from_everywhere() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = format!("{}:v1", daemon.name("loaded"));
        let layer = Layer::of_files(&[("file", name.as_bytes())]);
        let image = Image { reference: name.clone(), layers: vec![layer], config: json!({"Cmd": ["x"]}) };
        let archive = image.to_bytes();
        let file = daemon.scratch(&daemon.name("archive")).join("image.tar");
        std::fs::write(&file, &archive).unwrap();
        let path = file.display().to_string();
        let line = format!("Loaded image: {name}");
        let gone = || client.run(&["rmi", &name]).exits(0).code;
        assert_eq!(client.run(&["load", "-i", &path]).ok(), line);
        assert_eq!(daemon.inspect(&name, "{{.Id}}"), image.id().to_string());
        // Once more changes nothing.
        assert_eq!(client.run(&["image", "load", "--quiet", "--input", &path]).ok(), line);
        gone();
        assert_eq!(client.run_with_file(&["load", "-q"], File::open(&file).unwrap()).ok(), line);
        gone();
        for (program, arguments) in
            [("gzip", &["-c"][..]), ("bzip2", &["-c"]), ("xz", &["-c"]), ("zstd", &["-c", "-q"])]
        {
            if program == "zstd" && daemon.is_reference() {
                continue;
            }
            let packed = piped(program, arguments, &archive);
            assert_eq!(client.run_with_input(&["load"], &packed).ok(), line, "{program}");
            gone();
        }
        client.run(&["load", "-i", "/no/such/file"]).exits(1).says("open /no/such/file: no such file or directory");
        let mut terminal = daemon.terminal(&client, &["load"]);
        terminal.expect("requested load from stdin, but stdin is empty");
        assert_eq!(terminal.wait(), 1);
    }
}

#[test]
fn img_25_a_name_that_is_taken_moves() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = format!("{}:v1", daemon.name("taken"));
        let old = import(&client, &name, "old", &[]);
        let layer = Layer::of_files(&[("file", b"new")]);
        let image = Image { reference: name.clone(), layers: vec![layer], config: json!({}) };
        let load = client.run_with_input(&["load"], &image.to_bytes());
        let renamed = format!("The image {name} already exists, renaming the old one with ID {old} to empty string");
        assert!(load.exits(0).lines().contains(&renamed.as_str()), "{load}");
        assert_eq!(daemon.inspect(&name, "{{.Id}}"), image.id().to_string());
        assert_eq!(daemon.inspect(&old, "{{json .RepoTags}}"), "[]");
        client.run(&["rmi", &name, &old]).exits(0);
    }
}

#[test]
fn img_25_only_the_wanted_platform() {
    let daemon = Daemon::shared();
    if daemon.is_reference() {
        return skip("Docker 20.10 knows no platforms here");
    }
    for client in daemon.clients() {
        let name = daemon.name("platform");
        let id = import(&client, &name, &name, &[]);
        let own = format!("linux/{}", daemon.inspect(&id, "{{.Architecture}}"));
        let save = |platform: &str| client.command(&["save", "--platform", platform, &name]).output().unwrap();
        let archive = save(&own);
        assert!(archive.status.success());
        let refused = save("linux/s390x");
        let text = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && text.contains("s390x"), "{text}");
        client.run(&["rmi", &name]).exits(0);
        let load = |platform: &str| client.run_with_input(&["load", "--platform", platform], &archive.stdout);
        load("linux/s390x").exits(1).says("s390x");
        assert_eq!(load(&own).ok(), format!("Loaded image: {name}:latest"));
        load("linux/").exits(1);
        client.run(&["rmi", &name]).exits(0);
    }
}

#[test]
fn img_25_what_is_no_archive_is_refused() {
    let daemon = Daemon::start(Options::default());
    let before = daemon.traces();
    for client in daemon.clients() {
        let empty = Layer::of_files(&[]);
        client.run_with_input(&["load"], empty.bytes()).exits(1);
        client.run_with_input(&["load"], b"this is no archive").exits(1);
        let name = daemon.name("broken");
        let image = Image { reference: name, layers: vec![Layer::of_files(&[("f", b"x")])], config: json!({}) };
        let mut archive = image.to_bytes();
        let end = archive.len() / 2;
        archive.truncate(end);
        client.run_with_input(&["load"], &archive).exits(1);
        assert_eq!(daemon.traces(), before);
    }
}

#[test]
fn img_25_import_makes_an_image_of_a_tree() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = format!("{}:V1", daemon.name("imported"));
        let layer = Layer::of_files(&[("etc/f", b"x")]);
        let file = daemon.scratch(&daemon.name("tree")).join("tree.tar.gz");
        std::fs::write(&file, piped("gzip", &["-c"], layer.bytes())).unwrap();
        let path = file.display().to_string();
        let change = ["-c", "CMD [\"/bin/x\"]", "--change", "ENV A=b", "-m", "by hand"];
        let run = client.run(&[&["import"], &change[..], &[&path, &name]].concat());
        let id = run.ok().to_owned();
        assert!(id.starts_with("sha256:") && id.len() == 71, "{run}");
        let format = "{{.Id}} {{json .Config.Cmd}} {{json .Config.Env}} {{.Comment}} {{index .RootFS.Layers 0}}";
        let expected = format!("{id} [\"/bin/x\"] [\"A=b\"] by hand {}", layer.digest());
        assert_eq!(daemon.inspect(&name, format), expected);
        let other = client.run_with_input(&["image", "import", "-"], layer.bytes());
        assert_eq!(daemon.inspect(other.ok(), "{{.Comment}}"), "Imported from -");
        client.run(&["import", "/no/such/file"]).exits(1).says("no such file or directory");
        client.run_with_input(&["import", "-", "UPPER"], layer.bytes()).exits(1).says("must be lowercase");
        client.run_with_input(&["import", "-c", "NONSENSE x", "-"], layer.bytes()).exits(1).says("onsense");
        client.run_with_input(&["import", "-"], b"this is no archive").exits(1);
        client.run(&["rmi", &name, other.ok()]).exits(0);
    }
}

#[test]
fn img_39_containers_leave_their_image_as_it_was() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let before = client.command(&["save", "busybox"]).output().unwrap().stdout;
        let script = "echo changed > /etc/passwd; rm /bin/arp; mkdir /new";
        for _ in 0..2 {
            client.run(&["run", "--rm", "busybox", "sh", "-c", script]).exits(0);
        }
        let seen = client.run(&["run", "--rm", "busybox", "sh", "-c", "ls -d /bin/arp /new; cat /etc/passwd"]);
        assert!(seen.stdout.contains("/bin/arp") && !seen.stdout.contains("/new"), "{seen}");
        assert!(!seen.stdout.contains("changed"), "{seen}");
        let after = client.command(&["save", "busybox"]).output().unwrap().stdout;
        let manifest = |archive: &[u8]| member(archive, "manifest.json");
        assert_eq!(manifest(&before), manifest(&after));
        assert!(daemon.is_reference() || before == after, "the same image makes the same archive");
    }
}
