//! All settings of a daemon, parsed from flags and `daemon.json`; nothing is touched yet.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cli::Environment;
use cli::flags::Matches;
use engine::{ContainerDefaults, LiveConfig, Proxies};
use network::AddressPool;
use store::DriverChoice;

use super::Called;
use super::bridge_options::{self, BridgeOptions};
use super::file::{self, FileSettings};
use super::merged::{self, Merged};
use super::remap::{self, RemapChoice};
use super::values::{self, Host};
use super::{gc, host_mirrors, network_options};

/// Settings of one daemon.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub called: Called,
    pub data_root: PathBuf,
    pub exec_root: PathBuf,
    /// Addresses the user named; empty for the default sockets.
    pub hosts: Vec<Host>,
    /// Group that may use the unix sockets; `None` when the user named none.
    pub group: Option<String>,
    pub tls: Option<TlsFiles>,
    /// The default bridge to own; `None` lets the daemon choose.
    pub bridge_name: Option<String>,
    /// An existing bridge, or `none`.
    pub bridge: Option<String>,
    pub pidfile: PathBuf,
    pub log_level: String,
    pub log_json: bool,
    pub driver: DriverChoice,
    pub network: BridgeOptions,
    pub userns_remap: Option<RemapChoice>,
    pub log_driver: String,
    pub log_options: BTreeMap<String, String>,
    pub init: bool,
    pub experimental: bool,
    pub generic_resources: Vec<String>,
    pub cdi_spec_dirs: Vec<PathBuf>,
    /// Where networks that name no subnet get theirs.
    pub address_pools: Vec<AddressPool>,
    /// Driver options of bridge networks that do not say otherwise.
    pub default_network_options: BTreeMap<String, BTreeMap<String, String>>,
    pub proxies: Proxies,
    pub container: ContainerDefaults,
    pub oom_score_adjust: Option<i32>,
    pub live: LiveConfig,
    /// What was accepted though it has no effect here, and why.
    pub notes: Vec<(&'static str, &'static str)>,
    /// Where to read again what may change.
    pub source: Source,
}

/// Where settings come from, kept for `SIGHUP`.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// `--config-file`, or the default.
    pub path: PathBuf,
    /// Whether the user named it.
    named: bool,
    flags: FileSettings,
    environment: Environment,
    called: Called,
}

/// Certificates, as paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Who must have signed a client's certificate; `None` lets every client in.
    pub clients: Option<PathBuf>,
}

// === impl Source ===

impl Source {
    /// What the command line says.
    pub(super) fn new(matches: &Matches, environment: &Environment, called: Called) -> Self {
        let named = matches.maybe("config-file").map(PathBuf::from);
        Self {
            named: named.is_some(),
            path: named.unwrap_or_else(|| PathBuf::from(called.config_file())),
            flags: merged::given(matches),
            environment: environment.clone(),
            called,
        }
    }

    /// Reads the file and brings it together with the flags.
    ///
    /// # Errors
    /// Docker's texts.
    pub(super) fn read(&self) -> anyhow::Result<Options> {
        let file = file::read(&self.path, self.named)?;
        Options::from_merged(&Merged::new(self.flags.clone(), file, &self.path)?, self)
    }
}

// === impl Options ===

