//! Versions of the Engine API.

use std::fmt;
use std::str::FromStr;

/// `major.minor`, for example `1.51`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion {
    major: u16,
    minor: u16,
}

impl ApiVersion {
    /// The oldest version spoken.
    pub const OLDEST: Self = Self::new(1, 24);
    /// The newest version spoken.
    pub const NEWEST: Self = Self::new(1, 51);

    /// The version `major.minor`.
    #[must_use]
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    /// Whether this is at least `1.minor`.
    #[must_use]
    pub fn at_least(self, minor: u16) -> bool {
        self >= Self::new(1, minor)
    }
}

impl FromStr for ApiVersion {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let (major, minor) = text.strip_prefix('v').unwrap_or(text).split_once('.').ok_or(())?;
        Ok(Self::new(major.parse().map_err(|_| ())?, minor.parse().map_err(|_| ())?))
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_by_number_not_by_text() {
        let (nine, ten): (ApiVersion, ApiVersion) = ("1.9".parse().expect("valid"), "1.24".parse().expect("valid"));
        assert!(nine < ten && ten == ApiVersion::OLDEST);
        assert!("1".parse::<ApiVersion>().is_err());
    }
}
