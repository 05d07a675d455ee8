//! Texts of flags (`8080:80/tcp`, `type=bind,…`, `512m`) read into data: pure functions with Docker's error texts.

pub mod check;
pub mod device;
pub mod filter;
pub mod gpus;
pub mod keyvalue;
pub mod mount;
pub mod network;
pub mod port;
pub mod security;
pub mod size;
pub mod time;
pub mod timezone;
pub mod ulimit;
pub mod volume;
