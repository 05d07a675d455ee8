//! Accounts in the settings file. Everything else that stands in it is kept.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Account, base64, host_of};
use crate::Failure;
use crate::config::Config;
use crate::context::Context;

type Document = IndexMap<String, Value>;

/// The account that the settings name for a registry; the exact name wins over another form of it.
pub(super) fn find(config: &Config, server: &str) -> Account {
    let exact = config.auths.get_key_value(server);
    let same = || config.auths.iter().find(|(name, _)| host_of(name) == host_of(server));
    let Some((name, auth)) = exact.or_else(same) else { return Account::default() };
    let decoded = String::from_utf8(base64::decode(&auth.auth)).unwrap_or_default();
    let (username, password) = decoded.split_once(':').unwrap_or_default();
    Account {
        server: name.clone(),
        username: username.to_owned(),
        password: password.trim_end_matches('\0').to_owned(),
        identity_token: auth.identity_token.clone(),
    }
}

/// Writes an account; an empty one only leaves the registry's name.
pub(super) fn keep(context: &Context, account: &Account) -> Result<(), Failure> {
    let mut auth = json!({});
    if !account.username.is_empty() {
        // The password is left out where a token stands for it.
        let password = if account.identity_token.is_empty() { &account.password } else { "" };
        auth["auth"] = json!(base64::encode(format!("{}:{password}", account.username).as_bytes()));
    }
    if !account.identity_token.is_empty() {
        auth["identitytoken"] = json!(account.identity_token);
    }
    change(context, |auths| drop(auths.insert(account.server.clone(), auth)))
}

/// Takes every form of a registry's name out.
pub(super) fn forget(context: &Context, server: &str) -> Result<(), Failure> {
    change(context, |auths| auths.retain(|name, _| name != server && host_of(name) != host_of(server)))
}

fn change(context: &Context, edit: impl FnOnce(&mut Map<String, Value>)) -> Result<(), Failure> {
    let path = context.config_path();
    let path = path.ok_or_else(|| Failure::Invalid("cannot find the home directory: HOME is not set".to_owned()))?;
    let failed = |source| Failure::Io { what: format!("Error saving credentials: {}", path.display()), source };
    let mut document = read(&path)?;
    let auths = document.entry("auths".to_owned()).or_insert_with(|| json!({}));
    let Value::Object(map) = auths else {
        return Err(Failure::Invalid(format!("{}: \"auths\" is not an object", path.display())));
    };
    edit(map);
    let mut text = Vec::new();
    let format = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let encoded = document.serialize(&mut serde_json::Serializer::with_formatter(&mut text, format));
    encoded.map_err(|error| failed(error.into()))?;
    write(&path, &text).map_err(failed)
}

fn read(path: &Path) -> Result<Document, Failure> {
    match fs::read(path) {
        Ok(bytes) if bytes.iter().all(u8::is_ascii_whitespace) => Ok(Document::default()),
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(|error| Failure::Invalid(format!("{} is no settings file: {error}", path.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Document::default()),
        Err(source) => Err(Failure::Io { what: format!("read {}", path.display()), source }),
    }
}

/// Appears whole; a link stays a link. Only its owner may read it.
#[expect(clippy::disallowed_methods, reason = "our user's own file, by our user's own rights")]
fn write(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if let Some(directory) = path.parent() {
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let partial = path.with_extension(format!("json{}", std::process::id()));
    let written = (|| {
        let mut file = fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
        file.write_all(text)?;
        fs::rename(&partial, &path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&partial);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_found_under_every_form_of_the_name() {
        let text = r#"{"auths":{"https://index.docker.io/v1/":{"auth":"aHViOmE="},"reg:5000":{"auth":"dTpw"},
            "https://reg:5000/v2/":{"identitytoken":"t"}}}"#;
        let config: Config = serde_json::from_str(text).expect("settings");
        let found = |server: &str| {
            let account = find(&config, server);
            (account.username, account.password, account.identity_token)
        };
        let texts = |user: &str, password: &str, token: &str| (user.to_owned(), password.to_owned(), token.to_owned());
        assert_eq!(found(super::super::HUB), texts("hub", "a", ""));
        assert_eq!(found("reg:5000"), texts("u", "p", ""));
        assert_eq!(found("http://reg:5000"), texts("u", "p", ""));
        assert_eq!(found("other"), texts("", "", ""));
    }
}
