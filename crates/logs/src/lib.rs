//! Container logs: record, rotate, tail, follow.
//!
//! The monitor writes with [`JsonFileWriter`]; the daemon reads with [`Reader`], which needs nothing but the
//! files: it works with the container dead and the monitor gone.

mod decode;
mod encode;
mod ending;
mod error;
mod files;
mod frame;
mod query;
mod reader;
mod tail;
mod timestamp;
mod watch;
mod writer;

pub use ending::Ending;
pub use error::Error;
pub use query::{Query, Stream};
pub use reader::{ChunkState, Reader};
pub use timestamp::Timestamp;
pub use writer::{JsonFileOptions, JsonFileWriter};
