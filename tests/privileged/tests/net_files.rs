//! `resolv.conf`, `hosts` and `hostname` of a container: rows NET-38, NET-46, NET-47, NET-51.

use privileged_tests::containers::{exec, remove, sleeper};
use privileged_tests::{Client, Daemon, until};

fn cat(client: &Client, container: &str, name: &str) -> String {
    exec(client, container, &format!("cat /etc/{name}"))
}

/// A user's network; gives its name.
fn network(daemon: &Daemon, client: &Client, options: &[&str]) -> String {
    let name = daemon.name("net");
    client.run(&[&["network", "create"], options, &[&name]].concat()).exits(0);
    name
}

fn addresses(client: &Client, container: &str) -> Vec<String> {
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}";
    let shown = client.run(&["inspect", "-f", format, container]);
    shown.ok().split_whitespace().map(str::to_owned).collect()
}

#[test]
fn net_46_dns_settings_reach_the_container() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let options = [
            "--dns",
            "192.0.2.1",
            "--dns",
            "2001:db8::1",
            "--dns-search",
            "example.com",
            "--dns-search",
            "corp.test",
            "--dns-option",
            "ndots:1",
            "--dns-option",
            "attempts:1",
        ];
        let container = sleeper(daemon, &client, &options);
        let conf = cat(&client, &container, "resolv.conf");
        let settings: Vec<&str> = conf.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
        let mut sorted = settings.clone();
        sorted.sort_unstable();
        let mut wanted = [
            "nameserver 192.0.2.1",
            "nameserver 2001:db8::1",
            "search example.com corp.test",
            "options ndots:1 attempts:1",
        ];
        wanted.sort_unstable();
        assert_eq!(sorted, wanted, "{conf}");
        // The three files are mounts of their own.
        let mounts = exec(&client, &container, "mount");
        for file in ["hosts", "hostname", "resolv.conf"] {
            assert!(mounts.contains(&format!(" on /etc/{file} ")), "{mounts}");
        }
        // Without search domains: those of the host are not taken either.
        let bare = sleeper(daemon, &client, &["--dns-search", "."]);
        assert!(!cat(&client, &bare, "resolv.conf").lines().any(|line| line.starts_with("search")));
        // On a network of one's own the same, through the engine's server.
        let net = network(daemon, &client, &[]);
        let own = sleeper(daemon, &client, &[&["--network", &net], &options[..]].concat());
        let conf = cat(&client, &own, "resolv.conf");
        assert!(conf.contains("nameserver 127.0.0.11\n") && !conf.contains("nameserver 192.0.2.1"), "{conf}");
        assert!(conf.contains("search example.com corp.test\n"), "{conf}");
        assert!(conf.contains("options ndots:1 attempts:1\n"), "{conf}");
        // On the host's network they hold as well.
        let host =
            client.run(&["run", "--rm", "--net=host", "--dns", "192.0.2.7", "busybox", "cat", "/etc/resolv.conf"]);
        assert!(host.ok().contains("nameserver 192.0.2.7"), "{host}");
        let plain = client.run(&["run", "--rm", "--net=host", "busybox", "cat", "/etc/resolv.conf"]);
        let machine = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        assert_eq!(plain.stdout.trim(), machine.trim());
        remove(&client, &[&container, &bare, &own]);
        client.run(&["network", "rm", &net]).exits(0);
    }
}

#[test]
fn net_46_a_bad_server_is_refused() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let refused = client.run(&["run", "--rm", "--dns", "nonsense", "busybox", "true"]);
        assert_eq!(refused.code, 125);
        refused.says("nonsense");
    }
}

