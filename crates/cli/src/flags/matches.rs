//! What the user wrote, by flag name.

use std::time::Duration;

use types::parse_go_duration;

use super::Flag;
use super::check::parse_bool;

/// The flags and arguments of one command.
pub struct Matches {
    flags: Vec<&'static Flag>,
    values: Vec<(&'static str, String)>,
    args: Vec<String>,
}

impl Matches {
    pub(super) fn new(flags: Vec<&'static Flag>, values: Vec<(&'static str, String)>, args: Vec<String>) -> Self {
        Self { flags, values, args }
    }

    /// The arguments that are no flags.
    #[must_use]
    pub fn args(&self) -> &[String] {
        &self.args
    }

    /// The argument at `index`; empty when there are fewer.
    #[must_use]
    pub fn arg(&self, index: usize) -> &str {
        self.args.get(index).map_or("", String::as_str)
    }

    /// Whether the user gave the flag.
    #[must_use]
    pub fn given(&self, name: &str) -> bool {
        self.last(name).is_some()
    }

    /// Whether a switch is on.
    #[must_use]
    pub fn on(&self, name: &str) -> bool {
        let default = || self.flags.iter().any(|flag| flag.name == name && flag.default == "true");
        self.last(name).and_then(parse_bool).unwrap_or_else(default)
    }

    /// The last value given; empty when none was.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.last(name).unwrap_or_default()
    }

    /// The last value given, if any.
    #[must_use]
    pub fn maybe(&self, name: &str) -> Option<&str> {
        self.last(name)
    }

    /// Every value given, in order.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<&str> {
        self.values.iter().filter(|(key, _)| *key == name).map(|(_, value)| value.as_str()).collect()
    }

    /// A number that was checked when it was read.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<i64> {
        self.last(name)?.parse().ok()
    }

    /// A duration that was checked when it was read, in nanoseconds (negative when given so).
    #[must_use]
    pub fn nanoseconds(&self, name: &str) -> i64 {
        let text = self.text(name);
        let (sign, positive) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
        let duration = parse_go_duration(positive).unwrap_or(Duration::ZERO);
        sign * i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
    }

    fn last(&self, name: &str) -> Option<&str> {
        self.values.iter().rev().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
    }
}
