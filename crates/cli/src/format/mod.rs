//! Turning answers into text, byte for byte as Docker's users know it.

pub mod json;
pub mod list;
pub mod number;
pub mod ports;
pub mod tabwriter;
pub mod text;
pub mod time;
pub mod units;
pub mod value;
