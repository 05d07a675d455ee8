//! One repository on one registry.

use reqwest::header::{ACCEPT, HeaderMap, LINK, RANGE};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use types::{Digest, Reference};

use crate::auth::Authorization;
use crate::config::{Place, Registries};
use crate::endpoint::Endpoint;
use crate::failure::{Refusal, connect_error};
use crate::{Credentials, Error};

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

/// `GET /v2/<name>/tags/list`.
#[derive(Deserialize)]
struct Tags {
    #[serde(default)]
    tags: Option<Vec<String>>,
}

impl Registry {
    /// Connects to read a repository.
    pub(crate) async fn connect(
        place: &Place,
        reference: &Reference,
        credentials: Option<&Credentials>,
        registries: &Registries,
    ) -> Result<Self, Error> {
        let scope = format!("repository:{}:pull", reference.path());
        let credentials = credentials.filter(|_| !place.mirror);
        Self::with_scopes(place, reference, credentials, registries, vec![scope]).await
    }

    /// Connects with the rights that `scopes` name.
    pub(crate) async fn with_scopes(
        place: &Place,
        reference: &Reference,
        credentials: Option<&Credentials>,
        registries: &Registries,
        scopes: Vec<String>,
    ) -> Result<Self, Error> {
        let endpoint = Endpoint::connect(place, registries).await?;
        let authorization = Authorization::new(&endpoint, credentials.cloned(), scopes);
        let Endpoint { client, base, .. } = endpoint;
        let path = reference.path().to_owned();
        Ok(Self { client, base, path, authorization, familiar: reference.familiar_name() })
    }

    /// The address of something in this repository.
    pub(crate) fn url(&self, what: &str) -> String {
        format!("{}{}/{what}", self.base, self.path)
    }

    /// Sends a request, once more with a new token when the old one may have run out.
    pub(crate) async fn send(
        &self,
        method: Method,
        url: &str,
        build: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Error> {
        let response = self.send_once(method.clone(), url, &build).await?;
        if response.status() == StatusCode::UNAUTHORIZED && self.authorization.forget_token().await {
            return self.send_once(method, url, build).await;
        }
        Ok(response)
    }

    /// Sends a request that cannot be repeated.
    pub(crate) async fn send_once(
        &self,
        method: Method,
        url: &str,
        build: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Error> {
        let request = build(self.client.request(method, url));
        let request = self.authorization.apply(request).await?;
        request.send().await.map_err(|error| connect_error(url, &error))
    }

    /// `tag` or `digest` as the last component.
    pub(crate) async fn manifest(&self, which: &str, accept: &str) -> Result<Response, Error> {
        let url = self.url(&format!("manifests/{which}"));
        // Docker asks for the head of what a tag means first, and its messages say so.
        let shown = if which.contains(':') { "Get" } else { "Head" };
        let response = self.send(Method::GET, &url, |request| request.header(ACCEPT, accept)).await;
        let response = response.map_err(|error| error.at_request(shown, &url))?;
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
            _ => self.refused(refusal).at_password(shown, &url),
        })
    }

    /// The bytes of a blob from `offset` on; the server may ignore the offset and answer 200.
    pub(crate) async fn blob(&self, digest: &Digest, offset: u64) -> Result<Response, Error> {
        let url = self.url(&format!("blobs/{digest}"));
        let range = |request: RequestBuilder| match offset {
            0 => request,
            _ => request.header(RANGE, format!("bytes={offset}-")),
        };
        let response = self.send(Method::GET, &url, range).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refused(Refusal::read(response).await))
    }

    /// All tags, in the registry's order.
    pub(crate) async fn tags(&self) -> Result<Vec<String>, Error> {
        let mut url = self.url("tags/list");
        let mut tags = Vec::new();
        loop {
            let response = self.send(Method::GET, &url, |request| request).await;
            let response = response.map_err(|error| error.at_request("Get", &url))?;
            if !response.status().is_success() {
                let refusal = Refusal::read(response).await;
                return Err(match refusal.status {
                    StatusCode::NOT_FOUND => Error::RepositoryNotFound {
                        repository: self.familiar.clone(),
                        answer: some_or(refusal.text, "name unknown: repository name not known to registry"),
                    },
                    _ => self.refused(refusal).at_password("Get", &url),
                });
            }
            let next = next_page(&url, response.headers());
            let body = response.bytes().await.map_err(|error| connect_error(&url, &error))?;
            let page: Tags = serde_json::from_slice(&body)
                .map_err(|error| Error::Answer { url: url.clone(), reason: error.to_string() })?;
            tags.extend(page.tags.unwrap_or_default());
            match next {
                Some(next) if next != url => url = next,
                _ => return Ok(tags),
            }
        }
    }

    /// What a refusal to read means. Every refusal that hides a repository gets the same words, as on the hub.
    fn refused(&self, refusal: Refusal) -> Error {
        match (refusal.status, refusal.code.as_str()) {
            (StatusCode::UNAUTHORIZED, _) if self.authorization.lacks_password() => Error::NoPassword,
            (StatusCode::UNAUTHORIZED, "UNAUTHORIZED") => Error::Refused(refusal.text),
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND, _) => {
                let answer = some_or(refusal.text, "denied: requested access to the resource is denied");
                Error::AccessDenied { repository: self.familiar.clone(), answer }
            }
            _ => refusal.error(),
        }
    }

    /// What a refusal to write means.
    pub(crate) fn refused_push(&self, refusal: Refusal) -> Error {
        match refusal.status {
            StatusCode::UNAUTHORIZED if self.authorization.lacks_password() => Error::NoPassword,
            StatusCode::UNAUTHORIZED if refusal.text.is_empty() => {
                Error::Refused("unauthorized: authentication required".to_owned())
            }
            StatusCode::FORBIDDEN if refusal.text.is_empty() => {
                Error::Refused("denied: requested access to the resource is denied".to_owned())
            }
            _ => refusal.error(),
        }
    }
}

impl Error {
    fn at_password(self, method: &str, url: &str) -> Self {
        match self {
            Self::NoPassword => self.at_request(method, url),
            other => other,
        }
    }
}

/// The address of the next page (RFC 5988), as distribution registries give it.
fn next_page(url: &str, headers: &HeaderMap) -> Option<String> {
    let link = headers.get(LINK)?.to_str().ok()?;
    let (target, parameters) = link.strip_prefix('<')?.split_once('>')?;
    if !parameters.contains("next") {
        return None;
    }
    Some(reqwest::Url::parse(url).ok()?.join(target).ok()?.into())
}

fn some_or(text: String, default: &str) -> String {
    if text.is_empty() { default.to_owned() } else { text }
}
