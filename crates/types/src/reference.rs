//! Image references (`repo[:tag][@digest]`) and Docker's way of completing short ones.
//!
//! Grammar: distribution/reference. A name without a registry belongs to `docker.io`; one without a
//! path there belongs to `library/`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Digest;

/// Why a text is not an image reference. Texts are Docker's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReference {
    /// Does not match the grammar.
    #[error("invalid reference format")]
    Format,
    /// The repository has capital letters.
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    NotLowerCase(String),
    /// The name part is longer than 255 bytes.
    #[error("repository name must not be more than 255 characters")]
    TooLong,
    /// 64 hexadecimal digits name an image id, never a repository.
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    Id(String),
}

/// A complete reference: registry, path, and a tag or digest or both or neither.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

const DEFAULT_DOMAIN: &str = "docker.io";

impl Reference {
    /// The registry, for example `docker.io` or `127.0.0.1:5000`.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository's path on the registry, for example `library/busybox`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag, where one is given.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, where one is given.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The same reference with the tag `latest` when it had neither tag nor digest.
    #[must_use]
    pub fn with_default_tag(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some("latest".to_owned());
        }
        self
    }

    /// The same repository with this tag and no digest.
    ///
    /// # Errors
    /// [`InvalidReference::Format`] when the tag has characters that tags may not have.
    pub fn with_tag(&self, tag: &str) -> Result<Self, InvalidReference> {
        let tag = Some(parse_tag(tag)?);
        Ok(Self { domain: self.domain.clone(), path: self.path.clone(), tag, digest: None })
    }

    /// The same repository with this digest and no tag.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { domain: self.domain.clone(), path: self.path.clone(), tag: None, digest: Some(digest) }
    }

    /// The full repository name, for example `docker.io/library/busybox`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// The repository name as people write it: without `docker.io/` and `library/`.
    #[must_use]
    pub fn familiar_name(&self) -> String {
        if self.domain != DEFAULT_DOMAIN {
            return self.name();
        }
        match self.path.strip_prefix("library/") {
            Some(short) if !short.contains('/') && !is_image_id(short) => short.to_owned(),
            // The path alone would be read as the name of another registry.
            _ if looks_like_domain(&self.path) => self.name(),
            _ => self.path.clone(),
        }
    }

    /// The whole reference as people write it, for example `busybox:latest`.
    #[must_use]
    pub fn familiar(&self) -> String {
        format!("{}{}", self.familiar_name(), self.suffix())
    }

    fn suffix(&self) -> String {
        let tag = self.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
        let digest = self.digest.map(|digest| format!("@{digest}")).unwrap_or_default();
        tag + &digest
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.name(), self.suffix())
    }
}

impl TryFrom<String> for Reference {
    type Error = InvalidReference;
    fn try_from(text: String) -> Result<Self, InvalidReference> {
        text.parse()
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> String {
        reference.to_string()
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        if is_image_id(text) {
            return Err(InvalidReference::Id(text.to_owned()));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse().map_err(|_| InvalidReference::Format)?)),
            None => (text, None),
        };
        // A colon after the last slash begins a tag; before it, it is a port.
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(parse_tag(tag)?)),
            _ => (rest, None),
        };
        let (domain, path) = split_domain(name);
        check_path(&path, name)?;
        check_domain(&domain)?;
        if domain.len() + 1 + path.len() > 255 {
            return Err(InvalidReference::TooLong);
        }
        Ok(Self { domain, path, tag, digest })
    }
}

/// Alone, 64 hexadecimal digits are never a repository; below `library/` they may be one.
fn is_image_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// The first of several components is a registry when it looks like a host: a dot, a port, `localhost` or a capital.
fn looks_like_domain(name: &str) -> bool {
    let Some((first, _)) = name.split_once('/') else { return false };
    first.contains(['.', ':']) || first == "localhost" || first.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn split_domain(name: &str) -> (String, String) {
    let (domain, path) = match name.split_once('/') {
        Some((first, rest)) if looks_like_domain(name) => {
            (if first == "index.docker.io" { DEFAULT_DOMAIN } else { first }, rest)
        }
        _ => (DEFAULT_DOMAIN, name),
    };
    let official = domain == DEFAULT_DOMAIN && !path.contains('/');
    let path = if official { format!("library/{path}") } else { path.to_owned() };
    (domain.to_owned(), path)
}

fn parse_tag(tag: &str) -> Result<String, InvalidReference> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let valid = tag.len() <= 128
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || b == b'.' || b == b'-');
    if valid { Ok(tag.to_owned()) } else { Err(InvalidReference::Format) }
}

