//! Rows CTR-01 to CTR-13, CTR-44, CTR-45: `docker run` and `docker ps`.
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use privileged_tests::fixtures::Fixture;
use privileged_tests::registry::{Registry, free_port};
use privileged_tests::{Daemon, Options, skip, until};
use regex_lite::Regex;

#[test]
fn ctr_01_one_shot_command_prints_and_exits_0() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let run = client.run(&["run", "--rm", "busybox", "echo", "haha"]);
        assert_eq!(run.ok(), "haha", "{run}");
        assert_eq!(run.stdout, "haha\n", "{run}");
    }
}

#[test]
fn ctr_01_exit_code_is_passed_through() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        client.run(&["run", "--rm", "busybox", "sh", "-c", "exit 42"]).exits(42);
        let run = client.run(&["run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 3"]);
        run.exits(3);
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("out\n", "err\n"), "{run}");
    }
}

#[test]
fn ctr_01_stdin_reaches_the_command() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let run =
            client.run_with_input(&["run", "--rm", "-i", "busybox", "sh", "-c", "wc -c; echo end"], b"0123456789\n");
        assert_eq!(run.ok(), "11\nend", "{run}");
    }
}

#[test]
fn ctr_02_interactive_terminal() {
    let daemon = Daemon::shared();
    daemon.image(Fixture::Debian);
    for client in daemon.clients() {
        let mut terminal = daemon.terminal(&client, &["run", "--rm", "-i", "-t", "debian:bookworm", "bash"]);
        terminal.expect(r"root@[0-9a-f]{12}:/# ");
        terminal.send("tty\r");
        terminal.expect(r"/dev/pts/[0-9]+");
        terminal.resize(33, 111);
        until("the size reaches the process", 10, || {
            terminal.send("stty size\r");
            let shown = terminal.expect(r"[0-9]+ [0-9]+\r\n");
            (shown.trim() == "33 111").then_some(())
        });
        terminal.send("exit 5\r");
        assert_eq!(terminal.wait(), 5, "{}", client.name);
    }
}

#[test]
fn ctr_03_missing_image_is_pulled_on_run() {
    let daemon = Daemon::shared();
    let Some(registry) = Registry::start() else {
        return skip("docker-registry is not installed");
    };
    for (number, client) in daemon.clients().iter().enumerate() {
        let name = format!("pulled{number}");
        let reference = registry.put(&Fixture::Busybox.archive().unwrap(), &format!("{name}:latest"));
        let plain = reference.strip_suffix(":latest").unwrap();
        let run = client.run(&["run", "--rm", plain, "echo", "ran"]);
        assert_eq!(run.ok(), "ran", "{run}");
        run.says(&format!("Unable to find image '{reference}' locally"));
        run.says(&format!("latest: Pulling from {name}"));
        run.says(&format!("Status: Downloaded newer image for {reference}"));
        client.run(&["run", "--rm", "--pull=never", &registry.reference("absent"), "true"]).exits(125);
        client.run(&["rmi", &reference]).exits(0);
    }
}

#[test]
fn ctr_04_local_image_is_used_first() {
    let daemon = Daemon::shared();
    // Nobody listens on this port: a client that asked the registry first would fail.
    let reference = format!("127.0.0.1:{}/local:1", free_port());
    daemon.docker(&["tag", "busybox", &reference]).exits(0);
    for client in daemon.clients() {
        let run = client.run(&["run", "--rm", &reference, "echo", "local"]);
        assert_eq!(run.ok(), "local", "{run}");
        assert_eq!(run.stderr, "", "{run}");
    }
    daemon.docker(&["rmi", &reference]).exits(0);
}

#[test]
fn ctr_05_hello_world() {
    let daemon = Daemon::shared();
    if daemon.is_reference() {
        daemon.image(Fixture::HelloWorld);
    }
    for client in daemon.clients().iter().rev() {
        let run = client.run(&["run", "--rm", "hello-world"]);
        assert!(run.ok().contains("Hello from Docker!") || run.ok().contains("Hello from Gantry!"), "{run}");
    }
}

#[test]
fn ctr_06_detached_prints_the_full_id() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let run = client.run(&["run", "-d", "busybox", "sleep", "300"]);
        run.exits(0);
        assert!(Regex::new(r"^[0-9a-f]{64}\n$").unwrap().is_match(&run.stdout), "{run}");
        assert_eq!(run.stderr, "", "{run}");
        assert_eq!(daemon.inspect(run.ok(), "{{.State.Status}} {{.State.Running}}"), "running true");
        daemon.docker(&["rm", "-f", run.ok()]).exits(0);
    }
}

#[test]
fn ctr_07_itd_keeps_a_shell_waiting() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon.name("itd");
        client.run(&["run", "-itd", "--name", &name, "busybox", "sh"]).exits(0);
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(daemon.inspect(&name, "{{.State.Status}}"), "running");
        let mut terminal = daemon.terminal(&client, &["attach", &name]);
        // The prompt was printed before anybody attached.
        terminal.send("\recho $((6*7))\r");
        terminal.expect("\n42");
        terminal.send("exit\r");
        assert_eq!(terminal.wait(), 0);
        assert_eq!(daemon.inspect(&name, "{{.State.Status}}"), "exited");
    }
}

#[test]
fn ctr_08_container_ends_with_its_main_process() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon.name("ends");
        client.run(&["run", "-d", "--name", &name, "busybox", "true"]).exits(0);
        until("the container ends", 10, || (daemon.inspect(&name, "{{.State.Status}}") == "exited").then_some(()));
        let run = client.run(&["ps", "-a", "--filter", &format!("name={name}"), "--format", "{{.Status}}"]);
        assert!(run.ok().starts_with("Exited (0) "), "{run}");
        assert!(!client.run(&["ps", "--format", "{{.Names}}"]).lines().contains(&name.as_str()));
    }
}

