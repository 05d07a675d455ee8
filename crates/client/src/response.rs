//! Reading one answer.

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::Error;

/// An answer whose body has not been read yet.
pub struct Response {
    path: String,
    status: u16,
    headers: HeaderMap,
    body: Incoming,
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
}

impl Response {
    pub(crate) fn new(path: String, response: hyper::Response<Incoming>) -> Self {
        let (parts, body) = response.into_parts();
        Self { path, status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// A header's text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// [`Error::Http`] when the connection breaks.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        while let Some(frame) = self.body.frame().await {
            if let Ok(data) = frame.map_err(Error::Http)?.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// The whole body.
    ///
    /// # Errors
    /// [`Error::Http`] when the connection breaks.
    pub async fn bytes(self) -> Result<Bytes, Error> {
        Ok(self.body.collect().await.map_err(Error::Http)?.to_bytes())
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// [`Error::Answer`] when the body has another shape.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        let path = self.path.clone();
        let bytes = self.bytes().await?;
        serde_json::from_slice(&bytes).map_err(|e| Error::Answer { path, detail: e.to_string() })
    }

    pub(crate) async fn check(self) -> Result<Self, Error> {
        let status = self.status;
        if status < 400 {
            return Ok(self);
        }
        let bytes = self.bytes().await?;
        Err(refusal(status, &bytes))
    }
}

/// Docker's error body is `{"message": "…"}`; proxies answer with plain text.
pub(crate) fn refusal(status: u16, body: &[u8]) -> Error {
    let message = match serde_json::from_slice::<Refusal>(body) {
        Ok(refusal) => refusal.message.trim().to_owned(),
        Err(_) => String::from_utf8_lossy(body).trim().to_owned(),
    };
    let message = if message.is_empty() { format!("request returned status {status}") } else { message };
    Error::Daemon { status, message }
}
