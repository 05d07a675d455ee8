//! A container's whole file system as a tar archive (`docker export`).

use std::io::Write;
use std::os::fd::BorrowedFd;

use types::ContainerId;

use crate::driver::Driver;
use crate::pack::{Content, Packer};
use crate::{Result, Store};

impl Store {
    /// Writes the container's file system, without what is mounted into it, as a tar archive. The container may run;
    /// a file that shrinks meanwhile is filled up with zeroes.
    ///
    /// # Errors
    /// [`crate::Error::NoSuchContainerLayer`], the file system's refusal, or [`crate::Error::Stream`] when `writer`
    /// fails.
    pub fn export(&self, container: &ContainerId, writer: &mut (dyn Write + Send)) -> Result<()> {
        let layer = self.container_layer(container)?;
        let work = |root: BorrowedFd<'_>| {
            let mut packer = Packer::new(writer, Content::Files, None);
            packer.children(root, b"")?;
            packer.finish()
        };
        match self.0.driver {
            Driver::Vfs => self.with_rootfs(container, work)?,
            // A view that cannot be written does not disturb a container that has the same layer mounted.
            Driver::Overlay2 => self.with_overlay(
                &format!("lowerdir={}/diff:{}", layer.slot.id, layer.slot.lower),
                &self.0.paths.tmp(),
                work,
            )?,
        }
    }
}
