//! Command-line flags, read exactly as Docker's command line reads them.
//!
//! A table of [`Flag`]s is the one source for parsing, help texts and error texts. The rules are those of the
//! POSIX-like parser that Docker uses: `--name value`, `--name=value`, `-n value`, `-nvalue`, `-n=value`, grouped
//! short switches (`-itd`), switches with `=true`/`=false`, `--` ends the flags.

mod check;
mod help;
mod matches;
mod parse;

pub use help::{flag_block, wrapped};
pub use matches::Matches;
pub use parse::{FlagError, Parsed, parse};

/// What checks a value as it is read. The error is the text after `invalid argument … flag: `.
pub type Check = fn(&str) -> Result<(), String>;

/// One flag of a command.
#[derive(Clone, Copy)]
pub struct Flag {
    /// Long name without dashes.
    pub name: &'static str,
    /// One-letter form.
    pub short: Option<char>,
    /// What the help calls the value (`string`, `list`, …); empty for a switch.
    pub value: &'static str,
    /// The default as help shows it; for a switch `true` also turns it on.
    pub default: &'static str,
    /// Help text, one paragraph; newlines are kept.
    pub help: &'static str,
    /// Left out of help.
    pub hidden: bool,
    /// The flag whose other name this is.
    pub same_as: &'static str,
    /// Checks the value.
    pub check: Check,
}

impl Flag {
    /// A switch.
    #[must_use]
    pub const fn switch(name: &'static str, help: &'static str) -> Self {
        Self { name, short: None, value: "", default: "", help, hidden: false, same_as: "", check: check::boolean }
    }

    /// A flag with a value. `kind` is what help calls the value, and picks the check.
    #[must_use]
    pub const fn value(name: &'static str, kind: &'static str, help: &'static str) -> Self {
        Self { value: kind, check: check::of_kind(kind), ..Self::switch(name, help) }
    }

    /// With a one-letter form.
    #[must_use]
    pub const fn short(self, short: char) -> Self {
        Self { short: Some(short), ..self }
    }

    /// With a default, shown as it is written here.
    #[must_use]
    pub const fn default(self, default: &'static str) -> Self {
        Self { default, ..self }
    }

    /// Left out of help.
    #[must_use]
    pub const fn hidden(self) -> Self {
        Self { hidden: true, ..self }
    }

    /// Another, hidden, name of the flag `name`.
    #[must_use]
    pub const fn same_as(self, name: &'static str) -> Self {
        Self { same_as: name, hidden: true, ..self }
    }

    /// With its own check.
    #[must_use]
    pub const fn check(self, check: Check) -> Self {
        Self { check, ..self }
    }

    /// The name under which values are stored.
    #[must_use]
    pub fn key(&self) -> &'static str {
        if self.same_as.is_empty() { self.name } else { self.same_as }
    }

    /// Whether the flag takes no value.
    #[must_use]
    pub fn is_switch(&self) -> bool {
        self.value.is_empty()
    }
}
