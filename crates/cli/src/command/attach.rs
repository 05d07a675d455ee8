//! `attach`.

use client::Client;

use super::common::container_path;
use super::run::{detach_keys, exit, exit_code, wait_for};
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};
use crate::format::value::Value;
use crate::stdio::session::{End, Plan, Session, follow_size, nudge};
use crate::stdio::signals::Caught;

/// `attach`.
pub static COMMAND: Command = Command {
    paths: &["container attach", "attach"],
    usage: "[OPTIONS] CONTAINER",
    about: "Attach local standard input, output, and error streams to a running container",
    flags: &[&[
        Flag::value("detach-keys", "string", "Override the key sequence for detaching a container"),
        Flag::switch("no-stdin", "Do not attach STDIN"),
        Flag::switch("sig-proxy", "Proxy all received signals to the process").default("true"),
    ]],
    interspersed: true,
    args: Args::Exactly(1),
    run,
};

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let client = context.client()?;
    context.wait(async {
        let container = inspect(client, m.arg(0)).await?;
        let tty = container.path(&["Config", "Tty"]).as_bool();
        if tty && !m.on("no-stdin") && !context.input_is_terminal() {
            return Err(Failure::Invalid("the input device is not a TTY".to_owned()));
        }
        if tty || !m.on("sig-proxy") {
            return attached(context, client, m, &container).await;
        }
        let caught = Caught::start();
        tokio::select! {
            result = attached(context, client, m, &container) => result,
            () = caught.forward(client, container.at("Id").as_str()) => Ok(()),
        }
    })
}

async fn attached(context: &Context<'_>, client: &Client, m: &Matches, container: &Value) -> Result<(), Failure> {
    let id = container.at("Id").as_str();
    let plan = Plan {
        stdin: !m.on("no-stdin") && container.path(&["Config", "OpenStdin"]).as_bool(),
        output: true,
        tty: container.path(&["Config", "Tty"]).as_bool(),
        detach_keys: detach_keys(context, m),
    };
    let tty = plan.tty;
    let waiting = wait_for(client, id, "not-running").await?;
    let stream = client
        .post(&container_path(id, "/attach"))
        .query("stream", "1")
        .flag("stdin", plan.stdin)
        .query("stdout", "1")
        .query("stderr", "1")
        .text("detachKeys", &plan.detach_keys)
        .hijack()
        .await?;
    // It may have stopped meanwhile: then the stream would never end.
    inspect(client, id).await?;
    let session = Session::begin(context, stream, plan)?;
    let finish = async {
        match session.run().await? {
            End::Detached => Err(Failure::Detached),
            End::Closed => exit(exit_code(client, waiting).await?),
        }
    };
    let path = container_path(id, "/resize");
    if tty && context.output_is_terminal() {
        nudge(context, client, &path).await;
        return tokio::select! {
            result = finish => result,
            () = follow_size(context, client, &path) => Ok(()),
        };
    }
    finish.await
}

async fn inspect(client: &Client, name: &str) -> Result<Value, Failure> {
    let container: Value = client.get(&container_path(name, "/json")).fetch().await?;
    let state = |name: &str| container.path(&["State", name]).as_bool();
    let refusal = if !state("Running") {
        "You cannot attach to a stopped container, start it first"
    } else if state("Paused") {
        "You cannot attach to a paused container, unpause it first"
    } else if state("Restarting") {
        "You cannot attach to a restarting container, wait until it is running"
    } else {
        return Ok(container);
    };
    Err(Failure::Invalid(refusal.to_owned()))
}
