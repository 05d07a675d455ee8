//! Pulls from a registry on loopback (Debian's docker-registry, filled by skopeo) and from hand-made servers.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use store::{DriverChoice, ImportOptions, Store, StoreConfig};
use transfer::{Credentials, Error, Progress, PullRequest, Pulled, pull};

struct Registry {
    child: Child,
    address: String,
    _directory: tempfile::TempDir,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A registry of its own port, or `None` with the reason when a program is missing.
fn registry(auth: &str) -> Option<Registry> {
    for program in ["docker-registry", "skopeo"] {
        if !Path::new("/usr/bin").join(program).exists() {
            eprintln!("skipped: {program} is not installed");
            return None;
        }
    }
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: needs root (overlay mounts, owners)");
        return None;
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config.yml");
    let storage = directory.path().join("storage");
    let text = format!(
        "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: 127.0.0.1:{port}}}\n{auth}",
        storage.display()
    );
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new("/usr/bin/docker-registry");
    command.arg("serve").arg(&config).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    let child = command.spawn().unwrap();
    let registry = Registry { child, address: format!("127.0.0.1:{port}"), _directory: directory };
    let started = Instant::now();
    while TcpStream::connect(&registry.address).is_err() {
        assert!(started.elapsed() < Duration::from_secs(20), "the registry does not start");
        std::thread::sleep(Duration::from_millis(50));
    }
    Some(registry)
}

fn open(directory: &Path) -> Store {
    Store::open(StoreConfig { data_root: directory.to_owned(), driver: DriverChoice::Overlay2 }).unwrap()
}

/// Pushes an image of one layer; returns its id.
fn fill(registry: &Registry, name: &str, content: &str, extra: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory.path().join("data"));
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, "content", content.as_bytes()).unwrap();
    let bytes = tar.into_inner().unwrap();
    let options = ImportOptions {
        reference: Some("source:latest".parse().unwrap()),
        config: store::ContainerConfig::default(),
        message: String::new(),
        platform: None,
    };
    let id = store.import(&mut &bytes[..], options).unwrap();
    let archive = directory.path().join("image.tar");
    let mut file = std::fs::File::create(&archive).unwrap();
    store.save(&["source".to_owned()], &store::SaveOptions::default(), &mut file).unwrap();
    let output = Command::new("/usr/bin/skopeo")
        .args(["--insecure-policy", "copy", "-q", "--dest-tls-verify=false"])
        .args(extra)
        .arg(format!("docker-archive:{}", archive.display()))
        .arg(format!("docker://{}/{name}", registry.address))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    id.to_string()
}

type Events = Arc<Mutex<Vec<Progress>>>;

fn pull_now(store: &Store, name: &str, credentials: Option<Credentials>) -> (Result<Pulled, Error>, Vec<Progress>) {
    let events = Events::default();
    let sink = Arc::clone(&events);
    let reference: types::Reference = name.parse().unwrap();
    let reference = reference.with_default_tag();
    let request = PullRequest { reference, platform: None, credentials, registries: Arc::default() };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let result = runtime.block_on(pull(store, request, move |event| sink.lock().unwrap().push(event)));
    let result = result.map(|mut all| all.remove(0));
    drop(runtime);
    let events = std::mem::take(&mut *events.lock().unwrap());
    (result, events)
}

fn listing(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in std::fs::read_dir(&directory).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                pending.push(entry.path());
            }
            found.push(entry.path().display().to_string());
        }
    }
    found.sort();
    found
}

