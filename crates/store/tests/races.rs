//! Everything at once on one store: what is named exists, what is used stays, and in the end nothing is left over.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::*;
use store::{
    ContainerUse, DriverChoice, Error, Expected, FsckOptions, KnownBlob, ProblemKind, RemoveImage, SaveOptions, Store,
};
use types::{ContainerId, Reference};

const FOR: Duration = Duration::from_secs(3);

fn no_one(_: &store::ImageId) -> Vec<ContainerUse> {
    Vec::new()
}

/// What may be said when somebody else was faster.
fn lost<T>(result: store::Result<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(
            Error::NoSuchImage(_)
            | Error::NoSuchLayer(_)
            | Error::RemoveConflict { .. }
            | Error::NoSuchContainerLayer(_),
        ) => None,
        Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
    }
}

fn layers(number: usize) -> Vec<Vec<u8>> {
    // All images share the first layer, pairs of them the second.
    vec![
        tar(&[file("base", "base")]),
        tar(&[file("middle", &(number / 2).to_string())]),
        tar(&[file("top", &number.to_string())]),
    ]
}

fn name(number: usize) -> Reference {
    format!("app{number}:v1").parse().unwrap()
}

fn load_again(store: &Store, number: usize) {
    let text = name(number).familiar();
    load(store, &docker_archive(&[&text], &layers(number), &number.to_string())).unwrap();
}

fn use_it(store: &Store, number: usize) {
    let Some(id) = lost(store.resolve(&name(number).familiar())) else { return };
    let container = ContainerId::from_bytes(std::array::from_fn(|_| fastrand()));
    if lost(store.create_layer(&container, Some(id))).is_none() {
        return;
    }
    // Whoever made it has it whole, whatever happens to the image.
    let found = store.with_rootfs(&container, |root| {
        rustix::fs::openat(root, c"top", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty()).is_ok()
    });
    assert!(found.unwrap(), "a layer is gone below a container");
    let lease = store.lease();
    if let Some(layer) = lost(store.commit_layer(&lease, &container)) {
        let child = store::ChildImage { parent: Some(id), comment: "c".to_owned(), ..store::ChildImage::default() };
        if let Some(made) = lost(store.put_child_image(&lease, layer.as_ref(), child)) {
            assert!(store.image(&made).is_ok(), "an image under a lease was pruned");
            lost(store.tag(&made, &"child:v1".parse().unwrap()));
        }
    }
    drop(lease);
    store.remove_layer(&container).unwrap();
}

fn fastrand() -> u8 {
    let mut byte = [0];
    rustix::rand::getrandom(&mut byte[..], rustix::rand::GetRandomFlags::empty()).unwrap();
    byte[0]
}

fn save_it(store: &Store, number: usize) {
    let mut bytes = Vec::new();
    if lost(store.save(&[name(number).familiar()], &SaveOptions::default(), &mut bytes)).is_some() {
        assert!(bytes.len() > 2048);
    }
}

fn prune(store: &Store) {
    let options = RemoveImage { force: false, prune_children: true, nameless: true, only: None };
    for image in store.images() {
        if image.repo_tags.is_empty() {
            lost(store.remove(&image.id.hex(), options, &no_one));
        }
    }
}

fn remember(store: &Store, number: usize) {
    let diff = store::DiffId(digest(&layers(number)[2]));
    let blob = KnownBlob {
        digest: digest(b"elsewhere"),
        size: 9,
        media_type: "application/vnd.oci.image.layer.v1.tar+gzip".to_owned(),
        repository: "example.com/app".to_owned(),
    };
    store.remember_blob(&diff, &blob).unwrap();
}

const FORCE: RemoveImage = RemoveImage { force: true, prune_children: true, nameless: false, only: None };
const PLAIN: RemoveImage = RemoveImage { force: false, prune_children: true, nameless: false, only: None };

type Work<'a> = Box<dyn Fn(usize) + Send + Sync + 'a>;

/// What is done over and over, one a thread.
fn works(store: &Store) -> Vec<Work<'_>> {
    vec![
        Box::new(|round| load_again(store, round % 4)),
        Box::new(|round| load_again(store, (round * 3) % 4)),
        Box::new(|round| use_it(store, round % 4)),
        Box::new(|round| save_it(store, round % 4)),
        Box::new(|round| drop(lost(store.remove(&name(round % 4).familiar(), PLAIN, &no_one)))),
        Box::new(|round| drop(lost(store.remove(&name((round * 3) % 4).familiar(), FORCE, &no_one)))),
        Box::new(|_| prune(store)),
        Box::new(|round| remember(store, round % 4)),
        Box::new(|round| {
            let lease = store.lease();
            store.put_layer(&lease, None, &mut &layers(round % 4)[0][..], &Expected::default()).unwrap();
        }),
        Box::new(|_| {
            // Work in progress is never taken for damage.
            let report = store.fsck(FsckOptions { deep: true, repair: true }, &|_| true).unwrap();
            let bad: Vec<_> = report.problems.iter().filter(|found| found.kind != ProblemKind::Orphan).collect();
            assert!(bad.is_empty(), "{bad:?}");
        }),
    ]
}

#[test]
fn pull_build_remove_prune_save_and_run_do_not_meet() {
    if !privileged() {
        return;
    }
    let fixture = Fixture::new();
    let store = fixture.open(DriverChoice::Auto);
    let (end, stop) = (Instant::now() + FOR, AtomicBool::new(false));
    let going = || Instant::now() < end && !stop.load(Ordering::Relaxed);
    let works = works(&store);
    std::thread::scope(|scope| {
        for work in &works {
            let (going, stop) = (&going, &stop);
            scope.spawn(move || {
                for round in 0.. {
                    if !going() {
                        break;
                    }
                    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(round)));
                    if done.is_err() {
                        stop.store(true, Ordering::Relaxed);
                    }
                    done.unwrap();
                }
            });
        }
    });
    // What is named exists, also for the next start.
    for image in store.images() {
        for reference in &image.repo_tags {
            assert_eq!(store.resolve(&reference.familiar()).unwrap(), image.id);
        }
    }
    drop(works);
    store.settle();
    let report = store.fsck(FsckOptions { deep: true, repair: false }, &|_| false).unwrap();
    assert!(report.problems.is_empty(), "{:#?}", report.problems);
    let known: Vec<_> = store.images().iter().map(|image| image.id).collect();
    drop(store);
    let store = fixture.open(DriverChoice::Auto);
    let again: Vec<_> = store.images().iter().map(|image| image.id).collect();
    assert_eq!(known, again, "the records say what was remembered");
    let images: Vec<_> = store.images();
    images.iter().for_each(|image| drop(lost(store.remove(&image.id.hex(), FORCE, &no_one))));
    images.iter().for_each(|image| drop(lost(store.remove(&image.id.hex(), FORCE, &no_one))));
    store.settle();
    assert!(store.images().is_empty());
    let report = store.fsck(FsckOptions { deep: true, repair: false }, &|_| false).unwrap();
    assert!(report.problems.is_empty() && report.layers == 0, "{report:#?}");
}
