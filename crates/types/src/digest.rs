//! Content digests (OCI image-spec, "Descriptors: Digests").

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The text is not a digest this engine knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDigest {
    /// Not `algorithm:hex`, or the wrong number of digits.
    #[error("invalid digest format {0:?}")]
    Format(String),
    /// A well-formed digest of an algorithm that is not supported.
    #[error("unsupported digest algorithm in {0:?}")]
    Algorithm(String),
}

/// A SHA-256 digest, written `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// Wraps the 32 bytes of a SHA-256 result.
    #[must_use]
    pub fn from_sha256(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 64 hexadecimal digits, without the algorithm.
    #[must_use]
    pub fn hex(&self) -> String {
        use fmt::Write as _;
        self.0.iter().fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// The first 12 hexadecimal digits, the form people read.
    #[must_use]
    pub fn short(&self) -> String {
        self.hex()[..12].to_owned()
    }

    /// Parses 64 hexadecimal digits without the algorithm, as directory names carry them.
    ///
    /// # Errors
    /// [`InvalidDigest::Format`] when the text is anything else.
    pub fn from_hex(hex: &str) -> Result<Self, InvalidDigest> {
        let bad = || InvalidDigest::Format(hex.to_owned());
        if hex.len() != 64 || !hex.is_ascii() {
            return Err(bad());
        }
        let mut bytes = [0u8; 32];
        for (i, byte) in bytes.iter_mut().enumerate() {
            let pair = &hex[2 * i..2 * i + 2];
            if pair.bytes().any(|b| !matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                return Err(bad());
            }
            *byte = u8::from_str_radix(pair, 16).map_err(|_| bad())?;
        }
        Ok(Self(bytes))
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;
    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        match text.split_once(':') {
            Some(("sha256", hex)) => Self::from_hex(hex).map_err(|_| InvalidDigest::Format(text.to_owned())),
            Some((algorithm, _)) if !algorithm.is_empty() => Err(InvalidDigest::Algorithm(text.to_owned())),
            _ => Err(InvalidDigest::Format(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Digest {
    type Error = InvalidDigest;
    fn try_from(text: String) -> Result<Self, InvalidDigest> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips() {
        let text = format!("sha256:{}", "0f".repeat(32));
        assert_eq!(text.parse::<Digest>().map(|d| d.to_string()), Ok(text));
    }

    #[test]
    fn rejects_what_is_not_a_digest() {
        assert!(matches!("sha256:abc".parse::<Digest>(), Err(InvalidDigest::Format(_))));
        assert!(matches!("md5:abc".parse::<Digest>(), Err(InvalidDigest::Algorithm(_))));
        assert!(matches!("abc".parse::<Digest>(), Err(InvalidDigest::Format(_))));
        assert!(format!("sha256:{}", "é".repeat(32)).parse::<Digest>().is_err());
    }
}
