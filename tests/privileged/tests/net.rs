//! Networks of users: create, connect, disconnect, remove; what of them is seen on the machine.

use privileged_tests::containers::Made;
use privileged_tests::{Daemon, Options, until};

/// Three octets that no other test of this file has: processes and tests run side by side.
fn subnet(number: u32) -> String {
    let process = std::process::id();
    format!("10.{}.{}", 100 + process % 90, number % 40 + 40 * (process / 90 % 6))
}

fn host(command: &str) -> String {
    let output = std::process::Command::new("sh").args(["-c", command]).output().expect("a shell");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn net_17_create_prints_an_id_and_makes_a_bridge() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let mut made = Made::new(daemon, client.clone());
        let (name, id) = made.network_with_id(&[]);
        assert!(id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        assert!(host("ip -o link show type bridge").contains(&format!(" br-{}:", &id[..12])), "{id}");
        assert_eq!(
            made.run(&["network", "inspect", "-f", "{{.Id}} {{.Driver}} {{.Scope}}", &name]),
            format!("{id} bridge local")
        );
        made.run(&["network", "rm", &name]);
        assert!(!host("ip -o link show type bridge").contains(&id[..12]));
    }
}

#[test]
fn net_18_bridge_name_subnet_and_gateway_are_as_asked() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let mut made = Made::new(daemon, client.clone());
        let (subnet, device) = (subnet(18), format!("gtx{}", std::process::id()));
        let (block, gateway) = (format!("{subnet}.0/24"), format!("{subnet}.1"));
        let option = format!("com.docker.network.bridge.name={device}");
        let name = made.network(&["-d", "bridge", "-o", &option, "--subnet", &block, "--gateway", &gateway]);
        assert!(host(&format!("ip -o addr show {device}")).contains(&format!("inet {gateway}/24")));
        let container = made.sleeper(&["--network", &name]);
        assert_eq!(made.address(&container, &name), format!("{subnet}.2"));
        assert!(made.output(&container, "ip route").contains(&format!("default via {gateway}")));
    }
}

#[test]
fn net_19_host_bits_of_a_subnet_are_masked() {
    let daemon = Daemon::shared();
    let client = daemon.stock();
    let mut made = Made::new(daemon, client.clone());
    let (subnet, block) = (subnet(19), format!("{}.1/24", subnet(19)));
    let name = made.network(&["--subnet", &block]);
    let container = made.sleeper(&["--network", &name]);
    assert_eq!(made.address(&container, &name), format!("{subnet}.2"));
    assert!(made.output(&container, "ip route").contains(&format!("{subnet}.0/24")));
}

#[test]
fn net_20_a_subnet_belongs_to_one_network() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let mut made = Made::new(daemon, client.clone());
        let subnet = subnet(20);
        made.network(&["--subnet", &format!("{subnet}.0/24")]);
        let again = client.run(&["network", "create", "--subnet", &format!("{subnet}.128/25"), &daemon.name("no")]);
        again.exits(1).says("Pool overlaps with other one on this address space");
    }
}

#[test]
fn net_21_attachable_is_kept() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let mut made = Made::new(daemon, client.clone());
        let name = made.network(&["--attachable"]);
        assert_eq!(made.run(&["network", "inspect", "-f", "{{.Attachable}}", &name]), "true");
    }
}

#[test]
fn net_22_auxiliary_addresses_are_given_to_nobody() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let mut made = Made::new(daemon, client.clone());
        let subnet = subnet(22);
        let block = format!("{subnet}.0/29");
        let (first, second) = (format!("a={subnet}.2"), format!("b={subnet}.3"));
        let name = made.network(&["--subnet", &block, "--aux-address", &first, "--aux-address", &second]);
        let container = made.sleeper(&["--network", &name]);
        assert_eq!(made.address(&container, &name), format!("{subnet}.4"));
        let taken = client.run(&["run", "--rm", "--network", &name, "--ip", &format!("{subnet}.3"), "busybox", "true"]);
        taken.exits(125).says("Address already in use");
    }
}

#[test]
fn net_26_an_internal_network_leads_nowhere() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let mut made = Made::new(daemon, client.clone());
        let name = made.network(&["--internal"]);
        let (one, two) = (made.sleeper(&["--network", &name]), made.sleeper(&["--network", &name]));
        // Docker 20.10 has the route and drops what takes it.
        assert!(daemon.is_reference() || !made.output(&one, "ip route").contains("default"));
        assert!(made.can(&one, &format!("ping -c 1 -W 5 {}", made.address(&two, &name))));
        assert!(daemon.is_reference() || !made.can(&one, "ping -c 1 -W 1 192.0.2.1"));
    }
}

