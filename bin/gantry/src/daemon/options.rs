//! All settings of a daemon, parsed from flags and `daemon.json`; nothing is touched yet.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use clap::ArgMatches;
use engine::Remap;
use ipnet::Ipv4Net;
use server::Listen;
use store::DriverChoice;

use super::{file, flags};

const DATA_ROOT: &str = "/var/lib/gantry";
const EXEC_ROOT: &str = "/run/gantry";
const CONFIG_FILE: &str = "/etc/gantry/daemon.json";
/// Docker's own socket: taken over when nobody else owns it, so that stock clients find us.
pub(super) const DOCKER_SOCKET: &str = "/var/run/docker.sock";
/// Ids that a remapped container has.
const REMAP_SIZE: u32 = 65_536;

/// Settings of one daemon.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub data_root: PathBuf,
    pub exec_root: PathBuf,
    /// Addresses the user named; empty for the default sockets.
    pub hosts: Vec<Listen>,
    /// The default bridge to own; `None` lets the daemon choose.
    pub bridge_name: Option<String>,
    /// Address of the default bridge.
    pub bip: Option<Ipv4Net>,
    /// An existing bridge, or `none`.
    pub bridge: Option<String>,
    pub pidfile: PathBuf,
    pub log_level: String,
    pub driver: DriverChoice,
    pub mtu: Option<u32>,
    pub bind_ip: Ipv4Addr,
    pub userns_remap: Option<Remap>,
    pub log_driver: String,
    pub log_options: BTreeMap<String, String>,
    pub insecure_registries: Vec<String>,
    pub labels: Vec<String>,
    pub debug: bool,
    pub init: bool,
    pub icc: bool,
    pub iptables: bool,
    pub ip_forward: bool,
}

/// One source of texts by flag name: flags and file merged, conflicts refused.
struct Merged(BTreeMap<String, Vec<String>>);

// === impl Options ===

impl Options {
    /// Merges the flags with the configuration file that they (or the default) name.
    pub(super) fn from_flags(matches: &ArgMatches) -> anyhow::Result<Self> {
        let named = matches.get_one::<String>("config-file");
        let path = named.map_or_else(|| PathBuf::from(CONFIG_FILE), PathBuf::from);
        let merged = Merged::new(given(matches), file::read(&path, named.is_some())?, &path)?;
        let exec_root = merged.path("exec-root", EXEC_ROOT)?;
        Ok(Self {
            data_root: merged.path("data-root", DATA_ROOT)?,
            hosts: merged.list("host").iter().map(|text| parse_host(text)).collect::<anyhow::Result<_>>()?,
            bridge_name: merged.text("bridge-name").map(device_name).transpose()?,
            bip: merged.parsed("bip")?,
            bridge: merged.text("bridge").map(device_name).transpose()?,
            pidfile: merged.path("pidfile", &exec_root.join("daemon.pid").display().to_string())?,
            exec_root,
            log_level: merged.text("log-level").unwrap_or("info").to_owned(),
            driver: merged.text("storage-driver").map_or(Ok(DriverChoice::Auto), parse_driver)?,
            mtu: merged.parsed("mtu")?.filter(|mtu| *mtu > 0),
            bind_ip: merged.parsed("ip")?.unwrap_or(Ipv4Addr::UNSPECIFIED),
            userns_remap: merged.text("userns-remap").filter(|text| !text.is_empty()).map(parse_remap).transpose()?,
            log_driver: merged.text("log-driver").unwrap_or("json-file").to_owned(),
            log_options: key_values(merged.list("log-opt"))?,
            insecure_registries: merged.list("insecure-registry").to_vec(),
            labels: merged.list("label").to_vec(),
            debug: merged.switch("debug", false)?,
            init: merged.switch("init", false)?,
            icc: merged.switch("icc", true)?,
            iptables: merged.switch("iptables", true)?,
            ip_forward: merged.switch("ip-forward", true)?,
        })
    }
}

// === impl Merged ===

