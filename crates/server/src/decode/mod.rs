//! Docker's JSON and query words become the engine's model. Everything is checked here that needs no look at the
//! machine; an option this engine does not honour is refused, never ignored.

mod auth;
mod build;
mod config;
mod endpoints;
mod exec;
mod filters;
mod host;
mod modes;
mod mounts;
mod networks;
mod ports;
mod time;
mod update;

use api::ApiVersion;
use api::container::CreateRequest;
use engine::model::CreateContainer;
use types::Platform;

use crate::failure::Failure;
use crate::query::Query;

pub use auth::{credentials, registry_auth};
pub use build::build;
pub use config::decode as config;
pub use endpoints::endpoint;
pub use exec::exec_config;
pub use filters::filters;
pub use networks::network;
pub use time::{seconds_and_nanos, tail};
pub use update::update;

/// Decodes the body and query of `POST /containers/create`; the second part are warnings for the client.
///
/// # Errors
/// 400 and 501 in Docker's words.
pub fn create(
    request: CreateRequest,
    query: &Query,
    version: ApiVersion,
) -> Result<(CreateContainer, Vec<String>), Failure> {
    let mut warnings = Vec::new();
    let mac = request.config.mac_address.clone();
    let wire_host = request.host_config.unwrap_or_default();
    let mut host = host::decode(wire_host, version, &mut warnings)?;
    // Clients of before remove their containers themselves.
    host.auto_remove &= version >= ApiVersion(25);
    // The default of the daemon is for clients that know of it.
    if version < ApiVersion(40) && host.ipc_mode == engine::model::NamespaceMode::Default {
        host.ipc_mode = engine::model::NamespaceMode::Shareable;
    }
    let config = config::decode(request.config, version)?;
    if host.uts_mode == engine::model::NamespaceMode::Host && !config.hostname.is_empty() {
        return Err(Failure::invalid("conflicting options: hostname and the UTS mode"));
    }
    let networking = request.networking_config.unwrap_or_default();
    let endpoints = endpoints::decode(networking, &host.network_mode, &mac, version, &mut warnings)?;
    let name = query.text("name").map(|name| name.strip_prefix('/').unwrap_or(name).to_owned());
    let platform = platform(query.text("platform"))?;
    Ok((CreateContainer { name, platform, config, host, endpoints, build_step: false }, warnings))
}

/// `os[/arch[/variant]]`, or an OCI platform as JSON.
///
/// # Errors
/// 400 when it is neither.
pub fn platform(text: Option<&str>) -> Result<Option<Platform>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let parsed = if text.starts_with('{') {
        serde_json::from_str(text).ok()
    } else if let Some(platform) = Platform::parse(text) {
        Some(platform)
    } else if text == "linux" {
        Some(Platform::host())
    } else {
        None
    };
    if text.split('/').count() > 3 && !text.starts_with('{') {
        return Err(Failure::invalid(format!("{text:?}: cannot parse platform specifier: invalid argument")));
    }
    let invalid = || Failure::invalid(format!("{text:?}: unknown operating system or architecture: invalid argument"));
    parsed.map(Some).ok_or_else(invalid)
}

/// The signal of a query, where there is one.
///
/// # Errors
/// 400 `invalid signal: …`.
pub fn signal(text: Option<&str>) -> Result<Option<types::Signal>, Failure> {
    let invalid = |error: types::InvalidSignal| Failure::invalid(error.to_string());
    text.map(|text| text.parse().map_err(invalid)).transpose()
}

#[cfg(test)]
mod tests;