#[test]
fn net_27_connect_plugs_a_running_container() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let mut made = Made::new(daemon, client.clone());
        let name = made.network(&[]);
        let (container, peer) = (made.sleeper(&[]), made.sleeper(&["--network", &name]));
        let pid = made.inspect(&container, "{{.State.Pid}}");
        made.run(&["network", "connect", &name, &container]);
        let address = made.address(&container, &name);
        assert!(made.output(&container, "ip -o addr show eth1").contains(&format!("inet {address}/")));
        assert_eq!(made.inspect(&container, "{{.State.Pid}}"), pid);
        assert!(made.can(&peer, &format!("ping -c 1 -W 5 {address}")));
        client.run(&["network", "connect", &name, &container]).exits(1).says("already exists in network");
        // It stays there when it starts again.
        made.run(&["restart", "-t", "0", &container]);
        assert!(!made.address(&container, &name).is_empty());
    }
}

#[test]
fn net_28_connect_takes_alias_address_and_link() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let mut made = Made::new(daemon, client.clone());
        let subnet = subnet(28);
        let name = made.network(&["--subnet", &format!("{subnet}.0/24")]);
        let (db, web) = (made.sleeper(&[]), made.sleeper(&["--network", &name]));
        let address = format!("{subnet}.77");
        made.run(&["network", "connect", "--alias", "data", "--ip", &address, &name, &db]);
        assert_eq!(made.address(&db, &name), address);
        assert!(made.output(&web, "nslookup data").contains(&format!("Address: {address}")));
        made.run(&["network", "disconnect", &name, &web]);
        made.run(&["network", "connect", "--link", &format!("{db}:store"), &name, &web]);
        assert!(made.output(&web, "nslookup store").contains(&format!("Address: {address}")));
        let refused = client.run(&["network", "connect", "--alias", "x", "bridge", &web]);
        refused.exits(1).says("network-scoped alias");
        let created = client.run(&["create", "--network-alias", "x", "busybox", "true"]);
        assert_ne!(created.code, 0);
        created.says("network-scoped aliases are only supported for user-defined networks");
        client
            .run(&["network", "connect", "--ip", "10.9.9.9", "bridge", &web])
            .exits(1)
            .says("user defined networks only");
    }
}

#[test]
fn net_28_connect_takes_everything_else_that_it_has_flags_for() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let mut made = Made::new(daemon, client.clone());
        let process = std::process::id();
        let (v4, v6) = (subnet(29), format!("fd00:{:x}:{:x}:29", process & 0xffff, process >> 16));
        let (v4_block, v6_block) = (format!("{v4}.0/24"), format!("{v6}::/64"));
        let six = made.network(&["--ipv6", "--subnet", &v4_block, "--subnet", &v6_block]);
        let container = made.sleeper(&[]);
        let wanted = format!("{v6}::77");
        made.run(&["network", "connect", "--ip6", &wanted, "--link-local-ip", "169.254.9.9", &six, &container]);
        assert!(made.output(&container, "ip -o -6 addr show eth1").contains(&format!("inet6 {wanted}/64")));
        assert!(made.output(&container, "ip -o -4 addr show eth1").contains("inet 169.254.9.9/"));
        let settings = format!("(index .NetworkSettings.Networks {six:?})");
        assert_eq!(made.inspect(&container, &format!("{{{{{settings}.GlobalIPv6Address}}}}")), wanted);
        let outside = client.run(&["network", "connect", "--ip6", "fd00:bad::1", &six, &made.sleeper(&[])]);
        outside.exits(1);
        // Options of the driver are kept and shown, and one of them names the device.
        let plug = made.network(&[]);
        let option = ["--driver-opt", "com.example.colour=red"];
        made.run(&[&["network", "connect"], &option[..], &[&plug, &container]].concat());
        let settings = format!("(index .NetworkSettings.Networks {plug:?})");
        let kept = made.inspect(&container, &format!("{{{{{settings}.DriverOpts}}}}"));
        assert_eq!(kept, "map[com.example.colour:red]");
        if daemon.is_reference() {
            // What follows is newer than 20.10.
            return;
        }
        let named = made.network(&[]);
        let name = "com.docker.network.endpoint.ifname=plug0";
        made.run(&["network", "connect", "--driver-opt", name, &named, &container]);
        let at = made.address(&container, &named);
        assert!(made.output(&container, "ip -o -4 addr show plug0").contains(&format!("inet {at}/")));
        // The way out is that of the highest priority, and then again the other's.
        let way = made.network(&[]);
        let gateway = |network: &str| {
            made.inspect(&container, &format!("{{{{(index .NetworkSettings.Networks {network:?}).Gateway}}}}"))
        };
        let leads = |network: &str| {
            let route = format!("default via {} ", gateway(network));
            made.output(&container, "ip -4 route").contains(&route)
        };
        assert!(leads("bridge"));
        made.run(&["network", "connect", "--gw-priority", "10", &way, &container]);
        assert!(leads(&way));
        made.run(&["network", "disconnect", &way, &container]);
        assert!(leads("bridge"));
    }
}

