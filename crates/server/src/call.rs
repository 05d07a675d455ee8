//! One request on its way to a handler.

use std::sync::Arc;

use api::ApiVersion;
use bytes::Bytes;
use engine::Engine;
use hyper::HeaderMap;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use hyper::upgrade::OnUpgrade;
use serde::de::DeserializeOwned;

use crate::body::RequestBody;
use crate::failure::Failure;
use crate::query::Query;

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

    /// The whole body.
    ///
    /// # Errors
    /// 400 when the client broke off.
    pub async fn bytes(&mut self) -> Result<Bytes, Failure> {
        let body = std::mem::replace(&mut self.body, RequestBody::Full(Bytes::new()));
        body.collect().await.map_err(|error| Failure::invalid(format!("reading the request body: {error}")))
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// 400 for another content type, an empty body, or what does not parse.
    pub async fn json<T: DeserializeOwned>(&mut self) -> Result<T, Failure> {
        self.json_by(api::json::from_slice).await
    }

    /// As [`Self::json`], for a type that reads the body in a way of its own.
    ///
    /// # Errors
    /// As [`Self::json`].
    pub async fn json_by<T>(&mut self, read: impl FnOnce(&[u8]) -> serde_json::Result<T>) -> Result<T, Failure> {
        check_json(self.header(CONTENT_TYPE), self.header(CONTENT_LENGTH))?;
        let bytes = self.bytes().await?;
        parse_json(&bytes, read)
    }

    /// The body as JSON, or the default when there is none.
    ///
    /// # Errors
    /// As [`Self::json`], but for the empty body.
    pub async fn json_or_default<T: DeserializeOwned + Default>(&mut self) -> Result<T, Failure> {
        let bytes = self.bytes().await?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            Ok(T::default())
        } else {
            parse_json(&bytes, api::json::from_slice)
        }
    }
}

fn check_json(content_type: &str, content_length: &str) -> Result<(), Failure> {
    if content_type.is_empty() && matches!(content_length, "" | "0") {
        return Ok(());
    }
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    if !media_type.contains('/') {
        return Err(Failure::invalid(format!("malformed Content-Type header ({content_type}): mime: no media type")));
    }
    Err(Failure::invalid(format!("unsupported Content-Type header ({content_type}): must be 'application/json'")))
}

fn parse_json<T>(bytes: &[u8], read: impl FnOnce(&[u8]) -> serde_json::Result<T>) -> Result<T, Failure> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Failure::invalid("invalid JSON: got EOF while reading request body"));
    }
    read(bytes).map_err(|error| Failure::invalid(format!("invalid JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_are_checked_as_docker_does() {
        assert_eq!(check_json("application/json", "2"), Ok(()));
        assert_eq!(check_json("application/json; charset=utf-8", ""), Ok(()));
        assert_eq!(check_json("", "0"), Ok(()));
        let refused = check_json("text/plain", "2").map_err(|failure| failure.message);
        assert_eq!(refused, Err("unsupported Content-Type header (text/plain): must be 'application/json'".to_owned()));
        assert!(check_json("", "5").is_err());
        let empty = parse_json::<u8>(b" \n", api::json::from_slice).map_err(|failure| failure.message);
        assert_eq!(empty, Err("invalid JSON: got EOF while reading request body".to_owned()));
    }
}
