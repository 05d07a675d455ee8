//! The system side: lists, statistics, events, disk usage, pruning, the shape of the API.
#![allow(clippy::unwrap_used, missing_docs)]

use privileged_tests::http::{Connection, Request};
use privileged_tests::{Daemon, Options, until};
use serde_json::{Value, json};

/// Runs a container to its end; gives its name.
fn ended(daemon: &Daemon, stem: &str, script: &str) -> String {
    let name = daemon.background(stem, script);
    daemon.docker(&["wait", &name]).exits(0);
    name
}

/// Splits a table as the course does: two blanks or more part its columns.
fn columns(line: &str) -> Vec<&str> {
    line.split("  ").map(str::trim).filter(|column| !column.is_empty()).collect()
}

#[test]
fn ctr_14_ps_a_shows_what_has_ended() {
    let daemon = Daemon::shared();
    let name = ended(daemon, "c14", "exit 0");
    let other = ended(daemon, "c14", "exit 7");
    for client in daemon.clients() {
        let run = client.run(&["ps", "-a"]);
        run.exits(0);
        let lines = run.lines();
        let titles = ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"];
        assert_eq!(columns(lines[0]), titles, "{run}");
        let line = lines.iter().find(|line| line.ends_with(&name)).unwrap();
        let cells = columns(line);
        assert!(cells[4].starts_with("Exited (0) ") && cells[4].ends_with(" ago"), "{line}");
        assert_eq!((cells[1], cells[5]), ("busybox", name.as_str()), "{line}");
        let filter = format!("name={other}");
        let status = client.run(&["ps", "-a", "--filter", &filter, "--format", "{{.Status}}"]);
        assert!(status.ok().starts_with("Exited (7) "), "{status}");
        let hidden = client.run(&["ps", "--filter", &filter, "-q"]);
        assert_eq!(hidden.ok(), "", "an ended container is in the list of running ones");
    }
}

#[test]
fn ctr_15_long_commands_are_cut() {
    let daemon = Daemon::shared();
    let name = daemon.background("c15", "sleep 600 # as long as it takes");
    for client in daemon.clients() {
        let filter = format!("name={name}");
        let show = |more: &[&str]| {
            let arguments = [&["ps", "--filter", &filter, "--format", "{{.Command}}"], more].concat();
            client.run(&arguments).ok().to_owned()
        };
        assert_eq!(show(&[]), "\"sh -c 'sleep 600 # …\"");
        assert_eq!(show(&["--no-trunc"]), "\"sh -c 'sleep 600 # as long as it takes'\"");
    }
    daemon.docker(&["rm", "-f", &name]).exits(0);
}

#[test]
fn ctr_16_the_newest_container_only() {
    let daemon = Daemon::start(Options::default());
    let first = ended(&daemon, "c16", "exit 0");
    let second = ended(&daemon, "c16", "exit 0");
    let third = daemon.background("c16", "sleep 600");
    for client in daemon.clients() {
        let names = |arguments: &[&str]| -> Vec<String> {
            let all = [&["ps", "--format", "{{.Names}}"], arguments].concat();
            client.run(&all).ok().lines().map(str::to_owned).collect()
        };
        assert_eq!(names(&["-l"]), [third.as_str()]);
        assert_eq!(names(&["-n", "2"]), [third.as_str(), second.as_str()]);
        assert_eq!(names(&["-a"]), [third.as_str(), second.as_str(), first.as_str()]);
        assert_eq!(names(&[]), [third.as_str()]);
    }
}

#[test]
fn ctr_51_limits_are_seen() {
    let daemon = Daemon::shared();
    let name = daemon.name("c51");
    let run = ["run", "-d", "--name", &name, "-m", "64m", "--pids-limit", "50", "busybox", "sleep", "600"];
    daemon.docker(&run).exits(0);
    assert_eq!(daemon.inspect(&name, "{{.HostConfig.Memory}}"), "67108864");
    for client in daemon.clients() {
        let run = client.run(&["stats", "--no-stream", &name]);
        run.exits(0);
        let lines = run.lines();
        let titles = ["CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS"];
        assert_eq!(columns(lines[0]), titles, "{run}");
        let cells = columns(lines[1]);
        assert_eq!((cells[1], cells[7]), (name.as_str(), "1"), "{run}");
        assert!(cells[2].ends_with('%') && cells[3].ends_with(" / 64MiB") && cells[4].ends_with('%'), "{run}");
        let format = "{{.Name}} {{.PIDs}} {{.Container}}";
        let run = client.run(&["stats", "--no-stream", "--format", format, &name]);
        assert_eq!(run.ok(), format!("{name} 1 {name}"));
    }
    daemon.docker(&["rm", "-f", &name]).exits(0);
}

