//! A real terminal: a shell in a private tmux server, looked at as a person would, screen by screen.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use regex_lite::Regex;

use crate::client::Client;
use crate::wait::until;

/// A terminal window with an interactive bash whose prompt is `ready> `; ends with this value.
pub struct Tmux {
    socket: PathBuf,
}

// === impl Tmux ===

impl Tmux {
    /// Opens a window of 80 columns and 24 rows in which the client finds its engine; none when tmux is not installed.
    pub fn open(client: &Client) -> Option<Self> {
        let number =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_nanos());
        let socket = std::env::temp_dir().join(format!("gt-tmux-{}-{number}", std::process::id()));
        let mut command = Command::new("tmux");
        command.arg("-S").arg(&socket).args(["-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24"]);
        client.environment(&mut command);
        command.env("PS1", "ready> ").env("SHELL", "/bin/sh").env("LC_ALL", "C.UTF-8").env_remove("TMUX");
        command.args(["bash", "--norc", "--noprofile"]).stdin(Stdio::null());
        let started = command.status().ok()?;
        assert!(started.success(), "tmux: {started}");
        let tmux = Self { socket };
        tmux.see(r"ready> $");
        Some(tmux)
    }

    /// Types text as it stands; nothing is added.
    pub fn text(&self, text: &str) {
        self.tmux(&["send-keys", "-l", "--", text]);
    }

    /// Presses keys by tmux's names: `Enter`, `C-c`, `Escape`.
    pub fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// Types a line and the return key.
    pub fn line(&self, text: &str) {
        self.text(text);
        self.keys(&["Enter"]);
    }

    /// Waits until the screen, without trailing blanks, matches a regular expression; gives the matched text.
    #[track_caller]
    pub fn see(&self, pattern: &str) -> String {
        let regex = Regex::new(pattern).expect("a valid pattern");
        let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
        loop {
            let screen = self.screen();
            if let Some(found) = regex.find(&screen) {
                return found.as_str().to_owned();
            }
            assert!(std::time::Instant::now() < end, "no {pattern:?} on the screen:\n{screen}");
            std::thread::sleep(std::time::Duration::from_millis(30));
        }
    }

    /// Empties the screen from the shell's prompt, so that only what follows is seen.
    pub fn clear(&self) {
        self.line("clear");
        until("the screen is empty", 60, || (self.screen().trim() == "ready>").then_some(()));
    }

    /// What is on the screen, ending in one blank.
    pub fn screen(&self) -> String {
        // Prompts end in a blank, which tmux does not give.
        self.tmux(&["capture-pane", "-p"]).trim_end_matches(['\n', ' ']).to_owned() + " "
    }

    /// The screen with the escape sequences of its colours.
    pub fn colours(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-e"])
    }

    /// Whether a full-screen program has the terminal's other screen.
    pub fn is_full_screen(&self) -> bool {
        self.tmux(&["display-message", "-p", "#{alternate_on}"]).trim() == "1"
    }

    /// Changes the window's size.
    pub fn resize(&self, rows: u16, columns: u16) {
        self.tmux(&["resize-window", "-x", &columns.to_string(), "-y", &rows.to_string()]);
    }

    /// The settings of the terminal as the host sees them, whoever has it now.
    pub fn settings(&self) -> String {
        let name = self.tmux(&["display-message", "-p", "#{pane_tty}"]);
        let output = Command::new("stty").args(["-a", "-F", name.trim()]).output().expect("stty runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux").arg("-S").arg(&self.socket).args(arguments).output().expect("tmux runs");
        assert!(output.status.success(), "tmux {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        // Best effort: the server is our own and ends with its only session; the socket lies in the temporary directory.
        let _ = Command::new("tmux").arg("-S").arg(&self.socket).arg("kill-server").status();
        let _ = std::fs::remove_file(&self.socket);
    }
}
