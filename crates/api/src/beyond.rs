//! `/gantry`: operations of our own, which Docker does not have.

wire! {
    /// Body of `POST /gantry/layers/present`.
    pub struct LayersPresentRequest {
        /// Diff ids of each image's layers, bottom first.
        pub stacks: Vec<Vec<String>>,
    }

    /// Answer of `POST /gantry/layers/present`.
    pub struct LayersPresent {
        /// For each stack the chain id of the topmost layer that is here with all below it; empty when none is.
        pub present: Vec<String>,
    }

    /// Answer of `GET /gantry/images/diff?from=NAME&to=NAME`.
    pub struct ImageDifference {
        pub from: ComparedImage,
        pub to: ComparedImage,
        /// By key.
        pub config: Vec<ConfigDifference>,
        /// By path.
        pub files: Vec<FileDifference>,
    }

    /// One of two images that are compared.
    pub struct ComparedImage {
        pub id: String,
        pub size: u64,
        /// Bytes in its layers that layers above replace or remove.
        pub hidden: u64,
        /// Bottom first.
        pub layers: Vec<LayerShare>,
    }

    /// What a layer holds.
    pub struct LayerShare {
        #[serde(rename = "DiffID")]
        pub diff_id: String,
        pub size: u64,
        /// Files and directories that it brings or changes.
        pub entries: u64,
        /// Bytes of files that a layer above replaces or removes.
        pub hidden: u64,
        /// The other image has it in the same place.
        pub shared: bool,
    }

    /// A part of the configuration that is not the same in both: `Cmd`, `Env PATH`, `Labels version`.
    pub struct ConfigDifference {
        pub key: String,
        /// `null` where the image has none.
        pub from: Option<serde_json::Value>,
        pub to: Option<serde_json::Value>,
    }

    /// A file that is not the same in both.
    pub struct FileDifference {
        pub path: String,
        /// As in `GET /containers/{id}/changes`: 0 modified, 1 added, 2 deleted.
        pub kind: u8,
        /// Bytes, `null` where it is not there.
        pub from: Option<u64>,
        pub to: Option<u64>,
        /// Of a modified one: `kind`, `content`, `mode`, `owner`, `device`, `attributes`.
        pub aspects: Vec<String>,
        /// The layer that it comes from, counted from 0: of the second image, for a deleted one of the first.
        pub layer: u64,
    }

    /// Body of `POST /gantry/manifests/push`.
    pub struct ManifestPush {
        /// What the list is called.
        pub name: String,
        /// Of the list.
        pub media_type: String,
        /// The list as a text, byte for byte.
        pub list: String,
        /// Its images, by digest.
        pub images: Vec<String>,
    }

    /// Answer of `POST /gantry/manifests/push`.
    pub struct ManifestPushed {
        /// Of the list.
        pub digest: String,
    }
}
