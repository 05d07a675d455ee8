//! Values of settings: texts in, typed values out, Docker's messages for what does not fit.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use engine::model::{NamespaceMode, Ulimit};
use network::AddressPool;
use store::DriverChoice;

use super::json::{Json, Value};

/// An address to listen on, as the user wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// `unix:///path`; the path may be empty for the default.
    Unix(PathBuf),
    /// `tcp://address`; without a port the default depends on TLS.
    Tcp {
        /// `address`, brackets included.
        address: String,
        /// After the last colon.
        port: Option<u16>,
    },
    /// `fd://`, or one of the descriptors by number.
    Inherited(Option<i32>),
}

impl Host {
    /// The address, with TLS's port or the plain one where none was given.
    pub(super) fn socket_address(address: &str, port: Option<u16>, tls: bool) -> Result<SocketAddr, String> {
        let port = port.unwrap_or(if tls { 2376 } else { 2375 });
        let text = format!("{address}:{port}");
        text.parse().map_err(|_| format!("invalid bind address format: tcp://{text}: names are not looked up"))
    }
}

/// The check of `-H`.
pub(super) fn check_host(text: &str) -> Result<(), String> {
    host(text).map(|_| ())
}

/// Reads one `-H`.
pub(super) fn host(text: &str) -> Result<Host, String> {
    let invalid = || format!("invalid bind address format: {text}");
    let text = text.trim();
    let (scheme, rest) = text.split_once("://").ok_or_else(invalid)?;
    match scheme {
        "unix" => Ok(Host::Unix(PathBuf::from(rest))),
        "fd" if rest.is_empty() || rest == "*" => Ok(Host::Inherited(None)),
        "fd" => rest
            .parse()
            .ok()
            .filter(|number| *number >= 3)
            .map(|number| Host::Inherited(Some(number)))
            .ok_or_else(invalid),
        "tcp" => tcp(rest).ok_or_else(invalid),
        _ => Err(invalid()),
    }
}

fn tcp(rest: &str) -> Option<Host> {
    let rest = rest.trim_end_matches('/');
    let (address, port) = match rest.rsplit_once(':') {
        Some((address, port)) if !port.ends_with(']') => (address, Some(port.parse().ok()?)),
        _ => (rest, None),
    };
    let address = match (address, port) {
        ("localhost", _) => "127.0.0.1",
        ("", None) => "127.0.0.1",
        ("", Some(_)) => "0.0.0.0",
        (address, _) => address,
    };
    let literal = address.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    literal.ok().map(|_| Host::Tcp { address: address.to_owned(), port })
}

/// A storage driver; those that Docker has dropped get a word of their own.
pub(super) fn driver(text: &str) -> Result<DriverChoice, String> {
    match text {
        "overlay2" => Ok(DriverChoice::Overlay2),
        "vfs" => Ok(DriverChoice::Vfs),
        "aufs" | "devicemapper" | "overlay" | "overlayfs" => Err(format!(
            "error initializing graphdriver: the storage-driver {text} has been removed: choose overlay2 or vfs"
        )),
        other => Err(format!("error initializing graphdriver: driver not supported: {other}: choose overlay2 or vfs")),
    }
}

/// A network device's name.
pub(super) fn device_name(text: &str) -> Result<String, String> {
    let valid = text.len() <= 15 && !text.contains(['/', ' ', ':']);
    if valid { Ok(text.to_owned()) } else { Err(format!("invalid network device name {text:?}: 1 to 15 characters")) }
}

/// `name=value`.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("invalid option {text:?}: want key=value"))?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Labels of the daemon: each has a value, and no name has two.
pub(super) fn labels(list: &[String]) -> Result<Vec<String>, String> {
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for label in list {
        let (name, value) = label.split_once('=').ok_or_else(|| format!("bad attribute format: {label}"))?;
        match seen.insert(name, value) {
            Some(before) if before != value => {
                return Err(format!("conflict labels for {name}={value} and {name}={before}"));
            }
            _ => {}
        }
    }
    Ok(seen.into_iter().map(|(name, value)| format!("{name}={value}")).collect())
}

/// An address of a DNS server or of the host.
pub(super) fn address(text: &str) -> Result<IpAddr, String> {
    text.trim().parse().map_err(|_| format!("{text} is not an ip address"))
}

