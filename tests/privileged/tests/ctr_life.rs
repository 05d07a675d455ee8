//! Rows CTR-17 to CTR-23, CTR-25 to CTR-29, CTR-38, CTR-43, CTR-46: the life of a container and what shows it.
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::{Duration, Instant};

use privileged_tests::registry::free_port;
use privileged_tests::{Daemon, Options, host, until};
use regex_lite::Regex;
use serde_json::Value;

#[test]
fn ctr_17_ps_quiet_is_newest_first() {
    let daemon = Daemon::start(Options::default());
    let exited = daemon.docker(&["run", "-d", "busybox", "true"]).ok().to_owned();
    let first = daemon.docker(&["run", "-d", "busybox", "sleep", "300"]).ok().to_owned();
    let second = daemon.docker(&["run", "-d", "busybox", "sleep", "300"]).ok().to_owned();
    daemon.docker(&["wait", &exited]).exits(0);
    for client in daemon.clients() {
        assert_eq!(client.run(&["ps", "-q"]).lines(), [&second[..12], &first[..12]]);
        assert_eq!(client.run(&["ps", "-aq"]).lines(), [&second[..12], &first[..12], &exited[..12]]);
        assert_eq!(client.run(&["ps", "-aq", "--no-trunc"]).lines(), [&second[..], &first[..], &exited[..]]);
    }
}

#[test]
fn ctr_18_stop_and_remove_all() {
    let daemon = Daemon::start(Options::default());
    for client in daemon.clients() {
        for _ in 0..3 {
            client.run(&["run", "-d", "--init", "busybox", "sleep", "300"]).exits(0);
        }
        client.run(&["run", "busybox", "true"]).exits(0);
        let running = client.run(&["ps", "-q"]);
        let mut stop = vec!["stop"];
        stop.extend(running.lines());
        assert_eq!(client.run(&stop).lines(), running.lines(), "stop prints what it was given");
        let all = client.run(&["ps", "-aq"]);
        assert_eq!(all.lines().len(), 4);
        let mut remove = vec!["rm"];
        remove.extend(all.lines());
        assert_eq!(client.run(&remove).lines(), all.lines());
        assert_eq!(client.run(&["ps", "-aq"]).ok(), "");
    }
}

#[test]
fn ctr_19_inspect_has_the_known_fields() {
    let daemon = Daemon::shared();
    let name = daemon.background("inspected", "sleep 300");
    for client in daemon.clients() {
        let value: Value = serde_json::from_str(client.run(&["inspect", &name]).ok()).unwrap();
        let object = value.as_array().expect("an array")[0].as_object().expect("an object");
        for field in "Id Created Path Args State Image ResolvConfPath HostnamePath HostsPath LogPath Name RestartCount \
                      Driver HostConfig GraphDriver Mounts Config NetworkSettings"
            .split_whitespace()
        {
            assert!(object.contains_key(field), "{field} is missing ({})", client.name);
        }
        assert_eq!((&object["Path"], &object["Args"]), (&"sh".into(), &serde_json::json!(["-c", "sleep 300"])));
        assert_eq!(object["State"]["Status"], "running");
        assert_eq!(object["Config"]["Image"], "busybox");
        assert_eq!(object["Driver"], "overlay2");
        for path in ["ResolvConfPath", "HostnamePath", "HostsPath", "LogPath"] {
            let path = object[path].as_str().unwrap();
            assert!(std::path::Path::new(path).is_file(), "{path}");
        }
        assert_eq!(client.run(&["inspect", "no-such-thing"]).exits(1).stdout.trim(), "[]");
    }
}

