//! The default bridge, with real links, addresses and packets.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};

use network::{DefaultBridge, Error, Network, Protocol, default_bridge_name};
use support::*;

#[test]
fn attach_gives_address_route_mac_and_mtu() {
    let Some(machine) = Machine::new() else { return };
    let network = Network::open(machine.config(), &[]).unwrap();
    let record = attach(&network, &[]);
    let link = record.link.clone().unwrap();
    assert_eq!(link.addresses[0].address.to_string(), "172.17.0.2/16");
    assert_eq!(link.addresses[0].gateway.map(|gateway| gateway.to_string()).as_deref(), Some("172.17.0.1"));
    let seen =
        in_namespace(&record.sandbox_key, "ip -o addr show dev eth0; ip link show dev eth0; ip route; ip link show lo");
    for part in [
        "inet 172.17.0.2/16 brd 172.17.255.255",
        "02:42:ac:11:00:02",
        "mtu 1400",
        "default via 172.17.0.1 dev eth0",
        "LOOPBACK,UP",
    ] {
        assert!(seen.contains(part), "{part} in {seen}");
    }
    assert!(run("ip -o link show master br-test").contains(&link.host_device));
    assert!(run("cat /proc/sys/net/ipv4/ip_forward").starts_with('1'));
    in_namespace(&record.sandbox_key, "busybox ping -c 1 -W 2 172.17.0.1");
    let second = attach(&network, &[]);
    in_namespace(&second.sandbox_key, "busybox ping -c 1 -W 2 172.17.0.2");
    // Masqueraded to the outside, which has no route back to 172.17.0.0/16.
    in_namespace(&second.sandbox_key, &format!("busybox ping -c 1 -W 2 {OUTSIDE}"));
}

#[test]
fn published_tcp_port_answers_from_everywhere() {
    let Some(machine) = Machine::new() else { return };
    let network = Network::open(machine.config(), &[]).unwrap();
    let web = attach(&network, &[publish(None, 8080, 80, Protocol::Tcp), publish(None, 0, 80, Protocol::Tcp)]);
    let ports: Vec<_> = web.ports.iter().map(|port| (port.host_ip.to_string(), port.host_port)).collect();
    let random = ports[2].1;
    assert!(random >= 32_768);
    let both = |port: u16| [("0.0.0.0".to_owned(), port), ("::".to_owned(), port)];
    assert_eq!(ports, [both(8080), both(random)].concat());
    let other = attach(&network, &[]);
    let _server = serve_word(&web.sandbox_key, 80, "hello");
    let hello = Ok("hello".to_owned());
    assert_eq!(ask_from(machine.outside_pin(), HOST, 8080), hello);
    assert_eq!(ask_from(machine.outside_pin(), HOST, random), hello);
    for address in ["127.0.0.1", "127.0.0.2", HOST, "172.17.0.1", "172.17.0.2", "::1"] {
        let port = if address == "172.17.0.2" { 80 } else { 8080 };
        assert_eq!(ask(address, port), hello, "{address} from the host");
    }
    for (pin, who) in [(&other.sandbox_key, "a neighbour"), (&web.sandbox_key, "itself")] {
        assert_eq!(ask_from(pin, HOST, 8080), hello, "{who}");
        assert_eq!(ask_from(pin, "172.17.0.1", 8080), hello, "{who}");
    }
    // Visible to whoever looks for a listener; not reachable directly from outside.
    assert!(run("ss -Hltn").contains("0.0.0.0:8080"));
    machine.outside(&format!("ip route add 172.17.0.0/16 via {HOST}"));
    assert!(ask_from(machine.outside_pin(), "172.17.0.2", 80).is_err());
    network.detach(&web).unwrap();
    assert!(ask("127.0.0.1", 8080).is_err());
    assert!(!run("ss -Hltn").contains(":8080"));
}

