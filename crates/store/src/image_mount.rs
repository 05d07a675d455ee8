//! Images as mounts (`--mount type=image`): their layers on top of each other, to be read only.

use std::path::Path;

use types::{ContainerId, Mount};

use crate::driver::{Driver, Slot, write};
use crate::{ChainId, Error, Result, Store};

/// The file of a container's mount record that names what it pins, one topmost layer a line.
const PINS: &str = "pinned";

impl Store {
    /// Keeps the layers of images that a container mounts, given by their topmost ones, until
    /// [`Store::remove_layer`]; the images themselves may be removed.
    ///
    /// # Errors
    /// [`Error::NoSuchLayer`], [`Error::NoSuchContainerLayer`] or the file system's refusal.
    pub fn pin_layers(&self, container: &ContainerId, tops: &[ChainId]) -> Result<()> {
        {
            let mut state = self.0.state();
            if let Some(gone) = tops.iter().find(|top| !state.layers.contains_key(top)) {
                return Err(Error::NoSuchLayer(gone.to_string()));
            }
            let layer = state.containers.get_mut(container);
            layer.ok_or_else(|| Error::NoSuchContainerLayer(container.to_string()))?.pinned = tops.to_vec();
        }
        let text: String = tops.iter().map(|chain| format!("{chain}\n")).collect();
        let (draft, record) =
            (self.0.paths.layer_records_tmp().join(container.as_str()), self.0.paths.mount(container));
        // A killed daemon leaves no half of it.
        write(&draft, text.as_bytes())?;
        std::fs::rename(&draft, record.join(PINS)).map_err(|source| Error::io("rename", &record, source))
    }

    /// What to mount at `target` (absolute on the host) to see an image's files there; nothing for an image without
    /// any. `empty` is an empty directory.
    ///
    /// # Errors
    /// [`Error::NoSuchLayer`].
    pub fn image_mount(&self, top: Option<ChainId>, target: &Path, empty: &Path) -> Result<Option<Mount>> {
        let Some(top) = top else { return Ok(None) };
        let layers = self.0.paths.layers();
        let bind = |source: &Path| Mount {
            destination: target.display().to_string(),
            kind: "bind".to_owned(),
            source: source.display().to_string(),
            options: vec!["bind".to_owned(), "ro".to_owned()],
        };
        let slot = self.slot_of(top)?;
        if self.0.driver == Driver::Vfs {
            return Ok(Some(bind(&self.0.paths.layer(&slot.id))));
        }
        let mut lower: Vec<String> =
            slot.lower_of_child().split(':').map(|link| layers.join(link).display().to_string()).collect();
        if lower.len() == 1 {
            // An overlay that is not written to has at least two layers.
            lower.push(empty.display().to_string());
        }
        Ok(Some(Mount {
            destination: target.display().to_string(),
            kind: "overlay".to_owned(),
            source: "overlay".to_owned(),
            options: vec!["ro".to_owned(), format!("lowerdir={}", lower.join(":"))],
        }))
    }

    pub(crate) fn slot_of(&self, top: ChainId) -> Result<Slot> {
        let state = self.0.state();
        let entry = state.layers.get(&top).ok_or_else(|| Error::NoSuchLayer(top.to_string()))?;
        Ok(entry.slot.clone())
    }
}

/// Reads what a container pins.
pub(crate) fn read_pins(record: &Path) -> Result<Vec<ChainId>> {
    let path = record.join(PINS);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(Error::io("read", &path, source)),
    };
    let parse = |line: &str| {
        line.parse().map_err(|error: types::InvalidDigest| Error::Document {
            what: path.display().to_string(),
            reason: error.to_string(),
        })
    };
    text.lines().map(parse).collect()
}