#[test]
fn ctr_20_inspect_templates() {
    let daemon = Daemon::shared();
    let name = daemon.background("templates", "sleep 300");
    let label = daemon.name("labelled");
    daemon.docker(&["run", "-d", "--name", &label, "-e", "A=1", "busybox", "sh", "-c", "sleep 300"]).exits(0);
    for client in daemon.clients() {
        let show = |format: &str, name: &str| client.run(&["inspect", "-f", format, name]).ok().to_owned();
        assert_eq!(show("{{ .Name }}", &name), format!("/{name}"));
        assert_eq!(show("{{ .HostConfig.Links }}", &name), "[]");
        assert_eq!(show("{{json .Args}}", &name), r#"["-c","sleep 300"]"#);
        assert_eq!(show("{{range .Args}}<{{.}}>{{end}}", &name), "<-c><sleep 300>");
        assert_eq!(show("{{index .Args 0}}", &name), "-c");
        assert_eq!(show(r#"{{join .Args "+"}}"#, &name), "-c+sleep 300");
        assert_eq!(show(r"{{println .Path}}", &name), "sh");
        assert_eq!(show("{{range $k, $v := .NetworkSettings.Networks}}{{$k}}{{end}}", &name), "bridge");
        assert_eq!(show("{{index .Config.Env 0}}", &label), "A=1");
        assert_eq!(show("{{if .State.Running}}up{{else}}down{{end}}", &label), "up");
        assert_eq!(show("{{.State.ExitCode}} {{.HostConfig.Memory}}", &label), "0 0");
    }
}

#[test]
fn ctr_21_inspect_grep_address() {
    let daemon = Daemon::shared();
    let name = daemon.background("address", "sleep 300");
    let subnet = daemon.gateway().replace('.', r"\.");
    let subnet = subnet.strip_suffix('1').unwrap();
    for client in daemon.clients() {
        let run = client.run(&["inspect", &name]);
        let last = run.stdout.lines().rfind(|line| line.contains("IPAddress")).expect("a line with IPAddress");
        let pattern = format!(r#"^ +"IPAddress": "{subnet}[0-9]+",$"#);
        assert!(Regex::new(&pattern).unwrap().is_match(last), "{last}");
        let settings =
            daemon.inspect(&name, "{{.NetworkSettings.IPAddress}} {{.NetworkSettings.Networks.bridge.IPAddress}}");
        let (old, new) = settings.split_once(' ').unwrap();
        assert_eq!(old, new);
    }
}

#[test]
fn ctr_22_prefix_and_name() {
    let daemon = Daemon::start(Options::default());
    let mut api = daemon.api();
    let body = serde_json::json!({"Image": "busybox", "Cmd": ["true"]});
    // Seventeen ids over sixteen first digits: two share one.
    let ids: Vec<String> = (0..17)
        .map(|_| api.call("POST", "/containers/create", Some(&body))["Id"].as_str().unwrap().to_owned())
        .collect();
    let shared = ids.iter().find_map(|id| {
        let digit = &id[..1];
        (ids.iter().filter(|other| other.starts_with(digit)).count() > 1).then_some(digit)
    });
    let shared = shared.expect("two ids with the same first digit");
    let unique = &ids[0][..12];
    for client in daemon.clients() {
        assert_eq!(client.run(&["inspect", "-f", "{{.Id}}", unique]).ok(), ids[0]);
        let name = daemon.inspect(&ids[0], "{{.Name}}");
        assert_eq!(client.run(&["inspect", "-f", "{{.Id}}", name.trim_start_matches('/')]).ok(), ids[0]);
        let run = client.run(&["logs", shared]);
        run.exits(1);
        // 20.10 begins the sentence with a capital.
        assert!(run.stderr.to_lowercase().contains("multiple ids found with provided prefix"), "{run}");
        if !daemon.is_reference() {
            run.says("multiple IDs found with provided prefix");
        }
    }
}

#[test]
fn ctr_23_start_again_keeps_the_files() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon.name("c1");
        let script = "if [ -e /seen ]; then echo again; else echo first > /seen; echo first; fi; exec sleep 300";
        client.run(&["run", "-d", "--init", "--name", &name, "busybox", "sh", "-c", script]).exits(0);
        until("the first line", 10, || (daemon.docker(&["logs", &name]).ok() == "first").then_some(()));
        client.run(&["stop", &name]).exits(0);
        let run = client.run(&["start", &name]);
        assert_eq!(run.stdout, format!("{name}\n"), "{run}");
        assert_eq!(daemon.inspect(&name, "{{.State.Status}}"), "running");
        until("the second line", 10, || (daemon.docker(&["logs", &name]).ok() == "first\nagain").then_some(()));
        let status = client.run(&["ps", "--filter", &format!("name={name}"), "--format", "{{.Status}}"]);
        assert!(status.ok().starts_with("Up "), "{status}");
    }
}

#[test]
fn ctr_25_stop_sends_term_then_kill() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let own = daemon.background("own", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.1; done");
        until("the trap is set", 10, || (daemon.docker(&["logs", &own]).ok() == "ready").then_some(()));
        let run = client.run(&["stop", &own]);
        assert_eq!(run.stdout, format!("{own}\n"), "{run}");
        assert_eq!(daemon.inspect(&own, "{{.State.ExitCode}} {{.State.Status}}"), "7 exited");

        let term = daemon.name("term");
        client.run(&["run", "-d", "--init", "--name", &term, "busybox", "sleep", "300"]).exits(0);
        client.run(&["stop", &term]).exits(0);
        assert_eq!(daemon.inspect(&term, "{{.State.ExitCode}}"), "143");

        let deaf = daemon.background("deaf", "trap '' TERM; echo ready; while :; do sleep 0.1; done");
        until("the trap is set", 10, || (daemon.docker(&["logs", &deaf]).ok() == "ready").then_some(()));
        let begin = Instant::now();
        client.run(&["stop", "-t", "2", &deaf]).exits(0);
        let took = begin.elapsed();
        assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(8), "{took:?}");
        assert_eq!(daemon.inspect(&deaf, "{{.State.ExitCode}}"), "137");
    }
}