#[test]
fn net_29_disconnect_unplugs_a_running_container() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let mut made = Made::new(daemon, client.clone());
        let name = made.network(&[]);
        let container = made.sleeper(&["--network", &name]);
        made.run(&["network", "disconnect", &name, &container]);
        assert!(!made.output(&container, "ip link").contains("eth0"));
        assert_eq!(made.run(&["network", "inspect", "-f", "{{len .Containers}}", &name]), "0");
        client.run(&["network", "disconnect", &name, &container]).exits(1).says("is not connected to");
        made.run(&["network", "connect", &name, &container]);
        assert!(made.output(&container, "ip route").contains("default via"));
        made.run(&["stop", "-t", "0", &container]);
        made.run(&["network", "disconnect", "-f", &name, &container]);
        assert_eq!(made.inspect(&container, "{{len .NetworkSettings.Networks}}"), "0");
    }
}

#[test]
fn net_30_prune_asks_and_tells() {
    // What others made for themselves must not go.
    let daemon = Daemon::start(Options::default());
    for client in daemon.clients() {
        let mut made = Made::new(&daemon, client.clone());
        let (used, unused) = (made.network(&[]), made.network(&[]));
        made.sleeper(&["--network", &used]);
        let warning = "WARNING! This will remove all custom networks not used by at least one container.\n";
        let question = "Are you sure you want to continue? [y/N] ";
        let no = client.run_with_input(&["network", "prune"], b"n\n");
        // Gantry's own client lists in between what would go.
        assert!(no.stdout.starts_with(warning) && no.stdout.contains(question), "{no}");
        assert!(no.stdout.contains(&unused) || no.stdout.starts_with(&format!("{warning}{question}")), "{no}");
        assert_eq!(made.run(&["network", "inspect", "-f", "{{.Name}}", &unused]), unused);
        let yes = client.run_with_input(&["network", "prune"], b"y\n");
        yes.exits(0);
        assert!(yes.stdout.ends_with(&format!("Deleted Networks:\n{unused}\n\n")), "{yes}");
        let left = made.run(&["network", "ls", "--format", "{{.Name}}"]);
        assert_eq!(left.lines().collect::<Vec<_>>(), ["bridge", "host", used.as_str(), "none"]);
    }
}

#[test]
fn net_31_a_network_in_use_stays() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let mut made = Made::new(daemon, client.clone());
        let name = made.network(&[]);
        let container = made.sleeper(&["--network", &name]);
        client.run(&["network", "rm", &name]).exits(1).says("has active endpoints");
        made.run(&["rm", "-f", &container]);
        assert_eq!(made.run(&["network", "rm", &name]), name);
        client.run(&["network", "rm", &name]).exits(1).says(&format!("network {name} not found"));
        client.run(&["network", "rm", "bridge"]).exits(1).says("bridge is a pre-defined network and cannot be removed");
    }
}

#[test]
fn net_32_there_is_one_host_network() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let second = client.run(&["network", "create", "-d", "host", &daemon.name("host")]);
        second.exits(1).says("only one instance of \"host\" network is allowed");
    }
}

#[test]
fn net_34_names_are_served_on_a_network_of_ones_own() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let mut made = Made::new(daemon, client.clone());
        let name = made.network(&[]);
        let db = made.sleeper(&["--network", &name, "--network-alias", "store"]);
        let more = made.sleeper(&["--network", &name, "--network-alias", "store"]);
        let web = made.sleeper(&["--network", &name]);
        let stranger = made.sleeper(&[]);
        assert!(made.output(&web, "cat /etc/resolv.conf").contains("nameserver 127.0.0.11\n"));
        assert!(made.can(&web, &format!("ping -c 1 -W 5 {db}")));
        let (first, second) = (made.address(&db, &name), made.address(&more, &name));
        let id = made.inspect(&db, "{{.Id}}");
        for word in [db.as_str(), &id[..12], "STORE", &format!("{db}.{name}")] {
            assert!(made.output(&web, &format!("nslookup {word}")).contains(&format!("Address: {first}")), "{word}");
        }
        let both = made.output(&web, "nslookup store");
        assert!(both.contains(&first) && both.contains(&second), "{both}");
        assert!(made.output(&web, &format!("nslookup {first}")).contains(&format!("{db}.{name}")));
        // Round robin: over a few questions each of the two comes first.
        let firsts = "for n in 1 2 3 4 5 6; do ping -c 1 -W 5 store | head -1; done";
        let answers = made.output(&web, firsts);
        assert!(daemon.is_reference() || answers.contains(&first) && answers.contains(&second), "{answers}");
        assert!(!made.can(&stranger, &format!("ping -c 1 -W 1 {db}")));
        made.run(&["rename", &db, &format!("{db}-new")]);
        made.containers.push(format!("{db}-new"));
        assert!(made.can(&web, &format!("ping -c 1 -W 5 {db}-new")));
        made.run(&["rm", "-f", &more]);
        assert!(!made.output(&web, "nslookup store").contains(&second));
    }
}

