//! Rows BLD-01 … BLD-06, 10, 30, 32, 34 … 36: a build as a whole, by the classic builder, with the stock client
//! (`DOCKER_BUILDKIT=0`) and with Gantry's own.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use privileged_tests::building::{build, classic, context, daemon, gone, image, output, words};
use privileged_tests::fixtures::Fixture;
use privileged_tests::{Daemon, Options, skip, until};

#[test]
fn bld_01_a_build_tells_its_steps_and_leaves_an_image() {
    let daemon = daemon();
    for client in daemon.clients() {
        let directory =
            context(daemon, &[("sub/File", "FROM busybox\nENV A=1\nRUN echo from-run\nCMD [\"echo\",\"x\"]\n")]);
        let name = format!("{}:v1", daemon.name("told"));
        let file = format!("{directory}/sub/File");
        let run = build(&client, &["-f", &file, "-t", &name, &directory]);
        run.exits(0);
        for text in [
            "Sending build context to Docker daemon",
            "Step 1/4 : FROM busybox",
            "Step 2/4 : ENV A=1",
            " ---> Running in ",
            "from-run",
            "Successfully built ",
            &format!("Successfully tagged {name}"),
        ] {
            assert!(run.stdout.contains(text), "{text}: {run}");
        }
        let listed = daemon.docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
        assert!(listed.lines().contains(&name.as_str()), "{listed}");
        gone(daemon, &[&name]);
    }
}

#[test]
fn bld_02_the_dockerfile_has_a_default_name() {
    let daemon = daemon();
    for client in daemon.clients() {
        let name = image(daemon, &client, "FROM busybox\nLABEL a=b\n", &[]);
        assert_eq!(daemon.inspect(&name, "{{.Config.Labels.a}}"), "b");
        let run = build(&client, &[&context(daemon, &[("other", "x")])]);
        assert!(run.code != 0 && run.stderr.contains("Dockerfile: no such file or directory"), "{run}");
        gone(daemon, &[&name]);
    }
}

#[test]
fn bld_03_contexts_come_from_a_path_a_url_or_stdin() {
    let daemon = daemon();
    let directory = context(daemon, &[("Dockerfile", "FROM busybox\nCOPY f /f\n"), ("f", "in-the-tar")]);
    let tar = std::process::Command::new("tar").args(["-czf", "-", "-C", &directory, "."]).output().unwrap().stdout;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/ctx.tar.gz", listener.local_addr().unwrap());
    let served = tar.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 2048];
            let _ = std::io::Read::read(&mut stream, &mut request);
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/gzip\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                served.len()
            );
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&served));
        }
    });
    for client in daemon.clients() {
        let name = daemon.name("stdin");
        let run = classic(&client)
            .run_with_input(&words(&client, &["build", "-t", &name, "-"]), b"FROM busybox\nLABEL from=stdin\n");
        run.exits(0);
        assert_eq!(daemon.inspect(&name, "{{.Config.Labels.from}}"), "stdin");
        classic(&client).run_with_input(&words(&client, &["build", "-t", &name, "-"]), &tar).exits(0);
        assert_eq!(output(daemon, &name, &["cat", "/f"]), "in-the-tar");
        build(&client, &["-t", &name, &address]).exits(0);
        assert_eq!(output(daemon, &name, &["cat", "/f"]), "in-the-tar");
        // A Dockerfile on stdin beside a directory.
        let run = classic(&client).run_with_input(
            &words(&client, &["build", "-t", &name, "-f", "-", &directory]),
            b"FROM busybox\nCOPY f /g\nCOPY . /all\n",
        );
        run.exits(0);
        assert_eq!(output(daemon, &name, &["sh", "-c", "cat /g; ls -A /all"]), "in-the-tarDockerfile\nf");
        gone(daemon, &[&name]);
    }
}

