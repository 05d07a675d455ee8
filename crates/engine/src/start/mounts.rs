//! The container's mounts, in the order in which they are made.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use runtime::spec::{Mount, defaults};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::observe::Observed;
use super::oci::Sources;
use super::{remap, security};
use crate::engine::Engine;
use crate::error::Error;
use crate::model::{ContainerSpec, HostConfig, MountPoint, NamespaceMode};
use crate::undo::Undo;

/// Where the init of `--init` appears; Docker's place.
pub(super) const INIT_PATH: &str = "/sbin/docker-init";

/// All mounts but the root file system. Pure.
pub(super) fn plan(spec: &ContainerSpec, observed: &Observed, sources: &Sources<'_>) -> Vec<Mount> {
    let files = sources.files;
    let own: BTreeMap<&str, &MountPoint> =
        spec.mounts.iter().map(|point| (point.destination.as_str(), point)).collect();
    let mut mounts = system_mounts(&spec.host, sources.shm, observed.remap.is_some());
    mounts.retain(|mount| !own.contains_key(mount.destination.to_string_lossy().as_ref()));
    for (destination, source) in
        [("/etc/resolv.conf", &files.resolv_conf), ("/etc/hostname", &files.hostname), ("/etc/hosts", &files.hosts)]
    {
        if !own.contains_key(destination) {
            mounts.push(bind(source, destination, &["rbind", "rprivate"]));
        }
    }
    if let Some(init) = &observed.init {
        mounts.push(bind(Path::new(init), INIT_PATH, &["bind", "ro"]));
    }
    // Sorted by depth, so that no mount hides another one below it.
    let mut points: Vec<&MountPoint> = spec.mounts.iter().collect();
    points.sort_by_key(|point| Path::new(&point.destination).components().count());
    let staged = |point: &MountPoint| {
        if point.kind == "volume" {
            return sources.volumes.get(&point.name).map(|place| place.display().to_string());
        }
        let image = sources.images.iter().find(|image| image.destination == point.destination);
        image.map(|image| image.place.display().to_string())
    };
    mounts.extend(points.into_iter().map(|point| mapped(point, observed, from_point(point, staged(point)))));
    if observed.remap.is_some() {
        remap::map_owners(spec, &mut mounts);
    }
    mounts
}

/// Docker's propagation of the root: what the widest mount needs.
pub(super) fn root_propagation(spec: &ContainerSpec) -> &'static str {
    let has = |word: &str| spec.mounts.iter().any(|point| point.propagation.ends_with(word));
    if has("shared") {
        "shared"
    } else if has("slave") {
        "rslave"
    } else {
        "rprivate"
    }
}

fn system_mounts(host: &HostConfig, shm: Option<&Path>, remapped: bool) -> Vec<Mount> {
    let size = if host.shm_size == 0 { 64 << 20 } else { host.shm_size };
    let mut mounts = defaults::mounts(size);
    for mount in &mut mounts {
        let destination = mount.destination.to_string_lossy().into_owned();
        let writable = match destination.as_str() {
            "/sys" => host.privileged,
            "/sys/fs/cgroup" => host.privileged || security::writable_cgroups(host),
            _ => false,
        };
        if writable {
            mount.options.retain(|option| option != "ro");
            mount.options.push("rw".to_owned());
        }
        if let Some(shared) = shm.filter(|_| destination == "/dev/shm") {
            *mount = bind(shared, "/dev/shm", &["rbind", "rprivate"]);
        }
        // A new mount shows the host's own objects too, but only the owner of its namespace may make one.
        if destination == "/dev/mqueue" && remapped && matches!(host.ipc_mode, NamespaceMode::Host) {
            *mount = bind(Path::new("/dev/mqueue"), "/dev/mqueue", &["rbind", "nosuid", "noexec", "nodev"]);
        }
    }
    if matches!(host.ipc_mode, NamespaceMode::None) {
        mounts.retain(|mount| mount.destination != Path::new("/dev/shm"));
    }
    mounts
}

