//! Archives whose content means harm: numbers that lie, holes, whiteouts of nothing, bombs, and simply too much.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod common;

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use common::*;
use store::{DriverChoice, Expected};
use tar::EntryType;

/// One entry with PAX records in front, and bytes behind it.
fn pax(records: &[(&str, &[u8])], mut header: tar::Header, name: &str, content: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_pax_extensions(records.iter().copied()).unwrap();
    header.set_size(content.len() as u64);
    builder.append_data(&mut header, name, content).unwrap();
    builder.into_inner().unwrap()
}

fn plain() -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header
}

/// A header as it is, with a right checksum.
fn raw(change: impl FnOnce(&mut tar::GnuHeader)) -> Vec<u8> {
    let mut header = plain();
    header.set_size(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_path("f").unwrap();
    change(header.as_gnu_mut().unwrap());
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.resize(512 * 3, 0);
    bytes
}

/// A number in base 256, as GNU tar writes large and negative ones.
fn base256<const N: usize>(field: &mut [u8; N], number: i128) {
    let bytes = number.to_be_bytes();
    field.copy_from_slice(&bytes[bytes.len() - N..]);
    field[0] |= 0x80;
}

#[test]
fn numbers_that_lie_are_refused() {
    if !privileged() {
        return;
    }
    let fixture = Fixture::new();
    let store = fixture.open(DriverChoice::Overlay2);
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (raw(|header| base256(&mut header.size, 1 << 61)), "1% of the disk"),
        (raw(|header| header.size = *b"00077777777\0"), "unexpected EOF"),
        (raw(|header| base256(&mut header.uid, -1)), "id out of range"),
        (raw(|header| base256(&mut header.gid, 1 << 40)), "id out of range"),
        (raw(|header| header.size = *b"-1234567890\0"), "invalid tar header"),
        (raw(|header| header.mode = *b"rwxrwx\0\0"), "invalid tar header"),
        (raw(|header| header.typeflag = *b"?"), "unhandled tar header type"),
        (pax(&[("GNU.sparse.size", b"10"), ("GNU.sparse.map", b"0,99")], plain(), "s", b"x"), "sparse file"),
        (pax(&[("GNU.sparse.size", b"-5"), ("GNU.sparse.map", b"0,1")], plain(), "s", b"x"), "sparse file"),
        (pax(&[("GNU.sparse.major", b"1"), ("GNU.sparse.realsize", b"10")], plain(), "s", b"9999999999\n"), "sparse"),
        (
            pax(&[("GNU.sparse.name", b"../../out"), ("GNU.sparse.size", b"0")], plain(), "s", b""),
            "outside of the root",
        ),
        (pax(&[("path", b"../out")], plain(), "s", b""), "outside of the root"),
        (pax(&[("path", b"a\0b")], plain(), "s", b""), "outside of the root"),
        (pax(&[("size", b"100000")], plain(), "s", b"short"), "unexpected EOF"),
    ];
    for (layer, message) in &cases {
        refused(&store, &fixture, layer, message);
    }
    // A record that says it is longer than all of them.
    let mut longer = pax(&[("comment", b"0123456789")], plain(), "s", b"");
    let at = longer.windows(9).position(|window| window == b" comment=").unwrap();
    longer[at - 2..at].copy_from_slice(b"99");
    let result = put(&store, &longer).map(|_| ());
    assert!(result.is_err(), "a record with a wrong length is taken");
    // Old sparse files: an exabyte of holes is not read as zeros.
    let holes = raw(|header| {
        header.typeflag = *b"S";
        base256(&mut header.realsize, 1 << 60);
        base256(&mut header.sparse[0].offset, 1 << 60);
        header.sparse[0].numbytes = *b"00000000000\0";
    });
    refused(&store, &fixture, &holes, "too large");
}

#[test]
fn names_that_cannot_be_are_refused() {
    if !privileged() {
        return;
    }
    let fixture = Fixture::new();
    let store = fixture.open(DriverChoice::Overlay2);
    for name in [".wh.", "a/.wh..", "a/.wh...", ".wh..."] {
        refused(&store, &fixture, &tar(&[dir("a", 0o755), file(name, "")]), "hides no name");
    }
    let long = "n".repeat(256);
    refused(&store, &fixture, &pax(&[("path", long.as_bytes())], plain(), "s", b""), "open /nnn");
    let deep = "d/".repeat(3000);
    refused(&store, &fixture, &pax(&[("path", deep.as_bytes())], plain(), "s", b""), "mkdir /d/d");
    // What is odd and can be is kept: line breaks, the longest name, bytes that are no text.
    let longest = [b"\xff\xfe\n".as_slice(), "x".repeat(252).as_bytes()].concat();
    let (_lease, diff) = put(&store, &pax(&[("path", &longest)], plain(), "s", b"")).unwrap();
    let found = std::fs::read_dir(diff).unwrap().next().unwrap().unwrap().file_name();
    assert_eq!(std::os::unix::ffi::OsStrExt::as_bytes(found.as_os_str()), longest);
}