impl Options {
    fn from_merged(merged: &Merged, source: &Source) -> anyhow::Result<Self> {
        let called = source.called;
        let exec_root = merged.path("exec-root", called.exec_root())?;
        let pidfile = called.pidfile().unwrap_or_else(|| exec_root.join("daemon.pid").display().to_string());
        let device = |key| merged.parsed(key, values::device_name);
        merged.all("exec-opts", values::exec_option)?;
        merged.all("storage-opts", values::storage_option)?;
        Ok(Self {
            called,
            data_root: merged.path("data-root", called.data_root())?,
            hosts: merged.all("hosts", values::host)?,
            group: merged.text("group").map(str::to_owned),
            tls: tls(merged, &source.environment)?,
            bridge_name: device("bridge-name")?,
            bridge: device("bridge")?,
            pidfile: merged.path("pidfile", &pidfile)?,
            exec_root,
            log_level: log_level(merged)?,
            log_json: log_json(merged)?,
            driver: merged.parsed("storage-driver", values::driver)?.unwrap_or(DriverChoice::Auto),
            network: bridge_options::read(merged)?,
            userns_remap: merged.parsed("userns-remap", remap::parse)?,
            log_driver: merged.text("log-driver").unwrap_or("json-file").to_owned(),
            log_options: merged.all("log-opts", values::pair)?.into_iter().collect(),
            init: merged.switch("init", false),
            experimental: merged.switch("experimental", false),
            generic_resources: merged.all("node-generic-resources", values::generic_resource)?,
            cdi_spec_dirs: cdi_spec_dirs(merged),
            address_pools: address_pools(merged)?,
            default_network_options: network_options::read(merged)?,
            proxies: proxies(merged, &source.environment),
            container: container_defaults(merged)?,
            oom_score_adjust: merged.parsed("oom-score-adjust", score)?,
            live: live(merged)?,
            notes: merged.notes().collect(),
            source: source.clone(),
        })
    }
}

fn log_level(merged: &Merged) -> anyhow::Result<String> {
    let level = merged.text("log-level").unwrap_or("info");
    match level {
        "debug" | "trace" | "info" | "warn" | "warning" | "error" | "fatal" => Ok(level.to_owned()),
        other => Err(merged.invalid("log-level", &format!("invalid logging level: {other}"))),
    }
}

fn log_json(merged: &Merged) -> anyhow::Result<bool> {
    match merged.text("log-format") {
        None | Some("text") => Ok(false),
        Some("json") => Ok(true),
        Some(other) => Err(merged.invalid("log-format", &format!("invalid log format: {other}"))),
    }
}

fn score(text: &str) -> Result<i32, String> {
    let score = text.parse().ok().filter(|score| (-1000..=1000).contains(score));
    score.ok_or_else(|| format!("invalid oom_score_adj {text}: choose -1000 to 1000"))
}

fn address_pools(merged: &Merged) -> anyhow::Result<Vec<AddressPool>> {
    match merged.get("default-address-pools").and_then(|given| given.json.as_ref()) {
        Some(json) => values::address_pools(json).map_err(|message| merged.invalid("default-address-pools", &message)),
        None => merged.all("default-address-pools", values::address_pool),
    }
}

/// A list with an empty text switches CDI off, as in Docker.
fn cdi_spec_dirs(merged: &Merged) -> Vec<PathBuf> {
    match merged.list("cdi-spec-dirs") {
        [] => vec![PathBuf::from("/etc/cdi"), PathBuf::from("/var/run/cdi")],
        given => given.iter().filter(|path| !path.is_empty()).map(PathBuf::from).collect(),
    }
}

/// Of the settings, else of the environment.
fn proxies(merged: &Merged, environment: &Environment) -> Proxies {
    let proxy = |key: &str, names: [&str; 2]| {
        let given = merged.text(key).or_else(|| names.iter().find_map(|name| environment.filled(name)));
        given.unwrap_or_default().to_owned()
    };
    Proxies {
        http: proxy("http-proxy", ["HTTP_PROXY", "http_proxy"]),
        https: proxy("https-proxy", ["HTTPS_PROXY", "https_proxy"]),
        none_for: proxy("no-proxy", ["NO_PROXY", "no_proxy"]),
    }
}