#[test]
fn x_02_stats_stream_and_single() {
    let daemon = Daemon::shared();
    let name = daemon.background("stats", "while :; do :; done");
    let path = |query: &str| format!("/containers/{name}/stats?{query}");
    let once = daemon.api().call("GET", &path("stream=0&one-shot=1"), None);
    assert_eq!(once["precpu_stats"]["cpu_usage"]["total_usage"], 0);
    let pair = daemon.api().call("GET", &path("stream=0"), None);
    let total = |stats: &Value, side: &str| stats[side]["cpu_usage"]["total_usage"].as_u64().unwrap();
    assert!(total(&pair, "cpu_stats") > total(&pair, "precpu_stats"), "{pair}");
    assert_eq!(pair["name"], format!("/{name}"));
    assert!(
        pair["networks"]["eth0"]["rx_bytes"].is_u64() && pair["memory_stats"]["usage"].as_u64() > Some(0),
        "{pair}"
    );
    let refused = daemon.api().request("GET", &path("stream=1&one-shot=1"), None).unwrap();
    assert_eq!(refused.status, 400);
    for client in daemon.clients() {
        let lines = client.run(&["stats", "--no-stream", "--format", "json", &name]);
        let row: Value = serde_json::from_str(lines.ok()).unwrap();
        let percent: f64 = row["CPUPerc"].as_str().unwrap().trim_end_matches('%').parse().unwrap();
        assert!(percent > 0.0, "a busy loop uses no processor: {row}");
        client
            .run(&["stats", "--no-stream", "no-such-container"])
            .exits(1)
            .says("No such container: no-such-container");
    }
    daemon.docker(&["rm", "-f", &name]).exits(0);
    let stopped = ended(daemon, "stats", "exit 0");
    for client in daemon.clients() {
        let run = client.run(&["stats", "--no-stream", "--format", "{{.MemUsage}} {{.PIDs}}", &stopped]);
        assert_eq!(run.ok(), "0B / 0B 0");
    }
}

#[test]
fn x_02_wait_pause_unpause_rename_restart() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon.background("life", "trap 'exit 5' TERM; while :; do sleep 0.1; done");
        assert_eq!(client.run(&["pause", &name]).ok(), name);
        assert_eq!(daemon.inspect(&name, "{{.State.Status}}"), "paused");
        client.run(&["pause", &name]).exits(1).says("is already paused");
        assert_eq!(client.run(&["unpause", &name]).ok(), name);
        client.run(&["unpause", &name]).exits(1).says("is not paused");
        let renamed = daemon.name("renamed");
        client.run(&["rename", &name, &renamed]).exits(0);
        client.run(&["rename", &renamed, &renamed]).exits(1).says("same name as its current name");
        let pid = daemon.container_pid(&renamed);
        assert_eq!(client.run(&["restart", "-t", "20", &renamed]).ok(), renamed);
        assert_ne!(daemon.container_pid(&renamed), pid);
        let finished = daemon.inspect(&renamed, "{{.State.FinishedAt}}");
        assert!(!finished.starts_with("0001"), "the end of the last run is forgotten: {finished}");
        client.run(&["stop", "-t", "20", &renamed]).exits(0);
        assert_eq!(client.run(&["wait", &renamed]).ok(), "5");
        assert_eq!(client.run(&["container", "rm", &renamed]).ok(), renamed);
    }
}

/// The lines of `events` about one container since a moment, as `type action`.
fn told(daemon: &Daemon, since: &str, filter: &str) -> Vec<String> {
    let now = daemon.docker(&["info", "--format", "{{.SystemTime}}"]).ok().to_owned();
    let format = "{{.Type}} {{.Action}}";
    let run = daemon.gantry(&["events", "--since", since, "--until", &now, "--filter", filter, "--format", format]);
    let mut lines: Vec<String> = run.stdout.lines().map(|line| line.trim_end().to_owned()).collect();
    // A stop may take one signal or two.
    lines.dedup();
    lines
}

