//! `EXPOSE [[address:]port:]port[-port][/protocol]`.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use super::Error;

/// The `port/protocol` entries a word of `EXPOSE` stands for. An address and a port of the host are checked and
/// dropped: images cannot ask for them.
///
/// # Errors
/// [`Error::Port`].
pub fn exposed(word: &str) -> Result<Vec<String>, Error> {
    let refused = |text: String| Error::Port(text);
    let (address, host, own) = parts(word);
    let (own, protocol) = match own.split_once('/') {
        None | Some((_, "")) => (own.trim_end_matches('/'), "tcp"),
        Some((port, protocol)) => (port, protocol.split('/').next().unwrap_or(protocol)),
    };
    let bare = address.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(address);
    if !bare.is_empty() && bare.parse::<IpAddr>().is_err() {
        return Err(refused(format!("invalid IP address: {bare}")));
    }
    if own.is_empty() {
        return Err(refused(format!("no port specified: {word}<empty>")));
    }
    let ports = range(own).ok_or_else(|| refused(format!("invalid containerPort: {own}")))?;
    if !host.is_empty() {
        let outside = range(host).ok_or_else(|| refused(format!("invalid hostPort: {host}")))?;
        if ports.len() > 1 && ports.len() != outside.len() {
            let text = format!("invalid ranges specified for container and host Ports: {own} and {host}");
            return Err(refused(text));
        }
    }
    let protocol = protocol.to_lowercase();
    if !["tcp", "udp", "sctp"].contains(&&*protocol) {
        return Err(refused(format!("invalid proto: {protocol}")));
    }
    Ok(ports.map(|port| format!("{port}/{protocol}")).collect())
}

/// Address, port of the host, port of the container; what is left out is empty.
pub(crate) fn parts(word: &str) -> (&str, &str, &str) {
    match word.rsplit_once(':') {
        None => ("", "", word),
        Some((rest, own)) => rest.rsplit_once(':').map_or(("", rest, own), |(address, host)| (address, host, own)),
    }
}

fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let range = first.parse().ok()?..=last.parse().ok()?;
    (!range.is_empty()).then_some(range)
}
