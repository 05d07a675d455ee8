//! Rows IMG and HUB: images between the engine and registries, with skopeo as an independent reader.
#![allow(clippy::unwrap_used, missing_docs)]

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::OnceLock;

use privileged_tests::archive::{Image, Layer};
use privileged_tests::fixtures::Fixture;
use privileged_tests::registry::{Registry, free_port};
use privileged_tests::stub::{Answer, Stub};
use privileged_tests::{Client, Daemon, Options, Run, skip, until};
use serde_json::{Value, json};

/// Or the test ends with a visible skip.
macro_rules! registry {
    ($start:expr) => {
        match $start {
            Some(registry) if Path::new("/usr/bin/skopeo").exists() => registry,
            _ => return skip("docker-registry, openssl or skopeo is not installed"),
        }
    };
}

/// What skopeo says about an image on a registry.
fn skopeo(reference: &str) -> Value {
    let mut command = Command::new("skopeo");
    command.args(["inspect", "--tls-verify=false"]).arg(format!("docker://{reference}"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A client with settings of its own.
struct User {
    client: Client,
    settings: String,
}

impl User {
    fn new(daemon: &Daemon, client: Client) -> Self {
        let settings = daemon.scratch(&daemon.name("settings")).display().to_string();
        Self { client, settings }
    }

    fn all(daemon: &Daemon) -> Vec<Self> {
        daemon.clients().into_iter().map(|client| Self::new(daemon, client)).collect()
    }

    fn run(&self, arguments: &[&str]) -> Run {
        self.client.run(&[&["--config", self.settings.as_str()], arguments].concat())
    }

    fn run_with_input(&self, arguments: &[&str], input: &str) -> Run {
        self.client.run_with_input(&[&["--config", self.settings.as_str()], arguments].concat(), input.as_bytes())
    }

    fn file(&self) -> PathBuf {
        Path::new(&self.settings).join("config.json")
    }

    fn settings(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.file()).unwrap()).unwrap()
    }
}

fn last_digest(push: &Run) -> String {
    let lines = push.lines();
    let line = lines.iter().find(|line| line.contains(": digest: sha256:")).unwrap_or_else(|| panic!("{push}"));
    line.split(' ').nth(2).unwrap().to_owned()
}

#[test]
fn img_27_push_sends_what_the_registry_lacks() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let registry = registry!(Registry::start());
        let (one, other) = (registry.reference("team/one:V1"), registry.reference("other:V1"));
        client.run(&["tag", "busybox", &one]).exits(0);
        client.run(&["tag", "busybox", &other]).exits(0);
        let push = client.run(&["push", &one]);
        push.exits(0);
        let layer = daemon.inspect("busybox", "{{index .RootFS.Layers 0}}")[7..19].to_owned();
        let lines = push.lines();
        assert_eq!(lines[0], format!("The push refers to repository [{}]", registry.reference("team/one")), "{push}");
        assert!(lines.contains(&format!("{layer}: Pushed").as_str()), "{push}");
        let digest = last_digest(&push);
        assert!(lines.last().unwrap().starts_with(&format!("V1: digest: {digest} size: ")), "{push}");
        let seen = skopeo(&one);
        assert_eq!((seen["Digest"].as_str(), seen["Architecture"].as_str()), (Some(digest.as_str()), Some("amd64")));
        let again = client.run(&["push", &one]);
        assert!(again.exits(0).lines().contains(&format!("{layer}: Layer already exists").as_str()), "{again}");
        assert_eq!(last_digest(&again), digest);
        // Another repository of the registry takes the layer over without any upload.
        let mounted = client.run(&["push", &other]);
        let expected = format!("{layer}: Mounted from team/one");
        assert!(mounted.exits(0).lines().contains(&expected.as_str()), "{mounted}");
        let digests = daemon.inspect("busybox", "{{json .RepoDigests}}");
        assert!(digests.contains(&format!("{}@{digest}", registry.reference("team/one"))), "{digests}");
        for name in [one, other] {
            client.run(&["rmi", &name]).exits(0);
        }
    }
}

