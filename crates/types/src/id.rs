//! Identifiers. Containers, layers, networks and execs are named by 64 hexadecimal digits, as Docker does.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The text is not 64 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid identifier {0:?}: want 64 lower-case hexadecimal digits")]
pub struct InvalidId(pub String);

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// Builds the identifier from 32 random bytes, which the caller draws (this crate does no I/O).
            #[must_use]
            pub fn from_bytes(bytes: [u8; 32]) -> Self {
                use fmt::Write as _;
                let mut text = String::with_capacity(64);
                for byte in bytes {
                    // Writing to a String cannot fail.
                    let _ = write!(text, "{byte:02x}");
                }
                Self(text.into_boxed_str())
            }

            /// All 64 digits.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The first 12 digits, the form people read.
            #[must_use]
            pub fn short(&self) -> &str {
                &self.0[..12]
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                if is_64_hex(text) { Ok(Self(text.into())) } else { Err(InvalidId(text.to_owned())) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                if is_64_hex(&text) { Ok(Self(text.into_boxed_str())) } else { Err(InvalidId(text)) }
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.into_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.short())
            }
        }
    };
}

id!(
    /// A container.
    ContainerId
);
id!(
    /// A process started in a running container.
    ExecId
);
id!(
    /// A directory of the storage driver (`overlay2/<id>`); random, not derived from content.
    LayerId
);
id!(
    /// A network.
    NetworkId
);
id!(
    /// One container's place on one network.
    EndpointId
);
id!(
    /// A network namespace that the engine made.
    SandboxId
);

fn is_64_hex(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_only_64_lower_case_hex_digits() {
        assert!(ContainerId::from_str(&"a1".repeat(32)).is_ok());
        for bad in ["", "abc", &"A1".repeat(32), &"g1".repeat(32), &"a1".repeat(33)] {
            assert!(ContainerId::from_str(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn short_form_is_the_first_twelve_digits() {
        let id = ContainerId::from_bytes([0xab; 32]);
        assert_eq!(id.short(), "abababababab");
        assert_eq!(id.to_string().len(), 64);
    }
}
