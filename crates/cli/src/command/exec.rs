//! `exec`.

use client::Client;
use serde::Deserialize;
use serde_json::json;

use super::common::container_path;
use super::run::{detach_keys, exit};
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};
use crate::format::value::Value;
use crate::options::{check, keyvalue};
use crate::stdio::session::{End, Plan, Session, follow_size};

/// `exec`.
pub static COMMAND: Command = Command {
    paths: &["container exec", "exec"],
    usage: "[OPTIONS] CONTAINER COMMAND [ARG...]",
    about: "Execute a command in a running container",
    flags: &[&[
        Flag::switch("detach", "Detached mode: run command in the background").short('d'),
        Flag::value("detach-keys", "string", "Override the key sequence for detaching a container"),
        Flag::value("env", "list", "Set environment variables").short('e').check(check::env),
        Flag::value("env-file", "list", "Read in a file of environment variables"),
        Flag::switch("interactive", "Keep STDIN open even if not attached").short('i'),
        Flag::switch("privileged", "Give extended privileges to the command"),
        Flag::switch("tty", "Allocate a pseudo-TTY").short('t'),
        Flag::value("user", "string", "Username or UID (format: \"<name|uid>[:<group|gid>]\")").short('u'),
        Flag::value("workdir", "string", "Working directory inside the container").short('w'),
    ]],
    interspersed: false,
    args: Args::AtLeast(2),
    run,
};

#[derive(Deserialize)]
struct Created {
    #[serde(rename = "Id")]
    id: String,
}

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let lookup = |name: &str| context.environment.get(name).map(str::to_owned);
    let env = keyvalue::environment(&m.list("env-file"), &m.list("env"), lookup).map_err(Failure::Invalid)?;
    let (detach, tty) = (m.on("detach"), m.on("tty"));
    let stdin = m.on("interactive") && !detach;
    let client = context.client()?;
    context.wait(async {
        // An exec that was created and never started stays: what can fail before, fails before. A terminal that
        // is missing matters less than a container that is missing.
        if tty && stdin && !context.input_is_terminal() {
            let _: Value = client.get(&container_path(m.arg(0), "/json")).fetch().await?;
            return Err(Failure::Invalid("the input device is not a TTY".to_owned()));
        }
        let keys = detach_keys(context, m);
        let mut body = json!({
            "User": m.text("user"),
            "Privileged": m.on("privileged"),
            "Tty": tty,
            "AttachStdin": stdin,
            "AttachStdout": !detach,
            "AttachStderr": !detach,
            "Detach": detach,
            "DetachKeys": keys,
            "Env": env,
            "WorkingDir": m.text("workdir"),
            "Cmd": m.args()[1..],
        });
        let mut start = json!({ "Detach": detach, "Tty": tty });
        if tty {
            let (rows, columns) = context.terminal_size();
            body["ConsoleSize"] = json!([rows, columns]);
            start["ConsoleSize"] = json!([rows, columns]);
        }
        let created: Created = client.post(&container_path(m.arg(0), "/exec")).json(&body)?.fetch().await?;
        let request = client.post(&format!("/exec/{}/start", created.id)).json(&start)?;
        if detach {
            request.done().await?;
            return Ok(());
        }
        let stream = request.hijack().await?;
        let plan = Plan { stdin, output: true, tty, detach_keys: keys };
        let session = Session::begin(context, stream, plan)?;
        let path = format!("/exec/{}/resize", created.id);
        let finish = finish(client, session, &created.id);
        if tty && context.input_is_terminal() {
            return tokio::select! {
                result = finish => result,
                () = follow_size(context, client, &path) => Ok(()),
            };
        }
        finish.await
    })
}

async fn finish(client: &Client, session: Session, id: &str) -> Result<(), Failure> {
    if session.run().await? == End::Detached {
        return Err(Failure::Detached);
    }
    let state: Value = client.get(&format!("/exec/{id}/json")).fetch().await?;
    exit(state.at("ExitCode").as_i64())
}