#[test]
fn img_27_all_tags_and_tags_that_are_not_here() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let registry = registry!(Registry::start());
        let name = registry.reference("app");
        let missing = client.run(&["push", &name]);
        let text = format!("An image does not exist locally with the tag: {name}");
        assert!(missing.exits(1).stdout.contains("Using default tag: latest"), "{missing}");
        missing.says(&text);
        for tag in ["a", "b"] {
            client.run(&["tag", "busybox", &format!("{name}:{tag}")]).exits(0);
        }
        client.run(&["push", &format!("{name}:nope")]).exits(1).says(&format!("tag does not exist: {name}:nope"));
        client.run(&["push", "-a", &format!("{name}:a")]).exits(1).says("tag can't be used with --all-tags/-a");
        let push = client.run(&["push", "--all-tags", &name]);
        let tags: Vec<_> = push.exits(0).lines().into_iter().filter(|line| line.contains(": digest: ")).collect();
        assert!(tags.len() == 2 && tags[0].starts_with("a: ") && tags[1].starts_with("b: "), "{push}");
        let quiet = client.run(&["push", "-q", &format!("{name}:a")]);
        assert_eq!(quiet.ok(), format!("{name}:a"));
        client.run(&["rmi", &format!("{name}:a"), &format!("{name}:b")]).exits(0);
        // All tags come back with one pull, and each is the same image.
        let pull = client.run(&["pull", "-a", &name]);
        assert!(pull.exits(0).lines().contains(&"b: Pulling from app"), "{pull}");
        let id = daemon.inspect("busybox", "{{.Id}}");
        assert_eq!(daemon.inspect(&format!("{name}:b"), "{{.Id}}"), id);
        client.run(&["rmi", &format!("{name}:a"), &format!("{name}:b")]).exits(0);
    }
}

#[test]
fn img_36_the_digest_is_the_registrys_and_names_the_image() {
    let daemon = Daemon::start(Options { images: Vec::new(), ..Options::default() });
    let registry = registry!(Registry::start());
    let name = registry.put(&Fixture::Busybox.archive().unwrap(), "app");
    let digest = skopeo(&name)["Digest"].as_str().unwrap().to_owned();
    for client in daemon.clients() {
        let pull = client.run(&["pull", &name]);
        let lines = pull.exits(0).lines();
        assert_eq!((lines[0], lines[1]), ("Using default tag: latest", "latest: Pulling from app"), "{pull}");
        assert!(lines.iter().any(|line| line.ends_with(": Pull complete")), "{pull}");
        let tail = [
            format!("Digest: {digest}"),
            format!("Status: Downloaded newer image for {name}:latest"),
            format!("{name}:latest"),
        ];
        assert_eq!(lines[lines.len() - 3..], tail, "{pull}");
        let again = client.run(&["pull", &name]);
        assert!(again.exits(0).stdout.contains(&format!("Status: Image is up to date for {name}:latest")), "{again}");
        let id = daemon.inspect(&name, "{{.Id}}");
        client.run(&["rmi", &name]).exits(0);
        client.run(&["pull", &format!("{name}@{digest}")]).exits(0);
        assert_eq!(daemon.inspect(&format!("{name}@{digest}"), "{{.Id}}"), id);
        client.run(&["rmi", &format!("{name}@{digest}")]).exits(0);
    }
}

/// A daemon for which these are the hub.
fn mirrored(mirrors: &[String]) -> Daemon {
    let config = json!({ "registry-mirrors": mirrors });
    Daemon::start(Options { images: Vec::new(), config: Some(config), ..Options::default() })
}

#[test]
fn img_15_a_full_name_of_the_hub_is_the_short_one() {
    let registry = registry!(Registry::start());
    registry.put(&Fixture::Busybox.archive().unwrap(), "library/busybox");
    let daemon = mirrored(&[registry.url()]);
    for client in daemon.clients() {
        client.run(&["pull", "docker.io/busybox"]).exits(0);
        let id = daemon.inspect("busybox", "{{.Id}}");
        client.run(&["pull", "-q", "busybox"]).exits(0);
        assert_eq!(daemon.inspect("docker.io/library/busybox:latest", "{{.Id}}"), id);
        assert_eq!(daemon.inspect("busybox", "{{json .RepoTags}}"), "[\"busybox:latest\"]");
        client.run(&["rmi", "busybox"]).exits(0);
    }
}

