//! Why there was no answer, as Go's net/http words it.

use std::error::Error as StdError;
use std::io;

use rustls::CertificateError;
use rustls::pki_types::UnixTime;

use crate::Error;

/// Words a failure to get an answer.
pub(crate) fn connect_error(url: &str, error: &reqwest::Error) -> Error {
    // What a redirect led to is the server that failed.
    let url = error.url().map_or(url, reqwest::Url::as_str);
    Error::Connect { url: url.to_owned(), reason: reason(url, error) }
}

/// The server speaks, but not TLS.
pub(crate) fn is_plain_http(error: &reqwest::Error) -> bool {
    chain(error).contains("InvalidContentType")
}

fn reason(url: &str, error: &reqwest::Error) -> String {
    let parsed = reqwest::Url::parse(url).ok();
    let host = parsed.as_ref().and_then(reqwest::Url::host_str).unwrap_or_default();
    let port = parsed.as_ref().and_then(reqwest::Url::port_or_known_default).unwrap_or_default();
    if is_plain_http(error) {
        return "http: server gave HTTP response to HTTPS client".to_owned();
    }
    if let Some(failure) = tls_error(error) {
        return format!("tls: {}", tls_reason(failure, host));
    }
    if error.is_timeout() && (error.is_body() || error.is_decode()) {
        return "net/http: request canceled (Client.Timeout or context cancellation while reading body)".to_owned();
    }
    if error.is_timeout() {
        return "net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)"
            .to_owned();
    }
    if error.is_redirect() {
        return redirect_reason(error);
    }
    let text = chain(error);
    let lower = text.to_lowercase();
    let dial = |words: &str| format!("dial tcp {host}:{port}: connect: {words}");
    if lower.contains("no record") || lower.contains("nxdomain") || lower.contains("nx domain") {
        return format!("dial tcp: lookup {host}: no such host");
    }
    if lower.contains("dns error") || lower.contains("resolve") {
        return format!("dial tcp: lookup {host}: Temporary failure in name resolution");
    }
    for words in ["connection refused", "network is unreachable", "no route to host"] {
        if lower.contains(words) {
            return dial(words);
        }
    }
    if lower.contains("connection reset") {
        return "read: connection reset by peer".to_owned();
    }
    if error.is_body() || error.is_decode() || lower.contains("connection closed") {
        return "unexpected EOF".to_owned();
    }
    text
}

/// What the redirect policy refused, or that there was no end.
fn redirect_reason(error: &reqwest::Error) -> String {
    match error.source() {
        Some(cause) if cause.to_string().contains("too many redirects") => "stopped after 10 redirects".to_owned(),
        Some(cause) => cause.to_string(),
        None => error.to_string(),
    }
}

fn tls_error(error: &reqwest::Error) -> Option<&rustls::Error> {
    let mut next: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        // An I/O error does not name what it wraps as its source, but the source of that.
        let wrapped = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(inner) => Some(inner),
            None => cause.source(),
        };
    }
    None
}

fn tls_reason(error: &rustls::Error, host: &str) -> String {
    let failed = |words: String| format!("failed to verify certificate: x509: {words}");
    let expired = "certificate has expired or is not yet valid";
    let clock = |now: &UnixTime, side: &str, bound: &UnixTime| {
        failed(format!(
            "{expired}: current time {} is {side} {}: check the clock of this machine",
            time(now),
            time(bound)
        ))
    };
    let rustls::Error::InvalidCertificate(problem) = error else { return other_tls_reason(error) };
    match problem {
        CertificateError::ExpiredContext { time, not_after } => clock(time, "after", not_after),
        CertificateError::NotValidYetContext { time, not_before } => clock(time, "before", not_before),
        CertificateError::Expired | CertificateError::NotValidYet => failed(expired.to_owned()),
        CertificateError::NotValidForNameContext { presented, .. } if !presented.is_empty() => {
            let names: Vec<&str> = presented.iter().map(|name| bare_name(name)).collect();
            failed(format!("certificate is valid for {}, not {host}", names.join(", ")))
        }
        CertificateError::NotValidForNameContext { .. } | CertificateError::NotValidForName => {
            failed(format!("certificate is not valid for {host}"))
        }
        CertificateError::UnknownIssuer => failed("certificate signed by unknown authority".to_owned()),
        // An authority's certificate at the end of a chain, which nobody put into a directory of ours.
        CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            failed("certificate signed by unknown authority".to_owned())
        }
        CertificateError::Revoked => failed("certificate has been revoked".to_owned()),
        other => failed(format!("{other:?}")),
    }
}

fn other_tls_reason(error: &rustls::Error) -> String {
    match error {
        rustls::Error::AlertReceived(alert) => {
            let name = format!("{alert:?}");
            match name.as_str() {
                "CertificateRequired" => {
                    "remote error: certificate required: put a client certificate (*.cert and *.key) \
                                          into the registry's directory below certs.d"
                        .to_owned()
                }
                "BadCertificate" | "UnknownCA" | "CertificateUnknown" => {
                    format!("remote error: bad certificate ({name}): the registry does not take the client certificate")
                }
                _ => format!("remote error: {name}"),
            }
        }
        other => other.to_string(),
    }
}

fn time(time: &UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

/// `DnsName("a.example")` is `a.example`.
fn bare_name(text: &str) -> &str {
    let inner = text.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(text);
    inner.trim_matches('"')
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_tell_what_is_wrong_with_them() {
        let second = |number| UnixTime::since_unix_epoch(std::time::Duration::from_secs(number));
        let words = |problem| tls_reason(&rustls::Error::InvalidCertificate(problem), "reg.example");
        assert_eq!(
            words(CertificateError::ExpiredContext { time: second(86_400), not_after: second(60) }),
            "failed to verify certificate: x509: certificate has expired or is not yet valid: current time \
             1970-01-02T00:00:00Z is after 1970-01-01T00:01:00Z: check the clock of this machine"
        );
        assert!(words(CertificateError::UnknownIssuer).ends_with("certificate signed by unknown authority"));
        let name = rustls::pki_types::ServerName::try_from("reg.example").expect("a name");
        let presented = vec!["DnsName(\"a.example\")".to_owned(), "IpAddress(127.0.0.1)".to_owned()];
        let other = CertificateError::NotValidForNameContext { expected: name, presented };
        assert!(words(other).ends_with("x509: certificate is valid for a.example, 127.0.0.1, not reg.example"));
    }
}
