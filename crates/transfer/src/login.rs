//! `docker login`: whether a registry takes a user and password.

use reqwest::StatusCode;
use reqwest::header::AUTHORIZATION;

use crate::auth::{Wanted, basic, fetch_token};
use crate::challenge::Challenge;
use crate::config::{Place, Registries};
use crate::endpoint::Endpoint;
use crate::failure::connect_error;
use crate::{Credentials, Error};

/// Tries credentials on a registry (`host[:port]`, an address, or empty for the hub). Gives a token that stands for
/// the password, where the registry hands out such.
///
/// # Errors
/// [`Error::Login`], [`Error::Request`], or that the registry does not answer.
pub async fn login(server: &str, credentials: &Credentials, registries: &Registries) -> Result<String, Error> {
    let place = place(server);
    let endpoint = Endpoint::connect(&place, registries).await?;
    let (header, identity) = match (&endpoint.challenge, credentials) {
        (Challenge::Bearer { realm, service }, credentials) => {
            let wanted = Wanted { realm, service, scopes: &[], offline: true };
            let token = fetch_token(&endpoint.client, &wanted, Some(credentials)).await;
            let token = token.map_err(|error| error.at_request("Get", &endpoint.base))?;
            (format!("Bearer {}", token.text(realm)?), token.refresh_token)
        }
        (_, Credentials::Basic { username, password }) => (basic(username, password), String::new()),
        (Challenge::None, _) => return Ok(String::new()),
        (Challenge::Basic, _) => return Err(Error::NoPassword.at_request("Get", &endpoint.base)),
    };
    let request = endpoint.client.get(&endpoint.base).header(AUTHORIZATION, header);
    let response = request.send().await.map_err(|error| connect_error(&endpoint.base, &error))?;
    match response.status() {
        StatusCode::OK => Ok(identity),
        status => Err(Error::Login { url: endpoint.base, status: status.to_string() }),
    }
}

/// Clients name registries by addresses too, and the hub by that of its index.
fn place(server: &str) -> Place {
    let bare = server.trim_start_matches("https://").trim_start_matches("http://");
    match bare.split('/').next().unwrap_or_default() {
        "" | "index.docker.io" | "registry-1.docker.io" => Registries::home("docker.io"),
        host => Registries::home(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_hosts_or_addresses() {
        for (server, host) in [
            ("", "registry-1.docker.io"),
            ("https://index.docker.io/v1/", "registry-1.docker.io"),
            ("docker.io", "registry-1.docker.io"),
            ("http://127.0.0.1:5000/v2/", "127.0.0.1:5000"),
            ("reg.example", "reg.example"),
        ] {
            assert_eq!(place(server).host, host);
        }
    }
}
