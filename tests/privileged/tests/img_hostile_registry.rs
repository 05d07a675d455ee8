//! Registries that do not keep to the rules: refused with a clear message, and nothing is left behind.
#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::{Arc, Mutex};

use privileged_tests::archive::{Image, Layer, sha256};
use privileged_tests::served::{INDEX, Served};
use privileged_tests::stub::{Answer, Request, Stub};
use privileged_tests::{Daemon, Options, skip};
use serde_json::json;
use std::sync::OnceLock;

fn image(content: &str) -> Image {
    let bytes = content.repeat(20_000);
    let layer = Layer::of_files(&[("content", bytes.as_bytes())]);
    Image { reference: "app:latest".to_owned(), layers: vec![layer], config: json!({"Cmd": ["sh"]}) }
}

/// A daemon that gives up at once. It is shared: each test looks at its own repository only.
fn daemon() -> &'static Daemon {
    static SHARED: OnceLock<Daemon> = OnceLock::new();
    SHARED.get_or_init(|| {
        let config = json!({"max-download-attempts": 1});
        Daemon::start(Options { images: Vec::new(), config: Some(config), ..Options::default() })
    })
}

/// Both clients are refused in these words; no image, layer or partial blob with that content is left.
fn refused(stub: &Stub, words: &str) {
    let daemon = daemon();
    for client in daemon.clients() {
        let pull = client.run(&["pull", &format!("{}/app", stub.host())]);
        let told = pull.exits(1).stderr.clone();
        // The reference has other words for some of it.
        assert!(daemon.is_reference() || told.contains(words), "{words:?} is not in\n{pull}");
        let images = client.run(&["image", "ls", "-q", &format!("{}/app", stub.host())]);
        assert_eq!(images.ok(), "");
    }
}

fn is_blob(request: &Request, digest: &str) -> bool {
    request.path.ends_with(&format!("/blobs/{digest}"))
}

#[test]
fn img_13_a_layer_of_another_content_is_refused() {
    let served = Served::of(&image("wrong content "));
    let layer = served.digest(1);
    let words = format!("filesystem layer verification failed for digest {layer}");
    let stub = Stub::serving(move |request| {
        let mut answer = served.answer(request)?;
        if is_blob(request, &layer) {
            answer.body[600] ^= 1;
        }
        Some(answer)
    });
    refused(&stub, &words);
}

#[test]
fn img_13_a_layer_longer_than_its_manifest_says_is_refused() {
    let served = Served::of(&image("longer "));
    let layer = served.digest(1);
    let words = format!("filesystem layer verification failed for digest {layer}");
    let stub = Stub::serving(move |request| {
        let mut answer = served.answer(request)?;
        if is_blob(request, &layer) {
            answer.body.push(0);
        }
        Some(answer)
    });
    refused(&stub, &words);
}

#[test]
fn img_13_a_layer_without_end_is_refused() {
    if daemon().is_reference() {
        return skip("Docker reads on until its disk is full");
    }
    let served = Served::of(&image("endless "));
    let layer = served.digest(1);
    let words = format!("filesystem layer verification failed for digest {layer}");
    let stub = Stub::serving(move |request| {
        let answer = served.answer(request)?;
        Some(Answer { endless: is_blob(request, &layer), ..answer })
    });
    refused(&stub, &words);
}

#[test]
fn img_13_a_layer_that_never_comes_in_full_is_told() {
    let served = Served::of(&image("truncated "));
    let layer = served.digest(1);
    let stub = Stub::serving(move |request| {
        let answer = served.answer(request)?;
        let half = answer.body.len() / 2;
        Some(Answer { cut: is_blob(request, &layer).then_some(half), ..answer })
    });
    refused(&stub, "unexpected EOF");
}

#[test]
fn img_13_manifests_and_configurations_are_bounded() {
    if daemon().is_reference() {
        return skip("Docker reads on until its disk is full");
    }
    let served = Served::of(&image("large manifest "));
    let stub = Stub::serving(move |request| {
        let answer = served.answer(request)?;
        let manifest = request.path.contains("/manifests/");
        Some(if manifest { Answer { body: vec![b' '; 100 << 20], ..answer } } else { answer })
    });
    refused(&stub, "it is larger than 4096 KiB");
    let served = Served::of(&image("endless manifest "));
    let stub = Stub::serving(move |request| {
        let answer = served.answer(request)?;
        Some(Answer { endless: request.path.contains("/manifests/"), ..answer })
    });
    refused(&stub, "it is larger than 4096 KiB");
    let served = Served::of(&image("endless configuration "));
    let config = served.digest(0);
    let stub = Stub::serving(move |request| {
        let answer = served.answer(request)?;
        Some(Answer { endless: is_blob(request, &config), ..answer })
    });
    refused(&stub, "it is larger than 16384 KiB");
}

#[test]
fn img_13_redirects_end_and_stay_in_http() {
    let served = Served::of(&image("round and round "));
    let layer = served.digest(1);
    let stub = Stub::serving(move |request| match is_blob(request, &layer) {
        true => Some(Answer::new(format!("307 Temporary Redirect\r\nlocation: {}", request.path), "")),
        false => served.answer(request),
    });
    refused(&stub, "stopped after 10 redirects");
    let served = Served::of(&image("to a file "));
    let layer = served.digest(1);
    let stub = Stub::serving(move |request| match is_blob(request, &layer) {
        true => Some(Answer::new("307 Temporary Redirect\r\nlocation: file:///etc/passwd", "")),
        false => served.answer(request),
    });
    refused(&stub, "it leads to file:///etc/passwd, where nobody follows");
}

