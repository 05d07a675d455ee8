//! Row X-04: health checks, and what follows from them. CTR rows that live beside restart policies.
#![allow(clippy::unwrap_used, missing_docs)]

use privileged_tests::archive::{Image, Layer};
use privileged_tests::{Client, Daemon, Options, until};
use serde_json::{Value, json};

/// Starts a container that is healthy while `/ok` is there.
fn checked(daemon: &Daemon, stem: &str, more: &[&str]) -> String {
    checked_by(&daemon.stock(), daemon, stem, more)
}

fn checked_by(client: &Client, daemon: &Daemon, stem: &str, more: &[&str]) -> String {
    let name = daemon.name(stem);
    let check =
        ["run", "-d", "--name", &name, "--health-cmd", "echo looked; test -e /ok", "--health-interval", "300ms"];
    let tail = ["--health-retries", "2", "--stop-signal", "KILL", "busybox", "sh", "-c", "touch /ok; sleep 300"];
    client.run(&[&check[..], more, &tail].concat()).exits(0);
    name
}

fn health(daemon: &Daemon, name: &str) -> Value {
    serde_json::from_str(&daemon.inspect(name, "{{json .State.Health}}")).unwrap()
}

fn wait_for(daemon: &Daemon, name: &str, status: &str) -> Value {
    until(&format!("{name} is {status}"), 40, || Some(health(daemon, name)).filter(|health| health["Status"] == status))
}

fn listed(daemon: &Daemon, name: &str, flags: &[&str]) -> String {
    let filter = format!("name=^{name}$");
    let ask = ["ps", "--format", "{{.Status}}", "--filter", &filter];
    daemon.docker(&[&ask[..], flags].concat()).ok().to_owned()
}

#[test]
fn x_04_health_is_shown_as_it_changes() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon.name("health");
        let run = ["run", "-d", "--name", &name, "--health-cmd", "echo looked; test -e /ok", "--health-interval", "1s"];
        client.run(&[&run[..], &["--health-retries=2", "busybox", "sh", "-c", "sleep 300"]].concat()).exits(0);
        assert_eq!(health(daemon, &name)["Status"], "starting");
        assert!(listed(daemon, &name, &[]).ends_with(" (health: starting)"));
        let sick = wait_for(daemon, &name, "unhealthy");
        assert!(sick["FailingStreak"].as_u64().unwrap() >= 2, "{sick}");
        assert!(listed(daemon, &name, &[]).ends_with(" (unhealthy)"));
        client.run(&["exec", &name, "touch", "/ok"]).exits(0);
        let well = wait_for(daemon, &name, "healthy");
        assert_eq!(well["FailingStreak"], 0);
        assert!(listed(daemon, &name, &[]).ends_with(" (healthy)"));
        let last = well["Log"].as_array().unwrap().last().unwrap();
        assert_eq!((&last["ExitCode"], &last["Output"]), (&json!(0), &json!("looked\n")));
        assert!(last["Start"].as_str().unwrap() < last["End"].as_str().unwrap());
        assert!(!listed(daemon, &name, &["--filter", "health=healthy"]).is_empty());
        assert!(listed(daemon, &name, &["--filter", "health=starting"]).is_empty());
        client.run(&["rm", "-f", &name]).exits(0);
    }
}

#[test]
fn x_04_health_tells_its_events() {
    let daemon = Daemon::shared();
    let name = checked(daemon, "events", &[]);
    wait_for(daemon, &name, "healthy");
    daemon.docker(&["exec", &name, "rm", "/ok"]).exits(0);
    wait_for(daemon, &name, "unhealthy");
    let filter = format!("container={name}");
    let actions = until("the events are in the past", 30, || {
        let ask = ["events", "--since", "120s", "--until", "0s", "--filter", &filter, "--format", "{{.Action}}"];
        let actions = daemon.docker(&ask).ok().to_owned();
        actions.contains("health_status: unhealthy").then_some(actions)
    });
    let begin = ["exec_create: /bin/sh -c echo looked; test -e /ok", "exec_start: /bin/sh -c echo looked; test -e /ok"];
    let expected = [&begin[..], &["exec_die", "health_status: healthy"]].concat();
    let start = actions.lines().position(|action| action == "start").unwrap();
    let seen: Vec<&str> = actions.lines().skip(start + 1).take(4).collect();
    assert_eq!(seen, expected);
    assert_eq!(actions.lines().filter(|action| *action == "health_status: unhealthy").count(), 1);
    let chosen = ["events", "--since", "120s", "--until", "0s", "--filter", &filter, "--filter", "event=health_status"];
    assert_eq!(daemon.docker(&chosen).ok().lines().count(), 2);
    daemon.docker(&["rm", "-f", &name]).exits(0);
}