#[test]
fn net_35_bridges_are_kept_apart() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let mut made = Made::new(daemon, client.clone());
        let (one, two) = (made.network(&[]), made.network(&[]));
        let (a, b, c) = (
            made.sleeper(&["--network", &one]),
            made.sleeper(&["--network", &one]),
            made.sleeper(&["--network", &two]),
        );
        assert!(made.can(&a, &format!("ping -c 1 -W 5 {}", made.address(&b, &one))));
        // The reference runs without its firewall here.
        let across = made.can(&a, &format!("ping -c 1 -W 1 {}", made.address(&c, &two)));
        assert!(daemon.is_reference() || !across);
        // Every port is open to a neighbour, published or not.
        let server = format!("exec {b} nc -l -p 7777 -e echo hello");
        let words: Vec<&str> = server.split(' ').collect();
        let mut listening = client.command(&words).spawn().expect("a server");
        let ask = format!("nc -w 5 {} 7777 </dev/null", made.address(&b, &one));
        until("the neighbour answers", 30, || made.output(&a, &ask).contains("hello").then_some(()));
        let _ = listening.wait();
    }
}

#[test]
fn net_36_other_networks_do_not_notice_a_plug() {
    let daemon = Daemon::shared();
    let client = daemon.stock();
    let mut made = Made::new(daemon, client.clone());
    let (one, two) = (made.network(&[]), made.network(&[]));
    let (server, talker) = (made.sleeper(&["--network", &one]), made.sleeper(&["--network", &one]));
    // One connection: a line before, a line after the changes. A server without input would hang up.
    made.run(&["exec", "-d", &server, "sh", "-c", "sleep 1000 | nc -l -p 7000 > /heard"]);
    let start = format!(
        "mkfifo /say; (nc {server} 7000 < /say; echo over > /over) & exec 3> /say; echo before >&3; \
                         while [ ! -e /go ]; do sleep 0.1; done; echo after >&3; sleep 1000"
    );
    until("the server listens", 30, || made.output(&server, "netstat -ltn").contains(":7000").then_some(()));
    made.run(&["exec", "-d", &talker, "sh", "-c", &start]);
    until("the first line arrives", 30, || made.output(&server, "cat /heard").contains("before").then_some(()));
    made.run(&["network", "connect", &two, &talker]);
    made.run(&["network", "disconnect", &two, &talker]);
    made.output(&talker, "touch /go");
    until("the second line arrives", 30, || made.output(&server, "cat /heard").contains("after").then_some(()));
}

#[test]
fn net_37_each_network_has_its_own_settings() {
    let daemon = Daemon::shared();
    let client = daemon.stock();
    let mut made = Made::new(daemon, client.clone());
    let (one, two) = (format!("{}.0/24", subnet(37)), format!("{}.0/24", subnet(38)));
    let quiet = made.network(&[
        "--subnet",
        &one,
        "-o",
        "com.docker.network.driver.mtu=1300",
        "-o",
        "com.docker.network.bridge.enable_icc=false",
    ]);
    let loud = made.network(&["--subnet", &two, "-o", "com.docker.network.driver.mtu=1350"]);
    let (a, b) = (made.sleeper(&["--network", &quiet]), made.sleeper(&["--network", &quiet]));
    let (c, d) = (made.sleeper(&["--network", &loud]), made.sleeper(&["--network", &loud]));
    assert_eq!(made.output(&a, "cat /sys/class/net/eth0/mtu").trim(), "1300");
    assert_eq!(made.output(&c, "cat /sys/class/net/eth0/mtu").trim(), "1350");
    // The reference runs without its firewall here.
    let silent = !made.can(&a, &format!("ping -c 1 -W 1 {}", made.address(&b, &quiet)));
    assert!(daemon.is_reference() || silent);
    assert!(made.can(&c, &format!("ping -c 1 -W 5 {}", made.address(&d, &loud))));
}

