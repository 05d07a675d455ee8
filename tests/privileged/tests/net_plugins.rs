//! Networks and addresses of plugins (NET-41): found by their sockets, asked in Docker's protocol, and never waited for
//! for ever.

use privileged_tests::containers::Made;
use privileged_tests::wire::{attempt, host};
use privileged_tests::{Daemon, Options, Plugin, Wire, until};

/// A bridge of the host's and a plugin whose cables lead to it: the three octets that both have, and the bridge's name.
fn plugged(wire: &mut Wire) -> (String, String, Plugin) {
    let subnet = wire.subnet();
    let bridge = wire.bridge("gtb", &format!("{subnet}.1/24"));
    let plugin = Plugin::network(&bridge, &subnet);
    (subnet, bridge, plugin)
}

#[test]
fn net_41_a_plugin_s_network_carries_containers() {
    let daemon = Daemon::shared();
    let mut wire = Wire::new();
    let (subnet, bridge, plugin) = plugged(&mut wire);
    let mut made = Made::new(daemon, daemon.stock());
    let (block, gateway) = (format!("{subnet}.0/24"), format!("{subnet}.1"));
    let options = ["-d", &plugin.name, "-o", "colour=blue", "--subnet", &block, "--gateway", &gateway];
    let network = made.network(&options);
    let shown = daemon.inspect(&network, "{{.Driver}} {{.Scope}} {{index .Options \"colour\"}}");
    assert_eq!(shown, format!("{} local blue", plugin.name));
    let told = plugin.body("CreateNetwork");
    assert_eq!(told["NetworkID"], daemon.inspect(&network, "{{.Id}}"));
    assert_eq!(told["Options"]["com.docker.network.generic"]["colour"], "blue");
    assert_eq!(told["Options"]["com.docker.network.enable_ipv6"], false);
    assert_eq!(
        (&told["IPv4Data"][0]["Pool"], &told["IPv4Data"][0]["Gateway"]),
        (&block.clone().into(), &format!("{gateway}/24").into())
    );
    let one = made.sleeper(&["--network", &network]);
    let fifty = format!("{subnet}.50");
    let two = made.sleeper(&["--network", &network, "--ip", &fifty, "-p", "8080", "--expose", "53/udp"]);
    let ports = &plugin.body("CreateEndpoint")["Options"]["com.docker.network.portmap"][0];
    assert_eq!((&ports["Proto"], &ports["Port"], &ports["HostPort"]), (&6.into(), &8080.into(), &0.into()));
    let exposed = &plugin.body("CreateEndpoint")["Options"]["com.docker.network.endpoint.exposedports"];
    assert_eq!(exposed.as_array().map(Vec::len), Some(2), "{exposed}");
    assert_eq!(made.setting(&one, &network, "IPAddress"), format!("{subnet}.2"));
    assert_eq!(made.setting(&one, &network, "Gateway"), gateway);
    assert_eq!(plugin.body("CreateEndpoint")["Interface"]["Address"], format!("{subnet}.50/24"));
    let address = made.exec(&one, "ip -o addr show dev plug0");
    assert!(address.contains(&format!("inet {subnet}.2/24")), "{address}");
    let routes = made.exec(&one, "ip route");
    assert!(routes.contains(&format!("default via {gateway} dev plug0")), "{routes}");
    assert!(routes.contains(&format!("10.98.0.0/16 via {gateway} dev plug0")), "{routes}");
    assert!(routes.contains("10.97.0.0/16 dev plug0"), "{routes}");
    made.meets(&one, &gateway);
    made.meets(&one, &format!("{subnet}.50"));
    made.meets(&one, &two);
    // It comes and goes with a container that runs.
    let third = made.sleeper(&[]);
    daemon.docker(&["network", "connect", &network, &third]).exits(0);
    assert!(made.exec(&third, "ip -o link").contains("plug0"));
    // It leads to the outside when nothing else does.
    daemon.docker(&["network", "disconnect", "bridge", &third]).exits(0);
    assert!(made.exec(&third, "ip route").contains(&format!("default via {gateway} dev plug0")));
    daemon.docker(&["network", "connect", "bridge", &third]).exits(0);
    assert!(made.exec(&third, "ip route").contains(&format!("default via {}", daemon.gateway())));
    assert!(daemon.docker(&["info", "-f", "{{.Plugins.Network}}"]).ok().contains(&plugin.name));
    daemon.docker(&["network", "disconnect", &network, &third]).exits(0);
    assert!(!made.exec(&third, "ip -o link").contains("plug0"));
    daemon.docker(&["network", "rm", &network]).exits(1).says("has active endpoints");
    daemon.docker(&["rm", "-f", &one, &two]).exits(0);
    daemon.docker(&["network", "rm", &network]).exits(0);
    let counts =
        plugin.counts(&["CreateNetwork", "CreateEndpoint", "Join", "Leave", "DeleteEndpoint", "DeleteNetwork"]);
    assert_eq!(counts, [1, 3, 3, 3, 3, 1], "{:?}", plugin.asked());
    // Every cable is gone.
    assert!(!host("ip -o link").contains(&format!(" master {bridge} ")));
}

