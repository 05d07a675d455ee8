//! `gantry system fsck --data-root`: the check of a data root without its daemon.

use std::path::Path;

use engine::FsckOptions;
use store::DriverChoice;

use super::lock;

/// Checks a data root that no daemon uses; gives the report as the daemon would.
pub(crate) fn fsck(root: &str, deep: bool, repair: bool) -> Result<String, Box<dyn std::error::Error>> {
    let root = Path::new(root);
    let _held = lock::hold_data_root(root)?;
    let report = engine::fsck_offline(root, DriverChoice::Auto, FsckOptions { deep, repair })?;
    Ok(serde_json::to_string(&server::encode_fsck(&report))?)
}
