//! Sizes like `512m` and `1.5g` (powers of 1024).

/// Bytes in a size text.
///
/// # Errors
/// Docker's text.
pub fn parse(text: &str) -> Result<i64, String> {
    let invalid = || format!("invalid size: '{text}'");
    let at = text.rfind(|c: char| c.is_ascii_digit() || c == '.' || c == ' ').ok_or_else(invalid)?;
    let (number, suffix) = match text.as_bytes()[at] {
        b' ' => (&text[..at], &text[at + 1..]),
        _ => text.split_at(at + 1),
    };
    let value: f64 = number.parse().map_err(|_| format!("strconv.ParseFloat: parsing {number:?}: invalid syntax"))?;
    if value < 0.0 {
        return Err(invalid());
    }
    let suffix = suffix.to_ascii_lowercase();
    let power = match suffix.as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        "p" | "pb" | "pib" => 5,
        _ => return Err(format!("invalid suffix: '{suffix}'")),
    };
    Ok((value * 1024f64.powi(power)) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sizes_and_refuses_with_dockers_words() {
        for (text, bytes) in
            [("512m", 512 << 20), ("1.5g", 3 << 29), ("10", 10), ("4KiB", 4096), ("1 kb", 1024), ("7b", 7)]
        {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        assert_eq!(parse("abc"), Err("invalid size: 'abc'".to_owned()));
        assert_eq!(parse("1x"), Err("invalid suffix: 'x'".to_owned()));
        assert_eq!(parse("-1"), Err("invalid size: '-1'".to_owned()));
    }
}
