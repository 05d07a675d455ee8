//! Docker's progress messages: JSON objects one after another, shown as lines, or on a terminal as one live line a layer.

use std::io::{self, IsTerminal, Write};

use client::Response;
use rustix::termios;
use serde::Deserialize;

use crate::Failure;
use crate::format::units::human_size;

/// Where progress goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// stdout
    Out,
    /// stderr
    Err,
    /// Nowhere; errors still count.
    Nowhere,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message {
    stream: String,
    status: String,
    id: String,
    from: String,
    #[serde(rename = "progressDetail")]
    progress: Option<Progress>,
    #[serde(rename = "errorDetail")]
    error: Option<ErrorDetail>,
    aux: Option<Aux>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Progress {
    current: i64,
    total: i64,
    hidecounts: bool,
    units: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ErrorDetail {
    message: String,
    /// Exit code of the command that failed.
    code: i64,
}

/// What is meant for programs.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Aux {
    #[serde(rename = "ID")]
    id: String,
}

/// Shows messages as they come.
pub struct Display<W> {
    out: W,
    /// Columns of the terminal; `None` when there is none.
    terminal: Option<usize>,
    ids: Vec<String>,
    pending: Vec<u8>,
    /// The image that was told last.
    image: Option<String>,
}

/// Shows an answer's messages to their end.
///
/// # Errors
/// The engine's own error message, or that the connection broke.
pub async fn show(response: Response, target: Target) -> Result<(), Failure> {
    build(response, target).await.map(drop)
}

/// The same, and the id of the image that a build has made. A command that failed gives its exit code.
///
/// # Errors
/// As [`show`].
pub async fn build(mut response: Response, target: Target) -> Result<Option<String>, Failure> {
    let columns = |fd: rustix::fd::BorrowedFd<'_>| {
        let size = termios::tcgetwinsize(fd).ok()?;
        Some(usize::from(size.ws_col))
    };
    let (out, terminal): (Box<dyn Write>, _) = match target {
        Target::Out => {
            let terminal = io::stdout().is_terminal().then(|| columns(rustix::stdio::stdout()).unwrap_or(200));
            (Box::new(io::stdout()), terminal)
        }
        Target::Err => {
            let terminal = io::stderr().is_terminal().then(|| columns(rustix::stdio::stderr()).unwrap_or(200));
            (Box::new(io::stderr()), terminal)
        }
        Target::Nowhere => (Box::new(io::sink()), None),
    };
    let mut display = Display::new(out, terminal);
    while let Some(bytes) = response.chunk().await? {
        display.push(&bytes)?;
    }
    Ok(display.image)
}

impl<W: Write> Display<W> {
    /// A display on `out`; `terminal` has its columns when it is one.
    pub fn new(out: W, terminal: Option<usize>) -> Self {
        Self { out, terminal, ids: Vec::new(), pending: Vec::new(), image: None }
    }

    /// Takes the next piece of the stream.
    ///
    /// # Errors
    /// The engine's error message.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.pending.extend_from_slice(bytes);
        let pending = std::mem::take(&mut self.pending);
        let mut stream = serde_json::Deserializer::from_slice(&pending).into_iter::<Message>();
        let mut used = 0;
        while let Some(message) = stream.next() {
            match message {
                Ok(message) => {
                    used = stream.byte_offset();
                    self.message(&message)?;
                }
                Err(error) if error.is_eof() => break,
                Err(error) => return Err(Failure::Invalid(format!("unexpected progress message: {error}"))),
            }
        }
        self.pending = pending[used..].to_vec();
        Ok(())
    }

    fn message(&mut self, message: &Message) -> Result<(), Failure> {
        if let Some(aux) = &message.aux {
            self.image = Some(aux.id.clone()).filter(|id| !id.is_empty()).or(self.image.take());
            return Ok(());
        }
        let mut text = String::new();
        let mut down = 0;
        if !message.id.is_empty() && message.progress.is_some() {
            let line = self.ids.iter().position(|id| *id == message.id).unwrap_or_else(|| {
                if self.terminal.is_some() {
                    text.push('\n');
                }
                self.ids.push(message.id.clone());
                self.ids.len() - 1
            });
            down = self.ids.len() - line;
            if self.terminal.is_some() {
                text.push_str(&format!("\x1b[{down}A"));
            }
        } else {
            // A line without progress ends the block of live lines.
            self.ids.clear();
        }
        let shown = message.show(self.terminal);
        if let Ok(line) = &shown {
            text.push_str(line);
        }
        if !message.id.is_empty() && self.terminal.is_some() && down > 0 {
            text.push_str(&format!("\x1b[{down}B"));
        }
        // Whoever read our progress may be gone; the operation goes on.
        let _ = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
        let code = message.error.as_ref().and_then(|error| u8::try_from(error.code).ok()).filter(|code| *code != 0);
        shown.map(|_| ()).map_err(|text| match code {
            Some(code) => Failure::Status { text, code },
            None => Failure::Invalid(text),
        })
    }
}

