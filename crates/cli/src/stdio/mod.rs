//! The user's terminal and streams: raw mode, detach keys, frames, signals.

pub mod demux;
pub mod detach;
pub mod input;
pub mod output;
pub mod session;
pub mod signals;
pub mod terminal;