#[test]
fn loopback_ports_are_for_this_machine_only() {
    let Some(machine) = Machine::new() else { return };
    let network = Network::open(machine.config(), &[]).unwrap();
    let web = attach(&network, &[publish(Some("127.0.0.1"), 8081, 80, Protocol::Tcp)]);
    let other = attach(&network, &[]);
    let _server = serve_word(&web.sandbox_key, 80, "hello");
    let host_only = std::net::TcpListener::bind("127.0.0.1:8099").unwrap();
    assert_eq!(ask("127.0.0.1", 8081), Ok("hello".to_owned()));
    assert!(ask(HOST, 8081).is_err());
    // A neighbour, and a container, that send packets for 127.0.0.1 to the host.
    let trick = |via: &str| {
        format!(
            "ip addr del 127.0.0.1/8 dev lo; ip route del local 127.0.0.0/8 table local; ip route add 127.0.0.0/8 via {via}; sysctl -qw net.ipv4.conf.all.route_localnet=1"
        )
    };
    machine.outside(&trick(HOST));
    assert!(ask_from(machine.outside_pin(), "127.0.0.1", 8081).is_err());
    in_namespace(&other.sandbox_key, &trick("172.17.0.1"));
    assert!(ask_from(&other.sandbox_key, "127.0.0.1", 8099).is_err());
    drop(host_only);
}

#[test]
fn published_udp_port_answers() {
    let Some(machine) = Machine::new() else { return };
    let network = Network::open(machine.config(), &[]).unwrap();
    let echo = attach(&network, &[publish(None, 5353, 53, Protocol::Udp)]);
    let _server = serve_echo(&echo.sandbox_key, 53);
    for address in ["127.0.0.1", HOST, "172.17.0.1"] {
        assert_eq!(ask_udp(address, 5353, "marco"), Ok("marco".to_owned()), "{address}");
    }
    let answer = within(machine.outside_pin(), || ask_udp(HOST, 5353, "polo"));
    assert_eq!(answer, Ok("polo".to_owned()));
}

#[test]
fn ports_in_use_are_refused_with_docker_s_words() {
    let Some(machine) = Machine::new() else { return };
    let network = Network::open(machine.config(), &[]).unwrap();
    let _first = attach(&network, &[publish(None, 8080, 80, Protocol::Tcp)]);
    let _foreign = std::net::TcpListener::bind("0.0.0.0:8090").unwrap();
    let wanted = request(&[publish(None, 8070, 80, Protocol::Tcp), publish(None, 8080, 80, Protocol::Tcp)]);
    let sandbox = network.create_sandbox(&wanted.container_id).unwrap();
    let error = network.attach(&sandbox, &wanted).unwrap_err();
    assert!(matches!(error, Error::PortAllocated { port: 8080, .. }));
    let text = error.to_string();
    assert!(text.starts_with("driver failed programming external connectivity on endpoint web ("), "{text}");
    let told = "): Bind for 0.0.0.0:8080 failed: port is already allocated (by container web)";
    assert!(text.ends_with(told), "{text}");
    let text = network.attach(&sandbox, &request(&[publish(None, 8090, 80, Protocol::Tcp)])).unwrap_err().to_string();
    let told = "): failed to bind host port 0.0.0.0:8090/tcp: address already in use (by ";
    assert!(text.contains(told) && text.ends_with(&format!("(pid {}))", std::process::id())), "{text}");
    // Nothing of the failures is left: the first port and the address are free, the namespace has no device.
    let record = network.attach(&sandbox, &request(&[publish(None, 8070, 80, Protocol::Tcp)])).unwrap();
    let link = record.link.unwrap();
    assert_eq!((link.addresses[0].ip().to_string().as_str(), link.device.as_str()), ("172.17.0.3", "eth0"));
}

#[test]
fn cycles_leave_nothing_behind() {
    let Some(machine) = Machine::new() else { return };
    let network = Network::open(machine.config(), &[]).unwrap();
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let _warm = attach(&network, &[]);
    let before = descriptors();
    for round in 0..200 {
        let record = attach(&network, &[publish(None, 8080, 80, Protocol::Tcp)]);
        assert_eq!(record.link.as_ref().unwrap().addresses[0].ip().to_string(), "172.17.0.3", "round {round}");
        network.detach(&record).unwrap();
        network.detach(&record).unwrap();
        network.remove_sandbox(&record.sandbox_key);
    }
    wait_until(|| run("ip -o link show master br-test").lines().count() == 1);
    wait_until(|| std::fs::read_dir(machine.root.path().join("exec/netns")).unwrap().count() == 1);
    assert!(!run("nft list table inet gantry_br-test").contains("8080"));
    // Other tests run in this process at the same time.
    wait_until(|| descriptors() < before + 60);
}