/// `staged` is where the image or volume is that the point shows.
fn from_point(point: &MountPoint, staged: Option<String>) -> Mount {
    let access = if point.rw { "rw" } else { "ro" };
    match point.kind.as_str() {
        "tmpfs" => {
            let mut options = vec!["noexec", "nosuid", "nodev", access];
            for word in &point.options {
                // The user's words win over the defaults they contradict.
                let opposite = ["exec", "suid", "dev", "ro", "rw"].contains(&word.as_str());
                options.retain(|option| !opposite || option.trim_start_matches("no") != word.trim_start_matches("no"));
                options.push(word);
            }
            Mount {
                destination: PathBuf::from(&point.destination),
                kind: "tmpfs".to_owned(),
                source: "tmpfs".to_owned(),
                options: options.into_iter().map(str::to_owned).collect(),
                ..Mount::default()
            }
        }
        _ => {
            let recursive = if point.options.iter().any(|option| option == "bind") { "bind" } else { "rbind" };
            let propagation = if point.propagation.is_empty() { "rprivate" } else { &point.propagation };
            let mut options = vec![recursive, access, propagation];
            if !point.rw && point.kind == "bind" && reads_only_below(point, security::kernel()) {
                options.push("rro");
            }
            let source = staged.unwrap_or_else(|| point.source.clone());
            Mount { subpath: point.subpath.clone(), ..bind(Path::new(&source), &point.destination, &options) }
        }
    }
}

/// With the ids that the point asks for.
fn mapped(point: &MountPoint, observed: &Observed, mount: Mount) -> Mount {
    let Some((idmap, owner)) = point.idmap().zip(observed.source_owners.get(&point.destination)) else { return mount };
    let user = (observed.user.uid, observed.user.gid);
    let host = observed.remap.map(|remap| [(remap.uid, remap.size), (remap.gid, remap.size)]);
    let [uid_mappings, gid_mappings] = idmap.maps(*owner, user, host);
    let options = mount.options.into_iter().chain(["idmap".to_owned()]).collect();
    Mount { options, uid_mappings, gid_mappings, ..mount }
}

/// Whether what is mounted below a read-only bind becomes read-only too: Docker's default since API 1.44, where the
/// kernel can (5.12). When it must and the kernel cannot, the mount fails with the kernel's word.
fn reads_only_below(point: &MountPoint, kernel: (u32, u32)) -> bool {
    let has = |word: &str| point.options.iter().any(|option| option == word);
    has("ro-force-recursive") || (kernel >= (5, 12) && !has("ro-non-recursive") && !has("bind"))
}

fn bind(source: &Path, destination: &str, options: &[&str]) -> Mount {
    Mount {
        destination: PathBuf::from(destination),
        kind: "bind".to_owned(),
        source: source.display().to_string(),
        options: options.iter().map(|&option| option.to_owned()).collect(),
        ..Mount::default()
    }
}

/// The directory that `/dev/shm` is bound from: the host's, another container's, or one made for sharing.
/// `None`: the container gets a tmpfs of its own.
pub(super) fn shared_memory(engine: &Engine, spec: &ContainerSpec, undo: &mut Undo) -> Result<Option<PathBuf>, Error> {
    match &spec.host.ipc_mode {
        NamespaceMode::Host => Ok(Some(PathBuf::from("/dev/shm"))),
        NamespaceMode::Container(name) => {
            let other = engine.containers.find(name)?;
            Ok(Some(match other.spec.host.ipc_mode {
                NamespaceMode::Host => PathBuf::from("/dev/shm"),
                _ => engine.paths.shared_memory(&other.spec.id),
            }))
        }
        NamespaceMode::Shareable => {
            let path = engine.paths.shared_memory(&spec.id);
            std::fs::create_dir_all(&path).map_err(Error::file("create", &path))?;
            release_shared_memory(&path)?;
            let size = if spec.host.shm_size == 0 { 64 << 20 } else { spec.host.shm_size };
            let flags = MountFlags::NOSUID | MountFlags::NOEXEC | MountFlags::NODEV;
            let data = std::ffi::CString::new(format!("mode=1777,size={size}")).unwrap_or_default();
            mount("shm", &path, "tmpfs", flags, data.as_c_str())
                .map_err(|error| Error::file("mount shared memory at", &path)(error.into()))?;
            undo.push({
                let path = path.clone();
                move || release_shared_memory(&path)
            });
            Ok(Some(path))
        }
        _ => Ok(None),
    }
}

/// Unmounts what [`shared_memory`] mounted; nothing there is fine.
pub(crate) fn release_shared_memory(path: &Path) -> Result<(), Error> {
    match unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
        Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => Ok(()),
        Err(error) => Err(Error::file("unmount", path)(error.into())),
    }
}
