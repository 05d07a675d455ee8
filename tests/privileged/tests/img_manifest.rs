//! `docker manifest`: lists of images for several platforms, put together by a client and pushed.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::process::Command;

use privileged_tests::images::import;
use privileged_tests::registry::Registry;
use privileged_tests::{Client, Daemon, Run, skip};
use serde_json::Value;

/// A client with settings of its own.
struct User {
    client: Client,
    settings: String,
}

impl User {
    fn all(daemon: &Daemon) -> Vec<Self> {
        let settings = || daemon.scratch(&daemon.name("settings")).display().to_string();
        daemon.clients().into_iter().map(|client| Self { client, settings: settings() }).collect()
    }

    fn run(&self, arguments: &[&str]) -> Run {
        self.client.run(&[&["--config", self.settings.as_str(), "manifest"], arguments].concat())
    }
}

/// What the registry has under a tag.
fn manifest(registry: &Registry, path: &str) -> Value {
    let types = "Accept: application/vnd.docker.distribution.manifest.list.v2+json";
    let url = format!("{}/v2/{path}", registry.url());
    let output = Command::new("curl").args(["-sf", "-H", types, &url]).output().unwrap();
    assert!(output.status.success(), "{path}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn x_10_manifest_lists_are_put_together_and_pushed() {
    let daemon = Daemon::shared();
    let Some(registry) = Registry::start() else { return skip("docker-registry is not installed") };
    if !Path::new("/usr/bin/curl").exists() {
        return skip("curl is not installed");
    }
    let (one, other) = (registry.reference("one:a"), registry.reference("team/other:b"));
    for (name, content) in [(&one, "1"), (&other, "2")] {
        import(&daemon.stock(), name, content, &[]);
        daemon.docker(&["push", "-q", name]).exits(0);
    }
    let mut told = Vec::new();
    for user in User::all(daemon) {
        // Each has a name of its own, of the same length.
        let list = registry.reference(&format!("list{}:v1", told.len()));
        let create = user.run(&["create", "--insecure", &list, &one, &other]);
        assert_eq!(create.ok(), format!("Created manifest list {list}"));
        user.run(&["create", "--insecure", &list, &one])
            .exits(1)
            .says("refusing to amend an existing manifest list with no --amend flag");
        user.run(&["annotate", "--arch", "arm64", "--variant", "v8", &list, &other]).exits(0);
        user.run(&["annotate", "--arch", "nonsense", &list, &other]).exits(1).says("unsupported os/arch combination");
        user.run(&["annotate", &list, "nosuch"]).exits(1).says("manifest for image nosuch does not exist in");
        let mut texts = vec![user.run(&["inspect", &list]).ok().to_owned()];
        let push = user.run(&["push", "--insecure", "--purge", &list]);
        let lines = push.exits(0).lines();
        let name = list.trim_end_matches(":v1");
        assert!(lines[0].starts_with(&format!("Pushed ref {name}@sha256:")) && lines.len() == 3, "{push}");
        texts.push(lines[2].to_owned());
        let pushed = manifest(&registry, &format!("list{}/manifests/v1", told.len()));
        assert_eq!(pushed["manifests"][1]["platform"]["architecture"], "arm64", "{pushed}");
        assert_eq!(pushed["manifests"][1]["platform"]["variant"], "v8", "{pushed}");
        // From the registry now, and for this machine's platform an image.
        texts.push(user.run(&["inspect", "--insecure", &list]).ok().to_owned());
        let image = user.run(&["inspect", "--insecure", "--verbose", &one]);
        texts.push(image.ok().to_owned());
        let verbose = user.run(&["inspect", "--insecure", "-v", &list]);
        let verbose: Value = serde_json::from_str(verbose.ok()).unwrap();
        assert_eq!(verbose[1]["Descriptor"]["platform"]["architecture"], "arm64", "{verbose}");
        user.client.run(&["pull", "-q", &list]).exits(0);
        assert_eq!(daemon.inspect(&list, "{{.Id}}"), daemon.inspect(&one, "{{.Id}}"));
        user.client.run(&["rmi", &list]).exits(0);
        user.run(&["push", "--insecure", &list]).exits(1).says(&format!("No such manifest: {list}"));
        user.run(&["create", "--insecure", &list, &one]).exits(0);
        user.run(&["rm", &list]).exits(0);
        user.run(&["rm", &list]).exits(1).says(&format!("No such manifest: {list}"));
        user.run(&["create", "--insecure", &list, &registry.reference("nosuch")]).exits(1);
        told.push(texts);
    }
    // Both clients say and push the same, byte for byte.
    assert!(told.iter().all(|texts| *texts == told[0]), "{told:#?}");
    daemon.docker(&["rmi", &one, &other]).exits(0);
}

#[test]
fn x_10_manifest_lists_stay_on_one_registry() {
    let daemon = Daemon::shared();
    let (Some(registry), Some(far)) = (Registry::start(), Registry::start()) else {
        return skip("docker-registry is not installed");
    };
    let name = far.reference("one:a");
    import(&daemon.stock(), &name, "1", &[]);
    daemon.docker(&["push", "-q", &name]).exits(0);
    for user in User::all(daemon) {
        let list = registry.reference("list:v1");
        user.run(&["create", "--insecure", &list, &name]).exits(0);
        user.run(&["push", "--insecure", &list])
            .exits(1)
            .says("cannot use source images from a different registry than the target image");
    }
    daemon.docker(&["rmi", &name]).exits(0);
}

#[test]
fn x_10_manifest_insecure_is_the_daemons_to_say() {
    let daemon = Daemon::shared();
    if daemon.is_reference() {
        return skip("the stock client asks the registry itself");
    }
    let Some(registry) = Registry::start_at(&daemon.gateway()) else {
        return skip("docker-registry is not installed");
    };
    let name = registry.reference("app:v1");
    let refused = daemon.gantry(&["manifest", "inspect", &name]);
    refused.exits(1).says("http: server gave HTTP response to HTTPS client");
    assert!(!refused.stderr.contains("insecure-registries"), "{refused}");
    let list = registry.reference("list:v1");
    for arguments in [vec!["inspect", "--insecure", &name], vec!["create", "--insecure", &list, &name]] {
        let refused = daemon.gantry(&[vec!["manifest"], arguments].concat());
        refused
            .exits(1)
            .says("--insecure is not up to the client")
            .says(&format!("does not trust {}", registry.host()))
            .says("\"insecure-registries\" of daemon.json");
    }
}
