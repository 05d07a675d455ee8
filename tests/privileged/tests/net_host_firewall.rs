//! Published ports under the host's own input rules, and which rule it is that admits or drops.
#![allow(missing_docs)]

use privileged_tests::Engine;
use privileged_tests::machines::on_machines;
use privileged_tests::sandbox::{has, lacks};

/// Both are Gantry's own.
fn is_reference() -> bool {
    Engine::under_test() == Engine::Dockerd
}

/// A web server that says who asks, behind `--publish-policy host-firewall`, and `closed`: until the neighbour is shut out.
const GUARDED: &str = r#"up --publish-policy host-firewall; images $BUSYBOX
$D run -d --name web -p 8000:80 busybox sh -c 'mkdir /www; echo hello >/www/index.html; exec httpd -f -vv -h /www' >/dev/null
shut() { ! from 10.99.0.1:8000; }
within 30 ask 127.0.0.1:8000 || exit 8
"#;

#[test]
fn published_ports_obey_rules_of_iptables() {
    if is_reference() {
        return;
    }
    let text = on_machines(&format!(
        r#"iptables -P INPUT DROP; iptables -A INPUT -i lo -j ACCEPT
        iptables -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
        iptables -N user-input; iptables -A INPUT -j user-input
        iptables -A INPUT -m limit --limit 3/min -m comment --comment told -j LOG; iptables -A INPUT -j REJECT
        {GUARDED}
        say 'default deny' within 30 shut; say 'this machine' ask 10.99.0.1:8000
        iptables -A user-input -p tcp --dport 8000 -j ACCEPT; say allowed within 30 from 10.99.0.1:8000
        $D logs web 2>&1 | grep -o '10.99.0.2' | head -1
        iptables -F user-input; say 'denied again' within 30 shut
        iptables -A user-input -p tcp -m multiport --dports 443,8000 -j ACCEPT; say 'by an extension' within 30 from 10.99.0.1:8000
        say outwards $D exec web ping -c 1 -W 3 10.99.0.2
        nft list tables | grep -c gantry_docker0_; down
        up; say 'as in Docker' within 30 from 10.99.0.1:8000; iptables -F; nft list tables | grep -c gantry_docker0_; down"#
    ));
    has(&text, "default deny: yes\nthis machine: yes\nallowed: yes\n10.99.0.2\ndenied again: yes\n");
    has(&text, "by an extension: yes\noutwards: yes\n2\nas in Docker: yes\n0\n");
}

#[test]
fn published_ports_obey_rules_of_nft() {
    if is_reference() {
        return;
    }
    let text = on_machines(&format!(
        r#"cat >rules <<'END'
table inet fw {{
  set open {{ type inet_service; flags interval; elements = {{ 7000-7010 }}; }}
  chain far {{ tcp dport @open accept; meta l4proto {{ tcp, udp }} th dport 9000 accept; }}
  chain input {{ type filter hook input priority 0; policy drop;
    ct state vmap {{ established : accept, related : accept, invalid : drop }}
    iifname vmap {{ "lo" : accept, "cable" : jump far }}
  }}
}}
END
        nft -f rules; {GUARDED}
        say 'default deny' within 30 shut
        nft add element inet fw open '{{ 8000 }}'; say 'an element more' within 30 from 10.99.0.1:8000
        nft flush set inet fw open; say 'an element less' within 30 shut
        nft delete table inet fw; say 'no rules' within 30 from 10.99.0.1:8000
        nft delete table inet gantry_docker0_passed; say 'copies are put back' within 30 from 10.99.0.1:8000
        nft add table ip q; nft add quota ip q small '{{ over 1 mbytes }}'
        nft add chain ip q input '{{ type filter hook input priority 0; }}'; nft add rule ip q input quota name small drop
        say 'shut when in doubt' within 30 shut; say 'this machine' ask 127.0.0.1:8000
        grep -c 'ip q input (objref)' log; nft delete table ip q; say 'open again' within 30 from 10.99.0.1:8000; down"#
    ));
    for what in [
        "default deny",
        "an element more",
        "an element less",
        "no rules",
        "copies are put back",
        "shut when in doubt",
        "this machine",
        "open again",
    ] {
        has(&text, &format!("{what}: yes\n"));
    }
    has(&text, "this machine: yes\n1\n");
}

#[test]
fn explain_names_the_rule_that_admits_or_drops() {
    if is_reference() {
        return;
    }
    let text = on_machines(
        r#"up; images $BUSYBOX; serve web -p 8000:80; within 30 from 10.99.0.1:8000
        there_is() { iptables -nL DOCKER-USER; }; within 30 there_is
        explain() { timeout 60 bin/gantry firewall explain "$@"; }
        explain 8000 --from 10.99.0.2; echo; explain 8000 --from 127.0.0.1; echo
        iptables -I DOCKER-USER -i cable -s 10.99.0.2 -j DROP; explain 8000 --from 10.99.0.2; explain 8000 --from 10.99.0.3 | head -1; echo
        iptables -F DOCKER-USER; iptables -A DOCKER-USER -m helper --helper ftp -j DROP; explain 8000 --from 10.99.0.2; echo
        iptables -A INPUT -p tcp --dport 22 -j REJECT; explain 22 --from 10.99.0.2; explain 23 --from 10.99.0.2; echo
        explain 8000 --from 10.99.0.2 --format json; explain 0; explain 8000 --from nowhere; down"#,
    );
    has(
        &text,
        "tcp/8000 to 10.99.0.1 from cable: admitted\npublished: leads to 172.17.0.2:80\n  prerouting: inet gantry_docker0 prerouting: ",
    );
    has(&text, "  forward: inet gantry_docker0 forward: ");
    has(&text, "tcp/8000 to 127.0.0.1 from this machine: admitted\npublished: leads to 172.17.0.2:80\n");
    has(&text, "tcp/8000 to 10.99.0.1 from cable: dropped\n");
    has(&text, "  forward: ip filter DOCKER-USER: iifname \"cable\" ip saddr 10.99.0.2 drop: drops\n");
    has(&text, "admitted, unless a rule below that may match says otherwise\n");
    has(&text, "ip filter DOCKER-USER: -m helper drop: may match\n");
    has(
        &text,
        "tcp/22 to 10.99.0.1 from cable: dropped\nno container publishes it: it is for the host itself\n  input: ip filter INPUT: l4proto tcp dport 22 -j REJECT: drops\n",
    );
    has(&text, "tcp/23 to 10.99.0.1 from cable: admitted\n");
    has(&text, r#""Verdict":"admitted""#);
    has(&text, "invalid port \"0\"");
    has(&text, "invalid IP address \"nowhere\"");
    lacks(&text, "not within time");
}
