//! The `syslog` driver's options.

use std::path::Path;

use logs::{Address, Driver, RemoteOptions, SyslogFormat};

use super::address::{self, Endpoint};
use super::info::{Info, hostname};
use super::options::{Options, initialising};

const OPTIONS: [&str; 12] = [
    "env",
    "env-regex",
    "labels",
    "labels-regex",
    "syslog-address",
    "syslog-facility",
    "syslog-tls-ca-cert",
    "syslog-tls-cert",
    "syslog-tls-key",
    "syslog-tls-skip-verify",
    "tag",
    "syslog-format",
];
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "", "", "",
    "", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];
/// Where syslog(3) is heard on this machine.
const LOCAL: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];
const DAEMON: u8 = 3;
const PORT: u16 = 514;

/// What the options mean.
pub(super) struct Settings {
    endpoint: Option<Endpoint>,
    facility: u8,
    format: SyslogFormat,
}

pub(super) fn parse(options: &Options<'_>) -> Result<Settings, String> {
    options.only(&OPTIONS)?;
    let endpoint = match options.text("syslog-address") {
        None | Some("") => None,
        Some(text) => Some(parse_address(text)?),
    };
    let facility = match options.text("syslog-facility") {
        None | Some("") => DAEMON,
        Some(text) => facility(text).ok_or("invalid syslog facility")?,
    };
    let format = match options.text("syslog-format").unwrap_or_default() {
        "" => SyslogFormat::Unix,
        "rfc3164" => SyslogFormat::Rfc3164,
        "rfc5424" => SyslogFormat::Rfc5424,
        "rfc5424micro" => SyslogFormat::Rfc5424Micro,
        _ => return Err("Invalid syslog format".to_owned()),
    };
    Ok(Settings { endpoint, facility, format })
}

fn parse_address(text: &str) -> Result<Endpoint, String> {
    let form = || format!("syslog-address should be in form proto://address, got {text}");
    let (scheme, rest) = text.split_once("://").ok_or_else(form)?;
    match scheme {
        "unix" | "unixgram" => {
            let path = Path::new(rest);
            if !path.exists() {
                return Err(format!("stat {rest}: no such file or directory"));
            }
            Ok(if scheme == "unix" { Endpoint::Unix(path.into()) } else { Endpoint::UnixDatagram(path.into()) })
        }
        "udp" => Ok(Endpoint::Udp(address::host_and_port(rest, Some(PORT)).ok_or_else(form)?)),
        "tcp" => Ok(Endpoint::Tcp(address::host_and_port(rest, Some(PORT)).ok_or_else(form)?)),
        "tcp+tls" => Err("syslog over TLS (tcp+tls) is not supported".to_owned()),
        _ => Err(form()),
    }
}

fn facility(text: &str) -> Option<u8> {
    let named = FACILITIES.iter().position(|name| *name == text).map(|number| number as u8);
    named.or_else(|| text.parse().ok().filter(|number| *number < 24))
}

// === impl Settings ===

impl Settings {
    pub(super) fn remote(self, options: &Options<'_>, info: &Info) -> Result<RemoteOptions, String> {
        let addresses = match self.endpoint {
            Some(endpoint) => endpoint.resolve().map_err(|error| initialising(&error))?,
            None => local()?,
        };
        let offset = jiff::Zoned::now().offset().seconds();
        let tag = options.tag(info, "{{.ID}}")?;
        let driver = Driver::Syslog { format: self.format, facility: self.facility, hostname: hostname(), tag, offset };
        Ok(super::remote(driver, addresses))
    }
}

fn local() -> Result<Vec<Address>, String> {
    use std::os::unix::fs::FileTypeExt as _;

    let socket = |path: &&Path| path.metadata().is_ok_and(|metadata| metadata.file_type().is_socket());
    let there = LOCAL.iter().map(Path::new).filter(socket);
    // A datagram socket almost everywhere; the other kind is tried when it is not.
    let addresses: Vec<_> =
        there.flat_map(|path| [Address::UnixDatagram(path.into()), Address::Unix(path.into())]).collect();
    if addresses.is_empty() { Err(initialising("Unix syslog delivery error")) } else { Ok(addresses) }
}
