//! One component of a path against one component of a pattern (Go's `path.Match`).

use crate::{Error, Result};

pub(super) fn has_wildcards(pattern: &str) -> bool {
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => drop(letters.next()),
            '*' | '?' | '[' => return true,
            _ => {}
        }
    }
    false
}

pub(super) fn unescape(text: &str) -> String {
    let mut letters = text.chars();
    let mut plain = String::with_capacity(text.len());
    while let Some(letter) = letters.next() {
        plain.extend(if letter == '\\' { letters.next() } else { Some(letter) });
    }
    plain
}

pub(super) fn check_pattern(part: &str, whole: &str) -> Result<()> {
    let mut letters = part.chars();
    while let Some(letter) = letters.next() {
        let complete = match letter {
            '\\' => letters.next().is_some(),
            '[' => Class::read(&mut letters).is_some(),
            _ => true,
        };
        if !complete {
            return Err(Error::Document {
                what: format!("pattern {whole}"),
                reason: "syntax error in pattern".to_owned(),
            });
        }
    }
    Ok(())
}

/// `[a-z]`, `[^x]`.
struct Class {
    negated: bool,
    ranges: Vec<(char, char)>,
}

impl Class {
    /// Reads what stands behind the bracket; `None` when it does not end.
    fn read(letters: &mut std::str::Chars<'_>) -> Option<Self> {
        let mut rest = letters.clone();
        let negated = rest.next()? == '^';
        if negated {
            letters.next();
        }
        let mut ranges = Vec::new();
        loop {
            let mut low = letters.next()?;
            if low == ']' && !ranges.is_empty() {
                return Some(Self { negated, ranges });
            }
            if low == '\\' {
                low = letters.next()?;
            } else if matches!(low, ']' | '-') {
                return None;
            }
            let mut high = low;
            if letters.clone().next()? == '-' {
                letters.next();
                high = letters.next()?;
                if high == '\\' {
                    high = letters.next()?;
                }
            }
            ranges.push((low, high));
        }
    }

    fn has(&self, letter: char) -> bool {
        self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&letter)) != self.negated
    }
}

/// One component against one component of a checked pattern.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let mut letters = pattern.chars();
    let Some(letter) = letters.next() else { return name.is_empty() };
    if letter == '*' {
        let rest = letters.as_str();
        return name.char_indices().map(|(at, _)| at).chain([name.len()]).any(|at| matches(rest, &name[at..]));
    }
    let mut found = name.chars();
    let Some(first) = found.next() else { return false };
    let same = match letter {
        '?' => true,
        '[' => Class::read(&mut letters).is_some_and(|class| class.has(first)),
        '\\' => letters.next() == Some(first),
        letter => letter == first,
    };
    same && matches(letters.as_str(), found.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_gos_do() {
        for (pattern, name, expected) in [
            ("*", "a", true),
            ("a*", "b", false),
            ("*.txt", "x.txt", true),
            ("?", "", false),
            ("a?c", "abc", true),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[^a-c]x", "dx", true),
            ("\\*", "*", true),
            ("a*b*c", "aXbYbc", true),
            ("*", "", true),
            ("[\\]]", "]", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
        for bad in ["[", "[a", "[]", "[a-", "x\\", "[-]"] {
            assert!(check_pattern(bad, bad).is_err(), "{bad}");
        }
    }
}
