//! Rows IMG-08 … IMG-12: search in the index of a registry.
#![allow(clippy::unwrap_used, missing_docs)]

use privileged_tests::fixtures::Fixture;
use privileged_tests::registry::Registry;
use privileged_tests::stub::{Answer, Stub};
use privileged_tests::{Daemon, skip};
use serde_json::json;

/// A registry with an index of its own.
fn index() -> Stub {
    Stub::start(|_, path| {
        let item = |name: &str, stars: u32, official: bool, description: &str| {
            json!({"name": name, "star_count": stars, "is_official": official, "is_automated": false,
                "description": description})
        };
        if !path.starts_with("/v1/search") {
            let answer = || Answer::new("200 OK\r\ncontent-type: application/json", "{\"standalone\":true}");
            return path.starts_with("/v1/_ping").then(answer);
        }
        let long = "A description that is longer than forty-five letters are";
        let results = [item("foo", 7, true, long), item("team/foo", 3, false, "Short")];
        let body = json!({"num_results": 2, "query": "foo", "results": results}).to_string();
        Some(Answer::new("200 OK\r\ncontent-type: application/json", body))
    })
}

#[test]
fn img_08_search_shows_a_table() {
    let daemon = Daemon::shared();
    let index = index();
    let term = format!("{}/foo", index.host());
    for client in daemon.clients() {
        let found = client.run(&["search", &term]);
        let words: Vec<Vec<&str>> = found
            .exits(0)
            .lines()
            .iter()
            .map(|line| line.split("  ").map(str::trim).filter(|w| !w.is_empty()).collect())
            .collect();
        assert_eq!(words[0], ["NAME", "DESCRIPTION", "STARS", "OFFICIAL"], "{found}");
        assert_eq!(words[1], ["foo", "A description that is longer than forty-five…", "7", "[OK]"], "{found}");
        assert_eq!(words[2], ["team/foo", "Short", "3"], "{found}");
        let format = ["search", "--format", "{{.Name}}"];
        let filtered = |filter: &str| client.run(&[&format[..], &["--filter", filter, &term]].concat()).ok().to_owned();
        assert_eq!((filtered("stars=5"), filtered("is-official=false")), ("foo".to_owned(), "team/foo".to_owned()));
        client.run(&["search", "--limit", "101", &term]).exits(1).says("101 is outside the range of [1, 100]");
    }
}

#[test]
fn img_09_search_needs_no_login() {
    let daemon = Daemon::shared();
    let index = index();
    for client in daemon.clients() {
        // Settings of its own, without an account.
        let settings = daemon.scratch(&daemon.name("settings")).display().to_string();
        let term = format!("{}/foo", index.host());
        let found = client.run(&["--config", &settings, "search", "--format", "{{.Name}}", &term]);
        assert_eq!(found.ok(), "foo\nteam/foo");
    }
}

#[test]
fn img_10_search_without_cutting() {
    let daemon = Daemon::shared();
    let index = index();
    for client in daemon.clients() {
        let found = client.run(&["search", "--no-trunc", &format!("{}/foo", index.host())]);
        assert!(found.ok().contains("A description that is longer than forty-five letters are"), "{found}");
    }
}

#[test]
fn img_11_search_takes_flags_of_old() {
    let daemon = Daemon::shared();
    let index = index();
    // The stock client has dropped them.
    let client = daemon.clients().pop().unwrap();
    if daemon.is_reference() {
        return skip("Docker's client has dropped these flags");
    }
    let term = format!("{}/foo", index.host());
    let found = client.run(&["search", "-s", "5", "--format", "{{.Name}}", &term]);
    assert_eq!(found.ok(), "foo");
    found.says("has been deprecated");
    let found = client.run(&["search", "--automated", "--format", "{{.Name}}", &term]);
    assert_eq!(found.ok(), "");
    found.says("has been deprecated");
}

#[test]
fn img_12_search_lists_an_own_registry() {
    let daemon = Daemon::shared();
    if daemon.is_reference() {
        return skip("Docker 20.10 searches only registries with an index of their own");
    }
    let Some(registry) = Registry::start() else { return skip("docker-registry is not installed") };
    registry.put(&Fixture::Busybox.archive().unwrap(), "team/foot");
    registry.put(&Fixture::Busybox.archive().unwrap(), "bar");
    for client in daemon.clients() {
        let found = client.run(&["search", "--format", "{{.Name}}", &registry.reference("foo")]);
        assert_eq!(found.ok(), registry.reference("team/foot"));
        client.run(&["search", "--filter", "stars=x", "any"]).exits(1).says("invalid filter 'stars=x'");
    }
}

#[test]
fn img_12_search_lists_tags() {
    let daemon = Daemon::shared();
    if daemon.is_reference() {
        return skip("Docker does not search tags");
    }
    let Some(registry) = Registry::start() else { return skip("docker-registry is not installed") };
    for tag in ["12", "12.1", "13", "latest"] {
        registry.put(&Fixture::Busybox.archive().unwrap(), &format!("team/tagged:{tag}"));
    }
    let name = registry.reference("team/tagged");
    for client in daemon.clients() {
        // Sorted by stars, of which tags have none.
        let found = |term: &str| {
            let run = client.run(&["search", "--format", "{{.Name}}", term]);
            let mut lines: Vec<&str> = run.ok().lines().collect();
            lines.sort_unstable();
            lines.join("\n")
        };
        assert_eq!(found(&format!("{name}:12*")), format!("{name}:12\n{name}:12.1"));
        assert_eq!(found(&format!("{name}:1?")), format!("{name}:12\n{name}:13"));
        assert_eq!(found(&format!("{name}:nothing")), "");
        client.run(&["search", &format!("{name}:[")]).exits(1).says("syntax error in the pattern for tags");
        client.run(&["search", &registry.reference("nosuch:*")]).exits(1).says("repository");
    }
    let client = daemon.clients().pop().unwrap();
    let table = client.run(&["search", "--list-tags", &name]);
    let words: Vec<Vec<&str>> = table.exits(0).stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words[0], ["NAME", "TAG"], "{table}");
    assert_eq!(words[1..].iter().map(|row| row[1]).collect::<Vec<_>>(), ["12", "12.1", "13", "latest"], "{table}");
    assert!(words[1..].iter().all(|row| row[0] == name), "{table}");
    let limited =
        client.run(&["search", "--list-tags", "--limit", "1", "--format", "{{.Tag}}", &format!("{name}:12*")]);
    assert_eq!(limited.ok(), "12");
}
