//! The default bridge, the four modes, and what `network ls` and `inspect` show: rows NET-01 to NET-16, NET-33, NET-45,
//! NET-50.

use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use privileged_tests::containers::{address, exec, remove, sleeper};
use privileged_tests::fixtures::Fixture;
use privileged_tests::registry::free_port;
use privileged_tests::sandbox::{Sandbox, has, lacks};
use privileged_tests::{Daemon, Isolated, until};

/// What an engine with Docker's own places does, and how the machine looks then.
fn with_defaults(before: &str, flags: &str, script: &str) -> String {
    let sandbox = Sandbox::new();
    let archive = Fixture::Busybox.archive().expect("busybox");
    sandbox.run(&format!(
        "{before}\nup {flags}\ndocker load -q -i {archive} >/dev/null || exit 8\n{script}\n\
         docker rm -f $(docker ps -aq) >/dev/null\ndown",
        archive = archive.display()
    ))
}

/// The part of a script's output behind `== NAME`.
fn part(text: &str, name: &str) -> String {
    let (_, rest) = text.split_once(&format!("== {name}\n")).unwrap_or_else(|| panic!("no part {name} in\n{text}"));
    rest.split("== ").next().unwrap_or_default().to_owned()
}

/// One engine without any flag, looked at once.
fn defaults(name: &str) -> String {
    static OUTPUT: OnceLock<String> = OnceLock::new();
    let script = "
echo == empty; ip -o link show docker0
echo == address; ip -o -4 addr show docker0
docker run -d --name one busybox sleep 1000 >/dev/null || exit 7
docker run -d --name two busybox sleep 1000 >/dev/null || exit 7
echo == ports; bridge link
echo == links; ip -o link show docker0
echo == route; docker exec one ip route
echo == ping; docker exec one ping -c 4 -W 5 172.17.0.3
echo == end";
    part(OUTPUT.get_or_init(|| with_defaults("", "", script)), name)
}

#[test]
fn net_01_docker0_is_made_when_it_is_not_there() {
    let link = defaults("empty");
    has(&link, "docker0: <NO-CARRIER,BROADCAST,MULTICAST,UP>");
    has(&link, "state DOWN");
    has(&defaults("links"), "state UP");
}

#[test]
fn net_02_the_subnet_is_one_that_nobody_has() {
    let taken = "ip link add lan type bridge; ip addr add 172.17.5.1/16 dev lan; ip link set lan up";
    let text = with_defaults(taken, "", "ip -o -4 addr show docker0");
    has(&text, "inet 172.18.0.1/16");
}

#[test]
fn net_03_the_gateway_is_the_first_address() {
    has(&defaults("address"), "inet 172.17.0.1/16");
}

#[test]
fn net_04_a_running_container_is_a_port_of_the_bridge() {
    let ports = defaults("ports");
    let of_ours: Vec<&str> = ports.lines().filter(|line| line.contains("master docker0")).collect();
    assert!(of_ours.len() == 2 && of_ours.iter().all(|line| line.contains(": veth")), "{ports}");
}

#[test]
fn net_05_the_way_out_is_the_bridge_s_address() {
    has(&defaults("route"), "default via 172.17.0.1 dev eth0");
}

#[test]
fn net_06_containers_on_the_default_bridge_reach_each_other() {
    has(&defaults("ping"), " 0% packet loss");
}

#[test]
fn net_50_the_default_bridge_is_as_the_flags_say() {
    let script = "
docker run -d --name one busybox sleep 1000 >/dev/null || exit 7
echo == address; ip -o -4 addr show docker0
echo == routes; ip route
echo == inside; docker exec one cat /sys/class/net/eth0/mtu; docker exec one ip -o -4 addr show eth0
echo == ports; { command -v brctl >/dev/null && brctl show docker0; } || bridge link
echo == end";
    let text = with_defaults("", "--bip 10.77.3.1/24 --mtu 1400", script);
    has(&part(&text, "address"), "inet 10.77.3.1/24");
    has(&part(&text, "routes"), "10.77.3.0/24 dev docker0");
    has(&part(&text, "inside"), "1400\n");
    has(&part(&text, "inside"), "inet 10.77.3.2/24");
    has(&part(&text, "ports"), "docker0");
    has(&part(&text, "ports"), "veth");
}

