//! `ps`, `container ls`.

use super::common::TABLE_FORMAT;
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};
use crate::format::list::Format;
use crate::format::ports::displayable;
use crate::format::text::{ellipsis, quote, short_id};
use crate::format::time;
use crate::format::units::human_size;
use crate::format::value::{Row, Value};
use crate::options::filter;
use types::human_duration;

/// `ps`.
pub static COMMAND: Command = Command {
    paths: &["container ls", "container list", "container ps", "ps"],
    usage: "[OPTIONS]",
    about: "List containers",
    flags: &[&[
        Flag::switch("all", "Show all containers (default shows just running)").short('a'),
        Flag::value("filter", "filter", "Filter output based on conditions provided").short('f'),
        Flag::value("format", "string", TABLE_FORMAT),
        Flag::value("last", "int", "Show n last created containers (includes all states)").short('n').default("-1"),
        Flag::switch("latest", "Show the latest created container (includes all states)").short('l'),
        Flag::switch("no-trunc", "Don't truncate output"),
        Flag::switch("quiet", "Only display container IDs").short('q'),
        Flag::switch("size", "Display total file sizes").short('s'),
    ]],
    interspersed: true,
    args: Args::None,
    run,
};

const TABLE: &str = "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}";

pub(super) const HEADER: [(&str, &str); 15] = [
    ("ID", "CONTAINER ID"),
    ("Names", "NAMES"),
    ("Image", "IMAGE"),
    ("Command", "COMMAND"),
    ("CreatedAt", "CREATED AT"),
    ("RunningFor", "CREATED"),
    ("Ports", "PORTS"),
    ("State", "STATE"),
    ("Status", "STATUS"),
    ("Size", "SIZE"),
    ("Labels", "LABELS"),
    ("Mounts", "MOUNTS"),
    ("LocalVolumes", "LOCAL VOLUMES"),
    ("Networks", "NETWORKS"),
    ("Platform", "PLATFORM"),
];

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let format = format(context, m);
    let size = m.on("size") || format.mentions(".Size");
    let limit = m.number("last").filter(|limit| *limit != -1).or_else(|| m.on("latest").then_some(1));
    let mut request = context.client()?.get("/containers/json").flag("all", m.on("all")).flag("size", size);
    if let Some(limit) = limit.filter(|limit| *limit > 0) {
        request = request.query("limit", &limit.to_string());
    }
    let request = request.text("filters", &filter::query(&m.list("filter")));
    let containers: Value = context.wait(async { Ok(request.fetch().await?) })?;
    let trunc = !m.on("no-trunc");
    let rows = containers.items().iter().map(|container| row(container, trunc)).collect();
    context.print(&format.render(&HEADER, rows)?);
    Ok(())
}

fn format(context: &Context, m: &Matches) -> Format {
    let given = m.text("format");
    if m.on("quiet") {
        return Format::new("{{.ID}}", TABLE);
    }
    let given = if given.is_empty() { context.config().ps_format.as_str() } else { given };
    let table = if m.on("size") { format!("{TABLE}\t{{{{.Size}}}}") } else { TABLE.to_owned() };
    Format::new(given, &table)
}

/// One container as a row.
pub(super) fn row(container: &Value, trunc: bool) -> Row {
    let id = container.at("Id").as_str();
    let command = container.at("Command").as_str();
    let created = container.at("Created").as_i64();
    let labels = container.at("Labels").text_map();
    let mut pairs: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.sort_unstable();
    let networks: Vec<&str> =
        container.path(&["NetworkSettings", "Networks"]).entries().map(|(name, _)| name.as_str()).collect();
    let mounts = container.at("Mounts").items();
    let local = mounts.iter().filter(|mount| mount.at("Driver").as_str() == "local").count();
    Row::new("*formatter.ContainerContext")
        .text("ID", if trunc { short_id(id) } else { id })
        .text("Names", names(container, trunc))
        .text("Image", image(container, trunc))
        .text("Command", quote(&if trunc { ellipsis(command, 20) } else { command.to_owned() }))
        .text("CreatedAt", time::go_string(created))
        .text("RunningFor", format!("{} ago", human_duration(time::since(created))))
        .text("Ports", displayable(container.at("Ports")))
        .text("State", container.at("State").as_str())
        .text("Status", container.at("Status").as_str())
        .text("Size", size(container))
        .text("Labels", pairs.join(","))
        .text("Mounts", mount_names(mounts, trunc))
        .text("LocalVolumes", local.to_string())
        .text("Networks", networks.join(","))
        .field("Platform", platform(container))
        .labels(labels)
}

fn names(container: &Value, trunc: bool) -> String {
    let names: Vec<String> =
        container.at("Names").items().iter().map(|name| name.as_str().trim_start_matches('/').to_owned()).collect();
    // A name with a slash inside belongs to a link from another container.
    match names.iter().find(|name| trunc && !name.contains('/')) {
        Some(own) => own.clone(),
        None => names.join(","),
    }
}

fn image(container: &Value, trunc: bool) -> String {
    let image = container.at("Image").as_str();
    if image.is_empty() {
        return "<no image>".to_owned();
    }
    if !trunc {
        return image.to_owned();
    }
    if short_id(container.at("ImageID").as_str()) == short_id(image) {
        return short_id(image).to_owned();
    }
    match image.parse::<types::Reference>() {
        Ok(reference) => match reference.tag() {
            Some(tag) => format!("{}:{tag}", reference.familiar_name()),
            None => reference.familiar_name(),
        },
        Err(_) => image.to_owned(),
    }
}

fn size(container: &Value) -> String {
    let own = human_size(container.at("SizeRw").as_i64() as f64, 3);
    match container.at("SizeRootFs").as_i64() {
        whole if whole > 0 => format!("{own} (virtual {})", human_size(whole as f64, 3)),
        _ => own,
    }
}

fn mount_names(mounts: &[Value], trunc: bool) -> String {
    let name = |mount: &Value| {
        let name = mount.at("Name").as_str();
        let name = if name.is_empty() { mount.at("Source").as_str() } else { name };
        if trunc { ellipsis(name, 15) } else { name.to_owned() }
    };
    mounts.iter().map(name).collect::<Vec<_>>().join(",")
}

fn platform(container: &Value) -> Value {
    let platform = container.path(&["ImageManifestDescriptor", "platform"]);
    match platform.at("os").as_str() {
        "" => Value::Nil,
        os => Value::Text(format!("{os}/{}", platform.at("architecture").as_str())),
    }
}
