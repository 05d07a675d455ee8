//! Loading images and making container layers with the overlay2 driver.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod common;

use std::collections::BTreeSet;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};

use common::*;
use store::{ContainerUse, DriverChoice, Error, RemoveImage, Removed};
use tar::EntryType;
use types::{ContainerId, Kind, Reference};

const FORCE: RemoveImage = RemoveImage { force: true, prune_children: true, nameless: false, only: None };
const PLAIN: RemoveImage = RemoveImage { force: false, prune_children: true, nameless: false, only: None };

fn container(byte: u8) -> ContainerId {
    ContainerId::from_bytes([byte; 32])
}

fn base() -> Vec<u8> {
    tar(&[
        dir("etc/", 0o755),
        file("etc/passwd", "root:x:0:0::/:/bin/sh\n"),
        dir("data/", 0o1777),
        file("data/one", "1"),
        file("data/two", "2"),
        link("data/alias", EntryType::Link, "data/one"),
        link("lib", EntryType::Symlink, "usr/lib"),
        Entry { owner: 100_000, ..file("data/owned", "x") },
    ])
}

fn change() -> Vec<u8> {
    gzip(&tar(&[file("data/.wh.one", ""), file("data/three", "3"), dir("new/", 0o700), file("new/.wh..wh..opq", "")]))
}

fn two_layers() -> Vec<u8> {
    // The archive promises digests of plain layers, as `docker save` does.
    let mut change_plain = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&change()[..]), &mut change_plain).unwrap();
    docker_archive(&["app:v1", "app:v2"], &[base(), change_plain], "two")
}

#[test]
fn sto_09_the_data_root_has_dockers_tree() {
    if !privileged() {
        return;
    }
    let fixture = Fixture::new();
    let store = fixture.open(DriverChoice::Auto);
    assert_eq!(store.driver_name(), "overlay2");
    for (name, mode) in [("builder", 0o700), ("network", 0o750), ("image", 0o700), ("trust", 0o700), ("volumes", 0o701)]
    {
        let metadata = std::fs::metadata(fixture.root.join(name)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "{name}");
    }
    for name in ["buildkit", "containers", "overlay2/l", "plugins", "runtimes", "swarm", "tmp"] {
        assert!(fixture.root.join(name).is_dir(), "{name}");
    }
    let device = std::fs::symlink_metadata(fixture.root.join("overlay2/backingFsBlockDev")).unwrap();
    assert!(device.file_type().is_block_device());
    assert_eq!(store.driver_status()[1], ("Supports d_type".to_owned(), "true".to_owned()));
}

#[test]
fn loads_an_archive_and_survives_a_restart() {
    if !privileged() {
        return;
    }
    let fixture = Fixture::new();
    let store = fixture.open(DriverChoice::Overlay2);
    let loaded = load(&store, &gzip(&two_layers())).unwrap();
    let names: Vec<String> = loaded.iter().map(|l| l.reference.as_ref().unwrap().familiar()).collect();
    assert_eq!(names, ["app:v1", "app:v2"]);
    let id = loaded[0].id;
    drop(store);
    let store = fixture.open(DriverChoice::Auto);
    for name in ["app:v1", &id.to_string(), &id.short(), "docker.io/library/app:v2"] {
        assert_eq!(store.resolve(name).unwrap(), id, "{name}");
    }
    let missing = store.resolve("app").unwrap_err();
    assert_eq!(missing.to_string(), "No such image: app:latest");
    assert_eq!(missing.kind(), types::ErrorKind::NotFound);
    let image = store.image(&id).unwrap();
    assert_eq!((image.chain.len(), image.config.config.env[0].as_str()), (2, "A=b"));
    assert!(image.last_tag_time.is_some());
    let top = store.graph_driver_data_of_chain(&image.top().unwrap()).unwrap();
    let diff = std::path::PathBuf::from(top.upper_dir.unwrap());
    let whiteout = std::fs::symlink_metadata(diff.join("data/one")).unwrap();
    assert!(whiteout.file_type().is_char_device() && whiteout.rdev() == 0);
    // The change did not describe `data`, so it looks as in the layer below.
    assert_eq!(std::fs::metadata(diff.join("data")).unwrap().permissions().mode() & 0o7777, 0o1777);
    let mut opaque = [0u8; 4];
    assert_eq!(rustix::fs::lgetxattr(diff.join("new"), c"trusted.overlay.opaque", &mut opaque[..]), Ok(1));
    let base = std::path::PathBuf::from(top.lower_dir.unwrap());
    let owned = std::fs::metadata(base.join("data/owned")).unwrap();
    assert_eq!((owned.uid(), owned.mtime()), (100_000, 1_700_000_000));
    assert_eq!(std::fs::metadata(base.join("data/alias")).unwrap().nlink(), 2);
}

