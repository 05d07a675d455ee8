//! Links on the default bridge and on networks of users.

use privileged_tests::containers::{exec, remove};
use privileged_tests::{Client, Daemon, until};

/// A container that does nothing.
fn sleeper(daemon: &Daemon, client: &Client, stem: &str, options: &[&str]) -> String {
    let name = daemon.name(stem);
    client.run(&[&["run", "-d", "--name", &name], options, &["busybox", "sleep", "1000"]].concat()).exits(0);
    name
}

fn address(client: &Client, container: &str) -> String {
    client.run(&["inspect", "-f", "{{.NetworkSettings.IPAddress}}", container]).ok().to_owned()
}

#[test]
fn lnk_01_a_link_names_the_other() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let db = sleeper(daemon, &client, "db", &[]);
        let web = sleeper(daemon, &client, "web", &["--link", &format!("{db}:haha")]);
        assert!(exec(&client, &web, "ping -c 1 -W 5 haha").contains(&format!("({})", address(&client, &db))));
        remove(&client, &[&web, &db]);
    }
}

#[test]
fn lnk_02_the_linked_knows_nothing() {
    let daemon = Daemon::shared();
    let client = daemon.stock();
    let db = sleeper(daemon, &client, "db", &[]);
    let web = sleeper(daemon, &client, "web", &["--link", &format!("{db}:haha")]);
    assert!(!exec(&client, &db, "cat /etc/hosts").contains(&web));
    remove(&client, &[&web, &db]);
}

#[test]
fn lnk_03_hosts_has_alias_host_name_and_name() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let db = sleeper(daemon, &client, "db", &["-h", "dbhost"]);
        let web = sleeper(daemon, &client, "web", &["--link", &format!("{db}:haha")]);
        let line = format!("{}\thaha dbhost {db}\n", address(&client, &db));
        assert!(exec(&client, &web, "cat /etc/hosts").contains(&line));
        remove(&client, &[&web, &db]);
    }
}

#[test]
fn lnk_04_the_alias_may_be_left_out() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let db = sleeper(daemon, &client, "db", &[]);
        for link in [db.clone(), format!("{db}:{db}")] {
            let web = sleeper(daemon, &client, "web", &["--link", &link]);
            assert!(exec(&client, &web, &format!("ping -c 1 -W 5 {db}")).contains(&address(&client, &db)));
            remove(&client, &[&web]);
        }
        remove(&client, &[&db]);
    }
}

#[test]
fn lnk_05_inspect_shows_both_names() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let db = sleeper(daemon, &client, "db", &[]);
        let web = sleeper(daemon, &client, "web", &["--link", &format!("{db}:data")]);
        let shown = client.run(&["inspect", "-f", "{{ .HostConfig.Links }}", &web]);
        assert_eq!(shown.ok(), format!("[/{db}:/{web}/data]"));
        remove(&client, &[&web, &db]);
    }
}

#[test]
fn lnk_06_the_name_is_a_variable() {
    variables();
}

#[test]
fn lnk_07_ports_are_variables() {
    variables();
}

#[test]
fn lnk_08_the_environment_of_the_linked_is_passed_on() {
    variables();
}

fn variables() {
    let daemon = Daemon::shared();
    let client = daemon.stock();
    let db = sleeper(daemon, &client, "db", &["-e", "POSTGRES_PASSWORD=x y", "--expose", "5432", "--expose", "90/udp"]);
    let web = daemon.name("web");
    let seen = client.run(&["run", "--name", &web, "--link", &format!("{db}:my-db"), "busybox", "env"]);
    let at = address(&client, &db);
    for line in [
        format!("MY_DB_NAME=/{web}/my-db"),
        format!("MY_DB_PORT=udp://{at}:90"),
        format!("MY_DB_PORT_5432_TCP=tcp://{at}:5432"),
        format!("MY_DB_PORT_5432_TCP_ADDR={at}"),
        "MY_DB_PORT_5432_TCP_PORT=5432".to_owned(),
        "MY_DB_PORT_5432_TCP_PROTO=tcp".to_owned(),
        format!("MY_DB_PORT_90_UDP=udp://{at}:90"),
        "MY_DB_ENV_POSTGRES_PASSWORD=x y".to_owned(),
    ] {
        assert!(seen.lines().contains(&line.as_str()), "{line}\n{seen}");
    }
    assert!(!seen.stdout.contains("_ENV_PATH"), "{seen}");
    remove(&client, &[&web, &db]);
}

