//! Flags the way runc takes them: `--name value`, `--name=value`, `-n value`, one dash for long names too. The first
//! word that is no flag ends them, because what follows may be a command of the container.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};

/// One flag.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flag {
    long: &'static str,
    short: Option<char>,
    takes_value: bool,
}

/// A command line, taken apart.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    values: BTreeMap<&'static str, Vec<String>>,
    /// What follows the flags.
    pub positional: Vec<String>,
}

// === impl Flag ===

impl Flag {
    /// A flag with a value; repeated, it collects them.
    pub const fn value(long: &'static str, short: Option<char>) -> Self {
        Self { long, short, takes_value: true }
    }

    /// A flag that is there or not.
    pub const fn switch(long: &'static str, short: Option<char>) -> Self {
        Self { long, short, takes_value: false }
    }

    /// How the usage text shows it.
    pub fn shown(&self) -> String {
        let short = self.short.map(|letter| format!("-{letter}|")).unwrap_or_default();
        format!("[{short}--{}{}]", self.long, if self.takes_value { " V" } else { "" })
    }

    fn is_called(&self, name: &str) -> bool {
        self.long == name || self.short.is_some_and(|letter| name.chars().eq([letter]))
    }
}

// === impl Parsed ===

impl Parsed {
    /// The last value of a flag.
    pub fn last(&self, long: &str) -> Option<&str> {
        self.values.get(long)?.last().map(String::as_str)
    }

    /// Every value of a flag.
    pub fn all(&self, long: &str) -> &[String] {
        self.values.get(long).map_or(&[], Vec::as_slice)
    }

    /// Whether a switch is on.
    pub fn is_set(&self, long: &str) -> bool {
        self.last(long) == Some("true")
    }

    /// The value of a flag as a number.
    pub fn number<N: std::str::FromStr>(&self, long: &str) -> anyhow::Result<Option<N>> {
        let Some(text) = self.last(long) else { return Ok(None) };
        text.parse().ok().map(Some).with_context(|| format!("--{long}: {text:?} is not a number in range"))
    }

    /// The container's id: the first word behind the flags.
    pub fn id(&self) -> anyhow::Result<&str> {
        self.positional.first().map(String::as_str).context("a container id is needed")
    }
}

/// Takes a command line apart.
pub(crate) fn parse(arguments: &[String], flags: &[Flag]) -> anyhow::Result<Parsed> {
    let mut parsed = Parsed::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--" {
            break;
        }
        let Some(name) = argument.strip_prefix('-').filter(|name| !name.is_empty()) else {
            parsed.positional.push(argument.clone());
            break;
        };
        let name = name.strip_prefix('-').unwrap_or(name);
        let (name, inline) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (name, None),
        };
        let flag = flags.iter().find(|flag| flag.is_called(name));
        let flag = flag.with_context(|| format!("flag provided but not defined: {argument}"))?;
        let value = match (flag.takes_value, inline) {
            (true, None) => rest.next().cloned().with_context(|| format!("flag needs an argument: {argument}"))?,
            (true, Some(value)) => value,
            (false, None) => "true".to_owned(),
            (false, Some(word)) if ["true", "false"].contains(&word.as_str()) => word,
            (false, Some(word)) => bail!("invalid value {word:?} for flag --{}", flag.long),
        };
        parsed.values.entry(flag.long).or_default().push(value);
    }
    parsed.positional.extend(rest.cloned());
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const FLAGS: &[Flag] =
        &[Flag::value("bundle", Some('b')), Flag::value("env", Some('e')), Flag::switch("tty", Some('t'))];

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn every_spelling_is_understood() {
        let parsed = parse(&words("-b /x --env=A=1 -e B=2 -tty id ls -b --tty"), FLAGS).unwrap();
        assert_eq!(parsed.last("bundle"), Some("/x"));
        assert_eq!(parsed.all("env"), ["A=1", "B=2"]);
        assert!(parsed.is_set("tty"));
        assert_eq!(parsed.positional, ["id", "ls", "-b", "--tty"]);
        assert!(!parse(&words("--tty=false x"), FLAGS).unwrap().is_set("tty"));
        assert_eq!(parse(&words("-- -b"), FLAGS).unwrap().positional, ["-b"]);
    }

    #[test]
    fn mistakes_are_named() {
        assert!(parse(&words("--nope"), FLAGS).unwrap_err().to_string().contains("--nope"));
        assert!(parse(&words("--bundle"), FLAGS).is_err());
        assert!(parse(&words("--tty=maybe"), FLAGS).is_err());
    }
}