/// Three octets that no other test of this file has.
fn subnet(number: u32) -> String {
    let process = std::process::id();
    format!("10.{}.{}", 192 + process % 60, number % 40 + 40 * (process / 60 % 6))
}

#[test]
fn net_07_a_fixed_address_stays_over_a_restart() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let (net, subnet) = (daemon.name("net"), subnet(7));
        client.run(&["network", "create", "--subnet", &format!("{subnet}.0/24"), &net]).exits(0);
        let wanted = format!("{subnet}.40");
        let container = sleeper(daemon, &client, &["--network", &net, "--ip", &wanted]);
        client.run(&["stop", "-t", "0", &container]).exits(0);
        // Others take what is free meanwhile.
        let other = sleeper(daemon, &client, &["--network", &net]);
        client.run(&["start", &container]).exits(0);
        assert_eq!(address(&client, &container), wanted);
        assert!(exec(&client, &container, "ip -o -4 addr show eth0").contains(&format!("inet {wanted}/24")));
        // On the default bridge it is whichever is free, and the same for everybody who looks.
        let free = sleeper(daemon, &client, &[]);
        client.run(&["restart", "-t", "0", &free]).exits(0);
        let inside = exec(&client, &free, "ip -o -4 addr show eth0");
        assert!(inside.contains(&format!("inet {}/", address(&client, &free))), "{inside}");
        remove(&client, &[&container, &other, &free]);
        client.run(&["network", "rm", &net]).exits(0);
    }
}

#[test]
fn net_08_there_are_four_modes() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let one = sleeper(daemon, &client, &[]);
        for mode in ["bridge", "host", "none", &format!("container:{one}")] {
            let run = client.run(&["run", "--rm", "--network", mode, "busybox", "ip", "-o", "link"]);
            assert!(run.ok().contains(": lo:"), "{mode}: {run}");
        }
        remove(&client, &[&one]);
    }
}

#[test]
fn net_09_three_spellings_mean_the_same() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        for words in [&["--net=none"][..], &["--network", "none"], &["--network=none"], &["--net", "none"]] {
            let name = sleeper(daemon, &client, words);
            let shown = client.run(&["inspect", "-f", "{{.HostConfig.NetworkMode}}", &name]);
            assert_eq!(shown.ok(), "none", "{words:?}");
            remove(&client, &[&name]);
        }
    }
}

#[test]
fn net_10_the_host_s_network_is_shared_and_nothing_else() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon.name("host");
        let port = free_port().to_string();
        let publish = format!("{port}:80");
        let serve = format!("while true; do echo hello | nc -l -p {port}; done");
        let words = ["run", "-d", "--net=host", "--name", &name, "-p", &publish, "busybox", "sh", "-c", &serve];
        client.run(&words).exits(0).says("WARNING: Published ports are discarded when using host network mode");
        for (space, shared) in [("net", true), ("mnt", false), ("pid", false), ("ipc", false), ("uts", false)] {
            let host = std::fs::read_link(format!("/proc/self/ns/{space}")).expect("a namespace");
            let inside = exec(&client, &name, &format!("readlink /proc/self/ns/{space}"));
            assert_eq!(host.display().to_string() == inside.trim(), shared, "{space}");
        }
        // Its listener is the host's.
        until("the listener answers on the host", 30, || {
            let ask = format!("busybox nc -w 5 127.0.0.1 {port} </dev/null");
            let output = Command::new("timeout").args(["10", "sh", "-c", &ask]).output().expect("nc");
            output.stdout.starts_with(b"hello").then_some(())
        });
        let shown = client.run(&["inspect", "-f", "{{json .NetworkSettings.Ports}}", &name]);
        assert_eq!(shown.ok(), "{}");
        remove(&client, &[&name]);
    }
}

