//! Rows IMG-16, IMG-28 and HUB-02: ways to a registry: tokens from a server with TLS, proxies, and the hub's refusal.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use privileged_tests::archive::{Image, Layer};
use privileged_tests::served::Served;
use privileged_tests::stub::{Answer, Request, Stub};
use privileged_tests::{Daemon, Options, skip};
use serde_json::json;

fn image(content: &str) -> Image {
    let layer = Layer::of_files(&[("content", content.repeat(1000).as_bytes())]);
    Image { reference: "app:latest".to_owned(), layers: vec![layer], config: json!({"Cmd": ["sh"]}) }
}

/// As a proxy is asked, with the whole address, for what a registry is asked.
fn behind(request: &Request, host: &str) -> Option<Request> {
    let path = request.path.strip_prefix(&format!("http://{host}"))?.to_owned();
    Some(Request { path, method: request.method.clone(), headers: request.headers.clone(), body: Vec::new() })
}

#[test]
fn img_16_tokens_come_over_tls() {
    static REALM: OnceLock<String> = OnceLock::new();
    let daemon = Daemon::shared();
    let (address, directory) = (daemon.gateway(), daemon.scratch("tokens"));
    let (image, served) = (image("by token "), Served::of(&image("by token ")));
    let stub = Stub::encrypted(&address, &directory, move |request| {
        if request.path.starts_with("/token?") {
            let right = request.path.contains("service=reg") && request.path.contains("scope=repository%3Aapp%3Apull");
            let body = if right { r#"{"token":"secret","expires_in":300}"# } else { r#"{"token":"wrong"}"# };
            return Some(Answer::new("200 OK\r\ncontent-type: application/json", body));
        }
        if request.header("authorization") == Some("Bearer secret") {
            return served.answer(request);
        }
        let challenge = format!("Bearer realm=\"https://{}/token\",service=\"reg\"", REALM.get()?);
        Some(Answer::new(format!("401 Unauthorized\r\nwww-authenticate: {challenge}"), ""))
    });
    let Some(stub) = stub else { return skip("openssl is not installed") };
    REALM.get_or_init(|| stub.host().to_owned());
    let name = format!("{}/app", stub.host());
    daemon.docker(&["pull", &name]).exits(1).says("x509: certificate signed by unknown authority");
    // Nobody is told anything before he is known.
    assert_eq!(stub.count("GET "), 0);
    let place = Path::new("/etc/docker/certs.d").join(stub.host());
    let _certificates = Removed(place.clone());
    std::fs::create_dir_all(&place).unwrap();
    std::fs::copy(directory.join("ca.crt"), place.join("ca.crt")).unwrap();
    for client in daemon.clients() {
        let before = stub.count("GET /token?");
        client.run(&["pull", &name]).exits(0);
        assert_eq!(daemon.inspect(&name, "{{.Id}}"), image.id().to_string());
        assert!(stub.count("GET /token?") > before);
        client.run(&["rmi", &name]).exits(0);
    }
}

#[test]
fn img_16_a_registry_is_reached_by_a_proxy() {
    const HOST: &str = "registry.invalid:5000";
    let (image, served) = (image("by proxy "), Served::of(&image("by proxy ")));
    let proxy = Stub::serving(move |request| {
        // TLS goes nowhere: it is tried first even where it is not needed.
        served.answer(&behind(request, HOST)?)
    });
    let nearby = Served::of(&self::image("nearby "));
    let near = Stub::serving(move |request| nearby.answer(request));
    let url = format!("http://{}", proxy.host());
    let config = json!({
        "insecure-registries": [HOST], "max-download-attempts": 1,
        "proxies": {"http-proxy": url, "https-proxy": url, "no-proxy": "elsewhere.invalid"},
    });
    if privileged_tests::Engine::under_test() == privileged_tests::Engine::Dockerd {
        return skip("the reference of this machine has no proxies in its file");
    }
    let daemon = Daemon::start(Options { images: Vec::new(), config: Some(config), ..Options::default() });
    for client in daemon.clients() {
        let name = format!("{HOST}/app");
        client.run(&["pull", &name]).exits(0);
        assert_eq!(daemon.inspect(&name, "{{.Id}}"), image.id().to_string());
        client.run(&["rmi", &name]).exits(0);
        // A proxy's own loopback is not ours, and some hosts are reached without.
        let before = proxy.count("");
        client.run(&["pull", &format!("{}/app", near.host())]).exits(0);
        client.run(&["rmi", &format!("{}/app", near.host())]).exits(0);
        client.run(&["pull", "elsewhere.invalid/app"]).exits(1).says("elsewhere.invalid");
        assert_eq!(proxy.count(""), before);
    }
    assert!(proxy.count(&format!("GET http://{HOST}/v2/app/manifests/latest")) >= 1);
    drop(proxy);
}

#[test]
fn img_28_official_names_are_not_ours_to_push() {
    const HOST: &str = "registry-1.docker.io";
    if privileged_tests::Engine::under_test() == privileged_tests::Engine::Dockerd {
        return skip("the reference speaks to the hub over TLS alone");
    }
    // The hub, as a proxy shows it: everybody may read, nobody may write there.
    let proxy = Stub::serving(|request| {
        if request.path.starts_with("http://auth.invalid/token") {
            return Some(Answer::new("200 OK", r#"{"token":"t","expires_in":300}"#));
        }
        let path = behind(request, HOST)?.path;
        let challenge = "www-authenticate: Bearer realm=\"http://auth.invalid/token\",service=\"registry.docker.io\"";
        let denied = r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#;
        let more = if path == "/v2/" { "" } else { ",scope=\"x\",error=\"insufficient_scope\"" };
        Some(Answer::new(format!("401 Unauthorized\r\n{challenge}{more}"), denied))
    });
    let url = format!("http://{}", proxy.host());
    let config = json!({"insecure-registries": [HOST], "proxies": {"http-proxy": url, "https-proxy": url}});
    let daemon = Daemon::start(Options { config: Some(config), ..Options::default() });
    daemon.docker(&["tag", "busybox", "centos:latest"]).exits(0);
    for client in daemon.clients() {
        let push = client.run(&["push", "centos:latest"]);
        push.exits(1)
            .says("denied: requested access to the resource is denied")
            .says("docker tag centos docker.io/USER/centos");
        assert!(push.stdout.contains("The push refers to repository [docker.io/library/centos]"), "{push}");
    }
    assert!(proxy.count(&format!("HEAD http://{HOST}/v2/library/centos/blobs/")) + proxy.count("POST http://") >= 1);
}

/// A directory that goes with this value.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        // Best effort: it is the test's own.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
