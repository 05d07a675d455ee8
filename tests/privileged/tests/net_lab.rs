//! Bridges made by hand, networks with real machines on them, links and whole labs that a script plugs into containers.
//! What an engine did not make it must serve, and leave alone.

use privileged_tests::wire::{attempt, host};
use privileged_tests::{Daemon, Options, Wire, until};

/// Containers of one test, removed at its end whatever happens.
struct Made<'a>(&'a Daemon, Vec<String>);

impl Made<'_> {
    fn container(&mut self, options: &[&str], script: &str) -> String {
        let name = self.0.name("lab");
        self.1.push(name.clone());
        let words = [&["run", "-d", "--name", &name], options, &["busybox", "sh", "-c", script]].concat();
        self.0.docker(&words).exits(0);
        name
    }

    fn sleeper(&mut self, options: &[&str]) -> String {
        self.container(options, "sleep 1000")
    }

    fn exec(&self, container: &str, command: &str) -> String {
        self.0.docker(&["exec", container, "sh", "-c", command]).ok().to_owned()
    }

    /// Whether one packet of the container comes back within the time that it takes to ask for addresses.
    fn reaches(&self, container: &str, address: &str) -> bool {
        self.0.docker(&["exec", container, "ping", "-c", "1", "-w", "10", address]).code == 0
    }

    /// Waits until the address is reached.
    fn meets(&self, container: &str, address: &str) {
        until(&format!("{address} is reached"), 60, || self.reaches(container, address).then_some(()));
    }

    fn address(&self, container: &str) -> String {
        self.0.inspect(container, "{{.NetworkSettings.IPAddress}}")
    }
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        for name in &self.1 {
            self.0.docker(&["rm", "-f", name]);
        }
    }
}

fn daemon_on(bridge: &str) -> Daemon {
    Daemon::start(Options { bridge: Some(bridge.to_owned()), ..Options::default() })
}

#[test]
fn net_42_a_bridge_made_by_hand_carries_the_containers() {
    let mut wire = Wire::new();
    let subnet = wire.subnet();
    let bridge = wire.bridge("gtb", &format!("{subnet}.1/24"));
    let daemon = daemon_on(&bridge);
    let mut made = Made(&daemon, Vec::new());
    let (one, two) = (made.sleeper(&[]), made.sleeper(&[]));
    let address = made.address(&one);
    assert!(address.starts_with(&format!("{subnet}.")), "{address}");
    assert_eq!(daemon.inspect(&one, "{{.NetworkSettings.Gateway}}"), format!("{subnet}.1"));
    made.meets(&two, &address);
    made.meets(&one, &format!("{subnet}.1"));
    let shown = daemon.inspect("bridge", "{{index .Options \"com.docker.network.bridge.name\"}}");
    assert_eq!(shown, bridge);
    // The bridge is its maker's: it keeps its address, and outlives the daemon.
    daemon.stop();
    assert!(host(&format!("ip -o addr show dev {bridge}")).contains(&format!("inet {subnet}.1/24")));
    daemon.launch();
    made.meets(&two, &address);
}

#[test]
fn net_43_a_default_bridge_that_was_deleted_is_made_again() {
    let daemon = Daemon::start(Options::default());
    daemon.stop();
    host(&format!("ip link del {}", daemon.bridge()));
    daemon.launch();
    let gateway = daemon.gateway();
    assert!(host(&format!("ip -o addr show dev {}", daemon.bridge())).contains(&format!("inet {gateway}/24")));
    let mut made = Made(&daemon, Vec::new());
    let container = made.sleeper(&[]);
    made.meets(&container, &gateway);
}

/// A bridge with a network card that leads to a LAN, on which there is another machine: bridge, machine, its address.
fn lan(wire: &mut Wire) -> (String, String, String) {
    let subnet = wire.subnet();
    let bridge = wire.bridge("gtb", &format!("{subnet}.1/24"));
    let card = wire.name("nic");
    let address = format!("{subnet}.200");
    let machine = wire.machine("lan", &card, &format!("{address}/24"));
    host(&format!("ip link set {card} master {bridge}"));
    (bridge, machine, address)
}

