//! Rows IMG-16 and DMN-11: which registries are believed: certificates, authorities, and those that need none.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::{Path, PathBuf};

use privileged_tests::registry::Registry;
use privileged_tests::{Daemon, Options, skip};
use serde_json::json;

/// Or the test ends with a visible skip.
macro_rules! registry {
    ($start:expr) => {
        match $start {
            Some(registry) if Path::new("/usr/bin/skopeo").exists() => registry,
            _ => return skip("docker-registry, openssl or skopeo is not installed"),
        }
    };
}

#[test]
fn img_16_a_registry_of_its_own_certificate() {
    let daemon = Daemon::shared();
    let address = daemon.gateway();
    let directory = daemon.scratch("authority");
    let registry = registry!(Registry::encrypted(&address, &directory));
    let place = Path::new("/etc/docker/certs.d").join(registry.host());
    let name = registry.reference("app");
    daemon.docker(&["tag", "busybox", &name]).exits(0);
    let refused = daemon.docker(&["push", &name]);
    refused.exits(1).says("x509: certificate signed by unknown authority");
    let _certificates = Removed(place.clone());
    std::fs::create_dir_all(&place).unwrap();
    std::fs::copy(directory.join("ca.crt"), place.join("ca.crt")).unwrap();
    for client in daemon.clients() {
        client.run(&["push", &name]).exits(0);
        client.run(&["rmi", &name]).exits(0);
        client.run(&["pull", &name]).exits(0);
    }
    std::fs::write(place.join("me.cert"), "").unwrap();
    daemon.docker(&["pull", &name]).exits(1).says("missing key me.key for client certificate me.cert");
    daemon.docker(&["rmi", &name]).exits(0);
}

#[test]
fn img_16_a_certificate_for_another_name_is_told() {
    let daemon = Daemon::shared();
    let address = daemon.gateway();
    let directory = daemon.scratch("other-name");
    let registry = registry!(Registry::encrypted_as(&address, "DNS:other.example", &directory));
    let place = Path::new("/etc/docker/certs.d").join(registry.host());
    let _certificates = Removed(place.clone());
    std::fs::create_dir_all(&place).unwrap();
    std::fs::copy(directory.join("ca.crt"), place.join("ca.crt")).unwrap();
    for client in daemon.clients() {
        let pull = client.run(&["pull", &registry.reference("app")]);
        pull.exits(1).says(&format!("Get \"https://{}/v2/\": ", registry.host())).says("x509: ");
        if !daemon.is_reference() {
            pull.says(&format!("certificate is valid for other.example, not {address}"));
        }
    }
}

#[test]
fn img_16_a_registry_that_wants_a_certificate_gets_it() {
    let daemon = Daemon::shared();
    let directory = daemon.scratch("mutual");
    let registry = registry!(Registry::mutual(&daemon.gateway(), &directory));
    let place = Path::new("/etc/docker/certs.d").join(registry.host());
    let _certificates = Removed(place.clone());
    std::fs::create_dir_all(&place).unwrap();
    std::fs::copy(directory.join("ca.crt"), place.join("ca.crt")).unwrap();
    let name = registry.reference("app");
    for client in daemon.clients() {
        client.run(&["tag", "busybox", &name]).exits(0);
        let refused = client.run(&["push", &name]);
        refused.exits(1).says("tls: ").says("ertificate");
        for file in ["me.cert", "me.key"] {
            std::fs::copy(directory.join(file), place.join(file)).unwrap();
        }
        client.run(&["push", &name]).exits(0);
        client.run(&["rmi", &name]).exits(0);
        client.run(&["pull", &name]).exits(0);
        client.run(&["rmi", &name]).exits(0);
        for file in ["me.cert", "me.key"] {
            std::fs::remove_file(place.join(file)).unwrap();
        }
    }
}

#[test]
fn dmn_11_insecure_registries_need_no_tls_and_no_authority() {
    let trusting = json!({"insecure-registries": ["10.0.0.0/8"], "max-download-attempts": 1});
    let daemon = Daemon::start(Options { config: Some(trusting), ..Options::default() });
    let strict = Daemon::shared();
    let plain = registry!(Registry::start_at(&daemon.gateway()));
    let encrypted = registry!(Registry::encrypted(&daemon.gateway(), &daemon.scratch("authority")));
    for registry in [&plain, &encrypted] {
        let name = registry.reference("project/img");
        for client in daemon.clients() {
            client.run(&["tag", "busybox", &name]).exits(0);
            client.run(&["push", &name]).exits(0);
            client.run(&["rmi", &name]).exits(0);
            client.run(&["pull", &name]).exits(0);
            client.run(&["rmi", &name]).exits(0);
        }
    }
    for client in strict.clients() {
        let pull = client.run(&["pull", &plain.reference("project/img")]);
        pull.exits(1).says("http: server gave HTTP response to HTTPS client");
        let pull = client.run(&["pull", &encrypted.reference("project/img")]);
        pull.exits(1).says("x509: certificate signed by unknown authority");
    }
}

/// A directory that goes with this value.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
