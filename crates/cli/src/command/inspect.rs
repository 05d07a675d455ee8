//! `inspect`, and `container|image|network|volume inspect`.

use client::Client;

use super::common::{PLAIN_FORMAT, container_path, platform_json};
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};
use crate::format::json;
use crate::format::value::Value;
use crate::template::{Functions, Template};

/// Things that can be looked at, in the order in which `inspect` tries them.
const KINDS: [&str; 4] = ["container", "image", "network", "volume"];

const FORMAT: Flag = Flag::value("format", "string", PLAIN_FORMAT).short('f');

/// `inspect`.
pub static ANY: Command = Command {
    paths: &["inspect"],
    usage: "[OPTIONS] NAME|ID [NAME|ID...]",
    about: "Return low-level information on Docker objects",
    flags: &[&[
        FORMAT,
        Flag::switch("size", "Display total file sizes if the type is container").short('s'),
        Flag::value("type", "string", "Only inspect objects of the given type"),
    ]],
    interspersed: true,
    args: Args::AtLeast(1),
    run: any,
};

/// `container inspect`.
pub static CONTAINER: Command = Command {
    paths: &["container inspect"],
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Display detailed information on one or more containers",
    flags: &[&[FORMAT, Flag::switch("size", "Display total file sizes").short('s')]],
    interspersed: true,
    args: Args::AtLeast(1),
    run: |context, m| run(context, m, &["container"], true),
};

/// `image inspect`.
pub static IMAGE: Command = Command {
    paths: &["image inspect"],
    usage: "[OPTIONS] IMAGE [IMAGE...]",
    about: "Display detailed information on one or more images",
    flags: &[&[
        FORMAT,
        Flag::value("platform", "string", "Inspect a specific platform. Formatted as \"os[/arch[/variant]]\""),
    ]],
    interspersed: true,
    args: Args::AtLeast(1),
    run: |context, m| run(context, m, &["image"], true),
};

/// `network inspect`.
pub static NETWORK: Command = Command {
    paths: &["network inspect"],
    usage: "[OPTIONS] NETWORK [NETWORK...]",
    about: "Display detailed information on one or more networks",
    flags: &[&[FORMAT, Flag::switch("verbose", "Verbose output for diagnostics").short('v')]],
    interspersed: true,
    args: Args::AtLeast(1),
    run: |context, m| run(context, m, &["network"], true),
};

/// `volume inspect`.
pub static VOLUME: Command = Command {
    paths: &["volume inspect"],
    usage: "[OPTIONS] VOLUME [VOLUME...]",
    about: "Display detailed information on one or more volumes",
    flags: &[&[FORMAT]],
    interspersed: true,
    args: Args::AtLeast(1),
    run: |context, m| run(context, m, &["volume"], true),
};

fn any(context: &Context, m: &Matches) -> Result<(), Failure> {
    let known = KINDS.join("\", \"");
    match m.maybe("type") {
        None => run(context, m, &KINDS, false),
        Some("") => Err(Failure::Invalid(format!("type is empty: must be one of \"{known}\""))),
        Some(kind) => match KINDS.iter().position(|known| *known == kind) {
            Some(at) => run(context, m, &KINDS[at..=at], true),
            None => Err(Failure::Invalid(format!("unknown type: {kind:?}: must be one of \"{known}\""))),
        },
    }
}

fn run(context: &Context, m: &Matches, kinds: &[&str], typed: bool) -> Result<(), Failure> {
    let format = m.text("format");
    let template = match format {
        "" | "json" => None,
        text => Some(
            Template::parse(text)
                .map_err(|error| Failure::Usage { text: format!("template parsing error: {error}"), code: 64 })?,
        ),
    };
    let client = context.client()?;
    let (mut texts, mut out, mut failed) = (Vec::new(), String::new(), Vec::new());
    for name in m.args() {
        let found = context.wait(async { Ok(find(context, client, m, kinds, typed, name).await) })?;
        match (found, &template) {
            (Err(text), _) => failed.push(text),
            (Ok(text), None) => texts.push(text),
            (Ok(text), Some(template)) => {
                let value: Value = serde_json::from_str(&text).unwrap_or_default();
                match template.render(&value, Functions::Full) {
                    Ok(text) => out.push_str(&format!("{text}\n")),
                    Err(error) => failed.push(format!("template parsing error: {error}")),
                }
            }
        }
    }
    let list = format!("[{}]", texts.join(","));
    context.print(&match (format, &template) {
        (_, Some(_)) if out.is_empty() => "\n".to_owned(),
        (_, Some(_)) => out,
        ("json", _) => format!("{}\n", json::compact(&list)),
        _ => format!("{}\n", json::indent(&list, "    ")),
    });
    Failure::all(failed)
}

/// The JSON text of the first thing of that name.
async fn find(
    context: &Context<'_>,
    client: &Client,
    m: &Matches,
    kinds: &[&str],
    typed: bool,
    name: &str,
) -> Result<String, String> {
    for kind in kinds {
        let path = match *kind {
            "container" => container_path(name, "/json"),
            "image" => format!("/images/{}/json", client::escape(name)),
            "network" => format!("/networks/{}", client::escape(name)),
            _ => format!("/volumes/{}", client::escape(name)),
        };
        let request = client.get(&path).flag("size", *kind == "container" && m.on("size"));
        let platform = platform_json(m.text("platform")).map_err(|error| error.to_string())?;
        let request = request.text("platform", &platform);
        let request = request.flag("verbose", *kind == "network" && m.on("verbose"));
        let answer = async { request.send().await?.bytes().await }.await;
        match answer {
            Ok(bytes) => {
                if m.on("size") && *kind != "container" {
                    context.complain(&format!("WARNING: --size ignored for {kind}"));
                }
                return Ok(String::from_utf8_lossy(&bytes).trim().to_owned());
            }
            Err(error) if !typed && skippable(&error) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Err(format!("Error: No such object: {name}"))
}

fn skippable(error: &client::Error) -> bool {
    let text = error.to_string();
    error.is_not_found() || text.contains("not supported") || text.contains("invalid reference format")
}
