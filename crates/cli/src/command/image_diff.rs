//! `image diff`: what distinguishes two images.

use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};
use crate::format::json;
use crate::format::tabwriter::{TABLE, align};
use crate::format::text::short_id;
use crate::format::units::human_size;
use crate::format::value::Value;

/// `image diff`.
pub static COMMAND: Command = Command {
    paths: &["image diff"],
    usage: "[OPTIONS] IMAGE IMAGE",
    about: "Show what distinguishes two images: configuration, layers and files (their times do not count)",
    flags: &[&[
        Flag::value("format", "string", "Format of the output: 'table' (default) or 'json'"),
        Flag::switch("no-trunc", "Don't truncate output"),
        Flag::switch("quiet", "Only show the files, as the diff of a container does").short('q'),
    ]],
    interspersed: true,
    args: Args::Exactly(2),
    run,
};

/// By number, as the API has them.
const KINDS: [&str; 3] = ["C", "A", "D"];

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let format = m.text("format");
    if !matches!(format, "" | "table" | "json") {
        return Err(Failure::Invalid(format!("invalid format {format:?}: it must be table or json")));
    }
    let request = context.client()?.get("/gantry/images/diff").query("from", m.arg(0)).query("to", m.arg(1));
    let bytes = context.wait(async { Ok(request.send().await?.bytes().await?) })?;
    let text = String::from_utf8_lossy(&bytes);
    if format == "json" {
        context.line(&json::indent(text.trim(), "    "));
        return Ok(());
    }
    let found: Value = serde_json::from_str(&text)
        .map_err(|error| Failure::Invalid(format!("the engine's answer cannot be read: {error}")))?;
    if m.on("quiet") {
        let line = |file: &Value| format!("{} {}\n", kind(file), file.at("Path").as_str());
        context.print(&found.at("Files").items().iter().map(line).collect::<String>());
        return Ok(());
    }
    let names = [m.arg(0), m.arg(1)];
    let (images, layers) = (images(&found, names, m.on("no-trunc")), layers(&found, names, m.on("no-trunc")));
    context.print(&format!("{images}\n{layers}"));
    for part in [configuration(&found), files(&found)].iter().filter(|part| !part.is_empty()) {
        context.print(&format!("\n{part}"));
    }
    Ok(())
}

fn kind(file: &Value) -> &'static str {
    usize::try_from(file.at("Kind").as_i64()).ok().and_then(|kind| KINDS.get(kind)).copied().unwrap_or("?")
}

fn size(value: &Value) -> String {
    human_size(value.as_i64() as f64, 3)
}

fn id(value: &Value, whole: bool) -> &str {
    if whole { value.as_str() } else { short_id(value.as_str()) }
}

fn images(found: &Value, names: [&str; 2], whole: bool) -> String {
    let mut text = "IMAGE\tIMAGE ID\tLAYERS\tSIZE\tHIDDEN\n".to_owned();
    for (name, image) in names.into_iter().zip([found.at("From"), found.at("To")]) {
        let layers = image.at("Layers").items().len();
        let (size, hidden) = (size(image.at("Size")), size(image.at("Hidden")));
        text.push_str(&format!("{name}\t{}\t{layers}\t{size}\t{hidden}\n", id(image.at("Id"), whole)));
    }
    align(&text, TABLE)
}

/// Layers of both once, then those of either.
fn layers(found: &Value, names: [&str; 2], whole: bool) -> String {
    let mut text = "LAYER\tIN\tSIZE\tENTRIES\tHIDDEN\n".to_owned();
    for (name, image) in names.into_iter().zip([found.at("From"), found.at("To")]) {
        for layer in image.at("Layers").items() {
            let shared = layer.at("Shared").as_bool();
            if shared && name == names[1] && names[0] != names[1] {
                continue;
            }
            let (diff, place) = (id(layer.at("DiffID"), whole), if shared { "both" } else { name });
            let (size, hidden) = (size(layer.at("Size")), size(layer.at("Hidden")));
            text.push_str(&format!("{diff}\t{place}\t{size}\t{}\t{hidden}\n", layer.at("Entries").as_i64()));
        }
    }
    align(&text, TABLE)
}

fn configuration(found: &Value) -> String {
    let parts = found.at("Config");
    let mut text = String::new();
    for part in parts.items() {
        let value = |side: &str| json::write(part.at(side), false);
        let (from, to) = (value("From"), value("To"));
        let (kind, values) = match (from.as_str(), to.as_str()) {
            ("null", to) => ("A", to.to_owned()),
            (from, "null") => ("D", from.to_owned()),
            (from, to) => ("C", format!("{from} -> {to}")),
        };
        text.push_str(&format!("{kind} {}\t{values}\n", part.at("Key").as_str()));
    }
    if text.is_empty() { text } else { align(&format!("CONFIGURATION\n{text}"), TABLE) }
}

fn files(found: &Value) -> String {
    let files = found.at("Files");
    let mut text = String::new();
    for file in files.items() {
        let (from, to) = (size(file.at("From")), size(file.at("To")));
        let aspects = file.at("Aspects").texts().join(", ");
        let sizes = match kind(file) {
            "A" => to,
            "D" => from,
            _ if from == to => format!("{to}, {aspects}"),
            _ => format!("{from} -> {to}, {aspects}"),
        };
        text.push_str(&format!("{} {}\t{sizes}\n", kind(file), file.at("Path").as_str()));
    }
    if text.is_empty() { text } else { align(&format!("FILES\n{text}"), TABLE) }
}