#[test]
fn x_02_events_tell_a_life_in_order() {
    let daemon = Daemon::start(Options::default());
    let since = daemon.docker(&["info", "--format", "{{.SystemTime}}"]).ok().to_owned();
    let run = ["run", "-d", "--name", "evc", "--label", "tier=front", "-v", "evv:/data", "busybox", "sleep", "600"];
    daemon.docker(&run).exits(0);
    daemon.docker(&["exec", "evc", "true"]).exits(0);
    daemon.docker(&["restart", "-t", "0", "evc"]).exits(0);
    daemon.docker(&["rm", "-f", "evc"]).exits(0);
    let expected = [
        "create",
        "start",
        "exec_create: true",
        "exec_start: true",
        "exec_die",
        "kill",
        "die",
        "stop",
        "start",
        "restart",
        "kill",
        "die",
        "destroy",
    ];
    let expected: Vec<String> = expected.iter().map(|action| format!("container {action}")).collect();
    let lives = until("all events are told", 30, || {
        let told = told(&daemon, &since, "type=container");
        (told.len() >= expected.len()).then_some(told)
    });
    assert_eq!(lives, expected);
    let volume = told(&daemon, &since, "type=volume");
    let mounts = ["volume mount", "volume unmount"];
    for word in mounts {
        assert_eq!(volume.iter().filter(|line| *line == word).count(), 2, "{volume:?}");
    }
    assert_eq!(told(&daemon, &since, "label=tier=front"), lives);
    assert_eq!(told(&daemon, &since, "label=tier=back"), Vec::<String>::new());
    for client in daemon.clients() {
        let until_now = daemon.docker(&["info", "--format", "{{.SystemTime}}"]).ok().to_owned();
        let arguments = ["events", "--since", &since, "--until", &until_now, "--filter", "event=die"];
        let run = client.run(&[&arguments[..], &["--format", "json"]].concat());
        let die: Value = serde_json::from_str(run.ok().lines().next().unwrap()).unwrap();
        let attributes = &die["Actor"]["Attributes"];
        assert_eq!(
            (&attributes["name"], &attributes["image"], &attributes["tier"]),
            (&json!("evc"), &json!("busybox"), &json!("front"))
        );
        assert!(attributes["exitCode"].is_string(), "{die}");
        let plain = client.run(&arguments);
        let line = plain.lines()[0].to_owned();
        assert!(line.contains(" container die ") && line.contains("name=evc") && line.contains("tier=front"), "{line}");
    }
}

#[test]
fn x_03_disk_usage_in_sums_and_things() {
    let daemon = Daemon::start(Options::default());
    daemon
        .docker(&[
            "run",
            "--name",
            "big",
            "-v",
            "kept:/v",
            "busybox",
            "sh",
            "-c",
            "dd if=/dev/zero of=/f bs=1k count=100 2>&1; echo x > /v/x",
        ])
        .exits(0);
    for client in daemon.clients() {
        let run = client.run(&["system", "df"]);
        run.exits(0);
        let lines = run.lines();
        assert_eq!(columns(lines[0]), ["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"], "{run}");
        assert_eq!(columns(lines[2]), ["Containers", "1", "0", "102.4kB", "102.4kB (100%)"], "{run}");
        assert_eq!(columns(lines[3])[..4], ["Local Volumes", "1", "1", "2B"], "{run}");
        assert_eq!(columns(lines[4]), ["Build Cache", "0", "0", "0B", "0B"], "{run}");
        let verbose = client.run(&["system", "df", "-v"]);
        verbose.exits(0);
        for text in ["Images space usage:", "Containers space usage:", "Local Volumes space usage:", "kept", "102kB"] {
            assert!(verbose.stdout.contains(text), "{text}: {verbose}");
        }
        let json = client.run(&["system", "df", "--format", "json"]);
        let first: Value = serde_json::from_str(json.ok().lines().next().unwrap()).unwrap();
        assert_eq!((&first["Type"], &first["TotalCount"]), (&json!("Images"), &json!("1")));
    }
    // Docker 20.10 does not know the parameter.
    if !daemon.is_reference() {
        let mut only = Connection::with_version(&daemon.socket(), "/v1.43");
        let usage = only.call("GET", "/system/df?type=volume", None);
        assert!(usage["Containers"].is_null() && usage["Volumes"][0]["UsageData"]["RefCount"] == 1, "{usage}");
        assert_eq!(only.request("GET", "/system/df?type=x", None).unwrap().status, 400);
    }
}

