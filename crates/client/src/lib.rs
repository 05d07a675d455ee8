//! Client of the Engine API: one connection a request, streaming bodies, hijacked connections.
//!
//! It speaks HTTP/1.1 over a unix socket or TCP and never resolves names through the system's resolver.
//! Everything is lazy: making a [`Client`] touches nothing.

mod connection;
mod error;
mod hijack;
mod host;
mod request;
mod response;
mod ssh;
mod tls;
mod upload;
mod version;

use std::cell::Cell;

pub use connection::Connection;
pub use error::Error;
pub use hijack::{Hijacked, ReadHalf, WriteHalf};
pub use host::{Host, InvalidHost};
pub use hyper::{Method, StatusCode};
pub use request::Request;
pub use response::Response;
pub use ssh::SshHost;
pub use tls::{Tls, TlsError};
pub use upload::{Upload, UploadWriter};
pub use version::ApiVersion;

/// What `_ping` says about an engine.
#[derive(Clone, Debug, Default)]
pub struct Ping {
    /// The newest version that the engine speaks; `None` when the header is missing.
    pub api_version: Option<ApiVersion>,
    /// The operating system of the engine's containers.
    pub os_type: Option<String>,
}

/// A client of one engine.
pub struct Client {
    host: Host,
    pub(crate) tls: Option<Tls>,
    user_agent: String,
    version: Cell<Option<ApiVersion>>,
}

impl Client {
    /// A client of the engine at `host`. `version` pins the API version; without it the client negotiates.
    #[must_use]
    pub fn new(host: Host, version: Option<ApiVersion>, user_agent: &str) -> Self {
        Self { host, tls: None, user_agent: user_agent.to_owned(), version: Cell::new(version) }
    }

    /// Speaks TLS to engines behind a TCP port.
    #[must_use]
    pub fn with_tls(self, tls: Tls) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// A bare connection to the engine.
    ///
    /// # Errors
    /// [`Error::Connect`] when nothing listens.
    pub async fn dial(&self) -> Result<Connection, Error> {
        Ok(Connection::open(&self.host, self.tls.as_ref()).await?.connection)
    }

    /// Where the engine is.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The API version in use: the negotiated one, else the newest this client speaks.
    #[must_use]
    pub fn version(&self) -> ApiVersion {
        self.version.get().unwrap_or(ApiVersion::NEWEST)
    }

    /// Asks the engine which versions it speaks.
    ///
    /// # Errors
    /// [`Error::Connect`] when nothing listens.
    pub async fn ping(&self) -> Result<Ping, Error> {
        let response = Request::unversioned(self, Method::HEAD, "/_ping").transmit().await?;
        let header = |name: &str| response.header(name).map(str::to_owned);
        Ok(Ping { api_version: header("api-version").and_then(|text| text.parse().ok()), os_type: header("ostype") })
    }

    /// Settles on the newest version both sides speak. Costs one round trip the first time, none after.
    ///
    /// # Errors
    /// [`Error::Connect`] when nothing listens.
    pub async fn negotiate(&self) -> Result<ApiVersion, Error> {
        if let Some(version) = self.version.get() {
            return Ok(version);
        }
        // An engine that does not name its version predates the header: 1.24 is what it is sure to speak.
        let server = self.ping().await?.api_version.unwrap_or(ApiVersion::OLDEST);
        let version = server.min(ApiVersion::NEWEST);
        self.version.set(Some(version));
        Ok(version)
    }

    /// Starts a request for `path` (with its leading slash, without the version prefix).
    #[must_use]
    pub fn request(&self, method: Method, path: &str) -> Request<'_> {
        Request::new(self, method, path)
    }

    /// A GET request.
    #[must_use]
    pub fn get(&self, path: &str) -> Request<'_> {
        self.request(Method::GET, path)
    }

    /// A POST request.
    #[must_use]
    pub fn post(&self, path: &str) -> Request<'_> {
        self.request(Method::POST, path)
    }

    /// A DELETE request.
    #[must_use]
    pub fn delete(&self, path: &str) -> Request<'_> {
        self.request(Method::DELETE, path)
    }
}

/// Escapes one path segment or query value.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => escaped.push(byte as char),
            _ => {
                let digits = b"0123456789ABCDEF";
                escaped.push('%');
                escaped.push(digits[usize::from(byte >> 4)] as char);
                escaped.push(digits[usize::from(byte & 15)] as char);
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_everything_but_unreserved_characters() {
        assert_eq!(escape("a/b:c d%é~"), "a%2Fb%3Ac%20d%25%C3%A9~");
    }
}