#[test]
fn a_new_daemon_takes_over_and_repairs() {
    let Some(machine) = Machine::new() else { return };
    let network = Network::open(machine.config(), &[]).unwrap();
    let kept = attach(&network, &[publish(None, 8080, 80, Protocol::Tcp)]);
    let lost = attach(&network, &[publish(None, 8081, 80, Protocol::Tcp)]);
    let ids: Vec<_> = network.networks().into_iter().map(|network| network.id).collect();
    let busy = Network::open(machine.config(), &[]).unwrap_err();
    assert!(matches!(busy, Error::BridgeBusy(_)));
    let _server = serve_word(&kept.sandbox_key, 80, "still here");
    // A kill: nothing of the daemon's own cleanup runs, its sockets close.
    drop(network);
    let answer = || ask("127.0.0.1", 8080);
    assert_eq!(answer(), Ok("still here".to_owned()), "without a daemon");
    run("nft flush ruleset");
    let started = Instant::now();
    let network = Network::open(machine.config(), std::slice::from_ref(&kept)).unwrap();
    assert!(started.elapsed() < Duration::from_millis(100), "{:?}", started.elapsed());
    assert_eq!(network.networks().into_iter().map(|network| network.id).collect::<Vec<_>>(), ids);
    assert_eq!(answer(), Ok("still here".to_owned()), "after the repair");
    wait_until(|| !lost.sandbox_key.exists());
    let host_device = lost.link.unwrap().host_device;
    wait_until(|| !run("ip -o link show master br-test").contains(&host_device));
    assert!(!run("nft list table inet gantry_br-test").contains("8081"));
    // The kept one's address and port are not given away.
    let next = attach(&network, &[publish(None, 8081, 80, Protocol::Tcp)]);
    assert_eq!(next.link.as_ref().unwrap().addresses[0].ip().to_string(), "172.17.0.3");
    let wanted = request(&[publish(None, 8080, 80, Protocol::Tcp)]);
    let sandbox = network.create_sandbox(&wanted.container_id).unwrap();
    assert!(matches!(network.attach(&sandbox, &wanted), Err(Error::PortAllocated { .. })));
    // A flush while the daemon runs is repaired by the next change.
    run("nft flush ruleset");
    network.detach(&next).unwrap();
    assert_eq!(answer(), Ok("still here".to_owned()), "after a flush");
}

#[test]
fn a_deleted_bridge_comes_back_with_its_containers() {
    let Some(machine) = Machine::new() else { return };
    run("ip route add 172.17.5.0/24 dev lo");
    let network = Network::open(machine.config(), &[]).unwrap();
    let web = attach(&network, &[publish(None, 8080, 80, Protocol::Tcp)]);
    assert_eq!(web.link.as_ref().unwrap().addresses[0].ip().to_string(), "172.18.0.2");
    let _server = serve_word(&web.sandbox_key, 80, "hello");
    drop(network);
    run("ip link del br-test; ip route del 172.17.5.0/24 dev lo");
    let _network = Network::open(machine.config(), std::slice::from_ref(&web)).unwrap();
    assert_eq!(ask_from(machine.outside_pin(), HOST, 8080), Ok("hello".to_owned()));
    assert_eq!(ask("172.18.0.2", 80), Ok("hello".to_owned()));
}

#[test]
fn datagrams_follow_a_port_to_its_next_container() {
    let Some(machine) = Machine::new() else { return };
    let network = Network::open(machine.config(), &[]).unwrap();
    let port = publish(None, 5353, 53, Protocol::Udp);
    let client = within(machine.outside_pin(), || std::net::UdpSocket::bind("0.0.0.0:0").unwrap());
    client.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    client.connect((HOST, 5353)).unwrap();
    let exchange = |word: &str| {
        let mut buffer = [0; 16];
        let _ = client.send(word.as_bytes());
        client.recv(&mut buffer).is_ok_and(|length| &buffer[..length] == word.as_bytes())
    };
    // The flow is known to the kernel before anybody publishes the port.
    assert!(!exchange("early"));
    let first = attach(&network, &[port]);
    let server = serve_echo(&first.sandbox_key, 53);
    wait_until(|| exchange("first"));
    network.detach(&first).unwrap();
    drop(server);
    let taken = attach(&network, &[]);
    assert_eq!(taken.link.as_ref().unwrap().addresses[0].ip().to_string(), "172.17.0.2");
    let second = attach(&network, &[port]);
    let _server = serve_echo(&second.sandbox_key, 53);
    wait_until(|| exchange("second"));
}

