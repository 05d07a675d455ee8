//! Real containers under the real monitor. Needs root.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use monitor::client;
use monitor::protocol::{self, AttachOptions, ExecPlan, FailureKind, Reply, Request};
use rustix::process::Signal;
use support::{Bundle, expect, process, receive};

const ALL: AttachOptions = AttachOptions { stdin: true, stdout: true, stderr: true };

#[test]
fn output_is_logged_and_the_exit_code_recorded() {
    let Some(bundle) = Bundle::new("output_is_logged") else { return };
    let plan = bundle.plan(&["sh", "-c", "echo out; echo err >&2; printf unfinished; exit 7"]);
    let (running, _) = bundle.start(plan, &[]);
    let (bundle, record) = running.end();
    assert_eq!((record.code, record.signal, record.oom_killed), (7, None, false));
    let mut lines: Vec<String> = bundle.logged().lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["err", "out", "unfinished"]);
}

#[test]
fn signals_count_as_128_and_the_number() {
    let Some(bundle) = Bundle::new("signals_count") else { return };
    let plan = bundle.plan(&["sleep", "100"]);
    let (running, _) = bundle.start(plan, &[]);
    running.kill(Signal::KILL);
    let (_, record) = running.end();
    assert_eq!((record.code, record.signal), (137, Some(9)));
}

