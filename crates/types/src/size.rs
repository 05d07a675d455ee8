//! Sizes in text (`10m`, `20kB`, `1.5g`), as go-units reads them.

/// The text is not a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid size: '{0}'")]
pub struct InvalidSize(pub String);

/// Bytes of `10m`, `20kB`, `1.5 GiB`: powers of `unit`, which is 1000 (`FromHumanSize`) or 1024 (`RAMInBytes`).
///
/// # Errors
/// [`InvalidSize`] with the whole text.
pub fn parse_size(text: &str, unit: u64) -> Result<u64, InvalidSize> {
    let bad = || InvalidSize(text.to_owned());
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let suffix = suffix.strip_prefix(' ').unwrap_or(suffix).to_ascii_lowercase();
    let power = match suffix.strip_suffix('b').unwrap_or(&suffix).trim_end_matches('i') {
        "" if suffix != "i" && suffix != "ib" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return Err(bad()),
    };
    let number: f64 = number.parse().map_err(|_| bad())?;
    Ok((number * unit.pow(power) as f64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_both_bases() {
        for (text, thousand, kibi) in [
            ("10m", 10_000_000, 10 << 20),
            ("20kb", 20_000, 20 << 10),
            ("1GiB", 1_000_000_000, 1 << 30),
            ("1.5 k", 1500, 1536),
            ("512", 512, 512),
        ] {
            assert_eq!((parse_size(text, 1000), parse_size(text, 1024)), (Ok(thousand), Ok(kibi)), "{text}");
        }
        for bad in ["", "m", "-1", "ten", "1x", "1.2.3", "1i"] {
            assert_eq!(parse_size(bad, 1000).map_err(|error| error.to_string()), Err(format!("invalid size: '{bad}'")));
        }
    }
}