#[test]
fn a_foreign_forward_policy_does_not_cut_containers_off() {
    let Some(machine) = Machine::new() else { return };
    run("iptables-nft -P FORWARD DROP");
    let network = Network::open(machine.config(), &[]).unwrap();
    let web = attach(&network, &[publish(None, 8080, 80, Protocol::Tcp)]);
    let _server = serve_word(&web.sandbox_key, 80, "hello");
    let ping = format!("busybox ping -c 1 -W 1 {OUTSIDE}");
    wait_until(|| attempt_in(&web.sandbox_key, &ping).0);
    assert_eq!(ask_from(machine.outside_pin(), HOST, 8080), Ok("hello".to_owned()));
    drop(network);
    let network = Network::open(machine.config(), std::slice::from_ref(&web)).unwrap();
    drop(network);
    let rules = run("iptables-nft -S FORWARD");
    let ours: Vec<_> = rules.lines().filter(|line| line.contains("br-test")).collect();
    assert_eq!(ours.len(), 2, "{rules}");
    assert!(ours.iter().all(|rule| rule.ends_with("-j ACCEPT")), "{rules}");
}

#[test]
fn two_daemons_share_a_machine_but_no_network() {
    let Some(machine) = Machine::new() else { return };
    let first = Network::open(machine.config(), &[]).unwrap();
    let mut config = machine.config();
    config.bridge = DefaultBridge::Owned { name: "br-second".to_owned() };
    config.exec_root = machine.root.path().join("exec2");
    config.data_root = machine.root.path().join("data2");
    let second = Network::open(config, &[]).unwrap();
    assert_eq!(first.default_bridge_gateway().unwrap().to_string(), "172.17.0.1");
    assert_eq!(second.default_bridge_gateway().unwrap().to_string(), "172.18.0.1");
    let web = attach(&first, &[publish(None, 8080, 80, Protocol::Tcp)]);
    let _server = serve_word(&web.sandbox_key, 80, "hello");
    let other = attach(&second, &[]);
    assert!(ask_from(&other.sandbox_key, "172.17.0.2", 80).is_err(), "directly");
    assert_eq!(ask_from(&other.sandbox_key, "172.18.0.1", 8080), Ok("hello".to_owned()), "by the published port");
    drop(second);
    let _ = sys::netns::unpin(&other.sandbox_key);
    let _ = rustix::mount::unmount(machine.root.path().join("exec2/netns"), rustix::mount::UnmountFlags::DETACH);
}

#[test]
fn without_icc_containers_reach_only_the_outside() {
    let Some(machine) = Machine::new() else { return };
    let mut config = machine.config();
    config.icc = false;
    let network = Network::open(config, &[]).unwrap();
    let web = attach(&network, &[publish(None, 8080, 80, Protocol::Tcp)]);
    let other = attach(&network, &[]);
    let _server = serve_word(&web.sandbox_key, 80, "hello");
    assert!(ask_from(&other.sandbox_key, "172.17.0.2", 80).is_err());
    in_namespace(&other.sandbox_key, &format!("busybox ping -c 1 -W 2 {OUTSIDE}"));
    assert_eq!(ask_from(&other.sandbox_key, HOST, 8080), Ok("hello".to_owned()));
    assert_eq!(ask_from(machine.outside_pin(), HOST, 8080), Ok("hello".to_owned()));
}

