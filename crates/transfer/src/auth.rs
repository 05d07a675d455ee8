//! Who we are to a registry (distribution's "Token Authentication Specification").

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::AUTHORIZATION;
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::Error;
use crate::challenge::Challenge;
use crate::endpoint::Endpoint;
use crate::failure::{Refusal, connect_error};
use crate::fetch::bounded;

/// What we call ourselves to token servers.
const CLIENT: &str = "gantry";

/// A registry account.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// User and password.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: String,
    },
    /// A refresh token of an earlier login.
    IdentityToken(String),
    /// A bearer token to send as it is.
    RegistryToken(String),
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Basic",
            Self::IdentityToken(_) => "IdentityToken",
            Self::RegistryToken(_) => "RegistryToken",
        })
    }
}

/// Answers a registry's challenge for some scopes, again when a token has run out. Clones share the token.
#[derive(Clone)]
pub(crate) struct Authorization(Arc<Shared>);

struct Shared {
    client: Client,
    challenge: Challenge,
    credentials: Option<Credentials>,
    /// `repository:<path>:<actions>`.
    scopes: Vec<String>,
    token: Mutex<Option<(String, Instant)>>,
}

/// What a token server answers.
#[derive(Deserialize)]
pub(crate) struct Token {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
    /// Seconds.
    #[serde(default)]
    expires_in: u64,
    /// Given when the request asked for offline access.
    #[serde(default)]
    pub(crate) refresh_token: String,
}

/// Tokens live at least this long (specification, "Token Response Fields").
const TOKEN_LIFE: u64 = 60;
/// A token this close to its end is not used any more, seconds.
const TOKEN_MARGIN: u64 = 10;
/// The answer of a token server is not larger than this, bytes.
const TOKEN_LIMIT: usize = 1 << 20;

impl Authorization {
    pub(crate) fn new(endpoint: &Endpoint, credentials: Option<Credentials>, scopes: Vec<String>) -> Self {
        let Endpoint { client, challenge, .. } = endpoint.clone();
        Self(Arc::new(Shared { client, challenge, credentials, scopes, token: Mutex::default() }))
    }

    /// Adds the header that the registry asks for.
    pub(crate) async fn apply(&self, request: RequestBuilder) -> Result<RequestBuilder, Error> {
        Ok(match self.header().await? {
            Some(value) => request.header(AUTHORIZATION, value),
            None => request,
        })
    }

    /// Whether a refusal may have been about the token's age; the next request gets a new one then.
    pub(crate) async fn forget_token(&self) -> bool {
        self.0.token.lock().await.take().is_some()
    }

    /// The registry wants a password and there is none.
    pub(crate) fn lacks_password(&self) -> bool {
        matches!(self.0.challenge, Challenge::Basic) && !matches!(self.0.credentials, Some(Credentials::Basic { .. }))
    }

    async fn header(&self) -> Result<Option<String>, Error> {
        let shared = &*self.0;
        match (&shared.challenge, &shared.credentials) {
            (Challenge::None, _) => Ok(None),
            (_, Some(Credentials::RegistryToken(token))) => Ok(Some(format!("Bearer {token}"))),
            (Challenge::Basic, Some(Credentials::Basic { username, password })) => Ok(Some(basic(username, password))),
            (Challenge::Basic, _) => Ok(None),
            (Challenge::Bearer { realm, service }, credentials) => {
                // Held while a token is fetched: parallel requests wait for one instead of fetching their own.
                let mut kept = shared.token.lock().await;
                if let Some((token, _)) = kept.as_ref().filter(|(_, end)| Instant::now() < *end) {
                    return Ok(Some(format!("Bearer {token}")));
                }
                let wanted = Wanted { realm, service, scopes: &shared.scopes, offline: false };
                let token = fetch_token(&shared.client, &wanted, credentials.as_ref()).await?;
                let life = token.expires_in.max(TOKEN_LIFE).saturating_sub(TOKEN_MARGIN);
                let text = token.text(realm)?;
                *kept = Some((text.clone(), Instant::now() + Duration::from_secs(life)));
                Ok(Some(format!("Bearer {text}")))
            }
        }
    }
}

/// What a token is asked for.
pub(crate) struct Wanted<'a> {
    pub(crate) realm: &'a str,
    pub(crate) service: &'a str,
    pub(crate) scopes: &'a [String],
    /// With a token that stands for the password later.
    pub(crate) offline: bool,
}

/// Asks the token server.
pub(crate) async fn fetch_token(
    client: &Client,
    wanted: &Wanted<'_>,
    credentials: Option<&Credentials>,
) -> Result<Token, Error> {
    let answer = |reason: String| Error::Answer { url: wanted.realm.to_owned(), reason };
    let url = Url::parse(wanted.realm).map_err(|error| answer(error.to_string()))?;
    let request = match credentials {
        Some(Credentials::IdentityToken(token)) => refresh(client, &url, wanted, token),
        _ => ask(client, url.clone(), wanted, credentials),
    };
    let response = request.send().await.map_err(|error| connect_error(url.as_str(), &error))?;
    if !response.status().is_success() {
        let refusal = Refusal::read(response).await;
        return Err(match refusal.status {
            StatusCode::UNAUTHORIZED if credentials.is_some() => {
                Error::Unauthorized("incorrect username or password".to_owned())
            }
            StatusCode::UNAUTHORIZED => Error::Unauthorized("authentication required".to_owned()),
            _ => refusal.error(),
        });
    }
    let body = bounded(response, TOKEN_LIMIT).await?;
    serde_json::from_slice(&body).map_err(|error| answer(error.to_string()))
}

/// The OAuth form, with an identity token.
fn refresh(client: &Client, url: &Url, wanted: &Wanted<'_>, token: &str) -> RequestBuilder {
    let scope = wanted.scopes.join(" ");
    let fields = [
        ("grant_type", "refresh_token"),
        ("service", wanted.service),
        ("client_id", CLIENT),
        ("scope", &scope),
        ("refresh_token", token),
    ];
    let mut form = url.clone();
    form.query_pairs_mut().clear().extend_pairs(fields);
    client
        .post(url.clone())
        .header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(form.query().unwrap_or_default().to_owned())
}

/// The plain form, with a password or with nothing.
fn ask(client: &Client, mut url: Url, wanted: &Wanted<'_>, credentials: Option<&Credentials>) -> RequestBuilder {
    {
        let mut query = url.query_pairs_mut();
        for scope in wanted.scopes {
            query.append_pair("scope", scope);
        }
        query.append_pair("service", wanted.service);
        if wanted.offline {
            query.append_pair("offline_token", "true").append_pair("client_id", CLIENT);
        }
        if let Some(Credentials::Basic { username, .. }) = credentials {
            query.append_pair("account", username);
        }
    }
    match credentials {
        Some(Credentials::Basic { username, password }) => {
            client.get(url).header(AUTHORIZATION, basic(username, password))
        }
        _ => client.get(url),
    }
}

impl Token {
    /// The token, under either of its names.
    pub(crate) fn text(&self, realm: &str) -> Result<String, Error> {
        match (self.token.is_empty(), self.access_token.is_empty()) {
            (false, _) => Ok(self.token.clone()),
            (true, false) => Ok(self.access_token.clone()),
            (true, true) => Err(Error::Answer {
                url: realm.to_owned(),
                reason: "authorization server did not include a token in the response".to_owned(),
            }),
        }
    }
}

pub(crate) fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}
