//! The `gelf` driver's options.

use logs::{Compression, Driver, RemoteOptions, Retry};

use super::address::{Endpoint, host_and_port};
use super::attributes;
use super::info::{Info, hostname};
use super::options::{Options, initialising};

const OPTIONS: [&str; 10] = [
    "gelf-address",
    "gelf-compression-level",
    "gelf-compression-type",
    "gelf-tcp-max-reconnect",
    "gelf-tcp-reconnect-delay",
    "tag",
    "labels",
    "labels-regex",
    "env",
    "env-regex",
];

/// What the options mean.
pub(super) struct Settings {
    endpoint: Endpoint,
    compression: Option<Compression>,
    retry: Retry,
}

pub(super) fn parse(options: &Options<'_>) -> Result<Settings, String> {
    let endpoint = parse_address(options.text("gelf-address").unwrap_or_default())?;
    options.only(&OPTIONS)?;
    let udp = matches!(endpoint, Endpoint::Udp(_));
    if !udp && (options.text("gelf-compression-type").is_some() || options.text("gelf-compression-level").is_some()) {
        return Err("compression is only supported on UDP".to_owned());
    }
    let unknown = |name: &str, text: &str| format!("unknown value {text:?} for log opt {name:?} for gelf log driver");
    let level = match options.text("gelf-compression-level") {
        None => 1,
        Some(text) => text
            .parse()
            .ok()
            .filter(|level| (-1..=9).contains(level))
            .ok_or_else(|| unknown("gelf-compression-level", text))?,
    };
    let compression = match options.text("gelf-compression-type").unwrap_or("gzip") {
        "gzip" => Some(Compression::Gzip(level)),
        "zlib" => Some(Compression::Zlib(level)),
        "none" => None,
        text => return Err(unknown("gelf-compression-type", text)),
    };
    let count = |name: &str, default: u32| match options.text(name) {
        None => Ok(default),
        Some(_) if udp => Err(format!("{name:?} is only valid for TCP")),
        Some(text) => text.parse().map_err(|_| format!("{name:?} must be a positive integer")),
    };
    let limit = count("gelf-tcp-max-reconnect", 3)?;
    let delay = u64::from(count("gelf-tcp-reconnect-delay", 1)?) * 1000;
    let retry = Retry { first: delay, longest: delay.max(1000), limit: (!udp).then_some(limit) };
    Ok(Settings { endpoint, compression: compression.filter(|_| udp), retry })
}

fn parse_address(text: &str) -> Result<Endpoint, String> {
    if text.is_empty() {
        return Err("gelf-address is a required parameter".to_owned());
    }
    let form = || format!("gelf-address should be in form proto://address, got {text}");
    let (scheme, rest) = text.split_once("://").ok_or_else(form)?;
    let at =
        |rest| host_and_port(rest, None).ok_or("gelf: please provide gelf-address as proto://host:port".to_owned());
    match scheme {
        "udp" => Ok(Endpoint::Udp(at(rest)?)),
        "tcp" => Ok(Endpoint::Tcp(at(rest)?)),
        "unix" | "unixgram" | "tcp+tls" => Err("gelf: endpoint needs to be TCP or UDP".to_owned()),
        _ => Err(form()),
    }
}

// === impl Settings ===

impl Settings {
    pub(super) fn remote(self, options: &Options<'_>, info: &Info) -> Result<RemoteOptions, String> {
        let tag = options.tag(info, "{{.ID}}")?;
        let own = [
            ("_container_id", info.id.clone()),
            ("_container_name", info.name.clone()),
            ("_image_id", info.image_id.clone()),
            ("_image_name", info.image_name.clone()),
            ("_command", info.command()),
            ("_tag", tag),
            ("_created", info.created.clone()),
        ];
        let chosen = attributes::of(options, info)?.into_iter().map(|(key, value)| (format!("_{key}"), value));
        let extra = own.into_iter().map(|(key, value)| (key.to_owned(), value)).chain(chosen).collect();
        let driver = Driver::Gelf { hostname: hostname(), extra, compression: self.compression };
        let addresses = self.endpoint.resolve().map_err(|error| initialising(&error))?;
        Ok(RemoteOptions { retry: self.retry, ..super::remote(driver, addresses) })
    }
}