#[test]
fn pulls_by_tag_and_digest_from_a_plain_registry() {
    let Some(registry) = registry("") else { return };
    let id = fill(&registry, "team/app:v1", "one", &[]);
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("data");
    let store = open(&root);
    let name = format!("{}/team/app:v1", registry.address);
    let (result, events) = pull_now(&store, &name, None);
    let pulled = result.unwrap();
    assert_eq!((pulled.id.to_string(), pulled.newer), (id.clone(), true));
    let first = Progress::PullingFrom { id: "v1".to_owned(), repository: "team/app".to_owned() };
    assert_eq!(events[0], first);
    let kind = |event: &Progress| format!("{event:?}").split([' ', '(']).next().unwrap().to_owned();
    let mut kinds: Vec<String> =
        events.iter().map(kind).filter(|kind| kind != "Downloading" && kind != "Extracting").collect();
    kinds.dedup();
    let expected =
        ["PullingFrom", "PullingFsLayer", "VerifyingChecksum", "DownloadComplete", "PullComplete", "Digest", "Status"];
    assert_eq!(kinds, expected);
    let image = store.image(&pulled.id).unwrap();
    let digest = format!("{}/team/app@{}", registry.address, pulled.digest);
    assert_eq!((image.repo_tags[0].familiar(), image.repo_digests[0].familiar()), (name.clone(), digest.clone()));
    assert_eq!(std::fs::read_dir(root.join("tmp")).unwrap().count(), 0);

    let (again, events) = pull_now(&store, &name, None);
    assert!(!again.unwrap().newer);
    assert_eq!(events.last(), Some(&Progress::Status { reference: name, newer: false }));
    let other = tempfile::tempdir().unwrap();
    let second = open(&other.path().join("data"));
    assert_eq!(pull_now(&second, &digest, None).0.unwrap().id.to_string(), id);
    assert!(second.images()[0].repo_tags.is_empty());

    // What was pulled is saved with the blob as the registry has it.
    let blob = store.blob_of_diff(&image.config.rootfs.diff_ids[0]).unwrap();
    assert!(blob.media_type.ends_with("tar+gzip") && std::fs::metadata(blob.path).unwrap().len() == blob.size);
}

#[test]
fn a_missing_tag_gets_dockers_words_and_leaves_nothing() {
    let Some(registry) = registry("") else { return };
    fill(&registry, "app:v1", "one", &[]);
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("data");
    let store = open(&root);
    let before = listing(&root);
    let name = format!("{}/app:nope", registry.address);
    let error = pull_now(&store, &name, None).0.unwrap_err();
    assert_eq!(error.to_string(), format!("manifest for {name} not found: manifest unknown: manifest unknown"));
    store.settle();
    assert_eq!(listing(&root), before);
}

#[test]
fn credentials_are_sent_where_they_are_asked_for() {
    // user:secret
    let directory = tempfile::tempdir().unwrap();
    let htpasswd = directory.path().join("htpasswd");
    std::fs::write(&htpasswd, "user:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n").unwrap();
    let auth = format!("auth: {{htpasswd: {{realm: test, path: {}}}}}\n", htpasswd.display());
    let Some(registry) = registry(&auth) else { return };
    let id = fill(&registry, "app:v1", "guarded", &["--dest-creds=user:secret"]);
    let root = directory.path().join("data");
    let store = open(&root);
    let name = format!("{}/app:v1", registry.address);
    let error = pull_now(&store, &name, None).0.unwrap_err();
    let url = format!("http://{}/v2/app/manifests/v1", registry.address);
    assert_eq!(error.to_string(), format!("Head {url:?}: no basic auth credentials"));
    let wrong = Credentials::Basic { username: "user".to_owned(), password: "wrong".to_owned() };
    let error = pull_now(&store, &name, Some(wrong)).0.unwrap_err();
    assert_eq!(error.to_string(), "unauthorized: authentication required");
    let right = Credentials::Basic { username: "user".to_owned(), password: "secret".to_owned() };
    assert_eq!(pull_now(&store, &name, Some(right)).0.unwrap().id.to_string(), id);
}

/// Answers requests by path until the test ends; counts them.
fn serve(answers: Vec<(&'static str, String, Vec<u8>)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = answer(stream, &answers);
        }
    });
    address
}

