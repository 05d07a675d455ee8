//! Rows IMG-22, IMG-23, IMG-29 … IMG-33: what an image is, what it was made of, and images made of containers.
#![allow(clippy::unwrap_used, missing_docs)]

use privileged_tests::fixtures::Fixture;
use privileged_tests::http::Connection;
use privileged_tests::images::{import, words};
use privileged_tests::{Daemon, building, skip, until};
use serde_json::{Value, json};

/// Lines that every image of this file is made by.
const CHANGES: [&str; 8] = [
    "ENV A=b",
    "CMD [\"x\", \"y\"]",
    "ENTRYPOINT [\"/e\"]",
    "EXPOSE 80/tcp",
    "VOLUME /data",
    "WORKDIR /w",
    "USER 5:6",
    "LABEL l=m",
];

#[test]
fn img_22_inspect_tells_everything() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon.name("told");
        let id = import(&client, &name, &name, &CHANGES);
        for command in [&["inspect"][..], &["image", "inspect"], &["inspect", "--type", "image"]] {
            let all: Value = serde_json::from_str(client.run(&[command, &[&name]].concat()).ok()).unwrap();
            let image = &all[0];
            assert_eq!((&image["Id"], &image["RepoTags"]), (&json!(id), &json!([format!("{name}:latest")])));
            assert_eq!(image["RepoDigests"], json!([]));
            let config = &image["Config"];
            assert_eq!(config["Env"], json!(["A=b"]));
            assert_eq!((&config["Cmd"], &config["Entrypoint"]), (&json!(["x", "y"]), &json!(["/e"])));
            assert_eq!(config["ExposedPorts"], json!({"80/tcp": {}}));
            assert_eq!(config["Volumes"], json!({"/data": {}}));
            assert_eq!((&config["WorkingDir"], &config["User"]), (&json!("/w"), &json!("5:6")));
            assert_eq!(config["Labels"], json!({"l": "m"}));
            assert!(["amd64", "arm64"].contains(&image["Architecture"].as_str().unwrap()), "{image}");
            assert_eq!(image["Os"], "linux");
            assert_eq!(image["Size"], name.len());
            assert!(image["GraphDriver"]["Data"]["UpperDir"].is_string() && image["GraphDriver"]["Name"] == "overlay2");
            assert_eq!(image["RootFS"]["Type"], "layers");
            assert_eq!(image["RootFS"]["Layers"].as_array().unwrap().len(), 1);
            assert!(image["Created"].as_str().unwrap().starts_with("20"), "{image}");
            assert!(image["Metadata"]["LastTagTime"].as_str().unwrap().starts_with("20"), "{image}");
        }
        let several = client.run(&["image", "inspect", "-f", "{{.Id}}", &name, "nosuch", &id[7..19]]);
        several.exits(1).says("o such image: nosuch");
        assert_eq!(several.lines(), [&id, &id]);
        client.run(&["inspect", "nosuch-thing"]).exits(1).says("o such object: nosuch-thing");
        client.run(&["rmi", &name]).exits(0);
    }
}

