//! Signals by name and number, as `docker kill -s` takes them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The text names no signal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid signal: {0}")]
pub struct InvalidSignal(pub String);

/// A Linux signal number between 1 and 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Signal(i32);

/// Linux numbers on x86-64 and arm64 (signal(7)).
const NAMES: [(&str, i32); 36] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("IOT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("POLL", 29),
    ("PWR", 30),
    ("SYS", 31),
    ("RTMIN", 34),
    ("RTMAX", 64),
];

impl Signal {
    /// `SIGKILL`.
    pub const KILL: Self = Self(9);
    /// `SIGTERM`.
    pub const TERM: Self = Self(15);

    /// Wraps a number between 1 and 64.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        (1..=64).contains(&number).then_some(Self(number))
    }

    /// The kernel's number.
    #[must_use]
    pub fn number(self) -> i32 {
        self.0
    }

    fn realtime(name: &str) -> Option<i32> {
        if let Some(offset) = name.strip_prefix("RTMIN+") {
            return offset.parse::<i32>().ok().filter(|n| (0..=30).contains(n)).map(|n| 34 + n);
        }
        let offset = name.strip_prefix("RTMAX-")?;
        offset.parse::<i32>().ok().filter(|n| (0..=30).contains(n)).map(|n| 64 - n)
    }
}

impl FromStr for Signal {
    type Err = InvalidSignal;
    fn from_str(text: &str) -> Result<Self, InvalidSignal> {
        let bad = || InvalidSignal(text.to_owned());
        if let Ok(number) = text.parse::<i32>() {
            return Self::from_number(number).ok_or_else(bad);
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let listed = NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
        listed.or_else(|| Self::realtime(name)).map(Self).ok_or_else(bad)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => write!(f, "SIG{name}"),
            None => write!(f, "SIGRTMIN+{}", self.0 - 34),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_numbers_and_realtime_forms() {
        for (text, number) in
            [("9", 9), ("kill", 9), ("SIGKILL", 9), ("sigHup", 1), ("RTMIN+3", 37), ("SIGRTMAX-1", 63), ("IOT", 6)]
        {
            assert_eq!(text.parse::<Signal>().map(Signal::number), Ok(number), "{text}");
        }
        for bad in ["", "0", "65", "-1", "SIGFOO", "RTMIN+31"] {
            assert_eq!(bad.parse::<Signal>(), Err(InvalidSignal(bad.to_owned())));
        }
    }
}
