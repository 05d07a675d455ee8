//! Exposed and published ports.

use std::collections::BTreeMap;

use api::container::PortBinding;
use engine::model::{PortBindingRequest, PortKey};

use crate::failure::Failure;

/// `80`, `80/tcp`.
pub(super) fn key(text: &str) -> Result<PortKey, Failure> {
    text.parse().map_err(|_| bad(text.split('/').next().unwrap_or_default()))
}

pub(super) fn bindings(
    wire: BTreeMap<String, Option<Vec<PortBinding>>>,
) -> Result<BTreeMap<PortKey, Vec<PortBindingRequest>>, Failure> {
    let decoded = wire.into_iter().map(|(port, bindings)| {
        let port = key(&port)?;
        let bindings = bindings.unwrap_or_default();
        // A port without bindings is published on any free host port.
        let bindings = if bindings.is_empty() { vec![PortBinding::default()] } else { bindings };
        Ok((port, bindings.into_iter().map(binding).collect::<Result<_, _>>()?))
    });
    decoded.collect()
}

fn binding(wire: PortBinding) -> Result<PortBindingRequest, Failure> {
    let host_ip = match wire.host_ip.as_str() {
        "" => None,
        text => Some(text.parse().map_err(|_| Failure::invalid(format!("invalid IP address: {text}")))?),
    };
    let invalid = || bad(&wire.host_port);
    let number = |text: &str| text.parse::<u16>().map_err(|_| invalid());
    let host_ports = match wire.host_port.split_once('-') {
        Some((first, last)) => Some((number(first)?, number(last)?)).filter(|(first, last)| first <= last),
        None if wire.host_port.is_empty() => None,
        None => Some(number(&wire.host_port)?).map(|port| (port, port)),
    };
    if host_ports.is_none() && wire.host_port.contains('-') {
        return Err(invalid());
    }
    // Port 0 asks for any free one, as no port does.
    Ok(PortBindingRequest { host_ip, host_ports: host_ports.filter(|ports| *ports != (0, 0)) })
}

fn bad(text: &str) -> Failure {
    Failure::invalid(format!("invalid port specification: {text:?}"))
}
