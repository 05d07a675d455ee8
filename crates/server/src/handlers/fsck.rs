//! Operations of our own: the check of the data root, and what takes space there to the byte.

use std::path::Path;

use engine::FsckOptions;

use crate::call::Call;
use crate::encode;
use crate::failure::Failure;
use crate::respond::{self, Outcome};

/// `POST /gantry/fsck?deep=1&repair=1`.
pub(crate) async fn fsck(call: Call) -> Outcome {
    let options = FsckOptions { deep: call.query.strict_flag("deep")?, repair: call.query.strict_flag("repair")? };
    respond::ok(&encode::fsck(&call.engine.fsck(options).await?))
}

/// `GET /gantry/usage`.
pub(crate) async fn usage(call: Call) -> Outcome {
    respond::ok(&encode::usage(&call.engine.usage().await?))
}

/// `GET /gantry/why?path=PATH`.
pub(crate) async fn why(call: Call) -> Outcome {
    let path = call.query.text("path").ok_or_else(|| Failure::invalid("the path to explain is missing"))?;
    respond::ok(&encode::why(&call.engine.why(Path::new(path)).await?))
}

/// `GET /gantry/gc`.
pub(crate) async fn gc(call: Call) -> Outcome {
    let engine::GcStatus { max_size, size, reclaimable } = call.engine.gc_status().await?;
    respond::ok(&api::fsck::Gc { max_size, size, reclaimable })
}