#[test]
fn ctr_09_name() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon.name("test");
        client.run(&["run", "-d", "--name", &name, "busybox", "sleep", "300"]).exits(0);
        assert_eq!(client.run(&["inspect", "--format={{ .Name }}", &name]).ok(), format!("/{name}"));
        client.run(&["rm", "-f", &name]).exits(0);
    }
}

#[test]
fn ctr_10_random_name() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let id = client.run(&["run", "-d", "busybox", "true"]).ok().to_owned();
        let name = daemon.inspect(&id, "{{.Name}}");
        assert!(Regex::new("^/[a-z]+_[a-z]+[0-9]?$").unwrap().is_match(&name), "{name}");
        client.run(&["rm", "-f", &id]).exits(0);
    }
}

#[test]
fn ctr_11_name_conflict() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon.name("c1");
        let id = client.run(&["run", "-d", "--name", &name, "busybox", "sleep", "300"]).ok().to_owned();
        let run = client.run(&["run", "--name", &name, "busybox", "true"]);
        run.exits(125).says(&format!(
            "Error response from daemon: Conflict. The container name \"/{name}\" is already in use by container \"{id}\". \
             You have to remove (or rename) that container to be able to reuse that name."
        ));
        client.run(&["rm", "-f", &name]).exits(0);
    }
}

#[test]
fn ctr_12_name_is_free_again() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        let name = daemon.name("again");
        client.run(&["run", "--name", &name, "busybox", "true"]).exits(0);
        client.run(&["rm", &name]).exits(0);
        client.run(&["run", "--rm", "--name", &name, "busybox", "true"]).exits(0);
        client.run(&["run", "--rm", "--name", &name, "busybox", "true"]).exits(0);
        assert_eq!(client.run(&["ps", "-aq", "--filter", &format!("name={name}")]).ok(), "");
    }
}

#[test]
fn ctr_13_ps() {
    let daemon = Daemon::start(Options::default());
    daemon.docker(&["run", "--name", "gone", "busybox", "true"]).exits(0);
    let id = daemon.docker(&["run", "-d", "--name", "here", "busybox", "sleep", "300"]).ok().to_owned();
    for client in daemon.clients() {
        let run = client.run(&["ps"]);
        let lines = run.lines();
        assert_eq!(lines.len(), 2, "{run}");
        let columns: Vec<&str> = lines[0].split("   ").map(str::trim).filter(|column| !column.is_empty()).collect();
        assert_eq!(columns, ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"], "{run}");
        assert!(
            Regex::new(r"^CONTAINER ID   IMAGE     COMMAND +CREATED +STATUS +PORTS +NAMES$")
                .unwrap()
                .is_match(lines[0])
        );
        let row = format!("^{}   busybox   \"sleep 300\" +.+ ago +Up .+here$", &id[..12]);
        assert!(Regex::new(&row).unwrap().is_match(lines[1]), "{run}");
    }
}

#[test]
fn ctr_44_user_overrides_the_image() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        assert_eq!(client.run(&["run", "--rm", "-u", "1001", "busybox", "id", "-u"]).ok(), "1001");
        assert_eq!(client.run(&["run", "--rm", "-u", "1001:1002", "busybox", "id", "-g"]).ok(), "1002");
        let name = daemon.name("nouser");
        let run = client.run(&["run", "--name", &name, "-u", "nobodyhere", "busybox", "true"]);
        run.exits(125).says("unable to find user nobodyhere: no matching entries in passwd file");
        client.run(&["rm", &name]).exits(0);
    }
}

#[test]
fn ctr_45_environment() {
    let daemon = Daemon::shared();
    let file = daemon.scratch("env").join("list");
    std::fs::write(&file, "# comment\nFROM_FILE=a b\nTAKEN\n").unwrap();
    let file = file.display().to_string();
    for client in daemon.clients() {
        let run = client.run(&["run", "--rm", "-e", "KEY=VAL", "-e", "EMPTY=", "--env-file", &file, "busybox", "env"]);
        run.exits(0);
        for line in ["KEY=VAL", "EMPTY=", "FROM_FILE=a b", "HOME=/root", "PATH=/bin:/usr/bin"] {
            assert!(run.lines().contains(&line), "{line} is missing\n{run}");
        }
        assert!(run.lines().iter().any(|line| Regex::new("^HOSTNAME=[0-9a-f]{12}$").unwrap().is_match(line)), "{run}");
        assert!(!run.stdout.contains("TAKEN"), "{run}");
    }
}

#[test]
fn x_07_exit_codes_of_run() {
    let daemon = Daemon::shared();
    for client in daemon.clients() {
        for (arguments, code) in [
            (&["run", "--rm", "--no-such-flag", "busybox"][..], 125),
            (&["run", "--rm", "--network", "no-such-network", "busybox", "true"], 125),
            (&["run", "--rm", "busybox", "/etc"], 126),
            (&["run", "--rm", "busybox", "/etc/hostname"], 126),
            (&["run", "--rm", "busybox", "no-such-command"], 127),
            (&["run", "--rm", "busybox", "/no/such/file"], 127),
            (&["run", "--rm", "busybox", "sh", "-c", "exit 7"], 7),
            (&["run", "--rm", "--init", "busybox", "sh", "-c", "kill -9 $$"], 137),
            (&["run", "--rm", "busybox", "true"], 0),
        ] {
            client.run(arguments).exits(code);
        }
    }
    // Other tests of this file have containers of their own; none of these is left.
    let left = daemon.docker(&["ps", "-a", "--format", "{{.Command}}", "--no-trunc"]).stdout;
    assert!(!left.contains("no-such") && !left.contains("exit 7"), "{left}");
}
