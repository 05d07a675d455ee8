//! Failures of HTTP exchanges in Go's and the registries' words.

use std::error::Error as _;

use reqwest::{Response, StatusCode};
use serde::Deserialize;

use crate::Error;

/// The body of a refusal (distribution-spec, "Error Codes").
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    errors: Vec<Item>,
    /// Token servers answer this instead.
    #[serde(default)]
    details: Option<String>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// What a registry said about a refusal: its code and `code: message` in Docker's form.
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) code: String,
    pub(crate) text: String,
}

impl Refusal {
    pub(crate) async fn read(response: Response) -> Self {
        let status = response.status();
        let denied = is_out_of_scope(&response);
        let body = response.bytes().await.unwrap_or_default();
        let answer: Option<Answer> = serde_json::from_slice(&body).ok();
        let details = answer.as_ref().and_then(|answer| answer.details.clone());
        if denied {
            // The challenge tells more than the body, which only asks for another token.
            let text = "denied: requested access to the resource is denied".to_owned();
            return Self { status, code: "DENIED".to_owned(), text };
        }
        match answer.and_then(|answer| answer.errors.into_iter().next()) {
            Some(Item { code, message }) => {
                let words = code.to_lowercase().replace('_', " ");
                // Docker's registry error texts name the code without underscores, the hub's without spaces.
                let words = if words == "too many requests" { "toomanyrequests".to_owned() } else { words };
                let text = if message.is_empty() { words } else { format!("{words}: {message}") };
                Self { status, code, text }
            }
            None => Self { status, code: String::new(), text: details.unwrap_or_default() },
        }
    }

    /// The error for a request that has no better explanation.
    pub(crate) fn error(self) -> Error {
        match self.text.is_empty() {
            false => Error::Refused(self.text),
            true => Error::Status(self.status.to_string()),
        }
    }
}

/// The token that was sent does not reach as far as the request (RFC 6750, section 3.1).
fn is_out_of_scope(response: &Response) -> bool {
    let challenges = response.headers().get_all(reqwest::header::WWW_AUTHENTICATE);
    challenges.iter().filter_map(|value| value.to_str().ok()).any(|text| text.contains("error=\"insufficient_scope\""))
}

/// Words a failure to get an answer as Go's net/http would.
pub(crate) fn connect_error(url: &str, error: &reqwest::Error) -> Error {
    Error::Connect { url: url.to_owned(), reason: reason(url, error) }
}

/// The server speaks, but not TLS.
pub(crate) fn is_plain_http(error: &reqwest::Error) -> bool {
    chain(error).contains("InvalidContentType")
}

pub(crate) fn reason(url: &str, error: &reqwest::Error) -> String {
    let text = chain(error);
    let parsed = reqwest::Url::parse(url).ok();
    let host = parsed.as_ref().and_then(reqwest::Url::host_str).unwrap_or_default();
    let port = parsed.as_ref().and_then(reqwest::Url::port_or_known_default).unwrap_or_default();
    let lower = text.to_lowercase();
    if is_plain_http(error) {
        return "http: server gave HTTP response to HTTPS client".to_owned();
    }
    if error.is_timeout() {
        return "net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)"
            .to_owned();
    }
    if lower.contains("connection refused") {
        return format!("dial tcp {host}:{port}: connect: connection refused");
    }
    if lower.contains("network is unreachable") || lower.contains("network unreachable") {
        return format!("dial tcp {host}:{port}: connect: network is unreachable");
    }
    if lower.contains("no route to host") {
        return format!("dial tcp {host}:{port}: connect: no route to host");
    }
    if lower.contains("no record") || lower.contains("nxdomain") || lower.contains("nx domain") {
        return format!("dial tcp: lookup {host}: no such host");
    }
    if lower.contains("dns error") || lower.contains("resolve") {
        return format!("dial tcp: lookup {host}: Temporary failure in name resolution");
    }
    if lower.contains("unknownissuer") || lower.contains("causedasendentity") {
        return "tls: failed to verify certificate: x509: certificate signed by unknown authority".to_owned();
    }
    if lower.contains("notvalidforname") {
        return format!("tls: failed to verify certificate: x509: certificate is not valid for {host}");
    }
    if lower.contains("certificate") && lower.contains("expired") {
        return "tls: failed to verify certificate: x509: certificate has expired or is not yet valid".to_owned();
    }
    if error.is_body() || error.is_decode() || lower.contains("connection closed") {
        return "unexpected EOF".to_owned();
    }
    text
}

/// All causes in one line, for searching.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // Some libraries only name the variant in Debug.
        text.push_str(&format!(": {cause} ({cause:?})"));
        source = cause.source();
    }
    text
}
