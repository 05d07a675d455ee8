//! Rows X-05, CTR-36 and CTR-37: log drivers, their options, and what `logs` shows of them.
#![allow(clippy::unwrap_used, missing_docs)]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use privileged_tests::{Daemon, Options, skip, until};

/// For everything that may be slow on a busy machine.
const PATIENCE: u64 = 40;

fn numbers(range: std::ops::RangeInclusive<u32>) -> String {
    range.map(|number| format!("{number}\n")).collect()
}

fn directory(daemon: &Daemon, name: &str) -> PathBuf {
    daemon.data_root().join("containers").join(daemon.inspect(name, "{{.Id}}"))
}

/// Runs a container with these log options to its end; gives its name.
fn run(daemon: &Daemon, stem: &str, options: &[&str], script: &str) -> String {
    let name = daemon.name(stem);
    let mut arguments = vec!["run", "--name", &name, "--network", "none", "--label", "l=1", "-e", "E=2"];
    arguments.extend_from_slice(options);
    arguments.extend_from_slice(&["busybox", "sh", "-c", script]);
    daemon.docker(&arguments).exits(0);
    name
}

fn udp() -> (UdpSocket, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(PATIENCE))).unwrap();
    let address = format!("udp://{}", socket.local_addr().unwrap());
    (socket, address)
}

fn datagram(socket: &UdpSocket) -> Vec<u8> {
    let mut bytes = vec![0; 65536];
    let length = socket.recv(&mut bytes).expect("a datagram");
    bytes.truncate(length);
    bytes
}

fn tcp() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    (listener, address)
}

fn accept(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    let stream = until("a connection", PATIENCE, || listener.accept().ok()).0;
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(PATIENCE))).unwrap();
    stream
}

/// Reads until what came contains `end`.
fn read_until(stream: &mut TcpStream, end: &[u8]) -> Vec<u8> {
    let (mut all, mut bytes) = (Vec::new(), [0; 4096]);
    while !all.windows(end.len()).any(|window| window == end) {
        let length = stream.read(&mut bytes).expect("more from the container");
        assert!(length > 0, "the stream ended after {:?}", String::from_utf8_lossy(&all));
        all.extend_from_slice(&bytes[..length]);
    }
    all
}

#[test]
fn ctr_36_times_stand_before_each_line() {
    let daemon = Daemon::shared();
    let name = run(daemon, "timed", &[], "echo one; echo two >&2");
    for client in daemon.clients() {
        for flag in ["-t", "--timestamps"] {
            let run = client.run(&["logs", flag, &name]);
            for (text, word) in [(&run.stdout, " one\n"), (&run.stderr, " two\n")] {
                let time = text.strip_suffix(word).unwrap_or_else(|| panic!("{run}"));
                // Nine digits of fraction, whatever they are.
                assert_eq!((time.len(), &time[10..11], &time[19..20], &time[29..]), (30, "T", ".", "Z"), "{run}");
            }
        }
    }
}

#[test]
fn ctr_37_tail_since_until_and_details() {
    let daemon = Daemon::shared();
    let script = "seq 5; touch /half; while [ ! -e /go ]; do sleep 0.1; done; seq 6 10";
    let name = daemon.name("parts");
    let options = ["--log-opt", "labels=l", "--log-opt", "env=E"];
    let mut arguments = vec!["run", "-d", "--name", &name, "--label", "l=1", "-e", "E=2"];
    arguments.extend_from_slice(&options);
    arguments.extend_from_slice(&["busybox", "sh", "-c", script]);
    daemon.docker(&arguments).exits(0);
    until("the first half", PATIENCE, || daemon.docker(&["logs", &name]).stdout.ends_with("5\n").then_some(()));
    // The second half is later than any clock the first half saw.
    std::thread::sleep(Duration::from_millis(1100));
    let middle = daemon.docker(&["run", "--rm", "busybox", "date", "+%s"]).ok().trim().to_owned();
    std::thread::sleep(Duration::from_millis(1100));
    daemon.docker(&["exec", &name, "touch", "/go"]).exits(0);
    daemon.docker(&["wait", &name]).exits(0);
    for client in daemon.clients() {
        let logs = |arguments: &[&str]| {
            let run = client.run(&[&["logs"], arguments, &[name.as_str()]].concat());
            run.exits(0);
            run.stdout
        };
        assert_eq!(logs(&["--tail", "3"]), numbers(8..=10));
        assert_eq!(logs(&["-n", "0"]), "");
        assert_eq!(logs(&["--tail", "all"]), numbers(1..=10));
        assert_eq!(logs(&["--tail", "-1"]), numbers(1..=10));
        assert_eq!(logs(&["--since", &middle]), numbers(6..=10));
        assert_eq!(logs(&["--until", &middle]), numbers(1..=5));
        assert_eq!(logs(&["--since", "1h", "--until", &middle, "--tail", "7"]), numbers(4..=5));
        assert_eq!(logs(&["--since", "2100-01-01T00:00:00Z"]), "");
        assert_eq!(logs(&["--details", "--tail", "1"]), "E=2,l=1 10\n");
    }
}