/// A search domain: letters, digits, dots and dashes.
pub(super) fn domain(text: &str) -> Result<String, String> {
    let valid = text == "."
        || (!text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric() || ".-_".contains(letter)));
    if valid { Ok(text.to_owned()) } else { Err(format!("{text} is not a valid domain")) }
}

/// The base URL of a mirror, with a slash at its end.
pub(super) fn mirror(text: &str) -> Result<String, String> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    if scheme != "http" && scheme != "https" {
        return Err(format!("invalid mirror: unsupported scheme {scheme:?} in {text:?}"));
    }
    let rest = rest.trim_end_matches('/');
    if rest.is_empty() || rest.contains(['?', '#']) {
        return Err(format!("invalid mirror: path, query, or fragment at end of the URI {text:?}"));
    }
    if rest.contains('@') {
        return Err("invalid mirror: username/password not allowed in URI".to_owned());
    }
    Ok(format!("{scheme}://{rest}/"))
}

/// A registry's host, `host:port`, or a block of addresses. A scheme in front is taken away, as Docker does.
pub(super) fn insecure_registry(text: &str) -> Result<String, String> {
    let bare = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).unwrap_or(text);
    if bare.contains("://") {
        return Err(format!("insecure registry {text} should not contain '://'"));
    }
    let block = bare.parse::<ipnet::IpNet>().is_ok();
    if !block && (bare.is_empty() || bare.starts_with('-') || bare.contains('/')) {
        return Err(format!("insecure registry {text} is not valid: invalid host {bare:?}"));
    }
    Ok(bare.to_owned())
}

/// How many downloads, uploads or attempts; `what` is Docker's word for it.
pub(super) fn count(what: &str, text: &str, least: i64) -> Result<u32, String> {
    let number: i64 = text.parse().map_err(|_| format!("invalid {what}: {text}"))?;
    u32::try_from(number).ok().filter(|_| number >= least).ok_or_else(|| format!("invalid {what}: {number}"))
}

/// The runtimes that there are.
pub(super) fn runtime(text: &str) -> Result<String, String> {
    match text {
        "runc" | "gantry" | "io.containerd.runc.v2" => Ok(text.to_owned()),
        other => Err(format!("specified default runtime '{other}' does not exist")),
    }
}

/// The IPC namespaces that can be a default.
pub(super) fn ipc_mode(text: &str) -> Result<NamespaceMode, String> {
    match text {
        "private" => Ok(NamespaceMode::Private),
        "shareable" => Ok(NamespaceMode::Shareable),
        other => Err(format!("IPC mode {other:?} is not supported as default value; use \"shareable\" or \"private\"")),
    }
}

/// The cgroup namespaces that can be a default.
pub(super) fn cgroupns_mode(text: &str) -> Result<NamespaceMode, String> {
    match text {
        "private" => Ok(NamespaceMode::Private),
        "host" => Ok(NamespaceMode::Host),
        other => Err(format!("default cgroup namespace mode ({other:?}) is invalid; use \"host\" or \"private\"")),
    }
}

/// `kind=value`.
pub(super) fn generic_resource(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((kind, value)) if !kind.is_empty() && !value.is_empty() => Ok(text.to_owned()),
        _ => {
            Err(format!("could not parse GenericResource: incorrect term {text}, missing '=' or malformed expression"))
        }
    }
}

/// `--exec-opt`: the driver of control groups is the only one there is.
pub(super) fn exec_option(text: &str) -> Result<(), String> {
    match text.split_once('=') {
        Some(("native.cgroupdriver", "cgroupfs" | "")) => Ok(()),
        Some(("native.cgroupdriver", "systemd")) => {
            Err("native.cgroupdriver=systemd is not supported by this engine: use cgroupfs".to_owned())
        }
        Some(("native.cgroupdriver", other)) => Err(format!("native.cgroupdriver option {other} not supported")),
        _ => Err(format!("invalid option {text:?}")),
    }
}

/// `--storage-opt`: none changes anything for the kernels that this engine runs on.
pub(super) fn storage_option(text: &str) -> Result<(), String> {
    match text.split_once('=') {
        Some(("overlay2.override_kernel_check", "true" | "false" | "1" | "0")) => Ok(()),
        Some(("overlay2.size" | "overlay2.mountopt", _)) => {
            Err(format!("storage option {text:?} is not supported by this engine"))
        }
        Some((name, _)) => Err(format!("overlay2: unknown option {name}")),
        None => Err(format!("unable to parse key/value option: {text:?}")),
    }
}

