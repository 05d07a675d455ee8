//! An image's files as a container of it would see them.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};

use crate::driver::Driver;
use crate::{ChainId, Error, Result, Store};

impl Store {
    /// Runs `work` with a descriptor of the root of all layers up to `top`, read-only, where nobody else sees it.
    /// `None` is an empty directory. The caller holds the layers by a lease or a container.
    ///
    /// # Errors
    /// [`Error::NoSuchLayer`] or the kernel's refusal to mount.
    pub fn with_image<T: Send>(
        &self,
        top: Option<ChainId>,
        work: impl FnOnce(BorrowedFd<'_>) -> T + Send,
    ) -> Result<T> {
        let Some(top) = top else {
            let empty = self.scratch("empty")?;
            return Ok(work(open(empty.path())?.as_fd()));
        };
        let slot = {
            let state = self.0.state();
            state.layers.get(&top).ok_or_else(|| Error::NoSuchLayer(top.to_string()))?.slot.clone()
        };
        // One layer needs no mount, and overlay wants at least two without a writable one.
        if self.0.driver == Driver::Vfs || slot.lower.is_empty() {
            return Ok(work(open(&self.0.driver.diff(&self.0.paths, &slot.id))?.as_fd()));
        }
        // Over a directory that no work with layers needs: new ones begin in the temporary directory.
        self.with_overlay(&format!("lowerdir={}", slot.lower_of_child()), &self.0.paths.volumes(), work)
    }
}

fn open(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(|source| Error::io("open", path, source))
}