fn container_defaults(merged: &Merged) -> anyhow::Result<ContainerDefaults> {
    let ulimits = match merged.get("default-ulimits").and_then(|given| given.json.as_ref()) {
        Some(json) => values::ulimits(json).map_err(|message| merged.invalid("default-ulimits", &message))?,
        None => merged.all("default-ulimits", values::ulimit)?,
    };
    let seccomp_profile = merged.parsed("seccomp-profile", |text| match text {
        "builtin" => Ok(None),
        "unconfined" => Ok(Some("unconfined".to_owned())),
        path => std::fs::read_to_string(path)
            .map(Some)
            .map_err(|error| format!("opening seccomp profile ({path}) failed: {error}")),
    })?;
    Ok(ContainerDefaults {
        cgroup_parent: merged.text("cgroup-parent").unwrap_or_default().to_owned(),
        ulimits,
        no_new_privileges: merged.switch("no-new-privileges", false),
        seccomp_profile: seccomp_profile.flatten(),
        dns: merged.all("dns", values::address)?,
        dns_options: merged.list("dns-opts").to_vec(),
        dns_search: merged.all("dns-search", values::domain)?,
        host_gateway: host_gateway(merged)?,
    })
}

/// Docker has an old key for one address and a newer one for several.
fn host_gateway(merged: &Merged) -> anyhow::Result<Vec<std::net::IpAddr>> {
    let old = merged.get("host-gateway-ip").and_then(|given| given.json.as_ref());
    let old = old.map(|json| values::one_or_many("host-gateway-ip", json)).transpose();
    let old = old.map_err(|message| merged.invalid("host-gateway-ip", &message))?.unwrap_or_default();
    let parse = |text: &String| values::address(text).map_err(|message| merged.invalid("host-gateway-ip", &message));
    let mut addresses = merged.all("host-gateway-ips", values::address)?;
    for text in &old {
        addresses.push(parse(text)?);
    }
    Ok(addresses)
}

fn live(merged: &Merged) -> anyhow::Result<LiveConfig> {
    let default = LiveConfig::default();
    let count = |key: &'static str, what: &'static str, least, default| {
        Ok::<_, anyhow::Error>(merged.parsed(key, |text| values::count(what, text, least))?.unwrap_or(default))
    };
    let labels = values::labels(merged.list("labels")).map_err(|message| merged.invalid("labels", &message))?;
    let features = merged.get("features").and_then(|given| given.json.as_ref()).map(values::features).transpose();
    let shm_size = merged.parsed("default-shm-size", |text| {
        cli::parse_size(text).and_then(|bytes| u64::try_from(bytes).map_err(|_| format!("invalid size: '{text}'")))
    })?;
    let timeout = |text: &str| text.parse().map_err(|_| format!("invalid shutdown timeout: {text}"));
    Ok(LiveConfig {
        debug: merged.switch("debug", false),
        labels,
        insecure_registries: merged.all("insecure-registries", values::insecure_registry)?,
        registry_mirrors: merged.all("registry-mirrors", values::mirror)?,
        host_mirrors: host_mirrors::of(merged)?,
        nondistributable_artifacts: merged.list("allow-nondistributable-artifacts").to_vec(),
        max_concurrent_downloads: match count("max-concurrent-downloads", "max concurrent downloads", 0, 3)? {
            0 => default.max_concurrent_downloads,
            number => number,
        },
        max_concurrent_uploads: match count("max-concurrent-uploads", "max concurrent uploads", 0, 5)? {
            0 => default.max_concurrent_uploads,
            number => number,
        },
        max_download_attempts: count("max-download-attempts", "max download attempts", 1, 5)?,
        live_restore: merged.switch("live-restore", true),
        shutdown_timeout: merged.parsed("shutdown-timeout", timeout)?.unwrap_or(default.shutdown_timeout),
        default_runtime: merged.parsed("default-runtime", values::runtime)?.unwrap_or(default.default_runtime),
        shm_size: shm_size.filter(|bytes| *bytes > 0).unwrap_or(default.shm_size),
        ipc_mode: merged.parsed("default-ipc-mode", values::ipc_mode)?.unwrap_or(default.ipc_mode),
        cgroupns_mode: merged.parsed("default-cgroupns-mode", values::cgroupns_mode)?.unwrap_or(default.cgroupns_mode),
        features: features.map_err(|message| merged.invalid("features", &message))?.unwrap_or_default(),
        gc: gc::of(merged)?,
    })
}

