//! Rows IMG-18 … IMG-21, IMG-26, IMG-38: names come and go, and images with them.
#![allow(clippy::unwrap_used, missing_docs)]

use privileged_tests::images::{events, import};
use privileged_tests::{Client, Daemon, Options, building, skip};

fn exists(daemon: &Daemon, name: &str) -> bool {
    daemon.docker(&["image", "inspect", name]).code == 0
}

/// A container of the image that runs, or has never run.
fn container(daemon: &Daemon, image: &str, running: bool) -> String {
    let name = daemon.name("user");
    let command: &[&str] = if running { &["run", "-d", "--name"] } else { &["create", "--name"] };
    daemon.docker(&[command, &[&name, image, "sleep", "600"]].concat()).exits(0);
    name
}

/// An image with the programs of busybox and a layer that no other image has.
fn runnable(daemon: &Daemon, client: &Client) -> String {
    let mark = daemon.name("mark");
    building::image(daemon, client, &format!("FROM busybox\nRUN echo {mark} > /mark\n"), &[])
}

#[test]
fn img_18_the_last_name_takes_the_image_along() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let (one, two) = (daemon.name("one"), format!("{}:V2", daemon.name("team/two")));
        let id = import(&client, &one, &one, &[]);
        let layer = daemon.inspect(&one, "{{index .RootFS.Layers 0}}");
        client.run(&["tag", &one, &two]).exits(0);
        let first = client.run(&["rmi", &one]);
        assert_eq!(first.ok(), format!("Untagged: {one}:latest"));
        let last = client.run(&["image", "rm", &two]);
        assert_eq!(last.ok(), format!("Untagged: {two}\nDeleted: {id}\nDeleted: {layer}"));
        client.run(&["rmi", &one]).exits(1).says(&format!("o such image: {one}:latest"));
        client.run(&["rmi"]).exits(1).says("requires at least 1 argument");
        client.run(&["rmi", "UPPER"]).exits(1).says("repository name").says("must be lowercase");
    }
}

#[test]
fn img_18_an_id_with_several_names_needs_force() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let (one, two) = (daemon.name("one"), daemon.name("two"));
        let id = import(&client, &one, &one, &[]);
        client.run(&["tag", &one, &two]).exits(0);
        let refused = client.run(&["rmi", &id[7..19]]);
        refused.exits(1).says(&format!(
            "conflict: unable to delete {} (must be forced) - image is referenced in multiple repositories",
            &id[7..19]
        ));
        assert!(exists(daemon, &one) && exists(daemon, &two));
        let forced = client.run(&["rmi", "-f", &id[7..19]]);
        let lines = forced.exits(0).lines();
        assert!(lines.contains(&format!("Untagged: {one}:latest").as_str()), "{forced}");
        assert!(lines.contains(&format!("Untagged: {two}:latest").as_str()), "{forced}");
        assert!(lines.contains(&format!("Deleted: {id}").as_str()), "{forced}");
        // A single name goes with its id.
        let id = import(&client, &one, &two, &[]);
        let removed = client.run(&["rmi", &id]);
        assert_eq!(removed.lines()[..2], [format!("Untagged: {one}:latest"), format!("Deleted: {id}")], "{removed}");
    }
}

#[test]
fn img_19_stopped_containers_hold_their_image() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let image = runnable(daemon, &client);
        let id = daemon.inspect(&image, "{{.Id}}");
        let name = container(daemon, &image, false);
        let short = daemon.inspect(&name, "{{.Id}}")[..12].to_owned();
        let refused = client.run(&["rmi", &image]);
        refused.exits(1).says(&format!(
            "conflict: unable to remove repository reference \"{image}\" (must force) - container {short} is using its \
             referenced image {}",
            &id[7..19]
        ));
        let refused = client.run(&["rmi", &id[7..19]]);
        refused.exits(1).says(&format!(
            "conflict: unable to delete {} (must be forced) - image is being used by stopped container {short}",
            &id[7..19]
        ));
        let forced = client.run(&["rmi", "-f", &image]);
        assert_eq!(forced.lines()[..2], [format!("Untagged: {image}:latest"), format!("Deleted: {id}")], "{forced}");
        assert!(!exists(daemon, &id));
        // The container keeps its layers.
        assert_eq!(daemon.inspect(&name, "{{.Image}}"), id);
        daemon.docker(&["start", &name]).exits(0);
        daemon.docker(&["exec", &name, "test", "-e", "/mark"]).exits(0);
        daemon.docker(&["rm", "-f", &name]).exits(0);
    }
}