/// `nofile=1024:2048`.
pub(super) fn ulimit(text: &str) -> Result<Ulimit, String> {
    let (name, limits) = text.split_once('=').ok_or_else(|| format!("invalid ulimit argument: {text}"))?;
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    let number = |part: &str| part.parse::<i64>().map_err(|_| format!("invalid ulimit argument: {text}"));
    checked(Ulimit { name: name.to_owned(), soft: number(soft)?, hard: number(hard)? })
}

/// `default-ulimits` in the file: `{"nofile": {"Name": "nofile", "Hard": 1, "Soft": 1}}`.
pub(super) fn ulimits(json: &Json) -> Result<Vec<Ulimit>, String> {
    let Value::Map(entries) = &json.value else {
        return Err(field(json, "default-ulimits", "map[string]*units.Ulimit"));
    };
    let read = |(key, json): &(String, Json)| {
        let Value::Map(fields) = &json.value else { return Err(field(json, "default-ulimits", "units.Ulimit")) };
        let number = |wanted: &str| match find(fields, wanted) {
            None => Ok(0),
            Some(Json { value: Value::Number(text), .. }) => text.parse().map_err(|_| wanted.to_owned()),
            Some(other) => Err(field(other, &format!("default-ulimits.{wanted}"), "int64")),
        };
        let name = match find(fields, "Name") {
            Some(Json { value: Value::Text(name), .. }) => name.clone(),
            _ => key.clone(),
        };
        checked(Ulimit { name, soft: number("Soft")?, hard: number("Hard")? })
    };
    entries.iter().map(read).collect()
}

fn checked(limit: Ulimit) -> Result<Ulimit, String> {
    if !types::ULIMITS.contains(&limit.name.as_str()) {
        return Err(format!("invalid ulimit type: {}", limit.name));
    }
    if limit.hard != -1 && (limit.soft == -1 || limit.soft > limit.hard) {
        return Err(format!(
            "ulimit soft limit must be less than or equal to hard limit: {} > {}",
            limit.soft, limit.hard
        ));
    }
    Ok(limit)
}

/// `base=10.200.0.0/16,size=24`.
pub(super) fn address_pool(text: &str) -> Result<AddressPool, String> {
    let (mut base, mut size) = ("", "");
    for part in text.split(',') {
        match part.split_once('=') {
            Some(("base", value)) => base = value,
            Some(("size", value)) => size = value,
            _ => return Err(format!("invalid field {part:?}: must be a base=CIDR or size=NUMBER pair")),
        }
    }
    let size = size.parse().map_err(|_| format!("invalid size value: {size:?}"))?;
    checked_pool(base, size)
}

/// `default-address-pools` in the file: `[{"base": "10.200.0.0/16", "size": 24}]`.
pub(super) fn address_pools(json: &Json) -> Result<Vec<AddressPool>, String> {
    const KEY: &str = "default-address-pools";
    let Value::List(items) = &json.value else { return Err(field(json, KEY, "[]*ipamutils.NetworkToSplit")) };
    let read = |item: &Json| {
        let Value::Map(fields) = &item.value else { return Err(field(item, KEY, "ipamutils.NetworkToSplit")) };
        match (find(fields, "base").map(|json| &json.value), find(fields, "size").map(|json| &json.value)) {
            (Some(Value::Text(base)), Some(Value::Number(size))) => {
                checked_pool(base, size.parse().map_err(|_| format!("invalid pools size: {size}"))?)
            }
            _ => Err(format!("{KEY}: each needs a base (a text) and a size (a number)")),
        }
    };
    items.iter().map(read).collect()
}

fn checked_pool(base: &str, size: u8) -> Result<AddressPool, String> {
    let base: ipnet::IpNet = base.parse().map_err(|_| format!("invalid base pool {base:?}: invalid CIDR address"))?;
    let smallest = if base.max_prefix_len() == 32 { 30 } else { 126 };
    if size < base.prefix_len() || size > smallest {
        return Err(format!("invalid pools size: {size}"));
    }
    Ok(AddressPool { base: base.trunc(), size })
}

/// `features`: names switched on or off.
pub(super) fn features(json: &Json) -> Result<BTreeMap<String, bool>, String> {
    let Value::Map(entries) = &json.value else { return Err(field(json, "features", "map[string]bool")) };
    let mut features = BTreeMap::new();
    for (name, json) in entries {
        let Value::Bool(on) = json.value else { return Err(field(json, "features", "bool")) };
        if on && name == "containerd-snapshotter" {
            return Err("the feature containerd-snapshotter is not supported by this engine".to_owned());
        }
        features.insert(name.clone(), on);
    }
    Ok(features)
}

