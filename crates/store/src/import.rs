//! `docker import`: a root file system tar becomes an image of one layer.

use std::io::Read;

use jiff::Timestamp;
use types::{Platform, Reference};

use crate::ingest::Source;
use crate::stream::layer_form;
use crate::unpack::Whiteouts;
use crate::{Error, Expected, History, ImageConfig, ImageId, ImportOptions, Result, RootFs, Store};

impl Store {
    /// Makes an image of one layer from a root file system tar, plain or compressed.
    ///
    /// # Errors
    /// [`Error::Archive`] or the file system's refusal.
    pub fn import(&self, reader: &mut dyn Read, options: ImportOptions) -> Result<ImageId> {
        let lease = self.lease();
        let expected = Expected::default();
        let mut reader = layer_form(reader)?;
        let layer = self.put_layer_from(&lease, None, Source::Stream(&mut reader), &expected, Whiteouts::Keep)?;
        let now = Timestamp::now().to_string();
        let comment = if options.message.is_empty() { "Imported from -".to_owned() } else { options.message };
        let platform = options.platform.unwrap_or_else(Platform::host);
        let config = ImageConfig {
            architecture: platform.architecture,
            os: platform.os,
            variant: platform.variant.filter(|variant| !variant.is_empty()),
            comment: comment.clone(),
            config: options.config,
            created: Some(now.clone()),
            history: vec![History { created: Some(now), comment, ..History::default() }],
            rootfs: RootFs { diff_ids: vec![layer.diff], ..RootFs::default() },
            ..ImageConfig::default()
        };
        let bytes = serde_json::to_vec(&config)
            .map_err(|error| Error::Document { what: "image configuration".to_owned(), reason: error.to_string() })?;
        let reference = options.reference.map(Reference::with_default_tag);
        self.put_named_image(&lease, &bytes, None, reference.as_slice())
    }
}
