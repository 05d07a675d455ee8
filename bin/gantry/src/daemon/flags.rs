//! The flags of `gantry daemon`, spelled as dockerd's.

use clap::{Arg, ArgAction, Command};

/// Flags that take one value: name, short form, what it is.
const VALUES: &[(&str, Option<char>, &str)] = &[
    ("data-root", None, "Root directory of persistent state (default /var/lib/gantry)"),
    ("exec-root", None, "Root directory of execution state (default /run/gantry)"),
    ("bridge-name", None, "Default bridge that the daemon creates and owns (default docker0, or gantry0 when taken)"),
    ("bip", None, "Address and prefix of the default bridge, in CIDR notation"),
    ("bridge", Some('b'), "Attach containers to this existing bridge; \"none\" for no default bridge"),
    ("config-file", None, "Configuration file (default /etc/gantry/daemon.json)"),
    ("pidfile", Some('p'), "Where to write the daemon's process id (default EXEC-ROOT/daemon.pid)"),
    ("log-level", Some('l'), "debug, info, warn, error or fatal (default info)"),
    ("storage-driver", Some('s'), "overlay2 or vfs"),
    ("mtu", None, "MTU of container links (default: that of the route to the outside)"),
    ("ip", None, "Host address of published ports that name none (default 0.0.0.0)"),
    ("userns-remap", None, "Map container ids to host ids: \"default\", a user with subordinate ids, or UID:GID of the first host ids"),
    ("log-driver", None, "Log driver of containers that name none (default json-file)"),
];

/// Flags that can be given several times.
const LISTS: &[(&str, Option<char>, &str)] = &[
    ("host", Some('H'), "Address to listen on: unix:///path or tcp://address:port"),
    ("insecure-registry", None, "Registry to speak to without TLS, or without checking its certificate"),
    ("label", None, "Label of the daemon, key=value"),
    ("log-opt", None, "Option of the default log driver, key=value"),
];

/// Flags that switch.
const SWITCHES: &[(&str, Option<char>, &str)] = &[
    ("debug", Some('D'), "Log in detail"),
    ("init", None, "Run an init in every container"),
    ("icc", None, "Let containers of the default bridge talk to each other (default true)"),
    ("iptables", None, "Install firewall rules (default true)"),
    ("ip-forward", None, "Switch IPv4 forwarding on (default true)"),
];

/// The whole command.
pub(super) fn command() -> Command {
    let values = VALUES.iter().map(|flag| argument(flag).num_args(1));
    let lists = LISTS.iter().map(|flag| argument(flag).num_args(1).action(ArgAction::Append));
    let switches = SWITCHES.iter().map(|flag| {
        let truth = clap::builder::BoolishValueParser::new();
        argument(flag).num_args(0..=1).require_equals(true).default_missing_value("true").value_parser(truth)
    });
    let containers = Arg::new("containers").long("containers").action(ArgAction::SetTrue);
    let stop = Command::new("stop")
        .about("Stop the daemon; containers run on")
        .arg(containers.help("Stop the running containers first"));
    Command::new("gantry daemon")
        .about("A container engine that containers survive")
        .no_binary_name(true)
        .args(values)
        .args(lists)
        .args(switches)
        .arg(Arg::new("detached").long("detached").hide(true).action(ArgAction::SetTrue))
        .subcommand(stop.mut_arg("containers", |arg| arg))
        .args_conflicts_with_subcommands(false)
}

/// Every option by its flag, with the key that `daemon.json` has for it.
pub(super) fn file_key(flag: &str) -> &str {
    match flag {
        "host" => "hosts",
        "insecure-registry" => "insecure-registries",
        "label" => "labels",
        "log-opt" => "log-opts",
        other => other,
    }
}

/// All flags that have a key in the file.
pub(super) fn all() -> impl Iterator<Item = &'static str> {
    VALUES.iter().chain(LISTS).chain(SWITCHES).map(|(name, ..)| *name).filter(|name| *name != "config-file")
}

fn argument(&(name, short, help): &(&'static str, Option<char>, &'static str)) -> Arg {
    let argument = Arg::new(name).long(name).help(help).global(true);
    match short {
        Some(short) => argument.short(short),
        None => argument,
    }
}