#[test]
fn img_13_credentials_do_not_go_along_to_another_host() {
    let daemon = daemon();
    let served = Served::of(&image("elsewhere "));
    let layer = served.digest(1);
    let told: Arc<Mutex<Vec<Option<String>>>> = Arc::default();
    let (elsewhere, seen) = (served.clone(), Arc::clone(&told));
    let other = Stub::serving(move |request| {
        seen.lock().unwrap().push(request.header("authorization").map(str::to_owned));
        elsewhere.answer(request)
    });
    let target = format!("http://{}/v2/app/blobs/{layer}", other.host());
    let stub = Stub::serving(move |request| {
        if request.header("authorization") != Some("Basic dXNlcjpzZWNyZXQ=") {
            return Some(Answer::new("401 Unauthorized\r\nwww-authenticate: Basic realm=\"x\"", ""));
        }
        match is_blob(request, &layer) {
            true => Some(Answer::new(format!("307 Temporary Redirect\r\nlocation: {target}"), "")),
            false => served.answer(request),
        }
    });
    let settings = daemon.scratch("credentials").display().to_string();
    let login = ["--config", &settings, "login", "-u", "user", "-p", "secret", stub.host()];
    daemon.docker(&login).exits(0);
    daemon.docker(&["--config", &settings, "pull", &format!("{}/app", stub.host())]).exits(0);
    assert_eq!(*told.lock().unwrap(), [None]);
    daemon.docker(&["rmi", &format!("{}/app", stub.host())]).exits(0);
}

#[test]
fn img_13_indexes_that_lead_nowhere_are_refused() {
    // An index whose entry is, by the registry's word, the index itself.
    let served = Served::of(&image("itself "));
    let platform = json!({"os": "linux", "architecture": "amd64"});
    let claimed = sha256(b"some other document");
    let mut entry = served.entry();
    entry["digest"] = json!(claimed.to_string());
    entry["mediaType"] = json!(INDEX);
    entry["platform"] = platform;
    let served = served.behind(&[entry]);
    let words = format!("manifest verification failed for digest {claimed}");
    let stub = Stub::serving(move |request| {
        let index = request.path.ends_with(&claimed.to_string());
        let answer = || Answer::new(format!("200 OK\r\ncontent-type: {INDEX}"), served.top.1.clone());
        if index { Some(answer()) } else { served.answer(request) }
    });
    refused(&stub, &words);
    // One in the other, deeper than anybody needs.
    let mut served = Served::of(&image("deep "));
    for _ in 0..6 {
        let entry = served.entry();
        served = served.behind(&[entry]);
    }
    let stub = Stub::serving(move |request| served.answer(request));
    refused(&stub, "too many indexes within indexes");
}

#[test]
fn img_13_what_is_no_image_is_told() {
    let served = Served::of(&image("a chart "));
    let mut manifest = served.value();
    manifest["config"]["mediaType"] = json!("application/vnd.cncf.helm.config.v1+json");
    let served = served.with_manifest(&manifest);
    let stub = Stub::serving(move |request| served.answer(request));
    refused(&stub, "Encountered remote \"application/vnd.cncf.helm.config.v1+json\"(unknown) when fetching");
    let served = Served::of(&image("two layers for one "));
    let mut manifest = served.value();
    let layer = manifest["layers"][0].clone();
    manifest["layers"].as_array_mut().unwrap().push(layer);
    let served = served.with_manifest(&manifest);
    let stub = Stub::serving(move |request| served.answer(request));
    refused(&stub, "layers from manifest don't match image configuration");
}

#[test]
fn img_13_limits_and_failures_of_a_registry_are_told() {
    let limited = Stub::start(|_, path| {
        let body = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}"#;
        Some(match path {
            "/v2/" => Answer::new("200 OK", "{}"),
            _ => Answer::new("429 Too Many Requests\r\nratelimit-limit: 100;w=21600\r\nretry-after: 3600", body),
        })
    });
    refused(&limited, "toomanyrequests: You have reached your pull rate limit.");
    refused(&limited, "allows 100 requests in 6h0m0s; it may be asked again in 1h0m0s, at ");
    let broken = Stub::start(|_, path| {
        Some(match path {
            "/v2/" => Answer::new("200 OK", "{}"),
            _ => Answer::new("502 Bad Gateway", "upstream"),
        })
    });
    refused(&broken, &format!("received unexpected HTTP status: 502 Bad Gateway from {}", broken.host()));
    let tokenless = OnceLock::<String>::new();
    let realm = Arc::new(tokenless);
    let known = Arc::clone(&realm);
    let stub = Stub::start(move |_, path| {
        let realm = known.get().cloned().unwrap_or_default();
        Some(match path.starts_with("/token") {
            true => Answer::new("200 OK", "{}"),
            false => {
                let challenge = format!("Bearer realm=\"http://{realm}/token\",service=\"x\"");
                Answer::new(format!("401 Unauthorized\r\nwww-authenticate: {challenge}"), "")
            }
        })
    });
    realm.set(stub.host().to_owned()).unwrap();
    refused(&stub, "authorization server did not include a token in the response");
}

#[test]
fn img_13_nothing_of_a_refused_pull_is_left() {
    let daemon = Daemon::start(Options { images: Vec::new(), ..Options::default() });
    let before = daemon.traces();
    let served = Served::of(&image("nothing is left "));
    let layer = served.digest(1);
    let stub = Stub::serving(move |request| {
        let mut answer = served.answer(request)?;
        if is_blob(request, &layer) {
            answer.body[600] ^= 1;
        }
        Some(answer)
    });
    daemon.docker(&["pull", &format!("{}/app", stub.host())]).exits(1);
    if !daemon.is_reference() {
        assert_eq!(daemon.traces(), before);
    }
}
