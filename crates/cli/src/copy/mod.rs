//! What `cp` does on our side: reading and writing the local file system, and which name ends up where.

mod context;
mod extract;
mod names;
mod pack;

pub use context::{pack_context, pack_files};
pub use extract::{Extraction, extract};
pub use names::{Info, Rename, arrange, local_source, renamed, resolve_local, split_argument, split_entry};
pub use pack::{Source, pack};

/// The system's words as Go writes them: without the number, beginning small.
#[must_use]
pub fn go_text(error: &std::io::Error) -> String {
    types::go_words(&error.to_string())
}
