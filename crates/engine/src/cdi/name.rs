//! `vendor.com/class=name`.

/// Splits a qualified name into its kind (`vendor.com/class`) and the device's name; `None` when it is none.
pub(super) fn split(qualified: &str) -> Option<(&str, &str)> {
    let (kind, name) = qualified.split_once('=')?;
    (is_kind(kind) && is_name(name)).then_some((kind, name))
}

/// `vendor.com/class`.
pub(super) fn is_kind(kind: &str) -> bool {
    let Some((vendor, class)) = kind.split_once('/') else { return false };
    word(vendor, b"_-.", true) && word(class, b"_-", true)
}

/// A device's name in its file.
pub(super) fn is_name(name: &str) -> bool {
    word(name, b"_-.:", false)
}

/// Letters, digits and `inner`, which neither begins nor ends it; a vendor or class begins with a letter.
fn word(text: &str, inner: &[u8], letter_first: bool) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    let begins = if letter_first { first.is_ascii_alphabetic() } else { first.is_ascii_alphanumeric() };
    begins && last.is_ascii_alphanumeric() && bytes.iter().all(|b| b.is_ascii_alphanumeric() || inner.contains(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_qualified_or_none() {
        assert_eq!(split("nvidia.com/gpu=0"), Some(("nvidia.com/gpu", "0")));
        assert_eq!(split("vendor.com/net=eth:1.2_x"), Some(("vendor.com/net", "eth:1.2_x")));
        for bad in ["", "gpu=0", "v/c", "v/c=", "/c=x", "v/=x", "9v/c=x", "v/c=-x", "/dev/a=b", "v/c/d=x"] {
            assert_eq!(split(bad), None, "{bad}");
        }
    }
}