#[test]
fn x_04_five_results_and_4096_bytes_are_kept() {
    let daemon = Daemon::shared();
    let name = daemon.name("long");
    let check = "head -c 5000 /dev/zero | tr '\\0' x";
    let run =
        ["run", "-d", "--name", &name, "--health-cmd", check, "--health-interval", "100ms", "busybox", "sleep", "300"];
    daemon.docker(&run).exits(0);
    let mut first = String::new();
    let full = until("the oldest result has gone", 60, || {
        let health = health(daemon, &name);
        let log = health["Log"].as_array().unwrap();
        assert!(log.len() <= 5);
        let oldest = log.first().map(|result| result["Start"].as_str().unwrap().to_owned()).unwrap_or_default();
        if first.is_empty() {
            first.clone_from(&oldest);
        }
        (log.len() == 5 && oldest != first).then_some(health)
    });
    assert_eq!(full["Log"][0]["Output"], json!(format!("{}...", "x".repeat(4096))));
    daemon.docker(&["rm", "-f", &name]).exits(0);
}

#[test]
fn x_04_a_check_that_takes_too_long_is_killed() {
    let daemon = Daemon::shared();
    let name = daemon.name("slow");
    let run =
        ["run", "-d", "--name", &name, "--health-cmd", "echo begun; exec sleep 311", "--health-interval", "200ms"];
    daemon
        .docker(&[&run[..], &["--health-timeout=1s", "--health-retries=1", "busybox", "sleep", "300"]].concat())
        .exits(0);
    let sick = wait_for(daemon, &name, "unhealthy");
    assert_eq!(sick["Log"][0]["ExitCode"], -1);
    let output = sick["Log"][0]["Output"].as_str().unwrap().to_owned();
    assert!(output.starts_with("Health check exceeded timeout (1s)"), "{output}");
    if !daemon.is_reference() {
        assert_eq!(output, "Health check exceeded timeout (1s): begun\n");
    }
    let count = || daemon.docker(&["top", &name]).stdout.matches("sleep 311").count();
    // One may run at this moment, never two.
    (0..20).for_each(|_| assert!(count() < 2));
    daemon.docker(&["rm", "-f", &name]).exits(0);
}

#[test]
fn x_04_a_check_that_cannot_run_says_why() {
    let daemon = Daemon::shared();
    let name = daemon.name("missing");
    let body = json!({
        "Image": "busybox", "Cmd": ["sleep", "300"],
        "Healthcheck": { "Test": ["CMD", "no-such-program"], "Interval": 200_000_000, "Retries": 1 },
    });
    daemon.api().call("POST", &format!("/containers/create?name={name}"), Some(&body));
    assert_eq!(health(daemon, &name), Value::Null);
    daemon.docker(&["start", &name]).exits(0);
    let sick = wait_for(daemon, &name, "unhealthy");
    let output = sick["Log"][0]["Output"].as_str().unwrap();
    assert!(output.contains("\"no-such-program\": executable file not found in $PATH"), "{output}");
    daemon.docker(&["rm", "-f", &name]).exits(0);
}

