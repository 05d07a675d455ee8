//! `/volumes`.

use std::collections::BTreeMap;

use crate::wire::is_default;

wire! {
    /// `VolumeUsageData`.
    pub struct UsageData {
        pub ref_count: i64,
        pub size: i64,
    }

    /// `Volume`.
    pub struct Volume {
        #[serde(skip_serializing_if = "is_default")]
        pub created_at: String,
        pub driver: String,
        pub labels: Option<BTreeMap<String, String>>,
        pub mountpoint: String,
        pub name: String,
        pub options: Option<BTreeMap<String, String>>,
        pub scope: String,
        /// A plugin's own words.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub status: Option<serde_json::Map<String, serde_json::Value>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub usage_data: Option<UsageData>,
    }

    /// `VolumeListResponse`.
    pub struct List {
        pub volumes: Vec<Volume>,
        pub warnings: Option<Vec<String>>,
    }

    /// `VolumeCreateRequest`.
    pub struct CreateRequest {
        #[serde(skip_serializing_if = "is_default")]
        pub driver: String,
        #[serde(skip_serializing_if = "is_default")]
        pub driver_opts: BTreeMap<String, String>,
        #[serde(skip_serializing_if = "is_default")]
        pub labels: BTreeMap<String, String>,
        #[serde(skip_serializing_if = "is_default")]
        pub name: String,
        /// Of a volume of a swarm.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub cluster_volume_spec: Option<crate::Empty>,
    }

    /// Answer of `POST /gantry/volumes/{name}/restore`, `clone` and `snapshot`.
    pub struct Filled {
        pub volume: Volume,
        /// What is not as it was where the files come from.
        pub warnings: Vec<String>,
    }

    /// A volume in the answer of `GET /gantry/volumes/size`.
    pub struct Size {
        pub name: String,
        pub driver: String,
        /// Files, directories and everything else that has a name in it.
        pub files: u64,
        /// Bytes as its files say.
        pub apparent: u64,
        /// Bytes of the disk's blocks.
        pub allocated: u64,
    }

    /// Answer of `GET /gantry/volumes/size?name=NAME&name=NAME`.
    pub struct Sizes {
        pub volumes: Vec<Size>,
    }
}
