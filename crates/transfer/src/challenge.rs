//! What a registry wants to see (RFC 9110, section 11.6.1; RFC 6750, section 3).

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// How a registry wants to know who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    None,
    Basic,
    Bearer { realm: String, service: String },
}

/// One scheme with its parameters.
#[derive(Debug, PartialEq, Eq)]
struct Scheme {
    /// Lower case.
    name: String,
    /// Names in lower case.
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// The one of the challenges that says most: a token is preferred to a password.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut found = Self::None;
        for scheme in schemes_of(headers) {
            match (scheme.name.as_str(), scheme.parameter("realm")) {
                ("bearer", Some(realm)) => {
                    let service = scheme.parameter("service").unwrap_or_default().to_owned();
                    return Self::Bearer { realm: realm.to_owned(), service };
                }
                ("basic", _) => found = Self::Basic,
                _ => {}
            }
        }
        found
    }
}

/// The token that was sent does not reach as far as the request.
pub(crate) fn is_out_of_scope(headers: &HeaderMap) -> bool {
    schemes_of(headers).iter().any(|scheme| scheme.parameter("error") == Some("insufficient_scope"))
}

impl Scheme {
    fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

fn schemes_of(headers: &HeaderMap) -> Vec<Scheme> {
    let texts = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(parse).collect()
}

/// Reads a header; several challenges may stand in one, separated by commas as their parameters are. What does not fit
/// is passed over.
fn parse(text: &str) -> Vec<Scheme> {
    let mut schemes: Vec<Scheme> = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([',', ' ', '\t']);
        if rest.is_empty() {
            return schemes;
        }
        let (word, after) = token(rest);
        if word.is_empty() {
            // Not a word: nothing that anybody can send.
            rest = skip_one(rest);
            continue;
        }
        let behind = after.trim_start_matches([' ', '\t']);
        match (behind.strip_prefix('='), schemes.last_mut()) {
            (Some(value), Some(scheme)) if !value.starts_with('=') => {
                let (value, next) = value_of(value.trim_start_matches([' ', '\t']));
                scheme.parameters.push((word.to_ascii_lowercase(), value));
                rest = next;
            }
            // The padding of a token68.
            (Some(value), _) => rest = value,
            (None, _) => {
                schemes.push(Scheme { name: word.to_ascii_lowercase(), parameters: Vec::new() });
                rest = after;
            }
        }
    }
}

fn token(text: &str) -> (&str, &str) {
    let end = text.find(|letter: char| !letter.is_ascii_alphanumeric() && !"!#$%&'*+-.^_`|~/".contains(letter));
    text.split_at(end.unwrap_or(text.len()))
}

fn skip_one(text: &str) -> &str {
    let mut letters = text.chars();
    letters.next();
    letters.as_str()
}

/// A quoted string without its escapes, or a word up to the next comma.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_at(text.find(',').unwrap_or(text.len()));
        return (value.trim().to_owned(), rest);
    };
    let (mut value, mut letters) = (String::new(), quoted.chars());
    loop {
        match letters.next() {
            Some('\\') => value.extend(letters.next()),
            Some('"') | None => return (value, letters.as_str()),
            Some(letter) => value.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn challenge(texts: &[&str]) -> Challenge {
        let mut headers = HeaderMap::new();
        for text in texts {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_str(text).expect("a header"));
        }
        Challenge::of(&headers)
    }

    #[test]
    fn challenges_in_one_header_and_in_several() {
        let bearer =
            |realm: &str, service: &str| Challenge::Bearer { realm: realm.to_owned(), service: service.to_owned() };
        let text = r#"Bearer realm="https://auth.example/token",service="registry",scope="a:b,c",error="x""#;
        assert_eq!(challenge(&[text]), bearer("https://auth.example/token", "registry"));
        assert_eq!(challenge(&[r#"Basic realm="x""#]), Challenge::Basic);
        assert_eq!(challenge(&["Negotiate"]), Challenge::None);
        assert_eq!(challenge(&["Negotiate YII=", r#"Basic realm="x", charset="UTF-8""#]), Challenge::Basic);
        let both = r#"Negotiate, Basic realm="a, Bearer realm=\"b\"", bearer realm="https://r/t" , service=plain"#;
        assert_eq!(challenge(&[both]), bearer("https://r/t", "plain"));
        assert_eq!(challenge(&[r#"Basic realm="x""#, r#"Bearer realm="https://r""#]), bearer("https://r", ""));
        assert_eq!(challenge(&[r#"Bearer realm = "https://r\"x" , Service="s""#]), bearer("https://r\"x", "s"));
        assert_eq!(challenge(&["Bearer service=\"s\""]), Challenge::None);
    }

    #[test]
    fn nonsense_is_passed_over() {
        for text in ["", ",,,", "=", "\"", "Bearer realm=\"open", "Bearer realm", "a=b", "é", "Basic ====", "\\"] {
            parse(text);
        }
        assert_eq!(challenge(&["Bearer realm=\"open"]), Challenge::Bearer { realm: "open".into(), service: "".into() });
        assert!(parse("realm=\"x\"").iter().all(|scheme| scheme.parameters.is_empty()));
    }

    #[test]
    fn a_scope_that_is_too_small_is_told() {
        let mut headers = HeaderMap::new();
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"x\",error=\"insufficient_scope\""));
        assert!(is_out_of_scope(&headers));
    }
}
