//! One repository on one registry.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::ACCEPT;
use reqwest::{Client, Response, StatusCode};
use types::{Digest, Reference};

use crate::auth::{Authorization, Challenge};
use crate::failure::{Refusal, connect_error, is_plain_http};
use crate::{Credentials, Error};

/// A registry that does not answer within this time is not there: `run hello-world` waits for it.
const PING_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// A connection that stays silent for so long is broken.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// A connection with everything that requests for one repository need.
#[derive(Clone)]
pub(crate) struct Registry {
    client: Client,
    /// `https://registry.example/v2/`.
    base: String,
    path: String,
    authorization: Authorization,
    /// For messages.
    familiar: String,
}

impl Registry {
    /// Finds out how the registry wants to be spoken to, and gets a token where it asks for one.
    pub(crate) async fn connect(
        reference: &Reference,
        credentials: Option<&Credentials>,
        insecure: &[String],
    ) -> Result<Self, Error> {
        let host = match reference.domain() {
            "docker.io" => "registry-1.docker.io",
            domain => domain,
        };
        let is_insecure = is_insecure(host, insecure);
        let client = client(host, is_insecure)?;
        let (base, challenge) = ping(&client, host, is_insecure).await?;
        let authorization = Authorization::obtain(&client, &challenge, credentials, reference.path(), "pull").await?;
        let path = reference.path().to_owned();
        Ok(Self { client, base, path, authorization, familiar: reference.familiar_name() })
    }

    /// `tag` or `digest` as the last component.
    pub(crate) async fn manifest(&self, which: &str, accept: &str) -> Result<Response, Error> {
        let url = format!("{}{}/manifests/{which}", self.base, self.path);
        let request = self.authorization.apply(self.client.get(&url)).header(ACCEPT, accept);
        let response = request.send().await.map_err(|error| connect_error(&url, &error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let refusal = Refusal::read(response).await;
        let separator = if which.contains(':') { '@' } else { ':' };
        Err(match refusal.status {
            StatusCode::NOT_FOUND if refusal.code != "NAME_UNKNOWN" => Error::ManifestNotFound {
                reference: format!("{}{separator}{which}", self.familiar),
                answer: some_or(refusal.text, "manifest unknown: manifest unknown"),
            },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => {
                Error::AccessDenied { repository: self.familiar.clone(), answer: denied(refusal) }
            }
            _ => refusal.error(),
        })
    }

    /// The bytes of a blob from `offset` on; the server may ignore the offset and answer 200.
    pub(crate) async fn blob(&self, digest: &Digest, offset: u64) -> Result<Response, Error> {
        let url = format!("{}{}/blobs/{digest}", self.base, self.path);
        let mut request = self.authorization.apply(self.client.get(&url));
        if offset > 0 {
            request = request.header(reqwest::header::RANGE, format!("bytes={offset}-"));
        }
        let response = request.send().await.map_err(|error| connect_error(&url, &error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let refusal = Refusal::read(response).await;
        Err(match refusal.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Error::AccessDenied { repository: self.familiar.clone(), answer: denied(refusal) }
            }
            _ => refusal.error(),
        })
    }
}

/// Every refusal that hides a repository gets the same words, as on the hub.
fn denied(refusal: Refusal) -> String {
    match refusal.code.as_str() {
        "UNAUTHORIZED" | "" => "denied: requested access to the resource is denied".to_owned(),
        _ => refusal.text,
    }
}

fn some_or(text: String, default: &str) -> String {
    if text.is_empty() { default.to_owned() } else { text }
}

fn client(host: &str, insecure: bool) -> Result<Client, Error> {
    let mut builder = Client::builder()
        .user_agent(concat!("gantry/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .tls_danger_accept_invalid_certs(insecure);
    if is_loopback(bare_host(host)) {
        // As Go: a proxy's own loopback is not ours.
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| Error::Client(format!("{error:?}")))
}

/// `GET /v2/`. Insecure registries are tried with TLS first, then without, as Docker does.
async fn ping(client: &Client, host: &str, insecure: bool) -> Result<(String, Challenge), Error> {
    let attempt = async |scheme: &str| {
        let base = format!("{scheme}://{host}/v2/");
        let response = client.get(&base).timeout(PING_TIMEOUT).send().await;
        match response {
            Ok(response) => match response.status() {
                StatusCode::OK | StatusCode::UNAUTHORIZED => Ok((base, Challenge::of(&response))),
                _ => Err((Refusal::read(response).await.error(), false)),
            },
            Err(error) => {
                let other_scheme = is_plain_http(&error) || error.is_connect() || error.is_request();
                Err((connect_error(&base, &error), other_scheme))
            }
        }
    };
    match attempt("https").await {
        Ok(found) => Ok(found),
        Err((_, true)) if insecure => attempt("http").await.map_err(|(error, _)| error),
        Err((error, _)) => Err(error),
    }
}

/// Loopback registries are trusted as they are; others when the configuration names them or their network.
fn is_insecure(host: &str, configured: &[String]) -> bool {
    let bare = bare_host(host);
    let address: Option<IpAddr> = bare.parse().ok();
    is_loopback(bare)
        || configured.iter().any(|entry| {
            let entry = entry.trim_start_matches("http://").trim_end_matches('/');
            entry == host || entry == bare || address.is_some_and(|address| contains(entry, address))
        })
}

fn is_loopback(bare: &str) -> bool {
    bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The host without port and brackets.
fn bare_host(host: &str) -> &str {
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    }
}

/// Whether a network in CIDR notation contains an address.
fn contains(network: &str, address: IpAddr) -> bool {
    let Some((base, length)) = network.split_once('/') else { return false };
    let (Ok(base), Ok(length)) = (base.parse::<IpAddr>(), length.parse::<u32>()) else { return false };
    let bits = |address: IpAddr| match address {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)) << 96, 32),
        IpAddr::V6(v6) => (u128::from(v6), 128),
    };
    let ((base, width), (address, other)) = (bits(base), bits(address));
    width == other && length <= width && (length == 0 || (base ^ address) >> (128 - length) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_configured_registries_are_insecure() {
        let configured = ["10.1.0.0/16".to_owned(), "reg.example:5000".to_owned()];
        for host in ["127.0.0.1:5000", "localhost:5000", "[::1]:5000", "127.9.9.9", "10.1.2.3:80", "reg.example:5000"] {
            assert!(is_insecure(host, &configured), "{host}");
        }
        for host in ["registry-1.docker.io", "10.2.0.1:5000", "reg.example", "[fe80::1]:5000"] {
            assert!(!is_insecure(host, &configured), "{host}");
        }
    }
}
