//! `logs`.

use super::common::container_path;
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};
use crate::format::value::Value;
use crate::stdio::demux::Demux;
use crate::stdio::output;

/// `logs`.
pub static COMMAND: Command = Command {
    paths: &["container logs", "logs"],
    usage: "[OPTIONS] CONTAINER",
    about: "Fetch the logs of a container",
    flags: &[&[
        Flag::switch("details", "Show extra details provided to logs"),
        Flag::switch("follow", "Follow log output").short('f'),
        Flag::value(
            "since",
            "string",
            "Show logs since timestamp (e.g. \"2013-01-02T13:23:37Z\") or relative (e.g. \"42m\" for 42 minutes)",
        ),
        Flag::value("tail", "string", "Number of lines to show from the end of the logs").short('n').default("\"all\""),
        Flag::switch("timestamps", "Show timestamps").short('t'),
        Flag::value(
            "until",
            "string",
            "Show logs before a timestamp (e.g. \"2013-01-02T13:23:37Z\") or relative (e.g. \"42m\" for 42 minutes)",
        ),
    ]],
    interspersed: true,
    args: Args::Exactly(1),
    run,
};

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let client = context.client()?;
    let stamp = |name: &str| match m.text(name) {
        "" => Ok(String::new()),
        text => crate::options::time::timestamp(text)
            .map_err(|detail| Failure::Invalid(format!("invalid value for {name:?}: {detail}"))),
    };
    let (since, until) = (stamp("since")?, stamp("until")?);
    let name = m.arg(0);
    context.wait(async {
        let container: Value = client.get(&container_path(name, "/json")).fetch().await?;
        let id = container.at("Id").as_str();
        let tail = if m.given("tail") { m.text("tail") } else { "all" };
        let mut response = client
            .get(&container_path(if id.is_empty() { name } else { id }, "/logs"))
            .query("stdout", "1")
            .query("stderr", "1")
            .text("since", &since)
            .text("until", &until)
            .flag("timestamps", m.on("timestamps"))
            .flag("details", m.on("details"))
            .flag("follow", m.on("follow"))
            .query("tail", tail)
            .send()
            .await?;
        let raw = container.path(&["Config", "Tty"]).as_bool();
        let mut demux = Demux::default();
        while let Some(bytes) = response.chunk().await? {
            let written =
                if raw { output::write(output::Stream::Out, &bytes) } else { demux.push(&bytes, output::write) };
            match written {
                Ok(()) => {}
                // The reader of our output went away: nothing is left to do.
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => break,
                Err(source) => return Err(Failure::Io { what: "cannot write the logs".to_owned(), source }),
            }
        }
        Ok(())
    })
}
