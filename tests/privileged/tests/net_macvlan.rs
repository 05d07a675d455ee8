//! Networks of the drivers macvlan and ipvlan: containers on the wire of a device of the host.

use privileged_tests::containers::Made;
use privileged_tests::wire::{attempt, host};
use privileged_tests::{Daemon, Options, Wire, skip, until};

/// A card of the host with another machine at the end of its cable: card, machine, subnet, the machine's address.
fn card(wire: &mut Wire) -> (String, String, String, String) {
    let (subnet, card) = (wire.subnet(), wire.name("nic"));
    let machine = wire.machine("lan", &card, &format!("{subnet}.200/24"));
    let address = format!("{subnet}.200");
    (card, machine, subnet, address)
}

#[test]
fn net_40_a_macvlan_container_has_its_own_address_on_the_lan() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let mut wire = Wire::new();
        let (card, machine, subnet, address) = card(&mut wire);
        let mut made = Made::new(daemon, client);
        let (parent, block, gateway) = (format!("parent={card}"), format!("{subnet}.0/24"), format!("{subnet}.254"));
        let aux = format!("router={subnet}.1");
        let options =
            ["-d", "macvlan", "-o", &parent, "--subnet", &block, "--gateway", &gateway, "--aux-address", &aux];
        let network = made.network(&options);
        let shown = made.inspect(&network, "{{.Driver}} {{.Scope}} {{.Internal}} {{json .Options}}");
        assert_eq!(shown, format!("macvlan local false {{\"parent\":\"{card}\"}}"));
        let one = made.sleeper(&["--network", &network]);
        let address_77 = format!("{subnet}.77");
        let mut with_mac = vec!["--network", &network, "--ip", &address_77, "--mac-address", "02:42:aa:bb:cc:77"];
        if daemon.is_reference() {
            // The client wants a newer engine for that.
            with_mac.truncate(4);
        }
        let two = made.sleeper(&with_mac);
        let own = made.setting(&one, &network, "IPAddress");
        assert_eq!(own, format!("{subnet}.2"));
        assert_eq!(made.setting(&one, &network, "Gateway"), gateway);
        let mac = made.setting(&one, &network, "MacAddress");
        let inside = made.exec(&one, "cat /sys/class/net/eth0/address");
        let parents = host(&format!("cat /sys/class/net/{card}/address"));
        assert!(inside == mac && mac != parents, "{inside} {mac} {parents}");
        if !daemon.is_reference() {
            assert_eq!(made.exec(&two, "cat /sys/class/net/eth0/address"), "02:42:aa:bb:cc:77");
        }
        assert!(made.exec(&one, "ip route").contains(&format!("default via {gateway} dev eth0")));
        made.meets(&one, &address);
        made.meets(&two, &own);
        made.meets(&one, &format!("{subnet}.77"));
        // Without NAT: the machine knows the container by its hardware address.
        let (reached, said) = Wire::on(&machine, &format!("busybox ping -c 1 -w 10 {own}"));
        assert!(reached, "{said}");
        assert!(host(&format!("ip -n {machine} neigh show {own}")).contains(&format!("lladdr {mac}")));
        // Names are served, and a start again takes the same address.
        made.meets(&one, &two);
        made.client.run(&["restart", "-t", "0", &one]).exits(0);
        assert_eq!(made.setting(&one, &network, "IPAddress"), own);
        made.meets(&one, &address);
        // Somebody is on it.
        made.client.run(&["network", "rm", &network]).exits(1).says("has active endpoints");
        drop(made);
        // The card is the host's.
        assert!(attempt(&format!("ip link show {card}")).0);
        assert!(!host("ip -o link show type macvlan").contains(&format!("@{card}:")));
    }
}