#[test]
fn ctr_37_a_follower_with_an_end_in_the_future_ends_then() {
    let daemon = Daemon::shared();
    if daemon.is_reference() {
        return skip("Docker 20.10 looks at the end only when there is a line");
    }
    let name = daemon.background("until", "echo here; sleep 300");
    until("a line", PATIENCE, || daemon.docker(&["logs", &name]).stdout.ends_with("here\n").then_some(()));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    for client in daemon.clients() {
        let run = client.run(&["logs", "-f", "--until", &(now + 1).to_string(), &name]);
        assert_eq!(run.exits(0).stdout, "here\n");
    }
}

#[test]
fn ctr_35_followers_end_when_the_container_restarts_or_is_removed() {
    let daemon = Daemon::shared();
    let name = daemon.background("followed", "echo up; sleep 300");
    for end in [&["restart", "-t", "0"][..], &["rm", "-f"]] {
        for client in daemon.clients().iter().take(1) {
            let mut child = client.command(&["logs", "-f", &name]).stdout(Stdio::piped()).spawn().unwrap();
            let mut first = [0; 3];
            child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
            assert_eq!(&first, b"up\n");
            daemon.docker(&[end, &[name.as_str()]].concat()).exits(0);
            until("the end of the stream", PATIENCE, || child.try_wait().unwrap());
        }
    }
}

#[test]
fn x_05_rotated_files_are_compressed_and_read() {
    let daemon = Daemon::shared();
    let options = ["--log-opt", "max-size=10k", "--log-opt", "max-file=3", "--log-opt", "compress=true"];
    let name = run(daemon, "packed", &options, "seq 3000");
    let file = format!("{}-json.log", daemon.inspect(&name, "{{.Id}}"));
    let at = |suffix: &str| directory(daemon, &name).join(format!("{file}{suffix}"));
    until("compressed files", PATIENCE, || (at(".1.gz").exists() && at(".2.gz").exists()).then_some(()));
    assert!(!at(".3").exists() && !at(".3.gz").exists());
    let gzip = std::fs::read(at(".1.gz")).unwrap();
    assert!(gzip.starts_with(&[0x1f, 0x8b]) && gzip.windows(10).any(|window| window == b"\"lastTime\""));
    // The size is what the tool of that name unpacks, in powers of 1000.
    let unpacked = std::process::Command::new("gzip").arg("-dc").arg(at(".1.gz")).output().unwrap().stdout;
    assert!((10_000..10_200).contains(&unpacked.len()), "{}", unpacked.len());
    for client in daemon.clients() {
        let all = client.run(&["logs", &name]).stdout;
        assert!(all.len() > 1000 && numbers(1..=3000).ends_with(&all), "{} bytes", all.len());
        let count = all.lines().count();
        for tail in [1, 50, count - 2, count + 5] {
            let shown = client.run(&["logs", "--tail", &tail.to_string(), &name]).stdout;
            assert_eq!(shown.lines().count(), tail.min(count));
            assert!(all.ends_with(&shown));
        }
        assert_eq!(client.run(&["logs", "--since", "2100-01-01T00:00:00Z", &name]).stdout, "");
    }
}

