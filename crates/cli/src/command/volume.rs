//! `volume create`, `volume ls`, `volume rm`.

use serde_json::json;

use super::common::{TABLE_FORMAT, for_all};
use super::dry_run::{self, DRY_RUN};
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};
use crate::format::list::Format;
use crate::format::units::human_size;
use crate::format::value::{Row, Value};
use crate::options::{check, filter, keyvalue};

/// `volume create`.
pub static CREATE: Command = Command {
    paths: &["volume create"],
    usage: "[OPTIONS] [VOLUME]",
    about: "Create a volume",
    flags: &[&[
        Flag::value("driver", "string", "Specify volume driver name").short('d').default("\"local\""),
        Flag::value("label", "list", "Set metadata for a volume").check(check::label),
        Flag::value("name", "string", "").hidden(),
        Flag::value("opt", "map", "Set driver specific options").short('o').default("map[]"),
    ]],
    interspersed: true,
    args: Args::AtMost(1),
    run: create,
};

/// `volume ls`.
pub static LS: Command = Command {
    paths: &["volume ls", "volume list"],
    usage: "[OPTIONS]",
    about: "List volumes",
    flags: &[&[
        Flag::value("filter", "filter", "Provide filter values (e.g. \"dangling=true\")").short('f'),
        Flag::value("format", "string", TABLE_FORMAT),
        Flag::switch("quiet", "Only display volume names").short('q'),
    ]],
    interspersed: true,
    args: Args::None,
    run: list,
};

/// `volume rm`.
pub static RM: Command = Command {
    paths: &["volume rm", "volume remove"],
    usage: "[OPTIONS] VOLUME [VOLUME...]",
    about: "Remove one or more volumes. You cannot remove a volume that is in use by a container.",
    flags: &[&[Flag::switch("force", "Force the removal of one or more volumes").short('f'), DRY_RUN]],
    interspersed: true,
    args: Args::AtLeast(1),
    run: remove,
};

const TABLE: &str = "table {{.Driver}}\t{{.Name}}";

pub(super) const HEADER: [(&str, &str); 10] = [
    ("Name", "VOLUME NAME"),
    ("Group", "GROUP"),
    ("Driver", "DRIVER"),
    ("Scope", "SCOPE"),
    ("Availability", "AVAILABILITY"),
    ("Mountpoint", "MOUNTPOINT"),
    ("Labels", "LABELS"),
    ("Links", "LINKS"),
    ("Size", "SIZE"),
    ("Status", "STATUS"),
];

fn create(context: &Context, m: &Matches) -> Result<(), Failure> {
    let named = m.text("name");
    if !named.is_empty() && !m.args().is_empty() {
        return Err(Failure::Invalid(
            "conflicting options: cannot specify a volume-name through both --name and as a positional arg".to_owned(),
        ));
    }
    let body = json!({
        "Name": if named.is_empty() { m.arg(0) } else { named },
        "Driver": m.maybe("driver").unwrap_or("local"),
        "DriverOpts": keyvalue::map(&m.list("opt")),
        "Labels": keyvalue::map(&m.list("label")),
    });
    let request = context.client()?.post("/volumes/create").json(&body)?;
    let volume: Value = context.wait(async { Ok(request.fetch().await?) })?;
    context.line(volume.at("Name").as_str());
    Ok(())
}

fn list(context: &Context, m: &Matches) -> Result<(), Failure> {
    let request = context.client()?.get("/volumes").text("filters", &filter::query(&m.list("filter")));
    let answer: Value = context.wait(async { Ok(request.fetch().await?) })?;
    let format = if m.on("quiet") { "{{.Name}}" } else { m.text("format") };
    let mut rows: Vec<Row> = answer.at("Volumes").items().iter().map(row).collect();
    rows.sort_by(|a, b| a.fields["Name"].as_str().cmp(b.fields["Name"].as_str()));
    context.print(&Format::new(format, TABLE).render(&HEADER, rows)?);
    Ok(())
}

fn remove(context: &Context, m: &Matches) -> Result<(), Failure> {
    if m.on("dry-run") {
        let body = json!({ "Kind": "volume", "Names": m.args(), "Force": m.on("force") });
        return dry_run::removal(context, &body, m.on("force"));
    }
    let client = context.client()?;
    for_all(context, m.args(), |name| async move {
        client.delete(&format!("/volumes/{}", client::escape(&name))).flag("force", m.on("force")).done().await
    })
}

/// The path of an operation of our own on a volume.
pub(super) fn gantry_path(name: &str, verb: &str) -> String {
    format!("/gantry/volumes/{}/{verb}", client::escape(name))
}

/// Tells which volume has its files now, and what is not as it was.
pub(super) fn filled(context: &Context, answer: Value) -> Result<(), Failure> {
    for warning in answer.at("Warnings").items() {
        context.complain(&format!("WARNING: {}", warning.as_str()));
    }
    context.line(answer.at("Volume").at("Name").as_str());
    Ok(())
}

/// One volume as a row.
pub(super) fn row(volume: &Value) -> Row {
    let labels = volume.at("Labels").text_map();
    let pairs: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let usage = volume.at("UsageData");
    let (links, size) = match usage {
        Value::Map(_) => (usage.at("RefCount").as_i64().to_string(), human_size(usage.at("Size").as_i64() as f64, 4)),
        _ => ("N/A".to_owned(), "N/A".to_owned()),
    };
    Row::new("*formatter.volumeContext")
        .text("Name", volume.at("Name").as_str())
        .text("Group", "N/A")
        .text("Driver", volume.at("Driver").as_str())
        .text("Scope", volume.at("Scope").as_str())
        .text("Availability", "N/A")
        .text("Mountpoint", volume.at("Mountpoint").as_str())
        .text("Labels", pairs.join(","))
        .text("Links", links)
        .text("Size", size)
        .text("Status", "N/A")
        .labels(labels)
}
