//! `/system/df`.

use engine::DiskUsageQuery;
use jiff::Timestamp;

use crate::call::Call;
use crate::encode;
use crate::failure::Failure;
use crate::respond::{self, Outcome};

pub(crate) async fn disk_usage(call: Call) -> Outcome {
    let kinds: Vec<&str> = if call.since(42) { call.query.all("type").collect() } else { Vec::new() };
    if let Some(unknown) = kinds.iter().find(|kind| !["container", "image", "volume", "build-cache"].contains(kind)) {
        return Err(Failure::invalid(format!("unknown object type: {unknown}")));
    }
    let asked = |kind: &str| kinds.is_empty() || kinds.contains(&kind);
    let query = DiskUsageQuery { containers: asked("container"), images: asked("image"), volumes: asked("volume") };
    let usage = call.engine.disk_usage(query).await?;
    respond::ok(&encode::disk_usage(&usage, asked("build-cache"), call.version, Timestamp::now()))
}
