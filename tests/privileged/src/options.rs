//! Which engine is started, and how.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::fixtures::Fixture;

/// Which engine the tests run against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The daemon of this workspace.
    Gantry,
    /// Debian's dockerd, to prove a test against the reference.
    Dockerd,
}

/// How an engine is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// The engine to start; the one under test when none is named.
    pub engine: Option<Engine>,
    /// Images loaded after the start.
    pub images: Vec<Fixture>,
    /// Written to a file that is given as `--config-file`.
    pub config: Option<Value>,
    /// Further daemon flags, after the usual ones.
    pub flags: Vec<String>,
    /// A data root elsewhere, for example on a file system of its own.
    pub data_root: Option<PathBuf>,
    /// A bridge that the test made, as `-b` names it, in the place of one that the engine owns.
    pub bridge: Option<String>,
    /// Use optimised binaries with this path instead of the ones found by `gantry_binary`.
    pub binary: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            engine: None,
            images: vec![Fixture::Busybox],
            config: None,
            flags: Vec::new(),
            data_root: None,
            bridge: None,
            binary: None,
        }
    }
}

// === impl Engine ===

impl Engine {
    /// The engine that `GANTRY_TEST_ENGINE` names; Gantry without it.
    pub fn under_test() -> Self {
        match std::env::var("GANTRY_TEST_ENGINE").as_deref() {
            Ok("dockerd") => Self::Dockerd,
            _ => Self::Gantry,
        }
    }
}

/// The `gantry` program: `GANTRY_BIN`, else the one built into this test's target directory.
pub fn gantry_binary() -> PathBuf {
    if let Some(path) = std::env::var_os("GANTRY_BIN") {
        return PathBuf::from(path);
    }
    let test = std::env::current_exe().expect("the test's own path");
    test.parent().and_then(Path::parent).expect("target/<triple>/debug/deps").join("gantry")
}
