//! Variables in a Dockerfile's words: `$NAME`, `${NAME:-word}` and the rest, quotes and escapes.

mod instruction;
mod lexer;
mod pattern;
mod scope;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::quote::quoted;

pub use instruction::{Expansion, declare, from, instruction, mounts};
pub use lexer::{Lexer, Reason};
pub use scope::{Arguments, Globals, Scope};

/// Where values of variables come from.
pub trait Variables {
    /// The value of a variable; `None` when it is not set.
    fn value(&self, name: &str) -> Option<&str>;
}

/// Nothing is set.
impl Variables for () {
    fn value(&self, _: &str) -> Option<&str> {
        None
    }
}

impl Variables for BTreeMap<String, String> {
    fn value(&self, name: &str) -> Option<&str> {
        self.get(name).map(String::as_str)
    }
}

/// `NAME=value` lines, as image configurations have them; the last of a name counts.
impl Variables for [String] {
    fn value(&self, name: &str) -> Option<&str> {
        self.iter().rev().find_map(|line| match line.split_once('=') {
            Some((key, value)) => (key == name).then_some(value),
            None => (line == name).then_some(""),
        })
    }
}

/// What became of a word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expanded {
    /// The whole text, white space and all.
    pub text: String,
    /// The text split at unquoted white space, after values were put in.
    pub words: Vec<String>,
    /// Variables that had a value.
    pub used: BTreeSet<String>,
    /// Variables that had none.
    pub missing: BTreeSet<String>,
}

/// A word could not be expanded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to process {}: {reason}", quoted(word))]
pub struct Error {
    /// The word as it was written.
    pub word: String,
    /// What is wrong with it.
    pub reason: Reason,
}
