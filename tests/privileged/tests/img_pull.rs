//! Rows IMG-13 to IMG-36 and DMN-10 to DMN-19, the protocol's side: resuming, sharing, mirrors, kinds of manifests.
#![allow(clippy::unwrap_used, missing_docs)]

use std::process::Stdio;
use std::sync::{Arc, Mutex};

use privileged_tests::archive::{Image, Layer, sha256};
use privileged_tests::served::Served;
use privileged_tests::stub::{Answer, Request, Stub};
use privileged_tests::{Daemon, Options, until};
use serde_json::{Value, json};

fn image(content: &str) -> Image {
    let bytes = content.repeat(300_000);
    let layer = Layer::of_files(&[("content", bytes.as_bytes())]);
    Image { reference: "app:latest".to_owned(), layers: vec![layer], config: json!({"Cmd": ["sh"]}) }
}

fn empty() -> Daemon {
    Daemon::start(Options { images: Vec::new(), ..Options::default() })
}

/// Where the requests for a blob began.
type Ranges = Arc<Mutex<Vec<Option<String>>>>;

fn note(ranges: &Ranges, request: &Request) {
    ranges.lock().unwrap().push(request.header("range").map(str::to_owned));
}

#[test]
fn img_13_a_broken_download_goes_on_where_it_broke() {
    let daemon = empty();
    for client in daemon.clients() {
        let image = image("broken ");
        let served = Served::of(&image);
        let (layer, size) = (served.digest(1), served.blobs[1].len());
        let ranges = Ranges::default();
        let seen = Arc::clone(&ranges);
        let stub = Stub::serving(move |request| {
            let answer = served.answer(request)?;
            if !request.path.ends_with(&layer) {
                return Some(answer);
            }
            note(&seen, request);
            // Each connection brings a quarter, up to the last one.
            let cut = (answer.body.len() > size / 3).then_some(size / 4);
            Some(Answer { cut, ..answer })
        });
        let name = format!("{}/app", stub.host());
        client.run(&["pull", &name]).exits(0);
        assert_eq!(daemon.inspect(&name, "{{.Id}}"), image.id().to_string());
        let ranges = ranges.lock().unwrap();
        assert!(ranges.len() >= 3 && ranges[0].is_none(), "{ranges:?}");
        if !daemon.is_reference() {
            assert_eq!(ranges[1], Some(format!("bytes={}-", size / 4)));
        }
        client.run(&["rmi", &name]).exits(0);
    }
}

#[test]
fn img_13_a_download_goes_on_behind_a_killed_daemon() {
    let daemon = empty();
    let image = image("killed ");
    let served = Served::of(&image);
    let (layer, size) = (served.digest(1), served.blobs[1].len());
    let ranges = Ranges::default();
    let seen = Arc::clone(&ranges);
    let stub = Stub::serving(move |request| {
        let answer = served.answer(request)?;
        let wanted = request.path.ends_with(&layer);
        if wanted {
            note(&seen, request);
        }
        Some(Answer { held: wanted && request.header("range").is_none(), ..answer })
    });
    let name = format!("{}/app", stub.host());
    let mut client = daemon.stock().command(&["pull", &name]);
    let mut client = client.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let partial = daemon.data_root().join("image/overlay2/content/partial");
    if !daemon.is_reference() {
        let arrived = || {
            let file = std::fs::read_dir(&partial).ok()?.flatten().next()?;
            (file.metadata().ok()?.len() > 100_000).then_some(())
        };
        until("a part has arrived", 60, arrived);
    }
    daemon.kill();
    client.wait().unwrap();
    daemon.launch();
    if daemon.is_reference() {
        stub.open();
    }
    daemon.docker(&["pull", &name]).exits(0);
    assert_eq!(daemon.inspect(&name, "{{.Id}}"), image.id().to_string());
    if !daemon.is_reference() {
        let ranges = ranges.lock().unwrap();
        let again = ranges.last().unwrap().clone().unwrap();
        let from: usize = again.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap();
        assert!(from > 100_000 && from < size, "{ranges:?}");
        assert_eq!(std::fs::read_dir(&partial).unwrap().count(), 0);
    }
}

