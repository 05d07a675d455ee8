//! `docker export`, with both drivers.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod common;

use std::collections::BTreeMap;

use common::*;
use store::DriverChoice;
use tar::EntryType;
use types::ContainerId;

/// Kind, mode, owner, link target and size by name.
type Listing = BTreeMap<String, (EntryType, u32, u64, String, u64)>;

fn listing(archive: &[u8]) -> Listing {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().unwrap().map(|entry| {
        let entry = entry.unwrap();
        let header = entry.header();
        let link = entry.link_name().unwrap().map(|link| link.display().to_string()).unwrap_or_default();
        let about = (header.entry_type(), header.mode().unwrap(), header.uid().unwrap(), link, header.size().unwrap());
        (entry.path().unwrap().display().to_string(), about)
    });
    entries.collect()
}

#[test]
fn an_export_has_what_the_container_sees() {
    if !privileged() {
        return;
    }
    for driver in [DriverChoice::Overlay2, DriverChoice::Vfs] {
        let fixture = Fixture::new();
        let store = fixture.open(driver);
        let base = tar(&[
            dir("data/", 0o1777),
            file("data/one", "1"),
            link("data/alias", EntryType::Link, "data/one"),
            link("lib", EntryType::Symlink, "usr/lib"),
            Entry { owner: 1000, ..file("data/owned", "xyz") },
        ]);
        let change = tar(&[file("data/two", "2")]);
        // Does not fit into a header of its own.
        let long = "n".repeat(180);
        let id = load(&store, &docker_archive(&["app"], &[base, change], "export")).unwrap()[0].id;
        let container = ContainerId::from_bytes([7; 32]);
        store.create_layer(&container, Some(id)).unwrap();
        store
            .with_rootfs(&container, |root| {
                let flags = rustix::fs::AtFlags::empty();
                rustix::fs::unlinkat(root, "data/two", flags).unwrap();
                for name in ["new", &long] {
                    rustix::fs::mkdirat(root, name, rustix::fs::Mode::from_raw_mode(0o750)).unwrap();
                }
            })
            .unwrap();
        let mut archive = Vec::new();
        store.export(&container, &mut archive).unwrap();
        let listing = listing(&archive);
        let entry = |kind, mode, owner, link: &str, size| Some((kind, mode, owner, link.to_owned(), size));
        let found = |name: &str| listing.get(name).cloned();
        assert_eq!(found("data/"), entry(EntryType::Directory, 0o1777, 0, "", 0), "{driver:?}");
        assert_eq!(found("new/"), entry(EntryType::Directory, 0o750, 0, "", 0), "{driver:?}");
        assert_eq!(found("data/owned"), entry(EntryType::Regular, 0o644, 1000, "", 3), "{driver:?}");
        assert_eq!(found("data/alias"), entry(EntryType::Regular, 0o644, 0, "", 1), "{driver:?}");
        assert_eq!(found("data/one"), entry(EntryType::Link, 0o644, 0, "data/alias", 0), "{driver:?}");
        assert_eq!(found("lib").map(|entry| (entry.0, entry.3)), Some((EntryType::Symlink, "usr/lib".to_owned())));
        assert!(found(&format!("{long}/")).is_some(), "{driver:?}");
        assert_eq!(found("data/two"), None, "{driver:?}");
        assert!(!listing.contains_key("./") && !listing.contains_key("/"), "{driver:?}");
    }
}
