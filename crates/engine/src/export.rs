//! `docker export`: a container's file system as a tar stream.

use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::engine::Engine;
use crate::error::Error;
use crate::images::ChannelWriter;

impl Engine {
    /// Writes the container's file system, without what is mounted into it, into an archive.
    ///
    /// # Errors
    /// [`Error::NoSuchContainer`]; a failure later ends the stream early and is logged.
    pub fn export(self: &Arc<Self>, name: &str) -> Result<mpsc::Receiver<Bytes>, Error> {
        let container = self.containers.find(name)?;
        let engine = Arc::clone(self);
        let (mut writer, receiver) = ChannelWriter::new();
        tokio::task::spawn_blocking(move || {
            let id = &container.spec.id;
            let result = engine.store.export(id, &mut writer).map_err(Error::from);
            match result.and_then(|()| writer.flush().map_err(Error::file("write", "the archive"))) {
                Ok(()) => engine.container_event(&container, "export", &[]),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(container = id.as_str(), error, "export ended early");
                }
            }
        });
        Ok(receiver)
    }
}