#[test]
fn net_40_modes_keep_containers_apart_as_they_say() {
    let daemon = Daemon::shared();
    let mut wire = Wire::new();
    let (card, _, subnet, address) = card(&mut wire);
    let mut made = Made::new(daemon, daemon.stock());
    let (parent, block) = (format!("parent={card}"), format!("{subnet}.0/24"));
    for mode in ["private", "vepa", "bridge"] {
        let option = format!("macvlan_mode={mode}");
        let network = made.network(&["-d", "macvlan", "-o", &parent, "-o", &option, "--subnet", &block]);
        let (one, two) = (made.sleeper(&["--network", &network]), made.sleeper(&["--network", &network]));
        made.meets(&one, &address);
        let other = made.setting(&two, &network, "IPAddress");
        match mode {
            "bridge" => made.meets(&one, &other),
            apart => assert!(!made.reaches(&one, &other), "{apart}"),
        }
        daemon.docker(&["rm", "-f", &one, &two]).exits(0);
        daemon.docker(&["network", "rm", &network]).exits(0);
    }
    // One container only, and it has the card's own address.
    let network = made.network(&["-d", "macvlan", "-o", &parent, "-o", "macvlan_mode=passthru", "--subnet", &block]);
    let only = made.sleeper(&["--network", &network]);
    let inside = made.exec(&only, "cat /sys/class/net/eth0/address");
    assert_eq!(inside, host(&format!("cat /sys/class/net/{card}/address")));
    if !daemon.is_reference() {
        assert_eq!(made.setting(&only, &network, "MacAddress"), inside);
    }
    made.meets(&only, &address);
    let second = daemon.name("ctr");
    let refused = daemon.docker(&["run", "--name", &second, "--network", &network, "busybox", "true"]);
    refused.exits(125).says("failed to create the macvlan port");
    daemon.docker(&["rm", &second]).exits(0);
    if !daemon.is_reference() {
        // 20.10 allows one network a parent; later editions allow several, but not beside one that has it to itself.
        let another = ["network", "create", "-d", "macvlan", "-o", &parent, "--subnet", "10.99.99.0/24", "no"];
        daemon.docker(&another).exits(1).says("is already using parent interface").says("in mode passthru");
    }
}

#[test]
fn net_40_networks_share_a_parent_and_have_several_subnets() {
    let daemon = Daemon::shared();
    let mut wire = Wire::new();
    let (card, _, subnet, _) = card(&mut wire);
    let mut made = Made::new(daemon, daemon.stock());
    let parent = format!("parent={card}");
    let (low, high) = (format!("{subnet}.0/25"), format!("{subnet}.128/25"));
    let range = format!("{subnet}.160/28");
    let both = made.network(&[
        "-d",
        "macvlan",
        "-o",
        &parent,
        "--subnet",
        &low,
        "--subnet",
        &high,
        "--ip-range",
        &range,
        "--ipv6",
        "--subnet",
        "fd00:77::/64",
        "--gateway",
        "fd00:77::fe",
    ]);
    let first = made.sleeper(&["--network", &both]);
    let second = made.sleeper(&["--network", &both, "--ip", &format!("{subnet}.200")]);
    // The client sends the two in any order.
    let own = made.setting(&first, &both, "IPAddress");
    assert!([2, 160, 161].iter().any(|last| own == format!("{subnet}.{last}")), "{own}");
    assert_eq!(made.setting(&first, &both, "IPPrefixLen"), "25");
    let addresses = made.exec(&first, "ip -o addr show dev eth0");
    assert!(addresses.contains("inet6 fd00:77::") && addresses.contains("/64"), "{addresses}");
    assert!(made.exec(&first, "ip -6 route").contains("default via fd00:77::fe dev eth0"));
    assert!(made.exec(&second, "ip route").contains(&format!("{high} dev eth0")));
    let far = made.setting(&second, &both, "GlobalIPv6Address");
    made.meets(&first, &far);
    if daemon.is_reference() {
        return;
    }
    let beside = made.network(&["-d", "macvlan", "-o", &parent, "--subnet", "10.99.98.0/24"]);
    made.sleeper(&["--network", &beside]);
    let connected = daemon.docker(&["network", "connect", &beside, &first]);
    connected.exits(0);
    assert!(made.exec(&first, "ip -o addr show dev eth1").contains("inet 10.99.98."));
    daemon.docker(&["network", "disconnect", &beside, &first]).exits(0);
    assert!(!made.exec(&first, "ip -o link").contains("eth1"));
    // Pools of all drivers are one space.
    let again = daemon.docker(&["network", "create", "--subnet", "10.99.98.0/25", &daemon.name("no")]);
    again.exits(1).says("Pool overlaps with other one on this address space");
}

