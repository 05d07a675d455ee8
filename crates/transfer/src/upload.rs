//! Writing into a repository (distribution-spec, "Push").

use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE};
use reqwest::{Body, Method, RequestBuilder, Response, StatusCode, Url};
use types::Digest;

use crate::Error;
use crate::failure::Refusal;
use crate::fetch::sha256;
use crate::registry::Registry;

/// What a request to begin an upload led to.
pub(crate) enum Begun {
    /// The blob was taken over from another repository.
    Mounted,
    /// Where to send the blob.
    Session(String),
}

impl Registry {
    /// Whether the repository has a blob.
    pub(crate) async fn has_blob(&self, digest: &Digest) -> Result<bool, Error> {
        let url = self.url(&format!("blobs/{digest}"));
        let response = self.send(Method::HEAD, &url, |request| request).await?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(false),
            status if status.is_success() => Ok(true),
            // The answer to HEAD has no words; the upload's will have.
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Ok(false),
            _ => Err(self.refused_push(Refusal::read(response).await)),
        }
    }

    /// Begins an upload; with `mount`, a digest and a repository that has it, it may not be needed.
    pub(crate) async fn begin(&self, mount: Option<(&Digest, &str)>) -> Result<Begun, Error> {
        let mut url = self.url("blobs/uploads/");
        if let Some((digest, from)) = mount {
            // Both are made of characters that stand for themselves in a query, but for the colon.
            url.push_str(&format!(
                "?mount={}&from={}",
                digest.to_string().replace(':', "%3A"),
                from.replace('/', "%2F")
            ));
        }
        let response = self.write(Method::POST, &url, |request| request.header("content-length", "0")).await?;
        match response.status() {
            StatusCode::CREATED => Ok(Begun::Mounted),
            _ => Ok(Begun::Session(location(&url, &response)?)),
        }
    }

    /// Sends bytes to a session, from `offset` on; gives where it goes on, and how much the registry says it has. The
    /// body can be sent only once. `total` are the bytes in all, where that is known.
    pub(crate) async fn send_piece(
        &self,
        session: &str,
        offset: u64,
        total: Option<u64>,
        body: Body,
    ) -> Result<(String, Option<u64>), Error> {
        let build = |request: RequestBuilder| {
            let request = request.header(CONTENT_TYPE, "application/octet-stream").body(body);
            match total {
                // Only what goes on needs to say where (distribution-spec, "Pushing a blob in chunks").
                Some(total) if offset > 0 && total > offset => request
                    .header(CONTENT_RANGE, format!("{offset}-{}", total - 1))
                    .header(CONTENT_LENGTH, total - offset),
                _ => request,
            }
        };
        let response = self.send_once(Method::PATCH, session, build).await?;
        if !response.status().is_success() {
            return Err(self.refused_push(Refusal::read(response).await));
        }
        Ok((location(session, &response)?, arrived(&response)))
    }

    /// Asks how far a session got after its connection broke: where it goes on, and the bytes that the registry has.
    /// `None` when it has forgotten the session.
    pub(crate) async fn session_status(&self, session: &str) -> Result<Option<(String, u64)>, Error> {
        let response = self.send(Method::GET, session, |request| request).await?;
        match response.status() {
            StatusCode::NO_CONTENT | StatusCode::ACCEPTED | StatusCode::OK => {
                let next = location(session, &response).unwrap_or_else(|_| session.to_owned());
                Ok(arrived(&response).map(|offset| (next, offset)))
            }
            status if status.is_server_error() => Err(Refusal::read(response).await.error()),
            _ => Ok(None),
        }
    }

    /// Gives up a session, so that the registry need not keep what came. It may have done so by itself.
    pub(crate) async fn abandon(&self, session: &str) {
        if let Err(error) = self.send(Method::DELETE, session, |request| request).await {
            tracing::debug!(%error, "an upload is left to the registry");
        }
    }

    /// Ends a session: the registry checks the digest.
    pub(crate) async fn finish(&self, session: &str, digest: &Digest, bytes: Option<&[u8]>) -> Result<(), Error> {
        let answer = |reason: String| Error::Answer { url: session.to_owned(), reason };
        let mut url = Url::parse(session).map_err(|error| answer(error.to_string()))?;
        url.query_pairs_mut().append_pair("digest", &digest.to_string());
        let build = |request: RequestBuilder| {
            let request = request.header(CONTENT_TYPE, "application/octet-stream");
            request.body(bytes.unwrap_or_default().to_vec())
        };
        self.write(Method::PUT, url.as_str(), build).await.map(|_| ())
    }

    /// Gives a manifest a tag, or makes it known by its digest.
    pub(crate) async fn put_manifest(&self, which: &str, media_type: &str, bytes: &[u8]) -> Result<(), Error> {
        let url = self.url(&format!("manifests/{which}"));
        let build = |request: RequestBuilder| request.header(CONTENT_TYPE, media_type).body(bytes.to_vec());
        let mut attempts = self.attempts();
        let response = loop {
            match self.write(Method::PUT, &url, build).await {
                Ok(response) => break response,
                Err(error) => attempts.again(error).await?,
            }
        };
        let promised = response.headers().get("docker-content-digest").and_then(|value| value.to_str().ok());
        match promised.and_then(|text| text.parse::<Digest>().ok()) {
            Some(digest) if digest != sha256(bytes) => Err(Error::Answer {
                url,
                reason: format!("it keeps the manifest as {digest}, which is not what was sent: {}", sha256(bytes)),
            }),
            _ => Ok(()),
        }
    }

    async fn write(
        &self,
        method: Method,
        url: &str,
        build: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Error> {
        let response = self.send(method, url, build).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refused_push(Refusal::read(response).await))
    }
}

/// `Range: 0-N` says that N + 1 bytes are there; registries say `0-0` for none, too.
fn arrived(response: &Response) -> Option<u64> {
    let text = response.headers().get(RANGE)?.to_str().ok()?;
    let last: u64 = text.trim_start_matches("bytes=").split_once('-')?.1.parse().ok()?;
    Some(if last == 0 { 0 } else { last + 1 })
}

/// The address that an answer names; it may be relative to the request's.
fn location(url: &str, response: &Response) -> Result<String, Error> {
    let answer = |reason: &str| Error::Answer { url: url.to_owned(), reason: reason.to_owned() };
    let text = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let text = text.ok_or_else(|| answer("the answer names no location"))?;
    let base = Url::parse(url).map_err(|_| answer("the address does not parse"))?;
    Ok(base.join(text).map_err(|_| answer("the location does not parse"))?.into())
}
