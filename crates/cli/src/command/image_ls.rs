//! `images`, `image ls`.

use indexmap::IndexMap;
use types::Reference;

use super::common::TABLE_FORMAT;
use super::{Args, Command, image_tree};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};
use crate::format::list::Format;
use crate::format::text::short_id;
use crate::format::time;
use crate::format::units::human_size;
use crate::format::value::{Row, Value};
use crate::options::filter;
use types::human_duration;

/// `images`.
pub static COMMAND: Command = Command {
    paths: &["image ls", "image list", "images"],
    usage: "[OPTIONS] [REPOSITORY[:TAG]]",
    about: "List images",
    flags: &[&[
        Flag::switch("all", "Show all images (default hides intermediate images)").short('a'),
        Flag::switch("digests", "Show digests"),
        Flag::value("filter", "filter", "Filter output based on conditions provided").short('f'),
        Flag::value("format", "string", TABLE_FORMAT),
        Flag::switch("no-trunc", "Don't truncate output"),
        Flag::switch("quiet", "Only show image IDs").short('q'),
        Flag::switch("tree", "List multi-platform images as a tree"),
    ]],
    interspersed: true,
    args: Args::AtMost(1),
    run,
};

const TABLE: &str =
    "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{if .CreatedSince }}{{.CreatedSince}}{{else}}N/A{{end}}\t{{.Size}}";
const TABLE_WITH_DIGESTS: &str = "table {{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{if .CreatedSince }}{{.CreatedSince}}{{else}}N/A{{end}}\t{{.Size}}";

pub(super) const HEADER: [(&str, &str); 11] = [
    ("ID", "IMAGE ID"),
    ("Repository", "REPOSITORY"),
    ("Tag", "TAG"),
    ("Digest", "DIGEST"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("Size", "SIZE"),
    ("Containers", "CONTAINERS"),
    ("VirtualSize", "SIZE"),
    ("SharedSize", "SHARED SIZE"),
    ("UniqueSize", "UNIQUE SIZE"),
];

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let tree = m.on("tree");
    if tree {
        image_tree::check(context, m)?;
    }
    let digests = m.on("digests");
    let mut given = m.text("format");
    if given.is_empty() {
        given = context.config().images_format.as_str();
    }
    let format = match m.on("quiet") {
        true => Format::new("{{.ID}}", TABLE),
        false => Format::new(given, if digests { TABLE_WITH_DIGESTS } else { TABLE }),
    };
    let mut filters = m.list("filter");
    let reference = format!("reference={}", m.arg(0));
    if !m.args().is_empty() {
        filters.push(&reference);
    }
    let request = context.client()?.get("/images/json").flag("all", m.on("all"));
    let request = request.text("filters", &filter::query(&filters)).flag("manifests", tree);
    let images: Value = context.wait(async { Ok(request.fetch().await?) })?;
    if tree {
        image_tree::show(context, &images);
        return Ok(());
    }
    let show_digests = digests || format.mentions(".Digest");
    let trunc = !m.on("no-trunc");
    let rows = images.items().iter().flat_map(|image| rows(image, trunc, digests, show_digests)).collect();
    context.print(&format.render(&HEADER, rows)?);
    Ok(())
}

/// One row for the whole image, under its first tag.
pub(super) fn first_row(image: &Value) -> Row {
    let first = image.at("RepoTags").texts().first().and_then(|text| text.parse::<Reference>().ok());
    let name = first.as_ref().map_or_else(|| "<none>".to_owned(), Reference::familiar_name);
    let tag = first.as_ref().and_then(Reference::tag).unwrap_or("<none>").to_owned();
    row(image, true, &name, &tag, "")
}

/// One row a tag, or a row for the digest where there is no tag.
fn rows(image: &Value, trunc: bool, digest_rows: bool, show_digests: bool) -> Vec<Row> {
    let tags = image.at("RepoTags").texts();
    let digests = image.at("RepoDigests").texts();
    let none = |texts: &[String], text: &str| texts.is_empty() || texts == [text];
    if none(&tags, "<none>:<none>") && none(&digests, "<none>@<none>") {
        return vec![row(image, trunc, "<none>", "<none>", "<none>")];
    }
    let mut by_name: IndexMap<String, (Vec<String>, Vec<String>)> = IndexMap::new();
    for reference in tags.iter().chain(&digests).filter_map(|text| text.parse::<Reference>().ok()) {
        let entry = by_name.entry(reference.familiar_name()).or_default();
        if let Some(digest) = reference.digest() {
            entry.1.push(digest.to_string());
        } else if let Some(tag) = reference.tag() {
            entry.0.push(tag.to_owned());
        }
    }
    let mut rows = Vec::new();
    for (name, (tags, digests)) in &by_name {
        for tag in tags {
            match digests.as_slice() {
                digests @ [_, ..] if show_digests => {
                    rows.extend(digests.iter().map(|digest| row(image, trunc, name, tag, digest)));
                }
                _ => rows.push(row(image, trunc, name, tag, "<none>")),
            }
        }
        if tags.is_empty() {
            match digest_rows {
                true => rows.extend(digests.iter().map(|digest| row(image, trunc, name, "<none>", digest))),
                false => rows.push(row(image, trunc, name, "<none>", "")),
            }
        }
    }
    rows
}

fn row(image: &Value, trunc: bool, repository: &str, tag: &str, digest: &str) -> Row {
    let id = image.at("Id").as_str();
    let created = image.at("Created").as_i64();
    let (size, shared) = (image.at("Size").as_i64(), image.at("SharedSize").as_i64());
    let known = |number: i64, text: String| if number == -1 { "N/A".to_owned() } else { text };
    let containers = image.at("Containers").as_i64();
    Row::new("*formatter.imageContext")
        .text("ID", if trunc { short_id(id) } else { id })
        .text("Repository", repository)
        .text("Tag", tag)
        .text("Digest", digest)
        .text("CreatedSince", format!("{} ago", human_duration(time::since(created))))
        .text("CreatedAt", time::go_string(created))
        .text("Size", human_size(size as f64, 3))
        .text("Containers", known(containers, containers.to_string()))
        .text("VirtualSize", human_size(size as f64, 4))
        .text("SharedSize", known(shared, human_size(shared as f64, 4)))
        .text("UniqueSize", known(shared, human_size((size - shared) as f64, 4)))
}
