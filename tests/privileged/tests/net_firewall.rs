//! Rows NET-48, NET-49, NET-55, NET-56, NET-57, PRT-13, DMN-17, DMN-18, DMN-20: the firewall as an administrator sees
//! it, with iptables and nft, each engine in a network namespace of its own.
#![allow(clippy::unwrap_used, missing_docs)]

use privileged_tests::Engine;
use privileged_tests::machines::on_machines;
use privileged_tests::sandbox::{Sandbox, has, lacks};

fn is_reference() -> bool {
    Engine::under_test() == Engine::Dockerd
}

#[test]
fn prt_13_iptables_shows_published_ports_and_masqueraded_subnets() {
    let text = on_machines(
        r#"up; images $BUSYBOX; serve web -p 8000:80
        ip=$($D inspect -f '{{.NetworkSettings.IPAddress}}' web); echo "web has $ip"
        shown() { iptables -t nat -nL DOCKER | grep -q "dpt:8000 to:$ip:80"; }
        within 30 shown; iptables -t nat -nL DOCKER | grep dpt:8000; iptables -t nat -S POSTROUTING
        $D network create mine >/dev/null; subnet=$($D network inspect -f '{{(index .IPAM.Config 0).Subnet}}' mine)
        masked() { iptables -t nat -S POSTROUTING | grep -q -- "-s $subnet ! -o br-"; }
        within 30 masked; echo "mine is masqueraded"
        $D rm -f web >/dev/null; gone() { ! shown; }; within 30 gone
        $D network rm mine >/dev/null; unmasked() { ! masked; }; within 30 unmasked
        echo "both gone"; down"#,
    );
    has(&text, "tcp dpt:8000 to:172.17.0.2:80");
    has(&text, "DNAT ");
    has(&text, "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE");
    has(&text, "mine is masqueraded\n");
    has(&text, "both gone\n");
    lacks(&text, "not within time");
}

#[test]
fn net_55_the_user_chain_is_there_and_a_drop_in_it_wins() {
    let text = on_machines(
        r#"up; images $BUSYBOX; there_is() { iptables -t filter -nL DOCKER-USER >/dev/null 2>&1 && iptables -t nat -nL DOCKER >/dev/null 2>&1; }; within 30 there_is
        iptables -t nat -L -n | grep '^Chain DOCKER'; iptables -t filter -L DOCKER-USER -n | head -1
        iptables -S FORWARD | grep -- '-[AI]' | head -1
        serve web -p 8000:80; within 30 ask 10.99.0.1:8000
        say before from 10.99.0.1:8000
        iptables -I DOCKER-USER -i cable -s 10.99.0.2 -j DROP; say dropped from 10.99.0.1:8000
        down; up; within 30 there_is; iptables -S DOCKER-USER
        iptables -S FORWARD | grep -- '-[AI]' | head -1
        $D start web >/dev/null; within 30 ask 10.99.0.1:8000; say 'after a restart' from 10.99.0.1:8000
        iptables -D DOCKER-USER -i cable -s 10.99.0.2 -j DROP; within 30 from 10.99.0.1:8000 && say allowed from 10.99.0.1:8000
        down"#,
    );
    has(&text, "Chain DOCKER (");
    has(&text, "Chain DOCKER-USER (1 references)");
    assert_eq!(text.matches("-A FORWARD -j DOCKER-USER\n").count(), 2, "{text}");
    has(&text, "before: yes\ndropped: no\n");
    has(&text, "-A DOCKER-USER -s 10.99.0.2/32 -i cable -j DROP");
    has(&text, "after a restart: no\nallowed: yes\n");
    lacks(&text, "not within time");
}

#[test]
fn net_55_what_lets_bridges_through_comes_behind_the_user_chain() {
    if is_reference() {
        // Its own rules follow the user chain as well, in other words.
        return;
    }
    let text = on_machines(
        r#"iptables -P FORWARD DROP; up; images $BUSYBOX
        through() { iptables -S FORWARD | grep -q -- '-i docker0 .*ACCEPT'; }; within 30 through; iptables -S FORWARD
        $D network create mine >/dev/null
        more() { [ $(iptables -S FORWARD | grep -c ACCEPT) = 4 ]; }; within 30 more; iptables -S FORWARD | sed -n 2p; down"#,
    );
    has(&text, "-P FORWARD DROP\n-A FORWARD -j DOCKER-USER\n");
    assert_eq!(text.matches("-A FORWARD -j DOCKER-USER\n").count(), 2, "{text}");
    lacks(&text, "not within time");
}

