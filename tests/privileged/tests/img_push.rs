//! Rows IMG-27 and IMG-28, the protocol's side: uploads that break, sessions, tokens.
#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::{Arc, Mutex};

use privileged_tests::archive::sha256;
use privileged_tests::stub::{Answer, Request, Stub};
use privileged_tests::{Daemon, skip};

/// A registry that takes uploads, as far as a test lets it.
#[derive(Default)]
struct Uploads {
    /// Bytes of the session of each number; `None` is forgotten.
    sessions: Vec<Option<Vec<u8>>>,
    blobs: Vec<Vec<u8>>,
    manifest: Vec<u8>,
    /// Where each upload of content began, by its `Content-Range`.
    ranges: Vec<Option<String>>,
    /// The next so many bodies are taken by half, and not answered.
    breaks: usize,
    /// Sessions are forgotten with the connection.
    forgetful: bool,
    /// Answers the manifest with another digest.
    wrong: bool,
}

type Shared = Arc<Mutex<Uploads>>;

impl Uploads {
    fn answer(&mut self, request: &Request) -> Option<Answer> {
        if request.path == "/v2/" {
            return Some(Answer::new("200 OK", "{}"));
        }
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let rest = path.strip_prefix("/v2/app/")?;
        match (request.method.as_str(), rest.rsplit_once('/')?) {
            ("HEAD", ("blobs", digest)) => {
                self.blobs.iter().any(|blob| sha256(blob).to_string() == digest).then(|| Answer::new("200 OK", ""))
            }
            ("POST", ("blobs/uploads", "")) => {
                self.sessions.push(Some(Vec::new()));
                let number = self.sessions.len() - 1;
                // Relative, and with a query of its own.
                Some(Answer::new(format!("202 Accepted\r\nlocation: /v2/app/blobs/uploads/{number}?state=a%2Bb"), ""))
            }
            (method, ("blobs/uploads", number)) => {
                assert!(query.starts_with("state=a%2Bb"), "{}", request.path);
                self.session(method, number.parse().ok()?, query, request)
            }
            ("PUT", ("manifests", _)) => {
                self.manifest.clone_from(&request.body);
                let digest = if self.wrong { sha256(b"other") } else { sha256(&request.body) };
                Some(Answer::new(format!("201 Created\r\ndocker-content-digest: {digest}"), ""))
            }
            _ => None,
        }
    }

    fn session(&mut self, method: &str, number: usize, query: &str, request: &Request) -> Option<Answer> {
        let bytes = self.sessions.get_mut(number)?.as_mut()?;
        let place = format!("location: /v2/app/blobs/uploads/{number}?state=a%2Bb");
        let there = |bytes: &[u8]| format!("range: 0-{}", bytes.len().saturating_sub(1));
        match method {
            "GET" => Some(Answer::new(format!("204 No Content\r\n{place}\r\n{}", there(bytes)), "")),
            "PATCH" => {
                self.ranges.push(request.header("content-range").map(str::to_owned));
                if self.breaks > 0 {
                    self.breaks -= 1;
                    bytes.extend_from_slice(&request.body[..request.body.len() / 2]);
                    if self.forgetful {
                        self.sessions[number] = None;
                    }
                    return Some(Answer { silent: true, ..Answer::new("", "") });
                }
                bytes.extend_from_slice(&request.body);
                Some(Answer::new(format!("202 Accepted\r\n{place}\r\n{}", there(bytes)), ""))
            }
            "PUT" => {
                bytes.extend_from_slice(&request.body);
                let digest = query.split("digest=").nth(1)?.replace("%3A", ":");
                let blob = self.sessions[number].take()?;
                if sha256(&blob).to_string() != digest {
                    let body = r#"{"errors":[{"code":"DIGEST_INVALID","message":"provided digest did not match"}]}"#;
                    return Some(Answer::new("400 Bad Request", body));
                }
                self.blobs.push(blob);
                Some(Answer::new("201 Created", ""))
            }
            "DELETE" => {
                self.sessions[number] = None;
                Some(Answer::new("204 No Content", ""))
            }
            _ => None,
        }
    }
}

fn registry(uploads: Uploads) -> (Shared, Stub) {
    let shared = Arc::new(Mutex::new(uploads));
    let own = Arc::clone(&shared);
    (shared, Stub::serving(move |request| own.lock().unwrap().answer(request)))
}

