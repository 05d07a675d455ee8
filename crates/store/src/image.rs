//! Images as callers see them.

use std::collections::HashSet;
use std::sync::Arc;

use types::{ContainerId, Digest, Reference};

use crate::{ChainId, ImageConfig, ImageId};

/// An image in the store. A snapshot: names given to it later do not appear in it.
#[derive(Clone, Debug)]
pub struct Image {
    /// Digest of the configuration document.
    pub id: ImageId,
    /// The document, decoded.
    pub config: Arc<ImageConfig>,
    /// The document, byte for byte.
    pub raw: Arc<[u8]>,
    /// One entry a layer, bottom first.
    pub chain: Vec<ChainId>,
    /// Bytes of all layers, unpacked.
    pub size: u64,
    /// The image this one was built or committed from, when that is known here.
    pub parent: Option<ImageId>,
    /// Names with a tag, sorted.
    pub repo_tags: Vec<Reference>,
    /// Names with a manifest digest, sorted.
    pub repo_digests: Vec<Reference>,
    /// RFC 3339 time of the last tag, when it was ever tagged here.
    pub last_tag_time: Option<String>,
}

/// What `docker images` shows; the same snapshot as [`Image`].
pub type ImageSummary = Arc<Image>;

/// How to remove an image.
#[derive(Clone, Copy, Debug, Default)]
pub struct RemoveImage<'a> {
    /// Remove it although stopped containers use it or several names point at it.
    pub force: bool,
    /// Remove untagged parents too.
    pub prune_children: bool,
    /// Only when it has no name and no work in progress made it.
    pub nameless: bool,
    /// Only images among these, parents included; `None` is any.
    pub only: Option<&'a HashSet<ImageId>>,
}

/// A container that uses an image, as the caller of `remove` reports it.
#[derive(Clone, Debug)]
pub struct ContainerUse {
    /// The container.
    pub id: ContainerId,
    /// It has a process.
    pub running: bool,
    /// The image text it was created with, for example `busybox` or an id.
    pub image: String,
}

/// One line of `docker rmi`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removed {
    /// A name is gone: `busybox:latest` or `busybox@sha256:…`.
    Untagged(String),
    /// An image or layer is gone.
    Deleted(Digest),
}

impl Image {
    /// The topmost layer; `None` for an image without layers.
    #[must_use]
    pub fn top(&self) -> Option<ChainId> {
        self.chain.last().copied()
    }

    /// When it was made, as far as the document says so.
    #[must_use]
    pub fn created(&self) -> Option<jiff::Timestamp> {
        self.config.created.as_deref()?.parse().ok()
    }
}
