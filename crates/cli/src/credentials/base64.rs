//! Base64, of which the client needs little.

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// With the alphabet that settings files have.
pub(super) fn encode(bytes: &[u8]) -> String {
    with(bytes, STANDARD)
}

/// With the alphabet that headers have.
pub(super) fn encode_url(bytes: &[u8]) -> String {
    with(bytes, URL)
}

fn with(bytes: &[u8], alphabet: &[u8; 64]) -> String {
    let mut text = String::new();
    for piece in bytes.chunks(3) {
        let group = piece.iter().fold(0u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - piece.len()));
        for position in 0..4 {
            let digit = (group >> (18 - 6 * position)) & 63;
            text.push(if position <= piece.len() { alphabet[digit as usize] as char } else { '=' });
        }
    }
    text
}

/// Either alphabet; what belongs to none is skipped.
pub(super) fn decode(text: &str) -> Vec<u8> {
    let (mut bytes, mut group, mut bits) = (Vec::new(), 0u32, 0);
    for letter in text.bytes() {
        let digit = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => continue,
        };
        group = group << 6 | u32::from(digit);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((group >> bits) as u8);
            group &= (1 << bits) - 1;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_round_trips() {
        for text in ["", "a", "ab", "abc", "user:pässword"] {
            assert_eq!(decode(&encode_url(text.as_bytes())), text.as_bytes());
            assert_eq!(decode(&encode(text.as_bytes())), text.as_bytes());
        }
        assert_eq!(encode_url(b"{}"), "e30=");
        assert_eq!((encode(b"\xff\xff"), encode_url(b"\xff\xff")), ("//8=".to_owned(), "__8=".to_owned()));
        assert_eq!(decode("dXNlcjpwdw=="), b"user:pw");
    }
}
