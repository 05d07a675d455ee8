//! Storage drivers: directories of layers and how they become a root file system.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, IFlags, Mode, OFlags, makedev};
use types::LayerId;

use crate::paths::Paths;
use crate::sweep::Sweeper;
use crate::{DriverChoice, Error, Result};

/// How layers are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    Overlay2,
    Vfs,
}

/// The directory that holds one layer, and what the layers above it need to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Name of the directory.
    pub(crate) id: String,
    /// Short link of `diff`; empty with vfs.
    pub(crate) link: String,
    /// Short links of all layers below, topmost first, as the `lower` file has them; empty for a base layer.
    pub(crate) lower: String,
}

impl Slot {
    /// What goes into the `lower` file of a layer on top of this one.
    pub(crate) fn lower_of_child(&self) -> String {
        match (self.link.is_empty(), self.lower.is_empty()) {
            (true, _) => String::new(),
            (false, true) => format!("l/{}", self.link),
            (false, false) => format!("l/{}:{}", self.link, self.lower),
        }
    }
}

impl Driver {
    /// Decides on a driver for a data root.
    pub(crate) fn choose(root: &Path, choice: DriverChoice) -> Result<Self> {
        let used = |driver: &str| root.join("image").join(driver).join("repositories.json").exists();
        match choice {
            DriverChoice::Vfs => Ok(Self::Vfs),
            DriverChoice::Auto if used("overlay2") => Ok(Self::Overlay2),
            DriverChoice::Auto if used("vfs") => Ok(Self::Vfs),
            DriverChoice::Auto if overlay_works(root) => Ok(Self::Overlay2),
            DriverChoice::Auto => {
                tracing::warn!(root = %root.display(), "overlay cannot be mounted here, using vfs");
                Ok(Self::Vfs)
            }
            DriverChoice::Overlay2 if used("overlay2") || overlay_works(root) => Ok(Self::Overlay2),
            DriverChoice::Overlay2 => Err(Error::OverlayUnavailable(root.to_owned())),
        }
    }

    /// The driver that a data root was used with; `None` when it was not used.
    pub(crate) fn of_data_root(root: &Path, choice: DriverChoice) -> Option<Self> {
        let all = match choice {
            DriverChoice::Auto => &[Self::Overlay2, Self::Vfs][..],
            DriverChoice::Overlay2 => &[Self::Overlay2],
            DriverChoice::Vfs => &[Self::Vfs],
        };
        let used = |driver: &&Self| root.join("image").join(driver.name()).join("repositories.json").exists();
        all.iter().find(used).copied()
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Overlay2 => "overlay2",
            Self::Vfs => "vfs",
        }
    }

    /// Makes the empty directory of a new layer. With vfs the caller fills it from the parent.
    pub(crate) fn make(self, paths: &Paths, id: &str, lower: String) -> Result<Slot> {
        let directory = paths.layer(id);
        if self == Self::Vfs {
            make_directory(&directory, 0o755)?;
            return Ok(Slot { id: id.to_owned(), ..Slot::default() });
        }
        let link = random_link();
        make_directory(&directory, 0o710)?;
        // Its mode is that of the container's root, whatever the umask of the daemon.
        make_directory_all(&directory.join("diff"), 0o755)?;
        write(&directory.join("link"), link.as_bytes())?;
        let short = paths.links().join(&link);
        rustix::fs::symlink(format!("../{id}/diff"), &short).map_err(|source| Error::io("symlink", &short, source))?;
        let mut slot = Slot { id: id.to_owned(), link, lower: String::new() };
        self.set_lower(paths, &mut slot, lower)?;
        Ok(slot)
    }

    /// Says what a layer that lies on nothing lies on from now on. With vfs there is nothing to say.
    pub(crate) fn set_lower(self, paths: &Paths, slot: &mut Slot, lower: String) -> Result<()> {
        if lower.is_empty() {
            return Ok(());
        }
        let directory = paths.layer(&slot.id);
        write(&directory.join("lower"), lower.as_bytes())?;
        make_directory(&directory.join("work"), 0o700)?;
        slot.lower = lower;
        Ok(())
    }

    /// Reads back what [`Driver::make`] wrote.
    pub(crate) fn read(self, paths: &Paths, id: &str) -> Result<Slot> {
        if self == Self::Vfs {
            return Ok(Slot { id: id.to_owned(), ..Slot::default() });
        }
        let directory = paths.layer(id);
        let text = |name: &str| {
            let path = directory.join(name);
            fs::read_to_string(&path).map_err(|source| Error::io("read", &path, source))
        };
        let lower = if directory.join("lower").exists() { text("lower")? } else { String::new() };
        let link = text("link")?;
        if !is_link(&link) {
            let what = directory.join("link").display().to_string();
            return Err(Error::Document { what, reason: format!("{link:?} is not a link's name") });
        }
        Ok(Slot { id: id.to_owned(), link, lower })
    }

    /// Removes a layer's directory and its short link behind the answer. What is not there is no error.
    pub(crate) fn remove(self, paths: &Paths, sweeper: &Sweeper, id: &str) -> Result<()> {
        sweeper.take(&self.parts(paths, id))
    }

    /// A layer's directory and its short link (whose target is too long for an inode, so that it has a block).
    pub(crate) fn parts(self, paths: &Paths, id: &str) -> Vec<PathBuf> {
        let directory = paths.layer(id);
        let link = match self {
            // A container's `-init` layer leads to the one for all, whose link stays.
            Self::Overlay2 if directory.is_symlink() => None,
            // An empty one, of a layer that a kill left half-made, would name the directory of all links.
            Self::Overlay2 => fs::read_to_string(directory.join("link")).ok().filter(|link| is_link(link)),
            Self::Vfs => None,
        };
        std::iter::once(directory).chain(link.map(|link| paths.links().join(link))).collect()
    }

    /// Where a layer's own files are.
    pub(crate) fn diff(self, paths: &Paths, id: &str) -> PathBuf {
        match self {
            Self::Overlay2 => paths.layer(id).join("diff"),
            Self::Vfs => paths.layer(id),
        }
    }
}

