//! Every path of the store.
//!
//! ```text
//! <data root>/                             0711
//! ├── builder buildkit containers plugins runtimes swarm tmp trust    0700
//! ├── network                              0750
//! ├── plugins/volumes/<file>.json          volumes of plugins: whose they are, and who has them mounted
//! ├── image/<driver>/                      0700
//! │   ├── repositories.json                names → image ids; its rename is the tag transaction
//! │   ├── content/blobs/sha256/<digest>    layer blobs as they came, compressed or not
//! │   ├── content/partial/<digest>         what has arrived of blobs that are still to come
//! │   ├── distribution/
//! │   │   ├── diffid-by-digest/sha256/<blob>       the diff id a blob unpacks to
//! │   │   └── v2metadata-by-diffid/sha256/<diff>   the blobs (and where they came from) of a diff id
//! │   ├── imagedb/content/sha256/<id>      configuration documents
//! │   ├── imagedb/metadata/sha256/<id>/{parent,lastUpdated}
//! │   ├── removed/{0,1}                    directories on their way out
//! │   ├── unsynced/<chain>                 layers that may not have reached the disk, with the boot they are of
//! │   └── layerdb/
//! │       ├── sha256/<chain>/{cache-id,diff,parent,size}
//! │       ├── mounts/<container>/{mount-id,init-id,parent}
//! │       └── tmp/
//! ├── overlay2/                            0710
//! │   ├── backingFsBlockDev
//! │   ├── l/<26 characters>                → ../<layer>/diff
//! │   ├── shared-init/{diff,link,committed}   what containers have between image and writable layer
//! │   └── <layer>/{diff,link,lower,committed,work,merged}; a container's is accompanied by <layer>-init → shared-init
//! ├── vfs/dir/<layer>/                     whole copies, when overlay cannot be mounted
//! ├── tmp/load-<random>/…                  archives in passing; emptied at start
//! └── volumes/                             0701
//!     ├── backingFsBlockDev
//!     └── <name>/{_data,opts.json}
//! ```

use std::path::{Path, PathBuf};

use types::{ContainerId, Digest};

use crate::{ChainId, DiffId, ImageId};

/// Builds paths below one data root for one storage driver.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    root: PathBuf,
    image: PathBuf,
    layers: PathBuf,
}

/// Directories that exist from the first start, with their modes.
pub(crate) const TREE: &[(&str, u32)] = &[
    ("builder", 0o700),
    ("buildkit", 0o700),
    ("containers", 0o710),
    ("image", 0o700),
    ("network", 0o750),
    ("plugins", 0o700),
    ("runtimes", 0o700),
    ("swarm", 0o700),
    ("tmp", 0o700),
    ("trust", 0o700),
    ("volumes", 0o701),
];

impl Paths {
    pub(crate) fn new(root: &Path, driver: &str) -> Self {
        let layers = if driver == "vfs" { root.join("vfs/dir") } else { root.join(driver) };
        Self { root: root.to_owned(), image: root.join("image").join(driver), layers }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn image_root(&self) -> &Path {
        &self.image
    }

    pub(crate) fn unsynced(&self) -> PathBuf {
        self.image.join("unsynced")
    }

    pub(crate) fn removed(&self) -> PathBuf {
        self.image.join("removed")
    }

    pub(crate) fn repositories(&self) -> PathBuf {
        self.image.join("repositories.json")
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.image.join("content/blobs/sha256")
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    pub(crate) fn partials(&self) -> PathBuf {
        self.image.join("content/partial")
    }

    pub(crate) fn partial(&self, digest: &Digest) -> PathBuf {
        self.partials().join(digest.hex())
    }

    pub(crate) fn diffid_by_digest(&self) -> PathBuf {
        self.image.join("distribution/diffid-by-digest/sha256")
    }

    pub(crate) fn v2metadata_by_diffid(&self) -> PathBuf {
        self.image.join("distribution/v2metadata-by-diffid/sha256")
    }

    pub(crate) fn v2metadata(&self, diff: &DiffId) -> PathBuf {
        self.v2metadata_by_diffid().join(diff.hex())
    }

    pub(crate) fn image_contents(&self) -> PathBuf {
        self.image.join("imagedb/content/sha256")
    }

    pub(crate) fn image_content(&self, id: &ImageId) -> PathBuf {
        self.image_contents().join(id.hex())
    }

    pub(crate) fn image_metadata_all(&self) -> PathBuf {
        self.image.join("imagedb/metadata/sha256")
    }

    pub(crate) fn image_metadata(&self, id: &ImageId) -> PathBuf {
        self.image_metadata_all().join(id.hex())
    }

    /// The directories that hold records and blobs by name, and are there from the start.
    pub(crate) fn record_directories(&self) -> [PathBuf; 9] {
        [
            self.blobs(),
            self.partials(),
            self.diffid_by_digest(),
            self.v2metadata_by_diffid(),
            self.image_contents(),
            self.image_metadata_all(),
            self.layer_records(),
            self.layer_records_tmp(),
            self.mounts(),
        ]
    }

    pub(crate) fn layer_records(&self) -> PathBuf {
        self.image.join("layerdb/sha256")
    }

    pub(crate) fn layer_record(&self, chain: &ChainId) -> PathBuf {
        self.layer_records().join(chain.hex())
    }

    pub(crate) fn layer_records_tmp(&self) -> PathBuf {
        self.image.join("layerdb/tmp")
    }

    pub(crate) fn mounts(&self) -> PathBuf {
        self.image.join("layerdb/mounts")
    }

    pub(crate) fn mount(&self, container: &ContainerId) -> PathBuf {
        self.mounts().join(container.as_str())
    }

    /// `overlay2` or `vfs/dir`.
    pub(crate) fn layers(&self) -> &Path {
        &self.layers
    }

    /// The directory of the storage driver for one layer; `id` may end in `-init`.
    pub(crate) fn layer(&self, id: &str) -> PathBuf {
        self.layers.join(id)
    }

    pub(crate) fn links(&self) -> PathBuf {
        self.layers.join("l")
    }

    pub(crate) fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    pub(crate) fn volumes(&self) -> PathBuf {
        self.root.join("volumes")
    }

    /// What is known of the volumes of plugins.
    pub(crate) fn plugin_volumes(&self) -> PathBuf {
        self.root.join("plugins/volumes")
    }

    pub(crate) fn volume(&self, name: &str) -> PathBuf {
        self.volumes().join(name)
    }
}
