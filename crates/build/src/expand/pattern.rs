//! Patterns of `${NAME#pattern}`, `${NAME%pattern}` and `${NAME/pattern/text}`: `*`, `?`, and `\` before either.

/// A pattern that matches parts of a value.
pub struct Pattern(Vec<Piece>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece {
    /// Any letters, or none.
    Any,
    /// One letter.
    One,
    Letter(char),
}

/// The pattern has a `\` before something that needs none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid escape '\\{0}'")]
pub struct InvalidEscape(pub char);

// === impl Pattern ===

impl Pattern {
    /// Parses a pattern. `\}` and `\/` are the letters themselves: they could not stand in a substitution otherwise.
    pub fn parse(text: &str) -> Result<Self, InvalidEscape> {
        let mut pieces = Vec::new();
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            pieces.push(match letter {
                '*' => Piece::Any,
                '?' => Piece::One,
                '\\' => match letters.next() {
                    Some(letter @ ('*' | '?' | '\\' | '}' | '/')) => Piece::Letter(letter),
                    other => return Err(InvalidEscape(other.unwrap_or(char::REPLACEMENT_CHARACTER))),
                },
                letter => Piece::Letter(letter),
            });
        }
        Ok(Self(pieces))
    }

    /// The value without what the pattern matches at its start.
    pub fn without_prefix(&self, value: &str, longest: bool) -> String {
        let letters: Vec<char> = value.chars().collect();
        let end = if longest { self.ends(&letters).last() } else { self.ends(&letters).next() };
        letters[end.unwrap_or(0)..].iter().collect()
    }

    /// The value without what the pattern matches at its end.
    pub fn without_suffix(&self, value: &str, longest: bool) -> String {
        // Backwards, a suffix is a prefix.
        let backwards = Self(self.0.iter().rev().copied().collect());
        let letters: Vec<char> = value.chars().rev().collect();
        let mut ends = backwards.ends(&letters);
        let end = if longest { ends.next_back() } else { ends.next() };
        letters[end.unwrap_or(0)..].iter().rev().collect()
    }

    /// The value with its first match, or all of them, replaced.
    pub fn replace(&self, value: &str, replacement: &str, all: bool) -> String {
        let letters: Vec<char> = value.chars().collect();
        let (mut text, mut at, mut behind_match) = (String::new(), 0, false);
        while at <= letters.len() {
            let end = self.ends(&letters[at..]).last().map(|length| at + length);
            match end {
                // An empty match directly behind another one is no match.
                Some(end) if end > at || !behind_match => {
                    text.push_str(replacement);
                    if !all {
                        text.extend(&letters[end..]);
                        return text;
                    }
                    if end == at {
                        text.extend(letters.get(at));
                        at += 1;
                    }
                    (at, behind_match) = (at.max(end), end > at);
                }
                _ => {
                    text.extend(letters.get(at));
                    (at, behind_match) = (at + 1, false);
                }
            }
        }
        text
    }

    /// Lengths of the matches that begin at the first letter, shortest first.
    fn ends(&self, letters: &[char]) -> impl DoubleEndedIterator<Item = usize> + use<> {
        // Without a `*`, only one length is possible.
        let fixed = !self.0.contains(&Piece::Any);
        let letters = if fixed { &letters[..self.0.len().min(letters.len())] } else { letters };
        let mut reached = vec![false; letters.len() + 1];
        reached[0] = true;
        for piece in &self.0 {
            match piece {
                Piece::Any => {
                    if let Some(first) = reached.iter().position(|&end| end) {
                        reached[first..].fill(true);
                    }
                }
                Piece::One => {
                    reached.rotate_right(1);
                    reached[0] = false;
                }
                Piece::Letter(wanted) => {
                    for end in (1..reached.len()).rev() {
                        reached[end] = reached[end - 1] && letters[end - 1] == *wanted;
                    }
                    reached[0] = false;
                }
            }
        }
        reached.into_iter().enumerate().filter_map(|(length, end)| end.then_some(length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).expect("a pattern")
    }

    #[test]
    fn prefixes_and_suffixes() {
        let value = "a/b/c.tar.gz";
        assert_eq!(pattern("*/").without_prefix(value, false), "b/c.tar.gz");
        assert_eq!(pattern("*/").without_prefix(value, true), "c.tar.gz");
        assert_eq!(pattern(".*").without_suffix(value, false), "a/b/c.tar");
        assert_eq!(pattern(".*").without_suffix(value, true), "a/b/c");
        assert_eq!(pattern("?/").without_prefix(value, true), "b/c.tar.gz");
        assert_eq!(pattern("x*").without_prefix(value, true), value);
        assert_eq!(pattern("\\*").without_prefix("*x", true), "x");
        assert_eq!(pattern("*").without_suffix(value, false), value);
    }

    #[test]
    fn replacements() {
        assert_eq!(pattern("o").replace("foo boo", "0", false), "f0o boo");
        assert_eq!(pattern("o").replace("foo boo", "0", true), "f00 b00");
        assert_eq!(pattern("o*b").replace("foo boo", "-", false), "f-oo");
        assert_eq!(pattern("").replace("ab", "-", true), "-a-b-");
        assert_eq!(pattern("*").replace("ab", "-", true), "-");
        assert_eq!(pattern("\\/").replace("a/b", "-", true), "a-b");
        assert_eq!(pattern("x").replace("äöü", "-", true), "äöü");
    }

    #[test]
    fn only_what_is_special_is_escaped() {
        assert_eq!(Pattern::parse("\\x").err(), Some(InvalidEscape('x')));
        assert!(Pattern::parse("\\").is_err());
    }
}