#[test]
fn img_35_mirrors_are_asked_in_order_and_a_dead_one_is_passed_by() {
    let registry = registry!(Registry::start());
    registry.put(&Fixture::Busybox.archive().unwrap(), "library/busybox");
    let empty = Stub::start(|_, path| (path == "/v2/").then(|| Answer::new("200 OK", "{}")));
    let dead = format!("http://127.0.0.1:{}", free_port());
    let daemon = mirrored(&[dead, format!("http://{}", empty.host()), registry.url()]);
    for client in daemon.clients() {
        let before = empty.count("");
        client.run(&["pull", "busybox"]).exits(0);
        assert!(empty.count("") > before);
        client.run(&["rmi", "busybox"]).exits(0);
    }
}

#[test]
fn hub_03_an_account_is_kept_for_its_server() {
    let daemon = Daemon::shared();
    let registry = registry!(Registry::guarded());
    let host = registry.host();
    for user in User::all(daemon) {
        let name = registry.reference(&daemon.name("private"));
        user.run(&["tag", "busybox", &name]).exits(0);
        user.run(&["push", &name]).exits(1).says("no basic auth credentials");
        std::fs::write(user.file(), "{\"psFormat\": \"{{.ID}}\", \"auths\": {}}").unwrap();
        user.run(&["login", &host]).exits(1).says("Cannot perform an interactive login from a non TTY device");
        let wrong = user.run_with_input(&["login", "-u", "user", "--password-stdin", &host], "wrong\n");
        wrong.exits(1).says("Error response from daemon: login attempt to ").says("401 Unauthorized");
        let login = user.run_with_input(&["login", "-u", "user", "--password-stdin", &host], "secret\n");
        assert_eq!(login.ok(), "Login Succeeded");
        login.says("WARNING! Your credentials are stored unencrypted in");
        let kept = user.settings();
        assert_eq!(kept["auths"][&host]["auth"], "dXNlcjpzZWNyZXQ=");
        assert_eq!(kept["psFormat"], "{{.ID}}");
        let again = user.run(&["login", &host]);
        assert_eq!(again.ok(), "Login Succeeded");
        again.says("Authenticating with existing credentials...");
        user.run(&["push", &name]).exits(0);
        user.run(&["rmi", &name]).exits(0);
        user.run(&["pull", &name]).exits(0);
        user.run(&["rmi", &name]).exits(0);
    }
}

#[test]
fn hub_05_logout_takes_the_account_away() {
    let daemon = Daemon::shared();
    let registry = registry!(Registry::guarded());
    let host = registry.host();
    for user in User::all(daemon) {
        user.run_with_input(&["login", "-u", "user", "--password-stdin", &host], "secret\n").exits(0);
        assert_eq!(user.run(&["logout", &host]).ok(), format!("Removing login credentials for {host}"));
        assert!(user.settings()["auths"].get(&host).is_none());
        user.run(&["pull", &registry.reference("private")]).exits(1).says("no basic auth credentials");
    }
}

#[test]
fn hub_04_logout_without_a_server_is_the_hub() {
    let daemon = Daemon::shared();
    for user in User::all(daemon) {
        assert_eq!(user.run(&["logout"]).ok(), "Removing login credentials for https://index.docker.io/v1/");
    }
}

#[test]
fn hub_01_login_asks_at_the_terminal_without_echo() {
    let daemon = Daemon::shared();
    let registry = registry!(Registry::guarded());
    for user in User::all(daemon) {
        let mut terminal = daemon.terminal(&user.client, &["--config", &user.settings, "login", &registry.host()]);
        terminal.expect("Username");
        terminal.send("user\r");
        terminal.expect("Password");
        terminal.send("secret\r");
        terminal.expect("Login Succeeded");
        assert!(!terminal.text().contains("secret"), "{}", terminal.text());
        assert_eq!(terminal.wait(), 0);
        assert_eq!(user.settings()["auths"][registry.host()]["auth"], "dXNlcjpzZWNyZXQ=");
    }
}

