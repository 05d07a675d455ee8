//! Row X-09, interactive part: what a person at a real terminal sees and types.
#![allow(clippy::unwrap_used, missing_docs)]

use privileged_tests::{Client, Daemon, Options, Tmux, skip, until};

/// A terminal for every client; the test ends with a visible skip when there is no tmux.
fn terminals(daemon: &Daemon) -> Option<Vec<(Client, Tmux)>> {
    let opened: Option<Vec<_>> =
        daemon.clients().into_iter().map(|client| Tmux::open(&client).map(|tmux| (client, tmux))).collect();
    if opened.is_none() {
        skip("tmux is not installed");
    }
    opened
}

fn program(client: &Client) -> String {
    client.program.display().to_string()
}

#[test]
fn x_09_terminal_runs_a_shell_and_is_the_same_afterwards() {
    let daemon = Daemon::shared();
    let Some(terminals) = terminals(daemon) else { return };
    for (client, tmux) in terminals {
        let before = tmux.settings();
        tmux.line(&format!("{} run -it --rm busybox sh", program(&client)));
        tmux.see(r"/ # $");
        // Lines begin in the first column: nothing forgot the carriage return.
        tmux.line("printf 'one\\ntwo\\nthree\\n'");
        tmux.see(r"\none\ntwo\nthree\n/ # $");
        tmux.line("printf '\\033[31mscarlet\\033[0m\\n'");
        tmux.see(r"\nscarlet\n");
        assert!(tmux.colours().contains("\u{1b}[31mscarlet"), "{}: {}", client.name, tmux.colours());
        // What is typed is shown once, and editing keys work.
        tmux.text("echo wrong");
        tmux.keys(&["C-u"]);
        tmux.line("echo ri''ght");
        tmux.see(r"\nright\n/ # $");
        assert!(!tmux.screen().contains("\nwrong"), "{}", tmux.screen());
        tmux.line("exit 3");
        tmux.see(r"ready> $");
        tmux.line("echo code $?");
        tmux.see(r"\ncode 3\n");
        assert_eq!(tmux.settings(), before, "{}: the terminal's settings", client.name);
    }
}

#[test]
fn x_09_terminal_size_follows_the_window() {
    let daemon = Daemon::shared();
    let Some(terminals) = terminals(daemon) else { return };
    for (client, tmux) in terminals {
        tmux.line(&format!("{} run -it --rm busybox sh", program(&client)));
        tmux.see(r"/ # $");
        for (rows, columns) in [(24, 80), (31, 97)] {
            tmux.resize(rows, columns);
            until("the size reaches the container", 60, || {
                tmux.line("clear; stty size");
                tmux.see(r"^[0-9]+ [0-9]+\n/ # $").starts_with(&format!("{rows} {columns}\n")).then_some(())
            });
        }
        tmux.line("exit");
        tmux.see(r"ready> $");
        tmux.resize(24, 80);
    }
}

#[test]
fn x_09_terminal_control_c_and_control_d() {
    let daemon = Daemon::shared();
    let Some(terminals) = terminals(daemon) else { return };
    for (client, tmux) in terminals {
        let before = tmux.settings();
        // The key reaches the container's foreground process, not the client.
        tmux.line(&format!("{} run -it --rm busybox sh", program(&client)));
        tmux.see(r"/ # $");
        tmux.line("echo sleeping; sleep 1000");
        tmux.see(r"\nsleeping $");
        tmux.keys(&["C-c"]);
        tmux.see(r"\^C\n/ # $");
        tmux.line("echo code $?");
        tmux.see(r"\ncode 130\n/ # $");
        tmux.keys(&["C-d"]);
        tmux.see(r"ready> $");
        tmux.line("echo code $?");
        // The shell's own last status.
        tmux.see(r"\ncode 0\nready> $");
        tmux.clear();
        // A program without a shell around it dies of the key.
        tmux.line(&format!("{} run -it --rm --init busybox sh -c 'echo up; exec sleep 1000'", program(&client)));
        tmux.see(r"\nup $");
        tmux.keys(&["C-c"]);
        tmux.see(r"\^C\s*ready> $");
        tmux.line("echo code $?");
        tmux.see(r"\ncode 130\n");
        assert_eq!(tmux.settings(), before, "{}: the terminal's settings", client.name);
    }
}