#[test]
fn net_47_the_host_name_is_in_both_files() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let container = sleeper(daemon, &client, &["-h", "web"]);
        assert_eq!(cat(&client, &container, "hostname"), "web\n");
        assert_eq!(exec(&client, &container, "hostname"), "web\n");
        let at = addresses(&client, &container).remove(0);
        assert!(cat(&client, &container, "hosts").ends_with(&format!("{at}\tweb\n")));
        // With a domain the long name comes first.
        let long = sleeper(daemon, &client, &["--hostname", "web", "--domainname", "corp.test"]);
        assert_eq!(cat(&client, &long, "hostname"), "web\n");
        let at = addresses(&client, &long).remove(0);
        assert!(cat(&client, &long, "hosts").ends_with(&format!("{at}\tweb.corp.test web\n")));
        assert_eq!(exec(&client, &long, "hostname -f"), "web.corp.test\n");
        // Without a name it is the short id.
        let plain = sleeper(daemon, &client, &[]);
        let id = client.run(&["inspect", "-f", "{{.Id}}", &plain]).ok()[..12].to_owned();
        assert_eq!(cat(&client, &plain, "hostname"), format!("{id}\n"));
        // Without a network there is no address to stand for it.
        let none = sleeper(daemon, &client, &["--network", "none", "-h", "alone"]);
        assert_eq!(cat(&client, &none, "hostname"), "alone\n");
        assert!(!cat(&client, &none, "hosts").contains("alone"));
        remove(&client, &[&container, &long, &plain, &none]);
    }
}

#[test]
fn net_47_more_hosts_are_added_to_the_file() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let options = [
            "--add-host",
            "db:192.0.2.5",
            "--add-host",
            "six:2001:db8::5",
            "--add-host",
            "engine:host-gateway",
            "-h",
            "web",
        ];
        let container = sleeper(daemon, &client, &options);
        let hosts = cat(&client, &container, "hosts");
        let at = addresses(&client, &container).remove(0);
        assert!(hosts.starts_with("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"), "{hosts}");
        assert!(hosts.contains("192.0.2.5\tdb\n2001:db8::5\tsix\n"), "{hosts}");
        assert!(hosts.ends_with(&format!("{at}\tweb\n")), "{hosts}");
        if !daemon.is_reference() {
            // There it is the address of `docker0`, whatever the bridge is.
            assert!(hosts.contains(&format!("{}\tengine\n", daemon.gateway())), "{hosts}");
        }
        let host =
            client.run(&["run", "--rm", "--net=host", "--add-host", "db:192.0.2.5", "busybox", "cat", "/etc/hosts"]);
        assert!(host.ok().contains("192.0.2.5\tdb"), "{host}");
        let refused = client.run(&["run", "--rm", "--add-host", "db:nonsense", "busybox", "true"]);
        assert_eq!(refused.code, 125);
        refused.says("invalid IP address in add-host: \"nonsense\"");
        remove(&client, &[&container]);
    }
}

#[test]
fn net_47_every_network_has_its_line() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let net = network(daemon, &client, &[]);
        let container = sleeper(daemon, &client, &["-h", "web"]);
        client.run(&["network", "connect", &net, &container]).exits(0);
        let both = addresses(&client, &container);
        let hosts = cat(&client, &container, "hosts");
        assert!(both.len() == 2 && both.iter().all(|at| hosts.contains(&format!("{at}\tweb\n"))), "{hosts}");
        client.run(&["network", "disconnect", "bridge", &container]).exits(0);
        let left = addresses(&client, &container);
        let hosts = cat(&client, &container, "hosts");
        // 20.10 leaves the line of a network that is gone.
        for at in both.iter().filter(|at| left.contains(at) || !daemon.is_reference()) {
            assert_eq!(hosts.contains(&format!("{at}\tweb\n")), left.contains(at), "{hosts}");
        }
        remove(&client, &[&container]);
        client.run(&["network", "rm", &net]).exits(0);
    }
}

#[test]
fn net_51_edits_hold_until_the_next_start_and_are_not_committed() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let container = sleeper(daemon, &client, &["-h", "web"]);
        let edit = "echo 192.0.2.44 scribbled >>/etc/hosts; echo 'nameserver 192.0.2.45' >>/etc/resolv.conf; \
                    echo scribbled >/etc/hostname";
        client.run(&["exec", &container, "sh", "-c", edit]).exits(0);
        // At once, and for everybody in the container.
        let ping = client.run(&["exec", &container, "ping", "-c", "1", "-W", "1", "scribbled"]);
        assert!(ping.stdout.contains("(192.0.2.44)"), "{ping}");
        assert!(cat(&client, &container, "resolv.conf").contains("192.0.2.45"));
        assert_eq!(cat(&client, &container, "hostname"), "scribbled\n");
        // An image made of it has none of it, nor has `diff` anything to tell.
        let image = format!("{}:v1", daemon.name("edited"));
        client.run(&["commit", &container, &image]).exits(0);
        let inside = client.run(&["run", "--rm", &image, "sh", "-c", "cat /etc/hosts /etc/hostname /etc/resolv.conf"]);
        assert!(!inside.ok().contains("scribbled") && !inside.stdout.contains("192.0.2.45"), "{inside}");
        let changed = client.run(&["diff", &container]);
        assert!(!changed.ok().contains("/etc/hosts") && !changed.stdout.contains("/etc/resolv.conf"), "{changed}");
        client.run(&["restart", "-t", "0", &container]).exits(0);
        assert!(!cat(&client, &container, "hosts").contains("scribbled"));
        assert!(!cat(&client, &container, "resolv.conf").contains("192.0.2.45"));
        assert_eq!(cat(&client, &container, "hostname"), "web\n");
        remove(&client, &[&container]);
        client.run(&["rmi", &image]).exits(0);
    }
}

