//! `login`.

use std::io::{BufRead, Read};

use serde::Deserialize;

use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::credentials::{self, Account, HUB, host_of};
use crate::flags::{Flag, Matches};
use crate::stdio::terminal::Silent;

/// `login`.
pub static COMMAND: Command = Command {
    paths: &["login"],
    usage: "[OPTIONS] [SERVER]",
    about: "Authenticate to a registry.\nDefaults to Docker Hub if no server is specified.",
    flags: &[&[
        Flag::value("password", "string", "Password or Personal Access Token (PAT)").short('p'),
        Flag::switch("password-stdin", "Take the Password or Personal Access Token (PAT) from stdin"),
        Flag::value("username", "string", "Username").short('u'),
    ]],
    interspersed: true,
    args: Args::AtMost(1),
    run,
};

/// The answer to `POST /auth`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Answer {
    identity_token: String,
    status: String,
}

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let server = match m.arg(0) {
        "" | "docker.io" | "index.docker.io" | "registry-1.docker.io" => HUB,
        given => host_of(given),
    };
    let password = password(context, m)?;
    let username = m.text("username").trim();
    if !m.given("username") && password.is_empty() {
        let known = credentials::find(context, server)?;
        if !known.is_empty() && with_known(context, &known)? {
            return Ok(());
        }
    }
    if m.given("username") && username.is_empty() {
        return Err(Failure::Invalid("username is empty".to_owned()));
    }
    if m.on("password-stdin") && password.is_empty() {
        return Err(Failure::Invalid("password is empty".to_owned()));
    }
    let (username, password) = complete(context, server, username, password)?;
    let account = Account { server: server.to_owned(), username, password, identity_token: String::new() };
    let answer = ask(context, &account)?;
    let account = match answer.identity_token.as_str() {
        "" => account,
        token => Account { password: String::new(), identity_token: token.to_owned(), ..account },
    };
    credentials::keep(context, &account)?;
    context.line(&answer.status);
    Ok(())
}

/// The password of the flags, or of stdin.
fn password(context: &Context, m: &Matches) -> Result<String, Failure> {
    if !m.on("password-stdin") {
        if m.given("password") {
            context.complain("WARNING! Using --password via the CLI is insecure. Use --password-stdin.");
        }
        return Ok(m.text("password").to_owned());
    }
    if m.given("password") {
        return Err(Failure::Invalid(
            "conflicting options: cannot specify both --password and --password-stdin".to_owned(),
        ));
    }
    if m.text("username").is_empty() {
        return Err(Failure::Invalid("the --password-stdin option requires --username to be set".to_owned()));
    }
    let mut text = String::new();
    let read = std::io::stdin().read_to_string(&mut text);
    read.map_err(|source| Failure::Io { what: "read the password".to_owned(), source })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Tries the account that is known already; says whether that did.
fn with_known(context: &Context, known: &Account) -> Result<bool, Failure> {
    let user = match known.username.as_str() {
        "" => String::new(),
        name => format!(" [Username: {name}]"),
    };
    context.complain(&format!("Authenticating with existing credentials...{user}"));
    let program = context.program;
    context.complain(&format!(
        "\n Info -> To login with a different account, run '{program} logout' followed by '{program} login'\n\n"
    ));
    match ask(context, known) {
        Ok(answer) => {
            context.line(&answer.status);
            Ok(true)
        }
        Err(error) => {
            context.complain(&format!("Login did not succeed, error: {error}"));
            Ok(false)
        }
    }
}

/// Asks at the terminal for what is missing.
fn complete(context: &Context, server: &str, username: &str, password: String) -> Result<(String, String), Failure> {
    if !username.is_empty() && !password.is_empty() {
        return Ok((username.to_owned(), password));
    }
    if !context.input_is_terminal() {
        return Err(Failure::Invalid("Error: Cannot perform an interactive login from a non TTY device".to_owned()));
    }
    let mut username = username.to_owned();
    if username.is_empty() {
        if server == HUB {
            context.line(
                "Log in with your Docker ID or email address to push and pull images from Docker Hub. If you don't \
                 have a Docker ID, head over to https://hub.docker.com/ to create one.\n",
            );
        }
        context.print("Username: ");
        username = line()?;
        if username.is_empty() {
            return Err(Failure::Invalid("username is required".to_owned()));
        }
    }
    if !password.is_empty() {
        return Ok((username, password));
    }
    context.print("Password: ");
    let silent = Silent::enter().map_err(|source| Failure::Io { what: "read the password".to_owned(), source })?;
    let password = line();
    drop(silent);
    context.print("\n");
    match password?.as_str() {
        "" => Err(Failure::Invalid("password is required".to_owned())),
        password => Ok((username, password.to_owned())),
    }
}

fn line() -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().lock().read_line(&mut text);
    read.map_err(|source| Failure::Io { what: "read from the terminal".to_owned(), source })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Has the engine try an account.
fn ask(context: &Context, account: &Account) -> Result<Answer, Failure> {
    let client = context.client()?;
    context.wait(async { Ok(client.post("/auth").json(&account.json())?.fetch().await?) })
}
