//! Images that are mounted into a container. Their layers are mounted together with the root file system, at places in
//! the run directory that only the container's mount namespace sees filled; from there they are bound.

use std::path::PathBuf;

use store::ChainId;

use crate::engine::Engine;
use crate::error::Error;
use crate::model::ContainerSpec;

/// An image's place before it is bound into the container.
#[derive(Debug)]
pub(super) struct StagedImage {
    /// Where the container sees it.
    pub destination: String,
    /// An empty directory on the host.
    pub place: PathBuf,
    /// An empty directory for good.
    empty: PathBuf,
    /// What is mounted at the place; `None` for an image without files.
    pub mount: Option<types::Mount>,
}

/// Decides on the places; nothing is made.
pub(super) fn stage(engine: &Engine, spec: &ContainerSpec) -> Result<Vec<StagedImage>, Error> {
    let run = engine.paths.run(&spec.id);
    let mut staged = Vec::new();
    for point in &spec.mounts {
        let Some(image) = &point.image else { continue };
        let number = staged.len();
        let (place, empty) = (run.join(format!("image-{number}")), run.join(format!("image-{number}-empty")));
        let mount = engine.store.image_mount(image.top.map(ChainId), &place, &empty)?;
        staged.push(StagedImage { destination: point.destination.clone(), place, empty, mount });
    }
    Ok(staged)
}

/// Makes the places, in a run directory that is there.
pub(super) fn make_places(staged: &[StagedImage]) -> Result<(), Error> {
    let mut directories = staged.iter().flat_map(|image| [&image.place, &image.empty]);
    directories.try_for_each(|directory| std::fs::create_dir(directory).map_err(Error::file("create", directory)))
}

/// Puts the images' mounts before the root's own, which stays the last. With `map` the ids of plain copies are mapped;
/// overlays lie on layers that are.
pub(super) fn insert(staged: &[StagedImage], map: bool, rootfs: &mut Vec<types::Mount>) {
    let own = rootfs.iter().rposition(|mount| mount.kind == "overlay").unwrap_or(rootfs.len());
    let mounts = staged.iter().filter_map(|image| image.mount.clone()).map(|mut mount| {
        if map && mount.kind == "bind" {
            mount.options.push("idmap".to_owned());
        }
        mount
    });
    rootfs.splice(own..own, mounts);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roots_own_mount_stays_the_last() {
        let mount = |kind: &str, destination: &str| types::Mount {
            destination: destination.to_owned(),
            kind: kind.to_owned(),
            source: String::new(),
            options: Vec::new(),
        };
        let image = |mount| StagedImage {
            destination: "/image".to_owned(),
            place: "/run/0".into(),
            empty: "/run/1".into(),
            mount: Some(mount),
        };
        let mut rootfs = vec![mount("bind", "/layers"), mount("overlay", "/merged")];
        insert(&[image(mount("overlay", "/run/0"))], true, &mut rootfs);
        let places: Vec<&str> = rootfs.iter().map(|mount| mount.destination.as_str()).collect();
        assert_eq!(places, ["/layers", "/run/0", "/merged"]);
        let mut vfs = Vec::new();
        insert(&[image(mount("bind", "/run/0"))], true, &mut vfs);
        assert_eq!(vfs[0].options, ["idmap"]);
    }
}
