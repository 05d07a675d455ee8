//! The `--flags` of instructions: known names, values, repetitions.

/// What an instruction's flag takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing, `=true` or `=false`.
    Switch,
    /// A value, once.
    Text,
    /// A value, as often as one likes.
    Texts,
}

/// The flags a line has, checked against those its instruction knows.
#[derive(Debug)]
pub(super) struct Flags {
    given: Vec<(&'static str, String)>,
}

/// A flag that is not as it should be: the message, the flag as written, a name that was probably meant.
pub(super) struct BadFlag {
    pub(super) message: String,
    pub(super) flag: String,
    pub(super) suggestion: Option<String>,
}

// === impl Flags ===

impl Flags {
    pub(super) fn parse(words: &[String], known: &[(&'static str, Kind)]) -> Result<Self, BadFlag> {
        let mut given: Vec<(&'static str, String)> = Vec::new();
        for word in words {
            let bad = |message: String| BadFlag { message, flag: word.clone(), suggestion: None };
            let text = word.strip_prefix("--").unwrap_or(word);
            let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
            let Some(&(known_name, kind)) = known.iter().find(|(known, _)| *known == name) else {
                let suggestion = crate::suggest::nearest(name, known.iter().map(|(name, _)| *name));
                let suggestion = suggestion.map(str::to_owned);
                return Err(BadFlag { suggestion, ..bad(format!("unknown flag: --{name}")) });
            };
            if kind != Kind::Texts && given.iter().any(|(given, _)| *given == name) {
                return Err(bad(format!("duplicate flag specified: --{name}")));
            }
            let value = match (kind, value) {
                (Kind::Switch, None) => "true".to_owned(),
                (Kind::Switch, Some(value)) if !value.is_empty() => match value.to_ascii_lowercase() {
                    lower if lower == "true" || lower == "false" => lower,
                    _ => return Err(bad(format!("expecting boolean value for flag --{name}, not: {value}"))),
                },
                (Kind::Text | Kind::Texts, Some(value)) => value.to_owned(),
                (Kind::Switch | Kind::Text | Kind::Texts, _) => {
                    return Err(bad(format!("missing a value on flag: --{name}")));
                }
            };
            given.push((known_name, value));
        }
        Ok(Self { given })
    }

    /// The value of a flag, if it was given and is not empty.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let value = self.given.iter().find(|(given, _)| *given == name);
        value.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
    }

    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        self.given.iter().filter(|(given, _)| *given == name).map(|(_, value)| value.clone()).collect()
    }

    /// A switch; `None` when it was not given.
    pub(super) fn switch(&self, name: &str) -> Option<bool> {
        self.given.iter().find(|(given, _)| *given == name).map(|(_, value)| value == "true")
    }

    /// The names given, in order, each once.
    pub(super) fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<&'static str> = Vec::new();
        for (name, _) in &self.given {
            if !names.contains(name) {
                names.push(name);
            }
        }
        names
    }
}
