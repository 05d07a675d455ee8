//! Processes in a running container.

use std::fs::File;
use std::io::{Read as _, Write as _};

use runtime::spec::Process;
use runtime::{Created, Error, ExecRequest, Execed, Stdio};

use crate::Test;
use crate::host::{Bundle, Outcome, finish, kill, wait};

/// All of them.
pub const TESTS: &[Test] = &[
    ("exec_joins_the_container", exec_joins_the_container),
    ("exec_joins_mapped_users", exec_joins_mapped_users),
    ("exec_has_its_own_settings", exec_has_its_own_settings),
    ("exec_is_refused_in_dockers_words", exec_is_refused_in_dockers_words),
    ("exec_opens_a_terminal", exec_opens_a_terminal),
    ("containers_have_terminals", containers_have_terminals),
    ("exec_needs_a_running_container", exec_needs_a_running_container),
];

fn running(bundle: &Bundle) -> Created {
    let (mut created, ..) = bundle.create().unwrap();
    created.start().unwrap();
    created
}

fn process(bundle: &Bundle, args: &[&str]) -> Process {
    let args = args.iter().map(|&argument| argument.to_owned()).collect();
    Process { args, ..bundle.spec.process.clone().unwrap() }
}

fn exec(created: &Created, process: Process) -> Result<Outcome, Error> {
    let (stdout, stdout_writer) = std::io::pipe().unwrap();
    let (stderr, stderr_writer) = std::io::pipe().unwrap();
    let execed = start(
        created,
        process,
        Stdio::Pipes {
            stdin: File::open("/dev/null").unwrap().into(),
            stdout: stdout_writer.into(),
            stderr: stderr_writer.into(),
        },
    )?;
    Ok(finish(execed.pid, stdout.into(), stderr.into()))
}

fn start(created: &Created, process: Process, stdio: Stdio) -> Result<Execed, Error> {
    runtime::exec(ExecRequest {
        target: created.pid,
        process,
        seccomp: None,
        stdio,
        cgroup: created.cgroup.clone(),
        preserve_fds: 0,
    })
}

fn exec_joins_the_container() {
    let bundle = Bundle::sh("sleep 60");
    let created = running(&bundle);
    let script = "hostname; ps | grep -c 'sleep 60$'; cat /proc/self/cgroup /proc/1/cgroup | sort | uniq -c | \
                  grep -c ' 1 '; echo $$ | grep -c '^1$'; grep CapEff /proc/self/status; \
                  exec ls /proc/self/fd";
    let outcome = exec(&created, process(&bundle, &["sh", "-c", script]));
    kill(&created);
    let outcome = outcome.unwrap();
    let words: Vec<&str> = outcome.stdout.lines().collect();
    assert_eq!(words[..4], ["inside", "1", "0", "0"], "{outcome:?}");
    // The last is the directory itself.
    assert_eq!(words[4..], ["CapEff:\t00000000a80425fb", "0", "1", "2", "3"], "{outcome:?}");
}

fn exec_joins_mapped_users() {
    let mut bundle = Bundle::sh("sleep 60");
    crate::namespaces::map(&mut bundle);
    let created = running(&bundle);
    let outcome =
        exec(&created, process(&bundle, &["sh", "-c", "id -u; cat /proc/self/uid_map | tr -s ' '; touch /x"]));
    kill(&created);
    let outcome = outcome.unwrap_or_else(|error| panic!("{}", crate::host::chain(&error)));
    assert_eq!(outcome.stdout, "0\n 0 100000 65536\n", "{outcome:?}");
}

fn exec_has_its_own_settings() {
    let bundle = Bundle::sh("sleep 60");
    let created = running(&bundle);
    let mut wanted = process(&bundle, &["sh", "-c", "id -u; pwd; echo $X $HOME; ulimit -n; exit 7"]);
    wanted.user.uid = 1000;
    wanted.cwd = "/etc".into();
    wanted.env.push("X=y".into());
    wanted.rlimits = vec![runtime::spec::Rlimit { kind: "RLIMIT_NOFILE".into(), soft: 64, hard: 64 }];
    let outcome = exec(&created, wanted);
    kill(&created);
    let outcome = outcome.unwrap();
    assert_eq!((outcome.stdout.as_str(), outcome.code), ("1000\n/etc\ny /home/user\n64\n", 7), "{outcome:?}");
}

fn exec_is_refused_in_dockers_words() {
    let bundle = Bundle::sh("sleep 60");
    let created = running(&bundle);
    let missing = exec(&created, process(&bundle, &["foo"]));
    let mut directory = process(&bundle, &["true"]);
    directory.cwd = "/nowhere".into();
    let directory = exec(&created, directory);
    kill(&created);
    assert_eq!(missing.unwrap_err().to_string(), "exec: \"foo\": executable file not found in $PATH");
    assert!(matches!(directory, Err(Error::WorkingDirectory { .. })), "{directory:?}");
}

/// Reads a terminal's master until the other side is gone, which it says as EIO.
fn read_all(master: &mut File) -> String {
    let (mut text, mut buffer) = (String::new(), [0; 1024]);
    while let Ok(length @ 1..) = master.read(&mut buffer) {
        text.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
    }
    text
}

fn exec_opens_a_terminal() {
    let bundle = Bundle::sh("sleep 60");
    let created = running(&bundle);
    let script = "tty; stty size; read line; echo got $line";
    let execed =
        start(&created, process(&bundle, &["sh", "-c", script]), Stdio::Terminal { rows: 33, cols: 99 }).unwrap();
    let mut master = File::from(execed.console.unwrap());
    master.write_all(b"words\n").unwrap();
    let text = read_all(&mut master);
    let code = wait(execed.pid);
    kill(&created);
    assert_eq!(code, 0);
    for part in ["/dev/pts/0\r\n", "33 99\r\n", "got words\r\n"] {
        assert!(text.contains(part), "{text:?}");
    }
}

fn containers_have_terminals() {
    let bundle =
        Bundle::sh("tty; stty size; echo direct > /dev/console; ls -l /dev/console | cut -c1; echo x > /dev/tty");
    let mut created = runtime::create(bundle.request(Stdio::Terminal { rows: 10, cols: 20 })).unwrap();
    created.start().unwrap();
    let mut master = File::from(created.console.take().unwrap());
    let text = read_all(&mut master);
    wait(created.pid);
    crate::host::remove(&created);
    assert_eq!(text, "/dev/pts/0\r\n10 20\r\ndirect\r\nc\r\nx\r\n");
}

fn exec_needs_a_running_container() {
    let bundle = Bundle::sh("true");
    let (mut created, stdout, stderr) = bundle.create().unwrap();
    created.start().unwrap();
    finish(created.pid, stdout, stderr);
    let result = exec(&created, process(&bundle, &["true"]));
    crate::host::remove(&created);
    assert!(matches!(result, Err(Error::NotRunning { .. })), "{result:?}");
}
