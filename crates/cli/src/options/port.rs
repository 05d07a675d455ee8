//! `--publish` and `--expose`.

use std::net::IpAddr;

use indexmap::IndexMap;

/// Where a container's port appears on the host; empty texts mean "any".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Address of the host.
    pub address: String,
    /// Port, or a range to choose from.
    pub port: String,
}

/// Bindings by `port/protocol`; an exposed port has none.
pub type Ports = IndexMap<String, Vec<Binding>>;

/// Reads `[address:][host port:]port[/protocol]`, with ranges, and the `published=…,target=…` form.
///
/// # Errors
/// Docker's text.
pub fn publish(ports: &mut Ports, text: &str) -> Result<(), String> {
    let long;
    let text = if text.contains('=') {
        long = standard_notation(text)?;
        long.as_str()
    } else {
        text
    };
    let short;
    let text = match address_and_port(text) {
        Some(full) => {
            short = full;
            short.as_str()
        }
        None => text,
    };
    let mut parts = text.rsplitn(3, ':');
    let container = parts.next().unwrap_or_default();
    let host_port = parts.next().unwrap_or_default();
    let address = address(parts.next().unwrap_or_default())?;
    let (container, protocol) = split_protocol(container);
    if container.is_empty() {
        return Err(format!("no port specified: {text}<empty>"));
    }
    let (start, end) = range(container).map_err(|_| format!("invalid containerPort: {container}"))?;
    let host = match host_port {
        "" => None,
        _ => Some(range(host_port).map_err(|_| format!("invalid hostPort: {host_port}"))?),
    };
    if let Some((first, last)) = host
        && end - start != last - first
        && end != start
    {
        return Err(format!("invalid ranges specified for container and host Ports: {container} and {host_port}"));
    }
    let protocol = check_protocol(protocol)?;
    for offset in 0..=end - start {
        let port = match host {
            None => String::new(),
            Some((first, last)) if start == end && first != last => format!("{first}-{last}"),
            Some((first, _)) => (first + offset).to_string(),
        };
        let key = format!("{}/{protocol}", start + offset);
        ports.entry(key).or_default().push(Binding { address: address.clone(), port });
    }
    Ok(())
}

/// `ADDRESS:PORT`, as books write it for a random port of that address, in the notation that Docker takes; a number alone
/// in front is a host port. `None` for everything else.
fn address_and_port(text: &str) -> Option<String> {
    let (front, port) = text.rsplit_once(':')?;
    let ipv6 = front.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = match ipv6 {
        Some(bare) => bare.parse::<std::net::Ipv6Addr>().is_ok(),
        None => front.parse::<std::net::Ipv4Addr>().is_ok(),
    };
    address.then(|| format!("{front}::{port}"))
}

/// Reads `port[-port][/protocol]`.
///
/// # Errors
/// Docker's text.
pub fn expose(ports: &mut Ports, text: &str) -> Result<(), String> {
    if text.contains(':') {
        return Err(format!("invalid port format for --expose: {text}"));
    }
    let (numbers, protocol) = split_protocol(text);
    let (start, end) =
        range(numbers).map_err(|detail| format!("invalid range format for --expose: {text}, error: {detail}"))?;
    for port in start..=end {
        ports.entry(format!("{port}/{protocol}")).or_default();
    }
    Ok(())
}

fn address(text: &str) -> Result<String, String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if bare.is_empty() || bare.parse::<IpAddr>().is_ok() {
        return Ok(bare.to_owned());
    }
    Err(format!("invalid IP address: {text}"))
}

fn split_protocol(text: &str) -> (&str, &str) {
    match text.split_once('/') {
        Some((port, "")) => (port, "tcp"),
        Some((port, protocol)) => (port, protocol),
        None => (text, "tcp"),
    }
}

fn check_protocol(protocol: &str) -> Result<String, String> {
    let lower = protocol.to_ascii_lowercase();
    if matches!(lower.as_str(), "tcp" | "udp" | "sctp") { Ok(lower) } else { Err(format!("invalid proto: {protocol}")) }
}

fn range(text: &str) -> Result<(u32, u32), String> {
    if text.is_empty() {
        return Err("empty string specified for ports".to_owned());
    }
    let number = |digits: &str| {
        let parsed = digits.parse::<u16>().map(u32::from);
        parsed.map_err(|_| format!("strconv.ParseUint: parsing {digits:?}: invalid syntax"))
    };
    let (start, end) = text.split_once('-').unwrap_or((text, text));
    let (start, end) = (number(start)?, number(end)?);
    if end < start {
        return Err(format!("invalid range specified for port: {text}"));
    }
    Ok((start, end))
}

fn standard_notation(text: &str) -> Result<String, String> {
    let (mut published, mut target, mut protocol) = ("", "", "tcp");
    for field in text.split(',') {
        match field.split_once('=') {
            Some(("published", value)) => published = value,
            Some(("target", value)) => target = value,
            Some(("protocol", value)) => protocol = value,
            Some((key, _)) if !key.is_empty() => {}
            _ => return Err(format!("invalid publish opts format (should be name=value but got '{field}')")),
        }
    }
    Ok(format!("{published}:{target}/{protocol}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(text: &str) -> Result<Vec<String>, String> {
        let mut ports = Ports::new();
        publish(&mut ports, text)?;
        let shown = |(key, list): (&String, &Vec<Binding>)| {
            let texts: Vec<String> = list.iter().map(|b| format!("{key}={}:{}", b.address, b.port)).collect();
            texts.join(",")
        };
        Ok(ports.iter().map(shown).collect())
    }

    #[test]
    fn reads_every_form_of_publish() {
        for (text, expected) in [
            ("80", vec!["80/tcp=:"]),
            ("8080:80", vec!["80/tcp=:8080"]),
            ("127.0.0.1:8080:80/udp", vec!["80/udp=127.0.0.1:8080"]),
            ("127.0.0.1::80", vec!["80/tcp=127.0.0.1:"]),
            ("127.0.0.1:80", vec!["80/tcp=127.0.0.1:"]),
            ("[::1]:80/udp", vec!["80/udp=::1:"]),
            ("[::1]:8080:80", vec!["80/tcp=::1:8080"]),
            ("8000-8001:80-81", vec!["80/tcp=:8000", "81/tcp=:8001"]),
            ("8000-8005:80", vec!["80/tcp=:8000-8005"]),
            ("published=8080,target=80,protocol=udp", vec!["80/udp=:8080"]),
        ] {
            assert_eq!(published(text), Ok(expected.into_iter().map(str::to_owned).collect()), "{text}");
        }
    }

    #[test]
    fn refuses_with_dockers_words() {
        for (text, message) in [
            ("x:80:80", "invalid IP address: x"),
            ("8080:", "no port specified: 8080:<empty>"),
            ("abc", "invalid containerPort: abc"),
            ("abc:80", "invalid hostPort: abc"),
            ("80:99999", "invalid containerPort: 99999"),
            ("8000-8002:80-81", "invalid ranges specified for container and host Ports: 80-81 and 8000-8002"),
            ("80/foo", "invalid proto: foo"),
        ] {
            assert_eq!(published(text), Err(message.to_owned()), "{text}");
        }
        let mut ports = Ports::new();
        assert_eq!(expose(&mut ports, "80:80"), Err("invalid port format for --expose: 80:80".to_owned()));
        assert_eq!(expose(&mut ports, "7000-7001/udp"), Ok(()));
        assert_eq!(ports.keys().collect::<Vec<_>>(), ["7000/udp", "7001/udp"]);
    }
}