#[test]
fn net_56_flushed_rules_do_not_stop_containers() {
    let text = on_machines(
        r#"up; images $BUSYBOX; serve web -p 8000:80; serve two; within 30 ask 10.99.0.1:8000
        ip=$($D inspect -f '{{.NetworkSettings.IPAddress}}' web)
        iptables -F; iptables -P FORWARD ACCEPT
        say neighbour $D exec two sh -c "$GET" $ip 80
        say published within 30 from 10.99.0.1:8000; say local ask 127.0.0.1:8000
        down"#,
    );
    has(&text, "neighbour: yes\npublished: yes\nlocal: yes\n");
}

#[test]
fn net_56_rules_that_another_program_takes_are_put_back() {
    if is_reference() {
        // Only a restart brings its rules back.
        return;
    }
    let text = on_machines(
        r#"up; images $BUSYBOX; serve web -p 8000:80; within 30 from 10.99.0.1:8000
        there_is() { iptables -t filter -nL DOCKER-USER >/dev/null 2>&1; }
        nft flush ruleset; say 'all flushed' within 30 from 10.99.0.1:8000; say 'user chain' within 30 there_is
        table=$(nft list tables | grep -o '[^ ]* gantry_docker0'); echo "table $table"
        nft delete table $table; say 'table deleted' within 30 from 10.99.0.1:8000
        nft flush table $table; say 'rules flushed' within 30 from 10.99.0.1:8000
        shown() { iptables -t nat -nL DOCKER | grep -q "dpt:8000"; }
        iptables -t nat -F; say 'view again' within 30 shown
        iptables-save >saved; iptables-restore <saved; within 30 shown; iptables -t nat -S DOCKER | grep -c 8000
        $D rm -f web >/dev/null; gone() { ! shown; }; say 'restored copies go' within 30 gone
        down; grep -c 'another program' log"#,
    );
    for what in ["all flushed", "user chain", "table deleted", "rules flushed", "view again", "restored copies go"] {
        has(&text, &format!("{what}: yes\n"));
    }
    // One copy of the rule, and one line in the log, however often it happened.
    has(&text, "view again: yes\n1\n");
    has(&text, "restored copies go: yes\n1\n");
}

