//! The keys that detach a client from a terminal: parsing them, and finding them in what is typed.

use crate::failure::Failure;

/// A sequence of keys; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetachKeys(Vec<u8>);

impl Default for DetachKeys {
    /// Ctrl-P Ctrl-Q.
    fn default() -> Self {
        Self(vec![0x10, 0x11])
    }
}

impl DetachKeys {
    /// Parses `ctrl-p,ctrl-q`; empty means the default.
    ///
    /// # Errors
    /// 400 in Docker's words.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let keys: Option<Vec<u8>> = text.split(',').map(key).collect();
        keys.map(Self).ok_or_else(|| Failure::invalid(format!("Invalid detach keys ({text}) provided")))
    }

    /// The keys as the terminal sends them.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// One character, `ctrl-` and a character, or `DEL`.
fn key(text: &str) -> Option<u8> {
    if let [single] = text.as_bytes() {
        return single.is_ascii().then_some(*single);
    }
    if text == "DEL" {
        return Some(127);
    }
    match text.strip_prefix("ctrl-")?.as_bytes() {
        [letter @ b'a'..=b'z'] => Some(letter - b'a' + 1),
        [sign @ (b'@' | b'[' | b'\\' | b']' | b'^' | b'_')] => Some(sign - b'@'),
        _ => None,
    }
}

/// Looks for the keys in a stream. Bytes that may begin the sequence are held back until it is clear that they do not.
#[derive(Clone, Debug)]
pub struct Scanner {
    keys: DetachKeys,
    matched: usize,
}

impl Scanner {
    /// Starts at the beginning of a stream.
    #[must_use]
    pub fn new(keys: DetachKeys) -> Self {
        Self { keys, matched: 0 }
    }

    /// Takes the next bytes and appends to `out` what may pass on. True: the sequence was completed; what came behind
    /// it is dropped.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> bool {
        let DetachKeys(keys) = &self.keys;
        for &byte in bytes {
            if byte != keys[self.matched] {
                out.extend_from_slice(&keys[..self.matched]);
                self.matched = 0;
            }
            if byte == keys[self.matched] {
                self.matched += 1;
                if self.matched == keys.len() {
                    return true;
                }
            } else {
                out.push(byte);
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_names_are_parsed() {
        assert_eq!(DetachKeys::parse(""), Ok(DetachKeys(vec![16, 17])));
        assert_eq!(DetachKeys::parse("ctrl-a,x,ctrl-\\,DEL,ctrl-@"), Ok(DetachKeys(vec![1, b'x', 28, 127, 0])));
        for bad in ["ctrl-1", "ab", "ctrl-", ",", "é"] {
            let refused = DetachKeys::parse(bad).map_err(|failure| failure.message);
            assert_eq!(refused, Err(format!("Invalid detach keys ({bad}) provided")));
        }
    }

    #[test]
    fn the_sequence_is_found_across_reads_and_nothing_else_is_lost() {
        let mut scanner = Scanner::new(DetachKeys::default());
        let mut out = Vec::new();
        assert!(!scanner.feed(b"ab\x10", &mut out));
        assert_eq!(out, b"ab");
        assert!(!scanner.feed(b"c\x10", &mut out));
        assert_eq!(out, b"ab\x10c");
        assert!(!scanner.feed(b"\x10", &mut out));
        assert_eq!(out, b"ab\x10c\x10");
        assert!(scanner.feed(b"\x11rest", &mut out));
        assert_eq!(out, b"ab\x10c\x10");
    }
}
