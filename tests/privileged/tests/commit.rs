//! Rows X-02 (diff, export, import), CTR-49, CTR-56: what a container has changed, and images made of it.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;

use privileged_tests::{Daemon, Options, until};

/// What a commit tells, in its order. `--until` counts whole seconds, so the latest events come a moment later.
fn events_of_commit(daemon: &Daemon, name: &str) -> Vec<String> {
    let filter = format!("container={name}");
    until("the event of the commit", 30, || {
        let arguments = ["events", "--since", "1h", "--until", "0s", "--filter", &filter, "--format", "{{.Action}}"];
        let events = daemon.docker(&arguments);
        let told = events.lines().into_iter().filter(|line| ["pause", "commit", "unpause"].contains(line));
        let told: Vec<String> = told.map(str::to_owned).collect();
        told.iter().any(|line| line == "unpause").then_some(told)
    })
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn ctr_49_diff_shows_the_writable_layer() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon
            .background("diff", "mkdir -p /root; touch /root/daniel; rm /bin/arp; echo x >>/etc/passwd; sleep 600");
        let expected = ["C /bin", "D /bin/arp", "C /etc", "C /etc/passwd", "A /root/daniel"];
        until("all changes are there", 30, || {
            let run = client.run(&["diff", &name]);
            expected.iter().all(|line| run.lines().contains(line)).then_some(())
        });
        client.run(&["diff", "nosuch"]).exits(1).says("No such container: nosuch");
        let fresh = daemon.name("fresh");
        daemon.docker(&["create", "--name", &fresh, "busybox", "true"]).exits(0);
        assert_eq!(client.run(&["diff", &fresh]).ok(), "");
        daemon.docker(&["rm", "-f", &name, &fresh]).exits(0);
    }
}

#[test]
fn ctr_56_a_time_zone_is_kept_as_an_image() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let (name, image) = (daemon.name("zone"), daemon.name("zone-image"));
        daemon
            .docker(&["run", "--name", &name, "busybox", "sh", "-c", "echo zone >/etc/localtime; rm -r /bin/arp"])
            .exits(0);
        let id = client.run(&["commit", "-a", "me", "-m", "the zone", &name, &image]);
        assert!(id.ok().starts_with("sha256:"), "{id}");
        assert_eq!(daemon.inspect(&image, "{{.Id}}"), id.ok());
        let run = client.run(&["run", "--rm", &image, "sh", "-c", "cat /etc/localtime; ls /bin/arp"]);
        assert_eq!(run.stdout, "zone\n", "{run}");
        assert!(run.code != 0, "what was removed is not there: {run}");
        daemon.docker(&["rm", &name]).exits(0);
        daemon.docker(&["rmi", &image]).exits(0);
    }
}

