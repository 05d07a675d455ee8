//! `--volume`.

use std::path::Path;

/// What a `--volume` text is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Volume {
    /// Only a place in the container: an anonymous volume.
    Anonymous(String),
    /// The text for the engine, with a relative host path made absolute.
    Bind(String),
}

/// Reads `[source:]target[:options]`. `cwd` completes sources that begin with a dot.
///
/// # Errors
/// Docker's text.
pub fn parse(text: &str, cwd: &Path) -> Result<Volume, String> {
    let invalid = |detail: &str| format!("invalid spec: {text}: {detail}");
    if text.is_empty() {
        return Err("invalid empty volume spec".to_owned());
    }
    if text.len() <= 2 {
        return Ok(Volume::Anonymous(text.to_owned()));
    }
    let parts: Vec<&str> = text.split(':').collect();
    if parts.iter().any(|part| part.is_empty()) {
        return Err(invalid("empty section between colons"));
    }
    if parts.len() > 3 {
        return Err(invalid("too many colons"));
    }
    let [source, rest @ ..] = parts.as_slice() else { return Err(invalid("empty section between colons")) };
    if rest.is_empty() {
        return Ok(Volume::Anonymous(text.to_owned()));
    }
    if source.starts_with('.') {
        return Ok(Volume::Bind(format!("{}:{}", absolute(source, cwd), rest.join(":"))));
    }
    Ok(Volume::Bind(text.to_owned()))
}

/// `path` from `cwd` with `.` and `..` taken out by text, as Go's `filepath.Abs` does.
#[must_use]
pub fn absolute(path: &str, cwd: &Path) -> String {
    let joined = cwd.join(path);
    let mut parts: Vec<&str> = Vec::new();
    for part in joined.to_str().unwrap_or(path).split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_volumes_from_binds() {
        let cwd = Path::new("/home/u");
        let bind = |text: &str| Ok(Volume::Bind(text.to_owned()));
        assert_eq!(parse("/data", cwd), Ok(Volume::Anonymous("/data".to_owned())));
        assert_eq!(parse("/a:/b:ro", cwd), bind("/a:/b:ro"));
        assert_eq!(parse("name:/b", cwd), bind("name:/b"));
        assert_eq!(parse("./x/../y:/b", cwd), bind("/home/u/y:/b"));
        assert_eq!(parse(".:/b", cwd), bind("/home/u:/b"));
        assert_eq!(parse("a::b", cwd), Err("invalid spec: a::b: empty section between colons".to_owned()));
        assert_eq!(parse("/a:/b:ro:x", cwd), Err("invalid spec: /a:/b:ro:x: too many colons".to_owned()));
    }
}
