//! Rows IMG-01 … IMG-07, IMG-34: `docker images`, its table, filters and formats.
#![allow(clippy::unwrap_used, missing_docs)]

use privileged_tests::fixtures::Fixture;
use privileged_tests::images::{import, rows};
use privileged_tests::{Client, Daemon, Options, building, skip};
use serde_json::Value;

/// Ids that `images -q` shows with these arguments.
fn ids(client: &Client, arguments: &[&str]) -> Vec<String> {
    let run = client.run(&[&["images", "-q", "--no-trunc"], arguments].concat());
    run.ok().lines().map(str::to_owned).collect()
}

fn gone(daemon: &Daemon, names: &[&str]) {
    daemon.docker(&[&["rmi", "-f"], names].concat()).exits(0);
}

#[test]
fn img_01_images_are_a_table() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon.name("team/listed");
        let id = import(&client, &format!("{name}:v1"), "x", &[]);
        let table = rows(&client, &[]);
        assert_eq!(table[0], ["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"]);
        let row = table.iter().find(|row| row[0] == name).unwrap();
        assert_eq!((row[1].as_str(), row[2].as_str(), row[4].as_str()), ("v1", &id[7..19], "1B"), "{row:?}");
        assert!(row[3].ends_with(" ago"), "{row:?}");
        let busybox = table.iter().find(|row| row[0] == "busybox").unwrap();
        assert!(busybox[4].ends_with("MB") && busybox[3].contains("years ago"), "{busybox:?}");
        for alias in [&["image", "ls"][..], &["image", "list"]] {
            assert!(client.run(alias).ok().contains(&id[7..19]));
        }
        gone(daemon, &[&format!("{name}:v1")]);
    }
}

#[test]
fn img_01_formats_and_digests() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon.name("formatted");
        let id = import(&client, &name, "x", &[]);
        let shown = |arguments: &[&str]| client.run(&[&["images"], arguments, &[&name]].concat()).ok().to_owned();
        assert_eq!(
            shown(&["--format", "{{.Repository}}|{{.Tag}}|{{.ID}}|{{.Size}}|{{.Digest}}"]),
            format!("{name}|latest|{}|1B|<none>", &id[7..19])
        );
        assert_eq!(shown(&["--format", "{{.CreatedSince}}"]).split(' ').next_back(), Some("ago"));
        let json: Value = serde_json::from_str(&shown(&["--format", "json"])).unwrap();
        for (key, value) in [("ID", &id[7..19]), ("Repository", &name), ("Tag", "latest"), ("Size", "1B")] {
            assert_eq!(json[key], value, "{json}");
        }
        assert_eq!(json["SharedSize"], "N/A", "{json}");
        let table = rows(&client, &["--digests", &name]);
        assert_eq!(table[0], ["REPOSITORY", "TAG", "DIGEST", "IMAGE ID", "CREATED", "SIZE"]);
        assert_eq!(table[1][2], "<none>");
        let table = rows(&client, &["--format", "table {{.Tag}}\t{{.ID}}", &name]);
        assert_eq!(table, [vec!["TAG", "IMAGE ID"], vec!["latest", &id[7..19]]]);
        client.run(&["images", "--format", "{{.Nothing}}", &name]).exits(1).says("can't evaluate field Nothing");
        client.run(&["images", "a", "b"]).exits(1).says("requires at most 1 argument");
        gone(daemon, &[&name]);
    }
}

