//! A container's files as it would see them, for whoever reads or writes them while it does not run: its root file
//! system with its volumes on top, mounted where nobody else sees it.

use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount, mount_bind, mount_bind_recursive, mount_remount};
use types::ContainerId;

use crate::driver::{self, Driver};
use crate::{ChainId, Error, Result, Scratch, Store};

/// Something mounted on top of the root file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewMount {
    /// What appears.
    pub source: ViewSource,
    /// The part of it that does; empty for all.
    pub subpath: String,
    /// Absolute in the container.
    pub destination: String,
    /// Whether it cannot be written.
    pub read_only: bool,
}

/// Where something mounted comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ViewSource {
    /// A path of the host.
    Path(PathBuf),
    /// A volume, by name.
    Volume(String),
    /// An image, by its topmost layer; one without layers is empty.
    Image(Option<ChainId>),
}

/// What is done with a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only read: the container may start meanwhile, and its layer stays as it is.
    Read,
    /// Written too: the container must not start meanwhile.
    Write,
}

/// Links are followed as the container would follow them, and none leads out of it.
pub(crate) const IN_CONTAINER: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

impl Store {
    /// Runs `work` with a descriptor of the root of a container that does not run. `mounts` are ordered so that none
    /// hides another. Nothing is seen of the mounts outside, and they end with the work, however it ends.
    ///
    /// # Errors
    /// [`Error::NoSuchContainerLayer`], a source that is not there, or the kernel's refusal to mount.
    pub fn with_view<T: Send>(
        &self,
        container: &ContainerId,
        access: Access,
        mounts: &[ViewMount],
        work: impl FnOnce(BorrowedFd<'_>) -> T + Send,
    ) -> Result<T> {
        let layer = self.container_layer(container)?;
        let layers = self.0.paths.layers();
        let id = &layer.slot.id;
        // Places for mounts may have to be made; in a view for reading they must not appear in the container.
        let scratch = match access {
            Access::Read if self.0.driver == Driver::Overlay2 && !mounts.is_empty() => Some(self.scratch("view")?),
            _ => None,
        };
        let volumes = mounts.iter().filter_map(|mount| match &mount.source {
            ViewSource::Volume(name) => Some(self.use_volume(name)),
            _ => None,
        });
        let _uses = volumes.collect::<Result<Vec<_>>>()?;
        let (sources, stages) = self.stage(mounts)?;
        let below = format!("lowerdir={id}/diff:{}", layer.slot.lower);
        let options = match (&scratch, access) {
            (Some(scratch), _) => {
                for name in ["upper", "work"] {
                    driver::make_directory(&scratch.path().join(name), 0o755)?;
                }
                format!("{below},upperdir={0}/upper,workdir={0}/work", scratch.path().display())
            }
            (None, Access::Read) => below,
            (None, Access::Write) => format!("lowerdir={},upperdir={id}/diff,workdir={id}/work", layer.slot.lower),
        };
        let failed = |source: Errno| Error::io("mount a view of", layers, source);
        let options = CString::new(options).map_err(|_| failed(Errno::INVAL))?;
        // Any directory will do as a mount point that nothing here comes from.
        let point = self.0.paths.layer_records_tmp();
        sys::private_mounts::with_private_mounts(|| {
            rustix::process::chdir(layers).map_err(failed)?;
            match self.0.driver {
                Driver::Overlay2 => mount("overlay", &point, "overlay", MountFlags::empty(), options.as_c_str()),
                Driver::Vfs => mount_bind(id.as_str(), &point),
            }
            .map_err(failed)?;
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let root = rustix::fs::openat(CWD, &point, flags, Mode::empty()).map_err(failed)?;
            stages.iter().try_for_each(|stage| stage.mount(layers))?;
            for (mount, source) in mounts.iter().zip(&sources) {
                attach(root.as_fd(), mount, source)?;
            }
            Ok(work(root.as_fd()))
        })
        .map_err(|source| Error::io("unshare mounts for", layers, source))?
    }

    /// Where the mounts come from, on the host or, for images, in places that are filled in the private namespace.
    fn stage(&self, mounts: &[ViewMount]) -> Result<(Vec<PathBuf>, Vec<Stage>)> {
        let mut stages = Vec::new();
        let source = |mount: &ViewMount| match &mount.source {
            ViewSource::Path(path) => Ok(path.clone()),
            ViewSource::Volume(name) => Ok(self.volume(name)?.mountpoint),
            ViewSource::Image(top) => {
                let scratch = self.scratch("image")?;
                let (place, empty) = (scratch.path().join("root"), scratch.path().join("empty"));
                driver::make_directory(&place, 0o755)?;
                driver::make_directory(&empty, 0o755)?;
                let mount = self.image_mount(*top, &place, &empty)?;
                stages.push(Stage { _scratch: scratch, place: place.clone(), mount });
                Ok(place)
            }
        };
        Ok((mounts.iter().map(source).collect::<Result<_>>()?, stages))
    }
}

/// An image's files, mounted in a namespace of our own.
struct Stage {
    /// Removed when the view has ended, and with it what was mounted there.
    _scratch: Scratch,
    place: PathBuf,
    mount: Option<types::Mount>,
}

// === impl Stage ===

impl Stage {
    /// From the directory of all layers: their full names might be too long together.
    fn mount(&self, layers: &Path) -> Result<()> {
        let Some(step) = &self.mount else { return Ok(()) };
        let failed = |source: Errno| Error::io("mount", &self.place, source);
        if step.kind == "bind" {
            return mount_bind(&step.source, &self.place).map_err(failed);
        }
        let prefix = format!("{}/", layers.display());
        let lower = step.options.iter().find(|option| option.starts_with("lowerdir="));
        let lower = lower.map(|option| option.replace(&prefix, "")).unwrap_or_default();
        let lower = CString::new(lower).map_err(|_| failed(Errno::INVAL))?;
        mount("overlay", &self.place, "overlay", MountFlags::RDONLY, lower.as_c_str()).map_err(failed)
    }
}

fn attach(root: BorrowedFd<'_>, mount: &ViewMount, source: &Path) -> Result<()> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let source = crate::subpath::open_below(source, &mount.subpath)?;
    let failed = |source| Error::io("mount", &mount.destination, source);
    let stat = rustix::fs::fstat(&source).map_err(failed)?;
    let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    let destination = Path::new(&mount.destination);
    let target = place(root, destination, is_directory).map_err(failed)?;
    mount_bind_recursive(descriptor(&source), descriptor(&target)).map_err(failed)?;
    if mount.read_only {
        // The descriptor at hand is of what the mount has just hidden.
        let mounted = rustix::fs::openat2(root, destination, flags, Mode::empty(), IN_CONTAINER).map_err(failed)?;
        mount_remount(descriptor(&mounted), MountFlags::BIND | MountFlags::RDONLY, c"").map_err(failed)?;
    }
    Ok(())
}

fn descriptor(fd: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

/// Opens the place of a mount, which is made when it is not there.
fn place(root: BorrowedFd<'_>, path: &Path, is_directory: bool) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let open = |path: &Path| rustix::fs::openat2(root, path, flags, Mode::empty(), IN_CONTAINER);
    match open(path) {
        Err(Errno::NOENT) => {}
        found => return found,
    }
    let mut parent = open(Path::new("/"))?;
    let mut so_far = PathBuf::from("/");
    let count = path.components().count();
    for (number, component) in path.components().enumerate() {
        let Component::Normal(name) = component else { continue };
        so_far.push(name);
        parent = match open(&so_far) {
            Err(Errno::NOENT) => {
                make(parent.as_fd(), name, is_directory || number + 1 < count)?;
                open(&so_far)?
            }
            found => found?,
        };
    }
    Ok(parent)
}

fn make(parent: BorrowedFd<'_>, name: &OsStr, is_directory: bool) -> Result<(), Errno> {
    let name = CString::new(name.as_bytes()).map_err(|_| Errno::INVAL)?;
    let made = if is_directory {
        rustix::fs::mkdirat(parent, &name, Mode::from_raw_mode(0o755))
    } else {
        rustix::fs::mknodat(parent, &name, FileType::RegularFile, Mode::from_raw_mode(0o644), 0)
    };
    if made == Err(Errno::EXIST) { Ok(()) } else { made }
}
