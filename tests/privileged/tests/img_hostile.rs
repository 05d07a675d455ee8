//! Archives that mean harm, through every door: `load`, `import`, `pull`, `ADD` and `cp`. Nothing outside of the store or
//! the container is touched, what is refused leaves nothing behind, and the engine works on.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};

use privileged_tests::archive::{Image, Layer};
use privileged_tests::registry::Registry;
use privileged_tests::{Daemon, Options, Run, until};
use serde_json::json;
use tar::EntryType;

/// An entry with its name and link exactly as given.
fn entry(tar: &mut tar::Builder<Vec<u8>>, kind: EntryType, name: &str, link: &str, content: &str) {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    header.set_mode(0o755);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1_700_000_000);
    let gnu = header.as_gnu_mut().unwrap();
    gnu.name[..name.len()].copy_from_slice(name.as_bytes());
    gnu.linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_cksum();
    tar.append(&header, content.as_bytes()).unwrap();
}

fn tar_of(entries: &[(EntryType, &str, &str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    entries.iter().for_each(|(kind, name, link, content)| entry(&mut tar, *kind, name, link, content));
    tar.into_inner().unwrap()
}

struct Doors {
    daemon: Daemon,
    registry: Option<Registry>,
    canary: PathBuf,
    scratch: PathBuf,
}

impl Doors {
    fn open() -> Self {
        let daemon = Daemon::start(Options::default());
        let scratch = daemon.scratch("hostile");
        let canary = daemon.scratch("outside").join("canary");
        fs::write(&canary, "safe").unwrap();
        daemon.docker(&["run", "-d", "--name", "target", "busybox", "sleep", "600"]).exits(0);
        let registry = Registry::start().filter(|_| Path::new("/usr/bin/skopeo").exists());
        Self { daemon, registry, canary, scratch }
    }

    fn load(&self, layer: &[u8]) -> Run {
        let image = self.image(layer);
        self.daemon.stock().run_with_input(&["load"], &image.to_bytes())
    }

    fn image(&self, layer: &[u8]) -> Image {
        let layers = vec![Layer::from_tar(layer.to_vec())];
        Image { reference: "hostile:v1".to_owned(), layers, config: json!({"Cmd": ["/x"]}) }
    }

    fn pull(&self, layer: &[u8]) -> Option<Run> {
        let registry = self.registry.as_ref()?;
        let archive = self.scratch.join("pull.tar");
        fs::write(&archive, self.image(layer).to_bytes()).unwrap();
        let name = registry.put(&archive, &format!("{}:v1", self.daemon.name("hostile")));
        Some(self.daemon.docker(&["pull", &name]))
    }

    fn import(&self, layer: &[u8]) -> Run {
        self.daemon.stock().run_with_input(&["import", "-", "hostile:v1"], layer)
    }

    fn copy(&self, layer: &[u8]) -> Run {
        self.daemon.stock().run_with_input(&["cp", "-", "target:/tmp"], layer)
    }

    fn add(&self, layer: &[u8]) -> Run {
        let context = self.scratch.join(self.daemon.name("context"));
        fs::create_dir(&context).unwrap();
        fs::write(context.join("hostile.tar"), layer).unwrap();
        fs::write(context.join("Dockerfile"), "FROM busybox\nADD hostile.tar /somewhere/\n").unwrap();
        let client = privileged_tests::building::classic(&self.daemon.stock());
        client.run(&["build", "-q", "-t", "hostile:v1", &context.display().to_string()])
    }

    /// Nothing outside was touched, and nothing is left but what there was.
    fn clean(&self, what: &str, before: &std::collections::BTreeSet<String>) {
        assert_eq!(fs::read_to_string(&self.canary).unwrap(), "safe", "{what}");
        let beside = fs::read_dir(self.canary.parent().unwrap()).unwrap().count();
        assert_eq!(beside, 1, "{what}");
        self.daemon.docker(&["rmi", "-f", "hostile:v1"]);
        if !self.daemon.is_reference() {
            until(&format!("{what}: nothing is left"), 60, || {
                let partial = |path: &String| path.starts_with("image/overlay2/content/partial/");
                let now: std::collections::BTreeSet<String> =
                    self.daemon.traces().into_iter().filter(|path| !partial(path)).collect();
                (now == *before).then_some(())
            });
        }
        assert_eq!(self.daemon.docker(&["exec", "target", "echo", "alive"]).ok(), "alive", "{what}");
    }
}

#[test]
fn img_13_25_archives_that_lead_out_are_refused_at_every_door() {
    let doors = Doors::open();
    let outside = doors.canary.display().to_string();
    let up = "../".repeat(12);
    let name = format!("{up}{}", outside.trim_start_matches('/'));
    // Docker's engine cannot remove such an image's layers, so each one gets new traces.
    let cases: [(&str, Vec<u8>); 4] = [
        ("a name above the root", tar_of(&[(EntryType::Regular, &name[..name.len().min(100)], "", "evil")])),
        ("a name above the root in the middle", tar_of(&[(EntryType::Regular, "a/../../../evil", "", "evil")])),
        ("a hard link out", tar_of(&[(EntryType::Link, "h", "../../../../../../etc/passwd", "")])),
        ("an archive cut in the middle", tar_of(&[(EntryType::Regular, "f", "", &"x".repeat(5000))])[..2000].to_vec()),
    ];
    let before = doors.daemon.traces();
    for (what, layer) in &cases {
        for (door, run) in [
            ("load", Some(doors.load(layer))),
            ("import", Some(doors.import(layer))),
            ("cp", Some(doors.copy(layer))),
            ("ADD", Some(doors.add(layer))),
            ("pull", doors.pull(layer)),
        ] {
            let Some(run) = run else { continue };
            // The reference lets some of them do nothing instead of saying so.
            assert!(doors.daemon.is_reference() || run.code != 0, "{what}, {door}: {run}");
            doors.clean(&format!("{what}, {door}"), &before);
        }
    }
}

#[test]
fn img_13_25_links_are_followed_inside_only() {
    let doors = Doors::open();
    let outside = doors.canary.parent().unwrap().display().to_string();
    let layer = tar_of(&[
        (EntryType::Symlink, "out", &outside, ""),
        (EntryType::Symlink, "file", &doors.canary.display().to_string(), ""),
        (EntryType::Link, "hard", "file", ""),
        (EntryType::Regular, "hard", "", "mine"),
        (EntryType::Regular, "file", "", "mine"),
        (EntryType::Regular, "out/canary", "", "evil"),
    ]);
    // Accepted or refused: nothing leaves.
    for (door, _run) in [
        ("load", Some(doors.load(&layer))),
        ("import", Some(doors.import(&layer))),
        ("cp", Some(doors.copy(&layer))),
        ("ADD", Some(doors.add(&layer))),
        ("pull", doors.pull(&layer)),
    ] {
        assert_eq!(fs::read_to_string(&doors.canary).unwrap(), "safe", "{door}");
    }
    if !doors.daemon.is_reference() {
        doors.daemon.gantry(&["system", "fsck", "--deep"]).exits(0);
    }
}

#[test]
fn img_25_whiteouts_of_nothing_and_documents_that_are_none_are_refused() {
    let doors = Doors::open();
    if doors.daemon.is_reference() {
        return privileged_tests::skip("20.10 takes such whiteouts by their word");
    }
    let before = doors.daemon.traces();
    for name in [".wh.", ".wh..", "etc/.wh..."] {
        let run = doors.load(&tar_of(&[(EntryType::Regular, name, "", "")]));
        assert!(run.code != 0 && run.stderr.contains("hides no name"), "{run}");
        doors.clean(name, &before);
    }
    let mut index = tar::Builder::new(Vec::new());
    entry(&mut index, EntryType::Regular, "index.json", "", r#"{"manifests":[{"digest":"sha256:zz"}]}"#);
    for archive in [b"no archive".to_vec(), index.into_inner().unwrap(), Vec::new()] {
        let run = doors.daemon.stock().run_with_input(&["load"], &archive);
        assert!(run.code != 0 && !run.stderr.is_empty(), "{run}");
        doors.clean("a document", &before);
    }
}

/// A few kilobytes that want a terabyte: refused while there is room for everybody else.
#[test]
fn img_25_bombs_are_refused_before_the_disk_is_full() {
    let doors = Doors::open();
    if doors.daemon.is_reference() {
        return privileged_tests::skip("20.10 fills the disk");
    }
    let mut header = tar::Header::new_gnu();
    header.set_path("zeros").unwrap();
    header.set_entry_type(EntryType::Regular);
    header.set_size(1 << 42);
    header.set_mode(0o644);
    header.set_cksum();
    let before = doors.daemon.traces();
    let run = doors.load(&[header.as_bytes().as_slice(), &[0; 4096]].concat());
    assert!(run.code != 0 && run.stderr.contains("1% of the disk"), "{run}");
    doors.clean("bomb", &before);
}