#[test]
fn net_44_containers_on_a_bridge_with_a_card_are_on_the_lan() {
    let mut wire = Wire::new();
    let (bridge, machine, address) = lan(&mut wire);
    let daemon = daemon_on(&bridge);
    let mut made = Made(&daemon, Vec::new());
    let container = made.sleeper(&[]);
    let own = made.address(&container);
    made.meets(&container, &address);
    let (reached, said) = Wire::on(&machine, &format!("busybox ping -c 1 -w 10 {own}"));
    assert!(reached, "{said}");
    // No NAT and no router between: the machine knows the container by its own hardware address.
    let mac = daemon.inspect(&container, "{{.NetworkSettings.MacAddress}}");
    let neighbours = host(&format!("ip -n {machine} neigh show {own}"));
    assert!(neighbours.contains(&format!("lladdr {mac}")), "{neighbours}, not {mac}");
    // The card is not ours: it stays on the bridge when containers and daemon go.
    drop(made);
    daemon.stop();
    assert!(host(&format!("ip -o link show master {bridge}")).contains(&wire.name("nic")));
}

#[test]
fn xnt_22_a_container_serves_the_machines_of_the_lan() {
    let mut wire = Wire::new();
    let (bridge, machine, address) = lan(&mut wire);
    let daemon = daemon_on(&bridge);
    let mut made = Made(&daemon, Vec::new());
    let server = made.container(&[], "while :; do echo hello | nc -l -p 80; done");
    let own = made.address(&server);
    let asked = format!("busybox nc -w 5 {own} 80 < /dev/null");
    let answer = until("the machine is served", 30, || {
        Some(Wire::on(&machine, &asked).1).filter(|answer| answer.contains("hello"))
    });
    assert_eq!(answer, "hello");
    // The other way: the machine serves the container, and knows it by its own addresses.
    let serve = ["netns", "exec", &machine, "busybox", "nc", "-ll", "-p", "7", "-e", "echo", "served"];
    let mut serving = std::process::Command::new("ip").args(serve).spawn().expect("ip");
    let asked = format!("nc -w 5 {address} 7 < /dev/null || true");
    let answer = until("the container is served", 30, || Some(made.exec(&server, &asked)).filter(|it| !it.is_empty()));
    serving.kill().expect("killed");
    serving.wait().expect("ended");
    assert_eq!(answer, "served");
    let neighbours = host(&format!("ip -n {machine} neigh"));
    let mac = daemon.inspect(&server, "{{.NetworkSettings.MacAddress}}");
    assert!(neighbours.lines().any(|line| line.starts_with(&own) && line.contains(&mac)), "{neighbours}");
}

#[test]
fn net_52_two_containers_without_a_network_get_a_cable_of_their_own() {
    let daemon = Daemon::shared();
    let mut wire = Wire::new();
    let mut made = Made(daemon, Vec::new());
    let (one, two) = (made.sleeper(&["--network", "none"]), made.sleeper(&["--network", "none"]));
    let (a, b) = (wire.name("cba"), wire.name("cbb"));
    wire.later(format!("ip link del {a}"));
    let (first, second) = (daemon.container_pid(&one), daemon.container_pid(&two));
    host(&format!("ip link add {a} type veth peer name {b}"));
    for (device, pid, own, other) in [(&a, first, "10.1.1.1", "10.1.1.2"), (&b, second, "10.1.1.2", "10.1.1.1")] {
        host(&format!(
            "ip link set {device} netns {pid} && nsenter -t {pid} -n ip addr add {own}/32 dev {device} \
             && nsenter -t {pid} -n ip link set {device} up && nsenter -t {pid} -n ip route add {other}/32 dev {device}"
        ));
    }
    made.meets(&one, "10.1.1.2");
    made.meets(&two, "10.1.1.1");
    // It is no concern of the engine's other work on the container.
    daemon.docker(&["pause", &one]).exits(0);
    daemon.docker(&["unpause", &one]).exits(0);
    made.meets(&one, "10.1.1.2");
    assert_eq!(daemon.inspect(&one, "{{len .NetworkSettings.Networks}} {{.NetworkSettings.IPAddress}}"), "1");
}

