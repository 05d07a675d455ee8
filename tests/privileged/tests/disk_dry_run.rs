//! `--dry-run` on everything that removes, and the question of a prune: what was listed goes, and nothing else.
#![allow(clippy::unwrap_used, missing_docs)]

use std::io::{Read as _, Write as _};
use std::process::{Child, Stdio};

use privileged_tests::building::{build, context};
use privileged_tests::{Client, Daemon, Options, skip, until};

/// Everything that the engine has, with ids and names.
fn everything(daemon: &Daemon) -> String {
    let lists: [&[&str]; 4] = [
        &["ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Names}} {{.State}}"],
        &["images", "-a", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}"],
        &["volume", "ls", "-q"],
        &["network", "ls", "--no-trunc", "--format", "{{.ID}} {{.Name}}"],
    ];
    lists.map(|list| daemon.docker(list).ok().to_owned()).join("\n--\n")
}

/// What stops, what is unused, and what is used, of every kind; two images build on each other and have no name.
fn furnish(daemon: &Daemon) {
    let files = [("Dockerfile", "FROM busybox\nRUN echo one > /one\nRUN echo two > /two\n")];
    build(&daemon.stock(), &["-t", "built:1", &context(daemon, &files)]).exits(0);
    daemon.docker(&["tag", "built:1", "built:2"]).exits(0);
    daemon.docker(&["network", "create", "lonely"]).exits(0);
    daemon.docker(&["network", "create", "busy-net"]).exits(0);
    daemon.docker(&["volume", "create", "idle"]).exits(0);
    daemon.docker(&["run", "--name", "ended", "-v", "/anon", "busybox", "sh", "-c", "echo 12345 >/f"]).exits(0);
    let running = ["run", "-d", "--name", "runs", "--network", "busy-net", "-v", "data:/data", "busybox"];
    daemon.docker(&[&running[..], &["sleep", "1000"]].concat()).exits(0);
}

/// This moment as `events` takes it.
fn now() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    format!("{}.{:09}", now.as_secs(), now.subsec_nanos())
}

/// A row of a dry run: the kind and the name, in that order.
fn has_row(text: &str, kind: &str, name: &str) -> bool {
    text.lines().any(|line| line.starts_with(kind) && line.contains(name))
}

/// What the real command refuses is refused in the same words.
fn refusals_are_those_of_the_real_command(daemon: &Daemon) {
    for command in [
        &["rm", "runs"][..],
        &["rm", "nobody"],
        &["rmi", "busybox"],
        &["rmi", "no-such-image"],
        &["volume", "rm", "data"],
        &["volume", "rm", "no-such-volume"],
        &["network", "rm", "bridge"],
        &["network", "rm", "busy-net"],
    ] {
        let (dry, real) = (daemon.gantry(&[command, &["--dry-run"]].concat()), daemon.gantry(command));
        assert!(dry.code == 1 && real.code == 1, "{dry}{real}");
        let words = real.stderr.lines().next().unwrap().trim_start_matches("Error response from daemon: ");
        assert!(dry.stdout.contains(words), "{dry}{real}");
    }
}