#[test]
fn x_05_a_follower_sees_every_line_through_rotations() {
    let daemon = Daemon::shared();
    if daemon.is_reference() {
        return skip("Docker 20.10 loses lines of quick rotations");
    }
    for extra in [&[][..], &["--log-opt", "compress=true"]] {
        let name = daemon.name("through");
        let script = "while [ ! -e /go ]; do sleep 0.1; done; i=0; while [ $i -lt 20 ]; do seq $((i*100+1)) $((i*100+100)); \
                      i=$((i+1)); sleep 0.02; done";
        let mut arguments = vec!["run", "-d", "--name", &name, "--log-opt", "max-size=9k", "--log-opt", "max-file=50"];
        arguments.extend_from_slice(extra);
        arguments.extend_from_slice(&["busybox", "sh", "-c", script]);
        daemon.docker(&arguments).exits(0);
        let client = daemon.stock();
        let child = client.command(&["logs", "-f", &name]).stdout(Stdio::piped()).spawn().unwrap();
        daemon.docker(&["exec", &name, "touch", "/go"]).exits(0);
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), numbers(1..=2000));
        assert_eq!(daemon.docker(&["logs", &name]).stdout, numbers(1..=2000));
    }
}

#[test]
fn x_05_local_is_compact_and_readable() {
    let daemon = Daemon::shared();
    let script = "seq 2000; head -c 40000 /dev/zero | tr '\\0' x; echo; echo err >&2; printf '\\377\\001end'";
    let name = run(daemon, "local", &["--log-driver", "local"], script);
    assert_eq!(daemon.inspect(&name, "{{.HostConfig.LogConfig.Type}}{{.LogPath}}"), "local");
    let file = std::fs::read(directory(daemon, &name).join("local-logs/container.log")).unwrap();
    // Docker's entries: length, source, time, text.
    assert_eq!((&file[..4], &file[4..12]), (&b"\0\0\0\x15"[..], &b"\x0a\x06stdout"[..]), "{:?}", &file[..32]);
    // Docker 20.10 forgets the newline after a line in pieces.
    let newline = if daemon.is_reference() { "" } else { "\n" };
    let expected = numbers(1..=2000) + &"x".repeat(40000) + newline;
    for client in daemon.clients() {
        let output = client.command(&["logs", &name]).output().unwrap();
        assert!(output.stdout == [expected.as_bytes(), b"\xff\x01end"].concat(), "{} bytes", output.stdout.len());
        assert_eq!(output.stderr, b"err\n");
        assert_eq!(client.run(&["logs", "--tail", "6", &name]).stdout.lines().next(), Some("2000"));
    }
    let small = ["--log-driver", "local", "--log-opt", "max-size=10k", "--log-opt", "max-file=2"];
    let name = run(daemon, "rotated", &small, "seq 3000");
    let at = |suffix: &str| directory(daemon, &name).join(format!("local-logs/container.log{suffix}"));
    until("a compressed file", PATIENCE, || at(".1.gz").exists().then_some(()));
    assert!(!at(".2.gz").exists() && !at(".2").exists());
    let all = daemon.docker(&["logs", &name]).stdout;
    assert!(!all.is_empty() && numbers(1..=3000).ends_with(&all));
}

#[test]
fn x_05_none_cannot_be_read_and_mistakes_are_dockers() {
    let daemon = Daemon::shared();
    let name = run(daemon, "none", &["--log-driver", "none"], "echo hidden");
    for client in daemon.clients() {
        client.run(&["logs", &name]).exits(1).says("configured logging driver does not support reading");
    }
    let answer = daemon.api().request("GET", &format!("/containers/{name}/logs?stdout=1"), None).unwrap();
    assert_eq!(answer.status, 501);
    let before = daemon.docker(&["ps", "-aq"]).ok().lines().count();
    let init = "failed to initialize logging driver: ";
    for (options, text) in [
        ("--log-driver foo", "error looking up logging plugin foo: plugin \"foo\" not found".to_owned()),
        ("--log-opt foo=bar", "unknown log opt 'foo' for json-file log driver".to_owned()),
        ("--log-opt mode=bad", "logger: logging mode not supported: bad".to_owned()),
        ("--log-opt max-size=foo", format!("{init}invalid size: 'foo'")),
        ("--log-opt tag={{.Foo}}", format!("{init}template: log-tag:1:2: executing \"log-tag\" at <.Foo>")),
        ("--log-driver syslog --log-opt syslog-facility=x", "invalid syslog facility".to_owned()),
        ("--log-driver gelf", "gelf-address is a required parameter".to_owned()),
        (
            "--log-driver syslog --log-opt syslog-address=tcp://127.0.0.1:9",
            format!("{init}dial tcp 127.0.0.1:9: connect: connection refused"),
        ),
    ] {
        let words: Vec<&str> = options.split(' ').collect();
        let run = daemon.docker(&[&["run", "--rm", "--network", "none"], &words[..], &["busybox", "true"]].concat());
        run.says(&text);
        assert_ne!(run.code, 0, "{run}");
    }
    if !daemon.is_reference() {
        // Other tests of this file make containers meanwhile: ours would have been auto-removed or never made.
        let left = daemon.docker(&["ps", "-aq", "--filter", "status=created"]).ok().lines().count();
        assert!(left <= before, "containers that could not start are left");
    }
}

