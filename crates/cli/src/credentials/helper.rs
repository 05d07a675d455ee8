//! The `docker-credential-…` programs: a verb as their argument, a text or JSON on stdin, JSON on stdout.
//!
//! | verb | stdin | stdout |
//! | --- | --- | --- |
//! | `get` | the registry | `{"ServerURL", "Username", "Secret"}` |
//! | `store` | the same JSON | nothing |
//! | `erase` | the registry | nothing |

use std::io::Write;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::{Account, TOKEN_USER};
use crate::Failure;
use crate::context::Context;

/// What every program answers when it knows nothing.
const NOT_FOUND: &str = "credentials not found in native keychain";

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Entry {
    #[serde(rename = "ServerURL")]
    server: String,
    username: String,
    secret: String,
}

pub(super) fn get(context: &Context, program: &str, server: &str) -> Result<Account, Failure> {
    let text = match run(context, program, "get", server.as_bytes())? {
        Ok(text) => text,
        Err(text) if text.trim() == NOT_FOUND => return Ok(Account::default()),
        Err(text) => {
            let text = text.trim();
            return Err(Failure::Invalid(format!("error getting credentials - err: exit status 1, out: `{text}`")));
        }
    };
    let entry: Entry = serde_json::from_str(&text).map_err(|error| {
        Failure::Invalid(format!("error getting credentials - docker-credential-{program}: {error}"))
    })?;
    let account = Account { server: server.to_owned(), ..Account::default() };
    Ok(match entry.username.as_str() {
        TOKEN_USER => Account { identity_token: entry.secret, ..account },
        _ => Account { username: entry.username, password: entry.secret, ..account },
    })
}

pub(super) fn store(context: &Context, program: &str, account: &Account) -> Result<(), Failure> {
    let (username, secret) = match account.identity_token.as_str() {
        "" => (account.username.clone(), account.password.clone()),
        token => (TOKEN_USER.to_owned(), token.to_owned()),
    };
    let entry = Entry { server: account.server.clone(), username, secret };
    let text = serde_json::to_vec(&entry).map_err(|error| Failure::Invalid(error.to_string()))?;
    run(context, program, "store", &text)?.map(|_| ()).map_err(|text| {
        Failure::Invalid(format!("error storing credentials - err: exit status 1, out: `{}`", text.trim()))
    })
}

pub(super) fn erase(context: &Context, program: &str, server: &str) -> Result<(), Failure> {
    run(context, program, "erase", server.as_bytes())?.map(|_| ()).map_err(|text| {
        Failure::Invalid(format!("error erasing credentials - err: exit status 1, out: `{}`", text.trim()))
    })
}

/// The program's stdout, as a success or, when it failed, as its reason.
fn run(context: &Context, program: &str, verb: &str, input: &[u8]) -> Result<Result<String, String>, Failure> {
    let name = format!("docker-credential-{program}");
    let absent = |source| Failure::Io {
        what: format!("error getting credentials - err: exec: {name:?}: executable file not found in $PATH"),
        source,
    };
    let mut command = Command::new(&name);
    if let Some(path) = context.environment.get("PATH") {
        command.env("PATH", path);
    }
    let mut child = command
        .arg(verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(absent)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read answers all the same.
        let _ = stdin.write_all(input);
    }
    let output = child.wait_with_output().map_err(absent)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(if output.status.success() { Ok(text) } else { Err(text) })
}