#[test]
fn a_command_that_cannot_run_is_told_in_dockers_words() {
    let Some(bundle) = Bundle::new("a_command_that_cannot_run") else { return };
    for (command, kind, status, words) in [
        ("nothing", FailureKind::CommandNotFound, 127, "exec: \"nothing\": executable file not found in $PATH"),
        ("/nothing", FailureKind::CommandNotFound, 127, "exec: \"/nothing\": stat /nothing: no such file or directory"),
        ("/etc", FailureKind::NotExecutable, 126, "exec: \"/etc\": is a directory"),
    ] {
        let failure = bundle.fail(bundle.plan(&[command]));
        assert_eq!((failure.kind, failure.exit_status), (kind, status), "{failure:?}");
        assert!(failure.message.contains(words), "{failure:?}");
    }
    let left: Vec<_> = std::fs::read_dir(bundle.run_dir()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn attached_clients_see_every_byte_and_give_input() {
    let Some(bundle) = Bundle::new("attached_clients") else { return };
    let mut plan = bundle.plan(&["sh", "-c", "echo begin; cat; echo end"]);
    (plan.open_stdin, plan.stdin_once) = (true, true);
    let (running, mut clients) = bundle.start(plan, &[ALL]);
    let client = &mut clients[0];
    expect(client, "begin\n");
    client.write_all(b"some words\n").unwrap();
    expect(client, "some words\n");
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"\x01\0\0\0\0\0\0\x04end\n");
    let (bundle, record) = running.end();
    assert_eq!(record.code, 0);
    assert_eq!(bundle.logged(), "begin\nsome words\nend\n");
}

#[test]
fn a_terminal_echoes_has_a_size_and_can_be_resized() {
    let Some(bundle) = Bundle::new("a_terminal") else { return };
    let plan = bundle.terminal_plan(&["sh", "-c", "stty size; read x; stty size; echo got $x"]);
    let (running, mut clients) = bundle.start(plan, &[ALL]);
    expect(&mut clients[0], "25 80\r\n");
    assert_eq!(running.ask(&Request::Resize { rows: 40, cols: 132 }, &[]).0, Reply::Ok);
    clients[0].write_all(b"word\n").unwrap();
    let seen = expect(&mut clients[0], "got word\r\n");
    assert!(seen.starts_with("word\r\n40 132\r\n"), "{seen:?}");
    assert_eq!(running.end().1.code, 0);
}

#[test]
fn execs_run_inside_and_report_their_end() {
    let Some(bundle) = Bundle::new("execs_run") else { return };
    let plan = bundle.plan(&["sleep", "100"]);
    let (running, _) = bundle.start(plan, &[]);
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let reply = running.exec("one", &["sh", "-c", "echo inside $PPID; exit 5"], writer);
    assert!(matches!(&reply, Reply::ExecStarted { exec_id, .. } if exec_id == "one"), "{reply:?}");
    let mut text = String::new();
    File::from(reader).read_to_string(&mut text).unwrap();
    assert_eq!(text, "inside 0\n");
    assert_eq!(receive(&running.spawned.socket), Reply::ExecExited { exec_id: "one".to_owned(), code: 5 });

    let (_, writer) = rustix::pipe::pipe().unwrap();
    let Reply::Failed(failure) = running.exec("two", &["nothing"], writer) else { panic!("started") };
    assert_eq!((failure.kind, failure.exit_status), (FailureKind::CommandNotFound, 127));

    let plan = ExecPlan {
        exec_id: "three".to_owned(),
        process: process(&["sh", "-c", "read x; stty size; exit 3"], true),
        seccomp: None,
        tty: true,
        size: (10, 20),
    };
    let (reply, mut fds) = running.ask(&Request::Exec(Box::new(plan)), &[]);
    assert!(matches!(reply, Reply::ExecStarted { .. }), "{reply:?}");
    let resize = Request::ResizeExec { exec_id: "three".to_owned(), rows: 11, cols: 21 };
    assert_eq!(running.ask(&resize, &[]).0, Reply::Ok);
    let mut console = File::from(fds.pop().unwrap());
    console.write_all(b"x\n").unwrap();
    let mut seen = Vec::new();
    // The end of a terminal is EIO.
    let _ = console.read_to_end(&mut seen);
    assert_eq!(String::from_utf8_lossy(&seen), "x\r\n11 21\r\n");
    assert_eq!(receive(&running.spawned.socket), Reply::ExecExited { exec_id: "three".to_owned(), code: 3 });
    running.kill(Signal::KILL);
    running.end();
}

#[test]
fn the_end_of_the_container_is_the_end_of_its_execs() {
    let Some(bundle) = Bundle::new("the_end_of_the_container") else { return };
    let plan = bundle.plan(&["sleep", "100"]);
    let (running, _) = bundle.start(plan, &[]);
    let null = || File::options().write(true).open("/dev/null").unwrap().into();
    running.exec("one", &["sleep", "100"], null());
    running.kill(Signal::KILL);
    assert_eq!(receive(&running.spawned.socket), Reply::ExecExited { exec_id: "one".to_owned(), code: 137 });
    assert_eq!(running.end().1.code, 137);
}

#[test]
fn a_container_outlives_its_daemon_and_another_takes_over() {
    let Some(bundle) = Bundle::new("a_container_outlives") else { return };
    let mut plan = bundle.plan(&["sh", "-c", "read x; echo read $x; read y"]);
    plan.open_stdin = true;
    let (running, _) = bundle.start(plan, &[]);
    let (bundle, pid, mut child) = (running.bundle, running.pid, running.spawned.child);
    drop(running.spawned.socket);
    std::thread::sleep(Duration::from_millis(50));
    let record = client::monitor_record(&bundle.run_dir()).unwrap().unwrap();
    assert_eq!((record.pid, record.monitor_pid), (pid, child.id() as i32));
    let socket = client::connect(&bundle.run_dir()).unwrap();
    protocol::send(&socket, &Request::Subscribe, &[]).unwrap();
    assert_eq!(receive(&socket), Reply::Started { pid, start_time: record.start_time });
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    protocol::send(&socket, &Request::Attach(ALL), &[ours.as_fd()]).unwrap();
    drop(ours);
    assert_eq!(receive(&socket), Reply::Ok);
    theirs.write_all(b"this\n").unwrap();
    expect(&mut theirs, "read this\n");
    drop(theirs);
    protocol::send(&socket, &Request::CloseStdin, &[]).unwrap();
    assert_eq!(receive(&socket), Reply::Ok);
    assert!(matches!(receive(&socket), Reply::Exited(record) if record.code == 1));
    assert!(child.wait().unwrap().success());
    assert_eq!(bundle.logged(), "read this\n");
}

#[test]
fn nobody_is_left_without_a_pid_namespace() {
    let Some(bundle) = Bundle::new("nobody_is_left") else { return };
    let mut plan = bundle.plan(&["sh", "-c", "sleep 1234 & echo $!; exit 3"]);
    let linux = plan.spec.linux.as_mut().unwrap();
    linux.namespaces.retain(|namespace| namespace.kind != runtime::spec::NamespaceKind::Pid);
    let begin = Instant::now();
    let (running, _) = bundle.start(plan, &[]);
    let (bundle, record) = running.end();
    assert_eq!(record.code, 3);
    assert!(begin.elapsed() < Duration::from_secs(2));
    let left = bundle.logged().trim().to_owned();
    assert!(!std::path::Path::new("/proc").join(left).join("exe").exists());
}

#[test]
fn want_of_memory_is_recorded() {
    let Some(bundle) = Bundle::new("want_of_memory") else { return };
    let mut plan = bundle.plan(&["sh", "-c", "x=0123456789; while :; do x=$x$x; done"]);
    let resources = plan.spec.linux.as_mut().unwrap().resources.as_mut().unwrap();
    let limit = Some(16 << 20);
    resources.memory = Some(runtime::spec::Memory { limit, swap: limit, ..runtime::spec::Memory::default() });
    let (running, _) = bundle.start(plan, &[]);
    let (_, record) = running.end();
    assert_eq!((record.code, record.signal, record.oom_killed), (137, Some(9), true));
}

#[test]
fn a_flood_of_output_is_recorded_whole() {
    let Some(bundle) = Bundle::new("a_flood") else { return };
    let mut plan = bundle.plan(&["sh", "-c", "seq 1 200000; seq 1 200000 >&2"]);
    let Some(logs::FileOptions { max_size, max_file, .. }) = &mut plan.log.file else { unreachable!() };
    (*max_size, *max_file) = (Some(1 << 20), 100);
    let (running, _) = bundle.start(plan, &[]);
    let (bundle, _) = running.end();
    let expected: String = (1..=200_000).map(|i| format!("{i}\n")).collect();
    let read = |stdout, stderr| {
        let query = logs::Query { stdout, stderr, framed: false, ..logs::Query::default() };
        let mut reader = logs::Reader::open(&bundle.log(), logs::Format::Json, query, None).unwrap();
        let mut out = Vec::new();
        while reader.next_chunk(&mut out).unwrap() == logs::ChunkState::Data {}
        out
    };
    assert!(read(true, false) == expected.as_bytes());
    assert!(read(false, true) == expected.as_bytes());
}

#[test]
fn the_built_in_init_is_process_1_and_reaps() {
    let Some(bundle) = Bundle::new("the_built_in_init") else { return };
    let script = "(sleep 0.1 &); sleep 0.3; echo $PPID; exit 9";
    let mut plan = bundle.plan(&["/sbin/docker-init", "--", "sh", "-c", script]);
    plan.spec.mounts.push(runtime::spec::Mount {
        destination: "/sbin/docker-init".into(),
        kind: "bind".to_owned(),
        source: env!("CARGO_BIN_EXE_gantry-monitor").to_owned(),
        options: vec!["bind".to_owned(), "ro".to_owned()],
        ..runtime::spec::Mount::default()
    });
    let (running, _) = bundle.start(plan, &[]);
    let (bundle, record) = running.end();
    assert_eq!((bundle.logged().as_str(), record.code), ("1\n", 9));
}

#[test]
fn nothing_of_the_monitor_leaks_into_the_container() {
    let Some(bundle) = Bundle::new("nothing_leaks") else { return };
    let mut plan = bundle.plan(&["sh", "-c", "ls /proc/self/fd; read x"]);
    plan.open_stdin = true;
    let (running, _) = bundle.start(plan, &[]);
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    running.exec("one", &["ls", "/proc/self/fd"], writer);
    let mut text = String::new();
    File::from(reader).read_to_string(&mut text).unwrap();
    // The fourth is the directory being listed.
    assert_eq!(text, "0\n1\n2\n3\n");
    assert!(matches!(receive(&running.spawned.socket), Reply::ExecExited { .. }));
    let (reply, _) = running.ask(&Request::CloseStdin, &[]);
    assert_eq!(reply, Reply::Ok);
    let (bundle, _) = running.end();
    assert_eq!(bundle.logged(), "0\n1\n2\n3\n");
}

#[test]
fn an_exec_with_a_terminal_outlives_its_daemon() {
    let Some(bundle) = Bundle::new("an_exec_with_a_terminal") else { return };
    let mut plan = bundle.plan(&["sh", "-c", "read x; while [ ! -e /tmp/done ]; do sleep 0.01; done"]);
    plan.open_stdin = true;
    let (running, _) = bundle.start(plan, &[]);
    let plan = ExecPlan {
        exec_id: "one".to_owned(),
        process: process(&["sh", "-c", "seq 1 20000; echo x >/tmp/done"], true),
        seccomp: None,
        tty: true,
        size: (0, 0),
    };
    let (reply, console) = running.ask(&Request::Exec(Box::new(plan)), &[]);
    assert!(matches!(reply, Reply::ExecStarted { .. }), "{reply:?}");
    let (bundle, mut child) = (running.bundle, running.spawned.child);
    drop((running.spawned.socket, console));
    let socket = client::connect(&bundle.run_dir()).unwrap();
    protocol::send(&socket, &Request::Subscribe, &[]).unwrap();
    assert!(matches!(receive(&socket), Reply::Started { .. }));
    protocol::send(&socket, &Request::CloseStdin, &[]).unwrap();
    let mut ends = Vec::new();
    while ends.len() < 2 {
        match receive(&socket) {
            Reply::Exited(record) => ends.push(record.code),
            Reply::ExecExited { code, .. } => ends.push(code),
            _ => {}
        }
    }
    assert!(ends.contains(&0), "{ends:?}");
    child.wait().unwrap();
    assert!(bundle.directory.path().join("rootfs/tmp/done").exists());
}
