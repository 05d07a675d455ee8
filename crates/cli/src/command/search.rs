//! `search`.

use super::common::TABLE_FORMAT;
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::credentials;
use crate::flags::{Flag, Matches};
use crate::format::list::Format;
use crate::format::text::ellipsis;
use crate::format::value::{Row, Value};
use crate::options::filter;

/// `search`.
pub static COMMAND: Command = Command {
    paths: &["search"],
    usage: "[OPTIONS] TERM",
    about: "Search Docker Hub for images",
    flags: &[&[
        Flag::switch("automated", "Only show automated builds").hidden(),
        Flag::value("filter", "filter", "Filter output based on conditions provided").short('f'),
        Flag::value("format", "string", TABLE_FORMAT),
        Flag::value("limit", "int", "Max number of search results"),
        Flag::switch("list-tags", "List the tags of the repository TERM, which may end in a pattern as in debian:12*"),
        Flag::switch("no-trunc", "Don't truncate output"),
        Flag::value("stars", "uint", "Only displays with at least x stars").short('s').hidden(),
    ]],
    interspersed: true,
    args: Args::Exactly(1),
    run,
};

const TABLE: &str = "table {{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}";

const HEADER: [(&str, &str); 5] = [
    ("Name", "NAME"),
    ("Description", "DESCRIPTION"),
    ("StarCount", "STARS"),
    ("IsOfficial", "OFFICIAL"),
    ("IsAutomated", "AUTOMATED"),
];

/// With `--list-tags`.
const TAGS: &str = "table {{.Name}}\t{{.Tag}}";
const TAGS_HEADER: [(&str, &str); 2] = [("Name", "NAME"), ("Tag", "TAG")];

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let tags = m.on("list-tags");
    // The engine reads what stands behind the name as a pattern.
    let named = m.arg(0).rsplit('/').next().is_some_and(|last| last.contains(':'));
    let term = if tags && !named { format!("{}:*", m.arg(0)) } else { m.arg(0).to_owned() };
    let term = term.as_str();
    let mut filters: Vec<String> = m.list("filter").into_iter().map(str::to_owned).collect();
    if m.on("automated") {
        context.complain("Flag --automated has been deprecated, use --filter=is-automated=true instead");
        filters.push("is-automated=true".to_owned());
    }
    if let Some(stars) = m.number("stars") {
        context.complain("Flag --stars has been deprecated, use --filter=stars=N instead");
        filters.push(format!("stars={stars}"));
    }
    let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
    let limit = m.number("limit").filter(|limit| *limit != 0).map(|limit| limit.to_string()).unwrap_or_default();
    let domain = match term.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => "docker.io",
    };
    let request = context
        .client()?
        .get("/images/search")
        .query("term", term)
        .text("limit", &limit)
        .text("filters", &filter::query(&filters))
        .header("x-registry-auth", &credentials::header(context, domain)?);
    let found: Value = context.wait(async { Ok(request.fetch().await?) })?;
    if tags {
        let rows = found.items().iter().map(tag_row).collect();
        context.print(&Format::new(m.text("format"), TAGS).render(&TAGS_HEADER, rows)?);
        return Ok(());
    }
    let mut rows: Vec<&Value> = found.items().iter().collect();
    // The most liked first, as Docker's client sorts.
    rows.sort_by_key(|item| std::cmp::Reverse(item.at("star_count").as_i64()));
    let rows = rows.into_iter().map(|item| row(item, !m.on("no-trunc"))).collect();
    context.print(&Format::new(m.text("format"), TABLE).render(&HEADER, rows)?);
    Ok(())
}

fn tag_row(item: &Value) -> Row {
    let (name, tag) = item.at("name").as_str().rsplit_once(':').unwrap_or((item.at("name").as_str(), ""));
    Row::new("*formatter.tagContext").text("Name", name).text("Tag", tag)
}

fn row(item: &Value, trunc: bool) -> Row {
    let description = item.at("description").as_str().replace(['\n', '\r'], " ");
    let mark = |key: &str| if item.at(key).as_bool() { "[OK]" } else { "" };
    Row::new("*formatter.searchContext")
        .text("Name", item.at("name").as_str())
        .text("Description", if trunc { ellipsis(&description, 45) } else { description })
        .text("StarCount", item.at("star_count").as_i64().to_string())
        .text("IsOfficial", mark("is_official"))
        .text("IsAutomated", mark("is_automated"))
}