#[test]
fn img_02_a_name_chooses_its_images() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon.name("team/chosen");
        let (one, two) = (format!("{name}:1"), format!("{name}:2.x"));
        let id = import(&client, &one, "1", &[]);
        import(&client, &two, "2", &[]);
        assert_eq!(rows(&client, &[&name]).len(), 3);
        assert_eq!(ids(&client, &[&one]), [id]);
        let tags = |pattern: &str| client.run(&["images", "--format", "{{.Tag}}", pattern]).ok().to_owned();
        assert_eq!(tags(&two), "2.x");
        assert_eq!(tags(&format!("{name}:*.x")), "2.x");
        assert_eq!(tags(&name.replace("team/", "t*m/")), "2.x\n1");
        // A pattern's star stops at the slash.
        assert_eq!(tags(&name.replace("team/", "*")), "");
        assert_eq!(tags(&format!("{name}:3")), "");
        client.run(&["images", "[a"]).exits(1).says("syntax error in pattern");
        gone(daemon, &[&one, &two]);
    }
}

#[test]
fn img_03_intermediate_images_need_all() {
    let daemon = building::daemon();
    for client in daemon.clients() {
        let name = building::image(daemon, &client, "FROM busybox\nRUN echo a > /a\nENV B=1\n", &[]);
        let parent = daemon.inspect(&name, "{{.Parent}}");
        assert!(parent.starts_with("sha256:"), "{parent:?}");
        assert!(!ids(&client, &[]).contains(&parent));
        assert!(ids(&client, &["-a"]).contains(&parent) && ids(&client, &["--all"]).contains(&parent));
        assert!(!ids(&client, &["-f", "dangling=true"]).contains(&parent), "it is somebody's parent");
        building::gone(daemon, &[&name]);
    }
}

#[test]
fn img_04_filters_choose_images() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon.name("filtered");
        let (old, new) = (format!("{name}:old"), format!("{name}:new"));
        let mark = daemon.name("mark");
        let first = import(&client, &old, "1", &[&format!("LABEL {mark}=one")]);
        let second = import(&client, &new, "2", &[&format!("LABEL {mark}=two other=x")]);
        let found = |filters: &[&str]| {
            let flags: Vec<&str> = filters.iter().flat_map(|filter| ["-f", filter]).collect();
            let run = client.run(&[&["images", "--no-trunc", "--format", "{{.ID}}"], &flags[..]].concat());
            let mut found = run.ok().lines().map(str::to_owned).collect::<Vec<_>>();
            found.sort_unstable();
            found
        };
        let (label, label_one) = (format!("label={mark}"), format!("label={mark}=one"));
        let mut both = [first.clone(), second.clone()];
        both.sort_unstable();
        assert_eq!(found(&[&label]), both);
        assert_eq!(found(&[&label_one]), [first.as_str()]);
        assert_eq!(found(&[&label, "label=other=x"]), [second.as_str()], "labels add up");
        assert_eq!(found(&[&label, &format!("before={new}")]), [first.as_str()]);
        assert_eq!(found(&[&label, &format!("since={old}")]), [second.as_str()]);
        assert_eq!(found(&[&label, &format!("since={new}")]), Vec::<String>::new());
        assert_eq!(found(&[&format!("reference={name}:o*"), &format!("reference={name}:n*")]).len(), 2);
        assert_eq!(found(&[&label, "dangling=true"]), Vec::<String>::new());
        assert_eq!(found(&[&label, "dangling=false"]).len(), 2);
        client.run(&["images", "-f", "nonsense=1"]).exits(1).says("nvalid filter 'nonsense'");
        client.run(&["images", "-f", "dangling=maybe"]).exits(1).says("nvalid filter 'dangling=[maybe]'");
        client.run(&["images", "-f", "since=nosuch"]).exits(1).says("o such image: nosuch:latest");
        client.run(&["images", "-f", "dangling"]).exits(125).says("nvalid argument \"dangling\" for \"-f, --filter\"");
        if !daemon.is_reference() {
            assert_eq!(found(&[&label, "until=0s"]).len(), 2);
            assert_eq!(found(&[&label, "until=1h"]), Vec::<String>::new());
            client.run(&["images", "-f", "until=x"]).exits(1).says("invalid filter 'until=x'");
        }
        gone(daemon, &[&old, &new]);
    }
}