/// Whether two paths lead to the same directory.
fn same(one: &std::path::Path, other: &std::path::Path) -> bool {
    let of = |path: &std::path::Path| std::fs::metadata(path).map(|found| (found.dev(), found.ino())).unwrap();
    of(one) == of(other)
}

#[test]
fn sto_13_container_layers_have_dockers_shape() {
    if !privileged() {
        return;
    }
    let fixture = Fixture::new();
    let store = fixture.open(DriverChoice::Overlay2);
    let id = load(&store, &two_layers()).unwrap()[0].id;
    let container = container(1);
    store.create_layer(&container, Some(id)).unwrap();
    assert!(matches!(store.create_layer(&container, Some(id)), Err(Error::ContainerLayerExists(_))));
    let mount_id = read(fixture.root.join(format!("image/overlay2/layerdb/mounts/{container}/mount-id")));
    let directory = fixture.root.join("overlay2").join(&mount_id);
    let init = fixture.root.join("overlay2").join(format!("{mount_id}-init"));
    let lower = read(directory.join("lower"));
    let links: Vec<&str> = lower.split(':').collect();
    assert_eq!((links.len(), links[0]), (3, format!("l/{}", read(init.join("link"))).as_str()));
    assert!(links.iter().all(|link| link.len() == 28));
    let link = fixture.root.join("overlay2").join(links[0]);
    assert!(same(&link, &init.join("diff")));
    for name in ["etc/hosts", "etc/hostname", "etc/resolv.conf", "dev/console", ".dockerenv", "dev/shm", "proc"] {
        assert!(init.join("diff").join(name).exists(), "{name}");
    }
    let rootfs = store.rootfs(&container).unwrap();
    assert_eq!(rootfs.target, directory.join("merged"));
    assert!(rootfs.target.is_dir());
    store.release_rootfs(&container);
    assert!(!rootfs.target.exists());

    let seen = store
        .with_rootfs(&container, |root| {
            let path = |name: &str| format!("/proc/self/fd/{}/{name}", root.as_raw_fd());
            std::fs::write(path("data/two"), "changed").unwrap();
            std::fs::remove_file(path("data/owned")).unwrap();
            std::fs::write(path("fresh"), "12345").unwrap();
            (std::path::Path::new(&path("data/one")).exists(), read(path("data/three")), read(path("etc/passwd")))
        })
        .unwrap();
    assert_eq!(seen, (false, "3".to_owned(), "root:x:0:0::/:/bin/sh\n".to_owned()));
    let changes: Vec<(String, i32)> =
        store.changes(&container).unwrap().into_iter().map(|c| (c.path, c.kind as i32)).collect();
    let expected = [("/data", 0), ("/data/owned", 2), ("/data/two", 0), ("/fresh", 1)];
    assert_eq!(changes, expected.map(|(path, kind)| (path.to_owned(), kind)));
    assert_eq!(store.layer_size(&container).unwrap(), 12);

    // A restart finds it again.
    drop(store);
    let store = fixture.open(DriverChoice::Auto);
    assert_eq!(store.container_layers(), std::slice::from_ref(&container));
    assert_eq!(store.rootfs(&container).unwrap().target, directory.join("merged"));
    store.remove_layer(&container).unwrap();
    store.remove_layer(&container).unwrap();
    assert!(!directory.exists() && init.symlink_metadata().is_err());
    // Those of the image's layers, and the one that all containers share.
    assert_eq!(std::fs::read_dir(fixture.root.join("overlay2/l")).unwrap().count(), 3);
}

