//! Dockerfiles: from text to stages of typed instructions, without values of variables.

mod directive;
mod error;
mod flags;
mod graph;
mod heredoc;
mod instruction;
mod interpret;
mod lexer;
mod line;
mod mount;
mod parse;
mod source;
#[cfg(test)]
mod tests;

pub use directive::Directive;
pub use error::{Error, ErrorStage, excerpt};
pub use heredoc::Heredoc;
pub use instruction::{
    Add, Argument, CommandLine, Copy, Files, From, Healthcheck, Instruction, Pair, Run, RunNetwork, RunSecurity,
    Source, Task, WORDS,
};
pub use mount::{MountFlag, MountKind, RunMount, Sharing};
pub use parse::{Dockerfile, EmptyContinuation, Stage, Step, steps};
pub use source::Range;