/// Texts that may stand alone or in a list.
pub(super) fn one_or_many(key: &str, json: &Json) -> Result<Vec<String>, String> {
    match &json.value {
        Value::Text(text) if text.is_empty() => Ok(Vec::new()),
        Value::Text(text) => Ok(vec![text.clone()]),
        Value::List(items) => items
            .iter()
            .map(|item| match &item.value {
                Value::Text(text) => Ok(text.clone()),
                _ => Err(field(item, key, "string")),
            })
            .collect(),
        _ => Err(field(json, key, "string")),
    }
}

/// Go matches names of fields without regard to case.
pub(super) fn find<'j>(fields: &'j [(String, Json)], name: &str) -> Option<&'j Json> {
    fields.iter().rev().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, json)| json)
}

/// Docker's text for a value of the wrong kind.
pub(super) fn field(json: &Json, key: &str, wanted: &str) -> String {
    format!("json: cannot unmarshal {} into Go struct field Config.{key} of type {wanted}", json.kind())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_addresses() {
        let tcp = |address: &str, port| Ok(Host::Tcp { address: address.to_owned(), port });
        assert_eq!(host("unix:///a/b"), Ok(Host::Unix("/a/b".into())));
        assert_eq!(host("tcp://:2375"), tcp("0.0.0.0", Some(2375)));
        assert_eq!(host("tcp://127.0.0.1"), tcp("127.0.0.1", None));
        assert_eq!(host("tcp://[::1]:80"), tcp("[::1]", Some(80)));
        assert_eq!(host("tcp://"), tcp("127.0.0.1", None));
        assert_eq!(host("fd://"), Ok(Host::Inherited(None)));
        assert_eq!(host("fd://4"), Ok(Host::Inherited(Some(4))));
        for bad in ["foo://x", "/path", "tcp://nowhere.example:1", "tcp://1.2.3.4:x", "fd://x", "fd://1"] {
            assert_eq!(host(bad), Err(format!("invalid bind address format: {bad}")));
        }
        assert_eq!(Host::socket_address("[::1]", None, true), Ok("[::1]:2376".parse().expect("valid")));
    }

    #[test]
    fn labels_have_one_value_each() {
        let list = |labels: &[&str]| labels.iter().map(|&label| label.to_owned()).collect::<Vec<_>>();
        assert_eq!(labels(&list(&["b=1", "a=2", "b=1"])), Ok(list(&["a=2", "b=1"])));
        assert_eq!(labels(&list(&["a"])), Err("bad attribute format: a".to_owned()));
        assert_eq!(labels(&list(&["a=b", "a=c"])), Err("conflict labels for a=c and a=b".to_owned()));
    }

    #[test]
    fn registries_and_mirrors() {
        assert_eq!(mirror("http://127.0.0.1:5001").as_deref(), Ok("http://127.0.0.1:5001/"));
        assert_eq!(mirror("foo"), Err("invalid mirror: unsupported scheme \"\" in \"foo\"".to_owned()));
        assert_eq!(insecure_registry("http://x:5000").as_deref(), Ok("x:5000"));
        assert_eq!(insecure_registry("10.0.0.0/8").as_deref(), Ok("10.0.0.0/8"));
        assert!(insecure_registry("ftp://x").is_err() && insecure_registry("x/y").is_err());
    }

    #[test]
    fn limits_are_read_from_flag_and_file() {
        let limit = Ulimit { name: "nofile".to_owned(), soft: 10, hard: 20 };
        assert_eq!(ulimit("nofile=10:20"), Ok(limit.clone()));
        let json = Json::parse(r#"{"nofile":{"Name":"nofile","Hard":20,"soft":10}}"#).expect("valid");
        assert_eq!(ulimits(&json), Ok(vec![limit]));
        let pool = Json::parse(r#"[{"base":"10.200.0.0/16","size":24}]"#).expect("valid");
        assert_eq!(address_pools(&pool), address_pool("base=10.200.0.0/16,size=24").map(|pool| vec![pool]));
        assert_eq!(address_pool("base=10.0.0.0/8,size=4"), Err("invalid pools size: 4".to_owned()));
        assert!(ulimit("nope=1").is_err() && ulimit("nofile=2:1").is_err());
    }
}
