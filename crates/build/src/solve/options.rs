//! What a build is told besides its Dockerfile.

use std::collections::BTreeMap;

use crate::dockerfile::{Dockerfile, Stage};

/// What a build is told besides its Dockerfile.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `--build-arg`; `None` takes a default away.
    pub arguments: BTreeMap<String, Option<String>>,
    /// `--target`, name or number.
    pub target: Option<String>,
    /// `--label`.
    pub labels: BTreeMap<String, String>,
    /// `--platform`.
    pub platform: Option<String>,
}

impl Options {
    /// The stages up to the wanted one.
    ///
    /// # Errors
    /// Docker's words when there is no such stage.
    pub fn stages<'a>(&self, dockerfile: &'a Dockerfile) -> Result<&'a [Stage], String> {
        let target = self.target.as_deref();
        let missing = || format!("failed to reach build target {} in Dockerfile", target.unwrap_or_default());
        dockerfile.target(target).map(|last| &dockerfile.stages[..=last]).ok_or_else(missing)
    }
}