/// Prepares the driver's own directory.
pub(crate) fn prepare(driver: Driver, paths: &Paths) -> Result<()> {
    match driver {
        Driver::Overlay2 => {
            make_directory_all(paths.layers(), 0o710)?;
            make_directory_all(&paths.links(), 0o755)?;
            spread(paths.layers());
            backing_device(paths.root(), paths.layers())
        }
        Driver::Vfs => make_directory_all(paths.layers(), 0o710),
    }
}

/// Says that what lies in a directory has nothing to do with one another (ext4(5), `chattr +T`): each layer then gets a
/// part of the disk of its own. Otherwise the files of a new layer go where those of a removed one were, and ext4
/// without a journal looks at every inode that was freed within the last minutes before it takes one.
fn spread(directory: &Path) {
    let set = open_directory(directory).and_then(|opened| {
        rustix::fs::ioctl_getflags(&opened)
            .and_then(|flags| rustix::fs::ioctl_setflags(&opened, flags | IFlags::TOPDIR))
            .map_err(|source| Error::io("chattr", directory, source))
    });
    if let Err(error) = set {
        tracing::debug!(%error, "layers are not spread");
    }
}

/// The device node that quota code expects; of no use without device nodes, so a refusal is no failure.
pub(crate) fn backing_device(root: &Path, directory: &Path) -> Result<()> {
    let path = directory.join("backingFsBlockDev");
    if path.symlink_metadata().is_ok() {
        return Ok(());
    }
    let stat = rustix::fs::stat(root).map_err(|source| Error::io("stat", root, source))?;
    let device = makedev(rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
    if let Err(error) = rustix::fs::mknodat(CWD, &path, FileType::BlockDevice, Mode::from_raw_mode(0o600), device) {
        tracing::debug!(path = %path.display(), %error, "no block device node");
    }
    Ok(())
}

/// Mounts an overlay where nobody sees it.
fn overlay_works(root: &Path) -> bool {
    let probe = root.join(format!("check-overlayfs-support{}", std::process::id()));
    let tried = (|| -> std::io::Result<()> {
        for name in ["lower1", "lower2", "upper", "work", "merged"] {
            fs::create_dir_all(probe.join(name))?;
        }
        sys::private_mounts::with_private_mounts(|| -> std::io::Result<()> {
            rustix::process::chdir(&probe)?;
            let options = c"lowerdir=lower2:lower1,upperdir=upper,workdir=work";
            Ok(rustix::mount::mount("overlay", "merged", "overlay", rustix::mount::MountFlags::empty(), options)?)
        })?
    })();
    let _ = fs::remove_dir_all(&probe);
    if let Err(error) = &tried {
        tracing::info!(root = %root.display(), %error, "overlay cannot be mounted");
    }
    tried.is_ok()
}

/// A new identifier of 64 hexadecimal digits.
pub(crate) fn random_id() -> String {
    LayerId::from_bytes(random()).to_string()
}

/// 26 characters of RFC 4648's base 32, short enough that 125 of them fit on a page.
fn random_link() -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    random::<26>().iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
}

/// Whether a text has the form of [`random_link`].
pub(crate) fn is_link(text: &str) -> bool {
    text.len() == 26 && text.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7'))
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // At most 256 bytes once the kernel's generator is seeded come whole (getrandom(2)).
    while rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty()).is_err() {}
    bytes
}

pub(crate) fn make_directory(path: &Path, mode: u32) -> Result<()> {
    rustix::fs::mkdir(path, Mode::from_raw_mode(mode)).map_err(|source| Error::io("mkdir", path, source))
}

/// Makes a directory and those above it; the mode is set on the last one even when it was there.
pub(crate) fn make_directory_all(path: &Path, mode: u32) -> Result<()> {
    fs::create_dir_all(path)
        .and_then(|()| fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)))
        .map_err(|source| Error::io("mkdir", path, source))
}

pub(crate) fn open_directory(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(|source| Error::io("open", path, source))
}

pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).map_err(|source| Error::io("write", path, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_dockers_shapes() {
        assert!(random_id().parse::<LayerId>().is_ok());
        let link = random_link();
        assert!(is_link(&link) && !is_link("") && !is_link("../l"), "{link}");
    }

    #[test]
    fn lower_lists_the_nearest_layer_first() {
        let base = Slot { id: "a".into(), link: "A".into(), lower: String::new() };
        let next = Slot { id: "b".into(), link: "B".into(), lower: base.lower_of_child() };
        assert_eq!(next.lower_of_child(), "l/B:l/A");
    }
}
