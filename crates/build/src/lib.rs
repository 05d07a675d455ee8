//! The Dockerfile language: parsing, variables, `.dockerignore`, image configurations, checks. No I/O.
//!
//! A text becomes a [`Dockerfile`] of stages and steps ([`dockerfile`]); variables are put in with [`expand`]; what
//! comes of it is carried out by others.

pub mod check;
pub mod config;
pub mod dockerfile;
pub mod expand;
pub mod ignore;
pub mod path;
mod quote;
pub mod solve;
mod suggest;

pub use dockerfile::{Dockerfile, Instruction, Stage, Step};
