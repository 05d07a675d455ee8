//! The layer between an image and a container: empty files and directories for what is mounted over them, so that those
//! mounts never change the image or the container.
//!
//! Its content is the same for every container, and making a file costs the tenth of a millisecond: with overlay there is
//! one for all, and each container's `<id>-init` leads to it.

use std::ffi::CStr;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{FileType, Mode};
use rustix::io::Errno;

use crate::driver::{Driver, Slot, make_directory_all, open_directory, write};
use crate::paths::Paths;
use crate::{Error, Result};

/// The directory of the one for all.
pub(crate) const SHARED: &str = "shared-init";
/// Its short link, the same in every data root: layers that name it outlive a loss of the link.
pub(crate) const LINK: &str = "INITINITINITINITINITINIT22";

const DIRECTORIES: [&CStr; 6] = [c"dev", c"dev/pts", c"dev/shm", c"etc", c"proc", c"sys"];
const FILES: [&CStr; 5] = [c".dockerenv", c"dev/console", c"etc/hostname", c"etc/hosts", c"etc/resolv.conf"];

/// Makes containers' layers, and the one for all with the first.
#[derive(Debug, Default)]
pub(crate) struct InitLayers {
    /// Whether the one for all is known to be whole.
    prepared: Mutex<bool>,
}

// === impl InitLayers ===

impl InitLayers {
    /// Makes a container's, on top of the layer `below`.
    pub(crate) fn make(&self, driver: Driver, paths: &Paths, name: &str, below: Option<&Slot>) -> Result<Slot> {
        match driver {
            Driver::Overlay2 => {
                self.prepare(paths)?;
                let own = paths.layer(name);
                rustix::fs::symlink(SHARED, &own).map_err(|source| Error::io("symlink", &own, source))?;
                let lower = below.map(Slot::lower_of_child).unwrap_or_default();
                Ok(Slot { id: SHARED.to_owned(), link: LINK.to_owned(), lower })
            }
            Driver::Vfs => {
                let slot = driver.make(paths, name, String::new())?;
                if let Some(below) = below {
                    crate::copy::copy_tree(&paths.layer(&below.id), &paths.layer(name))?;
                }
                fill(&paths.layer(name))?;
                Ok(slot)
            }
        }
    }

    fn prepare(&self, paths: &Paths) -> Result<()> {
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if !*prepared {
            prepare(paths)?;
            *prepared = true;
        }
        Ok(())
    }
}

/// Makes the one for all, or what is missing of it.
fn prepare(paths: &Paths) -> Result<()> {
    let directory = paths.layer(SHARED);
    make_directory_all(&directory, 0o710)?;
    let diff = directory.join("diff");
    make_directory_all(&diff, 0o755)?;
    for (name, content) in [("link", LINK), ("committed", "")] {
        let file = directory.join(name);
        // Written again only when it is not whole: replacing a file frees a block, which is slow.
        if !std::fs::read(&file).is_ok_and(|found| found == content.as_bytes()) {
            write(&file, content.as_bytes())?;
        }
    }
    let short = paths.links().join(LINK);
    match rustix::fs::symlink(format!("../{SHARED}/diff"), &short) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(source) => return Err(Error::io("symlink", &short, source)),
    }
    fill(&diff)
}

/// Makes the fixed content with one system call each.
fn fill(diff: &Path) -> Result<()> {
    let root = open_directory(diff)?;
    let failed = |name: &CStr, source| Error::io("create", diff.join(name.to_string_lossy().as_ref()), source);
    let present = |made: rustix::io::Result<()>| match made {
        Err(Errno::EXIST) => Ok(()),
        other => other,
    };
    for name in DIRECTORIES {
        present(rustix::fs::mkdirat(&root, name, Mode::from_raw_mode(0o755))).map_err(|e| failed(name, e))?;
    }
    for name in FILES {
        let made = rustix::fs::mknodat(&root, name, FileType::RegularFile, Mode::from_raw_mode(0o755), 0);
        present(made).map_err(|e| failed(name, e))?;
    }
    let name = c"etc/mtab";
    present(rustix::fs::symlinkat(c"/proc/mounts", &root, name)).map_err(|e| failed(name, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_has_the_form_of_links() {
        assert!(crate::driver::is_link(LINK));
    }
}
