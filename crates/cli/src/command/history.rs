//! `history`.

use super::common::{TABLE_FORMAT, platform_json};
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};
use crate::format::list::Format;
use crate::format::text::{ellipsis, short_id};
use crate::format::time;
use crate::format::units::human_size;
use crate::format::value::{Row, Value};
use types::human_duration;

/// `history`.
pub static COMMAND: Command = Command {
    paths: &["image history", "history"],
    usage: "[OPTIONS] IMAGE",
    about: "Show the history of an image",
    flags: &[&[
        Flag::value("format", "string", TABLE_FORMAT),
        Flag::switch("human", "Print sizes and dates in human readable format").short('H').default("true"),
        Flag::switch("no-trunc", "Don't truncate output"),
        Flag::value("platform", "string", "Show history for the given platform. Formatted as \"os[/arch[/variant]]\""),
        Flag::switch("quiet", "Only show image IDs").short('q'),
    ]],
    interspersed: true,
    args: Args::Exactly(1),
    run,
};

const TABLE: &str = "table {{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";
const EXACT_TABLE: &str = "table {{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";

const HEADER: [(&str, &str); 6] = [
    ("ID", "IMAGE"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("CreatedBy", "CREATED BY"),
    ("Size", "SIZE"),
    ("Comment", "COMMENT"),
];

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let platform = platform_json(m.text("platform"))?;
    let request = context.client()?.get(&format!("/images/{}/history", client::escape(m.arg(0))));
    let request = request.text("platform", &platform);
    let history: Value = context.wait(async { Ok(request.fetch().await?) })?;
    let format = if m.on("quiet") { "{{.ID}}" } else { m.text("format") };
    let table = if m.on("human") { TABLE } else { EXACT_TABLE };
    let rows = history.items().iter().map(|layer| row(layer, !m.on("no-trunc"), m.on("human"))).collect();
    context.print(&Format::new(format, table).render(&HEADER, rows)?);
    Ok(())
}

fn row(layer: &Value, trunc: bool, human: bool) -> Row {
    let id = layer.at("Id").as_str();
    let created = layer.at("Created").as_i64();
    let by = layer.at("CreatedBy").as_str().replace('\t', " ");
    let size = layer.at("Size").as_i64();
    Row::new("*formatter.historyContext")
        .text("ID", if trunc { short_id(id) } else { id })
        .text(
            "CreatedSince",
            if human { format!("{} ago", human_duration(time::since(created))) } else { time::rfc3339(created) },
        )
        .text("CreatedAt", time::rfc3339(created))
        .text("CreatedBy", if trunc { ellipsis(&by, 45) } else { by })
        .text("Size", if human { human_size(size as f64, 3) } else { size.to_string() })
        .text("Comment", layer.at("Comment").as_str())
}
