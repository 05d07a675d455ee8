//! A client on a pseudo terminal.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::client::Client;
use crate::wait::until;

/// A running client whose stdin, stdout and stderr are one terminal.
pub struct Terminal {
    master: File,
    child: Child,
    screen: Arc<Mutex<Vec<u8>>>,
    seen: usize,
}

// === impl Terminal ===

impl Terminal {
    /// Starts a client in a session of its own with the terminal as its controlling terminal.
    pub fn start(client: &Client, arguments: &[&str]) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("openpt");
        grantpt(&master).expect("grantpt");
        unlockpt(&master).expect("unlockpt");
        let name = ptsname(&master, Vec::new()).expect("ptsname");
        let slave = rustix::fs::open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())
            .expect("open the terminal");
        resize(&master, 24, 80);
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait", "timeout", "--foreground", "-k", "5", "120"]);
        command.arg(&client.program).args(arguments);
        client.environment(&mut command);
        command.env("TERM", "xterm");
        let end = || slave.try_clone().expect("dup");
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().expect("setsid runs");
        drop(command);
        drop(slave);
        let screen = Arc::new(Mutex::new(Vec::new()));
        let reader = File::from(master.try_clone().expect("dup"));
        let target = Arc::clone(&screen);
        std::thread::spawn(move || read_all(reader, &target));
        Self { master: File::from(master), child, screen, seen: 0 }
    }

    /// Types some text; `\r` is the return key.
    pub fn send(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).expect("the terminal takes input");
    }

    /// Waits until a regular expression matches what came since the last match; gives the matched text.
    pub fn expect(&mut self, pattern: &str) -> String {
        let regex = regex_lite::Regex::new(pattern).expect("a valid pattern");
        let (screen, seen) = (Arc::clone(&self.screen), self.seen);
        let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
        loop {
            let text = String::from_utf8_lossy(&screen.lock().unwrap()[seen..]).into_owned();
            if let Some(found) = regex.find(&text) {
                self.seen = seen + found.end();
                return found.as_str().to_owned();
            }
            assert!(std::time::Instant::now() < end, "no {pattern:?} on the terminal, only {text:?}");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// Everything shown so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned()
    }

    /// Changes the window size; the client is told by SIGWINCH.
    pub fn resize(&self, rows: u16, columns: u16) {
        resize(&self.master, rows, columns);
    }

    /// Waits for the client to end; gives its exit code.
    pub fn wait(mut self) -> i32 {
        let child = &mut self.child;
        until("the client on the terminal ends", 30, || child.try_wait().expect("wait")).code().unwrap_or(-1)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Closing the master hangs the session up; the wait below only collects a client that has ended.
        let _ = self.child.try_wait();
    }
}

fn resize(master: &impl std::os::fd::AsFd, rows: u16, columns: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(master, size).expect("set the window size");
}

fn read_all(mut from: File, into: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 4096];
    // EIO is how a terminal says that its last user has gone.
    while let Ok(count) = from.read(&mut buffer) {
        if count == 0 {
            break;
        }
        into.lock().unwrap().extend_from_slice(&buffer[..count]);
    }
}
