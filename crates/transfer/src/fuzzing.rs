//! Doors for `fuzz/`; not for anybody else.

use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};

use crate::challenge::{Challenge, is_out_of_scope};
use crate::fetch::sha256;
use crate::manifest::{Raw, media_type, top};

/// Reads bytes as what a registry answers for an image, in every form.
pub fn manifest(bytes: &[u8]) {
    if let Ok(media_type) = media_type("fuzz", String::new(), bytes) {
        let raw = Raw { digest: sha256(bytes), media_type, bytes: bytes.to_owned() };
        let _ = top("fuzz", &raw);
    }
    let _ = crate::schema1::digest(bytes);
    let _ = crate::schema1::Schema1::parse("fuzz", bytes);
}

/// Reads bytes as the header that asks for a login; a line is one header.
pub fn challenge(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(WWW_AUTHENTICATE, value);
        }
    }
    let _ = Challenge::of(&headers);
    let _ = is_out_of_scope(&headers);
}