#[test]
fn img_05_ids_are_shown_whole() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let id = daemon.inspect("busybox", "{{.Id}}");
        let table = rows(&client, &["--no-trunc", "busybox"]);
        assert_eq!(table[1][2], id);
        assert!(id.len() == 71 && id.starts_with("sha256:"));
    }
}

#[test]
fn img_06_only_ids_for_scripts() {
    let daemon = Daemon::start(Options { images: Vec::new(), ..Options::default() });
    for client in daemon.clients() {
        let one = import(&client, "one", "1", &[]);
        let two = import(&client, "two", "2", &[]);
        daemon.docker(&["tag", "two", "two:again"]).exits(0);
        let quiet = client.run(&["images", "-q"]);
        assert_eq!(quiet.lines(), [&two[7..19], &two[7..19], &one[7..19]], "one line a name");
        // As in `docker rmi $(docker images -q)`; the same id twice fails the second time, as with Docker.
        client.run(&["rmi", &one[7..19]]).exits(0);
        client.run(&["rmi", "-f", &two[7..19]]).exits(0);
        assert_eq!(client.run(&["images", "-q"]).ok(), "");
    }
}

#[test]
fn img_07_the_old_image_of_a_name_is_dangling() {
    let daemon = Daemon::start(Options { images: Vec::new(), ..Options::default() });
    for client in daemon.clients() {
        let old = import(&client, "moved:v1", "1", &[]);
        let new = import(&client, "moved:v1", "2", &[]);
        let table = rows(&client, &[]);
        assert_eq!(table[1][..3], ["moved", "v1", &new[7..19]]);
        assert_eq!(table[2][..3], ["<none>", "<none>", &old[7..19]]);
        assert_eq!(ids(&client, &["-f", "dangling=true"]), [old.as_str()]);
        assert_eq!(ids(&client, &["-f", "dangling=false"]), [new.as_str()]);
        let prune = client.run(&["image", "prune", "-f"]);
        assert_eq!(prune.lines()[..2], ["Deleted Images:", &format!("deleted: {old}")], "{prune}");
        assert_eq!(ids(&client, &[]), [new]);
        client.run(&["rmi", "moved:v1"]).exits(0);
    }
}

/// `GET /images/json` of several versions of the API.
#[test]
fn img_01_the_list_in_every_version() {
    let daemon = Daemon::start(Options::default());
    if daemon.is_reference() {
        return skip("Docker 20.10 speaks no API after 1.41");
    }
    daemon.docker(&["tag", "busybox", "other:v1"]).exits(0);
    daemon.docker(&["create", "--name", "user", "busybox"]).exits(0);
    let list = |version: &str, query: &str| {
        let mut api = privileged_tests::http::Connection::with_version(&daemon.socket(), version);
        let answer = api.call("GET", &format!("/images/json{query}"), None);
        assert_eq!(answer.as_array().unwrap().len(), 1, "{answer}");
        answer[0].clone()
    };
    let id = daemon.inspect("busybox", "{{.Id}}");
    let old = list("/v1.24", "");
    assert_eq!((&old["Id"], &old["VirtualSize"], &old["ParentId"]), (&id.clone().into(), &old["Size"], &"".into()));
    let new = list("/v1.51", "");
    assert!(new.get("VirtualSize").is_none() && new["SharedSize"] == -1, "{new}");
    assert_eq!(new["RepoTags"], serde_json::json!(["busybox:latest", "other:v1"]));
    assert_eq!((&new["RepoDigests"], &new["Labels"]), (&serde_json::json!([]), &Value::Null));
    assert_eq!((new["Containers"].as_i64(), old["Containers"].as_i64()), (Some(1), Some(-1)));
    assert!(new.get("Manifests").is_none(), "{new}");
    // Nothing is shared with another image.
    assert_eq!(list("/v1.51", "?shared-size=1")["SharedSize"], 0);
    let manifest = list("/v1.51", "?manifests=1")["Manifests"][0].clone();
    assert_eq!((&manifest["Available"], &manifest["Kind"]), (&true.into(), &"image".into()), "{manifest}");
    assert_eq!(manifest["ImageData"]["Platform"]["os"], "linux", "{manifest}");
    assert_eq!(manifest["ImageData"]["Containers"].as_array().unwrap().len(), 1, "{manifest}");
    // Before 1.41 a name was a parameter of its own.
    let mut api = privileged_tests::http::Connection::with_version(&daemon.socket(), "/v1.40");
    assert_eq!(api.call("GET", "/images/json?filter=nothing", None), serde_json::json!([]));
    daemon.docker(&["rm", "user"]).exits(0);
}

