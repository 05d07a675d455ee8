//! Refusals of registries, in their own and Docker's words.

use std::time::Duration;

use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde::Deserialize;

use crate::Error;
use crate::challenge::is_out_of_scope;
use crate::fetch::bounded;
pub(crate) use crate::reason::{connect_error, is_plain_http};

/// More than this of a refusal nobody reads.
const LIMIT: usize = 64 << 10;
/// A number of seconds as large as this is a time.
const EPOCH: u64 = 1_000_000_000;

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
    /// `host[:port]`.
    registry: String,
    /// It wants to be left alone for so long.
    after: Option<Duration>,
    /// Where a redirect leads that was not followed.
    elsewhere: String,
    /// Requests in a time, as the registry counts them.
    allowed: Option<(u64, Option<Duration>)>,
}

impl Refusal {
    pub(crate) async fn read(response: Response) -> Self {
        let status = response.status();
        let denied = is_out_of_scope(response.headers());
        let mut refusal = Self {
            status,
            code: String::new(),
            text: String::new(),
            registry: authority(response.url()),
            elsewhere: elsewhere(&response),
            after: wanted_pause(response.headers(), jiff::Timestamp::now().as_second()),
            allowed: allowed(response.headers()),
        };
        // A body that cannot be read tells nothing.
        let body = bounded(response, LIMIT).await.unwrap_or_default();
        let answer: Option<Answer> = serde_json::from_slice(&body).ok();
        let details = answer.as_ref().and_then(|answer| answer.details.clone());
        if denied {
            // The challenge tells more than the body, which only asks for another token.
            "DENIED".clone_into(&mut refusal.code);
            "denied: requested access to the resource is denied".clone_into(&mut refusal.text);
            return refusal;
        }
        match answer.and_then(|answer| answer.errors.into_iter().next()) {
            Some(Item { code, message }) => {
                let words = code.to_lowercase().replace('_', " ");
                // Docker's registry error texts name the code without underscores, the hub's without spaces.
                let words = if words == "too many requests" { "toomanyrequests".to_owned() } else { words };
                refusal.text = if message.is_empty() { words } else { format!("{words}: {message}") };
                refusal.code = code;
            }
            None => refusal.text = details.unwrap_or_default(),
        }
        refusal
    }

    /// The error for a request that has no better explanation.
    pub(crate) fn error(self) -> Error {
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            let text = self.too_many();
            return Error::Busy { text, after: self.after };
        }
        if self.status.is_server_error() && self.after.is_some() {
            let text = format!("received unexpected HTTP status: {} from {}", self.status, self.registry);
            return Error::Busy { text, after: self.after };
        }
        match self.text.is_empty() || self.status.is_server_error() {
            false => Error::Refused(self.text),
            true => {
                let said = match (self.elsewhere.is_empty(), self.text.is_empty()) {
                    (false, _) => format!(": it leads to {}, where nobody follows", self.elsewhere),
                    (true, false) => format!(": {}", self.text),
                    (true, true) => String::new(),
                };
                Error::Status { status: self.status.to_string(), from: format!("{}{said}", self.registry) }
            }
        }
    }

    /// The registry's words, how much it allows, and when it may be asked again.
    fn too_many(&self) -> String {
        let words = if self.text.is_empty() { "toomanyrequests: too many requests" } else { self.text.as_str() };
        let allowed = match self.allowed {
            Some((number, Some(window))) => format!(" allows {number} requests in {}", words_of(window)),
            Some((number, None)) => format!(" allows {number} requests"),
            None => " limits requests".to_owned(),
        };
        let again = match self.after {
            Some(after) => {
                let at = jiff::Timestamp::now() + jiff::SignedDuration::try_from(after).unwrap_or_default();
                let at = at.strftime("%Y-%m-%d %H:%M:%S UTC");
                format!("; it may be asked again in {}, at {at}", words_of(after))
            }
            None => "; wait before asking again".to_owned(),
        };
        format!("{words} ({}{allowed}{again}; 'docker login' may raise the limit)", self.registry)
    }
}

fn elsewhere(response: &Response) -> String {
    let target = response.headers().get(LOCATION).filter(|_| response.status().is_redirection());
    target.and_then(|target| target.to_str().ok()).unwrap_or_default().to_owned()
}

pub(crate) fn authority(url: &reqwest::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// How long a registry wants to be left alone: seconds, a time in seconds, or a date (RFC 9110, section 10.2.3; and
/// what registries send besides).
fn wanted_pause(headers: &HeaderMap, now: i64) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let named = [RETRY_AFTER.as_str(), "x-retry-after", "ratelimit-reset", "x-ratelimit-reset"];
    let now = u64::try_from(now).unwrap_or_default();
    named.into_iter().filter_map(text).find_map(|text| {
        let seconds = match text.split(';').next().unwrap_or_default().trim().parse::<u64>() {
            Ok(time) if time >= EPOCH => time.saturating_sub(now),
            Ok(seconds) => seconds,
            Err(_) => {
                let date = jiff::fmt::rfc2822::parse(text).ok()?;
                u64::try_from(date.timestamp().as_second()).ok()?.saturating_sub(now)
            }
        };
        Some(Duration::from_secs(seconds))
    })
}

/// `RateLimit-Limit: 100;w=21600`.
fn allowed(headers: &HeaderMap) -> Option<(u64, Option<Duration>)> {
    let text =
        ["ratelimit-limit", "x-ratelimit-limit"].into_iter().find_map(|name| headers.get(name))?.to_str().ok()?;
    let (number, rest) = text.split_once(';').unwrap_or((text, ""));
    let window = rest.split(';').find_map(|part| part.trim().strip_prefix("w=")?.parse().ok());
    Some((number.trim().parse().ok()?, window.map(Duration::from_secs)))
}

/// As Go prints durations.
fn words_of(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        pairs.collect()
    }

    #[test]
    fn pauses_are_seconds_times_or_dates() {
        let wanted = |name, value| wanted_pause(&headers(&[(name, value)]), 1_700_000_000).map(|wait| wait.as_secs());
        assert_eq!(wanted("retry-after", "120"), Some(120));
        assert_eq!(wanted("retry-after", "1700000060"), Some(60));
        assert_eq!(wanted("retry-after", "Tue, 14 Nov 2023 22:14:20 GMT"), Some(60));
        assert_eq!(wanted("ratelimit-reset", "7;w=100"), Some(7));
        assert_eq!(wanted("retry-after", "soon"), None);
        assert_eq!(wanted("age", "1"), None);
    }

    #[test]
    fn limits_name_their_window() {
        let limit = |text| allowed(&headers(&[("ratelimit-limit", text)]));
        assert_eq!(limit("100;w=21600"), Some((100, Some(Duration::from_secs(21600)))));
        assert_eq!(limit("5"), Some((5, None)));
        assert_eq!(limit("many"), None);
        assert_eq!(words_of(Duration::from_secs(21600)), "6h0m0s");
        assert_eq!(words_of(Duration::from_secs(61)), "1m1s");
    }
}
