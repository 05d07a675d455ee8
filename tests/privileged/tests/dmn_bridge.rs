//! Rows DMN-12, 13, 15, 16 and NET-50: the daemon's settings of the default bridge.
#![allow(clippy::unwrap_used, missing_docs)]

use privileged_tests::Engine;
use privileged_tests::fixtures::Fixture;
use privileged_tests::sandbox::{Sandbox, has, lacks};

fn run(script: &str) -> String {
    let image = Fixture::Busybox.archive().unwrap().display().to_string();
    Sandbox::new().run(&format!("load() {{ docker load -q -i {image} >/dev/null; }}\n{script}"))
}

fn reference() -> bool {
    Engine::under_test() == Engine::Dockerd
}

#[test]
fn dmn_12_the_address_of_the_default_bridge() {
    let text = run(
        r#"up; load; ip -4 addr show docker0; docker run -d --name old busybox sleep 1000 >/dev/null; docker rm -f old >/dev/null; down
        echo '{"bip":"172.18.86.1/24"}' >/etc/docker/daemon.json
        up; echo "== now"; ip -4 addr show docker0; docker run --rm busybox ip -4 addr show eth0; down"#,
    );
    has(text.split("== now").next().unwrap(), "172.17.0.1/16");
    let now = text.split("== now").nth(1).unwrap();
    has(now, "inet 172.18.86.1/24");
    lacks(now, "172.17.0.1");
    has(now, "inet 172.18.86.2/24");
}

