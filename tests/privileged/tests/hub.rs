//! Rows HUB-01, HUB-03, HUB-07 … HUB-09, CLI-08: repositories, accounts, accelerators, and all five parts together.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::process::Command;

use privileged_tests::fixtures::Fixture;
use privileged_tests::registry::Registry;
use privileged_tests::stub::{Answer, Stub};
use privileged_tests::{Daemon, Options, skip};
use serde_json::{Value, json};

/// Or the test ends with a visible skip.
macro_rules! registry {
    ($start:expr) => {
        match $start {
            Some(registry) if Path::new("/usr/bin/skopeo").exists() => registry,
            _ => return skip("docker-registry or skopeo is not installed"),
        }
    };
}

/// A JSON answer of the registry itself.
fn ask(registry: &Registry, path: &str) -> Value {
    let output = Command::new("curl").args(["-sf", &format!("{}{path}", registry.url())]).output().unwrap();
    assert!(output.status.success(), "{path}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn hub_07_a_registry_has_repositories_and_these_have_tags() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let registry = registry!(Registry::start());
        for name in ["one:a", "one:b", "team/two:latest"] {
            let name = registry.reference(name);
            client.run(&["tag", "busybox", &name]).exits(0);
            client.run(&["push", &name]).exits(0);
            client.run(&["rmi", &name]).exits(0);
        }
        assert_eq!(ask(&registry, "/v2/_catalog")["repositories"], json!(["one", "team/two"]));
        let mut tags = ask(&registry, "/v2/one/tags/list")["tags"].as_array().unwrap().clone();
        tags.sort_by_key(ToString::to_string);
        assert_eq!(tags, [json!("a"), json!("b")]);
    }
}

#[test]
fn hub_08_a_namespace_comes_first_where_the_registry_wants_that() {
    let daemon = Daemon::shared();
    // It knows one namespace.
    let refusal = r#"{"errors":[{"code":"DENIED","message":"namespace nobody does not exist"}]}"#;
    let strict = Stub::start(move |_, path| match path {
        "/v2/" => Some(Answer::new("200 OK\r\ncontent-type: application/json", "{}")),
        _ => Some(Answer::new("403 Forbidden\r\ncontent-type: application/json", refusal)),
    });
    for client in daemon.clients() {
        let name = format!("{}/nobody/app:V1", strict.host());
        client.run(&["tag", "busybox", &name]).exits(0);
        client.run(&["push", &name]).exits(1).says("namespace nobody does not exist");
        // Others make it with the first push.
        let registry = registry!(Registry::start());
        let made = registry.reference("namespace/app:V1");
        client.run(&["tag", &name, &made]).exits(0);
        client.run(&["push", &made]).exits(0);
        assert_eq!(ask(&registry, "/v2/namespace/app/tags/list")["tags"], json!(["V1"]));
        client.run(&["rmi", &name, &made]).exits(0);
    }
}

#[test]
fn hub_09_an_accelerator_stands_for_the_hub() {
    let registry = registry!(Registry::start());
    registry.put(&Fixture::Busybox.archive().unwrap(), "library/busybox");
    let config = json!({"registry-mirrors": [registry.url()]});
    let daemon = Daemon::start(Options { images: Vec::new(), config: Some(config), ..Options::default() });
    for client in daemon.clients() {
        let info = client.run(&["info"]);
        assert!(info.stdout.contains(&format!("Registry Mirrors:\n  {}/", registry.url())), "{info}");
        assert_eq!(client.run(&["run", "--rm", "busybox", "echo", "fetched"]).ok(), "fetched");
        client.run(&["rmi", "busybox"]).exits(0);
    }
}

#[test]
fn hub_01_settings_keep_what_else_stands_in_them() {
    let daemon = Daemon::shared();
    let registry = registry!(Registry::guarded());
    for client in daemon.clients() {
        let directory = daemon.scratch(&daemon.name("settings"));
        let (settings, file) = (directory.display().to_string(), directory.join("config.json"));
        std::fs::write(&file, r#"{"auths":{"other:5000":{"auth":"YTpi"}},"HttpHeaders":{"X-A":"b"}}"#).unwrap();
        let run = |arguments: &[&str]| client.run(&[&["--config", &settings], arguments].concat());
        let login = run(&["login", "-u", "user", "-p", "secret", &registry.host()]);
        assert!(login.ok().ends_with("Login Succeeded"), "{login}");
        login.says("WARNING! Using --password via the CLI is insecure. Use --password-stdin.");
        let kept: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(kept["auths"]["other:5000"]["auth"], "YTpi");
        assert_eq!(kept["HttpHeaders"]["X-A"], "b");
        // The stock client leaves a file that is there as open as it was.
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
        assert!(client.name == "docker" || mode & 0o777 == 0o600, "nobody else reads it: {mode:o}");
        run(&["login", "-u", "user", "-p", "x", "--password-stdin"]).exits(1).says("--password");
        run(&["login", "--password-stdin", &registry.host()])
            .exits(1)
            .says("the --password-stdin option requires --username to be set");
        run(&["login", "-u", "user", &registry.host()])
            .exits(1)
            .says("Cannot perform an interactive login from a non TTY device");
    }
}

#[test]
fn cli_08_client_daemon_registry_image_container() {
    let registry = registry!(Registry::start());
    registry.put(&Fixture::Busybox.archive().unwrap(), "basic");
    let daemon = Daemon::start(Options { images: Vec::new(), ..Options::default() });
    for client in daemon.clients() {
        let name = registry.reference("basic");
        client.run(&["pull", &name]).exits(0);
        assert_eq!(client.run(&["images", "--format", "{{.Repository}}"]).ok(), name);
        let container = daemon.name("basic");
        client.run(&["run", "--name", &container, &name, "echo", "all parts work"]).exits(0);
        assert_eq!(client.run(&["logs", &container]).ok(), "all parts work");
        client.run(&["rm", &container]).exits(0);
        client.run(&["rmi", &name]).exits(0);
    }
}