#[test]
fn without_icc_and_without_a_firewall_for_frames_the_bridge_keeps_containers_apart() {
    let Some(machine) = Machine::new() else { return };
    let switch = std::path::Path::new("/proc/sys/net/bridge/bridge-nf-call-iptables");
    if switch.exists() {
        std::fs::write(switch, "0").unwrap();
    }
    let mut config = machine.config();
    config.icc = false;
    let network = Network::open(config, &[]).unwrap();
    let web = attach(&network, &[publish(None, 8080, 80, Protocol::Tcp)]);
    let other = attach(&network, &[]);
    let _server = serve_word(&web.sandbox_key, 80, "hello");
    assert!(ask_from(&other.sandbox_key, "172.17.0.2", 80).is_err());
    for (pin, who) in [(&other.sandbox_key, "a neighbour"), (&web.sandbox_key, "itself")] {
        assert_eq!(ask_from(pin, HOST, 8080), Ok("hello".to_owned()), "{who}");
    }
}

#[test]
fn an_existing_bridge_is_used_as_it_is() {
    let Some(machine) = Machine::new() else { return };
    let mut config = machine.config();
    config.bridge = DefaultBridge::Existing { name: "lan0".to_owned() };
    assert!(matches!(Network::open(config.clone(), &[]), Err(Error::BridgeMissing(_))));
    run("ip link add lan0 type bridge && ip addr add 192.168.5.1/24 dev lan0");
    let network = Network::open(config, &[]).unwrap();
    let record = attach(&network, &[]);
    assert_eq!(record.link.as_ref().unwrap().addresses[0].ip().to_string(), "192.168.5.2");
    in_namespace(&record.sandbox_key, &format!("busybox ping -c 1 -W 2 {OUTSIDE}"));
    let info = network.network("bridge").unwrap();
    assert_eq!(info.options["com.docker.network.bridge.name"], "lan0");
    let hosts = network.network(network.networks()[1].id.short()).unwrap();
    assert_eq!((hosts.name.as_str(), hosts.pools.len()), ("host", 0));
}

#[test]
fn none_has_a_namespace_and_no_link() {
    let Some(machine) = Machine::new() else { return };
    let network = Network::open(machine.config(), &[]).unwrap();
    let mut wanted = request(&[]);
    wanted.network = "none".to_owned();
    let sandbox = network.create_sandbox(&wanted.container_id).unwrap();
    let record = network.attach(&sandbox, &wanted).unwrap();
    assert_eq!(record.link, None);
    let devices = in_namespace(&sandbox.key, "ip -o link");
    assert!(devices.lines().count() == 1 && devices.contains("LOOPBACK,UP"), "{devices}");
    network.detach(&record).unwrap();
    wanted.network = "nowhere".to_owned();
    assert_eq!(network.attach(&sandbox, &wanted).unwrap_err().to_string(), "network nowhere not found");
}

#[test]
fn docker0_is_taken_unless_it_is_another_s() {
    let Some(machine) = Machine::new() else { return };
    let data_root = machine.config().data_root;
    assert_eq!(default_bridge_name(&data_root), "docker0");
    let mut config = machine.config();
    config.bridge = DefaultBridge::Owned { name: "docker0".to_owned() };
    let network = Network::open(config, &[]).unwrap();
    assert_eq!(default_bridge_name(std::path::Path::new("/another")), "gantry0");
    let record = attach(&network, &[]);
    drop(network);
    assert_eq!(default_bridge_name(&data_root), "docker0", "our own, with ports");
    assert_eq!(default_bridge_name(std::path::Path::new("/another")), "gantry0", "in use by containers");
    drop(record);
}

#[test]
fn the_first_packet_arrives() {
    let Some(machine) = Machine::new() else { return };
    let network = Network::open(machine.config(), &[]).unwrap();
    let server = std::net::UdpSocket::bind("0.0.0.0:7000").unwrap();
    let _server = serve_echo_on(server);
    let mut lost = 0;
    for _ in 0..50 {
        let record = attach(&network, &[]);
        let answer = within(&record.sandbox_key, || {
            let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            let _ = socket.send_to(b"now", "172.17.0.1:7000");
            socket.recv(&mut [0; 8]).is_ok()
        });
        lost += usize::from(!answer);
        network.detach(&record).unwrap();
        network.remove_sandbox(&record.sandbox_key);
    }
    assert_eq!(lost, 0);
}