#[test]
fn bld_04_flags_of_a_build() {
    let daemon = daemon();
    for client in daemon.clients() {
        let label = daemon.name("flags");
        let dockerfile = format!("FROM busybox\nLABEL which={label}\nRUN cat /proc/sys/kernel/random/uuid >/id\n");
        let directory = context(daemon, &[("Dockerfile", &dockerfile)]);
        let (one, two) = (daemon.name("one"), daemon.name("two"));
        let run = build(&client, &["-q", "--rm", "-t", &one, "-t", &two, &directory]);
        assert!(run.ok().starts_with("sha256:") && run.stdout.trim().len() == 71, "{run}");
        assert_eq!(daemon.inspect(&one, "{{.Id}}"), daemon.inspect(&two, "{{.Id}}"));
        assert_eq!(daemon.inspect(&one, "{{.Id}}"), run.ok());
        let first = output(daemon, &one, &["cat", "/id"]);
        build(&client, &["-t", &one, &directory]).exits(0);
        assert_eq!(output(daemon, &one, &["cat", "/id"]), first);
        build(&client, &["--no-cache", "-t", &one, &directory]).exits(0);
        assert!(output(daemon, &one, &["cat", "/id"]) != first);
        // Containers of steps: none is left, unless that is wanted.
        let left = || {
            let filter = format!("label=which={label}");
            daemon.docker(&["ps", "-aq", "--filter", &filter]).lines().len()
        };
        assert_eq!(left(), 0);
        build(&client, &["--no-cache", "--rm=false", &directory]).exits(0);
        assert_eq!(left(), 2);
        let ids = daemon.docker(&["ps", "-aq", "--filter", &format!("label=which={label}")]);
        for id in ids.lines() {
            daemon.docker(&["rm", id]).exits(0);
        }
        let failing = context(daemon, &[("Dockerfile", &format!("FROM busybox\nLABEL which={label}\nRUN exit 3\n"))]);
        build(&client, &["--force-rm", &failing]).exits(3).says("returned a non-zero code: 3");
        assert_eq!(left(), 0);
        build(&client, &[&failing]).exits(3);
        assert_eq!(left(), 1);
        let ids = daemon.docker(&["ps", "-aq", "--filter", &format!("label=which={label}")]);
        daemon.docker(&["rm", ids.ok()]).exits(0);
        gone(daemon, &[&one, &two]);
    }
}

#[test]
fn bld_05_from_comes_first() {
    let daemon = daemon();
    for client in daemon.clients() {
        for (dockerfile, text) in [
            ("RUN x\nFROM busybox\n", "no build stage in current context"),
            ("FROM busybox\nNOSUCH x\n", "unknown instruction: NOSUCH"),
            ("FROM busybox x\n", "FROM requires either one or three arguments"),
        ] {
            let run = build(&client, &[&context(daemon, &[("Dockerfile", dockerfile)])]);
            assert!(run.code != 0 && run.stderr.contains(text), "{text}: {run}");
        }
        let name = image(daemon, &client, "# comment\nARG TAG=latest\nFROM busybox:${TAG}\nLABEL a=b\n", &[]);
        assert_eq!(daemon.inspect(&name, "{{.Parent}}"), daemon.inspect("busybox", "{{.Id}}"));
        gone(daemon, &[&name]);
    }
}

#[test]
fn bld_06_a_local_base_needs_no_registry() {
    let daemon = daemon();
    let (base, name) = ("127.0.0.1:1/never/there:1", daemon.name("local"));
    daemon.docker(&["tag", "busybox", base]).exits(0);
    let directory = context(daemon, &[("Dockerfile", &format!("FROM {base}\nLABEL a=b\n"))]);
    for client in daemon.clients() {
        build(&client, &["-t", &name, &directory]).exits(0);
        let run = build(&client, &["--pull", &directory]);
        assert!(run.code != 0 && run.stderr.contains("127.0.0.1:1"), "{run}");
    }
    gone(daemon, &[&name, base]);
}

#[test]
fn bld_10_each_instruction_is_a_row_of_the_history() {
    let daemon = daemon();
    for client in daemon.clients() {
        let dockerfile = "FROM busybox\nMAINTAINER me <me@here>\nRUN echo shell >/shell-$$ && \\\n    ls / | grep shell- >/a\nRUN [\"sh\",\"-c\",\"echo $HOME >/b\"]\nRUN [\"touch\",\"/$HOME\"]\n";
        let name = image(daemon, &client, dockerfile, &[]);
        assert_eq!(daemon.inspect(&name, "{{.Author}}"), "me <me@here>");
        assert!(output(daemon, &name, &["cat", "/a"]).starts_with("shell-"));
        assert_eq!(output(daemon, &name, &["cat", "/b"]), "/root");
        assert_eq!(output(daemon, &name, &["sh", "-c", "ls -d '/$HOME'"]), "/$HOME");
        let history = daemon.docker(&["history", "--no-trunc", "--format", "{{.CreatedBy}}", &name]);
        let lines = history.lines();
        assert_eq!(lines.len(), 5, "one row an instruction, and the base: {history}");
        assert_eq!(lines[0], "touch /$HOME");
        assert_eq!(lines[2], "/bin/sh -c echo shell >/shell-$$ &&     ls / | grep shell- >/a");
        assert_eq!(lines[3], "/bin/sh -c #(nop)  MAINTAINER me <me@here>");
        gone(daemon, &[&name]);
    }
}

