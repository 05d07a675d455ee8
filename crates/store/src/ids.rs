//! Digests with a role: an image, a layer's content, a stack of layers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use types::{Digest, InvalidDigest};

macro_rules! role {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Digest);

        impl $name {
            /// The 64 hexadecimal digits.
            #[must_use]
            pub fn hex(&self) -> String {
                self.0.hex()
            }

            /// The first 12 hexadecimal digits, the form people read.
            #[must_use]
            pub fn short(&self) -> String {
                self.0.short()
            }
        }

        impl FromStr for $name {
            type Err = InvalidDigest;
            fn from_str(text: &str) -> Result<Self, InvalidDigest> {
                text.parse().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

role!(
    /// An image: the digest of its configuration document.
    ImageId
);
role!(
    /// A layer's content: the digest of its uncompressed tar.
    DiffId
);
role!(
    /// A layer on top of its parents (OCI image-spec, "Layer ChainID").
    ChainId
);
