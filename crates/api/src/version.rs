//! API versions.

use std::fmt;

/// A version of the Engine API, `1.minor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiVersion(pub u16);

/// Why a client's version is refused. Texts are Docker's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionError {
    /// Below [`ApiVersion::MINIMUM`].
    TooOld(String),
    /// Above [`ApiVersion::MAXIMUM`].
    TooNew(String),
}

impl ApiVersion {
    /// The newest version this engine speaks, and the one an unversioned path means.
    pub const MAXIMUM: Self = Self(51);
    /// The oldest version this engine speaks: what the web consoles of Docker's early years ask for.
    pub const MINIMUM: Self = Self(12);
    /// The oldest version that clients are told of, as Docker 28 does: what lies below is for consoles that never ask.
    pub const PROMISED: Self = Self(24);

    /// Parses the digits behind `/v`, for example `1.41`; `1` is `1.0`. `None` when the text is not a version at all.
    ///
    /// # Errors
    /// [`VersionError`] for a version outside of the supported range.
    pub fn parse(text: &str) -> Option<Result<Self, VersionError>> {
        let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
        let all_digits = |part: &str| !part.is_empty() && part.len() <= 4 && part.bytes().all(|b| b.is_ascii_digit());
        if !all_digits(major) || !minor.split('.').all(all_digits) {
            return None;
        }
        let major: u16 = major.parse().ok()?;
        let minor: u16 = minor.split('.').next()?.parse().ok()?;
        Some(match (major, Self(minor)) {
            (0, _) => Err(VersionError::TooOld(text.to_owned())),
            (1, version) if version < Self::MINIMUM => Err(VersionError::TooOld(text.to_owned())),
            (1, version) if version <= Self::MAXIMUM => Ok(version),
            _ => Err(VersionError::TooNew(text.to_owned())),
        })
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.0)
    }
}

impl fmt::Display for VersionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooOld(version) => write!(
                f,
                "client version {version} is too old. Minimum supported API version is {}, please upgrade your client to a newer version",
                ApiVersion::MINIMUM
            ),
            Self::TooNew(version) => write!(
                f,
                "client version {version} is too new. Maximum supported API version is {}",
                ApiVersion::MAXIMUM
            ),
        }
    }
}

impl std::error::Error for VersionError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_supported_range_is_taken_and_the_rest_is_refused_in_dockers_words() {
        assert_eq!(ApiVersion::parse("1.24"), Some(Ok(ApiVersion(24))));
        assert_eq!(ApiVersion::parse("1.51"), Some(Ok(ApiVersion(51))));
        for (text, message) in [
            ("1.52", "client version 1.52 is too new. Maximum supported API version is 1.51"),
            ("2.0", "client version 2.0 is too new. Maximum supported API version is 1.51"),
            (
                "1",
                "client version 1 is too old. Minimum supported API version is 1.12, please upgrade your client to a newer version",
            ),
            (
                "1.11",
                "client version 1.11 is too old. Minimum supported API version is 1.12, please upgrade your client to a newer version",
            ),
        ] {
            let refused = ApiVersion::parse(text).and_then(Result::err).map(|error| error.to_string());
            assert_eq!(refused.as_deref(), Some(message));
        }
        for not_a_version in ["", "x.y", "1.x", "1."] {
            assert_eq!(ApiVersion::parse(not_a_version), None, "{not_a_version}");
        }
    }
}
