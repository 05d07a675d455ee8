//! Pure: binds, `--mount`, `--tmpfs`, `--volumes-from` and the image's volumes become mount points.

use std::collections::BTreeMap;
use std::path::Path;

use super::plan::normalise;
use crate::error::{Error, Invalid};
use crate::id_mapping::Idmap;
use crate::model::{BindMount, ContainerConfig, HostConfig, MountPoint, MountRequest, MountRequestKind};

/// A mount point and what must happen before it exists.
#[derive(Debug)]
pub(super) struct MountPlan {
    /// As it will be stored; `source` of a volume is filled in when the volume is there.
    pub point: MountPoint,
    /// Labels of a volume that has to be created.
    pub labels: BTreeMap<String, String>,
    /// Driver that the volume is asked of; empty for whichever has it.
    pub driver: String,
    /// Driver options of a volume that has to be created.
    pub driver_options: BTreeMap<String, String>,
    /// Create the bind's source directory when it is missing.
    pub create_source: bool,
}

/// Collects all mount points; later kinds win over earlier ones only where Docker lets them.
///
/// `mounts_of` looks up another container's mount points.
///
/// # Errors
/// [`Error::Invalid`]; whatever `mounts_of` returns.
pub(super) fn plan(
    config: &ContainerConfig,
    host: &HostConfig,
    mounts_of: impl Fn(&str) -> Result<Vec<MountPoint>, Error>,
) -> Result<Vec<MountPlan>, Error> {
    let mut plans: Vec<MountPlan> = Vec::new();
    for entry in &host.volumes_from {
        let (name, mode) = entry.split_once(':').unwrap_or((entry, "rw"));
        for mut point in mounts_of(name)? {
            point.rw = match mode {
                "ro" => false,
                "rw" => point.rw,
                other => return Err(Invalid::MountMode(other.to_owned()).into()),
            };
            point.copy_up = false;
            point.mode.clear();
            let driver = point.driver.clone();
            replace(&mut plans, MountPlan { driver, ..plain(point) });
        }
    }
    let mut explicit: Vec<String> = Vec::new();
    for bind in &host.binds {
        claim(&mut explicit, &bind.destination)?;
        replace(&mut plans, MountPlan { driver: host.volume_driver.clone(), ..plan_bind(bind)? });
    }
    for request in &host.mounts {
        claim(&mut explicit, &request.target)?;
        replace(&mut plans, plan_request(request)?);
    }
    for (path, options) in &host.tmpfs {
        claim(&mut explicit, path)?;
        let words = options.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        replace(&mut plans, plain(tmpfs_point(&checked(path)?, words)));
    }
    for path in &config.volumes {
        let destination = checked(path)?;
        if !plans.iter().any(|plan| plan.point.destination == destination) {
            let point = MountPoint { mode: String::new(), ..volume_point("", &destination) };
            plans.push(MountPlan { driver: host.volume_driver.clone(), ..plain(point) });
        }
    }
    Ok(plans)
}

/// Refuses binds that would let a container write to what the engine keeps of images and containers. Volumes are theirs,
/// and everything may be read.
///
/// # Errors
/// [`Invalid::OwnDataRoot`].
pub(super) fn spare_data_root(plans: &[MountPlan], data_root: &Path) -> Result<(), Error> {
    let volumes = data_root.join("volumes");
    for point in plans.iter().map(|plan| &plan.point).filter(|point| point.kind == "bind" && point.rw) {
        let source = Path::new(&point.source);
        if source.starts_with(data_root) && !source.starts_with(&volumes) {
            return Err(Invalid::OwnDataRoot(point.source.clone()).into());
        }
    }
    Ok(())
}

fn plan_bind(bind: &BindMount) -> Result<MountPlan, Error> {
    let destination = checked(&bind.destination)?;
    let is_bind = bind.source.starts_with('/');
    let mut point = if is_bind {
        bind_point(&normalise(&bind.source), &destination)
    } else {
        volume_point(&bind.source, &destination)
    };
    // Docker gives named volumes that say nothing else the mode for shared SELinux labels.
    if is_bind || !bind.mode.is_empty() {
        point.mode.clone_from(&bind.mode);
    }
    for word in bind.mode.split(',').filter(|word| !word.is_empty()) {
        match word {
            "rw" => point.rw = true,
            "ro" => point.rw = false,
            // SELinux relabelling and macOS consistency mean nothing here, as in Docker on this host.
            "z" | "Z" | "consistent" | "cached" | "delegated" => {}
            "nocopy" if !is_bind => point.copy_up = false,
            "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave" if is_bind => {
                word.clone_into(&mut point.propagation);
            }
            // The map itself is made by `start`, which knows the users.
            _ if is_bind && Idmap::parse(word)?.is_some() => point.options.push(word.to_owned()),
            _ => return Err(Invalid::MountMode(bind.mode.clone()).into()),
        }
    }
    Ok(MountPlan { create_source: is_bind, ..plain(point) })
}

