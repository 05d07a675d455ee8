//! What the maker of a rule stored beside it: entries of a type, a length and bytes.
//!
//! Source: `libnftnl/udata.h`. Type 0 is a comment that nft and iptables print; they pass over the types they do not know.

/// `NFTNL_UDATA_RULE_COMMENT`.
const COMMENT: u8 = 0;
/// Not one of nft's or iptables' types.
const OWNER: u8 = 0x67;
/// An entry counts its length in one byte.
const LONGEST: usize = 255;

/// A comment, text with its NUL.
#[must_use]
pub fn comment(text: &str) -> Vec<u8> {
    entry(COMMENT, &[text.as_bytes(), &[0]].concat())
}

/// A mark that no program prints: who made the rule, and what for. At most 255 bytes; the rest is cut off.
#[must_use]
pub fn mark(text: &str) -> Vec<u8> {
    entry(OWNER, text.as_bytes())
}

/// The mark in a rule's user data.
#[must_use]
pub fn mark_of(data: &[u8]) -> Option<&str> {
    text_of(data, OWNER)
}

/// The comment in a rule's user data, without its NUL.
#[must_use]
pub fn comment_of(data: &[u8]) -> Option<&str> {
    text_of(data, COMMENT).map(|text| text.trim_end_matches('\0'))
}

fn text_of(data: &[u8], wanted: u8) -> Option<&str> {
    let mut rest = data;
    while let [kind, length, behind @ ..] = rest {
        let payload = behind.get(..usize::from(*length))?;
        if *kind == wanted {
            return std::str::from_utf8(payload).ok();
        }
        rest = behind.get(usize::from(*length)..)?;
    }
    None
}

fn entry(kind: u8, payload: &[u8]) -> Vec<u8> {
    let payload = &payload[..payload.len().min(LONGEST)];
    [&[kind, payload.len() as u8], payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_behind_a_comment() {
        let data = [comment("by hand"), mark("gantry_br0 tcp 80")].concat();
        assert_eq!(mark_of(&data), Some("gantry_br0 tcp 80"));
        assert_eq!(comment_of(&data), Some("by hand"));
        assert_eq!(mark_of(&comment("by hand")), None);
        assert_eq!(mark_of(&[OWNER, 9, 1]), None);
    }
}
