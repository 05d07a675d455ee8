//! `start`.

use client::Client;
use tokio::time::timeout;

use super::common::container_path;
use super::run::{REMOVAL, condition, detach_keys, exit, exit_code, wait_for};
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};
use crate::format::value::Value;
use crate::stdio::session::{End, Plan, Session, follow_size};
use crate::stdio::signals::Caught;

/// `start`.
pub static COMMAND: Command = Command {
    paths: &["container start", "start"],
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Start one or more stopped containers",
    flags: &[&[
        Flag::switch("attach", "Attach STDOUT/STDERR and forward signals").short('a'),
        Flag::value("detach-keys", "string", "Override the key sequence for detaching a container"),
        Flag::switch("interactive", "Attach container's STDIN").short('i'),
    ]],
    interspersed: true,
    args: Args::AtLeast(1),
    run,
};

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let client = context.client()?;
    if m.on("attach") || m.on("interactive") {
        if m.args().len() > 1 {
            return Err(Failure::Invalid("you cannot start and attach multiple containers at once".to_owned()));
        }
        return context.wait(attached(context, client, m));
    }
    let mut failed = Vec::new();
    for name in m.args() {
        let started = context.wait(async { Ok(client.post(&container_path(name, "/start")).done().await) })?;
        match started {
            Ok(()) => context.line(name),
            Err(error) => {
                context.complain(&error.to_string());
                failed.push(name.clone());
            }
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(Failure::Invalid(format!("Error: failed to start containers: {}", failed.join(", "))))
}

async fn attached(context: &Context<'_>, client: &Client, m: &Matches) -> Result<(), Failure> {
    let container: Value = client.get(&container_path(m.arg(0), "/json")).fetch().await?;
    let tty = container.path(&["Config", "Tty"]).as_bool();
    let id = container.at("Id").as_str();
    if tty {
        return follow(context, client, m, &container).await;
    }
    let caught = Caught::start();
    tokio::select! {
        result = follow(context, client, m, &container) => result,
        () = caught.forward(client, id) => Ok(()),
    }
}

async fn follow(context: &Context<'_>, client: &Client, m: &Matches, container: &Value) -> Result<(), Failure> {
    let id = container.at("Id").as_str();
    let plan = Plan {
        stdin: m.on("interactive") && container.path(&["Config", "OpenStdin"]).as_bool(),
        output: true,
        tty: container.path(&["Config", "Tty"]).as_bool(),
        detach_keys: detach_keys(context, m),
    };
    let tty = plan.tty;
    let stream = client
        .post(&container_path(id, "/attach"))
        .query("stream", "1")
        .flag("stdin", plan.stdin)
        .query("stdout", "1")
        .query("stderr", "1")
        .text("detachKeys", &plan.detach_keys)
        .hijack()
        .await?;
    let session = Session::begin(context, stream, plan)?;
    let removed = container.path(&["HostConfig", "AutoRemove"]).as_bool();
    let waiting = wait_for(client, id, condition(removed)).await?;
    if let Err(error) = client.post(&container_path(id, "/start")).done().await {
        session.abandon();
        if removed {
            let _ = timeout(REMOVAL, exit_code(client, waiting)).await;
        }
        return Err(error.into());
    }
    let finish = async {
        match session.run().await? {
            End::Detached => Ok(()),
            End::Closed => exit(exit_code(client, waiting).await?),
        }
    };
    let path = container_path(id, "/resize");
    if tty && context.output_is_terminal() {
        return tokio::select! {
            result = finish => result,
            () = follow_size(context, client, &path) => Ok(()),
        };
    }
    finish.await
}
