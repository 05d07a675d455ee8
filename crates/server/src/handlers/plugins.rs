//! `/plugins`: managed plugins, of which this engine never has any.

use types::ErrorKind;

use crate::call::Call;
use crate::decode;
use crate::failure::Failure;
use crate::respond::{self, Outcome};

/// The empty list, once the filters have been checked.
pub(crate) async fn list(call: Call) -> Outcome {
    let filters = decode::filters(call.query.text("filters"))?;
    if let Some(key) = filters.keys().find(|key| !["enabled", "capability"].contains(&key.as_str())) {
        return Err(Failure::invalid(format!("invalid filter '{key}'")));
    }
    respond::ok(&[(); 0])
}

/// Whatever is asked of a plugin, it is not there.
pub(crate) async fn other(call: Call) -> Outcome {
    Err(Failure::new(ErrorKind::NotFound, format!("plugin {:?} not found", call.name)))
}
