//! Words that every room shares: identifiers, digests, image references, mounts, signals, error kinds.
//!
//! Nothing here does I/O. Every type is parsed once, at the edge, and is valid from then on.

mod digest;
mod duration;
mod error_kind;
mod id;
mod mount;
mod platform;
mod reference;
mod signal;
mod size;
mod ulimit;
mod words;

pub use digest::{Digest, InvalidDigest};
pub use duration::{InvalidDuration, format_go_duration, human_duration, parse_go_duration};
pub use error_kind::{ErrorKind, Kind};
pub use id::{ContainerId, EndpointId, ExecId, InvalidId, LayerId, NetworkId, SandboxId};
pub use mount::Mount;
pub use platform::Platform;
pub use reference::{InvalidReference, Reference};
pub use signal::{InvalidSignal, Signal};
pub use size::{InvalidSize, parse_size};
pub use ulimit::ULIMITS;
pub use words::go_words;