#[test]
fn net_11_none_has_loopback_alone() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let run = client.run(&["run", "--rm", "--network", "none", "busybox", "ip", "-o", "link"]);
        assert!(run.lines().len() == 1 && run.stdout.contains(": lo:"), "{run}");
        let ping = client.run(&["run", "--rm", "--network", "none", "busybox", "ping", "-c", "1", "192.0.2.1"]);
        assert_ne!(ping.code, 0);
        ping.says("Network is unreachable");
    }
}

#[test]
fn net_12_another_container_s_network_is_shared_and_nothing_else() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let one = sleeper(daemon, &client, &["-h", "first"]);
        let two = sleeper(daemon, &client, &["--network", &format!("container:{one}")]);
        let look = "hostname; ip -o -4 addr show eth0; cat /etc/hosts";
        assert_eq!(exec(&client, &one, look), exec(&client, &two, look));
        assert!(exec(&client, &two, look).starts_with("first\n"));
        for (server, asker, port) in [(&one, &two, 7000), (&two, &one, 7001)] {
            let serve = format!("while true; do echo hello | nc -l -p {port}; done");
            client.run(&["exec", "-d", server, "sh", "-c", &serve]).exits(0);
            let ask = format!("nc -w 5 127.0.0.1 {port} </dev/null");
            until("the other answers on loopback", 60, || exec(&client, asker, &ask).contains("hello").then_some(()));
        }
        // Files and processes are its own.
        exec(&client, &one, "touch /mine");
        assert_ne!(client.run(&["exec", &two, "test", "-e", "/mine"]).code, 0);
        exec(&client, &one, "sleep 4711 & echo");
        assert!(exec(&client, &one, "ps").contains("sleep 4711"));
        assert!(!exec(&client, &two, "ps").contains("sleep 4711"));
        // It has no network of its own to publish on.
        let refused =
            client.run(&["run", "--rm", "--network", &format!("container:{one}"), "-p", "80", "busybox", "true"]);
        refused.exits(125).says("conflicting options: port publishing and the container type network mode");
        remove(&client, &[&two, &one]);
    }
}

#[test]
fn net_13_the_default_is_the_bridge() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = sleeper(daemon, &client, &[]);
        let format = "{{range $name, $_ := .NetworkSettings.Networks}}<{{$name}}>{{end}}";
        assert_eq!(client.run(&["inspect", "-f", format, &name]).ok(), "<bridge>");
        assert!(!address(&client, &name).is_empty());
        remove(&client, &[&name]);
    }
}

#[test]
fn net_14_the_list_has_the_three_that_are_always_there() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let listed = client.run(&["network", "ls"]);
        let rows: Vec<Vec<&str>> =
            listed.exits(0).lines().into_iter().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0].join(" "), "NETWORK ID NAME DRIVER SCOPE");
        for (name, driver) in [("bridge", "bridge"), ("host", "host"), ("none", "null")] {
            let row = rows.iter().find(|row| row[1] == name).unwrap_or_else(|| panic!("{name}: {listed}"));
            assert_eq!(row[2..], [driver, "local"]);
            assert!(row[0].len() == 12 && row[0].bytes().all(|byte| byte.is_ascii_hexdigit()), "{listed}");
        }
        let quiet = client.run(&["network", "ls", "-q", "--no-trunc", "-f", "name=bridge"]);
        let id = client.run(&["network", "inspect", "-f", "{{.Id}}", "bridge"]).ok().to_owned();
        assert!(quiet.lines().contains(&id.as_str()), "{quiet}");
        let formatted = client.run(&["network", "ls", "--filter", "driver=null", "--format", "{{.Name}} {{.Driver}}"]);
        assert_eq!(formatted.ok(), "none null");
    }
}

