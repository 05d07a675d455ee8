//! Texts in double quotes as Go's `%q` prints them, which is how Docker's messages and histories have them.

/// The text in double quotes.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            letter => out.push_str(&escaped(letter)),
        }
    }
    out.push('"');
    out
}

/// A letter, escaped unless it can be printed.
pub fn escaped(letter: char) -> String {
    match letter {
        '\\' => "\\\\".to_owned(),
        '\u{7}' => "\\a".to_owned(),
        '\u{8}' => "\\b".to_owned(),
        '\t' => "\\t".to_owned(),
        '\n' => "\\n".to_owned(),
        '\u{b}' => "\\v".to_owned(),
        '\u{c}' => "\\f".to_owned(),
        '\r' => "\\r".to_owned(),
        letter if letter.is_ascii_control() => format!("\\x{:02x}", u32::from(letter)),
        letter => {
            // Rust knows what can be printed; only its spelling of the rest is another.
            let printable = letter == '\'' || letter.escape_debug().len() == 1;
            match u32::from(letter) {
                _ if printable => letter.to_string(),
                code @ ..=0xffff => format!("\\u{code:04x}"),
                code => format!("\\U{code:08x}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_as_go_does() {
        let text = "a \"b\" 'c' \\ \u{8} \u{c} \n \r \t \0 \u{7f} ♥ é \u{ad} \u{10ffff}";
        assert_eq!(quoted(text), r#""a \"b\" 'c' \\ \b \f \n \r \t \x00 \x7f ♥ é \u00ad \U0010ffff""#);
    }
}