#[test]
fn bld_30_triggers_and_what_the_base_is() {
    let daemon = daemon();
    for client in daemon.clients() {
        let dockerfile = "FROM busybox\nRUN mkdir /v && echo kept >/v/kept\nVOLUME [\"/v\"]\nRUN echo lost >/v/lost\nWORKDIR /w\nWORKDIR deep\nRUN cd / && pwd >/dev/null\nRUN pwd >here\nUSER 12:13\nRUN id -u >/tmp/id\nCMD id -u; id -g; pwd\nONBUILD RUN echo triggered >/tmp/triggered\nONBUILD ENV T=1\n";
        let base = image(daemon, &client, dockerfile, &[]);
        assert_eq!(
            daemon.inspect(&base, "{{json .Config.Volumes}} {{.Config.User}} {{.Config.WorkingDir}}"),
            r#"{"/v":{}} 12:13 /w/deep"#
        );
        assert_eq!(output(daemon, &base, &[]), "12\n13\n/w/deep");
        assert_eq!(
            daemon
                .docker(&[
                    "run",
                    "--rm",
                    "-u",
                    "0",
                    &base,
                    "sh",
                    "-c",
                    "id -u; ls /v; cat /w/deep/here /tmp/id; ls /tmp/triggered"
                ])
                .stdout,
            "0\nkept\n/w/deep\n12\n"
        );
        let child = daemon.name("child");
        let run =
            build(&client, &["-t", &child, &context(daemon, &[("Dockerfile", &format!("FROM {base}\nLABEL a=b\n"))])]);
        run.exits(0);
        assert!(run.stdout.contains("# Executing 2 build triggers"), "{run}");
        assert_eq!(output(daemon, &child, &["sh", "-c", "cat /tmp/triggered; echo $T"]), "triggered\n1");
        assert_eq!(daemon.inspect(&child, "{{json .Config.OnBuild}}"), "null");
        gone(daemon, &[&child, &base]);
    }
}

#[test]
fn bld_32_what_was_done_is_not_done_again() {
    let daemon = daemon();
    for client in daemon.clients() {
        let key = daemon.name("key");
        let dockerfile = format!("FROM busybox\nLABEL k={key}\nCOPY dir /d\nARG V\nRUN echo $V >/v\n");
        let directory = context(daemon, &[("Dockerfile", &dockerfile), ("dir/f", "one")]);
        let cached = |arguments: &[&str]| {
            let run = build(&client, &[arguments, &[&directory]].concat());
            run.exits(0);
            run.stdout.matches(" ---> Using cache").count()
        };
        assert_eq!(cached(&[]), 0);
        assert_eq!(cached(&[]), 4);
        // Times do not count, content does.
        let file = fs::File::open(Path::new(&directory).join("dir/f")).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(cached(&[]), 4);
        assert_eq!(cached(&["--build-arg", "V=1"]), 3);
        assert_eq!(cached(&["--build-arg", "V=1"]), 4);
        fs::write(Path::new(&directory).join("dir/f"), "two").unwrap();
        assert_eq!(cached(&[]), 1);
        // The history of an image stands for the images it was made of.
        let (name, saved) = (daemon.name("from"), daemon.scratch("saved").join(&key).display().to_string());
        build(&client, &["-t", &name, &directory]).exits(0);
        daemon.docker(&["save", "-o", &saved, &name]).exits(0);
        daemon.docker(&["rmi", "-f", &name]).exits(0);
        daemon.docker(&["image", "prune", "-f", "--filter", &format!("label=k={key}")]).exits(0);
        daemon.docker(&["load", "-i", &saved]).exits(0);
        assert_eq!(cached(&["--cache-from", &name, "-t", "again"]), 4);
        assert_eq!(daemon.inspect("again", "{{.RootFS.Layers}}"), daemon.inspect(&name, "{{.RootFS.Layers}}"));
        // Sources that are not here are none, and then nothing counts as done.
        assert_eq!(cached(&["--cache-from", "no/such:source"]), 0);
        gone(daemon, &["again", &name]);
    }
}