/// TLS is on when `tls` says so, or when anything is said about `tlsverify`, as in Docker.
fn tls(merged: &Merged, environment: &Environment) -> anyhow::Result<Option<TlsFiles>> {
    let verify = merged.switch("tlsverify", environment.filled("DOCKER_TLS_VERIFY").is_some());
    if !(merged.switch("tls", false) || verify || merged.has("tlsverify")) {
        return Ok(None);
    }
    let home = environment.filled("HOME").unwrap_or("/root");
    let directory =
        environment.filled("DOCKER_CERT_PATH").map_or_else(|| PathBuf::from(home).join(".docker"), PathBuf::from);
    let path = |key: &str, name: &str| merged.text(key).map_or_else(|| directory.join(name), PathBuf::from);
    Ok(Some(TlsFiles {
        certificate: path("tlscert", "cert.pem"),
        key: path("tlskey", "key.pem"),
        clients: verify.then(|| path("tlscacert", "ca.pem")),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::table;
    use cli::flags::{Parsed, parse};
    use std::path::Path;

    fn options(arguments: &[&str], file: &str) -> anyhow::Result<Options> {
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let Parsed::Matches(matches) = parse(table::flags(), true, &arguments)? else { anyhow::bail!("help") };
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("d.json");
        std::fs::write(&path, file)?;
        let mut source = Source::new(&matches, &Environment::default(), Called::Gantry);
        (source.path, source.named) = (path, true);
        source.read()
    }

    #[test]
    fn flags_reach_their_options() {
        let arguments =
            ["--data-root", "/d", "-H", "unix:///s", "--bip", "10.9.0.1/24", "--icc=false", "-D", "-b", "br0"];
        let options = options(&arguments, "{}").expect("valid");
        assert_eq!(options.data_root, Path::new("/d"));
        assert_eq!(options.hosts, [Host::Unix("/s".into())]);
        assert_eq!(options.network.addresses.bip.map(|bip| bip.to_string()).as_deref(), Some("10.9.0.1/24"));
        assert_eq!((options.network.icc, options.live.debug, options.bridge.as_deref()), (false, true, Some("br0")));
    }

    #[test]
    fn the_file_reaches_its_options() {
        let options = options(
            &["--label", "x=y"],
            r#"{"default-shm-size": "32M", "default-ulimits": {"nofile": {"Name": "nofile", "Hard": 20, "Soft": 10}},
                "dns": ["1.1.1.1"], "features": {"buildkit": true}, "tlsverify": true, "host-gateway-ip": "10.0.0.9",
                "containerd": "/run/x.sock", "live-restore": false, "max-concurrent-downloads": 7}"#,
        )
        .expect("valid");
        assert_eq!((options.live.shm_size, options.container.ulimits.len()), (32 << 20, 1));
        assert_eq!((options.live.labels.as_slice(), options.live.live_restore), (["x=y".to_owned()].as_slice(), false));
        assert_eq!((options.container.host_gateway.len(), options.live.max_concurrent_downloads), (1, 7));
        assert_eq!(options.tls.and_then(|tls| tls.clients), Some(PathBuf::from("/root/.docker/ca.pem")));
        assert_eq!(options.notes.first().map(|note| note.0), Some("containerd"));
    }

    #[test]
    fn what_is_wrong_is_told_in_dockers_words() {
        for (file, message) in [
            (r#"{"labels":["a"]}"#, "bad attribute format: a"),
            (r#"{"dns":["x"]}"#, "x is not an ip address"),
            (r#"{"max-concurrent-downloads":-1}"#, "invalid max concurrent downloads: -1"),
            (r#"{"default-runtime":"nope"}"#, "specified default runtime 'nope' does not exist"),
            (r#"{"log-level":"nope"}"#, "invalid logging level: nope"),
        ] {
            let text = options(&[], file).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(text.ends_with(&format!("configuration validation from file failed: {message}")), "{text}");
        }
        assert_eq!(
            options(&["--log-level", "x"], "").err().map(|error| error.to_string()).as_deref(),
            Some("invalid logging level: x")
        );
    }
}
