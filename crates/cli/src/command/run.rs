//! `run`.

use client::Client;
use serde::Deserialize;
use tokio::time::{Duration, timeout};

use super::container_body::Body;
use super::container_flags::CONTAINER;
use super::{Args, Command, create};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};
use crate::stdio::session::{End, Plan, Session, follow_size};
use crate::stdio::signals::Caught;

/// `run`.
pub static COMMAND: Command = Command {
    paths: &["container run", "run"],
    usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    about: "Create and run a new container from an image",
    flags: &[
        CONTAINER,
        &[
            Flag::switch("detach", "Run container in background and print container ID").short('d'),
            Flag::value("detach-keys", "string", "Override the key sequence for detaching a container"),
            Flag::value("pull", "string", "Pull image before running (\"always\", \"missing\", \"never\")")
                .default("\"missing\""),
            Flag::switch("sig-proxy", "Proxy received signals to the process").default("true"),
        ],
    ],
    interspersed: false,
    args: Args::AtLeast(1),
    run,
};

/// How long the engine may take to remove a container that never started.
pub const REMOVAL: Duration = Duration::from_secs(10);

/// The answer of `wait`.
#[derive(Debug, Deserialize)]
pub struct Waited {
    /// The container's exit code.
    #[serde(rename = "StatusCode")]
    pub status: i64,
    /// Why it could not be waited for.
    #[serde(rename = "Error", default)]
    pub error: Option<WaitError>,
}

/// A `wait` on its way.
pub enum Waiting {
    /// The engine has begun to answer.
    Begun(Box<client::Response>),
    /// The container's id, for an engine that can only be asked after the start.
    Late(String),
}

/// Why a container could not be waited for.
#[derive(Debug, Deserialize)]
pub struct WaitError {
    /// The engine's words.
    #[serde(rename = "Message", default)]
    pub message: String,
}

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let body = create::read(context, m, "run")?;
    if body.attach.stdin && m.on("tty") && !context.input_is_terminal() {
        return Err(Failure::Invalid("the input device is not a TTY".to_owned()));
    }
    let client = context.client()?;
    context.wait(async {
        let id = create::create(context, client, m, &body).await.map_err(|failure| worded(context, failure))?;
        if !m.on("sig-proxy") || !body.attach.any() {
            return attached(context, client, m, &body, &id).await;
        }
        let caught = Caught::start();
        tokio::select! {
            result = attached(context, client, m, &body, &id) => result,
            () = caught.forward(client, &id) => Ok(()),
        }
    })
}

async fn attached(context: &Context<'_>, client: &Client, m: &Matches, body: &Body, id: &str) -> Result<(), Failure> {
    let start = client.post(&format!("/containers/{id}/start"));
    if !body.attach.any() {
        // The id is out before the start, as with Docker: it tells which container failed to start.
        context.line(id);
        return start.done().await.map_err(|error| worded(context, error.into()));
    }
    let plan = Plan {
        stdin: body.attach.stdin,
        output: body.attach.stdout || body.attach.stderr,
        tty: m.on("tty"),
        detach_keys: detach_keys(context, m),
    };
    let stream = client
        .post(&format!("/containers/{id}/attach"))
        .query("stream", "1")
        .flag("stdin", body.attach.stdin)
        .flag("stdout", body.attach.stdout)
        .flag("stderr", body.attach.stderr)
        .text("detachKeys", &plan.detach_keys)
        .hijack()
        .await?;
    let session = Session::begin(context, stream, plan)?;
    let waiting = wait_for(client, id, condition(m.on("rm"))).await?;
    if let Err(error) = start.done().await {
        session.abandon();
        if m.on("rm") {
            // The engine removes what never started; return when it is gone.
            let _ = timeout(REMOVAL, exit_code(client, waiting)).await;
        }
        return Err(worded(context, error.into()));
    }
    let finish = finish(client, session, waiting, body);
    if m.on("tty") && context.output_is_terminal() {
        let path = format!("/containers/{id}/resize");
        return tokio::select! {
            result = finish => result,
            () = follow_size(context, client, &path) => Ok(()),
        };
    }
    finish.await
}

async fn finish(client: &Client, session: Session, waiting: Waiting, body: &Body) -> Result<(), Failure> {
    let running = session.run();
    tokio::pin!(running);
    let exiting = exit_code(client, waiting);
    tokio::pin!(exiting);
    let code = tokio::select! {
        end = &mut running => match end? {
            End::Detached => return Ok(()),
            End::Closed => exiting.await?,
        },
        code = &mut exiting => {
            // Output may still be on its way.
            if body.attach.stdout || body.attach.stderr {
                running.await?;
            }
            code?
        }
    };
    exit(code)
}

/// What to wait for when a container is started: its exit, or also its removal when the engine removes it.
#[must_use]
pub fn condition(removed: bool) -> &'static str {
    if removed { "removed" } else { "next-exit" }
}

/// Begins waiting before the start, so that no exit is missed: the answer's head comes at once, its body when the
/// container has exited. Engines before API 1.30 answer at the exit only; there waiting begins after the start.
///
/// # Errors
/// The engine's.
pub async fn wait_for(client: &Client, id: &str, condition: &str) -> Result<Waiting, client::Error> {
    if !client.version().at_least(30) {
        return Ok(Waiting::Late(id.to_owned()));
    }
    let request = client.post(&format!("/containers/{id}/wait")).query("condition", condition);
    request.send().await.map(|response| Waiting::Begun(Box::new(response)))
}

/// The exit code that a `wait` answers with.
///
/// # Errors
/// The engine's.
pub async fn exit_code(client: &Client, waiting: Waiting) -> Result<i64, Failure> {
    let waited: Waited = match waiting {
        Waiting::Begun(response) => response.json().await?,
        Waiting::Late(id) => client.post(&format!("/containers/{id}/wait")).fetch().await?,
    };
    match waited.error.filter(|error| !error.message.is_empty()) {
        Some(error) => {
            Err(Failure::Usage { text: format!("Error waiting for container: {}", error.message), code: 125 })
        }
        None => Ok(waited.status),
    }
}

/// Ends the program with a container's exit code.
///
/// # Errors
/// [`Failure::Exit`] when the code is not 0.
pub fn exit(code: i64) -> Result<(), Failure> {
    match u8::try_from(code & 0xff).unwrap_or(125) {
        0 => Ok(()),
        code => Err(Failure::Exit(code)),
    }
}

/// `--detach-keys`, else the user's setting.
#[must_use]
pub fn detach_keys(context: &Context, m: &Matches) -> String {
    match m.text("detach-keys") {
        "" => context.config().detach_keys.clone(),
        keys => keys.to_owned(),
    }
}

/// Docker tells a command that cannot be run by the engine's words: 127 not found, 126 not executable, else 125.
fn worded(context: &Context, failure: Failure) -> Failure {
    let text = failure.to_string();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let code =
        if has(&["executable file not found", "no such file or directory", "system cannot find the file specified"]) {
            127
        } else if has(&["permission denied", "is a directory"]) {
            126
        } else {
            125
        };
    Failure::Run { program: context.program, command: "run", text, code }
}