#[test]
fn removing_images_follows_dockers_rules() {
    if !privileged() {
        return;
    }
    let fixture = Fixture::new();
    let store = fixture.open(DriverChoice::Overlay2);
    let before = fixture.settled(&store);
    let id = load(&store, &two_layers()).unwrap()[0].id;
    let stopped = |_: &store::ImageId| vec![ContainerUse { id: container(7), running: false, image: "app:v1".into() }];
    let running = |_: &store::ImageId| vec![ContainerUse { id: container(7), running: true, image: "app:v1".into() }];
    let unused = |_: &store::ImageId| Vec::new();
    assert_eq!(
        store.remove(&id.short(), PLAIN, &unused).unwrap_err().to_string(),
        format!(
            "conflict: unable to delete {} (must be forced) - image is referenced in multiple repositories",
            id.short()
        )
    );
    assert_eq!(store.remove("app:v2", PLAIN, &stopped).unwrap(), [Removed::Untagged("app:v2".into())]);
    assert_eq!(
        store.remove("app:v1", PLAIN, &stopped).unwrap_err().to_string(),
        format!(
            "conflict: unable to remove repository reference \"app:v1\" (must force) - container 070707070707 is using its referenced image {}",
            id.short()
        )
    );
    assert_eq!(
        store.remove(&id.hex(), FORCE, &running).unwrap_err().to_string(),
        format!(
            "conflict: unable to delete {} (cannot be forced) - image is being used by running container 070707070707",
            id.short()
        )
    );
    let digest: Reference = format!("app@sha256:{}", "1".repeat(64)).parse().unwrap();
    store.tag(&id, &digest).unwrap();
    let removed = store.remove("app:v1", PLAIN, &unused).unwrap();
    assert_eq!(removed[..2], [Removed::Untagged("app:v1".into()), Removed::Untagged(digest.familiar())]);
    assert_eq!((removed[2].clone(), removed.len()), (Removed::Deleted(id.0), 5));
    assert_eq!(fixture.settled(&store), before);
}

#[test]
fn an_image_removed_by_force_keeps_its_layers_for_its_containers() {
    if !privileged() {
        return;
    }
    let fixture = Fixture::new();
    let store = fixture.open(DriverChoice::Overlay2);
    // The first container brings what all of them share, and that stays.
    store.create_layer(&container(1), None).unwrap();
    store.remove_layer(&container(1)).unwrap();
    let before = fixture.settled(&store);
    let id = load(&store, &two_layers()).unwrap()[0].id;
    let container = container(2);
    store.create_layer(&container, Some(id)).unwrap();
    let used = |_: &store::ImageId| vec![ContainerUse { id: self::container(2), running: false, image: String::new() }];
    assert_eq!(store.remove(&id.hex(), FORCE, &used).unwrap().len(), 3);
    assert!(store.with_rootfs(&container, |_| ()).is_ok());
    store.remove_layer(&container).unwrap();
    assert_eq!(fixture.settled(&store), before);
}

#[test]
fn saved_images_load_again_and_blobs_keep_their_bytes() {
    if !privileged() {
        return;
    }
    let fixture = Fixture::new();
    let store = fixture.open(DriverChoice::Overlay2);
    let lease = store.lease();
    let blob = gzip(&base());
    let expected = store::Expected { blob: Some(digest(&blob)), diff: None };
    let layer = store.put_layer(&lease, None, &mut &blob[..], &expected).unwrap();
    let config = serde_json::json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [layer.diff]}});
    let id = store.put_image(&lease, config.to_string().as_bytes(), None).unwrap();
    drop(lease);
    store.tag(&id, &"saved:1".parse().unwrap()).unwrap();
    let mut saved = Vec::new();
    store.save(&["saved:1".to_owned()], &store::SaveOptions::default(), &mut saved).unwrap();
    let position = saved.windows(blob.len()).position(|window| window == blob);
    assert!(position.is_some(), "the blob is in the archive as it was");
    let other = Fixture::new();
    let second = other.open(DriverChoice::Overlay2);
    let loaded = load(&second, &saved).unwrap();
    assert_eq!((loaded[0].id, loaded[0].reference.as_ref().unwrap().familiar()), (id, "saved:1".to_owned()));
    assert_eq!(second.blob_of_diff(&layer.diff).unwrap().digest, digest(&blob));
}