#[test]
fn net_40_without_a_parent_a_network_leads_nowhere() {
    let daemon = Daemon::shared();
    if daemon.is_reference() && !attempt("ip link add gtdummy type dummy && ip link del gtdummy").0 {
        return skip("the reference needs dummy devices, which this kernel does not have");
    }
    let mut made = Made::new(daemon, daemon.stock());
    let network = made.network(&["-d", "macvlan"]);
    let id = made.inspect(&network, "{{.Id}}");
    let parent = format!("dm-{}", &id[..12]);
    assert!(host(&format!("ip -o link show {parent}")).contains("UP"));
    let (one, two) = (made.sleeper(&["--network", &network]), made.sleeper(&["--network", &network]));
    assert!(!made.exec(&one, "ip route").contains("default"));
    let other = made.setting(&two, &network, "IPAddress");
    made.meets(&one, &other);
    daemon.docker(&["rm", "-f", &one, &two]).exits(0);
    daemon.docker(&["network", "rm", &network]).exits(0);
    assert!(!attempt(&format!("ip link show {parent}")).0);
}

#[test]
fn net_40_an_internal_network_has_no_way_out_and_ports_are_not_published() {
    let daemon = Daemon::shared();
    let mut wire = Wire::new();
    let (card, _, subnet, address) = card(&mut wire);
    let mut made = Made::new(daemon, daemon.stock());
    let (parent, block) = (format!("parent={card}"), format!("{subnet}.0/24"));
    let network = made.network(&["-d", "macvlan", "--internal", "-o", &parent, "--subnet", &block]);
    let container = made.sleeper(&["--network", &network, "-p", "80"]);
    assert!(!made.exec(&container, "ip route").contains("default"));
    made.meets(&container, &address);
    assert_eq!(daemon.docker(&["port", &container]).ok(), "");
}

#[test]
fn net_24_parents_and_modes_that_cannot_be_are_told() {
    let daemon = Daemon::shared();
    let mut wire = Wire::new();
    let (card, ..) = card(&mut wire);
    for client in daemon.clients() {
        let refused = |options: &[&str], text: &str| {
            let name = daemon.name("no");
            client.run(&[&["network", "create"], options, &[&name]].concat()).exits(1).says(text);
            client.run(&["network", "inspect", &name]).exits(1);
        };
        let on = format!("parent={card}");
        refused(
            &["-d", "macvlan", "-o", &on, "-o", "macvlan_mode=l2"],
            "requested macvlan mode 'l2' is not valid, 'bridge' mode is the macvlan driver default",
        );
        refused(&["-d", "macvlan", "-o", "parent=lo"], "loopback interface is not a valid macvlan parent link");
        refused(&["-d", "macvlan", "-o", "parent=nosuch"], "invalid subinterface vlan name nosuch");
        refused(&["-d", "macvlan", "-o", &format!("{on}.4095")], "vlan id must be between 1-4094, received: 4095");
        refused(&["-d", "macvlan", "-o", &format!("{on}.x")], "unable to parse a valid vlan id from: x");
        refused(&["-d", "ipvlan", "-o", "ipvlan_mode=l9"], "requested ipvlan mode 'l9' is not valid");
        refused(&["-d", "overlay"], "This node is not a swarm manager");
        refused(&["-d", "host"], "only one instance of \"host\" network is allowed");
        refused(&["-d", "null"], "only one instance of \"null\" network is allowed");
        if !daemon.is_reference() {
            // 20.10 looks for a quarter of a minute and has other words.
            let missing = "could not find plugin nosuchdriver in v1 plugin registry: plugin not found";
            refused(&["-d", "nosuchdriver"], missing);
            refused(&["-d", "ipvlan", "-o", "ipvlan_flag=no"], "requested ipvlan flag 'no' is not valid");
            refused(
                &["-d", "macvlan", "-o", &on, "-o", "ipvlan_mode=l2"],
                "network option ipvlan_mode is not supported",
            );
            refused(
                &["--ipam-driver", "nosuch"],
                "could not find plugin nosuch in v1 plugin registry: plugin not found",
            );
        }
    }
    // Nothing was made on the card.
    assert!(!host("ip -o link").contains(&format!("{card}.")));
    assert!(!host("ip -o link").contains(&format!("@{card}:")));
}

#[test]
fn net_24_options_of_the_daemon_hold_for_each_driver() {
    let mut wire = Wire::new();
    let (card, _, subnet, _) = card(&mut wire);
    let flag = format!("--default-network-opt=macvlan=parent={card}");
    let daemon = Daemon::prepare(Options { flags: vec![flag], ..Options::default() });
    if daemon.is_reference() {
        return skip("20.10 has no default options of networks");
    }
    daemon.launch();
    let made = Made::new(&daemon, daemon.stock());
    daemon.docker(&["network", "create", "-d", "macvlan", "--subnet", &format!("{subnet}.0/24"), "lan"]).exits(0);
    assert_eq!(made.inspect("lan", "{{json .Options}}"), format!("{{\"parent\":\"{card}\"}}"));
    daemon.docker(&["network", "create", "plain"]).exits(0);
    assert_eq!(made.inspect("plain", "{{json .Options}}"), "{}");
    daemon.docker(&["network", "rm", "lan", "plain"]).exits(0);
}