#[test]
fn ctr_53_link_variables_are_the_first_process_s_and_exec_s() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let db = sleeper(daemon, &client, "db", &["--expose", "5432"]);
        let web = sleeper(daemon, &client, "web", &["--link", &format!("{db}:db")]);
        let wanted = format!("DB_PORT=tcp://{}:5432", address(&client, &db));
        let first = exec(&client, &web, "tr '\\0' '\\n' < /proc/1/environ");
        assert!(first.lines().any(|line| line == wanted), "{first}");
        assert!(client.run(&["exec", &web, "env"]).lines().contains(&wanted.as_str()));
        // Whoever begins with an environment of its own, as a login does, sees none of it.
        assert!(!exec(&client, &web, "env -i /bin/sh -c env").contains("DB_PORT"));
        // They are no part of the configuration.
        assert!(!client.run(&["inspect", "-f", "{{.Config.Env}}", &web]).ok().contains("DB_PORT"));
        remove(&client, &[&web, &db]);
    }
}

#[test]
fn lnk_09_hosts_follows_a_restart() {
    let daemon = Daemon::shared();
    let client = daemon.stock();
    let db = sleeper(daemon, &client, "db", &["--expose", "5432"]);
    let web = sleeper(daemon, &client, "web", &["--link", &format!("{db}:db")]);
    let before = address(&client, &db);
    // Another takes the address meanwhile.
    client.run(&["stop", "-t", "0", &db]).exits(0);
    let mut thieves = Vec::new();
    let after = until("another address", 60, || {
        thieves.push(sleeper(daemon, &client, "thief", &[]));
        client.run(&["start", &db]).exits(0);
        let now = address(&client, &db);
        if now != before {
            return Some(now);
        }
        client.run(&["stop", "-t", "0", &db]).exits(0);
        None
    });
    until("the line follows", 30, || {
        exec(&client, &web, "cat /etc/hosts").contains(&format!("{after}\tdb ")).then_some(())
    });
    assert!(!exec(&client, &web, "cat /etc/hosts").contains(&format!("{before}\tdb ")));
    let first = exec(&client, &web, "tr '\\0' '\\n' < /proc/1/environ");
    assert!(first.contains(&format!("DB_PORT=tcp://{before}:5432")), "{first}");
    thieves.extend([web, db]);
    remove(&client, &thieves.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn lnk_10_linked_traffic_needs_no_published_port() {
    let daemon = Daemon::shared();
    let client = daemon.stock();
    let db = sleeper(daemon, &client, "db", &[]);
    let web = sleeper(daemon, &client, "web", &["--link", &format!("{db}:db")]);
    client.run(&["exec", "-d", &db, "sh", "-c", "while true; do echo hello | nc -l -p 5432; done"]).exits(0);
    until("the linked answers", 30, || {
        exec(&client, &web, "nc -w 5 db 5432 </dev/null").contains("hello").then_some(())
    });
    remove(&client, &[&web, &db]);
}

#[test]
fn lnk_11_the_linked_must_run() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let (db, web) = (daemon.name("db"), daemon.name("web"));
        client.run(&["create", "--name", &db, "busybox", "true"]).exits(0);
        let refused = client.run(&["run", "--name", &web, "--link", &format!("{db}:db"), "busybox", "true"]);
        refused.says(&format!("Cannot link to a non running container: /{db} AS /{web}/db"));
        remove(&client, &[&web, &db]);
        let nobody = client.run(&["run", "--rm", "--link", "nosuch:db", "busybox", "true"]);
        nobody.exits(125).says("could not get container for nosuch: No such container: nosuch");
    }
}

#[test]
fn lnk_12_the_linked_has_a_second_name() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let db = sleeper(daemon, &client, "db", &[]);
        let web = sleeper(daemon, &client, "web", &["--link", &format!("{db}:db")]);
        let names = || client.run(&["ps", "--no-trunc", "--format", "{{.Names}}"]).stdout;
        let listed = names();
        assert!(listed.lines().any(|line| line == format!("{db},{web}/db")), "{listed}");
        client.run(&["rm", "--link", &format!("{web}/db")]).exits(0);
        assert!(names().lines().any(|line| line == db));
        remove(&client, &[&web, &db]);
    }
}

/// A user's network; gives its name.
fn network(daemon: &Daemon, client: &Client, options: &[&str]) -> String {
    let name = daemon.name("net");
    client.run(&[&["network", "create"], options, &[&name]].concat()).exits(0);
    name
}

fn address_on(client: &Client, container: &str, network: &str) -> String {
    let format = format!("{{{{(index .NetworkSettings.Networks {network:?}).IPAddress}}}}");
    client.run(&["inspect", "-f", &format, container]).ok().to_owned()
}