#[test]
fn links_are_no_way_out_and_entries_may_change_their_kind() {
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
            link("soft", EntryType::Symlink, &target),
            link("hard", EntryType::Link, "soft"),
            file("hard", "mine"),
            file("kind", "1"),
            dir("kind", 0o755),
            file("kind/inner", "2"),
            link("kind", EntryType::Symlink, "elsewhere"),
            link("kind", EntryType::Fifo, ""),
            file("kind", "3"),
            file("twice", "first"),
            file("twice", "second"),
            link("self", EntryType::Link, "self"),
        ]),
    )
    .unwrap();
    assert_eq!(
        (read(&victim), read(diff.join("hard")), read(diff.join("kind")), read(diff.join("twice"))),
        ("safe".into(), "mine".into(), "3".into(), "second".into())
    );
    refused(&store, &fixture, &tar(&[link("h", EntryType::Link, "nowhere")]), "link /h");
    refused(&store, &fixture, &tar(&[dir("d", 0o755), link("h", EntryType::Link, "d")]), "link /h");
    refused(&store, &fixture, &tar(&[link(".", EntryType::Symlink, "/etc")]), "outside of the root");
}

#[test]
fn opaque_marks_may_stand_anywhere() {
    if !privileged() {
        return;
    }
    let fixture = Fixture::new();
    let store = fixture.open(DriverChoice::Overlay2);
    for layer in [vec![file(".wh..wh..opq", ""), file("kept", "1")], vec![file("kept", "1"), file(".wh..wh..opq", "")]]
    {
        let (_lease, diff) = put(&store, &tar(&layer)).unwrap();
        assert_eq!(read(diff.join("kept")), "1");
    }
    let (_lease, diff) = put(
        &store,
        &tar(&[file("missing/below/.wh..wh..opq", ""), file("missing/below/x", "1"), file("a/.wh.gone", "")]),
    )
    .unwrap();
    let mut value = [0; 4];
    let opaque = |path: PathBuf, value: &mut [u8]| rustix::fs::lgetxattr(&path, c"trusted.overlay.opaque", value);
    assert_eq!(opaque(diff.join("missing/below"), &mut value), Ok(1));
    assert_eq!(read(diff.join("missing/below/x")), "1");
    assert_eq!(std::fs::symlink_metadata(diff.join("a/gone")).unwrap().rdev(), 0);
}

#[test]
fn an_archive_may_end_anywhere_and_leaves_nothing() {
    if !privileged() {
        return;
    }
    let fixture = Fixture::new();
    let store = fixture.open(DriverChoice::Overlay2);
    let before = fixture.settled(&store);
    let content = "content".repeat(200);
    let whole = [
        tar(&[dir("d", 0o755), file("d/a", &content), link("d/l", EntryType::Symlink, "a")]),
        pax(&[("SCHILY.xattr.user.x", b"1")], plain(), "late", b"late"),
    ]
    .concat();
    let zipped = gzip(&whole);
    for bytes in [&whole, &zipped] {
        for cut in (0..bytes.len()).step_by(bytes.len() / 40) {
            // At the end of an entry it is whole for all that can be said; its digest is another one.
            drop(put(&store, &bytes[..cut]));
            let expected = Expected { blob: Some(digest(bytes)), diff: None };
            assert!(store.put_layer(&store.lease(), None, &mut &bytes[..cut], &expected).is_err(), "cut at {cut}");
        }
    }
    let garbage = [&whole[..], &[0; 1024], b"garbage behind the end"].concat();
    let (lease, diff) = put(&store, &garbage).unwrap();
    assert_eq!(read(diff.join("d/a")), content);
    drop(lease);
    assert_eq!(fixture.settled(&store), before);
}

#[test]
fn bombs_are_refused_while_there_is_room() {
    if !privileged() {
        return;
    }
    let fixture = Fixture::new();
    std::fs::create_dir_all(&fixture.root).unwrap();
    sys::private_mounts::with_private_mounts(|| {
        let flags = rustix::mount::MountFlags::empty();
        rustix::mount::mount("tmpfs", &fixture.root, "tmpfs", flags, c"size=96m").unwrap();
        let store = fixture.open(DriverChoice::Overlay2);
        let before = fixture.settled(&store);
        let zeros = zstd::encode_all(&vec![0; 1 << 20][..], 1).unwrap();
        let head = |size: u64, number: usize| {
            let mut header = plain();
            header.set_path(format!("zeros{number}")).unwrap();
            header.set_size(size);
            header.set_cksum();
            zstd::encode_all(&header.as_bytes()[..], 1).unwrap()
        };
        // One of a terabyte, and a thousand of a megabyte each.
        let one = [head(1 << 40, 0), zeros.repeat(512)].concat();
        let many: Vec<u8> = (0..1000).flat_map(|number| [head(1 << 20, number), zeros.clone()].concat()).collect();
        assert!(many.len() < 1 << 20);
        for bomb in [one, many] {
            let error = put(&store, &bomb).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains("1% of the disk") && error.contains("no space left on device"), "{error}");
            assert_eq!(fixture.settled(&store), before);
        }
    })
    .unwrap();
}

