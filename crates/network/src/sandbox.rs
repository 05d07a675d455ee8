//! Network namespaces: made and pinned before anything runs in them.

use std::path::PathBuf;

use types::SandboxId;

/// A pinned network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sandbox {
    /// Identifier.
    pub id: SandboxId,
    /// The file that pins it, `<exec_root>/netns/<12 hex>`; open it to join. `<exec_root>/netns/default` stands for the
    /// host's own namespace and is not a file.
    pub key: PathBuf,
}
