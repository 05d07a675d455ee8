//! The keys that detach from a container.

/// Ctrl-P, Ctrl-Q.
const DEFAULT: [u8; 2] = [16, 17];

/// Watches typed bytes for the key sequence.
#[derive(Clone, Debug)]
pub struct Detector {
    keys: Vec<u8>,
    matched: usize,
}

/// What became of a piece of input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    /// For the container.
    Pass(Vec<u8>),
    /// The whole sequence was typed.
    Detach,
}

impl Detector {
    /// A detector for a `--detach-keys` text; the default keys when it is empty.
    ///
    /// # Errors
    /// Docker's text when the text names no keys.
    pub fn new(text: &str) -> Result<Self, String> {
        let keys = if text.is_empty() { DEFAULT.to_vec() } else { parse(text)? };
        Ok(Self { keys, matched: 0 })
    }

    /// Takes what was typed. Keys of a sequence that was begun are held until the next key shows whether it goes on,
    /// and reach the container when it does not.
    pub fn push(&mut self, bytes: &[u8]) -> Typed {
        let mut pass = Vec::with_capacity(bytes.len());
        for byte in bytes {
            if *byte != self.keys[self.matched] {
                pass.extend_from_slice(&self.keys[..self.matched]);
                self.matched = 0;
            }
            if *byte == self.keys[self.matched] {
                self.matched += 1;
                if self.matched == self.keys.len() {
                    return Typed::Detach;
                }
            } else {
                pass.push(*byte);
            }
        }
        Typed::Pass(pass)
    }

    /// The keys that are held, at the end of input.
    pub fn finish(&mut self) -> Vec<u8> {
        let held = self.keys[..self.matched].to_vec();
        self.matched = 0;
        held
    }
}

/// Reads `ctrl-p,ctrl-q`, `a,b`, ….
fn parse(text: &str) -> Result<Vec<u8>, String> {
    text.split(',').map(|key| key_code(key).ok_or_else(|| format!("Unknown character: '{key}'"))).collect()
}

fn key_code(key: &str) -> Option<u8> {
    if let [one] = key.as_bytes() {
        return Some(*one);
    }
    match key {
        "ctrl-@" => return Some(0),
        "ctrl-[" => return Some(27),
        "ctrl-\\" => return Some(28),
        "ctrl-]" => return Some(29),
        "ctrl-^" => return Some(30),
        "ctrl-_" => return Some(31),
        "DEL" => return Some(127),
        _ => {}
    }
    match key.strip_prefix("ctrl-")?.as_bytes() {
        [letter @ b'a'..=b'z'] => Some(letter - b'a' + 1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detects_and_passes_the_rest() {
        let mut detector = Detector::new("").expect("valid");
        assert_eq!(detector.push(b"ls\n"), Typed::Pass(b"ls\n".to_vec()));
        assert_eq!(detector.push(&[16]), Typed::Pass(vec![]));
        assert_eq!(detector.push(b"x"), Typed::Pass(vec![16, b'x']));
        assert_eq!(detector.push(&[16, 16]), Typed::Pass(vec![16]));
        assert_eq!(detector.push(&[17]), Typed::Detach);
        let mut detector = Detector::new("ctrl-a,d").expect("valid");
        assert_eq!(detector.push(&[1]), Typed::Pass(vec![]));
        assert_eq!(detector.finish(), [1]);
        assert_eq!(detector.push(&[1, b'd']), Typed::Detach);
        assert_eq!(Detector::new("foo,x").map(|_| ()), Err("Unknown character: 'foo'".to_owned()));
    }
}