#[test]
fn a_dry_run_says_what_would_go_and_changes_nothing() {
    let daemon = Daemon::start(Options::default());
    let gantry = |arguments: &[&str]| daemon.gantry(arguments);
    if daemon.is_reference() {
        gantry(&["container", "prune", "--dry-run"]).exits(1).says("this engine cannot tell what it would remove");
        return skip("Gantry's own");
    }
    furnish(&daemon);
    let before = everything(&daemon);
    let begin = now();
    for (command, would, stays) in [
        (&["container", "prune"][..], &[("container", "ended")][..], &[("container", "runs", "it is running")][..]),
        (&["network", "prune"], &[("network", "lonely")], &[("network", "busy-net", "used by runs")]),
        (&["volume", "prune", "-a"], &[("volume", "idle")], &[("volume", "data", "used by runs")]),
        (
            &["image", "prune", "-a"],
            &[("image", "built:1, built:2"), ("image", "<none>")],
            &[("image", "busybox", "is using its referenced image")],
        ),
        (&["builder", "prune"], &[], &[]),
        (
            &["system", "prune", "-a", "--volumes"],
            &[("container", "ended"), ("network", "lonely"), ("volume", ""), ("image", "built:1")],
            &[("container", "runs", "it is running")],
        ),
        (&["rm", "ended"], &[("container", "ended")], &[]),
        (&["rm", "-fv", "ended", "runs"], &[("container", "ended"), ("container", "runs"), ("volume", "")], &[]),
        (&["rmi", "built:1"], &[("image", "built:1")], &[]),
        (&["rmi", "built:1", "built:2"], &[("image", "built:1, built:2")], &[]),
        (&["volume", "rm", "idle"], &[("volume", "idle")], &[]),
        (&["network", "rm", "lonely"], &[("network", "lonely")], &[]),
    ] {
        let run = gantry(&[command, &["--dry-run"]].concat());
        run.exits(0);
        let (go, kept) = run.stdout.split_once("Would stay:").unwrap_or((&run.stdout, ""));
        assert!(would.iter().all(|(kind, name)| has_row(go, kind, name)), "{run}");
        assert!(stays.iter().all(|(kind, name, why)| has_row(kept, kind, name) && kept.contains(why)), "{run}");
        assert_eq!(would.is_empty(), go.contains("Nothing would be removed."), "{run}");
    }
    refusals_are_those_of_the_real_command(&daemon);
    assert_eq!(everything(&daemon), before);
    let events = daemon.docker(&["events", "--since", &begin, "--until", &now()]);
    assert_eq!(events.ok(), "", "a dry run is no event");

    // And what was said is what comes: the same images with the same bytes.
    let dry = gantry(&["image", "prune", "-a", "--dry-run"]);
    let promised = dry.stdout.lines().find_map(|line| line.strip_prefix("Would be reclaimed: ")).unwrap().to_owned();
    let done = gantry(&["image", "prune", "-af"]);
    assert!(done.ok().ends_with(&format!("Total reclaimed space: {promised}")), "{dry}{done}");
    daemon.docker(&["rm", "-fv", "runs", "ended"]).exits(0);
    gantry(&["system", "fsck"]).exits(0);
}

/// A prune that waits for its answer, having listed what it would remove.
struct Asking {
    child: Child,
    shown: String,
}

impl Asking {
    fn start(client: &Client, arguments: &[&str]) -> Self {
        let mut command = client.command(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut shown, mut byte) = (Vec::new(), [0]);
        while !shown.ends_with(b"[y/N] ") {
            assert_eq!(
                child.stdout.as_mut().unwrap().read(&mut byte).unwrap(),
                1,
                "{}",
                String::from_utf8_lossy(&shown)
            );
            shown.push(byte[0]);
        }
        Self { child, shown: String::from_utf8(shown).unwrap() }
    }

    fn answer(mut self, answer: &str) -> String {
        self.child.stdin.take().unwrap().write_all(answer.as_bytes()).unwrap();
        let mut rest = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
        assert!(self.child.wait().unwrap().success(), "{rest}");
        rest
    }
}