#[test]
fn net_52_devices_of_others_on_the_bridge_and_in_containers_are_left_alone() {
    let daemon = Daemon::start(Options::default());
    let mut wire = Wire::new();
    let mut made = Made(&daemon, Vec::new());
    let container = made.sleeper(&[]);
    // A machine that somebody has put on the engine's bridge, and a cable into the container.
    let card = wire.name("nic");
    let gateway = daemon.gateway();
    let (subnet, _) = gateway.rsplit_once('.').expect("an address");
    let machine = wire.machine("frn", &card, &format!("{subnet}.250/24"));
    host(&format!("ip link set {card} master {}", daemon.bridge()));
    let (outer, inner) = (wire.name("cba"), wire.name("cbb"));
    wire.later(format!("ip link del {outer}"));
    let pid = daemon.container_pid(&container);
    host(&format!(
        "ip link add {outer} type veth peer name {inner} && ip link set {inner} netns {pid} && ip link set {outer} up"
    ));
    for restart in [Daemon::stop as fn(&Daemon) -> i32, |daemon| {
        daemon.kill();
        0
    }] {
        restart(&daemon);
        daemon.launch();
        assert!(host(&format!("ip -o link show {card}")).contains(daemon.bridge()), "{}", daemon.log());
        assert!(made.exec(&container, "ip -o link").contains(&inner));
    }
    let (reached, said) = Wire::on(&machine, &format!("busybox ping -c 1 -w 20 {gateway}"));
    assert!(reached, "{said}");
    // A network that comes and goes does not take them along either.
    let network = daemon.name("net");
    daemon.docker(&["network", "create", &network]).exits(0);
    daemon.docker(&["network", "connect", &network, &container]).exits(0);
    daemon.docker(&["network", "disconnect", &network, &container]).exits(0);
    daemon.docker(&["network", "rm", &network]).exits(0);
    assert!(made.exec(&container, "ip -o link").contains(&inner));
    daemon.docker(&["rm", "-f", &container]).exits(0);
    // The far end went with the namespace; what is on the host's side is its owner's.
    assert!(attempt(&format!("ip link show {card}")).0);
}

/// What pipework does for `pipework BRIDGE CONTAINER ADDRESS@GATEWAY`, command by command; the script itself is run in
/// its place where the machine has it on its PATH.
fn pipework(daemon: &Daemon, wire: &mut Wire, bridge: &str, container: &str, address: &str) {
    if attempt("command -v pipework").0 {
        host(&format!("DOCKER_HOST={} pipework {bridge} {container} {address}", daemon.host()));
        return;
    }
    let (address, gateway) = address.split_once('@').unwrap_or((address, ""));
    let pid = daemon.inspect(container, "{{ .State.Pid }}");
    let (local, guest) = (format!("veth1pl{pid}"), format!("veth1pg{pid}"));
    wire.later(format!("ip link del {local}"));
    wire.later(format!("rm -f /var/run/netns/{pid}"));
    host(&format!(
        "mkdir -p /var/run/netns && rm -f /var/run/netns/{pid} && ln -s /proc/{pid}/ns/net /var/run/netns/{pid}
         set -e
         [ -d /sys/class/net/{bridge} ] || {{ ip link add dev {bridge} type bridge; ip link set {bridge} up; }}
         mtu=$(ip link show {bridge} | awk '{{print $5}}')
         ip link add name {local} mtu $mtu type veth peer name {guest} mtu $mtu
         ip link set {local} master {bridge}
         ip link set {local} up
         ip link set {guest} netns {pid}
         ip netns exec {pid} ip link set {guest} name eth1
         ip netns exec {pid} ip addr add {address} dev eth1
         [ -z '{gateway}' ] || ip netns exec {pid} ip route delete default 2>/dev/null || true
         ip netns exec {pid} ip link set eth1 up
         [ -z '{gateway}' ] || {{
            ip netns exec {pid} ip route get {gateway} >/dev/null 2>&1 || ip netns exec {pid} ip route add {gateway}/32 dev eth1
            ip netns exec {pid} ip route replace default via {gateway}; }}
         rm -f /var/run/netns/{pid}"
    ));
}

