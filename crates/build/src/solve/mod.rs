//! From a parsed Dockerfile to images: which step follows which, what it makes of the configuration, and whether it was
//! done before. What touches files and containers is a [`Worker`]'s; what users see is told as [`Event`]s, and how they
//! see it is up to whoever listens.
//!
//! Stages and steps are walked in their order. A step is known by the image below it and by a [`Record`] that says
//! everything about it, the content of files by digest: this is what caches are asked for.

mod copying;
mod event;
mod failure;
mod options;
#[cfg(test)]
mod tests;
mod walk;
mod worker;

pub use event::{Event, Stream};
pub use failure::{BUILDKIT, Failure};
pub use options::Options;
pub use walk::solve;
pub use worker::{Base, Content, Network, Origin, Record, RunStep, Script, Sources, Target, Worker};
