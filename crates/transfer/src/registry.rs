//! One repository on one registry.

use reqwest::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, LINK, RANGE};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use types::{Digest, Reference};

use crate::auth::Authorization;
use crate::config::{Place, Registries};
use crate::endpoint::Endpoint;
use crate::failure::{Refusal, connect_error};
use crate::fetch::bounded;
use crate::manifest::Descriptor;
use crate::retry::Attempts;
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
    /// Its failure is not the end.
    is_mirror: bool,
    /// How often a request that failed is sent.
    attempts: u32,
}

/// A page of tags is not larger than this, bytes.
const TAGS_LIMIT: usize = 16 << 20;

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
        let (familiar, attempts) = (reference.familiar_name(), registries.attempts.max(1));
        Ok(Self { client, base, path, authorization, familiar, is_mirror: place.mirror, attempts })
    }

    /// Whether a refusal may be about the age of the token; the next request gets a new one then.
    pub(crate) async fn token_ran_out(&self, error: &Error) -> bool {
        matches!(error, Error::Refused(text) if text.starts_with("unauthorized"))
            && self.authorization.forget_token().await
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
        let mut attempts = self.attempts();
        let response = loop {
            let response = self.send(Method::GET, &url, |request| request.header(ACCEPT, accept)).await;
            match response.and_then(passing) {
                Ok(response) => break response,
                Err(error) => attempts.again(error).await.map_err(|error| error.at_request(shown, &url))?,
            }
        };
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

    /// As [`Self::blob`], of a layer: where the registry does not have it, from the places that its manifest names.
    pub(crate) async fn layer(&self, layer: &Descriptor, offset: u64) -> Result<Response, Error> {
        let refusal = match self.blob(&layer.digest, offset).await {
            Err(error @ (Error::AccessDenied { .. } | Error::Refused(_))) => error,
            result => return result,
        };
        let places =
            layer.urls.iter().flatten().filter(|url| url.starts_with("https://") || url.starts_with("http://"));
        for url in places {
            // Nobody else gets the registry's credentials.
            let request = ranged(self.client.get(url), offset);
            match request.send().await {
                Ok(response) if response.status().is_success() => return Ok(response),
                Ok(response) => tracing::info!(url, status = %response.status(), "a foreign layer is not there"),
                Err(error) => tracing::info!(url, %error, "a foreign layer is not there"),
            }
        }
        Err(refusal)
    }

    /// For a request that changes nothing: a mirror gets one attempt.
    pub(crate) fn attempts(&self) -> Attempts {
        Attempts::new(if self.is_mirror { 1 } else { self.attempts })
    }

    /// The bytes of a blob from `offset` on; the server may ignore the offset and answer 200.
    pub(crate) async fn blob(&self, digest: &Digest, offset: u64) -> Result<Response, Error> {
        let url = self.url(&format!("blobs/{digest}"));
        let response = self.send(Method::GET, &url, |request| ranged(request, offset)).await?;
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
            let body = bounded(response, TAGS_LIMIT).await?;
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
            // The hub's own images have no slash in their names.
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if is_official(&self.familiar) => {
                let words = some_or(refusal.text, "denied: requested access to the resource is denied");
                Error::Refused(format!("{words}: {}", own_name(&self.familiar)))
            }
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

fn ranged(request: RequestBuilder, offset: u64) -> RequestBuilder {
    // The bytes as they are kept: a length of something else would be of no use.
    let request = request.header(ACCEPT_ENCODING, "identity");
    if offset == 0 { request } else { request.header(RANGE, format!("bytes={offset}-")) }
}

/// Answers after which the same request may succeed become errors.
fn passing(response: Response) -> Result<Response, Error> {
    match response.status() {
        status if status.is_server_error() => {
            let from = crate::failure::authority(response.url());
            Err(Error::Status { status: status.to_string(), from })
        }
        _ => Ok(response),
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

/// A name without a registry and without an owner is one of the hub's own images.
fn is_official(familiar: &str) -> bool {
    !familiar.contains('/')
}

/// What somebody wants to do who pushes an official name.
fn own_name(familiar: &str) -> String {
    format!(
        "push access denied, official images belong to the hub: give the image a name of your own \
         (docker tag {familiar} docker.io/USER/{familiar}) and push that"
    )
}

fn some_or(text: String, default: &str) -> String {
    if text.is_empty() { default.to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn official_names_are_the_hubs() {
        let familiar = |text: &str| text.parse::<Reference>().expect("a name").familiar_name();
        assert!(is_official(&familiar("centos:7")) && is_official(&familiar("docker.io/library/centos")));
        assert!(!is_official(&familiar("user/centos")) && !is_official(&familiar("127.0.0.1:5000/centos")));
        assert!(own_name("centos").contains("docker tag centos docker.io/USER/centos"));
    }

    #[test]
    fn the_next_page_is_where_the_link_says() {
        let page = |link: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(LINK, reqwest::header::HeaderValue::from_static(link));
            next_page("http://reg.example/v2/app/tags/list", &headers)
        };
        let next = page("</v2/app/tags/list?last=a&n=1>; rel=\"next\"");
        assert_eq!(next.as_deref(), Some("http://reg.example/v2/app/tags/list?last=a&n=1"));
        assert_eq!(page("</v2/x>; rel=\"prev\""), None);
        assert_eq!(page("nonsense"), None);
    }
}