#[test]
fn x_05_syslog_in_every_shape() {
    let daemon = Daemon::shared();
    let script = "echo out; echo; sleep 0.3; echo err >&2";
    for format in ["", "rfc3164", "rfc5424", "rfc5424micro"] {
        let (socket, address) = udp();
        let options = [
            "--log-driver=syslog",
            &format!("--log-opt=syslog-address={address}"),
            &format!("--log-opt=syslog-format={format}"),
            "--log-opt=syslog-facility=local3",
            "--log-opt=tag={{.Name}}/{{.ImageName}}",
        ];
        let name = run(daemon, "syslog", &options, script);
        let [first, second] = [(); 2].map(|()| String::from_utf8(datagram(&socket)).unwrap());
        let (head, tail) = if format.starts_with("rfc5424") { ("<158>1 ", "- out\n") } else { ("<158>", ": out\n") };
        assert!(first.starts_with(head) && first.ends_with(tail), "{format}: {first:?}");
        assert!(first.contains(&format!(" {name}/busybox")), "{first:?}");
        assert!(second.starts_with("<155>") && second.ends_with("err\n"), "no empty line is sent: {second:?}");
        // And a copy can be read here.
        assert_eq!(daemon.docker(&["logs", &name]).stdout, "out\n\n");
    }
}

#[test]
fn x_05_syslog_over_streams_and_without_a_copy() {
    let daemon = Daemon::shared();
    let (listener, address) = tcp();
    let options =
        ["--log-driver=syslog", &format!("--log-opt=syslog-address={address}"), "--log-opt=cache-disabled=true"];
    let name = run(daemon, "stream", &options, "seq 3");
    let mut stream = accept(&listener);
    let text = String::from_utf8(read_until(&mut stream, b": 3\n")).unwrap();
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.starts_with("<30>"));
    daemon.docker(&["logs", &name]).exits(1).says("configured logging driver does not support reading");

    let path = daemon.scratch("syslog").join("sock");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(PATIENCE))).unwrap();
    let options = ["--log-driver=syslog", &format!("--log-opt=syslog-address=unixgram://{}", path.display())];
    run(daemon, "unixgram", &options, "echo hello");
    let mut bytes = [0; 512];
    let length = socket.recv(&mut bytes).unwrap();
    assert!(String::from_utf8_lossy(&bytes[..length]).ends_with("]: hello\n"));
}

#[test]
fn x_05_gelf_over_both_transports() {
    let daemon = Daemon::shared();
    let (socket, address) = udp();
    let address = format!("--log-opt=gelf-address={address}");
    let common = ["--log-driver=gelf", &address, "--log-opt=labels=l", "--log-opt=env=E", "--log-opt=tag=t-{{.Name}}"];
    let plain = [&common[..], &["--log-opt=gelf-compression-type=none"]].concat();
    let name = run(daemon, "gelf", &plain, "echo 'a \"b\"' >&2");
    let message: serde_json::Value = serde_json::from_slice(&datagram(&socket)).unwrap();
    for (key, value) in [
        ("version", "1.1"),
        ("short_message", "a \"b\""),
        ("_container_name", &name),
        ("_container_id", &daemon.inspect(&name, "{{.Id}}")),
        ("_image_name", "busybox"),
        ("_image_id", &daemon.inspect(&name, "{{.Image}}")),
        ("_tag", &format!("t-{name}")),
        ("_l", "1"),
        ("_E", "2"),
    ] {
        assert_eq!(message[key], value, "{message}");
    }
    assert_eq!(message["level"], 3);
    assert!(message["timestamp"].as_f64().unwrap() > 1.6e9);
    run(daemon, "zipped", &common, "echo x");
    assert!(datagram(&socket).starts_with(&[0x1f, 0x8b]));
    run(daemon, "chunked", &plain, "head -c 5000 /dev/zero | tr '\\0' y; echo");
    let chunks: Vec<_> = (0..4).map(|_| datagram(&socket)).collect();
    assert!(chunks.iter().all(|chunk| chunk.starts_with(&[0x1e, 0x0f]) && chunk[11] == 4 && chunk.len() <= 1420));

    let (listener, address) = tcp();
    let name = run(daemon, "streamed", &["--log-driver=gelf", &format!("--log-opt=gelf-address={address}")], "echo hi");
    let bytes = read_until(&mut accept(&listener), b"\0");
    let message: serde_json::Value = serde_json::from_slice(&bytes[..bytes.len() - 1]).unwrap();
    assert_eq!((&message["short_message"], &message["level"]), (&"hi".into(), &6.into()));
    assert_eq!(daemon.docker(&["logs", &name]).stdout, "hi\n");
}

