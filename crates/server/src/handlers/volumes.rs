//! `/volumes`.

use std::collections::BTreeMap;

use api::volume::{CreateRequest, List, Volume};
use hyper::StatusCode;

use crate::call::Call;
use crate::failure::Failure;
use crate::respond::{self, Outcome};
use crate::{decode, encode};

pub(crate) async fn list(call: Call) -> Outcome {
    let filters = decode::filters(call.query.text("filters"))?;
    let listed = call.engine.volume_list(filters).await?;
    let warnings = (!listed.warnings.is_empty()).then_some(listed.warnings);
    let listed = listed.volumes.iter().map(|details| Volume { status: None, ..encode::volume_details(details) });
    respond::ok(&List { volumes: listed.collect(), warnings })
}

pub(crate) async fn create(mut call: Call) -> Outcome {
    let request: CreateRequest = call.json_or_default().await?;
    if request.cluster_volume_spec.is_some() && call.since(42) {
        return Err(Failure::new(types::ErrorKind::Unavailable, crate::router::SWARM));
    }
    let options: BTreeMap<String, String> = request.driver_opts;
    let volume = call.engine.volume_create(&request.name, &request.driver, options, request.labels).await?;
    respond::json(StatusCode::CREATED, &encode::volume_details(&volume))
}

pub(crate) async fn inspect(call: Call) -> Outcome {
    respond::ok(&encode::volume_details(&call.engine.volume_inspect(&call.name).await?))
}

pub(crate) async fn remove(call: Call) -> Outcome {
    if call.name.is_empty() {
        return Err(Failure::invalid("volume name cannot be blank"));
    }
    call.engine.volume_remove(&call.name, call.query.flag("force")).await?;
    respond::no_content()
}
