//! Rows PRT-01 to PRT-18: every form of publishing a port, on a machine of its own with a neighbour, in both families.
#![allow(clippy::unwrap_used, missing_docs)]

use privileged_tests::neighbour::{part, reference, run};
use privileged_tests::sandbox::{has, lacks};

/// The neighbour's addresses as the kernel prints them.
const NEIGHBOUR: &str = "0000000000000000FFFF0000027100CB";
const NEIGHBOUR6: &str = "B80D0120000000000000000002000000";

#[test]
fn prt_01_all_exposed_ports_get_random_ones() {
    let text = run(r#"up; load
        docker run -d --name c1 -P --expose 80 --expose 5353/udp busybox $server "$hello" >/dev/null
        P=$(docker port c1 80 | head -1 | sed 's/.*://'); ready 127.0.0.1 $P
        echo "== ports"; docker port c1; echo "== ps"; docker ps --format '{{.Ports}}'; echo "== number"; echo $P
        docker restart -t 0 c1 >/dev/null; echo "== again"; docker port c1 80/tcp | wc -l; docker rm -f c1 >/dev/null; down"#);
    let port: u16 = part(&text, "number").trim().parse().unwrap();
    assert!(port >= 32_768, "{text}");
    has(part(&text, "ports"), &format!("80/tcp -> 0.0.0.0:{port}"));
    has(part(&text, "ports"), "5353/udp -> 0.0.0.0:");
    has(part(&text, "ps"), &format!("0.0.0.0:{port}->80/tcp"));
    if !reference() {
        // Both families have the same number.
        has(part(&text, "ports"), &format!("80/tcp -> [::]:{port}"));
        has(part(&text, "ps"), &format!("[::]:{port}->80/tcp"));
        has(part(&text, "again"), "2");
    }
}

#[test]
fn prt_02_a_random_port_is_free_and_stays_until_the_stop() {
    let text = run(r#"sysctl -qw net.ipv4.ip_local_port_range='49000 49004'; up; load
        timeout 60 busybox nc -ll -p 49000 -e true & sleep 0.3
        docker run -d --name c1 -p 80 busybox sleep 1000 >/dev/null
        echo "== first"; docker port c1 80/tcp | head -1; docker rename c1 d1; echo "== same"; docker port d1 80/tcp | head -1
        docker rm -f d1 >/dev/null; down"#);
    let first = part(&text, "first").trim();
    let number: u16 = first.rsplit(':').next().unwrap().parse().unwrap();
    if !reference() {
        assert!((49_001..=49_004).contains(&number), "{text}");
    }
    assert_eq!(part(&text, "same").trim(), first);
}

#[test]
fn prt_03_a_container_port_alone() {
    let text = run(r#"up; load; docker run -d --name c1 -p 80 busybox $server "$hello" >/dev/null
        P=$(docker port c1 80 | head -1); echo "== port"; echo "$P"; ready 127.0.0.1 ${P##*:}; docker rm -f c1 >/dev/null; down"#);
    has(part(&text, "port"), "0.0.0.0:");
}

#[test]
fn prt_04_both_families_lead_to_the_container() {
    let text = run(
        r#"up; load; docker network create --ipv6 --subnet 10.77.0.0/24 --subnet fd00:77::/64 both >/dev/null
        docker run -d --name four -p 8000:80 busybox $server "$hello" >/dev/null
        docker run -d --name both --network both -p 8001:80 busybox $server "$hello" >/dev/null
        docker run -d --name peer --network both busybox sleep 1000 >/dev/null
        ready 127.0.0.1 8000; ready 127.0.0.1 8001
        for p in 8000 8001; do for a in 127.0.0.1 203.0.113.1 ::1 2001:db8::1; do echo "== $p $a"; ./ask $a $p; done; done
        for p in 8000 8001; do for a in 203.0.113.1 2001:db8::1; do echo "== there $p $a"; there ./ask $a $p; done; done
        echo "== peer"; docker exec peer timeout 5 nc -w 3 2001:db8::1 8001 </dev/null
        echo "== itself"; docker exec both timeout 5 nc -w 3 2001:db8::1 8001 </dev/null
        docker rm -f four both peer >/dev/null; docker network rm both >/dev/null; echo "== after"; ss -Hltn; down"#,
    );
    for port in [8000, 8001] {
        for address in ["127.0.0.1", "203.0.113.1", "::1", "2001:db8::1"] {
            has(part(&text, &format!("{port} {address}")), "hello");
        }
        let there = part(&text, &format!("there {port} 203.0.113.1"));
        has(there, "hello");
        has(there, NEIGHBOUR);
        has(part(&text, &format!("there {port} 2001:db8::1")), "hello");
    }
    if !reference() {
        has(part(&text, "there 8001 2001:db8::1"), NEIGHBOUR6);
        has(part(&text, "itself"), "hello");
        has(part(&text, "peer"), "hello");
    }
    lacks(part(&text, "after"), ":800");
}

#[test]
fn prt_05_on_one_address_only() {
    let text = run(r#"up; load
        docker run -d --name c1 -p 127.0.0.1:8000:80 -p 203.0.113.1:8001:80 busybox $server "$hello" >/dev/null
        ready 127.0.0.1 8000; ready 203.0.113.1 8001
        echo "== here"; ./ask 203.0.113.1 8000; ./ask 127.0.0.1 8001
        echo "== there"; there ./ask 203.0.113.1 8000; there ip route add 127.0.0.0/8 via 203.0.113.1 table local
        there sysctl -qw net.ipv4.conf.eth0.route_localnet=1; sysctl -qw net.ipv4.conf.up0.route_localnet=1
        there ip route del local 127.0.0.0/8 dev lo table local; there ip route add 127.0.0.1/32 via 203.0.113.1 src 203.0.113.2
        there ./ask 127.0.0.1 8000
        echo "== open"; there ./ask 203.0.113.1 8001; docker rm -f c1 >/dev/null; down"#);
    has(part(&text, "here"), "refused 203.0.113.1 8000");
    has(part(&text, "here"), "refused 127.0.0.1 8001");
    has(part(&text, "there"), "refused 203.0.113.1 8000");
    if !reference() {
        // A neighbour that sends to our loopback gets nothing either.
        has(part(&text, "there"), "refused 127.0.0.1 8000");
    }
    has(part(&text, "open"), "hello");
}

#[test]
fn prt_06_a_random_port_of_one_address() {
    let text = run(r#"up; load; docker run -d --name c1 -p 127.0.0.1::80 -p '[::1]::81' busybox sleep 1000 >/dev/null
        echo "== port"; docker port c1; docker rm -f c1 >/dev/null; down"#);
    has(part(&text, "port"), "80/tcp -> 127.0.0.1:");
    has(part(&text, "port"), "81/tcp -> [::1]:");
}

#[test]
fn prt_07_an_address_and_a_container_port() {
    if reference() {
        return;
    }
    let text =
        run(r#"up; load; bin/gantry -H $DOCKER_HOST run -d --name c1 -p 127.0.0.1:80 busybox sleep 1000 >/dev/null
        echo "== port"; docker port c1; docker rm -f c1 >/dev/null
        echo "== stock"; docker run -d -p 127.0.0.1:80 busybox true 2>&1; down"#);
    has(part(&text, "port"), "80/tcp -> 127.0.0.1:");
    has(part(&text, "stock"), "invalid hostPort: 127.0.0.1");
}

#[test]
fn prt_09_without_an_address_on_all() {
    let text = run(r#"up --ip 203.0.113.1; load; docker run -d --name c1 -p 8000:80 busybox sleep 1000 >/dev/null
        echo "== one"; ss -Hltn; docker rm -f c1 >/dev/null; down
        up; docker run -d --name c1 -p 8000:80 busybox sleep 1000 >/dev/null; echo "== all"; ss -Hltn; docker rm -f c1 >/dev/null
        docker network create -o com.docker.network.bridge.host_binding_ipv4=127.0.0.1 n >/dev/null
        docker run -d --name c1 --network n -p 8000:80 busybox sleep 1000 >/dev/null; echo "== network"; ss -Hltn
        docker rm -f c1 >/dev/null; docker network rm n >/dev/null; down"#);
    has(part(&text, "one"), "203.0.113.1:8000");
    lacks(part(&text, "one"), "0.0.0.0:8000");
    has(part(&text, "all"), "0.0.0.0:8000");
    has(part(&text, "all"), "[::]:8000");
    has(part(&text, "network"), "127.0.0.1:8000");
    lacks(part(&text, "network"), "[::]:8000");
}

#[test]
fn prt_10_and_prt_16_all_views_agree() {
    let text = run(PRT_16);
    agree(&text);
}

#[test]
fn prt_16_ps_inspect_and_port_agree() {
    let text = run(PRT_16);
    agree(&text);
}

const PRT_16: &str = r#"up; load
docker run -d --name c1 -p 127.0.0.1:8000:80 -p 8001:81/udp -p 82 --expose 83 busybox sleep 1000 >/dev/null
echo "== port"; docker port c1; docker port c1 80; echo "== ps"; docker ps --format '{{.Ports}}'
echo "== inspect"; docker inspect -f '{{json .NetworkSettings.Ports}}' c1; docker rm -f c1 >/dev/null; down"#;

fn agree(text: &str) {
    has(part(text, "port"), "80/tcp -> 127.0.0.1:8000\n");
    has(part(text, "port"), "81/udp -> 0.0.0.0:8001\n");
    has(part(text, "ps"), "127.0.0.1:8000->80/tcp");
    has(part(text, "ps"), "0.0.0.0:8001->81/udp");
    has(part(text, "ps"), "83/tcp");
    let shown = part(text, "inspect").lines().next().unwrap();
    let ports: serde_json::Value = serde_json::from_str(shown).unwrap();
    assert_eq!(ports["80/tcp"][0], serde_json::json!({"HostIp": "127.0.0.1", "HostPort": "8000"}));
    assert_eq!(ports["81/udp"][0], serde_json::json!({"HostIp": "0.0.0.0", "HostPort": "8001"}));
    let random = ports["82/tcp"][0]["HostPort"].as_str().unwrap();
    has(part(text, "ps"), &format!("0.0.0.0:{random}->82/tcp"));
    has(part(text, "port"), &format!("82/tcp -> 0.0.0.0:{random}\n"));
    assert!(ports["83/tcp"].as_array().is_none_or(Vec::is_empty), "{text}");
}

#[test]
fn prt_11_several_at_once_and_ranges() {
    let text = run(r#"up; load
        docker run -d --name c1 -p 8000-8002:80-82 -p 9000-9005:90 -p 9001:91/udp -p 9100:80 busybox $server "$hello" >/dev/null
        ready 127.0.0.1 8000; ready 127.0.0.1 9100
        echo "== first"; docker port c1
        docker run -d --name d1 -p 9000-9005:90 busybox sleep 1000 >/dev/null; echo "== second"; docker port d1
        echo "== bad"; docker run -d -p 8000-8002:80-81 busybox true 2>&1
        echo "== full"; docker run --name e1 -d -p 9000-9001:90 busybox true 2>&1; docker rm -f c1 d1 e1 >/dev/null; down"#);
    for line in ["80/tcp -> 0.0.0.0:8000", "81/tcp -> 0.0.0.0:8001", "82/tcp -> 0.0.0.0:8002", "90/tcp -> 0.0.0.0:9000"]
    {
        has(part(&text, "first"), line);
    }
    has(part(&text, "first"), "91/udp -> 0.0.0.0:9001");
    has(part(&text, "second"), "90/tcp -> 0.0.0.0:9001");
    has(part(&text, "bad"), "invalid ranges specified for container and host Ports");
    has(part(&text, "full"), "all ports are allocated");
}

#[test]
fn prt_12_a_listener_holds_the_port() {
    let text = run(r#"up; load; docker run -d --name c1 -p 8001:80 -p 8002:81/udp busybox sleep 1000 >/dev/null
        echo "== listeners"; ss -Hltunp | grep ':800[12]'
        echo "== taken"; timeout 5 busybox nc -l -p 8001 2>&1; docker rm -f c1 >/dev/null
        echo "== free"; timeout 1 busybox nc -l -p 8001 2>&1; down"#);
    let listeners = part(&text, "listeners");
    let owner = if reference() { "docker-proxy" } else { "dockerd" };
    assert!(listeners.lines().filter(|line| line.contains(":8001")).all(|line| line.contains(owner)), "{text}");
    assert_eq!(listeners.lines().filter(|line| line.starts_with("udp")).count(), 2, "{text}");
    has(part(&text, "taken"), "Address already in use");
    lacks(part(&text, "free"), "in use");
}

#[test]
fn prt_14_the_outside_sees_the_hosts_address() {
    let text = run(
        r#"up; load; docker network create --ipv6 --subnet 10.77.0.0/24 --subnet fd00:77::/64 both >/dev/null
        there busybox nc -ll -p 90 -e sh -c 'echo from $(cat /proc/net/tcp /proc/net/tcp6 | grep -v " 0A ")' & sleep 0.3
        echo "== default"; docker run --rm busybox timeout 5 nc -w 3 203.0.113.2 90 </dev/null
        echo "== six"; docker run --rm --network both busybox timeout 5 nc -w 3 2001:db8::2 90 </dev/null
        docker network create --ipv6 --subnet 10.78.0.0/24 --subnet fd00:78::/64 -o com.docker.network.bridge.enable_ip_masquerade=false bare >/dev/null
        there ip route add 10.78.0.0/24 via 203.0.113.1; there ip -6 route add fd00:78::/64 via 2001:db8::1
        echo "== bare"; docker run --rm --network bare busybox timeout 5 nc -w 3 203.0.113.2 90 </dev/null
        docker network rm both bare >/dev/null; down"#,
    );
    has(part(&text, "default"), "0000000000000000FFFF0000017100CB");
    has(part(&text, "bare"), "0000000000000000FFFF000002004E0A");
    if !reference() {
        has(part(&text, "six"), "B80D0120000000000000000001000000");
    }
}

#[test]
fn prt_15_a_port_in_use_is_refused_with_its_holder() {
    let text = run(r#"up; load; docker run -d --name web -p 8000:80 busybox sleep 1000 >/dev/null
        echo "== container"; docker run -d --name two -p 8000:80 busybox sleep 1000 2>&1; echo "exit $?"
        docker ps -a --filter name=two --format '{{.State}}'
        timeout 60 busybox nc -ll -p 8100 -e true & sleep 0.3
        echo "== process"; docker run -d --name three -p 8100:80 busybox sleep 1000 2>&1; echo "exit $?"
        docker rm -f web two three >/dev/null; echo "== left"; ss -Hltn | grep :8000; down"#);
    let container = part(&text, "container");
    has(container, "Bind for 0.0.0.0:8000 failed: port is already allocated");
    has(container, "exit 125\ncreated\n");
    let process = part(&text, "process");
    has(process, "address already in use");
    has(process, "exit 125");
    if !reference() {
        has(container, "(by container web)");
        has(process, "(by busybox (pid ");
    }
    lacks(part(&text, "left"), ":8000");
}

#[test]
fn prt_18_unpublished_ports_are_for_the_host_and_the_neighbours() {
    let text = run(r#"up; load; docker run -d --name c1 --expose 80 busybox $server "$hello" >/dev/null
        docker run -d --name pub -p 8000:80 busybox $server "$hello" >/dev/null
        A=$(docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' c1)
        B=$(docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' pub)
        ready $A 80; echo "== here"; ./ask $A 80; echo "== peer"; docker exec pub timeout 5 nc -w 3 $A 80 </dev/null
        there ip route add 172.16.0.0/12 via 203.0.113.1
        echo "== there"; there ./ask $A 80; there ./ask $B 80; docker rm -f c1 pub >/dev/null; down
        up --allow-direct-routing; docker run -d --name pub -p 8000:80 busybox $server "$hello" >/dev/null; ready 127.0.0.1 8000
        echo "== direct"; there ./ask $(docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' pub) 80
        docker rm -f pub >/dev/null; down"#);
    has(part(&text, "here"), "hello");
    has(part(&text, "peer"), "hello");
    lacks(part(&text, "there"), "hello");
    has(part(&text, "direct"), "hello");
}

#[test]
fn prt_11_ten_thousand_ports_are_elements_and_no_rules() {
    if reference() {
        // It starts a process and adds several rules for each.
        return;
    }
    let text = run(
        r#"up; load; echo "== before"; nft list ruleset 2>/dev/null | grep -c 'dnat\|masquerade\|accept\|drop'
        docker run -d --name many -p 127.0.0.1:20000-29999:20000-29999 busybox nc -ll -p 29999 -e echo hello >/dev/null
        echo "== after"; nft list ruleset 2>/dev/null | grep -v 'th dport [0-9]\|tcp dport [0-9]' | grep -c 'dnat\|masquerade\|accept\|drop'
        echo "== elements"; nft list ruleset 2>/dev/null | grep -o '127\.0\.0\.1 \. tcp \. [0-9]* :' | sort -u | wc -l
        ready 127.0.0.1 29999; docker rm -f many >/dev/null
        echo "== gone"; nft list ruleset 2>/dev/null | grep -c '127\.0\.0\.1 \. tcp'; ss -Hltn | grep -c ':2[0-9][0-9][0-9][0-9]'; down"#,
    );
    let number = |name: &str| part(&text, name).trim().to_owned();
    assert_eq!(number("before"), number("after"), "{text}");
    assert_eq!(number("elements"), "10000");
    assert_eq!(number("gone"), "0\n0");
}
