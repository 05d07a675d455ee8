//! `docker import http://…`: a root file system from a web server.

use bytes::Bytes;
use reqwest::{Client, Response, Url};

use crate::Error;
use crate::config::{Registries, bare_host, is_loopback};
use crate::endpoint::proxied;
use crate::failure::connect_error;

/// An answer that is being read.
#[derive(Debug)]
pub struct Remote {
    url: String,
    response: Response,
}

impl Remote {
    /// Asks for the file. An address without a scheme is plain HTTP, as with Docker.
    ///
    /// # Errors
    /// [`Error::Import`], [`Error::ImportAddress`], or that nothing answers.
    pub async fn open(address: &str, registries: &Registries) -> Result<Self, Error> {
        let url = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
        let parsed = Url::parse(&url).ok().filter(|url| url.has_host() && matches!(url.scheme(), "http" | "https"));
        let parsed = parsed.ok_or_else(|| Error::ImportAddress(url.clone()))?;
        let builder = Client::builder()
            .user_agent(concat!("gantry/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(std::time::Duration::from_secs(30));
        let loopback = parsed.host_str().is_some_and(|host| is_loopback(bare_host(host)));
        let builder = if loopback { builder.no_proxy() } else { proxied(builder, &registries.proxies)? };
        let client = builder.build().map_err(|error| Error::Client(format!("{error:?}")))?;
        let response = client.get(parsed).send().await.map_err(|error| connect_error(&url, &error))?;
        if response.status().is_success() {
            return Ok(Self { url, response });
        }
        let status = response.status().to_string();
        let body = response.text().await.unwrap_or_default();
        let body: String = body.trim().chars().take(1024).collect();
        Err(Error::Import { url, status, body })
    }

    /// The full address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Bytes in all, where the server says so.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// A header of the answer, where it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// [`Error::Connect`] when the connection breaks.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        self.response.chunk().await.map_err(|error| connect_error(&self.url, &error))
    }
}