#[test]
fn x_04_nothing_is_checked_while_stopped_or_frozen() {
    let daemon = Daemon::shared();
    let name = checked(daemon, "still", &[]);
    wait_for(daemon, &name, "healthy");
    daemon.docker(&["pause", &name]).exits(0);
    assert_eq!(health(daemon, &name)["Status"], "unhealthy");
    assert!(listed(daemon, &name, &[]).ends_with(" (Paused)"));
    daemon.docker(&["unpause", &name]).exits(0);
    let log = wait_for(daemon, &name, "healthy")["Log"].clone();
    daemon.docker(&["stop", "-t", "0", &name]).exits(0);
    assert_eq!(health(daemon, &name)["Status"], "unhealthy");
    assert!(listed(daemon, &name, &["-a"]).starts_with("Exited (137)"));
    daemon.docker(&["start", &name]).exits(0);
    let fresh = health(daemon, &name);
    assert_eq!(fresh["FailingStreak"], 0);
    assert!(fresh["Log"].as_array().unwrap().len() >= log.as_array().unwrap().len().min(4));
    wait_for(daemon, &name, "healthy");
    daemon.docker(&["rm", "-f", &name]).exits(0);
}

#[test]
fn x_04_failures_in_the_start_period_do_not_count() {
    let daemon = Daemon::shared();
    let name = daemon.name("warming");
    let run = ["run", "-d", "--name", &name, "--health-cmd", "false", "--health-interval=200ms", "--health-retries=1"];
    // Docker 20.10 has no interval of the start period.
    let more: &[&str] = if daemon.is_reference() { &[] } else { &["--health-start-interval=200ms"] };
    let tail = ["--health-start-period=1h", "busybox", "sleep", "300"];
    daemon.docker(&[&run[..], more, &tail].concat()).exits(0);
    let warming = until("it has failed three times", 40, || {
        Some(health(daemon, &name)).filter(|health| health["Log"].as_array().unwrap().len() >= 3)
    });
    assert_eq!((&warming["Status"], &warming["FailingStreak"]), (&json!("starting"), &json!(0)));
    daemon.docker(&["rm", "-f", &name]).exits(0);
}

#[test]
fn x_04_an_image_brings_its_check_and_a_request_changes_it_field_by_field() {
    let daemon = Daemon::start(Options::default());
    let name = daemon.name("maker");
    daemon.docker(&["create", "--name", &name, "busybox", "true"]).exits(0);
    let layer = daemon.scratch("image").join("layer.tar");
    daemon.docker(&["export", "-o", &layer.display().to_string(), &name]).exits(0);
    let healthcheck = json!({ "Test": ["CMD-SHELL", "echo image"], "Interval": 250_000_000_i64, "Retries": 7 });
    let image = Image {
        reference: "checked:1".to_owned(),
        config: json!({ "Cmd": ["sleep", "300"], "Healthcheck": healthcheck, "Env": ["PATH=/bin"] }),
        layers: vec![Layer::from_file(&layer).unwrap()],
    };
    let archive = daemon.scratch("image").join("image.tar");
    std::fs::write(&archive, image.to_bytes()).unwrap();
    daemon.docker(&["load", "-q", "-i", &archive.display().to_string()]).exits(0);
    for client in daemon.clients() {
        let (inherited, changed, off) = (daemon.name("inherited"), daemon.name("changed"), daemon.name("off"));
        client.run(&["run", "-d", "--name", &inherited, "checked:1"]).exits(0);
        assert_eq!(wait_for(&daemon, &inherited, "healthy")["Log"][0]["Output"], "image\n");
        client.run(&["run", "-d", "--name", &changed, "--health-retries", "2", "checked:1"]).exits(0);
        let check: Value = serde_json::from_str(&daemon.inspect(&changed, "{{json .Config.Healthcheck}}")).unwrap();
        assert_eq!(check, json!({ "Test": ["CMD-SHELL", "echo image"], "Interval": 250_000_000_i64, "Retries": 2 }));
        client.run(&["run", "-d", "--name", &off, "--no-healthcheck", "checked:1"]).exits(0);
        assert_eq!(health(&daemon, &off), Value::Null);
        let words = listed(&daemon, &off, &["--filter", "health=none"]);
        assert!(words.starts_with("Up ") && !words.contains('('), "{words}");
        client.run(&["rm", "-f", &inherited, &changed, &off]).exits(0);
    }
}