#[test]
fn hub_03_accounts_may_be_kept_by_a_program() {
    let daemon = Daemon::shared();
    let registry = registry!(Registry::guarded());
    let host = registry.host();
    for user in User::all(daemon) {
        let directory = PathBuf::from(&user.settings);
        let program = directory.join("docker-credential-drawer");
        let script = format!(
            "#!/bin/sh\ncd {}\ncase $1 in\nstore) cat > drawer ;;\nget) [ -e drawer ] && cat drawer || \
             {{ echo 'credentials not found in native keychain'; exit 1; }} ;;\nerase) rm -f drawer ;;\nesac\n",
            directory.display()
        );
        std::fs::write(&program, script).unwrap();
        Command::new("chmod").arg("755").arg(&program).status().unwrap();
        std::fs::write(user.file(), json!({"credHelpers": {host.as_str(): "drawer"}}).to_string()).unwrap();
        let run = |arguments: &[&str], input: &str| {
            let path = format!("{}:{}", directory.display(), std::env::var("PATH").unwrap());
            let mut child = user
                .client
                .command(&[&["--config", user.settings.as_str()], arguments].concat())
                .env("PATH", path)
                .stdin(std::process::Stdio::piped())
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
            let output = child.wait_with_output().unwrap();
            let texts = [output.stdout, output.stderr].concat();
            (output.status.success(), String::from_utf8(texts).unwrap())
        };
        let (done, text) = run(&["login", "-u", "user", "--password-stdin", &host], "secret");
        assert!(done && text.contains("Login Succeeded") && !text.contains("WARNING"), "{text}");
        let kept = std::fs::read_to_string(directory.join("drawer")).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&kept).unwrap()["Secret"], "secret", "{kept}");
        assert!(!std::fs::read_to_string(user.file()).unwrap().contains("dXNlc"));
        let name = registry.reference(&daemon.name("kept"));
        user.run(&["tag", "busybox", &name]).exits(0);
        let (done, text) = run(&["push", &name], "");
        assert!(done, "{text}");
        user.run(&["rmi", &name]).exits(0);
        run(&["logout", &host], "");
        assert!(!directory.join("drawer").exists());
    }
}