#[test]
fn img_34_a_small_image_runs() {
    let daemon = Daemon::shared();
    daemon.image(Fixture::Busybox);
    for client in daemon.clients() {
        let size: u64 = daemon.inspect("busybox", "{{.Size}}").parse().unwrap();
        assert!(size < 10_000_000, "{size}");
        assert_eq!(client.run(&["run", "--rm", "busybox", "echo", "small"]).ok(), "small");
    }
}

/// The newer view of images: the stock client's, without its warning that it is an experiment.
#[test]
fn img_01_images_are_a_tree_too() {
    let daemon = Daemon::start(Options::default());
    if daemon.is_reference() {
        return skip("Docker 20.10 speaks no API after 1.41");
    }
    let (stock, own) = (daemon.stock(), daemon.clients().pop().unwrap());
    for name in ["a/long-name-of-an-image:v1", "zz"] {
        daemon.docker(&["tag", "busybox", name]).exits(0);
    }
    import(&stock, "registry.example.com/some/really/quite/long-name-of-an-image:v1.2.3", "x", &[]);
    import(&stock, "", "nameless", &[]);
    daemon.docker(&["create", "--name", "user", "busybox"]).exits(0);
    let plain = |client: &Client, arguments: &[&str]| {
        let run = client.run(&[&["images", "--tree"], arguments].concat());
        let lines: Vec<String> = run.ok().lines().map(|line| line.trim().to_owned()).collect();
        lines.into_iter().filter(|line| !line.starts_with("WARNING: ")).collect::<Vec<_>>()
    };
    assert!(plain(&own, &[]).join("\n").contains("└─ linux/"));
    for arguments in [&[][..], &["busybox"], &["-f", "dangling=true"]] {
        assert_eq!(plain(&own, arguments), plain(&stock, arguments));
    }
    let drawn = |client: &Client, columns: u16| {
        let terminal = daemon.terminal(&sized(client, columns), &["columns", "images", "--tree"]);
        let mut terminal = terminal;
        terminal.expect("END");
        let text = terminal.text();
        terminal.wait();
        text.lines().filter(|line| !line.contains("WARNING: ")).map(str::to_owned).collect::<Vec<_>>()
    };
    for columns in [100, 60, 30, 15] {
        assert_eq!(drawn(&own, columns), drawn(&stock, columns), "{columns} columns");
    }
    for flag in ["-q", "--no-trunc", "--digests", "--format=json"] {
        let (mine, theirs) = (own.run(&["images", "--tree", flag]), stock.run(&["images", "--tree", flag]));
        assert_eq!((mine.exits(1).stderr.as_str(), &mine.stdout), (theirs.exits(1).stderr.as_str(), &theirs.stdout));
    }
    daemon.docker(&["rm", "user"]).exits(0);
}

/// A client on a terminal of that many columns, which tells when it has ended.
fn sized(client: &Client, columns: u16) -> Client {
    let script = client.home.join(format!("{}-{columns}", client.name));
    let text = format!("#!/bin/sh\nshift\nstty cols {columns}\n{} \"$@\"\necho END\n", client.program.display());
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    Client { program: script, ..client.clone() }
}
