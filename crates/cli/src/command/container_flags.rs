//! The flags that `run` and `create` share.

use super::common::TRUST;
use crate::flags::Flag;
use crate::options::{check, device, gpus, mount, network, ulimit};

const CGROUPNS: &str = "Cgroup namespace to use (host|private)
'host':    Run the container in the Docker host's cgroup namespace
'private': Run the container in its own private cgroup namespace
'':        Use the cgroup namespace as configured by the
           default-cgroupns-mode option on the daemon (default)";

const SWAP: &str = "Swap limit equal to memory plus swap: '-1' to enable unlimited swap";
const HEALTH_ON_FAILURE: &str =
    "What to do when the container becomes unhealthy (none|restart|stop|kill) (default none)";
const START_PERIOD: &str =
    "Start period for the container to initialize before starting health-retries countdown (ms|s|m|h) (default 0s)";
const START_INTERVAL: &str = "Time between running the check during the start period (ms|s|m|h) (default 0s)";
const WEIGHT: &str = "Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)";

/// The table.
pub static CONTAINER: &[Flag] = &[
    Flag::value("add-host", "list", "Add a custom host-to-IP mapping (host:ip)").check(check::extra_host),
    Flag::value("annotation", "map", "Add an annotation to the container (passed through to the OCI runtime)")
        .default("map[]"),
    Flag::value("attach", "list", "Attach to STDIN, STDOUT or STDERR").short('a').check(check::stream),
    Flag::value("blkio-weight", "uint16", WEIGHT),
    Flag::value("blkio-weight-device", "list", "Block IO weight (relative device weight)")
        .default("[]")
        .check(device::check_weight),
    Flag::value("cap-add", "list", "Add Linux capabilities"),
    Flag::value("cap-drop", "list", "Drop Linux capabilities"),
    Flag::value("cgroup-parent", "string", "Optional parent cgroup for the container"),
    Flag::value("cgroupns", "string", CGROUPNS),
    Flag::value("cidfile", "string", "Write the container ID to the file"),
    Flag::value("cpu-period", "int", "Limit CPU CFS (Completely Fair Scheduler) period"),
    Flag::value("cpu-quota", "int", "Limit CPU CFS (Completely Fair Scheduler) quota"),
    Flag::value("cpu-rt-period", "int", "Limit CPU real-time period in microseconds"),
    Flag::value("cpu-rt-runtime", "int", "Limit CPU real-time runtime in microseconds"),
    Flag::value("cpu-shares", "int", "CPU shares (relative weight)").short('c'),
    Flag::value("cpus", "decimal", "Number of CPUs").check(check::cpus),
    Flag::value("cpuset-cpus", "string", "CPUs in which to allow execution (0-3, 0,1)"),
    Flag::value("cpuset-mems", "string", "MEMs in which to allow execution (0-3, 0,1)"),
    Flag::value("device", "list", "Add a host device to the container"),
    Flag::value("device-cgroup-rule", "list", "Add a rule to the cgroup allowed devices list")
        .check(check::device_rule),
    Flag::value("device-read-bps", "list", "Limit read rate (bytes per second) from a device")
        .default("[]")
        .check(device::check_bytes_rate),
    Flag::value("device-read-iops", "list", "Limit read rate (IO per second) from a device")
        .default("[]")
        .check(device::check_operations_rate),
    Flag::value("device-write-bps", "list", "Limit write rate (bytes per second) to a device")
        .default("[]")
        .check(device::check_bytes_rate),
    Flag::value("device-write-iops", "list", "Limit write rate (IO per second) to a device")
        .default("[]")
        .check(device::check_operations_rate),
    TRUST,
    Flag::value("dns", "list", "Set custom DNS servers").check(check::address),
    Flag::value("dns-opt", "list", "Set DNS options").same_as("dns-option"),
    Flag::value("dns-option", "list", "Set DNS options"),
    Flag::value("dns-search", "list", "Set custom DNS search domains").check(check::domain),
    Flag::value("domainname", "string", "Container NIS domain name"),
    Flag::value("entrypoint", "string", "Overwrite the default ENTRYPOINT of the image"),
    Flag::value("env", "list", "Set environment variables").short('e').check(check::env),
    Flag::value("env-file", "list", "Read in a file of environment variables"),
    Flag::value("expose", "list", "Expose a port or a range of ports"),
    Flag::value("gpus", "gpu-request", "GPU devices to add to the container ('all' to pass all GPUs)")
        .check(gpus::check),
    Flag::value("group-add", "list", "Add additional groups to join"),
    Flag::value("health-cmd", "string", "Command to run to check health"),
    Flag::value("health-interval", "duration", "Time between running the check (ms|s|m|h) (default 0s)"),
    Flag::value("health-on-failure", "string", HEALTH_ON_FAILURE),
    Flag::value("health-retries", "int", "Consecutive failures needed to report unhealthy"),
    Flag::value("health-start-interval", "duration", START_INTERVAL),
    Flag::value("health-start-period", "duration", START_PERIOD),
    Flag::value("health-timeout", "duration", "Maximum time to allow one check to run (ms|s|m|h) (default 0s)"),
    Flag::switch("help", "Print usage"),
    Flag::value("hostname", "string", "Container host name").short('h'),
    Flag::switch("init", "Run an init inside the container that forwards signals and reaps processes"),
    Flag::switch("interactive", "Keep STDIN open even if not attached").short('i'),
    Flag::value("ip", "string", "IPv4 address (e.g., 172.30.100.104)"),
    Flag::value("ip6", "string", "IPv6 address (e.g., 2001:db8::33)"),
    Flag::value("ipc", "string", "IPC mode to use"),
    Flag::value("isolation", "string", "Container isolation technology"),
    Flag::value("kernel-memory", "bytes", "Kernel memory limit"),
    Flag::value("label", "list", "Set meta data on a container").short('l').check(check::label),
    Flag::value("label-file", "list", "Read in a line delimited file of labels"),
    Flag::value("link", "list", "Add link to another container").check(check::link),
    Flag::value("link-local-ip", "list", "Container IPv4/IPv6 link-local addresses"),
    Flag::value("log-driver", "string", "Logging driver for the container"),
    Flag::value("log-opt", "list", "Log driver options"),
    Flag::value("mac-address", "string", "Container MAC address (e.g., 92:d0:c6:0a:29:33)"),
    Flag::value("memory", "bytes", "Memory limit").short('m'),
    Flag::value("memory-reservation", "bytes", "Memory soft limit"),
    Flag::value("memory-swap", "bytes", SWAP),
    Flag::value("memory-swappiness", "int", "Tune container memory swappiness (0 to 100)").default("-1"),
    Flag::value("mount", "mount", "Attach a filesystem mount to the container").check(mount::check),
    Flag::value("name", "string", "Assign a name to the container"),
    Flag::value("net", "network", "").same_as("network").check(network::check),
    Flag::value("net-alias", "list", "").same_as("network-alias"),
    Flag::value("network", "network", "Connect a container to a network").check(network::check),
    Flag::value("network-alias", "list", "Add network-scoped alias for the container"),
    Flag::switch("no-healthcheck", "Disable any container-specified HEALTHCHECK"),
    Flag::switch("oom-kill-disable", "Disable OOM Killer"),
    Flag::value("oom-score-adj", "int", "Tune host's OOM preferences (-1000 to 1000)"),
    Flag::value("pid", "string", "PID namespace to use"),
    Flag::value("pids-limit", "int", "Tune container pids limit (set -1 for unlimited)"),
    Flag::value("platform", "string", "Set platform if server is multi-platform capable"),
    Flag::switch("privileged", "Give extended privileges to this container"),
    Flag::value("publish", "list", "Publish a container's port(s) to the host").short('p'),
    Flag::switch("publish-all", "Publish all exposed ports to random ports").short('P'),
    Flag::switch("quiet", "Suppress the pull output").short('q'),
    Flag::switch("read-only", "Mount the container's root filesystem as read only"),
    Flag::value("restart", "string", "Restart policy to apply when a container exits").default("\"no\""),
    Flag::switch("rm", "Automatically remove the container and its associated anonymous volumes when it exits"),
    Flag::value("runtime", "string", "Runtime to use for this container"),
    Flag::value("security-opt", "list", "Security Options"),
    Flag::value("shm-size", "bytes", "Size of /dev/shm"),
    Flag::value("stop-signal", "string", "Signal to stop the container"),
    Flag::value("stop-timeout", "int", "Timeout (in seconds) to stop a container"),
    Flag::value("storage-opt", "list", "Storage driver options for the container"),
    Flag::value("sysctl", "map", "Sysctl options").default("map[]").check(check::sysctl),
    Flag::value("tmpfs", "list", "Mount a tmpfs directory"),
    Flag::switch("tty", "Allocate a pseudo-TTY").short('t'),
    Flag::value("tz", "zone", "Time zone of the container: local (the host's), or a name as Europe/Berlin"),
    Flag::value("ulimit", "ulimit", "Ulimit options").default("[]").check(ulimit::check),
    Flag::value("user", "string", "Username or UID (format: <name|uid>[:<group|gid>])").short('u'),
    Flag::value("userns", "string", "User namespace to use"),
    Flag::value("uts", "string", "UTS namespace to use"),
    Flag::value("volume", "list", "Bind mount a volume").short('v'),
    Flag::value("volume-driver", "string", "Optional volume driver for the container"),
    Flag::value("volumes-from", "list", "Mount volumes from the specified container(s)"),
    Flag::value("workdir", "string", "Working directory inside the container").short('w'),
];
