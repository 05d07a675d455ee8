//! Flags of the stock client that other tests have no reason to touch: the same on both engines.
#![allow(clippy::unwrap_used, missing_docs)]

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use privileged_tests::Daemon;

#[test]
fn x_02_what_create_cannot_do_is_told_and_not_ignored() {
    let daemon = Daemon::shared();
    for (flags, text) in [
        (
            &["--platform", "linux/arm64", "--pull", "never"][..],
            "image with reference busybox was found but its platform (linux/amd64) does not match",
        ),
        (&["--volumes-from", "nobody-here"], "No such container: nobody-here"),
        (&["--entrypoint", ""], "o command specified"),
        (&["--mount", "type=bind,src=/no/such/place,dst=/x"], "bind source path does not exist: /no/such/place"),
        (&["--memory", "1m"], "Minimum memory limit allowed is 6MB"),
        (&["--memory-swap", "5m"], "You should always set the Memory limit when using Memoryswap limit"),
        (
            &["--memory", "10m", "--memory-reservation", "20m"],
            "Minimum memory limit can not be less than memory reserv",
        ),
        (
            &["--cpu-period", "10"],
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ),
        (&["--cpuset-cpus", "x"], "nvalid value x for cpuset cpus"),
        (&["--sysctl", "kernel.panic=1"], ""),
        (&["--log-opt", "foo=bar"], "unknown log opt 'foo' for json-file log driver"),
        (&["--ulimit", "nofile=20:10"], ""),
    ] {
        let refused = daemon.docker(&[&["run", "--rm"][..], flags, &["busybox"]].concat());
        assert!((125..=127).contains(&refused.code) || refused.code == 1, "{refused}");
        refused.says(text);
    }
    assert_eq!(daemon.docker(&["run", "--rm", "--entrypoint", "", "busybox", "echo", "ok"]).ok(), "ok");
}

#[test]
fn vol_20_what_volumes_from_takes_over() {
    let daemon = Daemon::shared();
    let (one, two, volume) = (daemon.name("one"), daemon.name("two"), daemon.name("volume"));
    let bind = format!("{volume}:/v");
    daemon.docker(&["create", "--name", &one, "-v", &bind, "--tmpfs", "/memory", "busybox"]).ok();
    daemon.docker(&["create", "--name", &two, "--volumes-from", &format!("{one}:ro"), "busybox"]).ok();
    let format = "{{range .Mounts}}{{.Type}} {{.Destination}} {{.RW}} [{{.Mode}}] {{end}}";
    assert_eq!(daemon.inspect(&one, format), "volume /v true [z]");
    assert_eq!(daemon.inspect(&two, format), "volume /v false []", "a tmpfs is nobody else's");
    daemon.docker(&["rm", &one, &two]).ok();
    daemon.docker(&["volume", "rm", &volume]).ok();
}

#[test]
fn ctr_41_an_exec_that_cannot_start_says_why_where_its_output_goes() {
    let daemon = Daemon::shared();
    let name = daemon.background("exec", "sleep 1000");
    for (flags, command, text) in [
        (&["-u", "nobody-here"][..], "id", "unable to find user nobody-here: no matching entries in passwd file"),
        (&["-w", "/no/such/place"], "pwd", "(\"/no/such/place\") set in config.json failed: no such file or directory"),
        (&[], "no-such-command", "exec: \"no-such-command\": executable file not found in $PATH"),
    ] {
        let run = daemon.docker(&[&["exec"][..], flags, &[&name, command]].concat());
        assert_eq!(run.code, 126, "{run}");
        assert!(format!("{}{}", run.stdout, run.stderr).contains(text), "{run}");
    }
    daemon.docker(&["rm", "-f", &name]).ok();
}

#[test]
fn x_02_an_import_is_refused_before_the_archive_is_read() {
    let daemon = Daemon::shared();
    let archive = daemon.scratch("import").join("big.tar");
    // More than any socket holds, so that the client still writes when the answer comes.
    std::fs::write(&archive, vec![0; 8 << 20]).unwrap();
    let archive = archive.display().to_string();
    daemon.docker(&["import", "-c", "FOO x", &archive, "never"]).exits(1).says("foo is not a valid change command");
    daemon
        .docker(&["import", "--platform", "foo", &archive, "never"])
        .exits(1)
        .says("\"foo\": unknown operating system");
}

#[test]
fn x_02_a_change_of_both_entrypoint_and_command_keeps_both() {
    let daemon = Daemon::shared();
    let (name, image) = (daemon.name("change"), daemon.name("changed"));
    daemon.docker(&["create", "--name", &name, "busybox", "true"]).ok();
    for (changes, shown) in [
        (&["CMD [\"c\"]", "ENTRYPOINT [\"e\"]"][..], "[\"c\"] [\"e\"]"),
        (&["ENTRYPOINT [\"e\"]", "CMD [\"c\"]"], "[\"c\"] [\"e\"]"),
        (&["ENTRYPOINT [\"e\"]"], "null [\"e\"]"),
    ] {
        let changes: Vec<&str> = changes.iter().flat_map(|change| ["-c", change]).collect();
        daemon.docker(&[&["commit"][..], &changes, &[&name, &image]].concat()).ok();
        let format = "{{json .Config.Cmd}} {{json .Config.Entrypoint}}";
        assert_eq!(daemon.docker(&["image", "inspect", "-f", format, &image]).ok(), shown);
    }
    daemon.docker(&["rm", &name]).ok();
    daemon.docker(&["rmi", "-f", &image]).ok();
}

#[test]
fn ctr_24_who_waits_for_the_end_finds_all_output_at_hand() {
    let daemon = Daemon::shared();
    for round in 0..10 {
        // On the connection itself, and as the body of an ordinary answer.
        let upgrade = if round % 2 == 0 { "Connection: Upgrade\r\nUpgrade: tcp\r\n" } else { "" };
        let name = daemon.name("wait");
        daemon.docker(&["create", "--name", &name, "busybox", "sh", "-c", "echo begin; seq 1000; echo end"]).ok();
        let mut stream = UnixStream::connect(daemon.socket()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let path = format!("/containers/{name}/attach?stream=1&stdout=1&stderr=1");
        let request = format!("POST {path} HTTP/1.1\r\nHost: docker\r\n{upgrade}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let mut api = daemon.api();
        assert_eq!(api.request("POST", &format!("/containers/{name}/start"), None).unwrap().status, 204);
        assert_eq!(api.request("POST", &format!("/containers/{name}/wait"), None).unwrap().status, 200);
        stream.set_nonblocking(true).unwrap();
        let mut output = Vec::new();
        match stream.read_to_end(&mut output) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "round {round}: {error}"),
        }
        let output = String::from_utf8_lossy(&output);
        assert!(output.contains("begin") && output.contains("end\n"), "round {round}: {} bytes", output.len());
        daemon.docker(&["rm", &name]).ok();
    }
}