#[test]
fn dmn_13_the_mtu_of_links() {
    let text = run(r#"echo '{"mtu":1472}' >/etc/docker/daemon.json; up; load
        docker run -d --name c1 busybox sleep 1000 >/dev/null; docker exec c1 cat /sys/class/net/eth0/mtu
        ip -o link show type bridge; ip -o link show type veth; docker rm -f c1 >/dev/null
        docker network create n >/dev/null; echo "== user"; docker run --rm --network n busybox cat /sys/class/net/eth0/mtu; down"#);
    assert_eq!(text.lines().next(), Some("1472"), "{text}");
    let (default, user) = text.split_once("== user\n").unwrap();
    assert_eq!(default.matches(" mtu 1472 ").count(), 2, "the bridge and the link: {text}");
    assert_eq!(user.trim(), "1500", "networks of users have an option of their own");
}

#[test]
fn dmn_13_the_mtu_is_that_of_the_way_out() {
    if reference() {
        // Wants 18: Docker takes 1500 whatever the way out carries.
        return;
    }
    let text = run(
        r#"ip link add up0 mtu 1380 type veth peer name up1; ip link set up1 up; ip addr add 203.0.113.1/24 dev up0; ip link set up0 up
        ip route add default via 203.0.113.2; up; load
        docker run --rm busybox cat /sys/class/net/eth0/mtu; docker network create n >/dev/null
        docker run --rm --network n busybox cat /sys/class/net/eth0/mtu; docker network rm n >/dev/null; down"#,
    );
    has(&text, "1380\n1380\n");
}

#[test]
fn dmn_15_a_bridge_of_ones_own() {
    let text = run(r#"ip link add bridge0 type bridge; ip addr add 192.168.5.1/24 dev bridge0; ip link set bridge0 up
        up -b bridge0; load; docker run -d --name c1 busybox sleep 1000 >/dev/null
        docker exec c1 ip -4 addr show eth0; docker exec c1 ip route; ip link show docker0 2>&1; ip -o link show master bridge0
        docker network inspect bridge -f '{{json .IPAM.Config}}'; docker rm -f c1 >/dev/null; down; ip -4 addr show bridge0"#);
    has(&text, "inet 192.168.5.2/24");
    has(&text, "default via 192.168.5.1");
    has(&text, "docker0\" does not exist");
    has(&text, "veth");
    has(&text, "192.168.5.0/24");
    has(&text, "inet 192.168.5.1/24");
}

#[test]
fn dmn_16_a_part_of_the_subnet() {
    let text = run(r#"ip link add br0 type bridge; ip addr add 10.211.55.5/24 dev br0; ip link set br0 up
        up -b br0 --fixed-cidr 10.211.55.128/26; load
        for n in 1 2 3; do docker run -d --name c$n busybox sleep 1000 >/dev/null; docker exec c$n ip -4 addr show eth0 | grep inet; done
        docker exec c1 ip route; docker network inspect bridge -f '{{json .IPAM.Config}}'
        docker rm -f c1 c2 c3 >/dev/null; down"#);
    for line in ["inet 10.211.55.128/24", "inet 10.211.55.129/24", "inet 10.211.55.130/24"] {
        if !reference() {
            has(&text, line);
        }
    }
    has(&text, "inet 10.211.55.129/24");
    has(&text, "default via 10.211.55.5");
    has(&text, "\"IPRange\":\"10.211.55.128/26\"");
}

#[test]
fn net_50_the_default_bridge_of_both_families() {
    if reference() {
        return;
    }
    let text = run(
        r#"up --bip 172.18.86.1/24 --fixed-cidr 172.18.86.64/26 --default-gateway 172.18.86.99 --ipv6 --bip6 fd00:86::1/64 --default-gateway-v6 fd00:86::99 --mtu 1400
        load; docker network inspect bridge -f '{{.EnableIPv6}} {{json .IPAM.Config}}'
        docker run --rm busybox sh -c 'ip addr show eth0; ip route; ip -6 route'; brctl show 2>/dev/null; ip -6 addr show docker0; down
        up --ipv6; echo "== local"; A=$(docker network inspect bridge -f '{{(index .IPAM.Config 1).Subnet}}'); down; up --ipv6
        B=$(docker network inspect bridge -f '{{(index .IPAM.Config 1).Subnet}}'); [ "$A" = "$B" ] && echo "same $A"; down
        echo "== bad"; fails --bip 10.0.0.1/24 --fixed-cidr 10.1.0.0/24; fails --ipv6 --bip6 10.0.0.1/24"#,
    );
    has(
        &text,
        r#"true [{"Subnet":"172.18.86.0/24","IPRange":"172.18.86.64/26","Gateway":"172.18.86.1","AuxiliaryAddresses":{"DefaultGatewayIPv4":"172.18.86.99"}}"#,
    );
    has(&text, "inet 172.18.86.64/24");
    has(&text, "default via 172.18.86.99");
    has(&text, "default via fd00:86::99");
    has(&text, "inet6 fd00:86::2/64");
    has(&text, "same fd");
    let bad = text.split("== bad").nth(1).unwrap();
    has(bad, "does not belong to subnet 10.0.0.0/24");
    has(bad, "invalid CIDR address: 10.0.0.1/24");
}

/// The unit's command line with what its environment file says, as systemd would run it.
#[test]
fn dmn_14_options_of_the_environment_file_reach_the_daemon() {
    let unit = std::fs::read_to_string(privileged_tests::fixtures::workspace().join("contrib/systemd/gantry.service"))
        .unwrap();
    let line =
        |name: &str| unit.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name}"));
    let file = line("EnvironmentFile=-").to_owned();
    assert_eq!(file, "/etc/default/docker");
    let command = line("ExecStart=/usr/bin/dockerd ").replace("-H fd://", "-H unix:///var/run/docker.sock");
    let text = run(&format!(
        r#"ip link add bridge0 type bridge; ip addr add 192.168.5.1/24 dev bridge0; ip link set bridge0 up
        echo 'DOCKER_OPTS="-b=bridge0 --registry-mirror=http://127.0.0.1:5001"' >options; . ./options
        up {command}; load; docker info -f '{{{{json .RegistryConfig.Mirrors}}}}'
        docker run --rm busybox ip -4 addr show eth0; down"#
    ));
    has(&text, "http://127.0.0.1:5001/");
    has(&text, "inet 192.168.5.2/24");
}
