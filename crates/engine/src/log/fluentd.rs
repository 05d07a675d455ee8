//! The `fluentd` driver's options.

use std::time::Duration;

use logs::{Driver, RemoteOptions, Retry};

use super::address::{Endpoint, host_and_port};
use super::attributes;
use super::info::Info;
use super::options::{Options, initialising, size};

const OPTIONS: [&str; 13] = [
    "env",
    "env-regex",
    "labels",
    "labels-regex",
    "tag",
    "fluentd-address",
    "fluentd-async",
    "fluentd-async-reconnect-interval",
    "fluentd-buffer-limit",
    "fluentd-max-retries",
    "fluentd-request-ack",
    "fluentd-retry-wait",
    "fluentd-sub-second-precision",
];
const PORT: u16 = 24224;
/// Entries that wait for a collector that is not there, with `fluentd-async`.
const BUFFER: u64 = 1 << 20;
/// Bytes that wait at most, however short the entries are.
const BUFFER_BYTES: u64 = 64 << 20;

/// What the options mean.
pub(super) struct Settings {
    endpoint: Endpoint,
    lazy: bool,
    retry: Retry,
    buffer: u64,
    sub_second: bool,
}

pub(super) fn parse(options: &Options<'_>) -> Result<Settings, String> {
    options.only(&OPTIONS)?;
    let endpoint = parse_address(options.text("fluentd-address").unwrap_or_default())?;
    let flag = |name: &str| options.flag(name).unwrap_or(Ok(false));
    let lazy = flag("fluentd-async")?;
    if flag("fluentd-request-ack")? {
        return Err("fluentd-request-ack is not supported".to_owned());
    }
    let buffer = options.text("fluentd-buffer-limit").map_or(Ok(BUFFER), |text| size(text, 1024))?;
    let wait = match options.text("fluentd-retry-wait") {
        None => Duration::from_secs(1),
        Some(text) => duration(text)?,
    };
    let limit = match options.text("fluentd-max-retries") {
        None => None,
        Some(text) => {
            let limit: u64 =
                text.parse().map_err(|_| format!("strconv.ParseUint: parsing {text:?}: invalid syntax"))?;
            u32::try_from(limit).ok()
        }
    };
    if let Some(text) = options.text("fluentd-async-reconnect-interval") {
        let interval = duration(text)?;
        if !interval.is_zero() {
            return Err("fluentd-async-reconnect-interval is not supported".to_owned());
        }
    }
    let first = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    let retry = Retry { first, longest: first.max(60_000), limit };
    Ok(Settings { endpoint, lazy, retry, buffer, sub_second: flag("fluentd-sub-second-precision")? })
}

fn duration(text: &str) -> Result<Duration, String> {
    types::parse_go_duration(text).map_err(|_| format!("time: invalid duration {text:?}"))
}

fn parse_address(text: &str) -> Result<Endpoint, String> {
    let invalid = |why: &str| format!("invalid fluentd-address {text}: {why}");
    let (scheme, rest) = text.split_once("://").unwrap_or(("tcp", text));
    match scheme {
        "unix" if rest.trim_start_matches('/').is_empty() => Err(invalid("path is empty")),
        "unix" => Ok(Endpoint::Unix(rest.into())),
        "tcp" if rest.contains('/') => Err(invalid("should not contain a path element")),
        "tcp" => {
            let parsed = host_and_port(rest, Some(PORT));
            let port = rest.rsplit_once(':').map_or("", |(_, port)| port);
            let bad = || invalid(&format!("parse {text:?}: invalid port \":{port}\" after host"));
            Ok(Endpoint::Tcp(parsed.ok_or_else(bad)?))
        }
        "tls" => Err(invalid("TLS is not supported")),
        _ => Err(invalid(&format!("unsupported scheme: '{scheme}'"))),
    }
}

// === impl Settings ===

impl Settings {
    pub(super) fn remote(self, options: &Options<'_>, info: &Info) -> Result<RemoteOptions, String> {
        let tag = options.tag(info, "{{.ID}}")?;
        let mut fields = attributes::of(options, info)?;
        fields.insert("container_id".to_owned(), info.id.clone());
        fields.insert("container_name".to_owned(), format!("/{}", info.name));
        let driver = Driver::Fluentd { tag, fields, sub_second: self.sub_second };
        let addresses = self.endpoint.resolve().map_err(|error| initialising(&error))?;
        let remote = super::remote(driver, addresses);
        let (buffer, buffer_entries) =
            if self.lazy { (BUFFER_BYTES, Some(self.buffer)) } else { (remote.buffer, None) };
        // Docker's container waits for fluentd as long as it takes.
        Ok(RemoteOptions { lazy: self.lazy, retry: self.retry, patient: true, buffer, buffer_entries, ..remote })
    }
}
