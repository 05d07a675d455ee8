//! Operations of our own about the host's side of networks.

use engine::Question;

use crate::call::Call;
use crate::encode;
use crate::failure::Failure;
use crate::respond::{self, Outcome};

/// `POST /gantry/network/repair`.
pub(crate) async fn repair(call: Call) -> Outcome {
    respond::ok(&encode::network_repair(call.engine.repair_networks().await?))
}

/// `GET /gantry/firewall/explain?port=8000&proto=tcp&from=192.0.2.1&to=192.0.2.2`.
pub(crate) async fn explain(call: Call) -> Outcome {
    let text = |key: &str| call.query.text(key).filter(|text| !text.is_empty());
    let address = |key: &str| {
        let parsed =
            text(key).map(|text| text.parse().map_err(|_| Failure::invalid(format!("invalid IP address {text:?}"))));
        parsed.transpose()
    };
    let port = text("port").unwrap_or_default();
    let port =
        port.parse().ok().filter(|port| *port > 0).ok_or_else(|| Failure::invalid(format!("invalid port {port:?}")))?;
    let protocol = text("proto").unwrap_or("tcp");
    let protocol = protocol.parse().map_err(|_| Failure::invalid(format!("invalid protocol {protocol:?}")))?;
    let question = Question { port, protocol, from: address("from")?, to: address("to")? };
    let answer = call.engine.explain_firewall(question).await?;
    respond::ok(&encode::firewall_explain(question, answer))
}