#[test]
fn lnk_01_a_link_is_a_name_on_a_network_of_ones_own() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let net = network(daemon, &client, &[]);
        let db = sleeper(daemon, &client, "db", &["--network", &net]);
        let web = sleeper(daemon, &client, "web", &["--network", &net, "--link", &format!("{db}:store")]);
        let other = sleeper(daemon, &client, "other", &["--network", &net]);
        let at = address_on(&client, &db, &net);
        assert!(exec(&client, &web, "nslookup store").contains(&at));
        // It is this container's name for the other: nobody else knows it, and there is no line and no variable.
        assert!(!exec(&client, &other, "nslookup store").contains(&at));
        assert!(!exec(&client, &web, "cat /etc/hosts; env").to_lowercase().contains("store"));
        // The other starts again at another address.
        client.run(&["stop", "-t", "0", &db]).exits(0);
        let thief = sleeper(daemon, &client, "thief", &["--network", &net]);
        client.run(&["start", &db]).exits(0);
        let now = address_on(&client, &db, &net);
        assert!(exec(&client, &web, "nslookup store").contains(&now));
        remove(&client, &[&web, &db, &other, &thief]);
        client.run(&["network", "rm", &net]).exits(0);
    }
}

#[test]
fn lnk_06_variables_follow_a_new_name_at_the_next_start() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let db = sleeper(daemon, &client, "db", &["--expose", "5432"]);
        let web = sleeper(daemon, &client, "web", &["--link", &format!("{db}:db")]);
        let (new_web, new_db) = (daemon.name("web"), daemon.name("db"));
        client.run(&["rename", &web, &new_web]).exits(0);
        client.run(&["rename", &db, &new_db]).exits(0);
        client.run(&["restart", "-t", "0", &new_web]).exits(0);
        let first = exec(&client, &new_web, "tr '\\0' '\\n' < /proc/1/environ");
        assert!(first.contains(&format!("DB_NAME=/{new_web}/db\n")), "{first}");
        assert!(first.contains(&format!("DB_PORT=tcp://{}:5432\n", address(&client, &new_db))), "{first}");
        let hosts = exec(&client, &new_web, "cat /etc/hosts");
        assert!(hosts.contains(&format!("{new_db}\n")) && hosts.contains("\tdb "), "{hosts}");
        let shown = client.run(&["inspect", "-f", "{{ .HostConfig.Links }}", &new_web]);
        assert_eq!(shown.ok(), format!("[/{new_db}:/{new_web}/db]"));
        remove(&client, &[&new_web, &new_db]);
    }
}

#[test]
fn lnk_11_one_on_another_network_is_out_of_reach() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let net = network(daemon, &client, &[]);
        let db = sleeper(daemon, &client, "db", &["--network", &net]);
        let web = daemon.name("web");
        let refused = client.run(&["run", "--name", &web, "--link", &format!("{db}:db"), "busybox", "true"]);
        refused.exits(125).says(&format!("Cannot link to /{db}, as it does not belong to the default network"));
        remove(&client, &[&web, &db]);
        client.run(&["network", "rm", &net]).exits(0);
    }
}

#[test]
fn lnk_11_host_and_shared_networks_take_no_links() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let db = sleeper(daemon, &client, "db", &[]);
        let link = format!("{db}:db");
        let host = client.run(&["run", "--rm", "--net=host", "--link", &link, "busybox", "true"]);
        host.exits(125).says("host type networking can't be used with links");
        let shared =
            client.run(&["run", "--rm", "--network", &format!("container:{db}"), "--link", &link, "busybox", "true"]);
        shared.exits(125).says("container type network can't be used with links");
        let on_host = sleeper(daemon, &client, "onhost", &["--net=host"]);
        let refused = client.run(&["run", "--rm", "--link", &format!("{on_host}:x"), "busybox", "true"]);
        refused.exits(125).says("conflicting options: host type networking can't be used with links");
        remove(&client, &[&db, &on_host]);
    }
}

#[test]
fn lnk_12_the_second_name_finds_the_linked() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let db = sleeper(daemon, &client, "db", &[]);
        let web = sleeper(daemon, &client, "web", &["--link", &format!("{db}:data")]);
        let id = |name: &str| client.run(&["inspect", "-f", "{{.Id}}", name]).ok().to_owned();
        assert_eq!(id(&format!("/{web}/data")), id(&db));
        assert_eq!(id(&format!("{web}/data")), id(&db));
        assert_eq!(exec(&client, &format!("{web}/data"), "hostname"), exec(&client, &db, "hostname"));
        remove(&client, &[&web, &db]);
    }
}
