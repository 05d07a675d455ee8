//! The vfs driver, and what does not depend on the driver: volumes and import.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod common;

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use common::*;
use store::{ContainerConfig, DriverChoice, Error, ImportOptions, VolumeRequest};
use types::ContainerId;

fn container(byte: u8) -> ContainerId {
    ContainerId::from_bytes([byte; 32])
}

fn request(name: &str) -> VolumeRequest {
    VolumeRequest { name: name.to_owned(), ..VolumeRequest::default() }
}

fn anonymous() -> VolumeRequest {
    VolumeRequest { anonymous: true, ..request(&store::random_volume_name()) }
}

#[test]
fn sto_08_unknown_drivers_are_told_what_there_is() {
    let error = "aufs".parse::<DriverChoice>().unwrap_err().to_string();
    assert!(error.contains("aufs") && error.contains("overlay2") && error.contains("vfs"), "{error}");
    assert_eq!("overlay2".parse::<DriverChoice>().unwrap(), DriverChoice::Overlay2);
}

#[test]
fn vfs_applies_changes_and_copies() {
    if !privileged() {
        return;
    }
    let fixture = Fixture::new();
    let store = fixture.open(DriverChoice::Vfs);
    let base = tar(&[dir("d", 0o750), file("d/one", "1"), file("d/two", "2"), dir("o", 0o755), file("o/old", "x")]);
    let change = tar(&[file("d/.wh.one", ""), file("o/new", "y"), file("o/.wh..wh..opq", "")]);
    let id = load(&store, &docker_archive(&["app"], &[base, change], "vfs")).unwrap()[0].id;
    store.create_layer(&container(1), Some(id)).unwrap();
    let rootfs = store.rootfs(&container(1)).unwrap();
    assert!(rootfs.mounts.is_empty());
    let root = &rootfs.target;
    assert_eq!(read(root.join("d/two")), "2");
    assert!(!root.join("d/one").exists() && !root.join("o/old").exists());
    assert_eq!(read(root.join("o/new")), "y");
    assert_eq!(std::fs::metadata(root.join("d")).unwrap().permissions().mode() & 0o777, 0o750);
    assert!(root.join("etc/hosts").exists());
    std::fs::write(root.join("d/three"), "3").unwrap();
    let changes: Vec<String> = store.changes(&container(1)).unwrap().into_iter().map(|change| change.path).collect();
    assert_eq!(changes, ["/d", "/d/three"]);
    assert_eq!(store.driver_name(), "vfs");
    store.remove_layer(&container(1)).unwrap();
    assert!(!root.exists());
    drop(store);
    assert_eq!(fixture.open(DriverChoice::Auto).driver_name(), "vfs");
}

#[test]
fn volumes_come_and_go() {
    if !privileged() {
        return;
    }
    let fixture = Fixture::new();
    let store = fixture.open(DriverChoice::Overlay2);
    let named = store.create_volume(request("data")).unwrap();
    assert_eq!(named.mountpoint, fixture.root.join("volumes/data/_data"));
    assert_eq!(store.create_volume(request("data")).unwrap(), named);
    let nameless = store.create_volume(anonymous()).unwrap();
    assert!(nameless.anonymous && nameless.name.len() == 64);
    for bad in ["../x", "a b", "-x", "a/b"] {
        assert!(matches!(store.create_volume(request(bad)), Err(Error::VolumeName(_))), "{bad}");
    }
    let options = BTreeMap::from([("size".to_owned(), "1".to_owned())]);
    let error = store.create_volume(VolumeRequest { options, ..request("opts") }).unwrap_err();
    // What is missing follows, and depends on the machine.
    let text = error.to_string();
    assert!(text.starts_with("create opts: quota size requested but no quota support: "), "{text}");
    drop(store);
    let store = fixture.open(DriverChoice::Auto);
    assert_eq!(store.volumes().len(), 2);
    store.remove_volume("data", false).unwrap();
    assert_eq!(store.remove_volume("data", false).unwrap_err().to_string(), "get data: no such volume");
    store.remove_volume("data", true).unwrap();
    assert!(!fixture.root.join("volumes/data").exists());
}

#[test]
fn an_empty_volume_gets_what_the_image_has() {
    if !privileged() {
        return;
    }
    let fixture = Fixture::new();
    let store = fixture.open(DriverChoice::Overlay2);
    let options = ImportOptions {
        reference: Some("app".parse().unwrap()),
        config: ContainerConfig::default(),
        message: String::new(),
        platform: None,
    };
    let layer = tar(&[
        dir("srv", 0o750),
        Entry { owner: 70_000, ..file("srv/one", "1") },
        link("srv/hard", tar::EntryType::Link, "srv/one"),
        link("srv/soft", tar::EntryType::Symlink, "/etc"),
        // A root file system may hold such names.
        file("srv/.wh.kept", ""),
    ]);
    let id = store.import(&mut &gzip(&layer)[..], options).unwrap();
    let image = store.image(&id).unwrap();
    assert_eq!(
        (image.config.comment.as_str(), image.repo_tags[0].familiar().as_str()),
        ("Imported from -", "app:latest")
    );
    store.create_layer(&container(2), Some(id)).unwrap();
    let volume = store.create_volume(anonymous()).unwrap();
    store.copy_up(&container(2), "/srv", &volume.name, "").unwrap();
    let one = std::fs::metadata(volume.mountpoint.join("one")).unwrap();
    assert_eq!((one.uid(), one.nlink(), one.mtime()), (70_000, 2, 1_700_000_000));
    assert_eq!(std::fs::metadata(&volume.mountpoint).unwrap().permissions().mode() & 0o777, 0o750);
    assert!(volume.mountpoint.join(".wh.kept").exists());
    assert_eq!(std::fs::read_link(volume.mountpoint.join("soft")).unwrap().to_str(), Some("/etc"));
    std::fs::remove_file(volume.mountpoint.join("one")).unwrap();
    store.copy_up(&container(2), "/srv", &volume.name, "").unwrap();
    assert!(!volume.mountpoint.join("one").exists(), "only an empty volume is filled");
    let other = store.create_volume(anonymous()).unwrap();
    store.copy_up(&container(2), "/nothing/here", &other.name, "").unwrap();
    assert_eq!(std::fs::read_dir(&other.mountpoint).unwrap().count(), 0);
}
