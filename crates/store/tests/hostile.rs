//! Archives that mean harm, or are broken: nothing leaves the root, nothing half-made stays.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod common;

use std::os::unix::fs::{FileTypeExt, MetadataExt};

use common::*;
use store::{DriverChoice, Error, Expected, ImportOptions};
use tar::EntryType;

/// A store of its own refuses the layer.
fn refuses(layer: &[u8], message: &str) {
    let fixture = Fixture::new();
    refused(&fixture.open(DriverChoice::Overlay2), &fixture, layer, message);
}

#[test]
fn names_above_the_root_are_refused() {
    if !privileged() {
        return;
    }
    for name in ["../evil", "a/../../evil", "/../evil", ".."] {
        refuses(&tar(&[file(name, "x")]), "outside of the root");
    }
    refuses(&tar(&[link("hard", EntryType::Link, "../../../etc/passwd")]), "outside of the root");
}

#[test]
fn links_are_followed_inside_the_root_only() {
    if !privileged() {
        return;
    }
    let fixture = Fixture::new();
    let outside = fixture.root.with_file_name("outside");
    std::fs::create_dir_all(&outside).unwrap();
    let store = fixture.open(DriverChoice::Overlay2);
    let target = outside.display().to_string();
    let layer = tar(&[
        link("absolute", EntryType::Symlink, &target),
        file("absolute/one", "1"),
        link("upwards", EntryType::Symlink, "../../../../../../../../../tmp"),
        dir("tmp", 0o755),
        file("upwards/two", "2"),
        link("alias", EntryType::Link, "upwards/two"),
        file("/etc/three", "3"),
    ]);
    // `absolute/one` would need a directory that is not in the layer.
    let result = put(&store, &layer);
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    assert!(result.is_err());
    let (_lease, diff) = put(
        &store,
        &tar(&[
            link("upwards", EntryType::Symlink, "../../../../../../../../../tmp"),
            dir("tmp", 0o755),
            file("upwards/two", "2"),
            link("alias", EntryType::Link, "upwards/two"),
            file("/etc/three", "3"),
        ]),
    )
    .unwrap();
    assert_eq!(
        (read(diff.join("tmp/two")), read(diff.join("alias")), read(diff.join("etc/three"))),
        ("2".into(), "2".into(), "3".into())
    );
}

#[test]
fn a_link_in_the_place_of_a_file_is_replaced_not_followed() {
    if !privileged() {
        return;
    }
    let fixture = Fixture::new();
    let victim = fixture.root.with_file_name("victim");
    std::fs::write(&victim, "safe").unwrap();
    let store = fixture.open(DriverChoice::Overlay2);
    let target = victim.display().to_string();
    let (_lease, diff) = put(
        &store,
        &tar(&[
            link("file", EntryType::Symlink, &target),
            file("file", "mine"),
            dir("directory", 0o755),
            file("directory/inner", "x"),
            link("directory", EntryType::Symlink, "/"),
            file("directory/new", "y"),
        ]),
    )
    .unwrap();
    assert_eq!(
        (read(&victim), read(diff.join("file")), read(diff.join("new"))),
        ("safe".into(), "mine".into(), "y".into())
    );
}

#[test]
fn overlay_attributes_do_not_come_from_archives() {
    if !privileged() {
        return;
    }
    let fixture = Fixture::new();
    let store = fixture.open(DriverChoice::Overlay2);
    let mut builder = tar::Builder::new(Vec::new());
    let xattrs: [(&str, &[u8]); 2] =
        [("SCHILY.xattr.trusted.overlay.redirect", b"/etc"), ("SCHILY.xattr.user.kept", b"yes")];
    builder.append_pax_extensions(xattrs).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(EntryType::Directory);
    header.set_mode(0o755);
    header.set_size(0);
    builder.append_data(&mut header, "directory", std::io::empty()).unwrap();
    let (_lease, diff) = put(&store, &builder.into_inner().unwrap()).unwrap();
    let mut value = [0u8; 16];
    let path = diff.join("directory");
    assert!(rustix::fs::lgetxattr(&path, c"trusted.overlay.redirect", &mut value[..]).is_err());
    assert_eq!(rustix::fs::lgetxattr(&path, c"user.kept", &mut value[..]), Ok(3));
}

#[test]
fn devices_and_large_owners_are_kept() {
    if !privileged() {
        return;
    }
    let fixture = Fixture::new();
    let store = fixture.open(DriverChoice::Overlay2);
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(EntryType::Char);
    header.set_mode(0o620);
    header.set_uid(3_000_000_000);
    header.set_gid(70_000);
    header.set_size(0);
    header.set_device_major(1).unwrap();
    header.set_device_minor(3).unwrap();
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_data(&mut header, "dev/null", std::io::empty()).unwrap();
    let (_lease, diff) = put(&store, &builder.into_inner().unwrap()).unwrap();
    let metadata = std::fs::symlink_metadata(diff.join("dev/null")).unwrap();
    assert!(metadata.file_type().is_char_device());
    assert_eq!(
        (metadata.rdev(), metadata.uid(), metadata.gid(), metadata.mode() & 0o777),
        (0x103, 3_000_000_000, 70_000, 0o620)
    );
}