#[test]
fn net_15_inspect_knows_networks() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = sleeper(daemon, &client, &[]);
        let shown =
            |words: &[&str]| -> serde_json::Value { serde_json::from_str(client.run(words).ok()).expect("a document") };
        let (short, long) = (shown(&["inspect", "bridge"]), shown(&["network", "inspect", "bridge"]));
        assert_eq!(short[0]["Id"], long[0]["Id"]);
        let network = &long[0];
        assert_eq!(
            (&network["Name"], &network["Driver"], &network["Scope"]),
            (&"bridge".into(), &"bridge".into(), &"local".into())
        );
        let config = &network["IPAM"]["Config"][0];
        let subnet = daemon.gateway().replace(".1", "").len();
        assert!(config["Subnet"].as_str().is_some_and(|text| text.len() > subnet && text.contains('/')), "{config}");
        if !daemon.is_reference() {
            assert_eq!(config["Gateway"], daemon.gateway());
        }
        let options = network["Options"].as_object().expect("options");
        assert_eq!(options["com.docker.network.bridge.name"], daemon.bridge());
        assert_eq!(options["com.docker.network.bridge.default_bridge"], "true");
        let id = client.run(&["inspect", "-f", "{{.Id}}", &name]).ok().to_owned();
        let member = &network["Containers"][&id];
        assert_eq!(member["Name"], name.as_str());
        let at = address(&client, &name);
        assert!(member["IPv4Address"].as_str().is_some_and(|text| text.starts_with(&format!("{at}/"))), "{member}");
        assert!(member["MacAddress"].as_str().is_some_and(|text| text.len() == 17), "{member}");
        remove(&client, &[&name]);
    }
}

#[test]
fn net_16_several_are_inspected_at_once() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let several = client.run(&["network", "inspect", "-f", "{{.Name}} {{.Driver}}", "bridge", "none", "host"]);
        assert_eq!(several.ok(), "bridge bridge\nnone null\nhost host");
        let ipam = client.run(&["network", "inspect", "--format", "{{json .IPAM}}", "bridge"]);
        let ipam: serde_json::Value = serde_json::from_str(ipam.ok()).expect("a document");
        assert_eq!(ipam["Driver"], "default");
        client.run(&["network", "inspect", "-v", "bridge"]).exits(0);
        let partly = client.run(&["network", "inspect", "-f", "{{.Name}}", "bridge", "nosuch"]);
        partly.exits(1).says("network nosuch not found");
        assert_eq!(partly.stdout.trim(), "bridge");
    }
}

/// Another machine on a cable to the engine's network: it knows the way to the engine's own address, and to none of its
/// containers.
struct Outside(Child);

