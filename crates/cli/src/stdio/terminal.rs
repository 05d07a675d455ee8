//! Raw mode, given back whatever happens.

use std::io;

use rustix::termios::{self, OptionalActions, Termios};

/// The terminal at stdin in raw mode; dropping it restores what was.
pub struct Raw {
    before: Termios,
}

impl Raw {
    /// Sets the terminal at stdin to raw mode; `None` when stdin is no terminal.
    ///
    /// # Errors
    /// The system's.
    pub fn enter() -> io::Result<Option<Self>> {
        let stdin = rustix::stdio::stdin();
        if !termios::isatty(stdin) {
            return Ok(None);
        }
        let before = termios::tcgetattr(stdin)?;
        let mut raw = before.clone();
        raw.make_raw();
        termios::tcsetattr(stdin, OptionalActions::Now, &raw)?;
        Ok(Some(Self { before }))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // The terminal may be gone; nobody is left to tell.
        let _ = termios::tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &self.before);
    }
}

/// The terminal at stdin without echo, for passwords; dropping it restores what was.
pub struct Silent {
    before: Termios,
}

impl Silent {
    /// Switches the echo off.
    ///
    /// # Errors
    /// The system's, also when stdin is no terminal.
    pub fn enter() -> io::Result<Self> {
        let stdin = rustix::stdio::stdin();
        let before = termios::tcgetattr(stdin)?;
        let mut silent = before.clone();
        silent.local_modes.remove(termios::LocalModes::ECHO);
        termios::tcsetattr(stdin, OptionalActions::Flush, &silent)?;
        Ok(Self { before })
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // The terminal may be gone; nobody is left to tell.
        let _ = termios::tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &self.before);
    }
}