#[test]
fn x_05_fluentd_gets_events() {
    let daemon = Daemon::shared();
    let (listener, address) = tcp();
    let address = format!("--log-opt=fluentd-address={}", address.trim_start_matches("tcp://"));
    let options = ["--log-driver=fluentd", &address, "--log-opt=tag=x.{{.Name}}", "--log-opt=labels=l"];
    let name = run(daemon, "fluent", &options, "echo out");
    let bytes = read_until(&mut accept(&listener), b"\x80");
    let tag = format!("x.{name}");
    assert_eq!((bytes[0], bytes[1]), (0x94, 0xa0 | tag.len() as u8));
    assert_eq!(&bytes[2..2 + tag.len()], tag.as_bytes());
    let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    for pair in ["\u{23}log\u{23}out", "source\u{26}stdout", "l\u{21}1"] {
        // The bytes before short strings are 0xa0 and their length.
        let pair: Vec<u8> = pair.bytes().map(|b| if (0x21..0x30).contains(&b) { b - 0x20 + 0xa0 } else { b }).collect();
        assert!(bytes.windows(pair.len()).any(|window| window == pair), "{pair:?} in {bytes:?}");
    }
    assert!(has(&daemon.inspect(&name, "{{.Id}}")) && has("container_name"));
    // Asynchronous: nobody is there when it starts.
    let (gone, elsewhere) = tcp();
    drop(gone);
    let elsewhere = format!("--log-opt=fluentd-address={}", elsewhere.trim_start_matches("tcp://"));
    let options = ["--log-driver=fluentd", &elsewhere, "--log-opt=fluentd-async=true"];
    let name = daemon.name("lazy");
    let mut arguments = vec!["run", "-d", "--name", &name];
    arguments.extend_from_slice(&options);
    arguments.extend_from_slice(&["busybox", "sh", "-c", "echo early; sleep 300"]);
    daemon.docker(&arguments).exits(0);
    until("the copy", PATIENCE, || (daemon.docker(&["logs", &name]).stdout == "early\n").then_some(()));
}

#[test]
fn x_05_a_stuck_collector_holds_only_who_asked_for_it() {
    let daemon = Daemon::shared();
    if daemon.is_reference() {
        return skip("Docker 20.10 cannot remove a container whose collector is stuck");
    }
    let (listener, address) = tcp();
    let address = format!("--log-opt=syslog-address={address}");
    let script = "i=0; while [ $i -lt 12 ]; do head -c 1000000 /dev/zero | tr '\\0' 'x' | fold -w 100; i=$((i+1)); done; touch /done; sleep 300";
    let start = |stem: &str, extra: &[&str]| {
        let name = daemon.name(stem);
        let mut arguments = vec!["run", "-d", "--name", &name, "--log-driver=syslog", &address];
        arguments.extend_from_slice(extra);
        arguments.extend_from_slice(&["busybox", "sh", "-c", script]);
        daemon.docker(&arguments).exits(0);
        (name, accept(&listener))
    };
    let finished = |name: &str| daemon.docker(&["exec", name, "test", "-e", "/done"]).code == 0;
    // The collector takes the connection and never reads.
    let (free, _stuck) = start("free", &["--log-opt=mode=non-blocking", "--log-opt=max-buffer-size=100k"]);
    until("the container that does not wait", PATIENCE, || finished(&free).then_some(()));
    let (held, mut collector) = start("held", &[]);
    // It waits: reading is what lets it finish.
    let mut bytes = vec![0; 1 << 16];
    let mut read = 0;
    collector.set_read_timeout(Some(Duration::from_secs(PATIENCE))).unwrap();
    while read < 12_000_000 {
        let length = collector.read(&mut bytes).unwrap();
        assert!(length > 0);
        read += length;
    }
    until("the container that waits", PATIENCE, || finished(&held).then_some(()));
    daemon.docker(&["rm", "-f", &free, &held]).exits(0);
}