#[test]
fn ctr_25_stop_waits_ten_seconds_by_default() {
    let daemon = Daemon::shared();
    let deaf = daemon.background("deaf", "trap '' TERM; echo ready; while :; do sleep 0.1; done");
    until("the trap is set", 10, || (daemon.docker(&["logs", &deaf]).ok() == "ready").then_some(()));
    let run = daemon.gantry(&["stop", &deaf]);
    run.exits(0);
    assert!(run.elapsed >= Duration::from_secs(10) && run.elapsed < Duration::from_secs(16), "{run}");
}

#[test]
fn ctr_26_kill() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon.background("killed", "trap '' TERM; exec sleep 300");
        let run = client.run(&["kill", &name]);
        assert_eq!(run.stdout, format!("{name}\n"), "{run}");
        until("it is dead", 5, || (daemon.inspect(&name, "{{.State.Status}}") == "exited").then_some(()));
        assert_eq!(daemon.inspect(&name, "{{.State.ExitCode}}"), "137");
        let run = client.run(&["ps", "-a", "--filter", &format!("name={name}"), "--format", "{{.Status}}"]);
        assert!(run.ok().starts_with("Exited (137) "), "{run}");
        client.run(&["kill", &name]).exits(1).says("is not running");

        let hup = daemon.background("hup", "trap 'echo hup' HUP; echo ready; while :; do sleep 0.1; done");
        until("the trap is set", 10, || (daemon.docker(&["logs", &hup]).ok() == "ready").then_some(()));
        client.run(&["kill", "-s", "HUP", &hup]).exits(0);
        until("the signal arrives", 10, || (daemon.docker(&["logs", &hup]).ok() == "ready\nhup").then_some(()));
        assert_eq!(daemon.inspect(&hup, "{{.State.Status}}"), "running");
        client.run(&["kill", &hup]).exits(0);
    }
}

