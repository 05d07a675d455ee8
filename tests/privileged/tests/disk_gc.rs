//! Images in their budget: what has no tag and no user goes by itself, the least recently used first.
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use privileged_tests::{Client, Daemon, Options, skip, until};
use serde_json::{Value, json};

/// An engine that looks at its budget every second.
fn daemon(gc: Value) -> Daemon {
    Daemon::start(Options { config: Some(json!({ "gc": gc })), ..Options::default() })
}

/// An image with a megabyte that no other has, and a label; without a name where that is empty.
fn image(client: &Client, name: &str, number: usize) -> String {
    let made = format!("ctr{number}");
    let script = format!("head -c 1000000 /dev/urandom > /file{number}");
    client.run(&["run", "--name", &made, "busybox", "sh", "-c", &script]).exits(0);
    let change = format!("LABEL number={number}");
    let words: Vec<&str> = ["commit", "-c", &change, &made, name].into_iter().filter(|word| !word.is_empty()).collect();
    let id = client.run(&words).ok().to_owned();
    client.run(&["rm", &made]).exits(0);
    id
}

fn is_there(client: &Client, id: &str) -> bool {
    client.run(&["image", "inspect", id]).code == 0
}

fn status(daemon: &Daemon) -> Value {
    daemon.api().call("GET", "/gantry/gc", None)
}

#[test]
fn images_without_a_tag_go_until_the_budget_holds_and_what_is_held_stays() {
    let daemon = daemon(json!({ "max-size": "1GB", "keep": ["label=number=3"], "interval": "1s" }));
    if daemon.is_reference() {
        return skip("Gantry's own");
    }
    let client = daemon.stock();
    let (old, used, newer) = (image(&client, "", 0), image(&client, "", 1), image(&client, "", 2));
    let (kept, tagged) = (image(&client, "", 3), image(&client, "tagged:1", 4));
    client.run(&["create", "--name", "user", &used]).exits(0);
    // Whoever makes a container from an image uses it.
    std::thread::sleep(Duration::from_millis(20));
    client.run(&["run", "--rm", &old, "true"]).exits(0);
    let before = status(&daemon);
    let (size, free) = (before["Size"].as_u64().unwrap(), before["Reclaimable"].as_u64().unwrap());
    assert_eq!(before["MaxSize"].as_u64(), Some(1_000_000_000), "{before}");
    assert!((4_000_000..=4_100_000).contains(&free) && size > free, "two images, and their blobs: {before}");
    let told = daemon.gantry(&["system", "df"]);
    assert!(told.ok().contains(" of a budget of 1GB; garbage collection could free 4."), "{told}");
    assert!(is_there(&client, &newer), "nothing goes while the budget holds");

    // One must go: of the two that may, the one that was used before the other.
    reload(&daemon, json!({ "max-size": size - 1_000_000, "keep": ["label=number=3"], "interval": "1s" }));
    until("an image goes", 60, || (!is_there(&client, &newer)).then_some(()));
    until("the budget holds", 60, || {
        let now = status(&daemon);
        (now["Size"].as_u64().unwrap() <= size - 1_000_000).then_some(())
    });
    assert!(is_there(&client, &old), "it was used last");
    let log = daemon.log();
    assert!(log.contains("collected an image without a tag") && log.contains(&newer), "{log}");
    let events = client.run(&["events", "--since", "10m", "--until", &now(), "--filter", "event=delete"]);
    assert!(events.ok().contains(&newer), "{events}");

    // With no budget at all everything goes that nothing holds; a tag that is taken away holds no more.
    reload(&daemon, json!({ "max-size": 0, "keep": ["label=number=3"], "interval": "1s" }));
    until("the other one goes", 60, || (!is_there(&client, &old)).then_some(()));
    assert!([&used, &kept, &tagged].iter().all(|id| is_there(&client, id)) && is_there(&client, "busybox"));
    client.run(&["tag", "busybox", "tagged:1"]).exits(0);
    until("what lost its tag goes", 60, || (!is_there(&client, &tagged)).then_some(()));
    client.run(&["rm", "user"]).exits(0);
    until("what lost its container goes", 60, || (!is_there(&client, &used)).then_some(()));
    assert!(is_there(&client, &kept));
    assert_eq!(status(&daemon)["Reclaimable"].as_u64(), Some(0));
    assert_eq!(client.run(&["run", "--rm", &kept, "echo", "whole"]).ok(), "whole");
    daemon.gantry(&["system", "fsck", "--deep"]).exits(0);
}

#[test]
fn without_a_budget_nothing_is_collected() {
    let daemon = Daemon::start(Options::default());
    if daemon.is_reference() {
        return skip("Gantry's own");
    }
    let id = image(&daemon.stock(), "", 0);
    let now = status(&daemon);
    assert!(now["MaxSize"].is_null() && now["Reclaimable"].as_u64().unwrap() > 1_000_000, "{now}");
    assert!(!daemon.gantry(&["system", "df"]).ok().contains("budget"));
    assert!(is_there(&daemon.stock(), &id));
}

/// Writes another budget and has the daemon read it.
fn reload(daemon: &Daemon, gc: Value) {
    let file = daemon.data_root().with_file_name("daemon.json");
    std::fs::write(file, json!({ "gc": gc }).to_string()).unwrap();
    let begin = now();
    let pid = daemon.pid().to_string();
    assert!(std::process::Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    until("the settings are read", 60, || {
        let events = daemon.docker(&["events", "--since", &begin, "--until", &now(), "--filter", "event=reload"]);
        (!events.ok().is_empty()).then_some(())
    });
}

/// This moment as `events` takes it.
fn now() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    format!("{}.{:09}", now.as_secs(), now.subsec_nanos())
}