#[test]
fn sto_06_the_125th_layer_is_the_last() {
    if !privileged() {
        return;
    }
    let fixture = Fixture::new();
    let store = fixture.open(DriverChoice::Overlay2);
    let layers: Vec<Vec<u8>> = (0..126).map(|n| tar(&[file("n", &n.to_string())])).collect();
    let id = load(&store, &docker_archive(&["deep"], &layers[..125], "deep")).unwrap()[0].id;
    store.create_layer(&container(3), Some(id)).unwrap();
    let top = store.with_rootfs(&container(3), |root| read(format!("/proc/self/fd/{}/n", root.as_raw_fd()))).unwrap();
    assert_eq!(top, "124");
    let before = fixture.settled(&store);
    let error = load(&store, &docker_archive(&["deeper"], &layers, "deeper")).unwrap_err();
    assert_eq!(error.to_string(), "max depth exceeded");
    assert_eq!(fixture.settled(&store), before);
}

#[test]
fn container_layers_come_and_go_and_leave_nothing() {
    if !privileged() {
        return;
    }
    let fixture = Fixture::new();
    let store = fixture.open(DriverChoice::Overlay2);
    let id = load(&store, &two_layers()).unwrap()[0].id;
    let before = store.container_layers();
    for byte in 10..60 {
        store.create_layer(&container(byte), Some(id)).unwrap();
        assert!(store.rootfs(&container(byte)).unwrap().target.is_dir());
        store.remove_layer(&container(byte)).unwrap();
        assert!(store.rootfs(&container(byte)).is_err());
    }
    store.settle();
    assert_eq!(store.container_layers(), before);
}

#[test]
fn hello_world_is_built_in_and_says_hello() {
    if !privileged() {
        return;
    }
    let fixture = Fixture::new();
    let store = fixture.open(DriverChoice::Overlay2);
    let id = store.load_hello_world().unwrap();
    assert_eq!(store.resolve("hello-world").unwrap(), id);
    let data = store.graph_driver_data_of_chain(&store.image(&id).unwrap().top().unwrap()).unwrap();
    let program = std::path::PathBuf::from(data.upper_dir.unwrap()).join("hello");
    assert!(std::fs::metadata(&program).unwrap().len() < 20_000);
    let output = std::process::Command::new(program).output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.trim_start().starts_with("Hello from Docker!\n") && text.ends_with("bash\n\n"), "{text}");
}

#[test]
fn a_damaged_record_never_costs_a_layer() {
    if !privileged() {
        return;
    }
    let fixture = Fixture::new();
    let store = fixture.open(DriverChoice::Overlay2);
    let id = load(&store, &two_layers()).unwrap()[0].id;
    store.create_layer(&container(1), Some(id)).unwrap();
    store.create_layer(&container(2), Some(id)).unwrap();
    drop(store);
    let mount = |byte: u8| fixture.root.join("image/overlay2/layerdb/mounts").join(container(byte).as_str());
    // What a power cut leaves of a young file.
    std::fs::write(mount(1).join("mount-id"), b"").unwrap();
    std::fs::write(mount(2).join("init-id"), b"").unwrap();
    let layers = || std::fs::read_dir(fixture.root.join("overlay2")).unwrap().count();
    let before = layers();
    let store = fixture.open(DriverChoice::Overlay2);
    assert!(store.container_layers().is_empty());
    store.remove_layer(&container(1)).unwrap();
    store.settle();
    assert_eq!(layers(), before);
    store.create_layer(&container(3), Some(id)).unwrap();
}

#[test]
fn short_links_of_removed_layers_do_not_stay() {
    if !privileged() {
        return;
    }
    let fixture = Fixture::new();
    let store = fixture.open(DriverChoice::Overlay2);
    let id = load(&store, &two_layers()).unwrap()[0].id;
    store.create_layer(&container(1), Some(id)).unwrap();
    drop(store);
    let links = fixture.root.join("overlay2/l");
    let listed = || std::fs::read_dir(&links).unwrap().map(|entry| entry.unwrap().file_name()).collect::<BTreeSet<_>>();
    let before = listed();
    // A daemon that was killed between the two steps of a removal left it.
    std::os::unix::fs::symlink(format!("../{}/diff", "a".repeat(64)), links.join("A".repeat(26))).unwrap();
    drop(fixture.open(DriverChoice::Overlay2));
    assert_eq!(listed(), before);
}