fn check_domain(domain: &str) -> Result<(), InvalidReference> {
    let (host, port) = match domain.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (domain, None),
    };
    let port_valid = port.is_none_or(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()));
    let host_valid = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(v6) => !v6.is_empty() && v6.bytes().all(|b| b.is_ascii_hexdigit() || b == b':'),
        None => host.split('.').all(|label| {
            !label.is_empty()
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        }),
    };
    if port_valid && host_valid { Ok(()) } else { Err(InvalidReference::Format) }
}

fn check_path(path: &str, name: &str) -> Result<(), InvalidReference> {
    if path.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(InvalidReference::NotLowerCase(name.to_owned()));
    }
    if path.split('/').all(is_path_component) { Ok(()) } else { Err(InvalidReference::Format) }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_path_component(component: &str) -> bool {
    let bytes = component.as_bytes();
    let alphanumeric = |b: &u8| matches!(b, b'a'..=b'z' | b'0'..=b'9');
    if !bytes.first().is_some_and(alphanumeric) || !bytes.last().is_some_and(alphanumeric) {
        return false;
    }
    bytes
        .split(alphanumeric)
        .filter(|separator| !separator.is_empty())
        .all(|separator| matches!(separator, b"." | b"_" | b"__") || separator.iter().all(|b| *b == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completes_short_names_as_docker_does() {
        for (text, full, familiar) in [
            ("busybox", "docker.io/library/busybox", "busybox"),
            ("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"),
            ("user/app", "docker.io/user/app", "user/app"),
            ("docker.io/busybox", "docker.io/library/busybox", "busybox"),
            ("index.docker.io/library/busybox", "docker.io/library/busybox", "busybox"),
            ("localhost/app", "localhost/app", "localhost/app"),
            ("127.0.0.1:5000/a/b:v1", "127.0.0.1:5000/a/b:v1", "127.0.0.1:5000/a/b:v1"),
            ("[::1]:5000/a", "[::1]:5000/a", "[::1]:5000/a"),
            // Its path alone would be on another registry.
            ("docker.io/example.com/a:v1", "docker.io/example.com/a:v1", "docker.io/example.com/a:v1"),
            ("docker.io/localhost/a:v1", "docker.io/localhost/a:v1", "docker.io/localhost/a:v1"),
        ] {
            let reference: Reference = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!((reference.to_string().as_str(), reference.familiar().as_str()), (full, familiar));
        }
    }

    #[test]
    fn a_repository_that_looks_like_an_image_id_keeps_its_path() {
        let name = format!("library/{}", "a0".repeat(32));
        let reference: Reference = name.parse().unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(reference.familiar(), name);
        assert_eq!(name["library/".len()..].parse::<Reference>(), Err(InvalidReference::Id("a0".repeat(32))));
    }

    #[test]
    fn rejects_malformed_references_with_dockers_words() {
        for (text, message) in [
            ("", "invalid reference format"),
            (":tag", "invalid reference format"),
            ("a:", "invalid reference format"),
            ("a//b", "invalid reference format"),
            ("-a", "invalid reference format"),
            ("a@sha256:12", "invalid reference format"),
            ("a b", "invalid reference format"),
            ("UPPER", "invalid reference format: repository name (UPPER) must be lowercase"),
            ("a/UPPER:x", "invalid reference format: repository name (a/UPPER) must be lowercase"),
        ] {
            assert_eq!(text.parse::<Reference>().map_err(|e| e.to_string()), Err(message.to_owned()), "{text}");
        }
    }

    #[test]
    fn digest_and_tag_may_stand_together() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        let reference: Reference = format!("app:v1@{digest}").parse().expect("valid");
        assert_eq!(reference.tag(), Some("v1"));
        assert_eq!(reference.digest().map(|d| d.to_string()), Some(digest));
    }
}