#[test]
fn bld_34_what_runs_in_the_background_ends_with_its_step() {
    let daemon = daemon();
    for client in daemon.clients() {
        let marker = format!("{}", 100_000 + std::process::id() + u32::from(client.name == "gantry"));
        let dockerfile = format!("FROM busybox\nRUN sleep {marker} & echo started >/log\n");
        let name = image(daemon, &client, &dockerfile, &[]);
        assert_eq!(output(daemon, &name, &["cat", "/log"]), "started");
        let pattern = format!("sleep\0{marker}\0");
        let running = fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .any(|entry| fs::read(entry.path().join("cmdline")).is_ok_and(|line| line == pattern.as_bytes()));
        assert!(!running, "the step's process is still there");
        gone(daemon, &[&name]);
    }
}

#[test]
fn bld_35_steps_have_the_network() {
    let daemon = daemon();
    let listener = TcpListener::bind((daemon.gateway(), 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 2048];
            let _ = std::io::Read::read(&mut stream, &mut request);
            let _ = stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nserved");
        }
    });
    for client in daemon.clients() {
        let dockerfile = format!(
            "FROM busybox\nRUN wget -q -O /got http://{address}/ && ip -o link | wc -l >/links && grep -c extra.host /etc/hosts >/hosts\n"
        );
        let directory = context(daemon, &[("Dockerfile", &dockerfile)]);
        let name = daemon.name("network");
        build(&client, &["--add-host", "extra.host:1.2.3.4", "-t", &name, &directory]).exits(0);
        assert_eq!(output(daemon, &name, &["cat", "/got", "/hosts"]), "served1");
        let alone = context(
            daemon,
            &[(
                "Dockerfile",
                "FROM busybox\nRUN ip -o link | wc -l >/links; df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2 >>/links\n",
            )],
        );
        build(&client, &["--network", "none", "--shm-size", "1m", "--no-cache", "-t", &name, &alone]).exits(0);
        assert_eq!(output(daemon, &name, &["cat", "/links"]), "1\n1024");
        gone(daemon, &[&name]);
    }
}

#[test]
fn bld_36_the_image_is_listed_once() {
    let daemon = daemon();
    let client = daemon.stock();
    let name = image(daemon, &client, "FROM busybox\nRUN echo x >/x\nLABEL a=b\n", &[]);
    let listed = daemon.docker(&["images"]);
    assert_eq!(listed.stdout.matches(&name).count(), 1, "{listed}");
    gone(daemon, &[&name]);
}

#[test]
fn bld_04_a_client_that_leaves_takes_its_build_along() {
    let daemon = daemon();
    for client in daemon.clients() {
        let label = daemon.name("leave");
        let dockerfile = format!("FROM busybox\nLABEL which={label}\nRUN echo begun; sleep 600\n");
        let directory = context(daemon, &[("Dockerfile", &dockerfile)]);
        let mut command = classic(&client).command(&words(&client, &["build", &directory]));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let filter = format!("label=which={label}");
        let running = || daemon.docker(&["ps", "-q", "--filter", &filter]).lines().len();
        until("the step runs", 60, || (running() == 1).then_some(()));
        let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        child.wait().unwrap();
        until("the step's container is gone", 60, || {
            let left = daemon.docker(&["ps", "-aq", "--filter", &filter]).lines().len();
            // Docker 20.10 kills it and leaves it there.
            (running() == 0 && (left == 0 || daemon.is_reference())).then_some(())
        });
        if daemon.is_reference() {
            for id in daemon.docker(&["ps", "-aq", "--filter", &filter]).lines() {
                daemon.docker(&["rm", id]).exits(0);
            }
        }
    }
}

#[test]
fn bld_04_a_killed_daemon_leaves_no_step_behind() {
    let daemon = Daemon::start(Options::default());
    if daemon.is_reference() {
        return skip("Docker 20.10 leaves the container of an interrupted step");
    }
    daemon.image(Fixture::Busybox);
    let dockerfile = "FROM busybox\nLABEL which=killed\nRUN echo begun; sleep 600\n";
    let directory = context(&daemon, &[("Dockerfile", dockerfile)]);
    let client = daemon.stock();
    let mut command = classic(&client).command(&words(&client, &["build", &directory]));
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("the step runs", 60, || {
        (daemon.docker(&["ps", "-q", "--filter", "label=which=killed"]).lines().len() == 1).then_some(())
    });
    daemon.kill();
    child.wait().unwrap();
    daemon.launch();
    until("the step's container is gone", 60, || daemon.docker(&["ps", "-aq"]).lines().is_empty().then_some(()));
    daemon.docker(&["run", "--rm", "busybox", "true"]).exits(0);
}
