//! Flags and file brought together: nothing may be in both, and what cannot be honoured is refused by name.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use cli::flags::Matches;

use super::file::{FileSettings, Given};
use super::setting::{Fate, Setting, Shape};
use super::table::SETTINGS;

/// All settings that somebody gave, by key.
#[derive(Debug)]
pub(super) struct Merged {
    given: FileSettings,
    path: PathBuf,
}

// === impl Merged ===

impl Merged {
    /// Brings both sources together.
    ///
    /// # Errors
    /// Docker's text for directives in both, and the refusal of what this engine cannot do.
    pub(super) fn new(mut given: FileSettings, from_file: FileSettings, path: &Path) -> anyhow::Result<Self> {
        let mut conflicts = Vec::new();
        for setting in SETTINGS {
            if let (Some(mine), Some(other)) = (given.get(setting.key), from_file.get(setting.key)) {
                conflicts.push(format!("{}: (from flag: {}, from file: {})", setting.key, mine.shown, other.shown));
            }
        }
        if !conflicts.is_empty() {
            bail!(
                "unable to configure the Docker daemon with file {}: the following directives are specified both as a flag and in the configuration file: {}",
                path.display(),
                conflicts.join(", ")
            );
        }
        given.extend(from_file);
        let merged = Self { given, path: path.to_owned() };
        for setting in SETTINGS {
            merged.refuse(setting)?;
        }
        Ok(merged)
    }

    fn refuse(&self, setting: &Setting) -> anyhow::Result<()> {
        let (Fate::Only(allowed, reason), Some(given)) = (setting.fate, self.given.get(setting.key)) else {
            return Ok(());
        };
        let shown = given.shown.as_str();
        if allowed.contains(&shown) || matches!(shown, "[]" | "map[]") {
            return Ok(());
        }
        Err(self.invalid(setting.key, &format!("{} {shown:?} is not supported by this engine: {reason}", setting.key)))
    }

    /// What was accepted though it has no effect here, and why.
    pub(super) fn notes(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        SETTINGS.iter().filter_map(|setting| match setting.fate {
            Fate::Noted(reason) if self.given.contains_key(setting.key) => Some((setting.key, reason)),
            _ => None,
        })
    }

    /// Whether somebody gave the setting.
    pub(super) fn has(&self, key: &str) -> bool {
        self.given.contains_key(key)
    }

    /// The setting as it was given.
    pub(super) fn get(&self, key: &str) -> Option<&Given> {
        self.given.get(key)
    }

    /// Every text of the setting.
    pub(super) fn list(&self, key: &str) -> &[String] {
        self.given.get(key).map_or(&[], |given| given.texts.as_slice())
    }

    /// The text of the setting; an empty one counts as none.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.list(key).last().map(String::as_str).filter(|text| !text.is_empty())
    }

    /// A path, made absolute.
    pub(super) fn path(&self, key: &str, default: &str) -> anyhow::Result<PathBuf> {
        let path = self.text(key).unwrap_or(default);
        std::path::absolute(path).with_context(|| format!("invalid {key} {path:?}"))
    }

    /// A switch. Its texts were checked when they were read.
    pub(super) fn switch(&self, key: &str, default: bool) -> bool {
        self.text(key).map_or(default, |text| matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True"))
    }

    /// The setting through a parser whose error is the message.
    pub(super) fn parsed<T>(&self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> anyhow::Result<Option<T>> {
        self.text(key).map(|text| parse(text).map_err(|message| self.invalid(key, &message))).transpose()
    }

    /// Every text through a parser.
    pub(super) fn all<T>(&self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> anyhow::Result<Vec<T>> {
        self.list(key).iter().map(|text| parse(text).map_err(|message| self.invalid(key, &message))).collect()
    }

    /// The refusal of a value, with the file where it stands.
    pub(super) fn invalid(&self, key: &str, message: &str) -> anyhow::Error {
        if self.given.get(key).is_some_and(|given| given.json.is_some()) {
            anyhow!(
                "unable to configure the Docker daemon with file {}: configuration validation from file failed: {message}",
                self.path.display()
            )
        } else {
            anyhow!("{message}")
        }
    }
}

/// The flags that were given.
pub(super) fn given(matches: &Matches) -> FileSettings {
    let mut found = FileSettings::new();
    for setting in SETTINGS.iter().filter(|setting| !setting.flag.name.is_empty() && matches.given(setting.flag.name)) {
        let texts: Vec<String> = matches.list(setting.flag.name).into_iter().map(str::to_owned).collect();
        let last = texts.last().cloned().unwrap_or_default();
        let (texts, shown) = match setting.shape {
            Shape::List | Shape::Raw => (texts.clone(), format!("[{}]", texts.join(" "))),
            Shape::Map => {
                let mut pairs: Vec<String> = texts.iter().map(|text| text.replacen('=', ":", 1)).collect();
                pairs.sort_unstable();
                (texts.clone(), format!("map[{}]", pairs.join(" ")))
            }
            Shape::Switch => {
                let on = matches.on(setting.flag.name).to_string();
                (vec![on.clone()], on)
            }
            Shape::Text | Shape::Number | Shape::Size => (vec![last.clone()], last),
        };
        // What only the command line knows has no key; its flag's name stands in.
        let key = if setting.key.is_empty() { setting.flag.name } else { setting.key };
        found.insert(key, Given { texts, shown, json: None });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(key: &'static str, value: &str) -> FileSettings {
        FileSettings::from([(key, Given { texts: vec![value.to_owned()], shown: format!("[{value}]"), json: None })])
    }

    #[test]
    fn a_directive_given_twice_is_refused_with_dockers_words() {
        let error = Merged::new(list("hosts", "fd://"), list("hosts", "unix:///b"), Path::new("/d.json")).err();
        assert_eq!(
            error.map(|error| error.to_string()).as_deref(),
            Some(
                "unable to configure the Docker daemon with file /d.json: the following directives are specified both as a flag and in the configuration file: hosts: (from flag: [fd://], from file: [unix:///b])"
            )
        );
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_by_name() {
        let error = Merged::new(list("authorization-plugins", "x"), FileSettings::new(), Path::new("/d")).err();
        let text = error.map(|error| error.to_string()).unwrap_or_default();
        assert!(text.starts_with("authorization-plugins \"[x]\" is not supported by this engine: "), "{text}");
        assert!(Merged::new(list("labels", "a=b"), FileSettings::new(), Path::new("/d")).is_ok());
    }
}
