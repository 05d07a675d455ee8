//! The embedded name server, question by question: what it knows, what it asks others, and what nobody else hears.

use std::net::IpAddr;

use privileged_tests::names::{
    A, AAAA, ANY, Answer, MX, NOERROR, NXDOMAIN, PTR, SERVFAIL, TXT, ask, ask_by_connection, query, query_with_edns,
    reversed,
};
use privileged_tests::{Daemon, Isolated, until};

const HOST_SERVER: &str = "127.0.0.53";

/// Makes a network; gives its name.
fn network(daemon: &Daemon, options: &[&str]) -> String {
    let name = daemon.name("net");
    daemon.docker(&[&["network", "create"], options, &[&name]].concat()).exits(0);
    name
}

/// A container that does nothing: its name and its process.
fn sleeper(daemon: &Daemon, options: &[&str]) -> (String, u32) {
    let name = daemon.name("ctr");
    daemon.docker(&[&["run", "-d", "--name", &name], options, &["busybox", "sleep", "1000"]].concat()).exits(0);
    let pid = daemon.container_pid(&name);
    (name, pid)
}

fn address(daemon: &Daemon, container: &str) -> String {
    daemon.inspect(container, "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")
}

fn says(answer: &Answer, code: u8, data: &[&str]) {
    assert_eq!((answer.code(), answer.data()), (code, data.iter().map(|&text| text.to_owned()).collect()));
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn net_34_every_name_of_a_container_has_its_address_and_no_other_hears_it() {
    let engine = Isolated::start(&[HOST_SERVER]);
    let server = engine.server(HOST_SERVER, |asked| asked.answer(NOERROR, &[ip("192.0.2.66")]));
    let daemon = &engine.daemon;
    let net = network(daemon, &[]);
    let (db, _) = sleeper(daemon, &["--network", &net, "--network-alias", "store", "-h", "box"]);
    let (_, web) = sleeper(daemon, &["--network", &net]);
    let (at, id) = (address(daemon, &db), daemon.inspect(&db, "{{.Id}}"));
    let mut names = vec![
        db.clone(),
        format!("{db}.{net}"),
        id[..12].to_owned(),
        "store".to_owned(),
        "STORE".to_owned(),
        format!("store.{net}"),
    ];
    if !daemon.is_reference() {
        // Newer than 20.10.
        names.extend(["box".to_owned(), format!("box.{net}")]);
    }
    for name in &names {
        says(&ask(web, &query(name, A)), NOERROR, &[&at]);
        says(&ask_by_connection(web, &query(name, A)), NOERROR, &[&at]);
        // There is nothing of that kind, and nobody else is asked for it.
        says(&ask(web, &query(name, AAAA)), NOERROR, &[]);
        says(&ask(web, &query(name, MX)), NOERROR, &[]);
        if !daemon.is_reference() {
            says(&ask(web, &query(name, TXT)), NOERROR, &[]);
            says(&ask(web, &query(name, ANY)), NOERROR, &[&at]);
        }
    }
    says(&ask(web, &query(&reversed(&at), PTR)), NOERROR, &[&format!("{db}.{net}")]);
    let leaked: Vec<String> = server.asked().into_iter().map(|asked| asked.name).collect();
    assert!(daemon.is_reference() || leaked.is_empty(), "{leaked:?}");
    // A name that nobody here has is for the others, one word like several.
    for name in ["nobody", "www.example.com"] {
        says(&ask(web, &query(name, A)), NOERROR, &["192.0.2.66"]);
        assert!(server.heard(name));
    }
    // From another network nothing is seen.
    let (_, stranger) = sleeper(daemon, &["--network", &network(daemon, &[])]);
    says(&ask(stranger, &query("store", A)), NOERROR, &["192.0.2.66"]);
}

#[test]
fn net_34_several_behind_one_name_take_turns() {
    let daemon = Daemon::shared();
    let net = network(daemon, &[]);
    let all: Vec<(String, u32)> =
        (0..3).map(|_| sleeper(daemon, &["--network", &net, "--network-alias", "pool"])).collect();
    let mut addresses: Vec<String> = all.iter().map(|(name, _)| address(daemon, name)).collect();
    addresses.sort();
    let mut firsts = std::collections::BTreeSet::new();
    for _ in 0..60 {
        let mut data = ask(all[0].1, &query("pool", A)).data();
        firsts.insert(data[0].clone());
        data.sort();
        assert_eq!(data, addresses);
    }
    assert_eq!(firsts.len(), 3, "{firsts:?}");
    // Who stops is gone, who starts again is back.
    daemon.docker(&["stop", "-t", "0", &all[2].0]).exits(0);
    assert_eq!(ask(all[0].1, &query("pool", A)).data().len(), 2);
    daemon.docker(&["start", &all[2].0]).exits(0);
    assert_eq!(ask(all[0].1, &query("pool", A)).data().len(), 3);
    // A new name is a new name at once, and the old one is nobody's.
    let new = daemon.name("renamed");
    daemon.docker(&["rename", &all[1].0, &new]).exits(0);
    let at = address(daemon, &new);
    says(&ask(all[0].1, &query(&new, A)), NOERROR, &[&at]);
    assert_ne!(ask(all[0].1, &query(&format!("{}.{net}", all[1].0), A)).data(), [at]);
    for name in [&all[0].0, &new, &all[2].0] {
        daemon.docker(&["rm", "-f", name]).exits(0);
    }
    daemon.docker(&["network", "rm", &net]).exits(0);
}

#[test]
fn net_34_the_name_server_speaks_edns() {
    let daemon = Daemon::shared();
    let net = network(daemon, &[]);
    let (name, pid) = sleeper(daemon, &["--network", &net]);
    let at = address(daemon, &name);
    let answer = ask(pid, &query_with_edns(&name, A, 1232));
    says(&answer, NOERROR, &[&at]);
    assert!(daemon.is_reference() || answer.edns().is_some_and(|size| size >= 512));
    assert_eq!(ask(pid, &query(&name, A)).edns(), None);
    // What is no question is refused, or heard by nobody; the next one is answered.
    if !daemon.is_reference() {
        assert_eq!(ask(pid, &query(&name, A)[..14]).code(), 1);
    }
    says(&ask(pid, &query(&name, A)), NOERROR, &[&at]);
    daemon.docker(&["rm", "-f", &name]).exits(0);
    daemon.docker(&["network", "rm", &net]).exits(0);
}

#[test]
fn net_34_other_servers_answers_come_whole() {
    let engine = Isolated::start(&[HOST_SERVER]);
    let many: Vec<IpAddr> = (0..100).map(|number| IpAddr::from([192, 0, 2, number])).collect();
    let _server = engine.server(HOST_SERVER, move |asked| match asked.name.as_str() {
        "long.test" if asked.tcp => asked.answer(NOERROR, &many),
        "long.test" if asked.message.len() > 30 => asked.answer(NOERROR, &many),
        "long.test" => asked.truncated(),
        "gone.test" => asked.answer(NXDOMAIN, &[]),
        "six.test" => asked.answer(NOERROR, &[ip("2001:db8::6")]),
        "ill.test" => asked.answer(SERVFAIL, &[]),
        _ => None,
    });
    let daemon = &engine.daemon;
    let net = network(daemon, &[]);
    let (_, pid) = sleeper(daemon, &["--network", &net]);
    let cut = ask(pid, &query("long.test", A));
    assert!(cut.is_cut() && cut.data().is_empty());
    assert_eq!(ask_by_connection(pid, &query("long.test", A)).data().len(), 100);
    assert_eq!(ask(pid, &query_with_edns("long.test", A, 4096)).data().len(), 100);
    says(&ask(pid, &query("gone.test", A)), NXDOMAIN, &[]);
    says(&ask(pid, &query("six.test", AAAA)), NOERROR, &["2001:db8::6"]);
    assert_eq!(ask(pid, &query("ill.test", A)).code(), SERVFAIL);
    // Who gets no answer is told so before he has given up.
    if !daemon.is_reference() {
        assert_eq!(ask(pid, &query("silent.test", A)).code(), SERVFAIL);
    }
}

#[test]
fn net_34_the_next_server_is_asked_when_one_fails() {
    let engine = Isolated::start(&["127.0.0.61", "127.0.0.62", "127.0.0.63"]);
    let _ill = engine.server("127.0.0.61", |asked| asked.answer(SERVFAIL, &[]));
    let silent = engine.server("127.0.0.62", |_| None);
    let _well = engine.server("127.0.0.63", |asked| asked.answer(NOERROR, &[ip("192.0.2.3")]));
    let daemon = &engine.daemon;
    let (_, pid) = sleeper(daemon, &["--network", &network(daemon, &[])]);
    says(&ask(pid, &query("www.test", A)), NOERROR, &["192.0.2.3"]);
    assert!(silent.heard("www.test"));
    says(&ask_by_connection(pid, &query("tcp.test", A)), NOERROR, &["192.0.2.3"]);
    // A server that is not there is no obstacle either.
    engine.host_asks(&["127.0.0.99", "127.0.0.63"]);
    if !daemon.is_reference() {
        says(&ask(pid, &query("next.test", A)), NOERROR, &["192.0.2.3"]);
    }
}

#[test]
fn net_34_the_host_s_servers_are_those_of_now() {
    let engine = Isolated::start(&["127.0.0.61"]);
    let _old = engine.server("127.0.0.61", |asked| asked.answer(NOERROR, &[ip("192.0.2.1")]));
    let _new = engine.server("fd00:53::53", |asked| asked.answer(NOERROR, &[ip("192.0.2.2")]));
    let daemon = &engine.daemon;
    let (name, pid) = sleeper(daemon, &["--network", &network(daemon, &[])]);
    says(&ask(pid, &query("www.test", A)), NOERROR, &["192.0.2.1"]);
    let conf = daemon.docker(&["exec", &name, "cat", "/etc/resolv.conf"]).stdout;
    assert!(conf.contains("nameserver 127.0.0.11\n") && !conf.contains("nameserver 127.0.0.61"), "{conf}");
    // Another server, by IPv6; the container need not start again.
    engine.host_asks(&["fd00:53::53"]);
    if daemon.is_reference() {
        daemon.docker(&["restart", "-t", "0", &name]).exits(0);
        return;
    }
    says(&ask(pid, &query("www.test", A)), NOERROR, &["192.0.2.2"]);
    says(&ask_by_connection(pid, &query("www.test", A)), NOERROR, &["192.0.2.2"]);
    // None at all: that is said.
    engine.host_asks(&[]);
    assert_eq!(ask(pid, &query("www.test", A)).code(), SERVFAIL);
}

#[test]
fn net_46_servers_of_the_container_are_asked_from_its_own_place() {
    let engine = Isolated::start(&[HOST_SERVER]);
    let daemon = &engine.daemon;
    let host = engine.server(HOST_SERVER, |asked| asked.answer(NOERROR, &[ip("192.0.2.66")]));
    let net = network(daemon, &["--subnet", "10.98.0.0/24", "--gateway", "10.98.0.1"]);
    let own = engine.server("10.98.0.1", |asked| asked.answer(NOERROR, &[ip("192.0.2.77")]));
    let dns = own.address().to_string();
    let (name, pid) = sleeper(daemon, &["--network", &net, "--dns", &dns]);
    says(&ask(pid, &query("www.test", A)), NOERROR, &["192.0.2.77"]);
    says(&ask_by_connection(pid, &query("www.test", A)), NOERROR, &["192.0.2.77"]);
    let at = address(daemon, &name);
    let peers: Vec<String> = own.asked().iter().map(|asked| asked.peer.to_string()).collect();
    assert!(peers.len() >= 2 && peers.iter().all(|peer| *peer == at), "{peers:?}");
    assert!(host.asked().is_empty());
    let conf = daemon.docker(&["exec", &name, "cat", "/etc/resolv.conf"]).stdout;
    assert!(conf.contains("nameserver 127.0.0.11\n"), "{conf}");
    assert!(daemon.is_reference() || conf.contains("# ExtServers: [10.98.0.1]\n"), "{conf}");
}

#[test]
fn net_46_a_word_is_for_the_search_domains_where_ndots_says_so() {
    let engine = Isolated::start(&[HOST_SERVER]);
    let daemon = &engine.daemon;
    let server = engine.server(HOST_SERVER, |asked| asked.answer(NOERROR, &[ip("192.0.2.66")]));
    let net = network(daemon, &[]);
    let options =
        ["--network", &net, "--dns-option", "ndots:1", "--dns-option", "timeout:3", "--dns-search", "corp.test"];
    let (name, pid) = sleeper(daemon, &options);
    says(&ask(pid, &query("word", A)), NOERROR, &[]);
    says(&ask(pid, &query("word", AAAA)), NOERROR, &[]);
    assert!(!server.heard("word"));
    if !daemon.is_reference() {
        // 20.10 asks a server on the host's loopback from inside the container when there are options.
        says(&ask(pid, &query("word.corp.test", A)), NOERROR, &["192.0.2.66"]);
    }
    let conf = daemon.docker(&["exec", &name, "cat", "/etc/resolv.conf"]).stdout;
    assert!(conf.contains("\nsearch corp.test\n") && conf.contains("\noptions ndots:1 timeout:3\n"), "{conf}");
    // The same where the host says it.
    engine.host_file(&format!("nameserver {HOST_SERVER}\noptions ndots:2\n"));
    let (_, pid) = sleeper(daemon, &["--network", &net]);
    says(&ask(pid, &query("second", A)), NOERROR, &[]);
    assert!(!server.heard("second"));
}

#[test]
fn net_26_an_internal_network_has_names_and_asks_nobody_outside() {
    let engine = Isolated::start(&[HOST_SERVER]);
    let daemon = &engine.daemon;
    let server = engine.server(HOST_SERVER, |asked| asked.answer(NOERROR, &[ip("192.0.2.66")]));
    let net = network(daemon, &["--internal", "--subnet", "10.97.0.0/24"]);
    let (db, _) = sleeper(daemon, &["--network", &net]);
    let (web, pid) = sleeper(daemon, &["--network", &net]);
    let at = address(daemon, &db);
    says(&ask(pid, &query(&db, A)), NOERROR, &[&at]);
    if daemon.is_reference() {
        return;
    }
    assert_eq!(ask(pid, &query("www.test", A)).code(), SERVFAIL);
    assert!(!server.heard("www.test"));
    // A server that is itself on the network may be asked: the container reaches it without our help.
    let (inside, inside_pid) = sleeper(daemon, &["--network", &net]);
    let inner = privileged_tests::names::Server::start(inside_pid, ip(&address(daemon, &inside)), |asked| {
        asked.answer(NOERROR, &[ip("192.0.2.99")])
    });
    let dns = inner.address().to_string();
    let (_, pid) = sleeper(daemon, &["--network", &net, "--dns", &dns]);
    says(&ask(pid, &query("www.test", A)), NOERROR, &["192.0.2.99"]);
    // With a way to the outside the host's are asked, and without it no longer.
    let out = network(daemon, &[]);
    let web_pid = daemon.container_pid(&web);
    daemon.docker(&["network", "connect", &out, &web]).exits(0);
    says(&ask(web_pid, &query("www.test", A)), NOERROR, &["192.0.2.66"]);
    daemon.docker(&["network", "disconnect", &out, &web]).exits(0);
    assert_eq!(ask(web_pid, &query("other.test", A)).code(), SERVFAIL);
}

#[test]
fn net_34_names_are_those_of_all_networks_and_follow_connect() {
    let daemon = Daemon::shared();
    let (one, two) = (network(daemon, &[]), network(daemon, &[]));
    let (front, pid) = sleeper(daemon, &["--network", &one]);
    let (back, _) = sleeper(daemon, &["--network", &two]);
    let at = address(daemon, &back);
    daemon.docker(&["network", "connect", "--alias", "gate", &two, &front]).exits(0);
    says(&ask(pid, &query(&back, A)), NOERROR, &[&at]);
    says(&ask(pid, &query(&format!("{back}.{two}"), A)), NOERROR, &[&at]);
    let (_, other) = sleeper(daemon, &["--network", &two]);
    assert_eq!(ask(other, &query("gate", A)).data().len(), 1);
    daemon.docker(&["network", "disconnect", &two, &front]).exits(0);
    let gone = until("the name is gone", 30, || {
        let answer = ask(pid, &query(&back, A));
        (answer.data() != [at.clone()]).then_some(answer)
    });
    assert!(gone.data().is_empty() || gone.data() != [at]);
    let listed = daemon.docker(&["ps", "-aq", "--filter", &format!("network={one}")]).stdout;
    let more = daemon.docker(&["ps", "-aq", "--filter", &format!("network={two}")]).stdout;
    let all: Vec<&str> = listed.split_whitespace().chain(more.split_whitespace()).collect();
    daemon.docker(&[&["rm", "-f"], all.as_slice()].concat()).exits(0);
    daemon.docker(&["network", "rm", &one, &two]).exits(0);
}
