//! `--network`: a name, or `name=…,alias=…,ip=…`.

use indexmap::IndexMap;

use super::mount::csv_fields;

/// One network to attach to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attachment {
    /// Name or id, or a mode (`host`, `none`, `container:…`).
    pub target: String,
    /// Names on that network.
    pub aliases: Vec<String>,
    /// Legacy links.
    pub links: Vec<String>,
    /// IPv4 address.
    pub ipv4: String,
    /// IPv6 address.
    pub ipv6: String,
    /// MAC address.
    pub mac: String,
    /// Link-local addresses.
    pub link_local: Vec<String>,
    /// Driver options.
    pub driver_options: IndexMap<String, String>,
    /// Priority of its gateway.
    pub gateway_priority: i64,
}

/// Reads one `--network`.
///
/// # Errors
/// Docker's text.
pub fn parse(text: &str) -> Result<Attachment, String> {
    if !is_long(text) {
        return Ok(Attachment { target: text.to_owned(), ..Attachment::default() });
    }
    let mut network = Attachment::default();
    for field in csv_fields(text)? {
        let lower = field.to_lowercase();
        let (key, value) = lower.split_once('=').unwrap_or_default();
        let (key, value) = (key.trim(), value.trim().to_owned());
        match key {
            "" => return Err(format!("invalid field {field}")),
            "name" => network.target = value,
            "alias" => network.aliases.push(value),
            "ip" => network.ipv4 = value,
            "ip6" => network.ipv6 = value,
            "mac-address" => network.mac = value,
            "link-local-ip" => network.link_local.push(value),
            "driver-opt" => {
                let (key, value) =
                    value.split_once('=').ok_or("invalid key value pair format in driver options".to_owned())?;
                network.driver_options.insert(key.trim().to_owned(), value.trim().to_owned());
            }
            "gw-priority" => {
                network.gateway_priority =
                    value.parse().map_err(|_| format!("invalid gw-priority ({value}): invalid syntax"))?;
            }
            other => return Err(format!("invalid field key {other}")),
        }
    }
    if network.target.is_empty() {
        return Err("network name/id is not specified".to_owned());
    }
    Ok(network)
}

/// For the flag table: whether the text reads.
pub fn check(text: &str) -> Result<(), String> {
    parse(text).map(|_| ())
}

/// Whether the engine keeps a network of this name, rather than a mode of its own.
#[must_use]
pub fn is_user_defined(target: &str) -> bool {
    !matches!(target, "default" | "bridge" | "host" | "none" | "") && !target.starts_with("container:")
}

/// A word, `=`, a word, somewhere.
fn is_long(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.char_indices().filter(|(_, c)| *c == '=').any(|(at, _)| {
        text[..at].chars().next_back().is_some_and(word) && text[at + 1..].chars().next().is_some_and(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_forms() {
        assert_eq!(parse("container:abc").map(|n| n.target), Ok("container:abc".to_owned()));
        let network = parse("name=net1,alias=web,alias=www,ip=10.0.0.5").expect("valid");
        assert_eq!((network.target.as_str(), network.ipv4.as_str()), ("net1", "10.0.0.5"));
        assert_eq!(network.aliases, ["web", "www"]);
        assert_eq!(parse("alias=web"), Err("network name/id is not specified".to_owned()));
        assert_eq!(parse("name=n,foo=x"), Err("invalid field key foo".to_owned()));
        assert!(is_user_defined("net1") && !is_user_defined("host") && !is_user_defined("container:x"));
    }
}
