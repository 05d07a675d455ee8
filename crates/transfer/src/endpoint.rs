//! A registry that answers: how it wants to be spoken to, and the certificates for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::redirect::{Action, Attempt, Policy};
use reqwest::{Client, ClientBuilder, NoProxy, Proxy, StatusCode, Url};

use crate::Error;
use crate::challenge::Challenge;
use crate::config::{Place, Proxies, Registries, bare_host, is_loopback};
use crate::failure::{Refusal, connect_error, is_plain_http};
use crate::trust::Trust;

/// A registry that does not answer within this time is not there: `run hello-world` waits for it.
const PING_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// What a mirror that is gone may cost every pull.
const MIRROR_TIMEOUT: Duration = Duration::from_millis(1500);
/// As many redirects as Go's client follows.
const REDIRECTS: usize = 10;

/// A registry that answered `GET /v2/`.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) client: Client,
    /// `https://registry.example/v2/`.
    pub(crate) base: String,
    pub(crate) challenge: Challenge,
}

impl Endpoint {
    /// Finds out how the registry wants to be spoken to. Insecure registries are tried with TLS first, then without,
    /// as Docker does.
    pub(crate) async fn connect(place: &Place, registries: &Registries) -> Result<Self, Error> {
        // A mirror may be a part of a server.
        let host = place.host.split('/').next().unwrap_or_default();
        let insecure = registries.is_insecure(host);
        let client = client(host, registries, place.mirror)?;
        let first = ping(&client, place.scheme.unwrap_or("https"), place).await;
        let (base, challenge) = match first {
            Ok(found) => found,
            Err((_, true)) if insecure && place.scheme.is_none() => {
                ping(&client, "http", place).await.map_err(|(error, _)| error)?
            }
            Err((error, _)) => {
                if place.mirror && error.is_transient() {
                    registries.health.note_down(&place.host);
                }
                return Err(error);
            }
        };
        Ok(Self { client, base, challenge })
    }
}

/// `GET /v2/`; a failure tells whether the other scheme may help.
async fn ping(client: &Client, scheme: &str, place: &Place) -> Result<(String, Challenge), (Error, bool)> {
    let base = format!("{scheme}://{}/v2/", place.host);
    let patience = if place.mirror { MIRROR_TIMEOUT } else { PING_TIMEOUT };
    match client.get(&base).timeout(patience).send().await {
        Ok(response) => match response.status() {
            StatusCode::OK => Ok((base, Challenge::None)),
            StatusCode::UNAUTHORIZED => Ok((base, Challenge::of(response.headers()))),
            _ => Err((Refusal::read(response).await.error(), false)),
        },
        Err(error) => {
            let other_scheme = is_plain_http(&error) || error.is_connect() || error.is_request();
            Err((connect_error(&base, &error), other_scheme))
        }
    }
}

/// A client for one registry, with the certificates that are configured for it.
pub(crate) fn client(host: &str, registries: &Registries, impatient: bool) -> Result<Client, Error> {
    let mut builder = Client::builder()
        .user_agent(concat!("gantry/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(if impatient { MIRROR_TIMEOUT } else { CONNECT_TIMEOUT })
        .read_timeout(registries.patience)
        .redirect(Policy::custom(follow))
        .tls_danger_accept_invalid_certs(registries.is_insecure(host));
    builder = match is_loopback(bare_host(host)) {
        // As Go: a proxy's own loopback is not ours.
        true => builder.no_proxy(),
        false => proxied(builder, &registries.proxies)?,
    };
    let mut trust = Trust::default();
    for directory in &registries.certificates {
        certificates(&mut trust, &directory.join(host))?;
    }
    if !trust.authorities.is_empty() || trust.identity.is_some() {
        let config = trust.client_config(registries.is_insecure(host)).map_err(Error::Certificate)?;
        builder = builder.tls_backend_preconfigured(config);
    }
    builder.build().map_err(|error| Error::Client(format!("{error:?}")))
}

/// Registries send clients to the stores of their blobs. Credentials do not go along to another host (reqwest's rule);
/// a way out of TLS, or out of HTTP, is not taken.
fn follow(attempt: Attempt<'_>) -> Action {
    let leaves_tls = |from: &Url| from.scheme() == "https" && attempt.url().scheme() != "https";
    if attempt.previous().len() > REDIRECTS {
        return attempt.error("stopped after 10 redirects");
    }
    if !matches!(attempt.url().scheme(), "http" | "https") {
        let words = format!("unsupported protocol scheme {:?}", attempt.url().scheme());
        return attempt.error(words);
    }
    if attempt.previous().last().is_some_and(leaves_tls) {
        let words = format!("refused to be redirected from TLS to plain HTTP at {}", attempt.url().authority());
        return attempt.error(words);
    }
    attempt.follow()
}

/// Adds the configured proxies; they replace those of the environment.
pub(crate) fn proxied(mut builder: ClientBuilder, proxies: &Proxies) -> Result<ClientBuilder, Error> {
    let invalid = |error: reqwest::Error| Error::Client(format!("invalid proxy: {error}"));
    let without = || NoProxy::from_string(&proxies.none_for);
    if !proxies.http.is_empty() {
        builder = builder.proxy(Proxy::http(&proxies.http).map_err(invalid)?.no_proxy(without()));
    }
    if !proxies.https.is_empty() {
        builder = builder.proxy(Proxy::https(&proxies.https).map_err(invalid)?.no_proxy(without()));
    }
    Ok(builder)
}

/// Adds what a registry's directory holds. Rules and texts are Docker's: `*.crt` are authorities, and each `*.cert`
/// has its `*.key`.
fn certificates(trust: &mut Trust, directory: &Path) -> Result<(), Error> {
    let Ok(entries) = fs::read_dir(directory) else { return Ok(()) };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for path in &paths {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        match extension {
            "crt" => trust.add_authorities(&read(path)?).map_err(|error| unusable(path, &error))?,
            "cert" => {
                let key = path.with_extension("key");
                if !key.exists() {
                    return Err(Error::Certificate(format!(
                        "missing key {} for client certificate {}. CA certificates must use the extension .crt",
                        name(&key),
                        name(path)
                    )));
                }
                trust.set_identity(&read(path)?, &read(&key)?).map_err(|error| unusable(path, &error))?;
            }
            "key" if !path.with_extension("cert").exists() => {
                let missing = name(&path.with_extension("cert"));
                return Err(Error::Certificate(format!("missing client certificate {missing} for key {}", name(path))));
            }
            _ => {}
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|error| Error::Certificate(format!("open {}: {error}", path.display())))
}

fn unusable(path: &Path, error: &str) -> Error {
    Error::Certificate(format!("could not load certificate {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_needs_its_key() {
        let directory = tempfile::tempdir().expect("directory");
        let registries = Registries { certificates: vec![directory.path().to_owned()], ..Registries::default() };
        let host = directory.path().join("reg.example:5000");
        fs::create_dir(&host).expect("directory");
        assert!(client("reg.example:5000", &registries, false).is_ok());
        fs::write(host.join("me.key"), "").expect("write");
        let text = |result: Result<Client, Error>| result.err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(
            text(client("reg.example:5000", &registries, false)),
            "missing client certificate me.cert for key me.key"
        );
        fs::rename(host.join("me.key"), host.join("me.cert")).expect("rename");
        assert_eq!(
            text(client("reg.example:5000", &registries, false)),
            "missing key me.key for client certificate me.cert. CA certificates must use the extension .crt"
        );
        assert!(client("other.example", &registries, false).is_ok());
    }
}
