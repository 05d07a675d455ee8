//! `network ls`.

use super::common::TABLE_FORMAT;
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};
use crate::format::list::Format;
use crate::format::text::short_id;
use crate::format::time;
use crate::format::value::{Row, Value};
use crate::options::filter;

/// `network ls`.
pub static LS: Command = Command {
    paths: &["network ls", "network list"],
    usage: "[OPTIONS]",
    about: "List networks",
    flags: &[&[
        Flag::value("filter", "filter", "Provide filter values (e.g. \"driver=bridge\")").short('f'),
        Flag::value("format", "string", TABLE_FORMAT),
        Flag::switch("no-trunc", "Do not truncate the output"),
        Flag::switch("quiet", "Only display network IDs").short('q'),
    ]],
    interspersed: true,
    args: Args::None,
    run,
};

const TABLE: &str = "table {{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}";

const HEADER: [(&str, &str); 9] = [
    ("ID", "NETWORK ID"),
    ("Name", "NAME"),
    ("Driver", "DRIVER"),
    ("Scope", "SCOPE"),
    ("IPv4", "IPV4"),
    ("IPv6", "IPV6"),
    ("Internal", "INTERNAL"),
    ("Labels", "LABELS"),
    ("CreatedAt", "CREATED AT"),
];

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let request = context.client()?.get("/networks").text("filters", &filter::query(&m.list("filter")));
    let networks: Value = context.wait(async { Ok(request.fetch().await?) })?;
    let format = if m.on("quiet") { "{{.ID}}" } else { m.text("format") };
    let mut rows: Vec<Row> = networks.items().iter().map(|network| row(network, !m.on("no-trunc"))).collect();
    rows.sort_by(|a, b| a.fields["Name"].as_str().cmp(b.fields["Name"].as_str()));
    context.print(&Format::new(format, TABLE).render(&HEADER, rows)?);
    Ok(())
}

fn row(network: &Value, trunc: bool) -> Row {
    let id = network.at("Id").as_str();
    let labels = network.at("Labels").text_map();
    let pairs: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let flag = |name: &str| network.at(name).as_bool().to_string();
    Row::new("*network.networkContext")
        .text("ID", if trunc { short_id(id) } else { id })
        .text("Name", network.at("Name").as_str())
        .text("Driver", network.at("Driver").as_str())
        .text("Scope", network.at("Scope").as_str())
        .text("IPv4", flag("EnableIPv4"))
        .text("IPv6", flag("EnableIPv6"))
        .text("Internal", flag("Internal"))
        .text("Labels", pairs.join(","))
        .text("CreatedAt", time::go_string_of(network.at("Created").as_str()))
        .labels(labels)
}