/// The push of busybox says the digest of the manifest that the registry has, whose blobs are all there.
fn pushed(daemon: &Daemon, shared: &Shared, stub: &Stub) {
    let name = format!("{}/app:v1", stub.host());
    daemon.docker(&["tag", "busybox", &name]).exits(0);
    let push = daemon.docker(&["push", &name]);
    daemon.docker(&["rmi", &name]).exits(0);
    let uploads = shared.lock().unwrap();
    push.exits(0);
    assert!(push.stdout.contains(&format!("v1: digest: {} size: ", sha256(&uploads.manifest))), "{push}");
    let manifest: serde_json::Value = serde_json::from_slice(&uploads.manifest).unwrap();
    let layers = manifest["layers"].as_array().unwrap().iter();
    for wanted in layers.chain([&manifest["config"]]) {
        let digest = wanted["digest"].as_str().unwrap();
        let blob = uploads.blobs.iter().find(|blob| sha256(blob).to_string() == digest).unwrap();
        assert_eq!(wanted["size"], blob.len());
    }
}

#[test]
fn img_27_a_push_goes_on_where_it_broke() {
    let daemon = Daemon::shared();
    if daemon.is_reference() {
        return skip("Docker begins again within the session that broke");
    }
    let (shared, stub) = registry(Uploads { breaks: 2, ..Uploads::default() });
    pushed(daemon, &shared, &stub);
    // One session was enough for the layer, and one for the configuration.
    assert_eq!(shared.lock().unwrap().sessions.len(), 2);
}

#[test]
fn img_27_a_session_that_is_gone_begins_again() {
    let daemon = Daemon::shared();
    if daemon.is_reference() {
        return skip("Docker begins again within the session that broke");
    }
    let (shared, stub) = registry(Uploads { breaks: 1, forgetful: true, ..Uploads::default() });
    pushed(daemon, &shared, &stub);
    assert!(shared.lock().unwrap().sessions.len() >= 3);
}

#[test]
fn img_27_what_was_pulled_goes_on_by_its_range() {
    let daemon = Daemon::shared();
    if daemon.is_reference() {
        return skip("Docker compresses again and begins again");
    }
    let (first, source) = registry(Uploads::default());
    pushed(daemon, &first, &source);
    // Busybox is kept as it was sent only when it was pulled.
    let origin = {
        let uploads = first.lock().unwrap();
        let (manifest, blobs) = (uploads.manifest.clone(), uploads.blobs.clone());
        let kind = "application/vnd.docker.distribution.manifest.v2+json".to_owned();
        privileged_tests::served::Served { top: (kind, manifest), documents: Vec::new(), blobs }
    };
    let puller = Daemon::start(privileged_tests::Options { images: Vec::new(), ..Default::default() });
    let stub = Stub::serving(move |request| origin.answer(request));
    puller.docker(&["pull", &format!("{}/app", stub.host())]).exits(0);
    puller.docker(&["tag", &format!("{}/app", stub.host()), "busybox"]).exits(0);
    let (shared, target) = registry(Uploads { breaks: 1, ..Uploads::default() });
    pushed(&puller, &shared, &target);
    let uploads = shared.lock().unwrap();
    // Nothing was compressed again: the very same blobs arrived.
    let digests = |uploads: &Uploads| {
        let mut all: Vec<String> = uploads.blobs.iter().map(|blob| sha256(blob).to_string()).collect();
        all.sort();
        all
    };
    assert_eq!(digests(&uploads), digests(&first.lock().unwrap()));
    let layer = uploads.blobs.iter().map(Vec::len).max().unwrap();
    assert_eq!(uploads.ranges[1], Some(format!("{}-{}", layer / 2, layer - 1)));
}

#[test]
fn img_27_a_token_that_runs_out_meanwhile_is_renewed() {
    let daemon = Daemon::shared();
    let shared = Shared::default();
    let own = Arc::clone(&shared);
    let tokens = Arc::new(Mutex::new(0));
    let count = Arc::clone(&tokens);
    let realm: &'static std::sync::OnceLock<String> = Box::leak(Box::default());
    let stub = Stub::serving(move |request| {
        let mut tokens = tokens.lock().unwrap();
        if request.path.starts_with("/token") {
            *tokens += 1;
            return Some(Answer::new("200 OK", format!("{{\"token\":\"t{tokens}\",\"expires_in\":300}}")));
        }
        // The first token is good for everything up to the content.
        let good = request.header("authorization") == Some(&format!("Bearer t{tokens}"))
            && (*tokens > 1 || request.method != "PATCH");
        if good {
            return own.lock().unwrap().answer(request);
        }
        let challenge = format!("Bearer realm=\"http://{}/token\",service=\"x\"", realm.get()?);
        let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
        Some(Answer::new(format!("401 Unauthorized\r\nwww-authenticate: {challenge}"), body))
    });
    realm.get_or_init(|| stub.host().to_owned());
    if daemon.is_reference() {
        return skip("Docker gives up when the token runs out in an upload");
    }
    pushed(daemon, &shared, &stub);
    assert_eq!(*count.lock().unwrap(), 2);
}