#[test]
fn net_41_what_a_plugin_refuses_leaves_no_trace() {
    let daemon = Daemon::shared();
    let mut wire = Wire::new();
    let (subnet, _, plugin) = plugged(&mut wire);
    let mut made = Made::new(daemon, daemon.stock());
    let block = format!("{subnet}.0/24");
    let options = ["network", "create", "-d", &plugin.name, "--subnet", &block];
    plugin.spoil("CreateNetwork", "the switch is full");
    let name = daemon.name("no");
    daemon.docker(&[&options[..], &[&name]].concat()).exits(1).says("the switch is full");
    daemon.docker(&["network", "inspect", &name]).exits(1);
    plugin.heal();
    let network = made.network(&options[2..]);
    for (message, undone) in [("CreateEndpoint", "CreateEndpoint"), ("Join", "DeleteEndpoint")] {
        plugin.spoil(message, "no cable left");
        let container = daemon.name("no");
        let refused = daemon.docker(&["run", "--name", &container, "--network", &network, "busybox", "true"]);
        refused.exits(125).says("no cable left");
        daemon.docker(&["rm", "-f", &container]).exits(0);
        assert!(plugin.asked().contains(&undone.to_owned()), "{:?}", plugin.asked());
    }
    plugin.heal();
    // The address was given back each time.
    let container = made.sleeper(&["--network", &network]);
    assert_eq!(made.setting(&container, &network, "IPAddress"), format!("{subnet}.2"));
    if daemon.is_reference() {
        // It waits for half a minute for each message to a plugin that is gone.
        return;
    }
    // One that is gone is told, and does not keep the network or the container.
    plugin.fall(true);
    daemon.docker(&["rm", "-f", &container]).exits(0);
    let refused = daemon.docker(&["run", "--rm", "--network", &network, "busybox", "true"]);
    refused.exits(125).says("could not find plugin");
    daemon.docker(&["network", "rm", &network]).exits(0);
}

#[test]
fn net_41_a_plugin_that_hangs_does_not_hang_the_daemon() {
    let daemon = Daemon::start(Options::default());
    if daemon.is_reference() {
        // It waits for ever.
        return;
    }
    let plugin = Plugin::network("none", "10.96.0");
    plugin.spoil("CreateNetwork", "hang");
    let create = || {
        let (client, driver) = (daemon.stock(), plugin.name.clone());
        std::thread::spawn(move || client.run(&["network", "create", "-d", &driver, "hanging"]))
    };
    let creating = create();
    until("the plugin is asked", 30, || plugin.asked().contains(&"CreateNetwork".to_owned()).then_some(()));
    daemon.docker(&["network", "create", "other"]).exits(0);
    daemon.docker(&["run", "--rm", "--network", "other", "busybox", "true"]).exits(0);
    assert!(!daemon.docker(&["network", "ls"]).ok().contains("hanging"));
    // Its name is taken all the same.
    daemon.docker(&["network", "create", "hanging"]).exits(1).says("network with name hanging already exists");
    // A daemon that is killed meanwhile knows nothing of it afterwards.
    daemon.kill();
    plugin.heal();
    creating.join().expect("the client ends").exits(1);
    daemon.launch();
    // The plugin is told that nothing came of it.
    until("the plugin is told", 30, || plugin.asked().contains(&"DeleteNetwork".to_owned()).then_some(()));
    daemon.docker(&["network", "create", "hanging"]).exits(0);
    daemon.docker(&["network", "rm", "hanging", "other"]).exits(0);
    assert_eq!(daemon.listing(&daemon.data_root().join("network/driver"), 1).len(), 0);
    // One that ends in the middle of its answer is an error at once.
    plugin.spoil("CreateNetwork", "hang");
    let creating = create();
    until("the plugin is asked", 30, || (plugin.counts(&["CreateNetwork"]) == [2]).then_some(()));
    plugin.heal();
    creating.join().expect("the client ends").exits(1).says("did not answer NetworkDriver.CreateNetwork");
}

