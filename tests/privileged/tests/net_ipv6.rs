//! IPv6-only networks, gateway modes, and options of bridges that need a neighbour to be seen.
#![allow(clippy::unwrap_used, missing_docs)]

use privileged_tests::neighbour::{part, reference, run};
use privileged_tests::sandbox::{has, lacks};

/// What these tests need beside the neighbour: roads to the containers, and servers.
const MORE: &str = r#"
there ip route add 10.0.0.0/8 via 203.0.113.1; there ip -6 route add fd00::/16 via 2001:db8::1
ask() { there ./ask "$1" "$2"; }
ping_there() { there busybox ping -c 1 -W 2 "$1" >/dev/null 2>&1 && echo "ping $1" || echo "no ping $1"; }
serve() { docker run -d --name "$@" busybox nc -ll -p 80 -e sh -c 'echo hello $(cat /proc/net/tcp6 | grep -v " 0A ")' >/dev/null; }
serves() { i=0; until docker exec "$1" sh -c 'grep -q ":0050 .* 0A " /proc/net/tcp6 /proc/net/tcp'; do i=$((i + 1)); [ $i -lt 100 ] || exit 8; sleep 0.1; done; }
"#;

/// Docker 20.10 knows neither networks without IPv4 nor gateway modes.
fn modern(script: &str) -> Option<String> {
    (!reference()).then(|| run(&format!("{MORE}\n{script}")))
}