impl Message {
    /// The text of one message, or the error that it carries.
    fn show(&self, terminal: Option<usize>) -> Result<String, String> {
        if let Some(error) = &self.error {
            return Err(error.message.clone());
        }
        let bar = self.progress.as_ref().map(|progress| progress.show(terminal.unwrap_or(200)));
        let (mut text, mut end) = (String::new(), "");
        match (&bar, terminal) {
            (Some(_), Some(_)) if self.stream.is_empty() => {
                text.push_str("\x1b[2K\r");
                end = "\r";
            }
            // Lines that only move a bar say nothing on a file.
            (Some(bar), None) if !bar.is_empty() => return Ok(String::new()),
            _ => {}
        }
        if !self.id.is_empty() {
            text.push_str(&format!("{}: ", self.id));
        }
        if !self.from.is_empty() {
            text.push_str(&format!("(from {}) ", self.from));
        }
        match bar.filter(|_| terminal.is_some()) {
            Some(bar) => text.push_str(&format!("{} {bar}{end}", self.status)),
            None if !self.stream.is_empty() => text.push_str(&format!("{}{end}", self.stream)),
            None => text.push_str(&format!("{}{end}\n", self.status)),
        }
        Ok(text)
    }
}

impl Progress {
    fn show(&self, columns: usize) -> String {
        if self.current <= 0 && self.total <= 0 {
            return String::new();
        }
        let size = |number: i64| human_size(number as f64, 4);
        if self.total <= 0 {
            return match self.units.as_str() {
                "" => format!("{:>8}", size(self.current)),
                units => format!("{} {units}", self.current),
            };
        }
        let filled = ((self.current as f64 / self.total as f64 * 100.0) as usize / 2).min(50);
        let bar = if columns > 110 {
            format!("[{}>{}] ", "=".repeat(filled), " ".repeat(50 - filled))
        } else {
            String::new()
        };
        let counts = match self.units.as_str() {
            _ if self.hidecounts => String::new(),
            "" if self.current > self.total => format!("{:>8}", size(self.current)),
            "" => format!("{:>8}/{}", size(self.current), size(self.total)),
            units if self.current > self.total => format!("{} {units}", self.current),
            units => format!("{}/{} {units}", self.current, self.total),
        };
        bar + &counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(terminal: Option<usize>, messages: &[&str]) -> String {
        let mut out = Vec::new();
        let mut display = Display::new(&mut out, terminal);
        for message in messages {
            display.push(message.as_bytes()).expect("no error");
        }
        String::from_utf8(out).expect("text")
    }

    const PULL: [&str; 5] = [
        r#"{"status":"Pulling from library/x","id":"latest"}"#,
        r#"{"status":"Pulling fs layer","progressDetail":{},"id":"aa"}{"status":"Waiting","progressDetail":{},"id":"bb"}"#,
        "{\"status\":\"Downloading\",\"progressDetail\":{\"current\":512,\"total\":1024}",
        r#","progress":"[=>]","id":"aa"}"#,
        r#"{"status":"Status: Downloaded"}"#,
    ];

    #[test]
    fn plain_lines_without_a_terminal() {
        assert_eq!(
            shown(None, &PULL),
            "latest: Pulling from library/x\naa: Pulling fs layer\nbb: Waiting\nStatus: Downloaded\n"
        );
    }

    #[test]
    fn live_lines_on_a_terminal() {
        assert_eq!(
            shown(Some(80), &PULL),
            "latest: Pulling from library/x\n\n\x1b[1A\x1b[2K\raa: Pulling fs layer \r\x1b[1B\n\x1b[1A\x1b[2K\rbb: Waiting \r\x1b[1B\x1b[2A\x1b[2K\raa: Downloading     512B/1.024kB\r\x1b[2BStatus: Downloaded\n"
        );
    }

    #[test]
    fn an_error_message_is_a_failure() {
        let mut display = Display::new(io::sink(), None);
        let result = display.push(br#"{"errorDetail":{"message":"no space left"},"error":"no space left"}"#);
        assert_eq!(result.map_err(|e| e.to_string()), Err("no space left".to_owned()));
    }
}
