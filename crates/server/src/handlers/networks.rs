//! `/networks`, read only.

use crate::call::Call;
use crate::respond::{self, Outcome};
use crate::{decode, encode};

pub(crate) async fn list(call: Call) -> Outcome {
    let filters = decode::filters(call.query.text("filters"))?;
    let networks = call.engine.network_list(filters).await?;
    // A list leaves the containers out, as Docker's does.
    let encoded: Vec<_> = networks.iter().map(|network| encode::network(network, &[], call.version)).collect();
    respond::ok(&encoded)
}

pub(crate) async fn inspect(call: Call) -> Outcome {
    let (network, containers) = call.engine.network_inspect(&call.name).await?;
    respond::ok(&encode::network(&network, &containers, call.version))
}