#[test]
fn ctr_27_rm_refuses_a_running_container() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon.background("c1", "sleep 300");
        let run = client.run(&["rm", &name]);
        run.exits(1);
        if daemon.is_reference() {
            run.says("You cannot remove a running container");
        } else {
            let text = format!(
                "cannot remove container \"/?{name}\": container is running: stop the container before removing or force remove"
            );
            assert!(Regex::new(&text).unwrap().is_match(&run.stderr), "{run}");
        }
        assert_eq!(daemon.inspect(&name, "{{.State.Status}}"), "running");
        let run = client.run(&["rm", "-f", &name]);
        assert_eq!(run.stdout, format!("{name}\n"), "{run}");
        client.run(&["rm", &name]).exits(1).says(&format!("No such container: {name}"));
    }
}

#[test]
fn ctr_28_rm_with_volumes_keeps_the_named() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let (name, named) = (daemon.name("voluminous"), daemon.name("kept"));
        let bind = format!("{named}:/named");
        client
            .run(&[
                "run",
                "--name",
                &name,
                "-v",
                "/anonymous",
                "-v",
                &bind,
                "busybox",
                "touch",
                "/anonymous/a",
                "/named/n",
            ])
            .exits(0);
        let format = "{{range .Mounts}}{{.Destination}}={{.Source}} {{end}}";
        let mounts = daemon.inspect(&name, format);
        let source = |destination: &str| {
            let prefix = format!("{destination}=");
            mounts.split(' ').find_map(|mount| mount.strip_prefix(&prefix)).expect("the mount").to_owned()
        };
        let (anonymous, kept) = (source("/anonymous"), source("/named"));
        assert!(std::path::Path::new(&anonymous).join("a").exists());
        client.run(&["rm", "-v", &name]).exits(0);
        assert!(!std::path::Path::new(&anonymous).exists(), "{anonymous}");
        assert!(std::path::Path::new(&kept).join("n").exists(), "{kept}");
    }
}

#[test]
fn ctr_29_rm_flag_removes_container_and_volumes() {
    let daemon = Daemon::start(Options::default());
    for client in daemon.clients() {
        let before = daemon.listing(&daemon.data_root().join("volumes"), 1);
        client.run(&["run", "--rm", "-v", "/data", "busybox", "touch", "/data/x"]).exits(0);
        assert_eq!(client.run(&["ps", "-aq"]).ok(), "");
        assert_eq!(daemon.listing(&daemon.data_root().join("volumes"), 1), before);
        // The promise survives the daemon that gave it.
        let id = client.run(&["run", "-d", "--rm", "-v", "/data", "busybox", "sleep", "6"]).ok().to_owned();
        daemon.restart();
        if !daemon.is_reference() {
            // 20.10 takes such a container down when it comes back.
            assert_eq!(daemon.inspect(&id, "{{.State.Status}}"), "running");
        }
        until("the container removes itself", 20, || client.run(&["ps", "-aq"]).ok().is_empty().then_some(()));
        if daemon.is_reference() {
            // And it forgets the volume in doing so.
            continue;
        }
        until("its volume goes too", 5, || {
            (daemon.listing(&daemon.data_root().join("volumes"), 1) == before).then_some(())
        });
    }
}

#[test]
fn ctr_38_top() {
    let daemon = Daemon::shared();
    let name = daemon.background("topped", "sleep 301");
    let pid = daemon.container_pid(&name).to_string();
    for client in daemon.clients() {
        let run = client.run(&["top", &name]);
        let lines = run.lines();
        let columns: Vec<&str> = lines[0].split_whitespace().collect();
        assert_eq!(columns, ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"], "{run}");
        let row = lines[1..].iter().find(|line| line.split_whitespace().nth(1) == Some(&pid)).expect("the host pid");
        assert!(row.contains("sh -c sleep 301") || row.contains("sleep 301"), "{run}");
        let run = client.run(&["top", &name, "-o", "pid,comm"]);
        let columns: Vec<&str> = run.lines()[0].split_whitespace().collect();
        assert_eq!(columns, ["PID", "COMMAND"], "{run}");
    }
}

#[test]
fn ctr_43_port() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let (name, port) = (daemon.name("ported"), free_port());
        let publish = format!("{port}:80");
        client.run(&["run", "-d", "--name", &name, "-p", &publish, "busybox", "sleep", "300"]).exits(0);
        let run = client.run(&["port", &name]);
        assert_eq!(run.lines()[0], format!("80/tcp -> 0.0.0.0:{port}"), "{run}");
        assert!(run.lines()[1..].iter().all(|line| *line == format!("80/tcp -> [::]:{port}")), "{run}");
        let run = client.run(&["port", &name, "80"]);
        assert_eq!(run.lines()[0], format!("0.0.0.0:{port}"), "{run}");
        client.run(&["port", &name, "81"]).exits(1);
        client.run(&["rm", "-f", &name]).exits(0);
    }
}