#[test]
fn net_53_pipework_gives_containers_a_second_network() {
    let daemon = Daemon::shared();
    let mut wire = Wire::new();
    let mut made = Made(daemon, Vec::new());
    let bridge = wire.name("br");
    wire.later(format!("ip link del {bridge}"));
    let subnet = wire.subnet();
    let (one, two) = (made.sleeper(&[]), made.sleeper(&["--network", "none"]));
    pipework(daemon, &mut wire, &bridge, &one, &format!("{subnet}.10/24@{subnet}.254"));
    pipework(daemon, &mut wire, &bridge, &two, &format!("{subnet}.11/24"));
    let gateway = wire.name("pwg");
    wire.machine("pwm", &gateway, &format!("{subnet}.254/24"));
    host(&format!("ip link set {gateway} master {bridge}"));
    made.meets(&one, &format!("{subnet}.11"));
    made.meets(&two, &format!("{subnet}.254"));
    assert!(made.exec(&one, "ip route").contains(&format!("default via {subnet}.254 dev eth1")));
    // The network of the engine is there beside it.
    made.meets(&one, &daemon.gateway());
    assert!(made.exec(&two, "ip -o addr show dev eth1").contains(&format!("inet {subnet}.11/24")));
}

/// A lab: four hosts and three routers in a line and a branch, each link of the kind that `ip` makes.
///
/// ```text
/// h1 ── r1 ── r2 ── r3 ── h3
///       │     │
///       h4    h2
/// ```
#[test]
fn net_54_a_script_builds_a_lab_of_hosts_and_routers() {
    let daemon = Daemon::shared();
    let mut made = Made(daemon, Vec::new());
    let router = ["--network", "none", "--sysctl", "net.ipv4.ip_forward=1", "--cap-add", "NET_ADMIN"];
    let [r1, r2, r3] = [(); 3].map(|()| made.sleeper(&router));
    let [h1, h2, h3, h4] = [(); 4].map(|()| made.sleeper(&["--network", "none"]));
    let pid = |name: &str| daemon.container_pid(name);
    // Each link is a network of its own: 10.9.N.0/24 with .1 at the first end and .2 at the second.
    let links = [(&h1, &r1, 1), (&h4, &r1, 4), (&r1, &r2, 12), (&h2, &r2, 2), (&r2, &r3, 23), (&h3, &r3, 3)];
    let mut script = String::from("set -e\n");
    for (a, b, net) in links {
        let (p, q) = (pid(a), pid(b));
        script += &format!(
            "nsenter -t {p} -n ip link add l{net} type veth peer name l{net} netns {q}
             nsenter -t {p} -n ip addr add 10.9.{net}.1/24 dev l{net}; nsenter -t {p} -n ip link set l{net} up
             nsenter -t {q} -n ip addr add 10.9.{net}.2/24 dev l{net}; nsenter -t {q} -n ip link set l{net} up\n"
        );
    }
    for (host, net) in [(&h1, 1), (&h2, 2), (&h3, 3), (&h4, 4)] {
        script += &format!("nsenter -t {} -n ip route add default via 10.9.{net}.2\n", pid(host));
    }
    for (router, to, via) in [
        (&r1, "10.9.0.0/16", "10.9.12.2"),
        (&r2, "10.9.1.0/24", "10.9.12.1"),
        (&r2, "10.9.4.0/24", "10.9.12.1"),
        (&r2, "10.9.3.0/24", "10.9.23.2"),
        (&r3, "10.9.0.0/16", "10.9.23.1"),
    ] {
        script += &format!("nsenter -t {} -n ip route add {to} via {via}\n", pid(router));
    }
    host(&script);
    let all = [(&h1, "10.9.1.1"), (&h2, "10.9.2.1"), (&h3, "10.9.3.1"), (&h4, "10.9.4.1")];
    for (from, _) in all {
        for (_, to) in all {
            made.meets(from, to);
        }
    }
    // Three routers lie between the first host and the third: fewer steps do not lead there.
    let steps = |count: u32| {
        let count = count.to_string();
        daemon.docker(&["exec", &h1, "ping", "-c", "1", "-w", "3", "-t", &count, "10.9.3.1"]).code == 0
    };
    assert!(steps(4) && !steps(3));
    // A router that stops cuts the lab in two; nothing of it is left in the others.
    daemon.docker(&["stop", "-t", "0", &r3]).exits(0);
    until("the link is gone", 30, || (!made.exec(&r2, "ip -o link").contains("l23")).then_some(()));
    made.meets(&h1, "10.9.2.1");
}
