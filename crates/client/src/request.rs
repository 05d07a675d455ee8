//! Building and sending one request.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::Method;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::connection::{Connection, Opened};
use crate::ssh::Ssh;
use crate::{Client, Error, Hijacked, Response, Upload, escape, hijack};

/// One request being put together.
pub struct Request<'a> {
    client: &'a Client,
    method: Method,
    versioned: bool,
    path: String,
    query: String,
    headers: Vec<(&'static str, String)>,
    body: BoxBody<Bytes, Infallible>,
    bytes: Option<Bytes>,
}

// === impl Request ===

impl<'a> Request<'a> {
    pub(crate) fn new(client: &'a Client, method: Method, path: &str) -> Self {
        Self {
            client,
            method,
            versioned: true,
            path: path.to_owned(),
            query: String::new(),
            headers: Vec::new(),
            body: Empty::new().boxed(),
            bytes: None,
        }
    }

    pub(crate) fn unversioned(client: &'a Client, method: Method, path: &str) -> Self {
        Self { versioned: false, ..Self::new(client, method, path) }
    }

    /// Adds `key=value` to the query.
    #[must_use]
    pub fn query(mut self, key: &str, value: &str) -> Self {
        self.query.push(if self.query.is_empty() { '?' } else { '&' });
        self.query.push_str(key);
        self.query.push('=');
        self.query.push_str(&escape(value));
        self
    }

    /// Adds `key=1` when `on`.
    #[must_use]
    pub fn flag(self, key: &str, on: bool) -> Self {
        if on { self.query(key, "1") } else { self }
    }

    /// Adds `key=value` when the value is not empty.
    #[must_use]
    pub fn text(self, key: &str, value: &str) -> Self {
        if value.is_empty() { self } else { self.query(key, value) }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Sends `value` as the JSON body.
    ///
    /// # Errors
    /// [`Error::Answer`] when the value cannot be written as JSON (maps with keys that are no strings).
    pub fn json<T: Serialize + ?Sized>(mut self, value: &T) -> Result<Self, Error> {
        let text =
            serde_json::to_vec(value).map_err(|e| Error::Answer { path: self.path.clone(), detail: e.to_string() })?;
        let bytes = Bytes::from(text);
        self.body = Full::new(bytes.clone()).boxed();
        self.bytes = Some(bytes);
        Ok(self.header("content-type", "application/json"))
    }

    /// Streams a tar archive as the body.
    #[must_use]
    pub fn upload(mut self, upload: Upload) -> Self {
        self.body = upload.boxed();
        self.header(CONTENT_TYPE.as_str(), "application/x-tar")
    }

    /// Sends, and turns every status of 400 and above into [`Error::Daemon`].
    ///
    /// # Errors
    /// When the engine cannot be reached, breaks off or refuses.
    pub async fn send(self) -> Result<Response, Error> {
        self.client.negotiate().await?;
        self.transmit().await?.check().await
    }

    /// Sends and drops the answer's body.
    ///
    /// # Errors
    /// As [`Request::send`].
    pub async fn done(self) -> Result<(), Error> {
        self.send().await.map(|_| ())
    }

    /// Sends and decodes the JSON answer.
    ///
    /// # Errors
    /// As [`Request::send`], and [`Error::Answer`] when the answer has another shape.
    pub async fn fetch<T: DeserializeOwned>(self) -> Result<T, Error> {
        self.send().await?.json().await
    }

    /// Sends, and takes the connection over as a raw stream (`101 UPGRADED`, or `200` as old engines answer).
    ///
    /// # Errors
    /// As [`Request::send`].
    pub async fn hijack(self) -> Result<Hijacked, Error> {
        self.client.negotiate().await?;
        let target = self.target();
        let body = self.bytes.unwrap_or_default();
        hijack::open(self.client, &target, &self.headers, &body).await
    }

    /// Sends as it stands: no negotiation before, no look at the status after.
    pub(crate) async fn transmit(self) -> Result<Response, Error> {
        let target = self.target();
        let Opened { connection, ssh } = Connection::open(&self.client.host, self.client.tls.as_ref()).await?;
        let (mut sender, driver) =
            hyper::client::conn::http1::handshake(TokioIo::new(connection)).await.map_err(Error::Http)?;
        // The driver ends with the connection; its error reaches us through the response.
        tokio::spawn(async move {
            let _ = driver.await;
        });
        let mut builder = hyper::Request::builder()
            .method(self.method)
            .uri(target.as_str())
            .header(HOST, self.client.host.authority())
            .header(USER_AGENT, self.client.user_agent.as_str());
        for (name, value) in &self.headers {
            builder = builder.header(*name, value);
        }
        let request =
            builder.body(self.body).map_err(|e| Error::Answer { path: target.clone(), detail: e.to_string() })?;
        let response =
            sender.send_request(request).await.map_err(|error| ssh.map_or(Error::Http(error), Ssh::failure))?;
        Ok(Response::new(target, response))
    }

    fn target(&self) -> String {
        let prefix = if self.versioned { format!("/v{}", self.client.version()) } else { String::new() };
        format!("{prefix}{}{}", self.path, self.query)
    }
}