#[test]
fn ctr_56_commit_makes_dockers_image() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let (name, image) = (daemon.name("commit"), format!("{}:t1", daemon.name("committed")));
        let volume = format!("{}:/data", daemon.name("vol"));
        let script = "mkdir -p /etc/new; touch /etc/new/f; touch /data/not-in-it; sleep 600";
        daemon
            .docker(&[
                "run", "-d", "--name", &name, "-e", "A=1", "-l", "x=y", "-v", &volume, "busybox", "sh", "-c", script,
            ])
            .exits(0);
        until("the file is there", 30, || {
            (daemon.docker(&["exec", &name, "test", "-e", "/data/not-in-it"]).code == 0).then_some(())
        });
        let changes = ["ENV B=2", "CMD [\"echo\", \"changed\"]", "EXPOSE 80", "WORKDIR /etc/new", "LABEL q=r"];
        let mut arguments = vec!["commit", "-a", "me", "-m", "a message"];
        changes.iter().for_each(|change| arguments.extend(["-c", change]));
        arguments.extend([name.as_str(), image.as_str()]);
        client.run(&arguments).exits(0);
        let value = |format: &str| daemon.inspect(&image, format);
        assert_eq!(value("{{json .Config.Cmd}}"), r#"["echo","changed"]"#);
        assert!(
            value("{{json .Config.Env}}").contains(r#""A=1","B=2""#)
                || value("{{json .Config.Env}}").contains(r#""B=2""#)
        );
        assert_eq!(value("{{json .Config.Labels}}"), r#"{"q":"r","x":"y"}"#);
        assert_eq!(value("{{.Config.WorkingDir}} {{.Author}} {{.Comment}}"), "/etc/new me a message");
        assert_eq!(value("{{json .Config.ExposedPorts}}"), r#"{"80/tcp":{}}"#);
        assert_eq!(value("{{len .RootFS.Layers}}"), "2");
        assert_eq!(value("{{.Parent}}"), daemon.inspect("busybox", "{{.Id}}"));
        let old = daemon.api().call("GET", &format!("/images/{image}/json"), None);
        assert_eq!(old["Container"], daemon.inspect(&name, "{{.Id}}"));
        assert_eq!(
            (&old["ContainerConfig"]["Image"], &old["ContainerConfig"]["Cmd"][2]),
            (&"busybox".into(), &script.into())
        );
        let history =
            daemon.docker(&["history", "--no-trunc", "--format", "{{.CreatedBy}}|{{.Comment}}|{{.ID}}", &image]);
        let base = daemon.inspect("busybox", "{{.Id}}");
        assert!(history.lines()[0].starts_with(&format!("sh -c {script}|a message|")), "{history}");
        assert!(history.lines()[1].ends_with(&base), "{history}");
        let run = daemon.docker(&["run", "--rm", &image]);
        assert_eq!(run.ok(), "changed");
        let run = daemon.docker(&["run", "--rm", &image, "sh", "-c", "ls; ls /data"]);
        assert_eq!(run.ok(), "f", "volumes are left out");
        // The container was frozen for it and is not any more.
        assert_eq!(daemon.inspect(&name, "{{.State.Status}}"), "running");
        assert_eq!(events_of_commit(daemon, &name), ["pause", "commit", "unpause"]);
        daemon.docker(&["rm", "-f", &name]).exits(0);
        daemon.docker(&["rmi", &image]).exits(0);
    }
}

#[test]
fn ctr_56_commit_of_nothing_makes_no_layer() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let (fresh, empty) = (daemon.name("fresh"), daemon.name("empty"));
        daemon.docker(&["create", "--name", &fresh, "busybox", "true"]).exits(0);
        client.run(&["commit", "-p=false", &fresh, &empty]).exits(0);
        assert_eq!(daemon.inspect(&empty, "{{len .RootFS.Layers}}"), "1");
        daemon.docker(&["rm", "-f", &fresh]).exits(0);
        daemon.docker(&["rmi", &empty]).exits(0);
    }
}

/// Changes are read as a Dockerfile's lines are: variables, flags, both forms, an own command beside an entrypoint.
#[test]
fn ctr_56_changes_speak_the_dockerfile_language() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let (name, image) = (daemon.name("changes"), daemon.name("changed"));
        daemon.docker(&["create", "--name", &name, "-e", "A=one", "busybox", "true"]).exits(0);
        let changes = [
            "ENV B=$A-${NONE:-two} C='$A'",
            "CMD run $A",
            "ENTRYPOINT [\"/bin/echo\"]",
            "HEALTHCHECK --interval=2s --retries=4 CMD probe",
            "WORKDIR /srv",
            "WORKDIR ../opt",
            "EXPOSE 9000-9001/udp",
        ];
        let mut arguments = vec!["commit"];
        changes.iter().for_each(|change| arguments.extend(["-c", change]));
        arguments.extend([name.as_str(), image.as_str()]);
        client.run(&arguments).exits(0);
        let value = |format: &str| daemon.inspect(&image, format);
        let env = value("{{json .Config.Env}}");
        assert!(env.contains("\"B=one-two\"") && env.contains("\"C=$A\""), "{env}");
        assert_eq!(
            value("{{json .Config.Entrypoint}}{{json .Config.Cmd}}"),
            r#"["/bin/echo"]["/bin/sh","-c","run $A"]"#
        );
        let check =
            value("{{json .Config.Healthcheck.Test}} {{.Config.Healthcheck.Interval}} {{.Config.Healthcheck.Retries}}");
        assert_eq!(check, r#"["CMD-SHELL","probe"] 2s 4"#);
        assert_eq!(
            value("{{.Config.WorkingDir}} {{json .Config.ExposedPorts}}"),
            r#"/opt {"9000/udp":{},"9001/udp":{}}"#
        );
        for (change, message) in [
            ("ENV A", "ENV must have two arguments"),
            ("LABEL a=${b:?no}", "failed to process \"${b:?no}\": b: no"),
            ("HEALTHCHECK FOO", "Unknown type \"FOO\" in HEALTHCHECK (try CMD)"),
            ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
        ] {
            client.run(&["commit", "-c", change, &name]).exits(1).says(message);
        }
        daemon.docker(&["rm", &name]).exits(0);
        daemon.docker(&["rmi", &image]).exits(0);
    }
}