#[test]
fn img_22_in_every_version_of_the_api() {
    let daemon = Daemon::shared();
    if daemon.is_reference() {
        return skip("Docker 20.10 speaks no API after 1.41");
    }
    let client = daemon.stock();
    let name = daemon.name("versions");
    import(&client, &name, &name, &CHANGES);
    let path = format!("/images/{name}/json");
    let get = |version: &str, query: &str| {
        Connection::with_version(&daemon.socket(), version).request("GET", &format!("{path}{query}"), None).unwrap()
    };
    let old = get("/v1.43", "").json();
    assert_eq!(old["VirtualSize"], old["Size"]);
    assert!(old["ContainerConfig"].is_object() && old["Container"].is_string(), "{old}");
    let new = get("/v1.51", "").json();
    for key in ["VirtualSize", "ContainerConfig", "Container", "Manifests"] {
        assert!(new.get(key).is_none(), "{key}: {new}");
    }
    assert!(new["Config"].get("Hostname").is_none() && get("/v1.49", "").json()["Config"]["Hostname"] == "");
    let platform = |architecture: &str| {
        format!("?platform=%7B%22os%22%3A%22linux%22%2C%22architecture%22%3A%22{architecture}%22%7D")
    };
    assert_eq!(get("/v1.51", &platform(new["Architecture"].as_str().unwrap())).status, 200);
    let other = get("/v1.51", &platform("s390x"));
    assert!(other.status == 404 && other.json()["message"].as_str().unwrap().contains("s390x"), "{:?}", other.json());
    // Older versions have no such parameter.
    assert_eq!(get("/v1.48", &platform("s390x")).status, 200);
    let manifests = get("/v1.51", "?manifests=1").json();
    assert_eq!(manifests["Manifests"][0]["Available"], true, "{manifests}");
    assert_eq!(get("/v1.51", &format!("{}&manifests=1", platform("amd64"))).status, 400);
    let (own, json) = (format!("linux/{}", new["Architecture"].as_str().unwrap()), "{{.Os}}/{{.Architecture}}");
    for client in daemon.clients() {
        let inspect = |platform: &str| client.run(&["image", "inspect", "--platform", platform, "-f", json, &name]);
        assert_eq!(inspect(&own).ok(), own);
        inspect("linux/s390x").exits(1).says("s390x");
    }
    client.run(&["rmi", &name]).exits(0);
}

#[test]
fn img_23_history_is_a_line_an_instruction() {
    let daemon = building::daemon();
    for client in daemon.clients() {
        let name = building::image(daemon, &client, "FROM busybox\nRUN echo a > /a\nLABEL l=m\n", &[]);
        let history = client.run(&["history", &name]);
        let table: Vec<Vec<String>> = history.exits(0).stdout.lines().map(words).collect();
        assert_eq!(table[0], ["IMAGE", "CREATED", "CREATED BY", "SIZE", "COMMENT"], "{history}");
        assert_eq!(table.len(), 4, "{history}");
        let id = daemon.inspect(&name, "{{.Id}}");
        assert_eq!((table[1][0].as_str(), table[1][3].as_str()), (&id[7..19], "0B"), "{history}");
        assert!(table[1][2].contains("LABEL l=m") && table[2][2].contains("echo a > /a"), "{history}");
        assert_eq!(table[2][3], "2B", "{history}");
        assert!(table[2][1].ends_with(" ago"), "{history}");
        let quiet = client.run(&["history", "-q", "--no-trunc", &name]);
        assert_eq!(quiet.lines()[0], id);
        let exact = client.run(&["history", "-H=false", "--format", "{{.Size}} {{.CreatedAt}}", &name]);
        assert!(exact.lines()[1].starts_with("2 20") && exact.lines()[1].contains('T'), "{exact}");
        let format = client.run(&["image", "history", "--no-trunc", "--format", "json", &name]);
        let first: Value = serde_json::from_str(format.lines()[0]).unwrap();
        assert_eq!((&first["ID"], &first["Size"], &first["Comment"]), (&json!(id), &json!("0B"), &json!("")));
        client.run(&["history", "nosuch"]).exits(1).says("o such image: nosuch:latest");
        if !daemon.is_reference() {
            client.run(&["history", "--platform", "linux/s390x", &name]).exits(1).says("s390x");
            client.run(&["history", "--platform", "linux/amd64", &name]);
        }
        building::gone(daemon, &[&name]);
    }
}

#[test]
fn img_29_commit_makes_an_image_of_a_container() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let (name, image) = (daemon.name("made"), daemon.name("committed"));
        daemon.docker(&["run", "--name", &name, "busybox", "sh", "-c", "echo kept > /kept; rm /bin/arp"]).exits(0);
        let commit = client.run(&["commit", &name, &image]);
        let id = commit.ok().to_owned();
        assert!(id.starts_with("sha256:") && id.len() == 71, "{commit}");
        assert_eq!(client.run(&["images", "-q", "--no-trunc", &image]).ok(), id);
        let seen = client.run(&["run", "--rm", &image, "sh", "-c", "cat /kept; [ -e /bin/arp ] || echo gone"]);
        assert_eq!(seen.ok(), "kept\ngone");
        let nameless = client.run(&["commit", &name]);
        assert_eq!(daemon.inspect(nameless.ok(), "{{json .RepoTags}}"), "[]");
        client.run(&["commit", "nosuch", "x"]).exits(1).says("o such container: nosuch");
        client.run(&["commit", &name, "UPPER"]).exits(1).says("must be lowercase");
        daemon.docker(&["rm", &name]).exits(0);
        client.run(&["rmi", &image, nameless.ok()]).exits(0);
    }
}

