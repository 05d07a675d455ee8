//! `image send`: images to another engine, over ssh, without the layers that it has.

use std::io::Write as _;

use client::{Client, Host, Response, Upload};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;

use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};
use crate::format::units::human_size;
use crate::format::value::Value;
use crate::progress::{self, Target};

/// `image send`.
pub static COMMAND: Command = Command {
    paths: &["image send"],
    usage: "[OPTIONS] HOST [IMAGE...]",
    about: "Send images to the engine of another host over ssh, only the layers that it lacks (all tagged images by default)",
    flags: &[&[Flag::switch("quiet", "Suppress all output but the names of the images").short('q')]],
    interspersed: true,
    args: Args::AtLeast(1),
    run,
};

/// Pieces of the archive on their way.
const IN_FLIGHT: usize = 8;

/// The answer of `POST /gantry/layers/present`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Present {
    present: Vec<String>,
}

/// One image to send.
struct Sent {
    name: String,
    /// Diff ids of its layers, bottom first.
    layers: Vec<String>,
}

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let (local, remote) = (context.client()?, peer(context, m.arg(0))?);
    let quiet = m.on("quiet");
    context.wait(async {
        let images = images(local, &m.args()[1..]).await?;
        if images.is_empty() {
            return Err(Failure::Invalid("there is no tagged image to send".to_owned()));
        }
        let present = present(&remote, &images, m.arg(0)).await?;
        let mut request = local.get("/images/get");
        for image in &images {
            request = request.query("names", &image.name);
        }
        for chain in present.iter().filter(|chain| !chain.is_empty()) {
            request = request.query("present", chain);
        }
        let archive = request.send().await?;
        let (upload, feed) = feed(archive);
        let load = remote.post("/images/load").query("quiet", "1").upload(upload);
        let target = if quiet { Target::Nowhere } else { Target::Out };
        let loaded = async { progress::show(load.send().await?, target).await };
        let (loaded, fed) = tokio::join!(loaded, feed);
        // Of two failures the cause is that of our own side: the other one only misses the rest.
        let bytes = match (fed, loaded) {
            (Err(error), _) | (Ok(_), Err(error)) => return Err(error),
            (Ok(bytes), Ok(())) => bytes,
        };
        match quiet {
            true => images.iter().for_each(|image| context.line(&image.name)),
            false => context.line(&format!("Sent {} to {}", human_size(bytes as f64, 3), m.arg(0))),
        }
        Ok(())
    })
}

/// The engine of the other host: `[user@]host[:port]` is reached by ssh; a whole address may stand there too.
fn peer(context: &Context, host: &str) -> Result<Client, Failure> {
    let address = if host.contains("://") { host.to_owned() } else { format!("ssh://{host}") };
    let host = Host::parse(&address, false)
        .map_err(|error| Failure::Invalid(format!("{host:?} is no host to send images to: {error}")))?;
    Ok(context.client_of(host))
}

/// The images that are named, or all tagged ones.
async fn images(local: &Client, names: &[String]) -> Result<Vec<Sent>, Failure> {
    let mut names = names.to_vec();
    if names.is_empty() {
        let list: Value = local.get("/images/json").fetch().await?;
        names = list.items().iter().flat_map(|image| image.at("RepoTags").texts()).collect();
    }
    let mut images = Vec::with_capacity(names.len());
    for name in names {
        let image: Value = local.get(&format!("/images/{}/json", client::escape(&name))).fetch().await?;
        images.push(Sent { name, layers: image.at("RootFS").at("Layers").texts() });
    }
    Ok(images)
}

/// For each image the topmost layer that the other engine has.
async fn present(remote: &Client, images: &[Sent], host: &str) -> Result<Vec<String>, Failure> {
    let stacks: Vec<&[String]> = images.iter().map(|image| image.layers.as_slice()).collect();
    let request = remote.post("/gantry/layers/present").json(&json!({ "Stacks": stacks }))?;
    let answer: Result<Present, client::Error> = request.fetch().await;
    match answer {
        Ok(answer) => Ok(answer.present),
        Err(error) if error.is_not_found() => Err(Failure::Invalid(format!(
            "the engine of {host} cannot tell which layers it has: it is not Gantry, or too old; use save and load"
        ))),
        Err(error) => Err(error.into()),
    }
}

/// Passes an archive on: a body, and the work that fills it and gives the number of bytes. One that breaks off is not
/// ended as a whole one would be, so the other engine refuses it.
fn feed(mut archive: Response) -> (Upload, impl Future<Output = Result<u64, Failure>>) {
    let (mut writer, upload) = Upload::new();
    let (sender, mut pieces) = mpsc::channel::<bytes::Bytes>(IN_FLIGHT);
    std::thread::spawn(move || {
        while let Some(piece) = pieces.blocking_recv() {
            // The other engine has answered before it read everything: its answer says why.
            if writer.write_all(&piece).is_err() {
                return;
            }
        }
        let _ = writer.flush();
    });
    let work = async move {
        let mut total = 0;
        while let Some(piece) = archive.chunk().await? {
            total += piece.len() as u64;
            if sender.send(piece).await.is_err() {
                break;
            }
        }
        Ok(total)
    };
    (upload, work)
}