impl Merged {
    fn new(mut given: file::FileOptions, from_file: file::FileOptions, path: &Path) -> anyhow::Result<Self> {
        let show = |values: &[String]| match values {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let mut conflicts = Vec::new();
        for (flag, values) in from_file {
            if let Some(mine) = given.get(&flag) {
                let key = flags::file_key(&flag);
                conflicts.push(format!("{key}: (from flag: {}, from file: {})", show(mine), show(&values)));
            }
            given.insert(flag, values);
        }
        if !conflicts.is_empty() {
            bail!(
                "unable to configure the Docker daemon with file {}: the following directives are specified both as a flag and in the configuration file: {}",
                path.display(),
                conflicts.join(", ")
            );
        }
        Ok(Self(given))
    }

    fn list(&self, flag: &str) -> &[String] {
        self.0.get(flag).map_or(&[], Vec::as_slice)
    }

    fn text(&self, flag: &str) -> Option<&str> {
        self.list(flag).last().map(String::as_str)
    }

    fn path(&self, flag: &str, default: &str) -> anyhow::Result<PathBuf> {
        let path = self.text(flag).unwrap_or(default);
        std::path::absolute(path).with_context(|| format!("invalid --{flag} {path:?}"))
    }

    fn parsed<T: std::str::FromStr>(&self, flag: &str) -> anyhow::Result<Option<T>> {
        let parse = |text: &str| text.parse().map_err(|_| anyhow!("invalid argument {text:?} for \"--{flag}\" flag"));
        self.text(flag).filter(|text| !text.is_empty()).map(parse).transpose()
    }

    fn switch(&self, flag: &str, default: bool) -> anyhow::Result<bool> {
        Ok(self.parsed(flag)?.unwrap_or(default))
    }
}

/// The flags that were given, as texts.
fn given(matches: &ArgMatches) -> file::FileOptions {
    let mut found = file::FileOptions::new();
    for flag in flags::all() {
        if matches.value_source(flag) != Some(clap::parser::ValueSource::CommandLine) {
            continue;
        }
        let texts = match matches.try_get_many::<String>(flag) {
            Ok(values) => values.into_iter().flatten().cloned().collect(),
            Err(_) => vec![matches.get_one::<bool>(flag).is_some_and(|on| *on).to_string()],
        };
        found.insert(flag.to_owned(), texts);
    }
    found
}

fn parse_host(text: &str) -> anyhow::Result<Listen> {
    if let Some(path) = text.strip_prefix("unix://") {
        return Ok(Listen::Unix(PathBuf::from(if path.is_empty() { DOCKER_SOCKET } else { path })));
    }
    let Some(address) = text.strip_prefix("tcp://") else { bail!("invalid bind address format: {text}") };
    let address = match address {
        "" => "127.0.0.1:2375".to_owned(),
        port if port.starts_with(':') => format!("0.0.0.0{port}"),
        host if !host.contains(':') => format!("{host}:2375"),
        full => full.replacen("localhost:", "127.0.0.1:", 1),
    };
    // Names are not looked up: a daemon listens on addresses.
    address.parse::<SocketAddr>().map(Listen::Tcp).map_err(|_| anyhow!("invalid bind address format: {text}"))
}

fn parse_driver(text: &str) -> anyhow::Result<DriverChoice> {
    match text {
        "" => Ok(DriverChoice::Auto),
        "overlay2" => Ok(DriverChoice::Overlay2),
        "vfs" => Ok(DriverChoice::Vfs),
        other => bail!("storage driver {other:?} is not supported: choose overlay2 or vfs"),
    }
}

/// `default` takes Docker's first subordinate range; `UID` and `UID:GID` name the first ids.
fn parse_remap(text: &str) -> anyhow::Result<Remap> {
    if text == "default" {
        return Ok(Remap { uid: 100_000, gid: 100_000, size: REMAP_SIZE });
    }
    let (uid, gid) = text.split_once(':').unwrap_or((text, text));
    let parse = |part: &str| part.parse().ok().filter(|id| *id > 0);
    match (parse(uid), parse(gid)) {
        (Some(uid), Some(gid)) => Ok(Remap { uid, gid, size: REMAP_SIZE }),
        _ => bail!("invalid --userns-remap {text:?}: give \"default\", or the first host ids as UID:GID"),
    }
}

fn device_name(text: &str) -> anyhow::Result<String> {
    let valid = !text.is_empty() && text.len() <= 15 && !text.contains(['/', ' ', ':']);
    if valid { Ok(text.to_owned()) } else { bail!("invalid network device name {text:?}: 1 to 15 characters") }
}

fn key_values(list: &[String]) -> anyhow::Result<BTreeMap<String, String>> {
    let pair = |text: &String| {
        let (key, value) =
            text.split_once('=').ok_or_else(|| anyhow!("invalid log option {text:?}: want key=value"))?;
        Ok((key.to_owned(), value.to_owned()))
    };
    list.iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_addresses() {
        assert_eq!(parse_host("unix:///a/b").ok(), Some(Listen::Unix("/a/b".into())));
        assert_eq!(parse_host("tcp://:2375").ok(), "0.0.0.0:2375".parse().ok().map(Listen::Tcp));
        assert_eq!(parse_host("tcp://127.0.0.1").ok(), "127.0.0.1:2375".parse().ok().map(Listen::Tcp));
        for bad in ["fd://", "/path", "tcp://nowhere.example:1"] {
            assert!(parse_host(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_directive_given_twice_is_refused_with_dockers_words() {
        let option = |value: &str| file::FileOptions::from([("host".to_owned(), vec![value.to_owned()])]);
        let error = Merged::new(option("unix:///a"), option("unix:///b"), Path::new("/d.json")).err();
        assert_eq!(
            error.map(|error| error.to_string()).as_deref(),
            Some(
                "unable to configure the Docker daemon with file /d.json: the following directives are specified both as a flag and in the configuration file: hosts: (from flag: unix:///a, from file: unix:///b)"
            )
        );
    }

    #[test]
    fn flags_reach_their_options() {
        let arguments =
            ["--data-root", "/d", "-H", "unix:///s", "--bip", "10.9.0.1/24", "--icc=false", "-D", "-b", "br0"];
        let matches = flags::command().try_get_matches_from(arguments).expect("valid");
        let options = Options::from_flags(&matches).expect("valid");
        assert_eq!(options.data_root, Path::new("/d"));
        assert_eq!(options.hosts, [Listen::Unix("/s".into())]);
        assert_eq!(options.bip.map(|bip| bip.to_string()).as_deref(), Some("10.9.0.1/24"));
        assert_eq!((options.icc, options.debug, options.bridge.as_deref()), (false, true, Some("br0")));
    }
}