#[test]
fn x_03_prune_removes_what_nobody_uses() {
    let daemon = Daemon::start(Options::default());
    for client in daemon.clients() {
        daemon.docker(&["run", "--name", "gone", "busybox", "sh", "-c", "echo 12345 > /f"]).exits(0);
        daemon.docker(&["run", "--name", "kept", "--label", "keep", "busybox", "true"]).exits(0);
        let asked = client.run_with_input(&["container", "prune"], b"n\n");
        assert!(asked.stdout.starts_with("WARNING! This will remove all stopped containers.\n"), "{asked}");
        assert!(asked.stdout.contains("\nAre you sure you want to continue? [y/N] "), "{asked}");
        let run = client.run(&["container", "prune", "-f", "--filter", "label!=keep"]);
        let lines = run.lines();
        assert_eq!((lines[0], lines.len()), ("Deleted Containers:", 4), "{run}");
        assert_eq!(lines[3], "Total reclaimed space: 6B", "{run}");
        assert_eq!(client.run(&["ps", "-a", "--format", "{{.Names}}"]).ok(), "kept");
        client.run(&["container", "prune", "-f", "--filter", "nonsense=1"]).exits(1).says("nvalid filter 'nonsense'");
        daemon.docker(&["volume", "create", "named"]).exits(0);
        // Before API 1.42 all volumes were meant anyway.
        let all: &[&str] = if daemon.is_reference() { &[] } else { &["-a"] };
        let run = client.run_with_input(&[&["volume", "prune"], all].concat(), b"y\n");
        assert!(run.stdout.contains("Deleted Volumes:\nnamed\n"), "{run}");
        let run = client.run(&["image", "prune", "-f"]);
        assert_eq!(run.ok(), "Total reclaimed space: 0B");
        let asked = client.run_with_input(&["system", "prune", "--filter", "label=keep"], b"n\n");
        assert!(asked.stdout.contains("  - all stopped containers\n"), "{asked}");
        assert!(asked.stdout.contains("filtered with:\n  - label=keep\n"), "{asked}");
        let run = client.run(&["system", "prune", "-f"]);
        assert!(
            run.ok().starts_with("Deleted Containers:\n") && run.ok().ends_with("Total reclaimed space: 0B"),
            "{run}"
        );
        assert_eq!(client.run(&["ps", "-aq"]).ok(), "");
    }
}

#[test]
fn x_08_ping_and_versions() {
    let daemon = Daemon::shared();
    for method in ["GET", "HEAD"] {
        let answer = Connection::with_version(&daemon.socket(), "").request(method, "/_ping", None).unwrap();
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body, if method == "GET" { b"OK".to_vec() } else { Vec::new() });
        for header in ["api-version", "docker-experimental", "ostype", "server", "cache-control", "pragma"] {
            assert!(answer.header(header).is_some(), "{method}: no {header}");
        }
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    }
    let newest = if daemon.is_reference() { 41 } else { 51 };
    for minor in 12..=newest {
        let version = format!("/v1.{minor}");
        let mut api = Connection::with_version(&daemon.socket(), &version);
        for path in ["/_ping", "/info", "/version", "/containers/json", "/images/json", "/volumes", "/networks"] {
            let answer = api.request("GET", path, None).unwrap();
            assert_eq!(answer.status, 200, "{version}{path}");
        }
    }
    for (version, text) in [("/v1.11", "is too old"), ("/v1.99", "is too new")] {
        let answer = Connection::with_version(&daemon.socket(), version).request("GET", "/info", None).unwrap();
        assert_eq!(answer.status, 400);
        assert!(String::from_utf8_lossy(&answer.body).contains(text));
    }
    let version = daemon.docker(&["version", "--format", "{{.Server.APIVersion}}"]);
    assert_eq!(version.ok(), format!("1.{newest}"));
}

#[test]
fn x_08_unknown_paths_bodies_and_quotes() {
    let daemon = Daemon::shared();
    let mut api = daemon.api();
    for (method, path) in [("GET", "/nothing"), ("PUT", "/info"), ("POST", "/containers/json"), ("GET", "/")] {
        let answer = api.request(method, path, None).unwrap();
        assert_eq!((answer.status, answer.json()), (404, json!({"message": "page not found"})), "{method} {path}");
    }
    let swarm = api.request("GET", "/services", None).unwrap();
    assert_eq!(swarm.status, 503);
    assert!(swarm.json()["message"].as_str().unwrap().starts_with("This node is not a swarm manager."));
    assert_eq!(api.call("GET", "/plugins", None), json!([]));
    assert_eq!(api.request("GET", "/plugins/x/json", None).unwrap().status, 404);
    let create = |headers: &[(String, String)], body: &str, chunked: bool| {
        let body = Some(body.to_owned());
        daemon.api().send(&Request { method: "POST", path: "/containers/create", headers, body, chunked }).unwrap()
    };
    let empty = create(&[], "{}", false);
    assert_eq!(empty.status, 400);
    assert!(
        empty.json()["message"].as_str().unwrap().ends_with("onfig cannot be empty in order to create a container")
    );
    let kind = [("Content-Type".to_owned(), "text/plain".to_owned())];
    assert_eq!(create(&kind, "{\"Image\":\"busybox\"}", false).status, 400);
    let whole = create(&[("Expect".to_owned(), "100-continue".to_owned())], "{\"Image\":\"busybox\"}", true);
    assert_eq!(whole.status, 201);
    let id = whole.json()["Id"].as_str().unwrap().to_owned();
    // As curl sends it.
    let listed =
        api.call("GET", &format!("/containers/json?filters={{\"id\":[\"{id}\"],\"status\":[\"created\"]}}"), None);
    assert_eq!(listed[0]["Id"], json!(id));
    api.call("DELETE", &format!("/containers/{id}"), None);
}
