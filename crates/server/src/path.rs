//! Paths with empty words or dots, which lead nowhere: a client is sent to the path that was meant, as Docker does.

use hyper::Uri;

use crate::query;

/// Where a request should go instead; `None` for a path that is clean.
#[must_use]
pub fn clean(uri: &Uri) -> Option<String> {
    let path = uri.path();
    if !path.contains("//") && !path.contains("/.") && !path.contains('%') {
        return None;
    }
    let path = query::decode(path, false);
    let dirty = path.contains("//") || path.split('/').any(|word| word == "." || word == "..");
    if !dirty || !path.starts_with('/') {
        return None;
    }
    let mut words: Vec<&str> = Vec::new();
    for word in path.split('/') {
        match word {
            "" | "." => {}
            ".." => drop(words.pop()),
            word => words.push(word),
        }
    }
    let end = if path.ends_with('/') && !words.is_empty() { "/" } else { "" };
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let clean = words.iter().map(|word| format!("/{}", encode(word))).collect::<String>();
    Some(format!("{}{end}{query}", if clean.is_empty() { "/" } else { &clean }))
}

/// Percent-encodes what a path may not hold as it is.
fn encode(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~$&+,:;=@!'()*".contains(&byte);
    let mut text = String::new();
    for byte in word.bytes() {
        if plain(byte) {
            text.push(char::from(byte));
        } else {
            text += &format!("%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_that_are_not_clean_are_moved() {
        for (path, expected) in [
            ("/containers/json?all=1", None),
            ("/images/a/b:1.2/json", None),
            ("/images/a%2Fb/json", None),
            ("/volumes/.hidden", None),
            ("/containers//json?all=1", Some("/containers/json?all=1")),
            ("//v1.41/info", Some("/v1.41/info")),
            ("/containers/./json", Some("/containers/json")),
            ("/containers/%2E%2E/json", Some("/json")),
            ("/x%20y//%00/", Some("/x%20y/%00/")),
            ("/..", Some("/")),
        ] {
            let uri = path.parse().expect("a path");
            assert_eq!(clean(&uri).as_deref(), expected, "{path}");
        }
    }
}