#[test]
fn img_19_running_containers_are_stronger_than_force() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let image = runnable(daemon, &client);
        let id = daemon.inspect(&image, "{{.Id}}");
        let name = container(daemon, &image, true);
        let short = daemon.inspect(&name, "{{.Id}}")[..12].to_owned();
        let text = format!(
            "conflict: unable to delete {} (cannot be forced) - image is being used by running container {short}",
            &id[7..19]
        );
        client.run(&["rmi", "-f", &id[7..19]]).exits(1).says(&text);
        // By its name it only loses that.
        let forced = client.run(&["rmi", "-f", &image]);
        assert_eq!(forced.ok(), format!("Untagged: {image}:latest"));
        assert!(exists(daemon, &id));
        daemon.docker(&["rm", "-f", &name]).exits(0);
        client.run(&["rmi", &id]).exits(0);
        client.run(&["rmi", "-f", "nosuch-image"]).exits(0).says("o such image: nosuch-image:latest");
    }
}

#[test]
fn img_20_parents_stay_when_asked_to() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        for keep in [true, false] {
            let image = runnable(daemon, &client);
            let mark = daemon.name("child");
            let dockerfile = format!("FROM {image}\nRUN echo {mark} > /child\nENV A=1\n");
            let child = building::image(daemon, &client, &dockerfile, &[]);
            let parent = daemon.inspect(&child, "{{.Parent}}");
            let refused = client.run(&["rmi", &daemon.inspect(&image, "{{.Id}}")]);
            refused.exits(1).says("(cannot be forced) - image has dependent child images");
            let flags: &[&str] = if keep { &["rmi", "--no-prune"] } else { &["rmi"] };
            client.run(&[flags, &[&child]].concat()).exits(0);
            assert_eq!(exists(daemon, &parent), keep);
            assert!(exists(daemon, &image), "what has a name stays");
            if keep {
                client.run(&["rmi", &parent]).exits(0);
            }
            client.run(&["rmi", &image]).exits(0);
        }
    }
}

#[test]
fn img_21_many_at_once_and_one_that_is_not_there() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let names = [daemon.name("many"), daemon.name("many"), daemon.name("many")];
        names.iter().for_each(|name| drop(import(&client, name, name, &[])));
        let run = client.run(&["rmi", &names[0], "not-here", &names[1], "nor-here", &names[2]]);
        run.exits(1).says("o such image: not-here:latest").says("o such image: nor-here:latest");
        for name in &names {
            assert!(run.stdout.contains(&format!("Untagged: {name}:latest")) && !exists(daemon, name), "{run}");
        }
    }
}

#[test]
fn img_26_a_tag_is_one_more_name() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let (name, long) = (daemon.name("tagged"), daemon.name("long"));
        let id = import(&client, "", &name, &[]);
        client.run(&["tag", &id[7..19], &name]).exits(0);
        client.run(&["image", "tag", &id, &format!("docker.io/library/{long}:V1")]).exits(0);
        client.run(&["tag", &name, &format!("docker.io/team/{long}")]).exits(0);
        let expected = format!("[\"{long}:V1\",\"{name}:latest\",\"team/{long}:latest\"]");
        assert_eq!(daemon.inspect(&id, "{{json .RepoTags}}"), expected);
        for (source, target, text) in [
            ("nosuch", "x", "o such image: nosuch:latest"),
            (&name, "UPPER", "repository name (library/UPPER) must be lowercase"),
            (&name, "a:b:c", "invalid reference format"),
            (&name, &format!("x@{id}"), "refusing to create a tag with a digest reference"),
            (&name, "sha256:x", "refusing to create an ambiguous tag using digest algorithm as name"),
        ] {
            let run = client.run(&["tag", source, target]);
            assert!(run.code == 1 && run.stderr.contains(text), "{target}: {run}");
        }
        client.run(&["tag", &name]).exits(1).says("requires 2 arguments");
        client.run(&["rmi", "-f", &id]).exits(0);
    }
}

#[test]
fn img_38_tags_may_have_upper_case() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon.name("user/cased");
        let (upper, lower) = (format!("{name}:V1"), format!("{name}:v1"));
        let one = import(&client, &upper, "1", &[]);
        let two = import(&client, &lower, "2", &[]);
        assert_eq!((daemon.inspect(&upper, "{{.Id}}"), daemon.inspect(&lower, "{{.Id}}")), (one, two));
        client.run(&["rmi", &upper]).exits(0);
        assert!(exists(daemon, &lower) && !exists(daemon, &upper));
        client.run(&["rmi", &lower]).exits(0);
    }
}