#[test]
fn img_13_prune_takes_what_has_arrived() {
    let daemon = empty();
    let served = Served::of(&image("pruned "));
    let layer = served.digest(1);
    let stub = Stub::serving(move |request| {
        let answer = served.answer(request)?;
        Some(Answer { held: request.path.ends_with(&layer), ..answer })
    });
    let mut client = daemon.stock().command(&["pull", &format!("{}/app", stub.host())]);
    let mut client = client.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    if daemon.is_reference() {
        client.kill().unwrap();
        client.wait().unwrap();
        return privileged_tests::skip("Docker forgets it only when it ends");
    }
    let partial = daemon.data_root().join("image/overlay2/content/partial");
    let left = || std::fs::read_dir(&partial).map_or(0, Iterator::count);
    let arrived = || std::fs::read_dir(&partial).ok()?.flatten().next()?.metadata().ok().filter(|file| file.len() > 0);
    until("a part has arrived", 60, arrived);
    daemon.kill();
    client.wait().unwrap();
    daemon.launch();
    assert_eq!(left(), 1);
    // The stock client tells the space only when an image went.
    let prune = daemon.api().request("POST", "/images/prune", None).unwrap();
    let answer: Value = serde_json::from_slice(&prune.body).unwrap();
    assert!(answer["SpaceReclaimed"].as_u64().unwrap() > 0, "{answer}");
    assert_eq!(left(), 0);
}

