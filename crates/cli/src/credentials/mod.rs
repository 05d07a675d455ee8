//! Accounts on registries: in the user's settings file, or with a `docker-credential-…` program that it names.

mod base64;
mod file;
mod helper;

use serde_json::json;

use crate::Failure;
use crate::context::Context;

/// How the hub is called in settings files, for historical reasons.
pub const HUB: &str = "https://index.docker.io/v1/";

/// A user name that says that the secret is a token (protocol of the credential programs).
const TOKEN_USER: &str = "<token>";

/// An account on a registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The registry, as the file or program names it.
    pub server: String,
    /// The user.
    pub username: String,
    /// The password; empty when there is a token.
    pub password: String,
    /// A token that stands for the password.
    pub identity_token: String,
}

impl Account {
    /// Nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.username.is_empty() && self.password.is_empty() && self.identity_token.is_empty()
    }

    /// The JSON of the API's `AuthConfig`.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let mut auth = json!({ "serveraddress": self.server });
        for (key, value) in
            [("username", &self.username), ("password", &self.password), ("identitytoken", &self.identity_token)]
        {
            if !value.is_empty() {
                auth[key] = json!(value);
            }
        }
        auth
    }
}

/// The name that settings use for a registry: the hub's is an address, others' a host.
#[must_use]
pub fn server_of(domain: &str) -> &str {
    match domain {
        "docker.io" | "index.docker.io" => HUB,
        other => other,
    }
}

/// A registry as its host, whatever the form.
#[must_use]
pub fn host_of(server: &str) -> &str {
    let bare = server.trim_start_matches("https://").trim_start_matches("http://");
    bare.split('/').next().unwrap_or(bare)
}

/// The account on a registry, empty when none is known.
///
/// # Errors
/// When a credential program fails for another reason than knowing none.
pub fn find(context: &Context, server: &str) -> Result<Account, Failure> {
    match program(context, server) {
        Some(program) => helper::get(context, &program, server),
        None => Ok(file::find(context.config(), server)),
    }
}

/// Keeps an account.
///
/// # Errors
/// When it cannot be written, or the credential program fails.
pub fn keep(context: &Context, account: &Account) -> Result<(), Failure> {
    match program(context, &account.server) {
        Some(program) => {
            helper::store(context, &program, account)?;
            // The file only says that there is one.
            file::keep(context, &Account { server: account.server.clone(), ..Account::default() })
        }
        None => {
            file::keep(context, account)?;
            let path = context.config_path().unwrap_or_default();
            context.complain(&format!(
                "\nWARNING! Your credentials are stored unencrypted in '{}'.\nConfigure a credential helper to remove \
                 this warning. See\nhttps://docs.docker.com/go/credential-store/\n",
                path.display()
            ));
            Ok(())
        }
    }
}

/// Forgets the accounts on a registry.
///
/// # Errors
/// When that cannot be written, or the credential program fails.
pub fn forget(context: &Context, server: &str) -> Result<(), Failure> {
    let erased = match program(context, server) {
        Some(program) => helper::erase(context, &program, server),
        None => Ok(()),
    };
    file::forget(context, server)?;
    erased
}

/// The `X-Registry-Config` header: base64url of all accounts by registry.
///
/// # Errors
/// As [`find`].
pub fn all(context: &Context) -> Result<String, Failure> {
    let config = context.config();
    let mut accounts = serde_json::Map::new();
    for server in config.auths.keys().chain(config.credential_helpers.keys()) {
        let account = find(context, server)?;
        if !account.is_empty() {
            accounts.insert(server.clone(), account.json());
        }
    }
    Ok(base64::encode_url(serde_json::Value::Object(accounts).to_string().as_bytes()))
}

/// The `X-Registry-Auth` header for a registry: base64url of the account's JSON.
///
/// # Errors
/// As [`find`].
pub fn header(context: &Context, domain: &str) -> Result<String, Failure> {
    let account = find(context, server_of(domain))?;
    let text = if account.is_empty() { "{}".to_owned() } else { account.json().to_string() };
    Ok(base64::encode_url(text.as_bytes()))
}

/// Base64 with the usual alphabet.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    base64::encode(bytes)
}

/// The program that keeps the accounts on a registry, when it is not the file.
fn program(context: &Context, server: &str) -> Option<String> {
    let config = context.config();
    let own = config.credential_helpers.get(server).or_else(|| config.credential_helpers.get(host_of(server)));
    own.or(Some(&config.credentials_store)).filter(|name| !name.is_empty()).cloned()
}