#[test]
fn ctr_46_restart_always_after_a_kill_from_outside() {
    let daemon = Daemon::start(Options::default());
    for client in daemon.clients() {
        let name = daemon.name("always");
        client.run(&["run", "-d", "--restart=always", "--name", &name, "busybox", "sleep", "300"]).exits(0);
        let first = daemon.container_pid(&name);
        assert!(std::process::Command::new("kill").args(["-9", &first.to_string()]).status().unwrap().success());
        let second = until("it is restarted", 10, || {
            let pid = daemon.container_pid(&name);
            (pid != 0 && pid != first).then_some(pid)
        });
        assert!(host::alive(second));
        assert_eq!(daemon.inspect(&name, "{{.RestartCount}} {{.State.Status}}"), "1 running");
        daemon.restart();
        assert_eq!(daemon.inspect(&name, "{{.State.Status}}"), "running");
        client.run(&["stop", "-t", "0", &name]).exits(0);
        std::thread::sleep(Duration::from_millis(700));
        assert_eq!(daemon.inspect(&name, "{{.State.Status}}"), "exited");
        daemon.restart();
        until("it is up again", 10, || (daemon.inspect(&name, "{{.State.Status}}") == "running").then_some(()));
        client.run(&["rm", "-f", &name]).exits(0);
    }
}

#[test]
fn ctr_46_back_off_doubles() {
    let daemon = Daemon::shared();
    let name = daemon.name("flapping");
    let script = "cut -d' ' -f1 /proc/uptime; exit 1";
    daemon.docker(&["run", "-d", "--restart=always", "--name", &name, "busybox", "sh", "-c", script]).exits(0);
    let times = until("six starts", 30, || {
        let run = daemon.docker(&["logs", &name]);
        let times: Vec<f64> = run.stdout.lines().filter_map(|line| line.parse().ok()).collect();
        (times.len() >= 6).then_some(times)
    });
    daemon.docker(&["rm", "-f", &name]).exits(0);
    let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // 0.1, 0.2, 0.4, 0.8, 1.6 s plus the time that a start takes; /proc/uptime counts hundredths.
    for (number, gap) in gaps.iter().take(5).enumerate() {
        let wanted = 0.1 * f64::from(1 << number);
        assert!(*gap >= wanted - 0.02 && *gap < wanted + 1.5, "gap {number} is {gap} s: {gaps:?}");
    }
}

#[test]
fn ctr_46_on_failure_counts_and_unless_stopped_stays_stopped() {
    let daemon = Daemon::start(Options::default());
    daemon
        .docker(&["run", "-d", "--restart=on-failure:2", "--name", "tries", "busybox", "sh", "-c", "echo try; exit 9"])
        .exits(0);
    until("it gives up", 15, || {
        (daemon.inspect("tries", "{{.State.Status}} {{.RestartCount}}") == "exited 2").then_some(())
    });
    assert_eq!(daemon.inspect("tries", "{{.State.ExitCode}}"), "9");
    assert_eq!(daemon.docker(&["logs", "tries"]).ok(), "try\ntry\ntry");
    daemon.docker(&["run", "-d", "--restart=unless-stopped", "--name", "unless", "busybox", "sleep", "300"]).exits(0);
    daemon.docker(&["stop", "-t", "0", "unless"]).exits(0);
    daemon.restart();
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(daemon.inspect("unless", "{{.State.Status}}"), "exited");
}