#[test]
fn img_13_different_images_share_one_download() {
    let daemon = empty();
    let base = image("shared ").layers.remove(0);
    let with = |name: &str| {
        let own = Layer::of_files(&[(name, name.as_bytes())]);
        Image { layers: vec![base.clone(), own], ..image("") }
    };
    let (one, two) = (with("one"), with("two"));
    let (first, second) = (Served::of(&one), Served::of(&two));
    let layer = first.digest(1);
    let shared = layer.clone();
    let stub = Stub::serving(move |request| {
        let served = if request.path.starts_with("/v2/one/") { &first } else { &second };
        let answer = served.answer(request)?;
        Some(Answer { held: request.path.ends_with(&shared), ..answer })
    });
    let pull = |name: &str| {
        let mut command = daemon.stock().command(&["pull", &format!("{}/{name}", stub.host())]);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let first = pull("one");
    until("the layer is asked for", 30, || (stub.count(&format!("GET /v2/one/blobs/{layer}")) == 1).then_some(()));
    let second = pull("two");
    until("the other pull has begun", 30, || (stub.count("GET /v2/two/blobs/") >= 2).then_some(()));
    stub.open();
    for child in [first, second] {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let asked = stub.count(&format!("GET /v2/one/blobs/{layer}")) + stub.count(&format!("GET /v2/two/blobs/{layer}"));
    assert_eq!(asked, 1);
    assert_eq!(daemon.inspect(&format!("{}/two", stub.host()), "{{.Id}}"), two.id().to_string());
}

/// A manifest of schema 1 for an image of one layer with content and one without.
fn schema1(layer: &Layer) -> Vec<u8> {
    let top = json!({
        "id": "b".repeat(64), "parent": "a".repeat(64), "created": "2015-02-01T00:00:00Z", "throwaway": true,
        "architecture": "amd64", "os": "linux", "docker_version": "1.9.1",
        "config": {"Cmd": ["/bin/old"], "Env": ["OLD=1"]}, "container_config": {"Cmd": ["/bin/sh", "-c", "#(nop) CMD"]},
    });
    let base = json!({
        "id": "a".repeat(64), "created": "2015-01-01T00:00:00Z", "author": "somebody",
        "container_config": {"Cmd": ["/bin/sh", "-c", "#(nop) ADD file"]},
    });
    let nothing = sha256(&[0; 1024]).to_string();
    json!({
        "schemaVersion": 1, "name": "app", "tag": "latest", "architecture": "amd64",
        "fsLayers": [{"blobSum": nothing}, {"blobSum": layer.digest().to_string()}],
        "history": [{"v1Compatibility": top.to_string()}, {"v1Compatibility": base.to_string()}],
    })
    .to_string()
    .into_bytes()
}

#[test]
fn img_13_a_manifest_of_schema_1_becomes_an_image() {
    let daemon = empty();
    if daemon.is_reference() {
        return privileged_tests::skip("Docker wants such a manifest to be signed");
    }
    for client in daemon.clients() {
        let image = image("old ");
        let manifest = schema1(&image.layers[0]);
        let digest = sha256(&manifest).to_string();
        let mut served = Served::of(&image);
        served.top = ("application/vnd.docker.distribution.manifest.v1+json".to_owned(), manifest);
        let stub = Stub::serving(move |request| served.answer(request));
        let name = format!("{}/app", stub.host());
        let pull = client.run(&["pull", &name]);
        assert!(pull.exits(0).stdout.contains(&format!("Digest: {digest}")), "{pull}");
        let layers = daemon.inspect(&name, "{{json .RootFS.Layers}}");
        assert_eq!(layers, json!([image.layers[0].digest().to_string()]).to_string());
        assert_eq!(daemon.inspect(&name, "{{json .Config.Cmd}} {{json .Config.Env}}"), "[\"/bin/old\"] [\"OLD=1\"]");
        let history = client.run(&["history", "--no-trunc", "--format", "{{.CreatedBy}}", &name]);
        assert_eq!(history.exits(0).lines(), ["/bin/sh -c #(nop) CMD", "/bin/sh -c #(nop) ADD file"]);
        let again = client.run(&["pull", &name]);
        assert!(again.exits(0).stdout.contains("Image is up to date"), "{again}");
        client.run(&["rmi", &name]).exits(0);
    }
}

#[test]
fn img_14_an_index_gives_the_image_for_the_machine() {
    let daemon = empty();
    let of = |served: &Served, architecture: &str, variant: Option<&str>| -> Value {
        let mut entry = served.entry();
        entry["platform"] =
            json!({"os": "linux", "architecture": architecture, "variant": variant.unwrap_or_default()});
        entry
    };
    let (intel, old, new) = (image("amd64 "), image("arm v6 "), image("arm v7 "));
    let parts = [Served::of(&intel), Served::of(&old), Served::of(&new)];
    let mut attestation = of(&parts[1], "unknown", None);
    attestation["platform"]["os"] = json!("unknown");
    attestation["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
    // The one for amd64 is in an index of its own.
    let inner = parts[0].clone().behind(&[of(&parts[0], "amd64", None)]);
    let entries = [attestation, of(&parts[1], "arm", Some("v6")), of(&parts[2], "arm", Some("v7")), inner.entry()];
    let mut served = inner.behind(&entries);
    for part in &parts[1..] {
        served.documents.push(part.top.clone());
        served.blobs.extend(part.blobs.clone());
    }
    let stub = Stub::serving(move |request| served.answer(request));
    let name = format!("{}/app", stub.host());
    for (platform, wanted) in [("linux/amd64", &intel), ("linux/arm/v6", &old), ("linux/arm/v7", &new)] {
        if daemon.is_reference() && platform == "linux/amd64" {
            continue;
        }
        let pull = daemon.docker(&["pull", "--platform", platform, &name]);
        pull.exits(0);
        assert_eq!(daemon.inspect(&name, "{{.Id}}"), wanted.id().to_string(), "{platform}");
    }
    let none = daemon.docker(&["pull", "--platform", "linux/s390x", &name]);
    none.exits(1).says("no matching manifest for linux/s390x in the manifest list entries");
}

#[test]
fn img_14_an_image_for_another_machine_is_told() {
    let daemon = empty();
    let served = Served::of(&image("alone "));
    let stub = Stub::serving(move |request| served.answer(request));
    let name = format!("{}/app:latest", stub.host());
    for client in daemon.clients() {
        // There is no other under this name: it is taken, and the user is told.
        let pull = client.run(&["pull", "--platform", "linux/arm64", &name]);
        pull.exits(0);
        // The reference leaves the tag out.
        let named = if daemon.is_reference() { name.trim_end_matches(":latest") } else { &name };
        let warning = format!("\nWARNING: image with reference {named} was found but ");
        assert!(pull.stdout.contains(&warning), "{pull}");
        let pull = client.run(&["pull", "--platform", "linux/amd64", &name]);
        assert!(!pull.ok().contains("WARNING"), "{pull}");
        let create = client.run(&["create", "--pull", "never", "--platform", "linux/arm64", &name, "sh"]);
        create.says("does not match the specified platform");
        if !daemon.is_reference() {
            let words = "its platform (linux/amd64) does not match the specified platform (linux/arm64)";
            assert!(pull.stderr.is_empty() && create.stderr.contains(words), "{create}");
        }
        client.run(&["rmi", &name]).exits(0);
    }
}

#[test]
fn img_35_any_registry_may_have_mirrors() {
    let (image, down) = (image("mirrored "), Stub::start(|_, _| Some(Answer::new("503 Service Unavailable", ""))));
    let served = Served::of(&image);
    let mirror = Stub::serving(move |request| served.answer(request));
    let table = json!({"reg.example:5000": [format!("http://{}", down.host()), format!("http://{}", mirror.host())]});
    let config = json!({"registry-host-mirrors": table});
    if privileged_tests::Engine::under_test() == privileged_tests::Engine::Dockerd {
        return privileged_tests::skip("Docker has mirrors for its hub only");
    }
    let daemon = Daemon::start(Options { images: Vec::new(), config: Some(config), ..Options::default() });
    for client in daemon.clients() {
        client.run(&["pull", "reg.example:5000/app:v1"]).exits(0);
        assert_eq!(daemon.inspect("reg.example:5000/app:v1", "{{.Id}}"), image.id().to_string());
        let digest = daemon.inspect("reg.example:5000/app:v1", "{{index .RepoDigests 0}}");
        client.run(&["rmi", "reg.example:5000/app:v1"]).exits(0);
        // A digest may come from anywhere: it proves itself.
        client.run(&["pull", &digest]).exits(0);
        client.run(&["rmi", &digest]).exits(0);
    }
    // Who did not answer is left alone for a while.
    assert_eq!(down.count("GET /v2/"), 1);
    let info: Value = serde_json::from_str(daemon.docker(&["info", "-f", "{{json .RegistryConfig}}"]).ok()).unwrap();
    let shown = &info["IndexConfigs"]["reg.example:5000"]["Mirrors"];
    assert_eq!(shown[1], format!("http://{}/", mirror.host()));
}

#[test]
fn dmn_19_the_flag_says_what_the_key_says() {
    let image = image("flag ");
    let served = Served::of(&image);
    let mirror = Stub::serving(move |request| {
        let path = request.path.replace("/v2/library/app/", "/v2/app/");
        let request =
            Request { path, method: request.method.clone(), headers: request.headers.clone(), body: Vec::new() };
        served.answer(&request)
    });
    let flags = vec![format!("--registry-mirror=http://{}", mirror.host())];
    let daemon = Daemon::start(Options { images: Vec::new(), flags, ..Options::default() });
    for client in daemon.clients() {
        client.run(&["pull", "app"]).exits(0);
        assert_eq!(daemon.inspect("app", "{{.Id}}"), image.id().to_string());
        client.run(&["rmi", "app"]).exits(0);
        let info = client.run(&["info"]);
        assert!(info.exits(0).stdout.contains("Registry Mirrors:"), "{info}");
        assert!(info.stdout.contains(mirror.host()), "{info}");
    }
}

#[test]
fn img_16_a_layer_may_come_from_elsewhere() {
    let daemon = empty();
    if daemon.is_reference() {
        return privileged_tests::skip("Docker on Linux asks only the registry");
    }
    let image = image("foreign ");
    let served = Served::of(&image);
    let (layer, bytes) = (served.digest(1), served.blobs[1].clone());
    let other = Stub::serving(move |request| Some(Answer::ranged(request, &bytes)));
    let mut manifest = served.value();
    manifest["layers"][0]["mediaType"] = json!("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
    manifest["layers"][0]["urls"] = json!(["file:///etc/passwd", format!("http://{}/layer", other.host())]);
    let served = served.with_manifest(&manifest);
    let stub = Stub::serving(move |request| (!request.path.ends_with(&layer)).then(|| served.answer(request))?);
    let name = format!("{}/app", stub.host());
    for client in daemon.clients() {
        client.run(&["pull", &name]).exits(0);
        assert_eq!(daemon.inspect(&name, "{{.Id}}"), image.id().to_string());
        client.run(&["rmi", &name]).exits(0);
    }
    assert!(other.count("GET /layer") >= 1);
}

#[test]
fn img_17_names_have_a_host_a_path_a_tag_and_a_digest() {
    let daemon = empty();
    let image = image("named ");
    let served = Served::of(&image);
    let digest = sha256(&served.top.1).to_string();
    let stub = Stub::serving(move |request| {
        let path = request.path.replace("/v2/user/app/", "/v2/app/");
        let request =
            Request { path, method: request.method.clone(), headers: request.headers.clone(), body: Vec::new() };
        served.answer(&request)
    });
    let name = format!("{}/user/app", stub.host());
    for client in daemon.clients() {
        for text in [name.clone(), format!("{name}:v1"), format!("{name}@{digest}"), format!("{name}:v1@{digest}")] {
            client.run(&["pull", &text]).exits(0);
            let short = text.replace(":v1@", "@");
            assert_eq!(daemon.inspect(&short, "{{.Id}}"), image.id().to_string(), "{text}");
            client.run(&["rmi", "-f", &image.id().to_string()]).exits(0);
        }
        let upper = client.run(&["pull", "Upper"]);
        upper.exits(1).says("invalid reference format: repository name (library/Upper) must be lowercase");
        for text in ["app:", "app@sha256:12", "-app", "http://app"] {
            client.run(&["pull", "--", text]).exits(1).says("invalid reference format");
        }
    }
}