#[test]
fn img_27_a_manifest_kept_under_another_digest_is_told() {
    let daemon = Daemon::shared();
    let (_shared, stub) = registry(Uploads { wrong: true, ..Uploads::default() });
    let name = format!("{}/app:v1", stub.host());
    for client in daemon.clients() {
        client.run(&["tag", "busybox", &name]).exits(0);
        let push = client.run(&["push", &name]);
        client.run(&["rmi", &name]).exits(0);
        if !daemon.is_reference() {
            push.exits(1).says("which is not what was sent");
        }
    }
}

#[test]
fn img_27_built_layers_may_go_as_zstd() {
    let daemon = Daemon::shared();
    if daemon.is_reference() {
        return skip("Docker knows gzip only");
    }
    let (shared, stub) = registry(Uploads::default());
    let name = format!("{}/app:v1", stub.host());
    daemon.docker(&["tag", "busybox", &name]).exits(0);
    daemon.gantry(&["push", "--compression", "lz4", &name]).exits(125).says("invalid compression \"lz4\"");
    let id = daemon.inspect(&name, "{{.Id}}");
    let layers = |uploads: &Uploads| {
        let manifest: serde_json::Value = serde_json::from_slice(&uploads.manifest).unwrap();
        let layer = &manifest["layers"][0];
        (layer["mediaType"].as_str().unwrap().to_owned(), layer["digest"].as_str().unwrap().to_owned())
    };
    daemon.gantry(&["push", "--compression", "zstd", &name]).exits(0);
    let (kind, digest) = layers(&shared.lock().unwrap());
    assert_eq!(kind, "application/vnd.oci.image.layer.v1.tar+zstd");
    let (manifest, blobs) = {
        let uploads = shared.lock().unwrap();
        let blob = uploads.blobs.iter().find(|blob| sha256(blob).to_string() == digest).unwrap();
        assert_eq!(blob[..4], [0x28, 0xb5, 0x2f, 0xfd]);
        (uploads.manifest.clone(), uploads.blobs.clone())
    };
    // What was not asked for is gzip again, whatever the registry has already.
    daemon.gantry(&["push", &name]).exits(0);
    assert_eq!(layers(&shared.lock().unwrap()).0, "application/vnd.docker.image.rootfs.diff.tar.gzip");
    daemon.docker(&["rmi", &name]).exits(0);
    // It comes back as the same image.
    let kind = "application/vnd.oci.image.manifest.v1+json".to_owned();
    let served = privileged_tests::served::Served { top: (kind, manifest), documents: Vec::new(), blobs };
    let source = Stub::serving(move |request| served.answer(request));
    let puller = Daemon::start(privileged_tests::Options { images: Vec::new(), ..Default::default() });
    puller.docker(&["pull", &format!("{}/app", source.host())]).exits(0);
    assert_eq!(puller.inspect(&format!("{}/app", source.host()), "{{.Id}}"), id);
}

#[test]
fn img_27_a_layer_from_elsewhere_is_pushed_as_any_other() {
    if privileged_tests::Engine::under_test() == privileged_tests::Engine::Dockerd {
        return skip("the reference of this machine is older than that");
    }
    let (shared, stub) = registry(Uploads::default());
    let config = serde_json::json!({"allow-nondistributable-artifacts": ["registry.example"], "debug": true});
    let options = privileged_tests::Options { images: Vec::new(), config: Some(config), ..Default::default() };
    let daemon = Daemon::start(options);
    let layer = privileged_tests::archive::Layer::of_files(&[("content", &[b'x'; 5000])]);
    let image = privileged_tests::archive::Image {
        reference: "app:latest".to_owned(),
        layers: vec![layer],
        config: serde_json::json!({"Cmd": ["sh"]}),
    };
    let served = privileged_tests::served::Served::of(&image);
    let mut manifest = served.value();
    manifest["layers"][0]["mediaType"] = serde_json::json!("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
    manifest["layers"][0]["urls"] = serde_json::json!(["https://elsewhere.invalid/layer"]);
    let served = served.with_manifest(&manifest);
    let source = Stub::serving(move |request| served.answer(request));
    daemon.docker(&["pull", &format!("{}/app", source.host())]).exits(0);
    daemon.docker(&["tag", &format!("{}/app", source.host()), "busybox"]).exits(0);
    // Docker 28 knows no layers any more that may not be handed on.
    pushed(&daemon, &shared, &stub);
    let sent: serde_json::Value = serde_json::from_slice(&shared.lock().unwrap().manifest).unwrap();
    assert_eq!(sent["layers"][0]["mediaType"], "application/vnd.docker.image.rootfs.diff.tar.gzip");
    assert!(sent["layers"][0].get("urls").is_none(), "{sent}");
    // A setting without effect is not passed over in silence.
    assert!(daemon.log().contains("allow-nondistributable-artifacts"), "{}", daemon.log());
}