#[test]
fn net_25_a_network_of_ipv6_alone() {
    let Some(text) = modern(
        r#"up; load; docker network create --ipv4=false --ipv6 --subnet fd00:66::/64 six >/dev/null
        echo "== shown"; docker network inspect six -f '{{.EnableIPv4}} {{.EnableIPv6}} {{json .IPAM.Config}}'
        serve c1 --network six -p 8000:80; serves c1
        docker inspect c1 -f '{{with index .NetworkSettings.Networks "six"}}[{{.IPAddress}}] {{.GlobalIPv6Address}} {{.IPv6Gateway}}{{end}}'
        docker port c1; echo "== inside"; docker exec c1 ip addr show eth0; docker exec c1 cat /etc/hosts
        echo "== there"; ask 2001:db8::1 8000; ask 203.0.113.1 8000
        echo "== names"; docker run --rm --network six busybox ping6 -c 1 -W 3 c1 | head -1
        docker kill c1 >/dev/null; docker rm c1 >/dev/null; docker network rm six >/dev/null
        echo "== none"; docker network create --ipv4=false none6 2>&1; down"#,
    ) else {
        return;
    };
    let shown = part(&text, "shown");
    has(shown, r#"false true [{"Subnet":"fd00:66::/64"}]"#);
    has(shown, "[] fd00:66::2 fd00:66::1");
    has(shown, "80/tcp -> [::]:8000");
    lacks(shown, "0.0.0.0");
    lacks(part(&text, "inside"), "inet 10.");
    has(part(&text, "inside"), "fd00:66::2\t");
    has(part(&text, "there"), "hello");
    has(part(&text, "there"), "B80D0120000000000000000002000000");
    has(part(&text, "there"), "refused 203.0.113.1 8000");
    has(part(&text, "names"), "PING c1 (fd00:66::2)");
    has(part(&text, "none"), "IPv4 or IPv6 must be enabled");
}

#[test]
fn net_37_gateway_modes() {
    let Some(text) = modern(
        r#"up; load; m=com.docker.network.bridge.gateway_mode_ipv
        docker network create --ipv6 --subnet 10.70.0.0/24 --subnet fd00:70::/64 -o ${m}4=routed -o ${m}6=routed routed >/dev/null
        docker network create --ipv6 --subnet 10.71.0.0/24 --subnet fd00:71::/64 -o ${m}4=nat-unprotected -o ${m}6=nat-unprotected open >/dev/null
        docker network create --internal --subnet 10.72.0.0/24 -o ${m}4=isolated alone >/dev/null
        serve routed --network routed -p 8000:80; serve open --network open; serve alone --network alone
        serves routed; serves open; serves alone
        docker exec -d routed nc -ll -p 81 -e echo other
        echo "== routed"; ask 10.70.0.2 80; ask fd00:70::2 80; ping_there 10.70.0.2; ping_there fd00:70::2; docker port routed
        echo "== shut"; ask 10.70.0.2 81; ask 203.0.113.1 8000; ss -Hltn | grep :8000
        echo "== open"; ask 10.71.0.2 80; ask fd00:71::2 80
        echo "== outwards"; there busybox nc -ll -p 90 -e sh -c 'echo $(cat /proc/net/tcp6 | grep -v " 0A ")' & sleep 0.3
        docker exec routed timeout 5 nc -w 3 203.0.113.2 90 </dev/null
        echo "== alone"; ip -4 addr show $(ip -o link show type bridge | grep -o 'br-[0-9a-f]*' | tail -1); ask 10.72.0.2 80
        echo "== bad"; docker network create -o ${m}4=isolated x 2>&1; docker network create -o ${m}4=nope x 2>&1
        docker rm -f routed open alone >/dev/null; docker network rm routed open alone >/dev/null; nft list ruleset | grep -c 10.70; down"#,
    ) else {
        return;
    };
    let routed = part(&text, "routed");
    assert_eq!(routed.matches("hello").count(), 2, "{text}");
    has(routed, "ping 10.70.0.2\nping fd00:70::2");
    lacks(routed, "0.0.0.0:");
    lacks(part(&text, "shut"), "other");
    has(part(&text, "shut"), "refused 203.0.113.1 8000");
    lacks(part(&text, "shut"), "LISTEN");
    assert_eq!(part(&text, "open").matches("hello").count(), 2, "{text}");
    // The container's own address is seen.
    has(part(&text, "outwards"), "FFFF00000200460A");
    lacks(part(&text, "alone"), "inet 10.72");
    lacks(part(&text, "alone"), "hello");
    has(part(&text, "bad"), "can only be used for an internal network");
    has(part(&text, "bad"), "unknown gateway mode nope");
}

#[test]
fn net_25_addresses_and_doors_of_a_bridge() {
    let Some(text) = modern(
        r#"ip addr add 203.0.113.9/24 dev up0; up --bridge-accept-fwmark 0x7; load
        docker network create --subnet 10.73.0.0/24 -o com.docker.network.host_ipv4=203.0.113.9 source >/dev/null
        docker network create --subnet 10.74.0.0/24 -o com.docker.network.bridge.inhibit_ipv4=true bare >/dev/null
        docker network create --subnet 10.75.0.0/24 -o com.docker.network.bridge.trusted_host_interfaces=up0 trusting >/dev/null
        there busybox nc -ll -p 90 -e sh -c 'echo $(cat /proc/net/tcp6 | grep -v " 0A ")' & sleep 0.3
        echo "== source"; docker run --rm --network source busybox timeout 5 nc -w 3 203.0.113.2 90 </dev/null
        echo "== bare"; docker run --rm --network bare busybox ip route; ip -4 addr | grep -c 10.74
        serve c1 --network trusting; serve d1; serves c1; serves d1
        D=$(docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' d1)
        there ip route add 172.16.0.0/12 via 203.0.113.1
        echo "== trusted"; ask 10.75.0.2 80; echo "== unmarked"; ask $D 80
        nft -f - <<'X'
table ip other { chain c { type filter hook prerouting priority -150; tcp dport 80 meta mark set 0x7; }; }
X
        echo "== marked"; ask $D 80
        docker rm -f c1 d1 >/dev/null; docker network rm source bare trusting >/dev/null; down"#,
    ) else {
        return;
    };
    has(part(&text, "source"), "FFFF0000097100CB");
    has(part(&text, "bare"), "default via 10.74.0.1");
    has(part(&text, "bare"), "\n0\n");
    has(part(&text, "trusted"), "hello");
    lacks(part(&text, "unmarked"), "hello");
    has(part(&text, "marked"), "hello");
}
