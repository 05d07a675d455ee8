//! One request on its way to a handler.

use std::sync::Arc;

use api::ApiVersion;
use bytes::Bytes;
use engine::Engine;
use hyper::header::{CONTENT_TYPE, HeaderName};
use hyper::upgrade::OnUpgrade;
use hyper::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

use crate::body::RequestBody;
use crate::failure::Failure;
use crate::peer::Peer;
use crate::query::Query;

/// No request of the API takes more bytes to describe. Streams (archives, images) are read piece by piece instead.
const JSON_MOST: usize = 16 << 20;

/// A routed request.
pub struct Call {
    /// Who decides.
    pub engine: Arc<Engine>,
    /// API version of the path.
    pub version: ApiVersion,
    /// What the path's parameter took, decoded; empty without one.
    pub name: String,
    /// The query.
    pub query: Query,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: RequestBody,
    /// How to take the connection over; `None` when it cannot be.
    pub upgrade: Option<OnUpgrade>,
    /// The client; `None` when it cannot be watched.
    pub peer: Option<Peer>,
}

impl Call {
    /// Whether the version of the path is at least `1.minor`.
    #[must_use]
    pub fn since(&self, minor: u16) -> bool {
        self.version >= ApiVersion(minor)
    }

    /// A header's text; empty when absent or not text.
    #[must_use]
    pub fn header(&self, name: impl Into<HeaderName>) -> &str {
        self.headers.get(name.into()).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// 400 for another content type, an empty body, or what does not parse; 413 for more than [`JSON_MOST`].
    pub async fn json<T: DeserializeOwned + Default>(&mut self) -> Result<T, Failure> {
        self.check_json()?;
        parse_json(&self.bytes().await?)
    }

    /// The body as JSON, or the default when there is none.
    ///
    /// # Errors
    /// As [`Self::json`], but for the empty body.
    pub async fn json_or_default<T: DeserializeOwned + Default>(&mut self) -> Result<T, Failure> {
        self.check_json()?;
        self.json_of_any_type().await
    }

    /// As [`Self::json_or_default`], whatever the content type says.
    ///
    /// # Errors
    /// As [`Self::json_or_default`].
    pub async fn json_of_any_type<T: DeserializeOwned + Default>(&mut self) -> Result<T, Failure> {
        let bytes = self.bytes().await?;
        if bytes.iter().all(u8::is_ascii_whitespace) { Ok(T::default()) } else { parse_json(&bytes) }
    }

    /// Reads what the client still sends, up to a bound, and forgets it.
    pub async fn discard_body(&mut self) {
        const MOST: usize = 256 << 20;
        let mut read = 0;
        while let Some(Ok(piece)) = self.body.next().await {
            read += piece.len();
            if read > MOST {
                return;
            }
        }
    }

    fn check_json(&self) -> Result<(), Failure> {
        check_json(self.header(CONTENT_TYPE), self.body.is_empty())
    }

    async fn bytes(&mut self) -> Result<Bytes, Failure> {
        let mut body = std::mem::replace(&mut self.body, RequestBody::Full(Bytes::new()));
        let broken = |error| Failure::invalid(format!("reading the request body: {error}"));
        let first = body.next().await.transpose().map_err(broken)?.unwrap_or_default();
        // One piece is the rule.
        let Some(second) = body.next().await else { return Ok(first) };
        let mut whole = Vec::from(first);
        let mut next = Some(second);
        while let Some(piece) = next {
            whole.extend_from_slice(&piece.map_err(broken)?);
            if whole.len() > JSON_MOST {
                return Err(too_large());
            }
            next = body.next().await;
        }
        Ok(whole.into())
    }
}

fn too_large() -> Failure {
    let message = format!("the request body is larger than {} MiB", JSON_MOST >> 20);
    Failure { status: StatusCode::PAYLOAD_TOO_LARGE, message }
}

fn check_json(content_type: &str, no_body: bool) -> Result<(), Failure> {
    if content_type.is_empty() && no_body {
        return Ok(());
    }
    let malformed =
        |what: &str| Err(Failure::invalid(format!("malformed Content-Type header ({content_type}): mime: {what}")));
    let (media_type, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    let media_type = media_type.trim();
    if media_type.is_empty() {
        return malformed("no media type");
    }
    if parameters.split(';').any(|parameter| !parameter.trim().is_empty() && !parameter.contains('=')) {
        return malformed("invalid media parameter");
    }
    if media_type.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Failure::invalid(format!("unsupported Content-Type header ({content_type}): must be 'application/json'")))
}

fn parse_json<T: DeserializeOwned + Default>(bytes: &[u8]) -> Result<T, Failure> {
    if bytes.trim_ascii() == b"null" {
        return Ok(T::default());
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Failure::invalid("invalid JSON: got EOF while reading request body"));
    }
    api::json::from_slice(bytes).map_err(|error| {
        Failure::invalid(match error.to_string() {
            _ if error.is_eof() => "invalid JSON: unexpected EOF".to_owned(),
            text if text.starts_with("trailing characters") => "unexpected content after JSON".to_owned(),
            text => format!("invalid JSON: {text}"),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_are_checked_as_docker_does() {
        assert_eq!(check_json("application/json", false), Ok(()));
        assert_eq!(check_json("application/json; charset=utf-8", true), Ok(()));
        assert_eq!(check_json("", true), Ok(()));
        let refused = |content_type| check_json(content_type, false).map_err(|failure| failure.message);
        let text = "unsupported Content-Type header (text/plain): must be 'application/json'";
        assert_eq!(refused("text/plain"), Err(text.to_owned()));
        assert_eq!(refused(""), Err("malformed Content-Type header (): mime: no media type".to_owned()));
        let text = "malformed Content-Type header (application/json; x): mime: invalid media parameter";
        assert_eq!(refused("application/json; x"), Err(text.to_owned()));
        assert_eq!(parse_json::<u8>(b" null\n"), Ok(0));
        let wrong = |text: &str| parse_json::<bool>(text.as_bytes()).map_err(|failure| failure.message);
        assert_eq!(wrong("tru"), Err("invalid JSON: unexpected EOF".to_owned()));
        assert_eq!(wrong("true {}"), Err("unexpected content after JSON".to_owned()));
        let empty = parse_json::<u8>(b" \n").map_err(|failure| failure.message);
        assert_eq!(empty, Err("invalid JSON: got EOF while reading request body".to_owned()));
    }
}
