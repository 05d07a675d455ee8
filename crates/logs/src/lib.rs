//! Container logs: record, rotate, tail, follow.
//!
//! The monitor writes with [`Log`], to a file, a collector or both; the daemon reads files with [`Reader`], which needs nothing but the
//! files: it works with the container dead and the monitor gone. [`compress`] is a process of its own.

pub mod compress;
mod decode;
mod encode;
mod ending;
mod error;
mod files;
mod format;
mod frame;
mod local;
mod log;
mod packed;
mod plan;
mod query;
mod reader;
mod record;
mod remote;
mod rotation;
mod source;
mod splitter;
mod tail;
mod timestamp;
mod watch;
mod writer;

pub use ending::Ending;
pub use error::Error;
pub use files::Codec;
pub use format::Format;
pub use log::Log;
pub use plan::{Address, Compression, Driver, LogPlan, RemoteOptions, Retry, SyslogFormat};
pub use query::{Query, Stream};
pub use reader::{ChunkState, Reader};
pub use remote::Interest;
pub use timestamp::Timestamp;
pub use writer::{FileOptions, FileWriter};
