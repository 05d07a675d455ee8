//! Operations of our own about the host's side of networks.

use crate::call::Call;
use crate::encode;
use crate::respond::{self, Outcome};

/// `POST /gantry/network/repair`.
pub(crate) async fn repair(call: Call) -> Outcome {
    respond::ok(&encode::network_repair(call.engine.repair_networks().await?))
}