fn plan_request(request: &MountRequest) -> Result<MountPlan, Error> {
    let destination = checked(&request.target)?;
    let mut point = match request.kind {
        MountRequestKind::Bind => {
            if !request.create_source && !Path::new(&request.source).exists() {
                return Err(Invalid::BindSource(request.source.clone()).into());
            }
            let mut point = bind_point(&normalise(&request.source), &destination);
            if !request.propagation.is_empty() {
                point.propagation.clone_from(&request.propagation);
            }
            if request.non_recursive {
                point.options.push("bind".to_owned());
            }
            // Words that only `start` reads: the recursion of `ro`.
            if request.read_only_non_recursive {
                point.options.push("ro-non-recursive".to_owned());
            }
            if request.read_only_force_recursive {
                point.options.push("ro-force-recursive".to_owned());
            }
            point
        }
        MountRequestKind::Volume => volume_point(&request.source, &destination),
        MountRequestKind::Image => image_point(&request.source, &destination),
        MountRequestKind::Tmpfs => {
            let mut options = Vec::new();
            if request.tmpfs_size > 0 {
                options.push(format!("size={}", request.tmpfs_size));
            }
            if request.tmpfs_mode > 0 {
                options.push(format!("mode={:o}", request.tmpfs_mode));
            }
            options.extend(request.tmpfs_options.iter().map(|words| words.join("=")));
            tmpfs_point(&destination, options)
        }
    };
    point.rw = !request.read_only && request.kind != MountRequestKind::Image;
    point.copy_up &= !request.no_copy;
    point.subpath.clone_from(&request.subpath);
    Ok(MountPlan {
        point,
        labels: request.labels.clone(),
        driver: request.driver.clone(),
        driver_options: request.driver_options.clone(),
        create_source: request.create_source,
    })
}

fn bind_point(source: &str, destination: &str) -> MountPoint {
    MountPoint {
        kind: "bind".to_owned(),
        name: String::new(),
        source: source.to_owned(),
        destination: destination.to_owned(),
        driver: String::new(),
        mode: String::new(),
        rw: true,
        propagation: "rprivate".to_owned(),
        anonymous: false,
        copy_up: false,
        options: Vec::new(),
        subpath: String::new(),
        image: None,
    }
}

/// Which image it is, is found out when the plan is carried out.
fn image_point(name: &str, destination: &str) -> MountPoint {
    MountPoint { kind: "image".to_owned(), name: name.to_owned(), rw: false, ..bind_point("", destination) }
}

fn volume_point(name: &str, destination: &str) -> MountPoint {
    MountPoint {
        kind: "volume".to_owned(),
        name: name.to_owned(),
        driver: "local".to_owned(),
        // Docker reports `z` for every volume it mounts by name.
        mode: "z".to_owned(),
        propagation: String::new(),
        anonymous: name.is_empty(),
        copy_up: true,
        ..bind_point("", destination)
    }
}

fn tmpfs_point(destination: &str, options: Vec<String>) -> MountPoint {
    MountPoint { kind: "tmpfs".to_owned(), propagation: String::new(), options, ..bind_point("", destination) }
}

fn plain(point: MountPoint) -> MountPlan {
    let (labels, driver_options) = (BTreeMap::new(), BTreeMap::new());
    MountPlan { point, labels, driver: String::new(), driver_options, create_source: false }
}

/// A destination that can be mounted on.
fn checked(destination: &str) -> Result<String, Error> {
    if !destination.starts_with('/') {
        return Err(Invalid::MountPath(destination.to_owned()).into());
    }
    match normalise(destination) {
        root if root == "/" => Err(Invalid::MountRoot.into()),
        path => Ok(path),
    }
}

/// Two explicit mounts at one place contradict each other; one that hides an inherited mount does not.
fn claim(explicit: &mut Vec<String>, destination: &str) -> Result<(), Error> {
    let destination = normalise(destination);
    if explicit.contains(&destination) {
        return Err(Invalid::DuplicateMount(destination).into());
    }
    explicit.push(destination);
    Ok(())
}

fn replace(plans: &mut Vec<MountPlan>, plan: MountPlan) {
    plans.retain(|other| other.point.destination != plan.point.destination);
    plans.push(plan);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(source: &str, destination: &str, mode: &str) -> BindMount {
        BindMount { source: source.to_owned(), destination: destination.to_owned(), mode: mode.to_owned() }
    }

    fn planned(binds: Vec<BindMount>) -> Result<Vec<MountPlan>, Error> {
        let mut config = ContainerConfig::default();
        config.volumes.insert("/data".to_owned());
        let host = HostConfig { binds, ..HostConfig::default() };
        plan(&config, &host, |_| Ok(Vec::new()))
    }

    #[test]
    fn a_named_volume_replaces_the_images_anonymous_one() {
        let plans = planned(vec![bind("db", "/data/", "ro")]).expect("valid");
        let [only] = plans.as_slice() else { panic!("{plans:?}") };
        assert_eq!((only.point.name.as_str(), only.point.rw, only.point.anonymous), ("db", false, false));
    }

    #[test]
    fn the_engines_own_files_are_only_read() {
        let check = |source: &str, mode: &str| {
            let plans = planned(vec![bind(source, "/x", mode)]).expect("valid");
            spare_data_root(&plans, Path::new("/var/lib/gantry")).is_ok()
        };
        assert!(!check("/var/lib/gantry", "") && !check("/var/lib/x/../gantry/overlay2/", "rw"));
        assert!(
            check("/var/lib/gantry", "ro") && check("/var/lib/gantry/volumes", "") && check("/var/lib/gantry2", "")
        );
        assert!(check("/", ""));
    }

    #[test]
    fn image_volumes_are_anonymous() {
        let plans = planned(vec![bind("/src", "/other", "rslave,ro")]).expect("valid");
        assert_eq!(plans.len(), 2);
        assert_eq!(plans[0].point.propagation, "rslave");
        assert!(plans[0].create_source && plans[1].point.anonymous);
    }

    #[test]
    fn nonsense_is_refused() {
        for (bad, text) in [
            (vec![bind("/a", "/", "")], "invalid specification: destination can't be '/'"),
            (vec![bind("/a", "b", "")], "invalid mount path: 'b' mount path must be absolute"),
            (vec![bind("/a", "/b", "rx")], "invalid mode: rx"),
            (vec![bind("/a", "/b", ""), bind("/c", "/b/.", "")], "Duplicate mount point: /b"),
        ] {
            assert_eq!(planned(bad).map_err(|error| error.to_string()).err().as_deref(), Some(text));
        }
    }
}
