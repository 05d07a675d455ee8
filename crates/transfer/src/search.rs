//! `docker search`: the index of the hub, of its mirrors, or of a registry that the term names.

use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;

use crate::auth::basic;
use crate::config::{Place, Registries};
use crate::endpoint;
use crate::failure::{connect_error, is_plain_http};
use crate::{Credentials, Error};

/// A repository that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Found {
    /// Its name, as it is pulled.
    pub name: String,
    /// What its owner says about it.
    #[serde(deserialize_with = "null_is_empty")]
    pub description: String,
    /// How many people like it.
    pub star_count: i64,
    /// It belongs to the official ones.
    pub is_official: bool,
    /// It was built by the hub; no longer told.
    pub is_automated: bool,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    results: Option<Vec<Found>>,
}

#[derive(Deserialize)]
struct Catalog {
    #[serde(default)]
    repositories: Option<Vec<String>>,
}

/// Searches for a term; `host/term` searches that registry.
///
/// # Errors
/// [`Error::Search`], [`Error::SearchTerm`], or that nothing answers.
pub async fn search(
    term: &str,
    limit: usize,
    credentials: Option<&Credentials>,
    registries: &Registries,
) -> Result<Vec<Found>, Error> {
    if term.contains("://") {
        return Err(Error::SearchTerm);
    }
    let (domain, term) = split(term);
    if let Some(host) = domain {
        let place = Registries::home(host);
        let found = index(&place, term, limit, credentials, registries).await;
        return match found {
            // A registry of today has no search of its own, but a list.
            Err(Error::Search(404 | 405)) => {
                let found = catalog(&place, term, limit, credentials, registries).await?;
                Ok(found.into_iter().map(|name| Found { name: format!("{host}/{name}"), ..Found::default() }).collect())
            }
            found => found,
        };
    }
    for mirror in registries.mirrors() {
        if let Ok(found) = index(&mirror, term, limit, None, registries).await {
            return Ok(found);
        }
    }
    let hub = Place { host: "index.docker.io".to_owned(), scheme: Some("https"), mirror: false };
    index(&hub, term, limit, credentials, registries).await
}

/// A first component that looks like a registry, as in references.
fn split(term: &str) -> (Option<&str>, &str) {
    match term.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => match host {
            "docker.io" | "index.docker.io" => (None, rest),
            _ => (Some(host), rest),
        },
        _ => (None, term),
    }
}

/// `GET /v1/search`, which only indexes have.
async fn index(
    place: &Place,
    term: &str,
    limit: usize,
    credentials: Option<&Credentials>,
    registries: &Registries,
) -> Result<Vec<Found>, Error> {
    // The hub's own images are searched by their short name.
    let term = term.strip_prefix("library/").unwrap_or(term);
    let query = [("q", term.to_owned()), ("n", limit.to_string())];
    let body = get(place, "v1/search", &query, credentials, registries).await?;
    let answer: Answer = serde_json::from_slice(&body)
        .map_err(|error| Error::Answer { url: place.host.clone(), reason: error.to_string() })?;
    Ok(answer.results.unwrap_or_default())
}

/// `GET /v2/_catalog`: repositories whose name contains the term.
async fn catalog(
    place: &Place,
    term: &str,
    limit: usize,
    credentials: Option<&Credentials>,
    registries: &Registries,
) -> Result<Vec<String>, Error> {
    const PAGE: usize = 1000;
    let mut found = Vec::new();
    let mut last = String::new();
    while found.len() < limit {
        let mut query = vec![("n", PAGE.to_string())];
        if !last.is_empty() {
            query.push(("last", last.clone()));
        }
        let body = get(place, "v2/_catalog", &query, credentials, registries).await?;
        let page: Catalog = serde_json::from_slice(&body)
            .map_err(|error| Error::Answer { url: place.host.clone(), reason: error.to_string() })?;
        let names = page.repositories.unwrap_or_default();
        let more = names.len() >= PAGE;
        last = names.last().cloned().unwrap_or_default();
        found.extend(names.into_iter().filter(|name| name.contains(term)));
        if !more {
            break;
        }
    }
    found.truncate(limit);
    Ok(found)
}

/// A request outside of repositories: TLS first, then without where that is allowed.
async fn get(
    place: &Place,
    path: &str,
    query: &[(&str, String)],
    credentials: Option<&Credentials>,
    registries: &Registries,
) -> Result<Vec<u8>, Error> {
    let client = endpoint::client(&place.host, registries, place.mirror)?;
    let address = |scheme: &str| {
        let text = format!("{scheme}://{}/{path}", place.host);
        Url::parse_with_params(&text, query).map_err(|error| Error::Answer { url: text, reason: error.to_string() })
    };
    let first = fetch(&client, address(place.scheme.unwrap_or("https"))?, credentials).await;
    match first {
        Err((_, true)) if place.scheme.is_none() && registries.is_insecure(&place.host) => {
            fetch(&client, address("http")?, credentials).await.map_err(|(error, _)| error)
        }
        first => first.map_err(|(error, _)| error),
    }
}

async fn fetch(client: &Client, url: Url, credentials: Option<&Credentials>) -> Result<Vec<u8>, (Error, bool)> {
    let mut request = client.get(url.clone());
    if let Some(Credentials::Basic { username, password }) = credentials {
        request = request.header(reqwest::header::AUTHORIZATION, basic(username, password));
    }
    let failed = |error: reqwest::Error| {
        let other_scheme = is_plain_http(&error) || error.is_connect() || error.is_request();
        (connect_error(url.as_str(), &error), other_scheme)
    };
    let response = request.send().await.map_err(failed)?;
    match response.status() {
        StatusCode::OK => Ok(response.bytes().await.map_err(failed)?.to_vec()),
        status => Err((Error::Search(status.as_u16()), false)),
    }
}

fn null_is_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_may_name_a_registry() {
        assert_eq!(split("nginx"), (None, "nginx"));
        assert_eq!(split("user/app"), (None, "user/app"));
        assert_eq!(split("docker.io/library/nginx"), (None, "library/nginx"));
        assert_eq!(split("127.0.0.1:5000/app"), (Some("127.0.0.1:5000"), "app"));
        assert_eq!(split("localhost/app"), (Some("localhost"), "app"));
    }
}