#[test]
fn net_57_forwarding_is_on_while_the_daemon_runs() {
    let text =
        Sandbox::new().run(r#"sysctl -qw net.ipv4.ip_forward=0; up; sysctl -n net.ipv4.conf.all.forwarding; down"#);
    assert_eq!(text, "1\n");
}

#[test]
fn dmn_20_the_daemon_switches_forwarding_on_unless_told_not_to() {
    let text = Sandbox::new().run(
        r#"sysctl -qw net.ipv4.ip_forward=0; up --ip-forward=false; sysctl net.ipv4.ip_forward; down
        up; sysctl net.ipv4.ip_forward; down; sysctl net.ipv4.ip_forward"#,
    );
    let [off, on] = [0, 1].map(|value| format!("net.ipv4.ip_forward = {value}\n"));
    assert_eq!(text, format!("{off}{on}{on}"));
}

#[test]
fn net_49_without_forwarding_nothing_gets_out() {
    let text = on_machines(
        r#"up; images $BUSYBOX; out() { $D run --rm busybox ping -c 1 -W 3 10.99.0.2; }
        say on out; sysctl -qw net.ipv4.ip_forward=0; say off out; sysctl -qw net.ipv4.ip_forward=1; say 'on again' out; down"#,
    );
    has(&text, "on: yes\noff: no\non again: yes\n");
}

#[test]
fn net_48_links_open_what_icc_shuts() {
    let text = on_machines(
        r#"up --icc=false; images $BUSYBOX; serve web --expose 80; $D run -d --name two --link web:w busybox sleep 1000 >/dev/null
        say linked within 30 $D exec two sh -c "$GET" w 80
        say 'not the other way' $D exec web ping -c 1 -W 2 $($D inspect -f '{{.NetworkSettings.IPAddress}}' two)
        $D restart -t 1 web >/dev/null; say 'after a restart' within 30 $D exec two sh -c "$GET" w 80; down"#,
    );
    has(&text, "linked: yes\nnot the other way: no\nafter a restart: yes\n");
}

#[test]
fn links_are_open_after_the_daemon_was_killed() {
    if is_reference() {
        // Its containers end with it unless it is told otherwise.
        return;
    }
    let text = on_machines(
        r#"up --icc=false; images $BUSYBOX; serve web --expose 80
        $D run -d --name two --link web:w busybox sleep 1000 >/dev/null
        say before within 30 $D exec two sh -c "$GET" w 80
        kill -9 $P; wait $P; up --icc=false
        say after within 30 $D exec two sh -c "$GET" w 80
        permits() { nft list set inet gantry_docker0 linked | grep -c elements; }
        permits; $D rm -f web two >/dev/null; permits; down"#,
    );
    has(&text, "before: yes\nafter: yes\n1\n0\n");
}

#[test]
fn dmn_17_without_icc_only_links_connect() {
    let text = on_machines(
        r#"up --icc=false; images $BUSYBOX; serve web --expose 80; ip=$($D inspect -f '{{.NetworkSettings.IPAddress}}' web)
        within 30 ask $ip
        say ping $D run --rm busybox ping -c 1 -W 2 $ip
        say connect $D run --rm busybox sh -c "$GET" $ip 80
        say linked $D run --rm --link web:w busybox sh -c "$GET" w 80
        say 'another port' $D run --rm --link web:w busybox sh -c "$GET" w 81
        $D network create mine >/dev/null
        serve other --network mine; within 30 $D exec other sh -c "$GET" 127.0.0.1 80
        say 'own network' $D run --rm --network mine busybox sh -c "$GET" other 80
        down"#,
    );
    has(&text, "ping: no\nconnect: no\nlinked: yes\nanother port: no\nown network: yes\n");
}

#[test]
fn dmn_18_without_iptables_no_rule_is_made() {
    let text = on_machines(
        r#"up --iptables=false; images $BUSYBOX; $D run -d --name one busybox sleep 1000 >/dev/null
        $D network create mine >/dev/null
        nft list ruleset; iptables -S; iptables -t nat -S; say 'the host' $D exec one ping -c 1 -W 3 172.17.0.1
        serve web -p 8000:80; say 'by the proxy' within 30 from 10.99.0.1:8000; nft list ruleset; iptables -t nat -S; down"#,
    );
    for word in ["DOCKER", "gantry", "MASQUERADE", "DNAT"] {
        lacks(&text, word);
    }
    has(&text, "the host: yes\nby the proxy: yes\n");
}

#[test]
fn dmn_18_a_daemon_without_iptables_leaves_nothing_of_one_with() {
    if is_reference() {
        // It leaves all its rules where they are.
        return;
    }
    let text = on_machines(
        r#"up --publish-policy host-firewall; images $BUSYBOX; serve web -p 8000:80; within 30 from 10.99.0.1:8000
        within 30 eval 'iptables -t nat -S | grep -q MASQUERADE'; down; up --iptables=false
        echo '--- now'; nft list ruleset; iptables -t nat -S; down"#,
    );
    let now = text.split("--- now").nth(1).unwrap();
    for word in ["gantry", "MASQUERADE", "DNAT"] {
        lacks(now, word);
    }
}

#[test]
fn net_56_repair_puts_back_bridges_switches_and_rules() {
    if is_reference() {
        // A command of Gantry's own.
        return;
    }
    let text = on_machines(
        r#"up; images $BUSYBOX; $D network create mine >/dev/null; bridge=br-$($D network ls -qf name=mine)
        serve web -p 8000:80; serve other --network mine -p 8001:80; within 30 from 10.99.0.1:8000; within 30 from 10.99.0.1:8001
        repair() { timeout 60 bin/gantry network repair; echo "exit $?"; }
        repair; echo '--- broken'
        ip link del docker0; ip link set $bridge down; ip addr flush dev $bridge; sysctl -qw net.ipv4.ip_forward=0
        say lost from 10.99.0.1:8000; repair; repair
        say back within 30 from 10.99.0.1:8000; say 'also back' within 30 from 10.99.0.1:8001
        down"#,
    );
    let (before, after) = text.split_once("--- broken").unwrap();
    assert_eq!(before, "nothing was wrong\nexit 0\n");
    for line in
        ["docker0 was gone: put right\n", "net/ipv4/ip_forward was 0, not 1: put right\n", " was not on docker0"]
    {
        has(after, line);
    }
    has(after, "lacked its address ");
    has(after, "exit 0\nnothing was wrong\nexit 0\nback: yes\nalso back: yes\n");
}

#[test]
fn segments_fit_a_narrow_way_that_says_nothing() {
    if is_reference() {
        // It leaves this to the administrator.
        return;
    }
    let text = on_machines(
        r#"up --mtu 1500; images $BUSYBOX; ip link set cable mtu 1280
        # What would tell that packets are too large is lost.
        nft add table inet silent
        nft 'add chain inet silent out { type filter hook output priority 0; }'
        nft add rule inet silent out icmp type destination-unreachable drop
        $D run -d --name web -p 8000:80 busybox sh -c 'mkdir /www; head -c 300000 /dev/zero >/www/index.html; exec httpd -f -h /www' >/dev/null
        within 30 from 10.99.0.1:8000; from 10.99.0.1:8000 | wc -c
        down"#,
    );
    has(&text, "300000\n");
    lacks(&text, "not within time");
}
