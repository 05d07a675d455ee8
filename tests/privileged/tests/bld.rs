//! Rows BLD-01 … BLD-37: images built from Dockerfiles by the classic builder, with the stock client
//! (`DOCKER_BUILDKIT=0`) and with Gantry's own.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use privileged_tests::fixtures::Fixture;
use privileged_tests::{Client, Daemon, Options, Run, skip, until};

/// The engine of this file, with its base image.
fn daemon() -> &'static Daemon {
    let daemon = Daemon::shared();
    daemon.image(Fixture::Busybox);
    daemon
}

/// The same client with the classic builder chosen.
fn classic(client: &Client) -> Client {
    Client { program: PathBuf::from("env"), ..client.clone() }
}

fn words<'a>(client: &'a Client, arguments: &[&'a str]) -> Vec<&'a str> {
    let program = client.program.to_str().unwrap();
    ["DOCKER_BUILDKIT=0", program].into_iter().chain(arguments.iter().copied()).collect()
}

fn build(client: &Client, arguments: &[&str]) -> Run {
    let all: Vec<&str> = ["build"].iter().chain(arguments).copied().collect();
    classic(client).run(&words(client, &all))
}

/// A context directory with these files.
fn context(daemon: &Daemon, files: &[(&str, &str)]) -> String {
    let directory = daemon.scratch(&daemon.name("context"));
    for (name, content) in files {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    directory.display().to_string()
}

/// Builds, and gives the image's name.
fn image(daemon: &Daemon, client: &Client, dockerfile: &str, files: &[(&str, &str)]) -> String {
    let all: Vec<(&str, &str)> = [("Dockerfile", dockerfile)].iter().chain(files).copied().collect();
    let name = daemon.name("built");
    build(client, &["-t", &name, &context(daemon, &all)]).exits(0);
    name
}

/// What a command prints in a container of the image.
fn output(daemon: &Daemon, image: &str, arguments: &[&str]) -> String {
    let all: Vec<&str> = ["run", "--rm", image].iter().chain(arguments).copied().collect();
    daemon.docker(&all).ok().to_owned()
}

fn gone(daemon: &Daemon, images: &[&str]) {
    let all: Vec<&str> = ["rmi", "-f"].iter().chain(images).copied().collect();
    daemon.docker(&all).exits(0);
}

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
fn bld_07_the_author_is_kept() {
    let daemon = daemon();
    for client in daemon.clients() {
        let name = image(daemon, &client, "FROM busybox\nMAINTAINER me <me@here>\n", &[]);
        assert_eq!(daemon.inspect(&name, "{{.Author}}"), "me <me@here>");
        gone(daemon, &[&name]);
    }
}

#[test]
fn bld_08_run_uses_the_shell() {
    let daemon = daemon();
    let client = daemon.stock();
    let name = image(
        daemon,
        &client,
        "FROM busybox\nRUN echo $((1+2)) >/sum\nSHELL [\"/bin/sh\",\"-ec\"]\nRUN x=5; echo $x >>/sum\n",
        &[],
    );
    assert_eq!(output(daemon, &name, &["cat", "/sum"]), "3\n5");
    gone(daemon, &[&name]);
}

#[test]
fn bld_09_run_takes_words() {
    let daemon = daemon();
    let run =
        build(&daemon.stock(), &[&context(daemon, &[("Dockerfile", "FROM busybox\nRUN [\"nosuch-program\"]\n")])]);
    assert!(run.code != 0 && run.stderr.contains("nosuch-program"), "{run}");
}

/// Builds with every client and looks at what a container of the image prints.
fn prints(dockerfile: &str, arguments: &[&str], expected: &str) {
    let daemon = daemon();
    for client in daemon.clients() {
        let name = image(daemon, &client, dockerfile, &[]);
        assert_eq!(output(daemon, &name, arguments), expected, "{dockerfile}");
        gone(daemon, &[&name]);
    }
}

#[test]
fn bld_11_three_forms_of_a_command() {
    prints("FROM busybox\nCMD [\"echo\",\"words\"]\n", &[], "words");
    prints("FROM busybox\nCMD echo two $((1+1))\n", &[], "two 2");
    prints("FROM busybox\nENTRYPOINT [\"echo\",\"to\"]\nCMD [\"it\"]\n", &[], "to it");
}

#[test]
fn bld_12_the_last_command_counts_and_the_users_wins() {
    prints("FROM busybox\nCMD [\"echo\",\"one\"]\nCMD [\"echo\",\"two\"]\n", &[], "two");
    prints("FROM busybox\nCMD [\"echo\",\"one\"]\n", &["echo", "hi"], "hi");
}

#[test]
fn bld_13_an_entrypoint_stays() {
    prints("FROM busybox\nENTRYPOINT [\"echo\",\"in\"]\n", &["arg"], "in arg");
    let daemon = daemon();
    let name = image(daemon, &daemon.stock(), "FROM busybox\nENTRYPOINT [\"echo\",\"in\"]\n", &[]);
    assert_eq!(daemon.docker(&["run", "--rm", "--entrypoint", "printf", &name, "out"]).ok(), "out");
    gone(daemon, &[&name]);
}

#[test]
fn bld_14_the_shell_form_takes_no_arguments() {
    prints("FROM busybox\nENTRYPOINT echo shell\nCMD [\"a\"]\n", &["b"], "shell");
    prints("FROM busybox\nENTRYPOINT [\"echo\",\"exec\"]\n", &["b"], "exec b");
}

#[test]
fn bld_15_a_command_is_the_entrypoints_default() {
    prints("FROM busybox\nENTRYPOINT [\"echo\"]\nCMD [\"a\"]\n", &[], "a");
    prints("FROM busybox\nENTRYPOINT [\"echo\"]\nCMD [\"a\"]\n", &["b"], "b");
}

#[test]
fn bld_16_words_have_no_shell() {
    prints("FROM busybox\nCMD [\"echo\",\"$HOME\",\"~\"]\n", &[], "$HOME ~");
}

#[test]
fn bld_17_the_shell_form_runs_below_a_shell() {
    let daemon = daemon();
    let name = image(daemon, &daemon.stock(), "FROM busybox\nCMD sleep 600; true\n", &[]);
    let container = daemon.name("shell");
    daemon.docker(&["run", "-d", "--name", &container, &name]).exits(0);
    assert_eq!(daemon.inspect(&container, "{{.Path}} {{json .Args}}"), r#"/bin/sh ["-c","sleep 600; true"]"#);
    // The shell is the first process and does not pass signals on.
    daemon.docker(&["stop", "-t", "1", &container]).exits(0);
    assert_eq!(daemon.inspect(&container, "{{.State.ExitCode}}"), "137");
    daemon.docker(&["rm", &container]).exits(0);
    gone(daemon, &[&name]);
}

#[test]
fn bld_18_ports_are_declared() {
    let daemon = daemon();
    for client in daemon.clients() {
        let name = image(daemon, &client, "FROM busybox\nEXPOSE 80 3306\nEXPOSE 53/udp\n", &[]);
        let ports = daemon.inspect(&name, "{{json .Config.ExposedPorts}}");
        assert_eq!(ports, r#"{"3306/tcp":{},"53/udp":{},"80/tcp":{}}"#);
        gone(daemon, &[&name]);
    }
}

#[test]
fn bld_19_variables_in_both_forms() {
    let dockerfile = "FROM busybox\nENV A=1 B=\"two words\"\nENV C three words\nRUN echo $A-$B-$C >/seen\nCMD cat /seen; echo $A-$B-$C\n";
    prints(dockerfile, &[], "1-two words-three words\n1-two words-three words");
}

#[test]
fn bld_20_files_and_directories_are_added() {
    let daemon = daemon();
    let archive = |flag: &str| {
        let directory = context(daemon, &[("in/file", "packed")]);
        let run = std::process::Command::new("tar").args([flag, "-", "-C", &directory, "in"]).output().unwrap();
        assert!(run.status.success(), "{run:?}");
        run.stdout
    };
    for client in daemon.clients() {
        let dockerfile = "FROM busybox\nWORKDIR /usr/local\nCOPY f .\nCOPY [\"with space\",\"/dst dir/\"]\nCOPY *.txt /txt/\nADD dir /dir\nCOPY dir/sub/ /moved\nADD p.tgz p.tbz p.txz /unpacked/\nCOPY p.tgz /packed\nRUN echo bob:x:44:45::/: >>/etc/passwd && echo bob:x:77: >>/etc/group\nCOPY --chown=bob:bob f /owned/f\n";
        let directory = context(
            daemon,
            &[
                ("Dockerfile", dockerfile),
                ("f", "eff"),
                ("with space", "space"),
                ("a.txt", "a"),
                ("b.txt", "b"),
                ("dir/x", "x"),
                ("dir/sub/y", "y"),
                ("left.log", ""),
                (".dockerignore", "*.log\n"),
            ],
        );
        for (name, flag) in [("p.tgz", "-czf"), ("p.tbz", "-cjf"), ("p.txz", "-cJf")] {
            fs::write(Path::new(&directory).join(name), archive(flag)).unwrap();
        }
        fs::set_permissions(Path::new(&directory).join("f"), fs::Permissions::from_mode(0o755)).unwrap();
        let name = daemon.name("files");
        build(&client, &["-t", &name, &directory]).exits(0);
        let script = "stat -c '%n %a %u %g' /usr/local/f '/dst dir/with space' /txt/* /dir/x /dir/sub/y /moved/y /owned /owned/f; cat /unpacked/in/file; head -c 2 /packed | od -An -tx1";
        let expected = "/usr/local/f 755 0 0\n/dst dir/with space 644 0 0\n/txt/a.txt 644 0 0\n/txt/b.txt 644 0 0\n/dir/x 644 0 0\n/dir/sub/y 644 0 0\n/moved/y 644 0 0\n/owned 755 44 77\n/owned/f 755 44 77\npacked 1f 8b";
        assert_eq!(output(daemon, &name, &["sh", "-c", script]), expected);
        gone(daemon, &[&name]);
    }
}

/// Every client refuses a line, with this text.
fn refuses(line: &str, text: &str) {
    let daemon = daemon();
    let dockerfile = format!("FROM busybox\n{line}\n");
    let files = [
        ("Dockerfile", dockerfile.as_str()),
        ("f", "x"),
        ("dir/x", "x"),
        ("left.log", ""),
        (".dockerignore", "*.log\n"),
    ];
    let directory = context(daemon, &files);
    for client in daemon.clients() {
        let run = build(&client, &[&directory]);
        assert!(run.code != 0 && run.stderr.contains(text), "{line}: {run}");
    }
}

#[test]
fn bld_20_several_sources_need_a_directory() {
    refuses("ADD f dir /x", "the destination must be a directory and end with a /");
}

#[test]
fn bld_21_archives_are_unpacked_by_add_alone() {
    let daemon = daemon();
    let packed = context(daemon, &[("in/file", "packed")]);
    let directory = context(daemon, &[("Dockerfile", "FROM busybox\nADD p.tar /a/\nCOPY p.tar /b\n")]);
    let tar = std::process::Command::new("tar").args(["-cf", "-", "-C", &packed, "in"]).output().unwrap();
    fs::write(Path::new(&directory).join("p.tar"), tar.stdout).unwrap();
    for client in daemon.clients() {
        let name = daemon.name("unpacked");
        build(&client, &["-t", &name, &directory]).exits(0);
        assert_eq!(output(daemon, &name, &["sh", "-c", "cat /a/in/file; test -f /b && echo whole"]), "packedwhole");
        gone(daemon, &[&name]);
    }
}

#[test]
fn bld_23_a_directorys_content_lands_in_the_destination() {
    let daemon = daemon();
    for client in daemon.clients() {
        let dockerfile = "FROM busybox\nRUN mkdir /there && echo old >/there/old\nADD tree /there\nCOPY tree/ /new\n";
        let name = image(daemon, &client, dockerfile, &[("tree/a", "a"), ("tree/sub/b", "b")]);
        let found = output(daemon, &name, &["sh", "-c", "cd /there; find . -type f | sort; ls /new"]);
        assert_eq!(found, "./a\n./old\n./sub/b\na\nsub");
        gone(daemon, &[&name]);
    }
}

#[test]
fn bld_24_copy_takes_no_address() {
    refuses("COPY http://127.0.0.1:1/f /", "source can't be a URL for COPY");
}

#[test]
fn bld_25_a_relative_destination_is_below_the_directory() {
    let daemon = daemon();
    for client in daemon.clients() {
        let name = image(daemon, &client, "FROM busybox\nWORKDIR /usr/local/\nCOPY f .\nCOPY f sub/g\n", &[("f", "x")]);
        assert_eq!(
            output(daemon, &name, &["ls", "/usr/local/f", "/usr/local/sub/g"]),
            "/usr/local/f\n/usr/local/sub/g"
        );
        gone(daemon, &[&name]);
    }
}

#[test]
fn bld_26_sources_are_inside_the_context() {
    refuses("COPY ../f /", "forbidden path outside the build context");
    refuses("COPY nosuch /", "stat nosuch: file does not exist");
    refuses("COPY left.log /", "excluded by .dockerignore");
    refuses("COPY --from=9 /f /", "invalid from flag value 9: index out of bounds");
}

#[test]
fn bld_22_a_file_from_a_web_server() {
    let daemon = daemon();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 2048];
            let _ = std::io::Read::read(&mut stream, &mut request);
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nLast-Modified: Thu, 01 Jan 2015 00:00:00 GMT\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(b"hello"));
        }
    });
    for client in daemon.clients() {
        let dockerfile = format!("FROM busybox\nADD http://{address}/dir/name.tar.gz?x=1 /d/\n");
        let name = image(daemon, &client, &dockerfile, &[]);
        assert_eq!(output(daemon, &name, &["stat", "-c", "%a %u %Y %s", "/d/name.tar.gz"]), "600 0 1420070400 5");
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
fn bld_27_volumes_are_declared() {
    let daemon = daemon();
    for client in daemon.clients() {
        let name = image(daemon, &client, "FROM busybox\nVOLUME [\"/a\",\"/b\"]\nVOLUME /c\n", &[]);
        assert_eq!(daemon.inspect(&name, "{{json .Config.Volumes}}"), r#"{"/a":{},"/b":{},"/c":{}}"#);
        gone(daemon, &[&name]);
    }
}

#[test]
fn bld_28_a_user_runs_what_follows() {
    prints("FROM busybox\nUSER 12:13\nRUN id -u >/tmp/id\nCMD cat /tmp/id; id -u; id -g\n", &[], "12\n12\n13");
}

#[test]
fn bld_29_directories_are_made_and_kept() {
    prints(
        "FROM busybox\nWORKDIR /w\nWORKDIR deep\nRUN cd /tmp\nRUN pwd >here\nCMD pwd; cat here\n",
        &[],
        "/w/deep\n/w/deep",
    );
}

#[test]
fn bld_31_words_in_any_case_comments_and_blank_lines() {
    let daemon = daemon();
    for client in daemon.clients() {
        let dockerfile = "# escape=\\\n\n# a comment\nfrom busybox\n\n   # another\nrun echo a \\\n  # in between\n  b >/out\nEnV x=y\n";
        let name = image(daemon, &client, dockerfile, &[]);
        assert_eq!(output(daemon, &name, &["sh", "-c", "cat /out; echo $x"]), "a b\ny");
        gone(daemon, &[&name]);
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
fn bld_33_a_deleted_file_still_takes_its_space() {
    let daemon = daemon();
    let client = daemon.stock();
    let dockerfile = "FROM busybox\nRUN dd if=/dev/zero of=/big bs=1M count=3\nRUN rm /big\n";
    let name = image(daemon, &client, dockerfile, &[]);
    let size = |name: &str| daemon.inspect(name, "{{.Size}}").parse::<u64>().unwrap();
    assert!(size(&name) >= size("busybox") + (3 << 20));
    assert!(daemon.docker(&["run", "--rm", &name, "ls", "/big"]).code != 0);
    gone(daemon, &[&name]);
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
fn bld_37_modes_stay_and_owners_become_root() {
    let daemon = daemon();
    for client in daemon.clients() {
        let directory = context(
            daemon,
            &[
                ("Dockerfile", "FROM busybox\nCOPY tree /tree\n"),
                ("tree/run", "#!/bin/sh\necho ran\n"),
                ("tree/sub/secret", "s"),
            ],
        );
        for (name, mode) in [("tree/run", 0o755), ("tree/sub/secret", 0o600), ("tree/sub", 0o711)] {
            let path = Path::new(&directory).join(name);
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            std::os::unix::fs::chown(&path, Some(1234), Some(1234)).unwrap();
        }
        std::os::unix::fs::symlink("run", Path::new(&directory).join("tree/link")).unwrap();
        let name = daemon.name("modes");
        build(&client, &["-t", &name, &directory]).exits(0);
        let script = "stat -c '%n %a %u %g %F' /tree/run /tree/sub /tree/sub/secret /tree/link; /tree/link";
        let expected = "/tree/run 755 0 0 regular file\n/tree/sub 711 0 0 directory\n/tree/sub/secret 600 0 0 regular file\n/tree/link 777 0 0 symbolic link\nran";
        assert_eq!(output(daemon, &name, &["sh", "-c", script]), expected);
        gone(daemon, &[&name]);
    }
}

#[test]
fn bld_38_stages_arguments_and_targets() {
    let daemon = daemon();
    for client in daemon.clients() {
        let dockerfile = "ARG BASE=busybox\nFROM ${BASE} AS first\nARG V=default\nRUN echo $V >/v && mkdir /d && ln -s v /d/link\nFROM scratch AS second\nCOPY --from=first /v /d/ /out/\nFROM busybox\nCOPY --from=second /out /out\nCOPY --from=busybox /bin/true /true\nHEALTHCHECK --interval=5s --retries=2 CMD true\nSTOPSIGNAL SIGINT\n";
        let directory = context(daemon, &[("Dockerfile", dockerfile)]);
        let (name, id) = (daemon.name("stages"), daemon.scratch("iid").join(daemon.name("iid")));
        let run = build(
            &client,
            &[
                "--build-arg",
                "V=given",
                "--build-arg",
                "UNUSED=1",
                "--label",
                "l=m n",
                "--iidfile",
                &id.display().to_string(),
                "-t",
                &name,
                &directory,
            ],
        );
        run.exits(0);
        assert!(run.stdout.contains("[Warning] One or more build-args [UNUSED] were not consumed"), "{run}");
        assert_eq!(fs::read_to_string(&id).unwrap(), daemon.inspect(&name, "{{.Id}}"));
        assert_eq!(
            output(daemon, &name, &["sh", "-c", "cat /out/v; readlink /out/link; /true && echo true"]),
            "given\nv\ntrue"
        );
        assert_eq!(daemon.inspect(&name, "{{.Config.Labels.l}} {{.Config.StopSignal}} {{json .Config.Healthcheck.Test}} {{.Config.Healthcheck.Retries}}"), r#"m n SIGINT ["CMD-SHELL","true"] 2"#);
        let run = build(&client, &["--target", "first", "-t", &name, &directory]);
        run.exits(0);
        assert_eq!(output(daemon, &name, &["cat", "/v"]), "default");
        build(&client, &["--target", "nosuch", &directory]).says("nosuch");
        gone(daemon, &[&name]);
    }
}

#[test]
fn bld_38_here_documents() {
    let daemon = daemon();
    if daemon.is_reference() {
        return skip("the classic builder of 20.10 has no here-documents");
    }
    for client in daemon.clients() {
        let dockerfile = "FROM busybox\nENV WHO=me\nRUN <<EOF\necho one >/out\necho two $WHO >>/out\nEOF\nCOPY <<a.txt <<\"b.txt\" /d/\na $WHO\na.txt\nb $WHO\nb.txt\nRUN <<S\n#!/bin/cat\ntext\nS\n";
        let directory = context(daemon, &[("Dockerfile", dockerfile)]);
        let name = daemon.name("here");
        let run = build(&client, &["-t", &name, &directory]);
        run.exits(0);
        assert!(run.stdout.contains("#!/bin/cat\ntext\n"), "{run}");
        assert_eq!(
            output(daemon, &name, &["sh", "-c", "cat /out /d/a.txt /d/b.txt"]).lines().take(4).collect::<Vec<_>>(),
            ["one", "two me", "a me", "b $WHO"]
        );
        let mounts = context(daemon, &[("Dockerfile", "FROM busybox\nRUN --mount=type=cache,target=/x true\n")]);
        build(&client, &[&mounts]).says("the --mount option requires BuildKit");
        gone(daemon, &[&name]);
    }
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
