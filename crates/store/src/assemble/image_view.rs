//! An image's files as a container of it would see them.

use std::os::fd::{AsFd, BorrowedFd};

use crate::driver::{Driver, open_directory};
use crate::{ChainId, Result, Store};

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
            return Ok(work(open_directory(empty.path())?.as_fd()));
        };
        let slot = self.slot_of(top)?;
        // One layer needs no mount, and overlay wants at least two without a writable one.
        if self.0.driver == Driver::Vfs || slot.lower.is_empty() {
            return Ok(work(open_directory(&self.0.driver.diff(&self.0.paths, &slot.id))?.as_fd()));
        }
        // Over a directory that no work with layers needs: new ones begin in the temporary directory.
        self.with_overlay(&format!("lowerdir={}", slot.lower_of_child()), &self.0.paths.volumes(), work)
    }
}