#[test]
fn a_hundred_thousand_entries_are_no_reason_to_refuse() {
    if !privileged() {
        return;
    }
    let fixture = Fixture::new();
    std::fs::create_dir_all(&fixture.root).unwrap();
    sys::private_mounts::with_private_mounts(|| {
        let flags = rustix::mount::MountFlags::empty();
        rustix::mount::mount("tmpfs", &fixture.root, "tmpfs", flags, c"size=512m").unwrap();
        let store = fixture.open(DriverChoice::Overlay2);
        let before = fixture.settled(&store);
        let names: Vec<String> = (0..100_000).map(|number| format!("{}/{number}", number / 1000)).collect();
        let entries: Vec<_> = names.iter().map(|name| file(name, "")).collect();
        let (lease, diff) = put(&store, &gzip(&tar(&entries))).unwrap();
        assert!(diff.join("99/99999").exists());
        drop(lease);
        assert_eq!(fixture.settled(&store), before);
    })
    .unwrap();
}

#[test]
fn documents_that_are_no_documents_are_refused() {
    if !privileged() {
        return;
    }
    let fixture = Fixture::new();
    let store = fixture.open(DriverChoice::Overlay2);
    let before = fixture.settled(&store);
    let layer = tar(&[file("a", "1")]);
    let diff = digest(&layer).to_string();
    let many: Vec<&str> = vec![&diff; 10_000];
    let deep = serde_json::json!({"os": "linux", "rootfs": {"type": "layers", "diff_ids": many}}).to_string();
    let names: Vec<&str> = vec!["layer0/layer.tar"; 10_000];
    let manifest = |layers: &[&str]| serde_json::json!([{"Config": "c.json", "Layers": layers}]).to_string();
    let huge = format!("{{\"os\":\"{}\"}}", " ".repeat(100 << 20));
    let nested = "[".repeat(100_000);
    for (config, layers, message) in [
        (deep.as_str(), &names[..], "max depth exceeded"),
        (huge.as_str(), &names[..1], "too large"),
        (nested.as_str(), &names[..1], "invalid image configuration"),
        (r#"{"os":"linux","rootfs":{"diff_ids":["sha256:zz"]}}"#, &names[..1], "invalid image configuration"),
    ] {
        let documents = [("manifest.json", manifest(layers)), ("c.json", config.to_owned())];
        let documents: Vec<(&str, &[u8])> = documents.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
        let error = load(&store, &archive(&documents, std::slice::from_ref(&layer))).unwrap_err();
        assert!(error.to_string().contains(message), "{error} does not say {message}");
        assert_eq!(fixture.settled(&store), before);
    }
    // The same layer twice in one image is fine, and needs its blob once.
    let twice = docker_archive(&["twice"], &[layer.clone(), layer], "twice");
    load(&store, &twice).unwrap();
    let mut saved = Vec::new();
    store.save(&["twice".to_owned()], &store::SaveOptions::default(), &mut saved).unwrap();
    assert_eq!(store.image(&store.resolve("twice").unwrap()).unwrap().chain.len(), 2);
}

/// Holes come back as holes, whichever way tar(1) wrote them.
#[test]
fn holes_stay_holes() {
    if !privileged() {
        return;
    }
    let fixture = Fixture::new();
    let store = fixture.open(DriverChoice::Overlay2);
    let source = fixture.root.with_file_name("source");
    std::fs::create_dir_all(&source).unwrap();
    let path = source.join("disk.img");
    let size = 64_u64 << 20;
    let disk = std::fs::File::create(&path).unwrap();
    disk.set_len(size).unwrap();
    for at in [0, 10 << 20, size - 4096] {
        std::os::unix::fs::FileExt::write_all_at(&disk, &[7; 4096], at).unwrap();
    }
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    for form in
        ["--format=gnu", "--format=posix --sparse-version=0.0", "--format=posix --sparse-version=0.1", "--format=posix"]
    {
        let archive = fixture.root.with_file_name("archive.tar");
        let status = std::process::Command::new("tar")
            .args(["--sparse", "-C"])
            .arg(&source)
            .args(form.split(' '))
            .arg("-cf")
            .args([&archive, &PathBuf::from("disk.img")])
            .status();
        assert!(status.unwrap().success(), "{form}");
        let (_lease, diff) = put(&store, &std::fs::read(&archive).unwrap()).unwrap();
        let found = std::fs::metadata(diff.join("disk.img")).unwrap();
        assert_eq!((found.len(), found.mode() & 0o777), (size, 0o640), "{form}");
        assert!(found.blocks() * 512 < 1 << 20, "{form}: {} blocks", found.blocks());
        assert!(std::fs::read(diff.join("disk.img")).unwrap() == std::fs::read(&path).unwrap(), "{form}");
    }
}
