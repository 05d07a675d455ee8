//! What a build tells while it goes on.

/// Where output comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Something happened. Ids of images and containers are whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Something that users should know; a line.
    Warning(String),
    /// A step begins.
    Step {
        /// From 1.
        number: usize,
        /// Of so many, as far as is known before the bases have been seen.
        total: usize,
        /// The instruction, variables as they are.
        text: String,
    },
    /// Instructions that the base has for its children follow.
    Triggers(usize),
    /// The step was done before.
    UsingCache,
    /// The step has a container.
    Running(String),
    /// Its process wrote something.
    Output(Stream, Vec<u8>),
    /// The step's container goes.
    Removing(String),
    /// The step's image; empty for none.
    Image(String),
    /// The image of a whole stage.
    Stage(String),
}
