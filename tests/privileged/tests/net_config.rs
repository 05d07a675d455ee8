//! Networks that are only settings, networks made from them, and the daemon's default settings.
#![allow(clippy::unwrap_used, missing_docs)]

use privileged_tests::{Daemon, Engine, Options};
use serde_json::json;

fn inspect(daemon: &Daemon, network: &str, format: &str) -> String {
    daemon.docker(&["network", "inspect", "-f", format, network]).ok().to_owned()
}

/// A /24 that no other test has.
fn subnet(number: u8) -> String {
    format!("10.231.{number}.0/24")
}

#[test]
fn net_23_a_network_is_made_from_the_settings_of_another() {
    let daemon = Daemon::shared();
    for (number, client) in daemon.clients().into_iter().enumerate() {
        let (settings, made, one) = (daemon.name("settings"), daemon.name("made"), daemon.name("one"));
        let subnet = subnet(10 + u8::try_from(number).unwrap());
        let mtu = ["-o", "com.docker.network.driver.mtu=1400"];
        let create = ["network", "create", "--config-only", "--subnet", &subnet, "--label", "a=b"];
        client.run(&[&create[..], &mtu, &[&settings]].concat()).ok();
        assert_eq!(inspect(daemon, &settings, "{{.Driver}} {{.Scope}} {{.ConfigOnly}}"), "null local true");
        client.run(&["network", "create", "--config-from", &settings, &made]).ok();
        assert_eq!(
            inspect(
                daemon,
                &made,
                "{{.Driver}} {{.ConfigFrom.Network}} {{.ConfigOnly}} {{json .Labels}} {{json .Options}}"
            ),
            format!(r#"bridge {settings} false {{"a":"b"}} {{"com.docker.network.driver.mtu":"1400"}}"#)
        );
        assert_eq!(inspect(daemon, &made, "{{(index .IPAM.Config 0).Subnet}}"), subnet);
        let run = ["run", "--rm", "--network", &made, "busybox", "cat", "/sys/class/net/eth0/mtu"];
        assert_eq!(client.run(&run).ok(), "1400");

        // It is no network to be on, and stays while others were made from it.
        client.run(&["create", "--name", &one, "--network", &settings, "busybox", "true"]).ok();
        client.run(&["start", &one]).exits(1).says("cannot create endpoint on configuration-only network");
        client.run(&["rm", &one]).ok();
        let text = format!("configuration network \"{settings}\" is in use");
        client.run(&["network", "rm", &settings]).exits(1).says(&text);
        client.run(&["network", "rm", &made]).ok();
        client.run(&["network", "rm", &settings]).ok();
    }
}

#[test]
fn net_23_settings_that_contradict_are_refused_in_dockers_words() {
    let daemon = Daemon::shared();
    let (settings, plain, bad) = (daemon.name("settings"), daemon.name("plain"), daemon.name("bad"));
    let create =
        |arguments: &[&str], name: &str| daemon.docker(&[&["network", "create"][..], arguments, &[name]].concat());
    create(&["--config-only"], &settings).ok();
    create(&["--subnet", &subnet(30)], &plain).ok();
    let given = "user specified configurations are not supported if the network depends on a configuration network";
    let operator = "configuration network can only contain network specific fields. Network operator fields like \
                    [ ingress | internal | attachable | scope ] are not supported.";
    let options = "network driver options are not supported if the network depends on a configuration network";
    let absent = |name: &str| format!("configuration network \"{name}\" does not exist");
    for (arguments, text) in [
        (&["--config-from", &settings, "--subnet", "10.231.31.0/24"][..], given.to_owned()),
        (&["--config-from", &settings, "--label", "x=y"], given.to_owned()),
        (&["--config-from", &settings, "--ipv6"], given.to_owned()),
        (&["--config-from", &settings, "-o", "a=b"], options.to_owned()),
        (&["--config-from", "no-such-network"], absent("no-such-network")),
        (&["--config-from", &plain], absent(&plain)),
        (&["--config-only", "--config-from", &settings], "a configuration network cannot depend on another".to_owned()),
        (&["--config-only", "--internal"], operator.to_owned()),
        (&["--config-only", "--attachable"], operator.to_owned()),
        (&["--config-only", "--ingress"], operator.to_owned()),
        (&["--config-only", "--scope", "local"], operator.to_owned()),
    ] {
        create(arguments, &bad).exits(1).says(&text);
        daemon.docker(&["network", "inspect", &bad]).exits(1);
    }
    create(&["--config-only"], &settings).exits(1).says(&format!("network with name {settings} already exists"));
    daemon.docker(&["network", "rm", &settings, &plain]).ok();
}

#[test]
fn net_23_settings_survive_a_restart_and_a_prune() {
    let daemon = Daemon::start(Options::default());
    let create = ["network", "create", "--config-only", "--subnet", &subnet(40), "--ipv6", "settings"];
    daemon.docker(&create).ok();
    daemon.docker(&["network", "create", "--config-from", "settings", "made"]).ok();
    let format = "{{.Id}} {{.ConfigOnly}} {{.ConfigFrom.Network}} {{.EnableIPv6}}";
    let shown = ["settings", "made"].map(|name| inspect(&daemon, name, format));
    daemon.restart();
    assert_eq!(["settings", "made"].map(|name| inspect(&daemon, name, format)), shown);
    daemon.docker(&["network", "rm", "settings"]).exits(1).says("is in use");
    let pruned = daemon.docker(&["network", "prune", "-f"]);
    assert_eq!(pruned.ok(), "Deleted Networks:\nmade");
    assert_eq!(inspect(&daemon, "settings", "{{.ConfigOnly}}"), "true");
    daemon.docker(&["network", "rm", "settings"]).ok();
}

#[test]
fn net_37_the_daemons_default_options_apply_where_a_network_says_nothing() {
    if Engine::under_test() == Engine::Dockerd {
        return; // From version 24 on.
    }
    let file = json!({ "default-network-opts": { "bridge": { "com.docker.network.driver.mtu": "1300" } } });
    let daemon = Daemon::start(Options { config: Some(file), ..Options::default() });
    daemon.docker(&["network", "create", "--subnet", &subnet(50), "one"]).ok();
    let own = ["network", "create", "--subnet", &subnet(51), "-o", "com.docker.network.driver.mtu=1200", "two"];
    daemon.docker(&own).ok();
    for (network, mtu) in [("one", "1300"), ("two", "1200")] {
        let shown = inspect(&daemon, network, r#"{{index .Options "com.docker.network.driver.mtu"}}"#);
        let run = daemon.docker(&["run", "--rm", "--network", network, "busybox", "cat", "/sys/class/net/eth0/mtu"]);
        assert_eq!((shown.as_str(), run.ok()), (mtu, mtu));
    }
    daemon.docker(&["network", "rm", "one", "two"]).ok();
}