#[test]
fn img_18_prune_takes_what_nobody_uses() {
    let daemon = Daemon::start(Options::default());
    for client in daemon.clients() {
        let dangling = import(&client, "", "1", &["LABEL keep=yes"]);
        let old = import(&client, "", "2", &[]);
        let named = import(&client, "named", "3", &[]);
        let user = container(&daemon, "busybox", false);
        let gone = |arguments: &[&str]| {
            let run = client.run(&[&["image", "prune", "-f"], arguments].concat());
            assert!(run.exits(0).stdout.contains("Total reclaimed space: "), "{run}");
            run.stdout
        };
        assert!(!gone(&["--filter", "until=1h"]).contains("deleted"));
        let first = gone(&["--filter", "label!=keep"]);
        assert!(first.contains(&old) && !first.contains(&dangling), "{first}");
        let second = gone(&["--filter", "label=keep=yes"]);
        assert!(second.contains(&format!("deleted: {dangling}")), "{second}");
        assert!(!gone(&[]).contains("deleted"), "what has a name stays");
        let all = gone(&["-a"]);
        assert!(all.contains("untagged: named:latest") && all.contains(&named), "{all}");
        assert!(exists(&daemon, "busybox"), "a container uses it");
        client.run(&["image", "prune", "-f", "--filter", "nonsense=1"]).exits(1).says("nvalid filter 'nonsense'");
        let asked = client.run_with_input(&["image", "prune"], b"n\n");
        assert!(asked.stdout.contains("WARNING! This will remove all dangling images."), "{asked}");
        daemon.docker(&["rm", &user]).exits(0);
    }
}

#[test]
fn img_18_what_events_tell() {
    let daemon = Daemon::start(Options::default());
    for client in daemon.clients() {
        let name = daemon.name("told");
        let id = import(&client, &name, &name, &["LABEL a=b"]);
        client.run(&["tag", &name, &format!("{name}:v2")]).exits(0);
        let archive = client.command(&["save", &name]).output().unwrap().stdout;
        client.run(&["rmi", &format!("{name}:v2")]).exits(0);
        client.run(&["rmi", &name]).exits(0);
        client.run_with_input(&["load"], &archive).exits(0);
        client.run(&["rmi", &name]).exits(0);
        client.run(&["image", "prune", "-f"]).exits(0);
        let told = events(&daemon, &[&format!("image={id}")], &format!("load {id}"));
        let expected = [
            format!("tag {name}"),
            format!("import {id}"),
            format!("tag {name}:v2"),
            format!("save {id}"),
            format!("untag {id}"),
            format!("untag {id}"),
            format!("delete {id}"),
            format!("load {id}"),
        ];
        let own = |line: &&String| !line.starts_with("tag ") || line.contains(&name);
        let told: Vec<String> = told
            .iter()
            .filter(own)
            .map(|line| line.replace(&format!("tag {name}:latest"), &format!("tag {name}")))
            .collect();
        assert_eq!(told[..expected.len()], expected, "{told:#?}");
    }
}

/// What an old client reads in the answer to a removal.
#[test]
fn img_18_answers_and_statuses() {
    let daemon = Daemon::shared();
    let client = daemon.stock();
    let name = daemon.name("raw");
    let id = import(&client, &name, &name, &[]);
    let mut api = daemon.api();
    let missing = api.request("DELETE", "/images/nosuch", None).unwrap();
    assert_eq!(missing.status, 404);
    let (two, path) = (format!("{name}:two"), format!("/images/{}", &id[7..]));
    client.run(&["tag", &name, &two]).exits(0);
    assert_eq!(api.request("DELETE", &path, None).unwrap().status, 409);
    let removed = api.call("DELETE", &format!("{path}?force=1"), None);
    assert_eq!(removed.as_array().unwrap().last().unwrap().get("Untagged"), None, "{removed}");
    if daemon.is_reference() {
        return skip("Docker 20.10 knows no platforms here");
    }
    import(&client, &name, &name, &[]);
    let mut api = privileged_tests::http::Connection::with_version(&daemon.socket(), "/v1.51");
    let other = "%7B%22os%22%3A%22linux%22%2C%22architecture%22%3A%22s390x%22%7D";
    let answer = api.request("DELETE", &format!("/images/{name}?platforms={other}"), None).unwrap();
    assert_eq!(answer.status, 404, "{}", String::from_utf8_lossy(&answer.body));
    assert!(exists(daemon, &name));
    client.run(&["rmi", &name]).exits(0);
}