#[test]
fn net_51_what_a_user_wrote_stays_when_networks_come_and_go() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let net = network(daemon, &client, &[]);
        let (edited, plain) = (sleeper(daemon, &client, &[]), sleeper(daemon, &client, &[]));
        let edit = "echo 'nameserver 192.0.2.45' >/etc/resolv.conf; echo 192.0.2.44 mine >>/etc/hosts";
        client.run(&["exec", &edited, "sh", "-c", edit]).exits(0);
        let before = cat(&client, &plain, "resolv.conf");
        for container in [&edited, &plain] {
            client.run(&["network", "connect", &net, container]).exits(0);
        }
        // 20.10 writes over it; newer ones promise in the file that they do not.
        let resolv_conf = if daemon.is_reference() { "nameserver 127.0.0.11" } else { "nameserver 192.0.2.45\n" };
        assert!(cat(&client, &edited, "resolv.conf").starts_with(resolv_conf));
        assert!(cat(&client, &edited, "hosts").contains("192.0.2.44 mine\n"));
        // Where nobody wrote anything, names are served now.
        assert!(cat(&client, &plain, "resolv.conf").contains("nameserver 127.0.0.11\n"));
        for container in [&edited, &plain] {
            client.run(&["network", "disconnect", &net, container]).exits(0);
        }
        assert!(cat(&client, &edited, "resolv.conf").starts_with(resolv_conf));
        assert!(cat(&client, &edited, "hosts").contains("192.0.2.44 mine\n"));
        if !daemon.is_reference() {
            // The server went with the network: there the file goes on naming it.
            assert_eq!(cat(&client, &plain, "resolv.conf"), before);
        }
        remove(&client, &[&edited, &plain]);
        client.run(&["network", "rm", &net]).exits(0);
    }
}

#[test]
fn net_38_variables_are_shared_by_a_file_or_by_a_link() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let file = daemon.scratch(&daemon.name("env")).join("shared.env");
        std::fs::write(&file, "# shared\nPASSWORD=s p\nMODE=test\n").expect("written");
        let path = file.display().to_string();
        let net = network(daemon, &client, &[]);
        let both: Vec<String> =
            (0..2).map(|_| sleeper(daemon, &client, &["--network", &net, "--env-file", &path])).collect();
        for container in &both {
            let env = exec(&client, container, "env");
            assert!(env.contains("\nPASSWORD=s p\n") && env.contains("\nMODE=test\n"), "{env}");
        }
        // A link on the default bridge gives them to the other, by its alias.
        let db = sleeper(daemon, &client, &["--env-file", &path]);
        let web = sleeper(daemon, &client, &["--link", &format!("{db}:db")]);
        let env = exec(&client, &web, "env");
        assert!(env.contains("\nDB_ENV_PASSWORD=s p\n") && !env.contains("\nPASSWORD="), "{env}");
        // A link on a user's network gives a name only.
        let front = sleeper(daemon, &client, &["--network", &net, "--link", &format!("{}:db", both[0])]);
        let env = exec(&client, &front, "env");
        assert!(!env.contains("DB_ENV"), "{env}");
        until("the name is known", 30, || {
            exec(&client, &front, "nslookup db").contains(&addresses(&client, &both[0])[0]).then_some(())
        });
        remove(&client, &[&both[0], &both[1], &web, &db, &front]);
        client.run(&["network", "rm", &net]).exits(0);
    }
}