#[test]
fn a_yes_removes_what_was_listed_and_nothing_else() {
    let daemon = Daemon::start(Options::default());
    if daemon.is_reference() {
        return skip("Gantry's own");
    }
    let gantry = daemon.clients().into_iter().find(|client| client.name == "gantry").unwrap();
    daemon.docker(&["create", "--name", "old", "busybox"]).exits(0);
    daemon.docker(&["create", "--name", "starts", "busybox", "sleep", "1000"]).exits(0);
    for volume in ["old-volume", "used-later"] {
        daemon.docker(&["volume", "create", volume]).exits(0);
    }
    for network in ["old-net", "used-net"] {
        daemon.docker(&["network", "create", network]).exits(0);
    }

    let no = Asking::start(&gantry, &["container", "prune"]);
    assert!(no.shown.contains("old") && no.shown.starts_with("WARNING! This will remove all stopped containers.\n"));
    assert_eq!(no.answer("n\n"), "");
    assert_eq!(daemon.inspect("old", "{{.State.Status}}"), "created");

    // Between the list and the yes things appear, and some of the list come into use.
    let asking = Asking::start(&gantry, &["container", "prune"]);
    daemon.docker(&["create", "--name", "new", "busybox"]).exits(0);
    daemon.docker(&["start", "starts"]).exits(0);
    until("it runs", 60, || (daemon.inspect("starts", "{{.State.Status}}") == "running").then_some(()));
    let old = daemon.inspect("old", "{{.Id}}");
    let told = asking.answer("y\n");
    assert!(told.contains(&format!("Deleted Containers:\n{old}\n\n")), "{told}");
    assert!(told.contains("Kept:\ncontainer starts: it is running\n"), "{told}");
    assert_eq!(daemon.docker(&["ps", "-a", "--format", "{{.Names}}"]).lines(), ["new", "starts"]);

    let asking = Asking::start(&gantry, &["volume", "prune", "-a"]);
    daemon.docker(&["volume", "create", "new-volume"]).exits(0);
    daemon.docker(&["create", "--name", "user", "-v", "used-later:/x", "busybox"]).exits(0);
    let told = asking.answer("y\n");
    assert!(
        told.contains("Deleted Volumes:\nold-volume\n\n") && told.contains("volume used-later: used by user"),
        "{told}"
    );
    assert_eq!(daemon.docker(&["volume", "ls", "-q"]).lines(), ["new-volume", "used-later"]);

    let asking = Asking::start(&gantry, &["network", "prune"]);
    daemon.docker(&["network", "create", "new-net"]).exits(0);
    daemon.docker(&["network", "connect", "used-net", "starts"]).exits(0);
    let told = asking.answer("y\n");
    assert_eq!(told, "Deleted Networks:\nold-net\n\nKept:\nnetwork used-net: used by starts\n\n");
    daemon.docker(&["network", "inspect", "new-net", "used-net"]).exits(0);

    daemon.docker(&["rm", "-f", "new", "user", "starts"]).exits(0);
    daemon.gantry(&["system", "fsck"]).exits(0);
}

#[test]
fn a_yes_takes_the_listed_names_of_images_and_what_is_listed_of_everything() {
    let daemon = Daemon::start(Options::default());
    if daemon.is_reference() {
        return skip("Gantry's own");
    }
    let gantry = daemon.clients().into_iter().find(|client| client.name == "gantry").unwrap();
    daemon.docker(&["run", "-d", "--name", "starts", "busybox", "sleep", "1000"]).exits(0);
    // An image that gets another name keeps that; a name that moves on to another image is not the one listed.
    daemon.docker(&["commit", "starts", "goes:1"]).exits(0);
    daemon.docker(&["commit", "starts", "moves:1"]).exits(0);
    let goes = daemon.inspect("goes:1", "{{.Id}}");
    let asking = Asking::start(&gantry, &["image", "prune", "-a"]);
    assert!(asking.shown.contains("goes:1") && asking.shown.contains("moves:1"), "{}", asking.shown);
    daemon.docker(&["tag", "goes:1", "another:1"]).exits(0);
    daemon.docker(&["commit", "starts", "moves:1"]).exits(0);
    daemon.docker(&["commit", "starts", "appears:1"]).exits(0);
    let told = asking.answer("y\n");
    assert!(told.contains("untagged: goes:1\n"), "{told}");
    assert_eq!(daemon.inspect("another:1", "{{.Id}}"), goes);
    daemon.docker(&["image", "inspect", "moves:1", "appears:1"]).exits(0);
    daemon.docker(&["image", "inspect", "goes:1"]).exits(1);

    // Nothing to remove is said too.
    daemon.docker(&["rm", "-f", "starts"]).exits(0);
    let asking = Asking::start(&gantry, &["container", "prune"]);
    assert!(asking.shown.contains("\nThere is nothing to remove.\n"), "{}", asking.shown);
    daemon.docker(&["create", "--name", "late", "busybox"]).exits(0);
    assert_eq!(asking.answer("y\n"), "Total reclaimed space: 0B\n");
    assert_eq!(daemon.docker(&["ps", "-aq"]).lines().len(), 1);
    // Everything at once.
    let asking = Asking::start(&gantry, &["system", "prune", "-a", "--volumes"]);
    daemon.docker(&["network", "create", "appeared"]).exits(0);
    let told = asking.answer("y\n");
    assert!(told.contains("Deleted Containers:\n") && told.contains("Total reclaimed space: "), "{told}");
    assert_eq!(daemon.docker(&["ps", "-aq"]).ok(), "");
    daemon.docker(&["network", "inspect", "appeared"]).exits(0);
    daemon.gantry(&["system", "fsck"]).exits(0);
}