fn answer(mut stream: TcpStream, answers: &[(&'static str, String, Vec<u8>)]) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    let found = answers.iter().find(|(prefix, _, _)| path.starts_with(prefix));
    let Some((_, head, body)) = found else {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    };
    stream.write_all(
        format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len()).as_bytes(),
    )?;
    stream.write_all(body)
}

fn sha256(bytes: &[u8]) -> String {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    types::Digest::from_sha256(hash.as_ref().try_into().unwrap()).to_string()
}

#[test]
fn a_layer_that_is_not_its_digest_is_refused_and_leaves_nothing() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: needs root (overlay mounts)");
        return;
    }
    let mut layer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    layer.write_all(&[0; 1024]).unwrap();
    let layer = layer.finish().unwrap();
    let wrong = sha256(b"something else");
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":["{}"]}}}}"#,
        sha256(&[0; 1024])
    );
    let manifest_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = format!(
        r#"{{"schemaVersion":2,"config":{{"digest":"{}","size":{}}},"layers":[{{"digest":"{wrong}","size":{}}}]}}"#,
        sha256(config.as_bytes()),
        config.len(),
        layer.len()
    );
    let address = serve(vec![
        ("/v2/app/manifests/", format!("200 OK\r\ncontent-type: {manifest_type}"), manifest.into_bytes()),
        (
            Box::leak(format!("/v2/app/blobs/{}", sha256(config.as_bytes())).into_boxed_str()),
            "200 OK".to_owned(),
            config.clone().into_bytes(),
        ),
        ("/v2/app/blobs/", "200 OK".to_owned(), layer),
        ("/v2/", "200 OK".to_owned(), b"{}".to_vec()),
    ]);
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("data");
    let store = open(&root);
    let before = listing(&root);
    let error = pull_now(&store, &format!("{address}/app:v1"), None).0.unwrap_err();
    assert_eq!(error.to_string(), format!("filesystem layer verification failed for digest {wrong}"));
    store.settle();
    assert_eq!(listing(&root), before);
    assert!(store.images().is_empty());
}

#[test]
fn tokens_are_fetched_for_the_repository() {
    let token = serve(vec![(
        "/token?scope=repository%3Ateam%2Fapp%3Apull&service=reg",
        "200 OK".to_owned(),
        br#"{"token":"t"}"#.to_vec(),
    )]);
    let challenge =
        format!("401 Unauthorized\r\nwww-authenticate: Bearer realm=\"http://{token}/token\",service=\"reg\"");
    let denied = br#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#.to_vec();
    let address = serve(vec![
        ("/v2/team/app/manifests/", "401 Unauthorized".to_owned(), denied),
        ("/v2/", challenge, Vec::new()),
    ]);
    let directory = tempfile::tempdir().unwrap();
    let store =
        Store::open(StoreConfig { data_root: directory.path().join("data"), driver: DriverChoice::Vfs }).unwrap();
    let error = pull_now(&store, &format!("{address}/team/app"), None).0.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "pull access denied for {address}/team/app, repository does not exist or may require 'docker login': denied: requested access to the resource is denied"
        )
    );
}

#[test]
fn an_unreachable_registry_is_given_up_quickly() {
    let directory = tempfile::tempdir().unwrap();
    let store =
        Store::open(StoreConfig { data_root: directory.path().join("data"), driver: DriverChoice::Vfs }).unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = pull_now(&store, &format!("{closed}/app"), None).0.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("Get \"http://{closed}/v2/\": dial tcp {closed}: connect: connection refused")
    );
    let started = Instant::now();
    let error = pull_now(&store, "registry.invalid/app", None).0.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
    let text = error.to_string();
    assert!(text.starts_with("Get \"https://registry.invalid/v2/\": "), "{text}");
    eprintln!("{text}");
}

#[test]
fn plain_http_needs_to_be_allowed() {
    // A plain server at an address that is not trusted by itself.
    let Some(own) = own_address() else {
        eprintln!("skipped: no address besides loopback");
        return;
    };
    let listener = TcpListener::bind((own.as_str(), 0)).unwrap();
    let other = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut buffer = [0; 512];
            let _ = stream.read(&mut buffer);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let directory = tempfile::tempdir().unwrap();
    let store =
        Store::open(StoreConfig { data_root: directory.path().join("data"), driver: DriverChoice::Vfs }).unwrap();
    let error = pull_now(&store, &format!("{other}/app"), None).0.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("Get \"https://{other}/v2/\": http: server gave HTTP response to HTTPS client")
    );
}

fn own_address() -> Option<String> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback()).then(|| address.to_string())
}