/// A registry with tokens that gives nobody the right to write, and whose token server knows nobody.
fn denying(realm: &'static OnceLock<String>) -> Stub {
    let stub = Stub::start(move |_, path| {
        let realm = realm.get().cloned().unwrap_or_default();
        let challenge = format!("www-authenticate: Bearer realm=\"http://{realm}/token\",service=\"reg\"");
        if path.starts_with("/token") {
            // Only a request with an account names one.
            return Some(match path.contains("account=") {
                true => Answer::new("401 Unauthorized", r#"{"details":"incorrect username or password"}"#),
                false => Answer::new("200 OK\r\ncontent-type: application/json", r#"{"token":"t","expires_in":300}"#),
            });
        }
        let denied = r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#;
        let head = match path {
            "/v2/" => format!("401 Unauthorized\r\n{challenge}"),
            _ => format!("401 Unauthorized\r\n{challenge},scope=\"x\",error=\"insufficient_scope\""),
        };
        Some(Answer::new(head, denied))
    });
    realm.get_or_init(|| stub.host().to_owned());
    stub
}

#[test]
fn hub_02_a_wrong_account_is_told() {
    static REALM: OnceLock<String> = OnceLock::new();
    let daemon = Daemon::shared();
    let stub = denying(&REALM);
    for user in User::all(daemon) {
        let login = user.run_with_input(&["login", "-u", "user", "--password-stdin", stub.host()], "secret\n");
        login.exits(1).says("Error response from daemon: Get ").says("/v2/\": unauthorized: ");
    }
}

#[test]
fn hub_06_push_needs_the_right_to() {
    static REALM: OnceLock<String> = OnceLock::new();
    let daemon = Daemon::shared();
    let stub = denying(&REALM);
    let name = format!("{}/{}", stub.host(), daemon.name("app"));
    daemon.docker(&["tag", "busybox", &name]).exits(0);
    for user in User::all(daemon) {
        user.run(&["push", &name]).exits(1).says("denied: requested access to the resource is denied");
        let pull = user.run(&["pull", &format!("{}/other", stub.host())]);
        pull.exits(1).says("Error response from daemon: pull access denied for").says("may require 'docker login'");
    }
    daemon.docker(&["rmi", &name]).exits(0);
}

#[test]
fn img_13_a_client_that_leaves_and_a_daemon_that_dies_leave_nothing() {
    let daemon = Daemon::start(Options { images: Vec::new(), ..Options::default() });
    let content = vec![b'x'; 1 << 20];
    let image = Image {
        reference: "app:latest".to_owned(),
        layers: vec![Layer::of_files(&[("content", &content)])],
        config: json!({"Cmd": ["sh"]}),
    };
    // What has arrived of a layer is kept for the next pull, and nothing else.
    let left = || {
        let mut traces = daemon.traces();
        traces.retain(|path| !path.starts_with("image/overlay2/content/partial/"));
        traces
    };
    let before = left();
    let working =
        |stub: &Stub| until("a layer is asked for", 30, || (stub.count("GET /v2/app/blobs/") >= 2).then_some(()));
    let pull = |stub: &Stub| {
        let mut command = daemon.stock().command(&["pull", &format!("{}/app", stub.host())]);
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap()
    };
    // The client leaves.
    let stub = Stub::of_image(&image);
    let mut client = pull(&stub);
    working(&stub);
    // `timeout` passes the signal on.
    Command::new("kill").arg(client.id().to_string()).status().unwrap();
    client.wait().unwrap();
    if !daemon.is_reference() {
        // Docker keeps it in a file of its own kind.
        until("nothing is left", 60, || (left() == before).then_some(()));
    }
    // The daemon dies.
    let stub = Stub::of_image(&image);
    let mut client = pull(&stub);
    working(&stub);
    daemon.kill();
    client.wait().unwrap();
    daemon.launch();
    if !daemon.is_reference() {
        until("nothing is left", 60, || (left() == before).then_some(()));
    }
    // And what was left does not disturb the next one.
    stub.open();
    let name = format!("{}/app", stub.host());
    daemon.docker(&["pull", &name]).exits(0);
    assert_eq!(daemon.inspect(&name, "{{.Id}}"), image.id().to_string());
}

#[test]
fn img_13_pulls_of_the_same_image_share_the_download() {
    let daemon = Daemon::start(Options { images: Vec::new(), ..Options::default() });
    let content = vec![b'y'; 1 << 20];
    let image = Image {
        reference: "app:latest".to_owned(),
        layers: vec![Layer::of_files(&[("content", &content)])],
        config: json!({"Cmd": ["sh"]}),
    };
    let stub = Stub::of_image(&image);
    let name = format!("{}/app", stub.host());
    let pull = || {
        let mut command = daemon.stock().command(&["pull", &name]);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
    };
    let first = pull();
    let layer = format!("GET /v2/app/blobs/{}", image.layers[0].digest());
    until("the layer is asked for", 30, || (stub.count(&layer) == 1).then_some(()));
    let (mut leaver, mut second) = (pull(), pull());
    // Who is told what the first one was told has joined it.
    [&mut leaver, &mut second].into_iter().for_each(|child| await_line(child, "latest: Pulling from app"));
    Command::new("kill").arg(leaver.id().to_string()).status().unwrap();
    leaver.wait().unwrap();
    stub.open();
    for child in [first, second] {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.contains("Pull complete"), "{text}");
        assert!(text.contains("Status: Downloaded newer image"), "{text}");
    }
    assert_eq!(stub.count(&layer), 1);
    daemon.docker(&["rmi", &name]).exits(0);
}

/// Reads what a client says up to a line, and not further. A client that hangs is ended by its `timeout`.
fn await_line(child: &mut Child, wanted: &str) {
    let stdout = child.stdout.as_mut().unwrap();
    let (mut line, mut byte) = (Vec::new(), [0]);
    while stdout.read(&mut byte).unwrap() == 1 {
        match byte[0] {
            b'\n' if line == wanted.as_bytes() => return,
            b'\n' => line.clear(),
            other => line.push(other),
        }
    }
    panic!("the client ended before {wanted:?}");
}

#[test]
fn hub_03_an_identity_token_is_exchanged_for_a_token() {
    static REALM: OnceLock<String> = OnceLock::new();
    let daemon = Daemon::shared();
    let stub = Stub::serving(|request| {
        let realm = REALM.get()?;
        if request.path.starts_with("/token") {
            let form = String::from_utf8_lossy(&request.body).into_owned();
            let right = request.method == "POST"
                && form.contains("grant_type=refresh_token")
                && form.contains("refresh_token=refresh-me")
                && form.contains("scope=repository%3Aapp%3Apull");
            return Some(match right {
                true => Answer::new("200 OK", r#"{"access_token":"exchanged","expires_in":300}"#),
                false => Answer::new("401 Unauthorized", ""),
            });
        }
        if request.header("authorization") == Some("Bearer exchanged") {
            // Let in: there is nothing.
            let body = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;
            return Some(Answer::new("404 Not Found", body));
        }
        let challenge = format!("Negotiate, Bearer realm=\"http://{realm}/token\", service=\"a, \\\"b\\\"\"");
        Some(Answer::new(format!("401 Unauthorized\r\nwww-authenticate: {challenge}"), ""))
    });
    REALM.get_or_init(|| stub.host().to_owned());
    let name = format!("{}/app", stub.host());
    for user in User::all(daemon) {
        let account = json!({"auth": "PHRva2VuPjo=", "identitytoken": "refresh-me"});
        std::fs::write(user.file(), json!({"auths": {stub.host(): account}}).to_string()).unwrap();
        let pull = user.run(&["pull", &name]);
        pull.exits(1).says(&format!("manifest for {name}:latest not found: manifest unknown: manifest unknown"));
        std::fs::write(user.file(), "{}").unwrap();
        let pull = user.run(&["pull", &name]);
        pull.exits(1).says("unauthorized");
    }
}

#[test]
fn img_37_an_archive_is_the_same_image_elsewhere() {
    let daemon = Daemon::shared();
    let _registry = registry!(Registry::start());
    let elsewhere = Daemon::start(Options { images: Vec::new(), ..Options::default() });
    for (client, other) in daemon.clients().into_iter().zip(elsewhere.clients()) {
        let names = ["saved-one:a", "saved-two:b"];
        for name in names {
            client.run(&["tag", "busybox", name]).exits(0);
        }
        let file = daemon.scratch("saved").join(format!("{}.tar", client.name)).display().to_string();
        client.run(&["save", names[0], names[1], "-o", &file]).exits(0);
        let listing = Command::new("tar").args(["-tf", &file]).output().unwrap();
        let members = String::from_utf8(listing.stdout).unwrap();
        assert!(members.lines().any(|member| member == "manifest.json"), "{members}");
        if !daemon.is_reference() {
            assert!(members.lines().any(|member| member == "index.json"), "{members}");
            let read =
                Command::new("skopeo").args(["inspect", &format!("docker-archive:{file}:{}", names[0])]).output();
            let read = read.unwrap();
            assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
        }
        let load = other.run(&["load", "-i", &file]);
        let lines = load.exits(0).lines();
        assert_eq!(lines, ["Loaded image: saved-one:a", "Loaded image: saved-two:b"], "{load}");
        let id = daemon.inspect("busybox", "{{.Id}}");
        for name in names {
            assert_eq!(elsewhere.inspect(name, "{{.Id}}"), id);
        }
        client.run(&["rmi", names[0], names[1]]).exits(0);
        other.run(&["rmi", names[0], names[1]]).exits(0);
    }
}