#[test]
fn x_05_a_collector_that_comes_back_gets_what_follows() {
    let daemon = Daemon::shared();
    let (listener, address) = tcp();
    let name = daemon.name("again");
    let option = format!("--log-opt=syslog-address={address}");
    let script = "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.2; done";
    daemon
        .docker(&["run", "-d", "--name", &name, "--log-driver=syslog", &option, "busybox", "sh", "-c", script])
        .exits(0);
    let mut first = accept(&listener);
    read_until(&mut first, b"line 1\n");
    drop(first);
    let mut second = accept(&listener);
    assert!(String::from_utf8(read_until(&mut second, b"\n")).unwrap().contains("]: line "));
    daemon.docker(&["rm", "-f", &name]).exits(0);
}

#[test]
fn x_05_a_dead_daemon_loses_no_line() {
    let daemon = Daemon::start(Options::default());
    if daemon.is_reference() {
        return skip("Docker's own containers end with their daemon unless live-restore is set");
    }
    let (socket, address) = udp();
    let name = daemon.name("orphan");
    let option = format!("--log-opt=syslog-address={address}");
    let script = "echo before; while [ ! -e /go ]; do sleep 0.1; done; echo during";
    daemon
        .docker(&["run", "-d", "--name", &name, "--log-driver=syslog", &option, "busybox", "sh", "-c", script])
        .exits(0);
    assert!(datagram(&socket).ends_with(b": before\n"));
    let root = format!("/proc/{}/root/go", daemon.container_pid(&name));
    daemon.kill();
    std::fs::File::create(root).unwrap().write_all(b"").unwrap();
    assert!(datagram(&socket).ends_with(b": during\n"));
    daemon.launch();
    until("the end", PATIENCE, || (daemon.inspect(&name, "{{.State.Status}}") == "exited").then_some(()));
    assert_eq!(daemon.docker(&["logs", &name]).stdout, "before\nduring\n");
}

#[test]
fn x_05_the_daemons_defaults_are_the_containers() {
    let flags = ["--log-driver=local", "--log-opt=max-size=1m"].map(str::to_owned).to_vec();
    let daemon = Daemon::start(Options { flags, ..Options::default() });
    assert_eq!(daemon.docker(&["info", "-f", "{{.LoggingDriver}}"]).ok().trim(), "local");
    let name = run(&daemon, "default", &[], "echo hi");
    assert_eq!(
        daemon.inspect(&name, "{{json .HostConfig.LogConfig}}"),
        r#"{"Type":"local","Config":{"max-size":"1m"}}"#
    );
    let name = run(&daemon, "own", &["--log-driver=json-file"], "echo hi");
    assert_eq!(daemon.inspect(&name, "{{json .HostConfig.LogConfig}}"), r#"{"Type":"json-file","Config":{}}"#);
    let listed = daemon.docker(&["info", "-f", "{{range .Plugins.Log}}{{.}} {{end}}"]);
    for driver in ["fluentd", "gelf", "journald", "json-file", "local", "syslog"] {
        assert!(listed.ok().split(' ').any(|name| name == driver), "{driver} in {listed}");
    }
}

#[test]
fn x_05_journald_needs_a_journal() {
    let daemon = Daemon::shared();
    if std::path::Path::new("/run/systemd/journal/socket").exists() {
        let name = run(daemon, "journal", &["--log-driver=journald"], "echo hi");
        assert_eq!(daemon.docker(&["logs", &name]).stdout, "hi\n");
    } else {
        let run = daemon.docker(&["run", "--rm", "--log-driver=journald", "busybox", "true"]);
        run.says("failed to initialize logging driver: journald is not enabled on this host");
    }
}
