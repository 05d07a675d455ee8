//! Credentials for registries, as clients send them.

use api::system::AuthConfig;
use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use engine::model::image::Credentials;

/// The header `X-Registry-Auth`: base64 of JSON, in either alphabet, with or without padding. As with Docker, what
/// does not decode counts as no credentials: the registry decides whether it wants any.
#[must_use]
pub fn registry_auth(header: &str) -> Option<Credentials> {
    credentials(api::json::from_slice(&decoded(header)?).ok()?)
}

/// What an `AuthConfig` says.
#[must_use]
pub fn credentials(auth: AuthConfig) -> Option<Credentials> {
    let auth = split(auth);
    if !auth.registry_token.is_empty() {
        Some(Credentials::RegistryToken(auth.registry_token))
    } else if !auth.identity_token.is_empty() {
        Some(Credentials::IdentityToken(auth.identity_token))
    } else if !auth.username.is_empty() {
        Some(Credentials::Basic { username: auth.username, password: auth.password })
    } else {
        None
    }
}

/// Some clients send `user:password` in base64 only, as it stands in their configuration.
fn split(auth: AuthConfig) -> AuthConfig {
    if !auth.username.is_empty() || auth.auth.is_empty() {
        return auth;
    }
    let text = decoded(&auth.auth).and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    match text.split_once(':') {
        Some((user, password)) => {
            AuthConfig { username: user.to_owned(), password: password.trim_end_matches('\0').to_owned(), ..auth }
        }
        None => auth,
    }
}

pub(super) fn decoded(text: &str) -> Option<Vec<u8>> {
    let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    // Standard base64 differs in two characters only.
    GeneralPurpose::new(&URL_SAFE, lenient).decode(text.trim().replace('+', "-").replace('/', "_")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose;

    #[test]
    fn credentials_are_read_from_both_alphabets() {
        let json = br#"{"username":"u?>","password":"p","serveraddress":"x"}"#;
        for encoded in [
            general_purpose::URL_SAFE.encode(json),
            general_purpose::STANDARD.encode(json),
            general_purpose::URL_SAFE_NO_PAD.encode(json),
        ] {
            assert!(matches!(registry_auth(&encoded), Some(Credentials::Basic { username, .. }) if username == "u?>"));
        }
        assert_eq!(registry_auth("e30="), None);
        assert_eq!(registry_auth("!"), None);
        let auth = AuthConfig { auth: general_purpose::STANDARD.encode("user:a:b"), ..AuthConfig::default() };
        let expected = Credentials::Basic { username: "user".to_owned(), password: "a:b".to_owned() };
        assert_eq!(credentials(auth), Some(expected));
        let auth = AuthConfig { identity_token: "t".to_owned(), username: "u".to_owned(), ..AuthConfig::default() };
        assert_eq!(credentials(auth), Some(Credentials::IdentityToken("t".to_owned())));
    }
}
