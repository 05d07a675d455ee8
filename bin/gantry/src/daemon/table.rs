//! Every setting that dockerd 28 knows, by its flag and by its key in `daemon.json`, and what becomes of it here.
//!
//! This table is the one source for parsing flags and file, for conflicts between them, for `--help` and for the page
//! `docs/configuration.md`. A setting that is not in it is refused in Docker's words.

use cli::flags::Flag;

use super::setting::{Fate, Setting, Shape, file_only, flag_only, list, number, of_shape, switch, text, with};
use super::values;

use Fate::{Honoured, Noted, Only};
use Shape::{Map, Raw, Size};

const NO_SWARM: &str = "this engine is no member of a swarm";
const ONE_PROCESS: &str = "there is no containerd: the engine runs containers itself";

/// All of them, by flag name.
pub(super) static SETTINGS: &[Setting] = &[
    list(
        "add-runtime",
        "runtimes",
        "runtime",
        "Register an additional OCI compatible runtime",
        Only(&["map[]"], "containers are run by gantry-runtime alone"),
    ),
    switch("allow-direct-routing", "Allow remote access to published ports on container IP addresses", Honoured),
    list(
        "allow-nondistributable-artifacts",
        "allow-nondistributable-artifacts",
        "list",
        "Allow push of nondistributable artifacts to registry",
        Noted("as in Docker 28, it changes nothing but the event"),
    ),
    text(
        "api-cors-header",
        "string",
        "Set CORS headers in the Engine API",
        Only(&[""], "cross-origin requests to an API that is as powerful as root are not allowed"),
    ),
    list(
        "authorization-plugin",
        "authorization-plugins",
        "list",
        "Authorization plugins to load",
        Only(&[], "plugins are not supported, and without its plugin the API would be open"),
    ),
    text("bip", "string", "IPv4 address for the default bridge", Honoured),
    text("bip6", "string", "IPv6 address for the default bridge", Honoured),
    with(
        text("bridge", "string", "", Honoured),
        Flag::value("bridge", "string", "Attach containers to a network bridge").short('b'),
    ),
    text("bridge-accept-fwmark", "string", "In bridge networks, accept packets with this firewall mark/mask", Honoured),
    flag_only(Flag::value(
        "bridge-name",
        "string",
        "Default bridge that the daemon creates and owns (default docker0, or gantry0 when taken)",
    )),
    list("cdi-spec-dir", "cdi-spec-dirs", "list", "CDI specification directories to use", Honoured),
    text("cgroup-parent", "string", "Set parent cgroup for all containers", Honoured),
    flag_only(Flag::value(
        "config-file",
        "string",
        "Daemon configuration file (default /etc/docker/daemon.json as dockerd, /etc/gantry/daemon.json as gantry)",
    )),
    text("containerd", "string", "containerd grpc address", Noted(ONE_PROCESS)),
    text("containerd-namespace", "string", "Containerd namespace to use", Noted(ONE_PROCESS)),
    text("containerd-plugins-namespace", "string", "Containerd namespace to use for plugins", Noted(ONE_PROCESS)),
    flag_only(Flag::switch("containers", "With stop: end the running containers first").hidden()),
    number(
        "cpu-rt-period",
        "Limit the CPU real-time period in microseconds for the parent cgroup for all containers",
        Only(&["0"], "real-time limits are set container by container"),
    ),
    number(
        "cpu-rt-runtime",
        "Limit the CPU real-time runtime in microseconds for the parent cgroup for all containers",
        Only(&["0"], "real-time limits are set container by container"),
    ),
    switch("cri-containerd", "start containerd with cri", Only(&["false"], ONE_PROCESS)),
    text(
        "data-root",
        "string",
        "Root directory of persistent state (default /var/lib/docker as dockerd, /var/lib/gantry as gantry)",
        Honoured,
    ),
    with(switch("debug", "", Honoured), Flag::switch("debug", "Enable debug mode").short('D')),
    of_shape(
        list(
            "default-address-pool",
            "default-address-pools",
            "pool-options",
            "Default address pools for node specific local networks",
            Honoured,
        ),
        Raw,
    ),
    text(
        "default-cgroupns-mode",
        "string",
        "Default mode for containers cgroup namespace (\"host\" | \"private\")",
        Honoured,
    ),
    text("default-gateway", "ip", "Default gateway IPv4 address for the default bridge network", Honoured),
    text("default-gateway-v6", "ip", "Default gateway IPv6 address for the default bridge network", Honoured),
    with(
        text("default-ipc-mode", "string", "", Honoured),
        Flag::value("default-ipc-mode", "string", "Default mode for containers ipc (\"shareable\" | \"private\")")
            .default("\"private\""),
    ),
    of_shape(list("default-network-opt", "default-network-opts", "mapmap", "Default network options", Honoured), Raw),
    with(
        text("default-runtime", "string", "", Honoured),
        Flag::value("default-runtime", "string", "Default OCI runtime for containers").default("\"runc\""),
    ),
    of_shape(
        with(
            text("default-shm-size", "bytes", "", Honoured),
            Flag::value("default-shm-size", "bytes", "Default shm size for containers").default("64MiB"),
        ),
        Size,
    ),
    of_shape(list("default-ulimit", "default-ulimits", "ulimit", "Default ulimits for containers", Honoured), Raw),
    flag_only(Flag::switch("detached", "").hidden()),
    list("dns", "dns", "list", "DNS server to use", Honoured),
    list("dns-opt", "dns-opts", "list", "DNS options to use", Honoured),
    list("dns-search", "dns-search", "list", "DNS search domains to use", Honoured),
    list("exec-opt", "exec-opts", "list", "Runtime execution options", Honoured),
    text(
        "exec-root",
        "string",
        "Root directory for execution state files (default /var/run/docker as dockerd, /run/gantry as gantry)",
        Honoured,
    ),
    switch("experimental", "Enable experimental features", Honoured),
    text("fixed-cidr", "string", "IPv4 subnet for the default bridge network", Honoured),
    text("fixed-cidr-v6", "string", "IPv6 subnet for the default bridge network", Honoured),
    with(
        text("group", "string", "", Honoured),
        Flag::value("group", "string", "Group for the unix socket").short('G').default("\"docker\""),
    ),
    with(
        list("host", "hosts", "list", "", Honoured),
        Flag::value("host", "list", "Daemon socket(s) to connect to").short('H').check(values::check_host),
    ),
    list(
        "host-gateway-ip",
        "host-gateway-ips",
        "list",
        "IP addresses that the special 'host-gateway' string in --add-host resolves to",
        Honoured,
    ),
    text("http-proxy", "string", "HTTP proxy URL to use for outgoing traffic", Honoured),
    text("https-proxy", "string", "HTTPS proxy URL to use for outgoing traffic", Honoured),
    with(
        switch("icc", "", Honoured),
        Flag::switch("icc", "Enable inter-container communication for the default bridge network").default("true"),
    ),
    switch("init", "Run an init in the container to forward signals and reap processes", Honoured),
    text(
        "init-path",
        "string",
        "Path to the docker-init binary",
        Only(&[""], "the init of containers is this program itself"),
    ),
    list("insecure-registry", "insecure-registries", "list", "Enable insecure registry communication", Honoured),
    with(
        text("ip", "ip", "", Honoured),
        Flag::value("ip", "ip", "Host IP for port publishing from the default bridge network").default("0.0.0.0"),
    ),
    with(
        switch("ip-forward", "", Honoured),
        Flag::switch("ip-forward", "Enable IP forwarding in system configuration").default("true"),
    ),
    switch(
        "ip-forward-no-drop",
        "Do not set the filter-FORWARD policy to DROP when enabling IP forwarding",
        Noted("the policy of the FORWARD chain is never touched"),
    ),
    with(
        switch("ip-masq", "", Honoured),
        Flag::switch("ip-masq", "Enable IP masquerading for the default bridge network").default("true"),
    ),
    with(
        switch("ip6tables", "", Honoured),
        Flag::switch("ip6tables", "Enable addition of ip6tables rules").default("true"),
    ),
    with(
        switch("iptables", "", Honoured),
        Flag::switch("iptables", "Enable addition of firewall rules").default("true"),
    ),
    switch("ipv6", "Enable IPv6 networking for the default bridge network", Honoured),
    list("label", "labels", "list", "Set key=value labels to the daemon", Honoured),
    with(
        switch("live-restore", "", Honoured),
        Flag::switch("live-restore", "Let containers run on when the daemon ends").default("true"),
    ),
    with(
        text("log-driver", "string", "", Honoured),
        Flag::value("log-driver", "string", "Default driver for container logs").default("\"json-file\""),
    ),
    with(
        text("log-format", "string", "", Honoured),
        Flag::value("log-format", "string", "Set the logging format (\"text\"|\"json\")").default("\"text\""),
    ),
    with(
        text("log-level", "string", "", Honoured),
        Flag::value("log-level", "string", "Set the logging level (\"debug\"|\"info\"|\"warn\"|\"error\"|\"fatal\")")
            .short('l')
            .default("\"info\""),
    ),
    of_shape(list("log-opt", "log-opts", "map", "Default log driver options for containers", Honoured), Map),
    number("max-concurrent-downloads", "Set the max concurrent downloads (default 3)", Honoured),
    number("max-concurrent-uploads", "Set the max concurrent uploads (default 5)", Honoured),
    number("max-download-attempts", "Set the max download attempts for each pull (default 5)", Honoured),
    text(
        "metrics-addr",
        "string",
        "Set default address and port to serve the metrics api on",
        Only(&[""], "metrics are not served yet"),
    ),
    number("mtu", "Set the MTU of the default bridge network (default: that of the route to the outside)", Honoured),
    number("network-control-plane-mtu", "Network Control plane MTU", Noted(NO_SWARM)),
    switch("no-new-privileges", "Set no-new-privileges by default for new containers", Honoured),
    text(
        "no-proxy",
        "string",
        "Comma-separated list of hosts or IP addresses for which the proxy is skipped",
        Honoured,
    ),
    list("node-generic-resource", "node-generic-resources", "list", "Advertise user-defined resource", Honoured),
    number("oom-score-adjust", "Set the oom_score_adj for the daemon", Honoured),
    with(
        text("pidfile", "string", "", Honoured),
        Flag::value(
            "pidfile",
            "string",
            "Path to use for daemon PID file (default /var/run/docker.pid as dockerd, EXEC-ROOT/daemon.pid as gantry)",
        )
        .short('p'),
    ),
    text(
        "publish-policy",
        "string",
        "Who may come to published ports: everybody (docker), or whom the host's own input rules let in (host-firewall)",
        Honoured,
    ),
    switch(
        "raw-logs",
        "Full timestamps without ANSI coloring",
        Noted("the log has full timestamps and no colours anyway"),
    ),
    list("registry-mirror", "registry-mirrors", "list", "Preferred registry mirror", Honoured),
    switch(
        "rootless",
        "Enable rootless mode; typically used with RootlessKit",
        Only(&["false"], "the daemon needs root"),
    ),
    text(
        "seccomp-profile",
        "string",
        "Path to seccomp profile. Set to \"unconfined\" to disable the default seccomp profile",
        Honoured,
    ),
    switch("selinux-enabled", "Enable selinux support", Only(&["false"], "SELinux labels are not applied")),
    number("shutdown-timeout", "Set the default shutdown timeout (default 15)", Honoured),
    with(
        text("storage-driver", "string", "", Honoured),
        Flag::value("storage-driver", "string", "Storage driver to use: overlay2 or vfs").short('s'),
    ),
    list("storage-opt", "storage-opts", "list", "Storage driver options", Honoured),
    text(
        "swarm-default-advertise-addr",
        "string",
        "Set default address or interface for swarm advertised address",
        Noted(NO_SWARM),
    ),
    switch("tls", "Use TLS; implied by --tlsverify", Honoured),
    text("tlscacert", "string", "Trust certs signed only by this CA (default ~/.docker/ca.pem)", Honoured),
    text("tlscert", "string", "Path to TLS certificate file (default ~/.docker/cert.pem)", Honoured),
    text("tlskey", "string", "Path to TLS key file (default ~/.docker/key.pem)", Honoured),
    switch("tlsverify", "Use TLS and verify the remote", Honoured),
    with(
        switch("userland-proxy", "", Honoured),
        Flag::switch("userland-proxy", "Use userland proxy for loopback traffic").default("true"),
    ),
    text(
        "userland-proxy-path",
        "string",
        "Path to the userland proxy binary",
        Noted("the daemon itself carries what the kernel does not"),
    ),
    text("userns-remap", "string", "User/Group setting for user namespaces", Honoured),
    flag_only(Flag::switch("validate", "Validate daemon configuration and exit")),
    flag_only(Flag::switch("version", "Print version information and quit").short('v')),
    file_only("builder", Noted("what builds keep are images, which `gc` bounds")),
    file_only("deprecated-key-path", Noted("the engine's identity is the file engine-id of the data root")),
    file_only("features", Honoured),
    file_only("host-gateway-ip", Honoured),
    file_only("min-api-version", Only(&["", "1.24"], "the API is spoken from version 1.24 on")),
    // Not Docker's.
    file_only("gc", Honoured),
    file_only("registry-host-mirrors", Honoured),
];

/// The flags, as the parser wants them.
pub(super) fn flags() -> impl Iterator<Item = &'static Flag> {
    SETTINGS.iter().map(|setting| &setting.flag).filter(|flag| !flag.name.is_empty())
}

/// The setting that a key of the file names.
pub(super) fn by_key(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key && !key.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_sorted() {
        let flags: Vec<&str> = flags().map(|flag| flag.name).collect();
        assert!(flags.is_sorted_by(|a, b| a < b), "{flags:?}");
        let mut keys: Vec<&str> = SETTINGS.iter().map(|setting| setting.key).filter(|key| !key.is_empty()).collect();
        let count = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), count);
    }

    #[test]
    fn every_key_of_the_page_is_in_the_table_and_every_key_of_the_table_is_on_the_page() {
        let page = include_str!("../../../../docs/configuration.md");
        for setting in SETTINGS.iter().filter(|setting| !setting.key.is_empty()) {
            assert!(page.contains(&format!("| `{}` |", setting.key)), "docs/configuration.md lacks {}", setting.key);
        }
    }
}