#[test]
fn img_30_author_and_message_are_kept() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let (name, image) = (daemon.name("signed"), daemon.name("signed-image"));
        daemon.docker(&["create", "--name", &name, "busybox"]).exits(0);
        client.run(&["commit", "-a", "A <a@b>", "--message", "what it is", &name, &image]).exits(0);
        assert_eq!(daemon.inspect(&image, "{{.Author}} {{.Comment}}"), "A <a@b> what it is");
        let history = client.run(&["history", "--format", "{{.Comment}}", &image]);
        assert_eq!(history.lines()[0], "what it is");
        daemon.docker(&["rm", &name]).exits(0);
        client.run(&["rmi", &image]).exits(0);
    }
}

#[test]
fn img_31_commit_pauses_by_default() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        for (flag, expected) in [("--pause", &["pause", "commit", "unpause"][..]), ("--pause=false", &["commit"])] {
            let (name, image) = (daemon.background("paused", "sleep 600"), daemon.name("paused-image"));
            client.run(&["commit", flag, &name, &image]).exits(0);
            assert_eq!(daemon.inspect(&name, "{{.State.Status}}"), "running");
            let filter = format!("container={name}");
            let arguments =
                ["events", "--since", "1h", "--until", "0s", "--filter", &filter, "--format", "{{.Action}}"];
            until("the commit's events", 30, || {
                let told = daemon.docker(&arguments);
                let lines = told.lines();
                let told: Vec<&str> =
                    lines.into_iter().filter(|line| ["pause", "commit", "unpause"].contains(line)).collect();
                assert!(told.len() <= expected.len() && expected.starts_with(&told), "{told:?}");
                (told == expected).then_some(())
            });
            daemon.docker(&["rm", "-f", &name]).exits(0);
            client.run(&["rmi", &image]).exits(0);
        }
    }
}

#[test]
fn img_32_an_ended_container_is_committed_and_stays() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let (name, image) = (daemon.name("ended"), daemon.name("ended-image"));
        daemon.docker(&["run", "--name", &name, "busybox", "touch", "/mark"]).exits(0);
        let state = || daemon.inspect(&name, "{{json .State}} {{.Image}}");
        let (before, changes) = (state(), daemon.docker(&["diff", &name]).ok().to_owned());
        client.run(&["commit", &name, &image]).exits(0);
        assert_eq!((state(), daemon.docker(&["diff", &name]).ok().to_owned()), (before, changes));
        daemon.docker(&["start", &name]).exits(0);
        client.run(&["run", "--rm", &image, "ls", "/mark"]).exits(0);
        daemon.docker(&["rm", "-f", &name]).exits(0);
        client.run(&["rmi", &image]).exits(0);
    }
}

#[test]
fn img_33_a_system_gives_a_shell_and_an_application_serves() {
    let daemon = Daemon::shared();
    daemon.image(Fixture::Debian);
    daemon.image(Fixture::Web);
    for client in daemon.clients() {
        let shell =
            client.run_with_input(&["run", "-i", "--rm", "debian:bookworm"], b"cat /etc/debian_version\nexit\n");
        assert!(shell.ok().starts_with("12"), "{shell}");
        let name = daemon.name("server");
        client.run(&["run", "-d", "--name", &name, "web:v1"]).exits(0);
        until("the server answers", 30, || {
            let answer = client.run(&["exec", &name, "curl", "-s", "http://127.0.0.1/"]);
            answer.stdout.contains("hello").then_some(())
        });
        daemon.docker(&["rm", "-f", &name]).exits(0);
    }
}