#[test]
fn net_39_the_daemon_tells_its_network_drivers() {
    let daemon = Daemon::shared();
    let told = daemon.docker(&["info", "-f", "{{join .Plugins.Network \" \"}}"]);
    let expected = if daemon.is_reference() {
        "bridge host ipvlan macvlan null overlay"
    } else {
        "bridge host ipvlan macvlan null"
    };
    assert_eq!(told.ok(), expected);
    assert!(daemon.docker(&["info"]).ok().contains(&format!("Network: {expected}")));
}

/// Whether the kernel has a kind of device on top of another.
fn kernel_has(kind: &str) -> bool {
    let probe = format!("ip link add link lo name gtprobe type {kind} 2>&1; ip link del gtprobe 2>/dev/null");
    !attempt(&probe).1.contains("Unknown device type")
}

#[test]
fn net_24_ipvlan_carries_containers_or_says_what_the_kernel_lacks() {
    let daemon = Daemon::shared();
    let mut wire = Wire::new();
    let (card, _, subnet, address) = card(&mut wire);
    let mut made = Made::new(daemon, daemon.stock());
    let (parent, block) = (format!("parent={card}"), format!("{subnet}.0/24"));
    let words = ["-d", "ipvlan", "-o", &parent, "--subnet", &block];
    if !kernel_has("ipvlan") {
        if daemon.is_reference() {
            return skip("the reference makes a network that no container can be on");
        }
        let name = daemon.name("no");
        let refused = daemon.docker(&[&["network", "create"], &words[..], &[&name]].concat());
        refused.exits(1).says("failed to create the ipvlan port").says("modprobe ipvlan");
        daemon.docker(&["network", "inspect", &name]).exits(1).says("not found");
        return;
    }
    let network = made.network(&words);
    let container = made.sleeper(&["--network", &network]);
    made.meets(&container, &address);
    let parents = host(&format!("cat /sys/class/net/{card}/address"));
    assert_eq!(made.exec(&container, "cat /sys/class/net/eth0/address"), parents);
}

#[test]
fn net_40_a_vlan_is_made_with_the_network_or_the_missing_module_is_named() {
    let daemon = Daemon::shared();
    let mut wire = Wire::new();
    let (card, machine, ..) = card(&mut wire);
    let mut made = Made::new(daemon, daemon.stock());
    let (device, subnet) = (format!("{card}.50"), "10.99.97");
    let (parent, block) = (format!("parent={device}"), format!("{subnet}.0/24"));
    let words = ["-d", "macvlan", "-o", &parent, "--subnet", &block];
    if !kernel_has("vlan id 9") {
        let name = daemon.name("no");
        let refused = daemon.docker(&[&["network", "create"], &words[..], &[&name]].concat());
        refused.exits(1);
        if !daemon.is_reference() {
            refused.says("modprobe 8021q");
        }
        assert!(!attempt(&format!("ip link show {device}")).0);
        return;
    }
    host(&format!(
        "ip -n {machine} link add link eth0 name eth0.50 type vlan id 50 && ip -n {machine} link set eth0.50 up \
         && ip -n {machine} addr add {subnet}.200/24 dev eth0.50"
    ));
    let network = made.network(&words);
    assert!(host(&format!("ip -d link show {device}")).contains("vlan protocol 802.1Q id 50"));
    let container = made.sleeper(&["--network", &network]);
    made.meets(&container, &format!("{subnet}.200"));
    daemon.docker(&["rm", "-f", &container]).exits(0);
    daemon.docker(&["network", "rm", &network]).exits(0);
    assert!(!attempt(&format!("ip link show {device}")).0);
}