#[test]
fn net_41_addresses_come_from_a_plugin() {
    let daemon = Daemon::shared();
    let wire = Wire::new();
    let subnet = wire.subnet();
    let plugin = Plugin::ipam(&subnet);
    let mut made = Made::new(daemon, daemon.stock());
    let network = made.network(&["--ipam-driver", &plugin.name, "--ipam-opt", "rack=7"]);
    assert_eq!(daemon.inspect(&network, "{{.Driver}} {{.IPAM.Driver}}"), format!("bridge {}", plugin.name));
    let told = plugin.body("RequestPool");
    assert_eq!(
        (&told["AddressSpace"], &told["Options"]["rack"], &told["V6"]),
        (&"near".into(), &"7".into(), &false.into())
    );
    let container = made.sleeper(&["--network", &network]);
    assert_eq!(made.setting(&container, &network, "IPAddress"), format!("{subnet}.10"));
    assert_eq!(made.setting(&container, &network, "Gateway"), format!("{subnet}.1"));
    let mac = made.setting(&container, &network, "MacAddress");
    assert_eq!(plugin.body("RequestAddress")["Options"]["com.docker.network.endpoint.macaddress"], mac);
    made.meets(&container, &format!("{subnet}.1"));
    plugin.spoil("RequestAddress", "no address left");
    let refused = daemon.docker(&["run", "--rm", "--network", &network, "busybox", "true"]);
    refused.exits(125).says("no address left");
    plugin.heal();
    daemon.docker(&["rm", "-f", &container]).exits(0);
    assert_eq!(plugin.body("ReleaseAddress")["Address"], format!("{subnet}.10"));
    daemon.docker(&["network", "rm", &network]).exits(0);
    assert_eq!(plugin.body("ReleasePool")["PoolID"], format!("pool-{subnet}.0/24"));
    assert_eq!(plugin.body("ReleaseAddress")["Address"], format!("{subnet}.1"));
    // A pool that cannot be had makes no network.
    plugin.spoil("RequestPool", "no pool left");
    let name = daemon.name("no");
    let refused = daemon.docker(&["network", "create", "--ipam-driver", &plugin.name, &name]);
    refused.exits(1).says("no pool left");
    daemon.docker(&["network", "inspect", &name]).exits(1);
}

#[test]
fn net_41_a_plugin_s_network_outlives_the_daemon() {
    let daemon = Daemon::start(Options::default());
    let mut wire = Wire::new();
    let (subnet, bridge, plugin) = plugged(&mut wire);
    let mut made = Made::new(&daemon, daemon.stock());
    let network = made.network(&["-d", &plugin.name, "--subnet", &format!("{subnet}.0/24")]);
    let container = made.sleeper(&["--network", &network]);
    daemon.kill();
    daemon.launch();
    made.meets(&container, &format!("{subnet}.1"));
    let second = made.sleeper(&["--network", &network]);
    made.meets(&second, &made.setting(&container, &network, "IPAddress"));
    daemon.docker(&["rm", "-f", &container, &second]).exits(0);
    daemon.docker(&["network", "rm", &network]).exits(0);
    assert_eq!(plugin.counts(&["Join", "Leave", "DeleteNetwork"]), [2, 2, 1]);
    assert!(!attempt("ip -o link").1.contains(&format!(" master {bridge} ")));
}
