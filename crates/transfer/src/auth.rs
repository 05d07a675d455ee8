//! Who we are to a registry (distribution's "Token Authentication Specification").

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::WWW_AUTHENTICATE;
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;

use crate::Error;
use crate::failure::{Refusal, connect_error};

/// A registry account.
#[derive(Clone)]
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

/// What a registry wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    None,
    Basic,
    Bearer { realm: String, service: String },
}

/// The header value to send, if any.
#[derive(Clone, Default)]
pub(crate) struct Authorization(Option<String>);

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
}

impl Authorization {
    pub(crate) fn apply(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.0 {
            Some(value) => request.header(reqwest::header::AUTHORIZATION, value),
            None => request,
        }
    }

    /// Answers a challenge for `repository:<path>:<actions>`.
    pub(crate) async fn obtain(
        client: &Client,
        challenge: &Challenge,
        credentials: Option<&Credentials>,
        path: &str,
        actions: &str,
    ) -> Result<Self, Error> {
        match (challenge, credentials) {
            (Challenge::None, _) => Ok(Self(None)),
            (_, Some(Credentials::RegistryToken(token))) => Ok(Self(Some(format!("Bearer {token}")))),
            (Challenge::Basic, Some(Credentials::Basic { username, password })) => {
                Ok(Self(Some(basic(username, password))))
            }
            (Challenge::Basic, _) => Ok(Self(None)),
            (Challenge::Bearer { realm, service }, credentials) => {
                let scope = format!("repository:{path}:{actions}");
                let token = fetch_token(client, realm, service, &scope, credentials).await?;
                Ok(Self(Some(format!("Bearer {token}"))))
            }
        }
    }
}

impl Challenge {
    /// Reads the challenge of an answer to `GET /v2/`.
    pub(crate) fn of(response: &Response) -> Self {
        if response.status() != StatusCode::UNAUTHORIZED {
            return Self::None;
        }
        let headers = response.headers().get_all(WWW_AUTHENTICATE);
        let mut found = Self::None;
        for text in headers.iter().filter_map(|value| value.to_str().ok()) {
            match Self::parse(text) {
                bearer @ Self::Bearer { .. } => return bearer,
                Self::Basic => found = Self::Basic,
                Self::None => {}
            }
        }
        found
    }

    fn parse(text: &str) -> Self {
        let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
        match scheme.to_ascii_lowercase().as_str() {
            "basic" => Self::Basic,
            "bearer" => {
                let parameter = |name: &str| parameters(rest).find(|(key, _)| *key == name).map(|(_, value)| value);
                match parameter("realm") {
                    Some(realm) => Self::Bearer { realm, service: parameter("service").unwrap_or_default() },
                    None => Self::None,
                }
            }
            _ => Self::None,
        }
    }
}

/// `key="value"` pairs; commas inside quotes do not separate.
fn parameters(text: &str) -> impl Iterator<Item = (&str, String)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (key, after) = rest.trim_start_matches([',', ' ']).split_once('=')?;
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        rest = next;
        Some((key.trim(), value.to_owned()))
    })
}

async fn fetch_token(
    client: &Client,
    realm: &str,
    service: &str,
    scope: &str,
    credentials: Option<&Credentials>,
) -> Result<String, Error> {
    let answer = |reason: String| Error::Answer { url: realm.to_owned(), reason };
    let mut url = Url::parse(realm).map_err(|error| answer(error.to_string()))?;
    let request = match credentials {
        Some(Credentials::IdentityToken(token)) => {
            let fields = [
                ("grant_type", "refresh_token"),
                ("service", service),
                ("client_id", "gantry"),
                ("scope", scope),
                ("refresh_token", token),
            ];
            let mut form = url.clone();
            form.query_pairs_mut().clear().extend_pairs(fields);
            client
                .post(url.clone())
                .header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form.query().unwrap_or_default().to_owned())
        }
        _ => {
            url.query_pairs_mut().append_pair("scope", scope).append_pair("service", service);
            match credentials {
                Some(Credentials::Basic { username, password }) => {
                    url.query_pairs_mut().append_pair("account", username);
                    client.get(url.clone()).header(reqwest::header::AUTHORIZATION, basic(username, password))
                }
                _ => client.get(url.clone()),
            }
        }
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
    let body = response.bytes().await.map_err(|error| connect_error(url.as_str(), &error))?;
    let token: Token = serde_json::from_slice(&body).map_err(|error| answer(error.to_string()))?;
    match (token.token.is_empty(), token.access_token.is_empty()) {
        (false, _) => Ok(token.token),
        (true, false) => Ok(token.access_token),
        (true, true) => Err(answer("authorization server did not include a token in the response".to_owned())),
    }
}

fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_challenges() {
        let text = r#"Bearer realm="https://auth.example/token",service="registry",scope="a:b,c",error="x""#;
        let expected =
            Challenge::Bearer { realm: "https://auth.example/token".to_owned(), service: "registry".to_owned() };
        assert_eq!(Challenge::parse(text), expected);
        assert_eq!(Challenge::parse(r#"Basic realm="x""#), Challenge::Basic);
        assert_eq!(Challenge::parse("Negotiate"), Challenge::None);
        let pairs: Vec<_> = parameters(r#"a="1,2", b=3,c="4""#).collect();
        assert_eq!(pairs, [("a", "1,2".to_owned()), ("b", "3".to_owned()), ("c", "4".to_owned())]);
    }
}