#[test]
fn x_09_terminal_detach_and_attach_again() {
    let daemon = Daemon::shared();
    let Some(terminals) = terminals(daemon) else { return };
    for (client, tmux) in terminals {
        let before = tmux.settings();
        let name = daemon.name("detach");
        tmux.line(&format!("{} run -it --name {name} busybox sh", program(&client)));
        tmux.see(r"/ # $");
        tmux.line("mark=here");
        tmux.keys(&["C-p", "C-q"]);
        tmux.see(r"ready> $");
        assert_eq!(tmux.settings(), before, "{}: the terminal's settings", client.name);
        assert_eq!(daemon.inspect(&name, "{{.State.Running}}"), "true", "{}", client.name);
        tmux.clear();
        tmux.line(&format!("{} attach {name}", program(&client)));
        until("the terminal is raw", 60, || tmux.settings().contains("-icanon").then_some(()));
        tmux.line("echo still $mark");
        tmux.see(r"\nstill here\n/ # $");
        // Control-P alone is not lost.
        tmux.keys(&["C-d"]);
        tmux.see(r"ready> $");
        assert_eq!(tmux.settings(), before, "{}: the terminal's settings", client.name);
        assert_eq!(daemon.inspect(&name, "{{.State.Running}}"), "false", "{}", client.name);
        tmux.clear();
        // Keys of one's own choice, with start -ai.
        tmux.line(&format!("{} start -ai --detach-keys ctrl-x,q {name}", program(&client)));
        tmux.see(r"/ # $");
        tmux.keys(&["C-x"]);
        tmux.text("q");
        tmux.see(r"ready> $");
        assert_eq!(daemon.inspect(&name, "{{.State.Running}}"), "true", "{}", client.name);
        daemon.docker(&["rm", "-f", &name]).exits(0);
    }
}

#[test]
fn x_09_terminal_full_screen_editor_in_exec() {
    let daemon = Daemon::shared();
    let Some(terminals) = terminals(daemon) else { return };
    for (client, tmux) in terminals {
        let before = tmux.settings();
        let name = daemon.background("editor", "sleep 1000");
        tmux.line(&format!("{} exec -it {name} vi /tmp/letter", program(&client)));
        tmux.see(r"(~\n){20}- /tmp/letter");
        assert!(tmux.is_full_screen(), "{}: {}", client.name, tmux.screen());
        tmux.text("ifirst line");
        tmux.keys(&["Enter"]);
        tmux.text("second line");
        tmux.keys(&["Escape"]);
        tmux.see(r"^first line\nsecond line\n(~\n)+- /tmp/letter");
        // The cursor keys are escape sequences, which arrive whole.
        tmux.keys(&["Up"]);
        tmux.text("0i>");
        tmux.keys(&["Escape"]);
        tmux.see(r"^>first line\nsecond line\n(~\n)+- /tmp/letter");
        tmux.line(":wq");
        tmux.see(r"ready> $");
        assert!(!tmux.is_full_screen(), "{}: {}", client.name, tmux.screen());
        assert_eq!(tmux.settings(), before, "{}: the terminal's settings", client.name);
        assert_eq!(daemon.docker(&["exec", &name, "cat", "/tmp/letter"]).stdout, ">first line\nsecond line\n");
        daemon.docker(&["rm", "-f", &name]).exits(0);
    }
}

#[test]
fn x_09_terminal_is_restored_when_container_client_or_daemon_is_killed() {
    let daemon = Daemon::start(Options::default());
    let Some(terminals) = terminals(&daemon) else { return };
    for (client, tmux) in terminals {
        let before = tmux.settings();
        let name = daemon.name("crash");
        let start = |tmux: &Tmux| {
            tmux.clear();
            tmux.line(&format!("{} run -it --name {name} busybox sh", program(&client)));
            tmux.see(r"/ # $");
            assert!(tmux.settings().contains("-icanon"), "{}: {}", client.name, tmux.settings());
        };
        // The container.
        start(&tmux);
        daemon.docker(&["kill", &name]).exits(0);
        tmux.see(r"ready> $");
        assert_eq!(tmux.settings(), before, "{}: after the container was killed", client.name);
        tmux.line("echo code $?");
        tmux.see(r"\ncode 137\n");
        daemon.docker(&["rm", "-f", &name]).exits(0);
        // The client: the shell above it restores what it knew.
        start(&tmux);
        tmux.line("stty -echo");
        until("the client is killed", 60, || kill_client(&daemon.host(), &name));
        tmux.see(r"ready> $");
        assert_eq!(tmux.settings(), before, "{}: after the client was killed", client.name);
        assert_eq!(daemon.inspect(&name, "{{.State.Running}}"), "true", "{}", client.name);
        daemon.docker(&["rm", "-f", &name]).exits(0);
        // The daemon.
        start(&tmux);
        daemon.kill();
        tmux.see(r"ready> $");
        assert_eq!(tmux.settings(), before, "{}: after the daemon was killed", client.name);
        daemon.launch();
        daemon.docker(&["rm", "-f", &name]).exits(0);
    }
}

/// Sends SIGKILL to the client process that has the name in its command line and the engine in its environment.
fn kill_client(host: &str, name: &str) -> Option<()> {
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let read = |file: &str| {
            std::fs::read(entry.path().join(file)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        };
        let (Ok(line), Ok(environment)) = (read("cmdline"), read("environ")) else { continue };
        if line.contains(&format!("\0--name\0{name}\0")) && environment.contains(host) {
            let pid = entry.file_name().to_string_lossy().into_owned();
            assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
            return Some(());
        }
    }
    None
}