#[test]
fn published_ports_and_the_default_route_follow_the_network_that_leads_out() {
    let daemon = Daemon::shared();
    let client = daemon.stock();
    let mut made = Made::new(daemon, client.clone());
    let name = made.network(&[]);
    let container = made.sleeper(&["--network", &name, "-p", "127.0.0.1::80"]);
    let port = |made: &Made<'_>| made.run(&["port", &container, "80/tcp"]);
    assert!(port(&made).starts_with("127.0.0.1:"));
    made.run(&["exec", "-d", &container, "sh", "-c", "while true; do echo hello | nc -l -p 80; done"]);
    let ask = |made: &Made<'_>| {
        let (_, number) = port(made).rsplit_once(':').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("a port");
        host(&format!("timeout 5 busybox nc -w 3 127.0.0.1 {number} </dev/null"))
    };
    until("the port answers", 30, || ask(&made).contains("hello").then_some(()));
    // `bridge` comes before the other by name and takes over; then the other has to.
    made.run(&["network", "connect", "bridge", &container]);
    let gateway = made.inspect(&container, "{{(index .NetworkSettings.Networks \"bridge\").Gateway}}");
    assert!(made.output(&container, "ip route").contains(&format!("default via {gateway} ")));
    until("the port answers by the other network", 30, || ask(&made).contains("hello").then_some(()));
    made.run(&["network", "disconnect", "bridge", &container]);
    assert!(made.output(&container, "ip route").contains("default via"));
    until("the port answers again", 30, || ask(&made).contains("hello").then_some(()));
}

#[test]
fn networks_leave_nothing_behind() {
    let daemon = Daemon::start(Options::default());
    let client = daemon.stock();
    let machine = || {
        let rules = if daemon.is_reference() {
            String::new()
        } else {
            host(&format!("nft list table ip gantry_{}", daemon.bridge()))
        };
        let links = host("ip -o link show type bridge").matches(" br-").count();
        (rules, links)
    };
    let pins = || std::fs::read_dir(daemon.exec_root().join("netns")).map_or(0, Iterator::count);
    let (rules, _) = machine();
    {
        let mut made = Made::new(&daemon, client.clone());
        let (one, id) = made.network_with_id(&[]);
        let two = made.network(&["--internal"]);
        let container = made.sleeper(&["--network", &one, "-p", "80"]);
        made.run(&["network", "connect", &two, &container]);
        made.run(&["network", "disconnect", &one, &container]);
        let other = made.sleeper(&["--network", "none"]);
        made.run(&["network", "disconnect", "none", &other]);
        made.run(&["network", "connect", &one, &other]);
        drop(made);
        assert!(!host("ip -o link").contains(&id[..12]));
    }
    assert_eq!(machine().0, rules);
    until("no namespace is left", 30, || (pins() == 0 || daemon.is_reference()).then_some(()));
}

#[test]
fn a_killed_daemon_keeps_networks_names_and_addresses() {
    let daemon = Daemon::start(Options::default());
    let client = daemon.stock();
    let mut made = Made::new(&daemon, client.clone());
    let ((one, id), two) = (made.network_with_id(&["--label", "keep=me"]), made.network(&[]));
    let containers: Vec<String> = (0..20).map(|_| made.sleeper(&["--network", &one])).collect();
    for container in &containers[..5] {
        made.run(&["network", "connect", &two, container]);
    }
    if daemon.is_reference() {
        // Its containers end with it.
        return;
    }
    let addresses = |made: &Made<'_>| -> Vec<String> {
        containers.iter().map(|container| made.inspect(container, "{{json .NetworkSettings.Networks}}")).collect()
    };
    let before = addresses(&made);
    let rules = || host(&format!("nft list table ip gantry_{}", daemon.bridge()));
    let table = rules();
    daemon.kill();
    daemon.launch();
    assert_eq!(addresses(&made), before);
    assert_eq!(rules(), table);
    assert_eq!(made.run(&["network", "inspect", "-f", "{{.Id}} {{.Labels.keep}}", &one]), format!("{id} me"));
    let ask = format!("nslookup {}", containers[7]);
    let address = made.address(&containers[7], &one);
    until("names are served again", 30, || made.output(&containers[3], &ask).contains(&address).then_some(()));
    // Nobody gets an address that is taken.
    let late = made.sleeper(&["--network", &one]);
    assert!(!before.iter().any(|known| known.contains(&format!("{:?}", made.address(&late, &one)))));
}
