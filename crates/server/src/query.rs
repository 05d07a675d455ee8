//! The query of a request, with Docker's idea of truth.

use std::num::IntErrorKind;

use crate::failure::Failure;

/// Decoded pairs in the order of the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Parses what stands behind the question mark.
    ///
    /// # Errors
    /// 400 in the words of Go's `net/url` for a broken escape or a semicolon.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            if pair.contains(';') {
                return Err(Failure::invalid("invalid semicolon separator in query"));
            }
            if let Some(escape) = broken_escape(pair) {
                return Err(Failure::invalid(format!("invalid URL escape {escape:?}")));
            }
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(key, true), decode(value, true)))
        });
        pairs.collect::<Result<_, _>>().map(Self)
    }

    /// The first value of a key, unless it is empty.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// All values of a key.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Everything but `""`, `0`, `no`, `false` and `none` is true.
    #[must_use]
    pub fn flag(&self, key: &str) -> bool {
        self.flag_or(key, false)
    }

    /// As [`Self::flag`], with a value for an absent key.
    #[must_use]
    pub fn flag_or(&self, key: &str, default: bool) -> bool {
        match self.0.iter().find(|(name, _)| name == key) {
            None => default,
            Some((_, value)) => {
                !matches!(value.trim().to_ascii_lowercase().as_str(), "" | "0" | "no" | "false" | "none")
            }
        }
    }

    /// A truth value as Go's `strconv` reads it; absent is false.
    ///
    /// # Errors
    /// 400 in its words when the value is none.
    pub fn strict_flag(&self, key: &str) -> Result<bool, Failure> {
        match self.text(key).unwrap_or("false") {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            text => {
                let reason = format!("strconv.ParseBool: parsing {text:?}: invalid syntax");
                Err(Failure::invalid(format!("invalid value for {key}: {text}: {reason}")))
            }
        }
    }

    /// A whole number.
    ///
    /// # Errors
    /// 400 in the words of Go's `strconv` when the value is none.
    pub fn number(&self, key: &str) -> Result<Option<i64>, Failure> {
        let Some(text) = self.text(key) else { return Ok(None) };
        let invalid = |error: std::num::ParseIntError| {
            let what = match error.kind() {
                IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
                _ => "invalid syntax",
            };
            Failure::invalid(format!("strconv.Atoi: parsing {text:?}: {what}"))
        };
        text.parse().map(Some).map_err(invalid)
    }
}

/// The first percent sign that no two hexadecimal digits follow, with what stands there instead.
pub fn broken_escape(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        rest = &rest[at..];
        let digits = rest.as_bytes().get(1..3).is_some_and(|pair| pair.iter().all(u8::is_ascii_hexdigit));
        if !digits {
            let end = rest.char_indices().nth(3).map_or(rest.len(), |(end, _)| end);
            return Some(&rest[..end]);
        }
        rest = &rest[3..];
    }
    None
}

/// Undoes percent-encoding; in a query a plus is a space. Broken sequences stay as they are.
#[must_use]
pub fn decode(text: &str, plus_is_space: bool) -> String {
    if !text.contains(['%', '+']) {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, tail)) = rest.split_first() {
        let hex = |b: u8| char::from(b).to_digit(16);
        let pair = tail.first().zip(tail.get(1)).and_then(|(&a, &b)| Some(hex(a)? * 16 + hex(b)?));
        match (byte, pair.and_then(|value| u8::try_from(value).ok())) {
            (b'%', Some(value)) => {
                decoded.push(value);
                rest = &tail[2..];
                continue;
            }
            (b'+', _) if plus_is_space => decoded.push(b' '),
            _ => decoded.push(byte),
        }
        rest = tail;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded_and_truth_is_dockers() {
        let query =
            Query::parse("a=1&b=False&c=x%2Fy+z&d&e=none&g=true&n=12&m=x&l=99999999999999999999").expect("a query");
        assert_eq!(query.text("c"), Some("x/y z"));
        let truths = ["a", "b", "c", "d", "e", "g", "h"].map(|key| query.flag(key));
        assert_eq!(truths, [true, false, true, false, false, true, false]);
        assert_eq!(query.strict_flag("a").and_then(|_| query.strict_flag("g")), Ok(true));
        assert_eq!(
            query.strict_flag("m").map_err(|e| e.message),
            Err("invalid value for m: x: strconv.ParseBool: parsing \"x\": invalid syntax".to_owned())
        );
        assert!(query.flag_or("h", true) && !query.flag_or("b", true));
        assert_eq!(query.number("n"), Ok(Some(12)));
        assert_eq!(
            query.number("m").map_err(|e| e.message),
            Err("strconv.Atoi: parsing \"x\": invalid syntax".to_owned())
        );
        assert_eq!(
            query.number("l").map_err(|e| e.message),
            Err("strconv.Atoi: parsing \"99999999999999999999\": value out of range".to_owned())
        );
        assert_eq!(decode("a+b%20c", false), "a+b c");
        for (text, message) in [
            ("a=%zz", "invalid URL escape \"%zz\""),
            ("a=%41%4", "invalid URL escape \"%4\""),
            ("a=1;b=2", "invalid semicolon separator in query"),
        ] {
            assert_eq!(Query::parse(text).map_err(|e| e.message), Err(message.to_owned()));
        }
    }
}
