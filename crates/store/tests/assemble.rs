//! Layers made of files from elsewhere.
#![allow(clippy::unwrap_used, missing_docs)]

use std::io::Write as _;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use store::assemble::{Attributes, place, sources};
use store::{DriverChoice, Store, StoreConfig};

fn tar(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o640);
        header.set_uid(7);
        header.set_gid(8);
        header.set_mtime(1000);
        header.set_size(content.len() as u64);
        header.set_entry_type(tar::EntryType::Regular);
        builder.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_layer_is_written_from_a_context_and_archives() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: needs root");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let store =
        Store::open(StoreConfig { data_root: directory.path().to_owned(), driver: DriverChoice::Auto }).unwrap();
    let context =
        store.unpack_context(&mut &gzip(&tar(&[("d/a", "a"), ("d/sub/b", "bb"), ("f", "file")]))[..]).unwrap();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(context.path(), flags, Mode::empty()).unwrap();
    let lease = store.lease();
    let base = store
        .write_layer(&lease, None, |layer| {
            let found = sources::find(root.as_fd(), "d")?;
            layer.directory(Path::new("/in"), Attributes { mode: 0o711, owner: (3, 4), modified: 5 })?;
            layer.copy(&found[0], Path::new("/in"), Some((0, 0)), None)?;
            let found = sources::find(root.as_fd(), "f")?;
            layer.copy(&found[0], Path::new("/in/f"), Some((1, 2)), Some(0o755))?;
            layer.file(Path::new("/text"), Attributes { mode: 0o600, owner: (0, 0), modified: 9 }, 3, &mut &b"abc"[..])
        })
        .unwrap();
    let archive = gzip(&tar(&[("x", "xx"), ("y/z", "zz")]));
    let top = store
        .with_image(Some(base.chain), |image| {
            let place = place::find(image, Path::new("/in")).unwrap();
            assert!(place.is_directory);
            store.write_layer(&lease, Some(base.chain), |layer| layer.archive(image, &place.path, &mut &archive[..]))
        })
        .unwrap()
        .unwrap();
    store
        .with_image(Some(top.chain), |image| {
            let read = |name: &str| {
                let file = rustix::fs::openat(image, name, OFlags::RDONLY, Mode::empty()).unwrap();
                let file = std::fs::File::from(file);
                let meta = file.metadata().unwrap();
                let text = if meta.is_dir() { String::new() } else { std::io::read_to_string(file).unwrap() };
                (text, meta.mode() & 0o7777, meta.uid(), meta.gid(), meta.mtime())
            };
            let (_, mode, user, group, _) = read("in");
            assert_eq!((mode, user, group), (0o711, 3, 4), "written to again, it keeps what it is");
            assert_eq!(read("in/a"), ("a".to_owned(), 0o640, 0, 0, 1000));
            assert_eq!(read("in/sub/b"), ("bb".to_owned(), 0o640, 0, 0, 1000));
            assert_eq!(read("in/f"), ("file".to_owned(), 0o755, 1, 2, 1000));
            assert_eq!(read("text"), ("abc".to_owned(), 0o600, 0, 0, 9));
            assert_eq!(read("in/x"), ("xx".to_owned(), 0o640, 7, 8, 1000));
            assert_eq!(read("in/y/z").0, "zz");
        })
        .unwrap();
    // A name that would hide another file is refused, and nothing of the layer stays.
    let context = store.unpack_context(&mut &tar(&[(".wh.a", "")])[..]).unwrap();
    let root = rustix::fs::open(context.path(), flags, Mode::empty()).unwrap();
    let found = sources::find(root.as_fd(), ".wh.a").unwrap();
    let refused = store.write_layer(&lease, None, |layer| layer.copy(&found[0], Path::new("/.wh.a"), None, None));
    assert!(refused.unwrap_err().to_string().contains(".wh."));
}
