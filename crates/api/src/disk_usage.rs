//! `GET /system/df`.

use crate::wire::is_default;
use crate::{Empty, container, image, volume};

wire! {
    /// `SystemDataUsageResponse`. A list that was not asked for is `null`.
    pub struct DiskUsage {
        pub layers_size: i64,
        pub images: Option<Vec<image::Summary>>,
        pub containers: Option<Vec<container::Summary>>,
        pub volumes: Option<Vec<volume::Volume>>,
        pub build_cache: Option<Vec<Empty>>,
        /// Up to API 1.41.
        #[serde(skip_serializing_if = "is_default")]
        pub builder_size: Option<i64>,
    }
}