#[test]
fn x_04_health_goes_on_after_the_daemon() {
    let daemon = Daemon::start(Options::default());
    let name = checked(&daemon, "over", &[]);
    wait_for(&daemon, &name, "healthy");
    let stopped = checked(&daemon, "down", &[]);
    wait_for(&daemon, &stopped, "healthy");
    daemon.docker(&["stop", "-t", "0", &stopped]).exits(0);
    daemon.kill();
    daemon.launch();
    let after = health(&daemon, &name);
    assert!(!after["Log"].as_array().unwrap().is_empty(), "{after}");
    assert_eq!(health(&daemon, &stopped)["Status"], "unhealthy");
    if daemon.is_reference() {
        return; // Docker 20.10 does not check a container again that it took over after a kill.
    }
    daemon.docker(&["exec", &name, "rm", "/ok"]).exits(0);
    wait_for(&daemon, &name, "unhealthy");
    daemon.docker(&["exec", &name, "touch", "/ok"]).exits(0);
    wait_for(&daemon, &name, "healthy");
}

#[test]
fn x_04_bad_settings_are_refused() {
    let daemon = Daemon::shared();
    let mut api = daemon.api();
    let mut refused = |check: Value| {
        let body = json!({ "Image": "busybox", "Cmd": ["true"], "Healthcheck": check });
        let answer = api.request("POST", "/containers/create", Some(&body)).unwrap();
        assert_eq!(answer.status, 400, "{check}");
        answer.json()["message"].as_str().unwrap().to_owned()
    };
    assert_eq!(refused(json!({ "Interval": 1 })), "Interval in Healthcheck cannot be less than 1ms");
    assert_eq!(refused(json!({ "Timeout": 999_999 })), "Timeout in Healthcheck cannot be less than 1ms");
    assert_eq!(refused(json!({ "StartPeriod": -5 })), "StartPeriod in Healthcheck cannot be less than 1ms");
    assert_eq!(refused(json!({ "Retries": -1 })), "Retries in Healthcheck cannot be negative");
    if !daemon.is_reference() {
        assert_eq!(refused(json!({ "Test": ["PING"] })), "Unknown healthcheck type 'PING' (expected 'CMD')");
    }
}

#[test]
fn x_04_health_on_failure_restarts_stops_or_kills() {
    let daemon = Daemon::shared();
    if daemon.is_reference() {
        return; // Docker reports, and does nothing.
    }
    // Healthy until `/ok` goes, and again after a restart.
    for client in daemon.clients() {
        let ask: &[&str] = match client.name {
            "gantry" => &["--health-on-failure", "restart"],
            _ => &["--annotation", "gantry.health-on-failure=restart"],
        };
        let name = checked_by(&client, daemon, "again", ask);
        wait_for(daemon, &name, "healthy");
        daemon.docker(&["exec", &name, "rm", "/ok"]).exits(0);
        until("it is started again", 60, || (daemon.inspect(&name, "{{.RestartCount}}") == "1").then_some(()));
        wait_for(daemon, &name, "healthy");
        // A user's stop is the last word.
        daemon.docker(&["stop", "-t", "0", &name]).exits(0);
        assert_eq!(daemon.inspect(&name, "{{.State.Status}}"), "exited");
        daemon.docker(&["rm", "-f", &name]).exits(0);
    }
    for (ask, restart, end) in [("stop", "always", "exited"), ("kill", "no", "exited"), ("kill", "always", "running")] {
        let annotation = format!("gantry.health-on-failure={ask}");
        let name = checked(daemon, ask, &["--label", &annotation, "--restart", restart]);
        wait_for(daemon, &name, "healthy");
        let pid = daemon.inspect(&name, "{{.State.Pid}}");
        daemon.docker(&["exec", &name, "rm", "/ok"]).exits(0);
        until("it has come to that", 60, || {
            let now = daemon.inspect(&name, "{{.State.Status}} {{.State.Pid}}");
            (now.starts_with(end) && !now.ends_with(&format!(" {pid}"))).then_some(())
        });
        daemon.docker(&["rm", "-f", &name]).exits(0);
    }
    let run = daemon.docker(&["create", "--annotation", "gantry.health-on-failure=panic", "busybox", "true"]);
    run.exits(1).says("invalid gantry.health-on-failure: \"panic\"");
}