#[test]
fn broken_streams_are_refused() {
    if !privileged() {
        return;
    }
    let whole = tar(&[file("a", &"content".repeat(1000))]);
    refuses(&whole[..2000], "unexpected EOF");
    let zipped = gzip(&whole);
    refuses(&zipped[..zipped.len() / 2], "unexpected EOF");
    refuses(&b"this is no archive at all ".repeat(100), "invalid tar header");
    refuses(b"BZh91AY&SY", "unsupported compression: bzip2");
}

#[test]
fn a_wrong_digest_is_named_even_when_the_content_is_garbage() {
    if !privileged() {
        return;
    }
    let fixture = Fixture::new();
    let store = fixture.open(DriverChoice::Overlay2);
    let before = fixture.settled(&store);
    let right = tar(&[file("a", "1")]);
    let promised = digest(b"other");
    let blob = Expected { blob: Some(promised), diff: None };
    let diff = Expected { blob: None, diff: Some(store::DiffId(promised)) };
    for (bytes, expected) in [(&right[..], blob), (&right[..], diff), (&[0x1f, 0x8b, 1, 2, 3][..], blob)] {
        let error = store.put_layer(&store.lease(), None, &mut &bytes[..], &expected).unwrap_err();
        let named = error.to_string();
        match error {
            // Docker's words for content that is not what the image's configuration says.
            Error::DiffId { expected, .. } => assert_eq!(expected.0, promised),
            _ => assert_eq!(named, format!("filesystem layer verification failed for digest {promised}")),
        }
    }
    assert_eq!(fixture.settled(&store), before);
}

#[test]
fn archives_without_an_image_are_refused() {
    if !privileged() {
        return;
    }
    let fixture = Fixture::new();
    let store = fixture.open(DriverChoice::Overlay2);
    let before = fixture.settled(&store);
    let layer = tar(&[file("a", "1")]);
    let missing = archive(&[("manifest.json", br#"[{"Config":"c.json","Layers":[]}]"#)], &[]);
    let garbage = archive(&[("manifest.json", b"{")], &[]);
    let count = br#"{"os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
    let count = archive(
        &[("manifest.json", br#"[{"Config":"c.json","Layers":["layer0/layer.tar"]}]"#), ("c.json", count)],
        &[layer],
    );
    let mut wrong = docker_archive(&["app:v1"], &[tar(&[file("a", "1")])], "wrong");
    let position = wrong.windows(3).position(|window| window == b"1\0\0").unwrap();
    wrong[position] = b'2';
    for (archive, message) in [
        (tar(&[file("x", "y")]), "does not contain a manifest.json"),
        (missing, "invalid archive: c.json is missing"),
        (garbage, "invalid manifest.json"),
        (count, "invalid manifest, layers length mismatch: expected 0, got 1"),
        (Vec::from(b"nonsense".as_slice()), "unexpected EOF"),
    ] {
        let error = load(&store, &archive).unwrap_err();
        assert!(error.to_string().contains(message), "{error} does not say {message}");
        assert_eq!(fixture.settled(&store), before);
    }
    let error = load(&store, &wrong).unwrap_err();
    assert!(matches!(error, Error::LayerVerification(_) | Error::DiffId { .. } | Error::Archive(_)), "{error}");
    assert_eq!(fixture.settled(&store), before);
}

#[test]
fn a_full_disk_leaves_nothing_behind() {
    if !privileged() {
        return;
    }
    let fixture = Fixture::new();
    std::fs::create_dir_all(&fixture.root).unwrap();
    sys::private_mounts::with_private_mounts(|| {
        rustix::mount::mount("tmpfs", &fixture.root, "tmpfs", rustix::mount::MountFlags::empty(), c"size=3m").unwrap();
        let store = fixture.open(DriverChoice::Overlay2);
        let before = fixture.settled(&store);
        let big = "x".repeat(2 << 20);
        let layers = [tar(&[file("small", "1")]), tar(&[file("big", &big)])];
        let error = load(&store, &docker_archive(&["big"], &layers, "big")).unwrap_err();
        assert!(error.to_string().ends_with(": no space left on device"), "{error}");
        assert_eq!(fixture.settled(&store), before);
        let options = ImportOptions {
            reference: None,
            config: store::ContainerConfig::default(),
            message: String::new(),
            platform: None,
        };
        let error = store.import(&mut &layers[1][..], options).unwrap_err();
        assert!(error.to_string().ends_with(": no space left on device"), "{error}");
        assert_eq!(fixture.settled(&store), before);
    })
    .unwrap();
}

#[test]
fn what_a_crash_left_goes_at_the_next_start() {
    if !privileged() {
        return;
    }
    let fixture = Fixture::new();
    let store = fixture.open(DriverChoice::Overlay2);
    let before = fixture.settled(&store);
    let lease = store.lease();
    let layer = tar(&[file("a", "1")]);
    store.put_layer(&lease, None, &mut &layer[..], &Expected::default()).unwrap();
    // A process that is killed drops nothing.
    std::mem::forget(lease);
    drop(store);
    std::fs::create_dir_all(fixture.root.join("overlay2/unfinished/diff/x")).unwrap();
    std::fs::create_dir_all(fixture.root.join("tmp/load-1")).unwrap();
    std::fs::write(fixture.root.join("tmp/ingest-1"), "half").unwrap();
    let _store = fixture.open(DriverChoice::Auto);
    let started = std::time::Instant::now();
    while fixture.listing() != before {
        assert!(started.elapsed().as_secs() < 10, "{:?}", fixture.listing());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
