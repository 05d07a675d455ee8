//! `# check=skip=Rule,Rule;error=true;experimental=all`: at the top of a file, or directly above an instruction.

use super::Rule;

/// Which rules count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    skip: Names,
    experimental: Names,
    /// A finding fails the build.
    pub error: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Names {
    All,
    Some(Vec<String>),
}

impl Default for Names {
    fn default() -> Self {
        Self::Some(Vec::new())
    }
}

// === impl Options ===

impl Options {
    /// Reads the value of a `check` directive, or of `--build-arg BUILDKIT_DOCKERFILE_CHECK=`.
    ///
    /// # Errors
    /// A message with Docker's words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut this = Self::default();
        for part in text.trim().splitn(3, ';').filter(|_| !text.trim().is_empty()) {
            let (key, value) = part.split_once('=').ok_or_else(|| format!("invalid check option {part:?}"))?;
            let (key, value) = (key.trim(), value.trim());
            match key {
                "skip" => this.skip = Names::parse(value),
                "experimental" => this.experimental = Names::parse(value),
                "error" => {
                    this.error = match value {
                        "1" | "t" | "T" | "true" | "TRUE" | "True" => true,
                        "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
                        _ => return Err(format!("failed to parse check option {part:?}: invalid syntax")),
                    }
                }
                _ => return Err(format!("invalid check option {key:?}")),
            }
        }
        Ok(this)
    }

    /// These, and what comments above an instruction say.
    pub(super) fn above(&self, comments: &[String]) -> Self {
        let said = comments.iter().find_map(|comment| {
            let (name, value) = comment.split_once('=')?;
            let value = name.trim().eq_ignore_ascii_case("check").then(|| value.trim())?;
            Self::parse(value.split(' ').next().unwrap_or(value)).ok()
        });
        said.map_or_else(
            || self.clone(),
            |said| Self {
                skip: self.skip.and(said.skip),
                experimental: self.experimental.and(said.experimental),
                error: self.error,
            },
        )
    }

    /// Whether a rule counts.
    #[must_use]
    pub fn asks_for(&self, rule: Rule) -> bool {
        if rule.is_experimental() { self.experimental.has(rule) } else { !self.skip.has(rule) }
    }
}

// === impl Names ===

impl Names {
    fn parse(text: &str) -> Self {
        match text {
            "all" => Self::All,
            text => Self::Some(text.split(',').map(|name| name.trim().to_owned()).collect()),
        }
    }

    fn has(&self, rule: Rule) -> bool {
        match self {
            Self::All => true,
            Self::Some(names) => names.contains(&rule.name()),
        }
    }

    fn and(&self, other: Self) -> Self {
        match (self, other) {
            (Self::Some(names), Self::Some(more)) => Self::Some(names.iter().cloned().chain(more).collect()),
            _ => Self::All,
        }
    }
}
