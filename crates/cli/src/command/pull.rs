//! `pull`.

use client::Client;
use serde_json::json;
use types::{InvalidReference, Reference};

use super::common::TRUST;
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};
use crate::progress::{self, Target};

/// `pull`.
pub static COMMAND: Command = Command {
    paths: &["image pull", "pull"],
    usage: "[OPTIONS] NAME[:TAG|@DIGEST]",
    about: "Download an image from a registry",
    flags: &[&[
        Flag::switch("all-tags", "Download all tagged images in the repository").short('a'),
        TRUST,
        Flag::value("platform", "string", "Set platform if server is multi-platform capable"),
        Flag::switch("quiet", "Suppress verbose output").short('q'),
    ]],
    interspersed: true,
    args: Args::Exactly(1),
    run,
};

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let mut reference = parse(m.arg(0))?;
    let named = reference.tag().is_some() || reference.digest().is_some();
    match (m.on("all-tags"), named) {
        (true, true) => return Err(Failure::Invalid("tag can't be used with --all-tags/-a".to_owned())),
        (false, false) => {
            reference = reference.with_default_tag();
            if !m.on("quiet") {
                context.line("Using default tag: latest");
            }
        }
        _ => {}
    }
    let client = context.client()?;
    let target = if m.on("quiet") { Target::Nowhere } else { Target::Out };
    context.wait(pull(context, client, &reference, m.text("platform"), target))?;
    context.line(&reference.to_string());
    Ok(())
}

/// Pulls what `run` and `create` miss; progress goes to stderr.
///
/// # Errors
/// The engine's.
pub async fn for_run(context: &Context<'_>, client: &Client, image: &str, m: &Matches) -> Result<(), Failure> {
    let reference = parse(image)?.with_default_tag();
    let target = if m.on("quiet") { Target::Nowhere } else { Target::Err };
    pull(context, client, &reference, m.text("platform"), target).await
}

/// Reads an image name.
///
/// # Errors
/// Docker's text.
pub fn parse(text: &str) -> Result<Reference, Failure> {
    text.parse().map_err(invalid)
}

/// Docker's text for a malformed reference. A name with capitals is shown with the path that it stands for.
#[must_use]
pub fn invalid(error: InvalidReference) -> Failure {
    let error = match error {
        InvalidReference::NotLowerCase(name) if !name.contains('/') => {
            InvalidReference::NotLowerCase(format!("library/{name}"))
        }
        other => other,
    };
    Failure::Invalid(error.to_string())
}

async fn pull(
    context: &Context<'_>,
    client: &Client,
    reference: &Reference,
    platform: &str,
    target: Target,
) -> Result<(), Failure> {
    let tag = match (reference.digest(), reference.tag()) {
        (Some(digest), _) => digest.to_string(),
        (None, tag) => tag.unwrap_or_default().to_owned(),
    };
    let response = client
        .post("/images/create")
        .query("fromImage", &reference.familiar_name())
        .text("tag", &tag)
        .text("platform", platform)
        .header("x-registry-auth", &registry_auth(context, reference.domain()))
        .send()
        .await?;
    progress::show(response, target).await
}

/// The `X-Registry-Auth` header: base64url of the credentials' JSON.
fn registry_auth(context: &Context, domain: &str) -> String {
    let Some((server, auth)) = context.config().auth(domain) else { return base64(b"{}", URL) };
    let decoded = String::from_utf8(decode(&auth.auth)).unwrap_or_default();
    let (user, password) = decoded.split_once(':').unwrap_or_default();
    let mut credentials = json!({ "serveraddress": server });
    if auth.identity_token.is_empty() {
        credentials["username"] = json!(user);
        credentials["password"] = json!(password);
    } else {
        credentials["identitytoken"] = json!(auth.identity_token);
    }
    base64(credentials.to_string().as_bytes(), URL)
}

const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn base64(bytes: &[u8], alphabet: &[u8; 64]) -> String {
    let mut text = String::new();
    for piece in bytes.chunks(3) {
        let group = piece.iter().fold(0u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - piece.len()));
        for position in 0..4 {
            let digit = (group >> (18 - 6 * position)) & 63;
            text.push(if position <= piece.len() { alphabet[digit as usize] as char } else { '=' });
        }
    }
    text
}

fn decode(text: &str) -> Vec<u8> {
    let (mut bytes, mut group, mut bits) = (Vec::new(), 0u32, 0);
    for letter in text.bytes() {
        let digit = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => continue,
        };
        group = group << 6 | u32::from(digit);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((group >> bits) as u8);
            group &= (1 << bits) - 1;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_round_trips() {
        for text in ["", "a", "ab", "abc", "user:pässword"] {
            assert_eq!(decode(&base64(text.as_bytes(), URL)), text.as_bytes());
        }
        assert_eq!(base64(b"{}", URL), "e30=");
        assert_eq!(decode("dXNlcjpwdw=="), b"user:pw");
    }
}