#[test]
fn net_40_the_way_out_leads_by_the_network_that_is_left() {
    let daemon = Daemon::shared();
    let mut wire = Wire::new();
    let (card, _, subnet, address) = card(&mut wire);
    let mut made = Made::new(daemon, daemon.stock());
    let (parent, block) = (format!("parent={card}"), format!("{subnet}.0/24"));
    let network = made.network(&["-d", "macvlan", "-o", &parent, "--subnet", &block, "--gateway", &address]);
    let container = made.sleeper(&[]);
    daemon.docker(&["network", "connect", &network, &container]).exits(0);
    assert!(made.exec(&container, "ip route").contains(&format!("default via {}", daemon.gateway())));
    daemon.docker(&["network", "disconnect", "bridge", &container]).exits(0);
    assert!(made.exec(&container, "ip route").contains(&format!("default via {address} dev eth1")));
    daemon.docker(&["network", "connect", "bridge", &container]).exits(0);
    assert!(made.exec(&container, "ip route").contains(&format!("default via {}", daemon.gateway())));
    assert_eq!(made.exec(&container, "ip route").matches("default").count(), 1);
}

/// Two machines, each with an engine and a card, on one switch.
#[test]
fn xnt_07_macvlan_containers_of_two_machines_see_each_other() {
    let mut wire = Wire::new();
    let subnet = wire.subnet();
    let switch = wire.bridge("gts", "");
    let mut reached = Vec::new();
    let engines = [Daemon::start(Options::default()), Daemon::start(Options::default())];
    let mut made: Vec<Made<'_>> = engines.iter().map(|engine| Made::new(engine, engine.stock())).collect();
    for (number, made) in made.iter_mut().enumerate() {
        let (card, far) = (wire.name(["nia", "nib"][number]), wire.name(["fra", "frb"][number]));
        wire.later(format!("ip link del {card}"));
        host(&format!(
            "ip link add {card} type veth peer name {far} && ip link set {far} master {switch} && ip link set {far} up \
             && ip link set {card} up"
        ));
        let (parent, block) = (format!("parent={card}"), format!("{subnet}.0/24"));
        let range = format!("{subnet}.{}/26", 64 * (number + 1));
        let gateway = format!("{subnet}.1");
        let options = ["-d", "macvlan", "-o", &parent, "--subnet", &block, "--ip-range", &range, "--gateway", &gateway];
        let network = made.network(&options);
        let container = made.sleeper(&["--network", &network]);
        reached.push((container.clone(), made.setting(&container, &network, "IPAddress")));
    }
    for (here, there) in [(0, 1), (1, 0)] {
        until("the other machine's container is reached", 30, || {
            made[here].reaches(&reached[here].0, &reached[there].1).then_some(())
        });
    }
}

#[test]
fn net_40_networks_outlive_the_daemon_whatever_ends_it() {
    let daemon = Daemon::start(Options::default());
    let mut wire = Wire::new();
    let (card, _, subnet, address) = card(&mut wire);
    let mut made = Made::new(&daemon, daemon.stock());
    let (parent, block) = (format!("parent={card}"), format!("{subnet}.0/24"));
    let network = made.network(&["-d", "macvlan", "-o", &parent, "--subnet", &block]);
    let container = made.sleeper(&["--network", &network]);
    let own = made.setting(&container, &network, "IPAddress");
    let nowhere = if daemon.is_reference() { None } else { Some(made.network(&["-d", "macvlan"])) };
    let id = |name: &str| daemon.inspect(name, "{{.Id}}")[..12].to_owned();
    let dummy = nowhere.as_deref().map(|name| format!("dm-{}", id(name)));
    daemon.kill();
    if let Some(dummy) = &dummy {
        host(&format!("ip link del {dummy}"));
    }
    daemon.launch();
    made.meets(&container, &address);
    if let Some(dummy) = &dummy {
        assert!(host(&format!("ip -o link show {dummy}")).contains("UP"));
    }
    // The address is known to be taken.
    let second = made.sleeper(&["--network", &network]);
    assert_ne!(made.setting(&second, &network, "IPAddress"), own);
    made.meets(&second, &own);
    let pid = daemon.container_pid(&container);
    // A container that ends while nobody looks leaves its place.
    daemon.stop();
    host(&format!("kill -9 {pid}"));
    daemon.launch();
    daemon.docker(&["rm", "-f", &container, &second]).exits(0);
    let third = made.sleeper(&["--network", &network]);
    assert_eq!(made.setting(&third, &network, "IPAddress"), own);
    daemon.docker(&["rm", "-f", &third]).exits(0);
    for name in [Some(&network), nowhere.as_ref()].into_iter().flatten() {
        daemon.docker(&["network", "rm", name]).exits(0);
    }
    assert!(dummy.is_none_or(|dummy| !attempt(&format!("ip link show {dummy}")).0));
    assert_eq!(daemon.listing(&daemon.data_root().join("network/driver"), 1).len(), 0);
}