impl Outside {
    fn of(daemon: &Daemon) -> Self {
        let child =
            Command::new("unshare").args(["-n", "sleep", "1000"]).stdin(Stdio::null()).spawn().expect("unshare");
        let outside = Self(child);
        let (own, engine) = (outside.0.id(), daemon.pid());
        let namespace = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
        let here = namespace(std::process::id());
        until("a namespace of its own", 30, || (namespace(own) != here).then_some(()));
        for (pid, command) in [
            (engine, format!("link add out0 type veth peer name eth0 netns {own}")),
            (engine, "addr add 198.51.100.1/24 dev out0".to_owned()),
            (engine, "link set out0 up".to_owned()),
            (own, "addr add 198.51.100.2/24 dev eth0".to_owned()),
            (own, "link set eth0 up".to_owned()),
        ] {
            let status = Command::new("nsenter")
                .args(["-t", &pid.to_string(), "-n", "ip"])
                .args(command.split(' '))
                .status()
                .expect("nsenter");
            assert!(status.success(), "{command}");
        }
        outside
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn net_33_a_user_s_network_leads_to_its_gateway_and_outside() {
    let engine = Isolated::start(&["127.0.0.53"]);
    let daemon = &engine.daemon;
    let _outside = Outside::of(daemon);
    for client in daemon.clients() {
        let (net, closed) = (daemon.name("net"), daemon.name("net"));
        client.run(&["network", "create", "--subnet", "10.96.0.0/24", &net]).exits(0);
        client.run(&["network", "create", "--internal", "--subnet", "10.95.0.0/24", &closed]).exits(0);
        let container = sleeper(daemon, &client, &["--network", &net]);
        let can = |container: &str, address: &str| {
            let ping = client.run(&["exec", container, "ping", "-c", "1", "-W", "5", address]);
            ping.code == 0
        };
        assert!(can(&container, "10.96.0.1"));
        // It knows no way back to 10.96.0.0: the engine's address stands for the container's.
        assert!(can(&container, "198.51.100.2"));
        let shut = sleeper(daemon, &client, &["--network", &closed]);
        let ping = client.run(&["exec", &shut, "ping", "-c", "1", "-W", "1", "198.51.100.2"]);
        assert_ne!(ping.code, 0);
        remove(&client, &[&container, &shut]);
        client.run(&["network", "rm", &net, &closed]).exits(0);
    }
}

#[test]
fn net_45_the_device_has_its_link_local_addresses_and_a_mac_from_its_address() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let (net, subnet) = (daemon.name("net"), subnet(45));
        client.run(&["network", "create", "--subnet", &format!("{subnet}.0/24"), &net]).exits(0);
        let wanted = format!("{subnet}.86");
        let options = ["--network", &net, "--ip", &wanted, "--link-local-ip", "169.254.34.68"];
        let container = sleeper(daemon, &client, &options);
        let octets = wanted.split('.').map(|octet| format!("{:02x}", octet.parse::<u8>().expect("an octet")));
        let mac = format!("02:42:{}", octets.collect::<Vec<_>>().join(":"));
        assert!(exec(&client, &container, "ip link show eth0").contains(&mac));
        let format = "{{range .NetworkSettings.Networks}}{{.MacAddress}} {{.IPAMConfig.LinkLocalIPs}}{{end}}";
        let shown = client.run(&["inspect", "-f", format, &container]);
        assert_eq!(shown.ok(), format!("{mac} [169.254.34.68]"));
        let inside = exec(&client, &container, "ip -o -4 addr show eth0");
        assert!(inside.contains("inet 169.254.34.68/") && inside.contains(&format!("inet {wanted}/24")), "{inside}");
        // By `connect` as well.
        let second = sleeper(daemon, &client, &[]);
        client.run(&["network", "connect", "--link-local-ip", "169.254.34.69", &net, &second]).exits(0);
        assert!(exec(&client, &second, "ip -o -4 addr show eth1").contains("inet 169.254.34.69/"));
        if !daemon.is_reference() {
            // The client has no way to ask 20.10 for it.
            let own = "02:42:ac:12:56:99";
            let third = sleeper(daemon, &client, &["--network", &net, "--mac-address", own]);
            assert!(exec(&client, &third, "ip link show eth0").contains(own));
            remove(&client, &[&third]);
        }
        remove(&client, &[&container, &second]);
        client.run(&["network", "rm", &net]).exits(0);
    }
}

#[test]
fn net_31_a_network_in_use_says_by_whom() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let net = daemon.name("net");
        client.run(&["network", "create", &net]).exits(0);
        let container = sleeper(daemon, &client, &["--network", &net]);
        let refused = client.run(&["network", "rm", &net]);
        refused.exits(1).says("has active endpoints");
        if !daemon.is_reference() {
            // As Docker 28 does.
            let endpoint = "{{range .NetworkSettings.Networks}}{{.EndpointID}}{{end}}";
            let id = client.run(&["inspect", "-f", endpoint, &container]).ok().to_owned();
            refused.says(&format!("error while removing network: network {net} "));
            refused.says(&format!("(name:\"{container}\" id:\"{}\")", &id[..12]));
        }
        // One that does not run does not hold it.
        client.run(&["stop", "-t", "0", &container]).exits(0);
        client.run(&["network", "rm", &net]).exits(0);
        lacks(&client.run(&["network", "ls", "--format", "{{.Name}}"]).stdout, &net);
        remove(&client, &[&container]);
    }
}
