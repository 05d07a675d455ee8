//! `/networks`.

use api::network::{ConnectRequest, CreateRequest, CreateResponse, DisconnectRequest};
use hyper::StatusCode;

use crate::call::Call;
use crate::failure::Failure;
use crate::respond::{self, Outcome};
use crate::{decode, encode};

pub(crate) async fn list(call: Call) -> Outcome {
    let filters = decode::filters(call.query.text("filters"))?;
    let networks = call.engine.network_list(filters).await?;
    // From API 1.28 on a list leaves the containers out.
    if call.since(28) {
        let encoded: Vec<_> = networks.iter().map(|network| encode::network(network, &[], call.version)).collect();
        return respond::ok(&encoded);
    }
    let mut encoded = Vec::with_capacity(networks.len());
    for network in networks {
        let (network, containers) = call.engine.network_inspect(network.id.as_str()).await?;
        encoded.push(encode::network(&network, &containers, call.version));
    }
    respond::ok(&encoded)
}

pub(crate) async fn inspect(call: Call) -> Outcome {
    // It adds what a swarm's networks have.
    call.query.strict_flag("verbose")?;
    if call.query.text("scope").is_some_and(|scope| scope != "local") {
        return Err(Failure::new(types::ErrorKind::NotFound, format!("network {} not found", call.name)));
    }
    let (network, containers) = call.engine.network_inspect(&call.name).await?;
    respond::ok(&encode::network(&network, &containers, call.version))
}

pub(crate) async fn create(mut call: Call) -> Outcome {
    let request: CreateRequest = call.json_or_default().await?;
    let request = decode::network(request, call.version)?;
    let network = call.engine.network_create(request).await?;
    let created = CreateResponse { id: network.id.to_string(), warning: String::new() };
    respond::json(StatusCode::CREATED, &created)
}

pub(crate) async fn remove(call: Call) -> Outcome {
    call.engine.network_remove(&call.name).await?;
    respond::no_content()
}

pub(crate) async fn connect(mut call: Call) -> Outcome {
    let request: ConnectRequest = call.json_or_default().await?;
    check_container(&request.container)?;
    let endpoint = decode::endpoint(request.endpoint_config.unwrap_or_default())?;
    call.engine.network_connect(&call.name, &request.container, endpoint).await?;
    Ok(respond::empty(StatusCode::OK))
}

pub(crate) async fn disconnect(mut call: Call) -> Outcome {
    let request: DisconnectRequest = call.json_or_default().await?;
    check_container(&request.container)?;
    call.engine.network_disconnect(&call.name, &request.container, request.force).await?;
    Ok(respond::empty(StatusCode::OK))
}

fn check_container(name: &str) -> Result<(), Failure> {
    if name.is_empty() {
        return Err(Failure::invalid("invalid container name or ID: value is empty"));
    }
    Ok(())
}