#[test]
fn ctr_56_bad_commits_are_refused_and_leave_nothing() {
    let daemon = Daemon::start(Options::default());
    let name = daemon.background("bad", "sleep 600");
    let before = daemon.traces();
    for client in daemon.clients() {
        client.run(&["commit", "nosuch"]).exits(1).says("No such container: nosuch");
        client.run(&["commit", &name, "UPPER"]).exits(1).says("must be lowercase");
        client.run(&["commit", "-c", "NOPE x", &name]).exits(1).says("nope is not a valid change command");
        client.run(&["commit", "-c", "RUN x", &name]).exits(1).says("run is not a valid change command");
        let digest = format!("a@sha256:{}", "0".repeat(64));
        client.run(&["commit", &name, &digest]).exits(1).says("refusing to create a tag with a digest reference");
    }
    let answer = daemon.api().request("POST", "/commit", None).unwrap();
    assert_eq!(answer.status, 400);
    assert_eq!(daemon.traces(), before);
    assert_eq!(daemon.inspect(&name, "{{.State.Status}}"), "running");
}

#[test]
fn x_02_export_and_import_carry_a_whole_container() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon.name("export");
        daemon
            .docker(&[
                "run",
                "--name",
                &name,
                "busybox",
                "sh",
                "-c",
                "echo kept >/kept; chmod 600 /kept; ln -s kept /link",
            ])
            .exits(0);
        let scratch = daemon.scratch(&daemon.name("export"));
        let archive = text(&scratch.join("root.tar"));
        client.run(&["export", "-o", &archive, &name]).exits(0);
        let streamed = scratch.join("streamed.tar");
        let status = client.command(&["export", &name]).stdout(fs::File::create(&streamed).unwrap()).status().unwrap();
        assert!(status.success());
        assert_eq!(fs::read(&archive).unwrap(), fs::read(&streamed).unwrap());
        let check = |image: &str| {
            let run = client.run(&["run", "--rm", image, "sh", "-c", "cat /link; stat -c %a /kept"]);
            assert_eq!(run.lines(), ["kept", "600"], "{run}");
        };
        let image = daemon.name("imported");
        client.run(&["import", "-c", "ENV A=b", "-m", "why", &archive, &image]).exits(0);
        check(&image);
        assert_eq!(daemon.inspect(&image, "{{json .Config.Env}} {{.Comment}}"), r#"["A=b"] why"#);
        let history = daemon.docker(&["history", "--format", "{{.Comment}}", &image]);
        assert_eq!(history.lines(), ["why"]);
        let second = daemon.name("imported");
        client.run_with_file(&["import", "-", &second], fs::File::open(&streamed).unwrap()).exits(0);
        check(&second);
        // From a web server, which the engine asks itself.
        let third = daemon.name("imported");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/root.tar", listener.local_addr().unwrap());
        let body = fs::read(&archive).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            assert!(stream.read(&mut request).unwrap() > 0);
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len()).unwrap();
            stream.write_all(&body).unwrap();
        });
        client.run(&["import", &url, &third]).exits(0);
        server.join().unwrap();
        check(&third);
        daemon.docker(&["rm", &name]).exits(0);
        daemon.docker(&["rmi", &image, &second, &third]).exits(0);
        client.run(&["export", "nosuch"]).exits(1).says("No such container: nosuch");
        let mut terminal = daemon.terminal(&client, &["export", "nosuch"]);
        terminal.expect("cowardly refusing to save to a terminal. Use the -o flag or redirect");
        assert_eq!(terminal.wait(), 1);
    }
}
