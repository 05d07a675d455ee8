//! `container prune`, `image prune`, `network prune`, `volume prune`, `system prune`.

use std::io::BufRead as _;

use serde_json::{Value as Json, json};

use super::dry_run::{self, DRY_RUN};
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};
use crate::format::units::human_size;
use crate::format::value::Value;
use crate::options::filter;

const FORCE: Flag = Flag::switch("force", "Do not prompt for confirmation").short('f');
const UNTIL: Flag = Flag::value("filter", "filter", "Provide filter values (e.g. \"until=<timestamp>\")");

/// `builder prune`.
pub static BUILDER: Command = Command {
    paths: &["builder prune"],
    usage: "[OPTIONS]",
    about: "Remove build cache",
    flags: &[&[
        Flag::switch("all", "Remove all unused build cache, not just dangling ones").short('a'),
        Flag::value("filter", "filter", "Provide filter values (e.g. \"until=24h\")"),
        FORCE,
        DRY_RUN,
    ]],
    interspersed: true,
    args: Args::None,
    run: builder,
};

/// `container prune`.
pub static CONTAINER: Command = Command {
    paths: &["container prune"],
    usage: "[OPTIONS]",
    about: "Remove all stopped containers",
    flags: &[&[DRY_RUN, UNTIL, FORCE]],
    interspersed: true,
    args: Args::None,
    run: containers,
};

/// `image prune`.
pub static IMAGE: Command = Command {
    paths: &["image prune"],
    usage: "[OPTIONS]",
    about: "Remove unused images",
    flags: &[&[
        Flag::switch("all", "Remove all unused images, not just dangling ones").short('a'),
        DRY_RUN,
        UNTIL,
        FORCE,
    ]],
    interspersed: true,
    args: Args::None,
    run: images,
};

/// `network prune`.
pub static NETWORK: Command = Command {
    paths: &["network prune"],
    usage: "[OPTIONS]",
    about: "Remove all unused networks",
    flags: &[&[DRY_RUN, UNTIL, FORCE]],
    interspersed: true,
    args: Args::None,
    run: networks,
};

/// `volume prune`.
pub static VOLUME: Command = Command {
    paths: &["volume prune"],
    usage: "[OPTIONS]",
    about: "Remove unused local volumes",
    flags: &[&[
        Flag::switch("all", "Remove all unused volumes, not just anonymous ones").short('a'),
        Flag::value("filter", "filter", "Provide filter values (e.g. \"label=<label>\")"),
        FORCE,
        DRY_RUN,
    ]],
    interspersed: true,
    args: Args::None,
    run: volumes,
};

/// `system prune`.
pub static SYSTEM: Command = Command {
    paths: &["system prune"],
    usage: "[OPTIONS]",
    about: "Remove unused data",
    flags: &[&[
        Flag::switch("all", "Remove all unused images not just dangling ones").short('a'),
        Flag::value("filter", "filter", "Provide filter values (e.g. \"label=<key>=<value>\")"),
        FORCE,
        Flag::switch("volumes", "Prune anonymous volumes"),
        DRY_RUN,
    ]],
    interspersed: true,
    args: Args::None,
    run: system,
};

/// What is removed together, and how its answer looks.
#[derive(Clone, Copy)]
struct Kind {
    path: &'static str,
    /// Member of the answer that lists what is gone.
    member: &'static str,
    title: &'static str,
    /// Member of a plan's request; empty for what is never planned.
    plan: &'static str,
    /// What a plan calls one of them.
    word: &'static str,
}

const CONTAINERS: Kind = Kind {
    path: "/containers/prune",
    member: "ContainersDeleted",
    title: "Deleted Containers:",
    plan: "Containers",
    word: "container",
};
const NETWORKS: Kind = Kind {
    path: "/networks/prune",
    member: "NetworksDeleted",
    title: "Deleted Networks:",
    plan: "Networks",
    word: "network",
};
const VOLUMES: Kind = Kind {
    path: "/volumes/prune",
    member: "VolumesDeleted",
    title: "Deleted Volumes:",
    plan: "Volumes",
    word: "volume",
};
const IMAGES: Kind =
    Kind { path: "/images/prune", member: "ImagesDeleted", title: "Deleted Images:", plan: "Images", word: "image" };
/// What builds keep are images: Gantry has no other cache.
const CACHE: Kind =
    Kind { path: "/build/prune", member: "CachesDeleted", title: "Deleted build cache objects:", plan: "", word: "" };

/// A kind with its filters.
type Part<'a> = (Kind, Vec<&'a str>);

fn builder(context: &Context, m: &Matches) -> Result<(), Failure> {
    let warning = if m.on("all") {
        "WARNING! This will remove all build cache."
    } else {
        "WARNING! This will remove all dangling build cache."
    };
    run(context, m, warning, vec![(CACHE, m.list("filter"))])
}

fn containers(context: &Context, m: &Matches) -> Result<(), Failure> {
    let warning = "WARNING! This will remove all stopped containers.";
    run(context, m, warning, vec![(CONTAINERS, m.list("filter"))])
}

fn images(context: &Context, m: &Matches) -> Result<(), Failure> {
    let warning = if m.on("all") {
        "WARNING! This will remove all images without at least one container associated to them."
    } else {
        "WARNING! This will remove all dangling images."
    };
    run(context, m, warning, vec![(IMAGES, [m.list("filter"), vec![dangling(m)]].concat())])
}

fn networks(context: &Context, m: &Matches) -> Result<(), Failure> {
    let warning = "WARNING! This will remove all custom networks not used by at least one container.";
    run(context, m, warning, vec![(NETWORKS, m.list("filter"))])
}

fn volumes(context: &Context, m: &Matches) -> Result<(), Failure> {
    let all = m.on("all");
    let given = m.list("filter");
    if all && given.iter().any(|filter| filter.starts_with("all=")) {
        return Err(Failure::Invalid("conflicting options: cannot specify both --all and --filter all=1".to_owned()));
    }
    let warning = if all {
        "WARNING! This will remove all local volumes not used by at least one container."
    } else {
        "WARNING! This will remove anonymous local volumes not used by at least one container."
    };
    let more = if all { vec!["all=true"] } else { Vec::new() };
    run(context, m, warning, vec![(VOLUMES, [given, more].concat())])
}

fn dangling(m: &Matches) -> &'static str {
    if m.on("all") { "dangling=false" } else { "dangling=true" }
}

fn system(context: &Context, m: &Matches) -> Result<(), Failure> {
    let given = m.list("filter");
    let until = given.iter().any(|filter| filter.starts_with("until="));
    if m.on("volumes") && until {
        return Err(Failure::Invalid("ERROR: The \"until\" filter is not supported with \"--volumes\"".to_owned()));
    }
    let warning = system_warning(m, &given);
    // A cache has no labels.
    let cache: Vec<&str> = given.iter().copied().filter(|filter| !filter.starts_with("label")).collect();
    let mut parts = vec![(CONTAINERS, given.clone()), (NETWORKS, given.clone())];
    if m.on("volumes") {
        parts.push((VOLUMES, given.clone()));
    }
    parts.extend([(IMAGES, [given, vec![dangling(m)]].concat()), (CACHE, cache)]);
    run(context, m, &warning, parts)
}

/// Tells what would go, or removes it: what was listed when it asked before, else what there is now.
fn run(context: &Context, m: &Matches, warning: &str, parts: Vec<Part<'_>>) -> Result<(), Failure> {
    if m.on("dry-run") {
        return dry_run::prune(context, &plan_request(&parts, Json::Null));
    }
    let listed = if m.on("force") { None } else { list(context, &parts)? };
    if !m.on("force") && !confirmed(context, warning, listed.as_ref())? {
        return Ok(());
    }
    let mut reclaimed = 0;
    match listed {
        Some(listed) => reclaimed += prune_listed(context, &parts, &listed)?,
        None => {
            for (kind, filters) in &parts {
                reclaimed += prune(context, *kind, filters)?;
            }
        }
    }
    // Networks take no space that could be told.
    if parts.iter().any(|(kind, _)| kind.path != NETWORKS.path) {
        context.line(&format!("Total reclaimed space: {}", human_size(reclaimed as f64, 4)));
    }
    Ok(())
}

/// The body that asks for a plan, or for what was listed of one.
fn plan_request(parts: &[Part<'_>], listed: Json) -> Json {
    let mut body = json!({ "Listed": listed });
    for (kind, filters) in parts.iter().filter(|(kind, _)| !kind.plan.is_empty()) {
        body[kind.plan] = json!(filter::query(filters));
    }
    body
}

/// What would go now. `None` where nobody is to see more than Docker's question, and from engines that cannot tell.
fn list(context: &Context, parts: &[Part<'_>]) -> Result<Option<Json>, Failure> {
    if context.program == "docker" {
        return Ok(None);
    }
    let request = context.client()?.post("/gantry/prune/plan").json(&plan_request(parts, Json::Null))?;
    let mut plan: Json = match context.wait(async { Ok(request.fetch().await) })? {
        Ok(plan) => plan,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(Some(plan["Things"].take()))
}

fn system_warning(m: &Matches, filters: &[&str]) -> String {
    let mut lines = vec!["all stopped containers", "all networks not used by at least one container"];
    if m.on("volumes") {
        lines.push("all anonymous volumes not used by at least one container");
    }
    if m.on("all") {
        lines.extend(["all images without at least one container associated to them", "all build cache"]);
    } else {
        lines.extend(["all dangling images", "unused build cache"]);
    }
    let list = |lines: &[&str]| lines.iter().map(|line| format!("  - {line}\n")).collect::<String>();
    let mut text = format!("WARNING! This will remove:\n{}", list(&lines));
    if !filters.is_empty() {
        let mut filters = filters.to_vec();
        filters.sort_unstable();
        text += &format!("\n  Items to be pruned will be filtered with:\n{}", list(&filters));
    }
    text
}

/// Asks, below the list of what would go; anything but a yes is a no.
fn confirmed(context: &Context, warning: &str, listed: Option<&Json>) -> Result<bool, Failure> {
    let things: Option<Value> = listed.and_then(|things| serde_json::from_value(things.clone()).ok());
    let list = match things.as_ref().map(Value::items) {
        None => String::new(),
        Some([]) => "\nThere is nothing to remove.\n\n".to_owned(),
        Some(things) => format!("\n{}\n", dry_run::table(things)?),
    };
    context.print(&format!("{warning}\n{list}Are you sure you want to continue? [y/N] "));
    let mut answer = String::new();
    // An input that cannot be read says nothing, hence no.
    let _ = std::io::stdin().lock().read_line(&mut answer);
    Ok(answer.trim().eq_ignore_ascii_case("y"))
}

/// Removes what was listed, as far as it still may go, and tells what is gone and what stays; gives the bytes that this
/// freed.
fn prune_listed(context: &Context, parts: &[Part<'_>], listed: &Json) -> Result<i64, Failure> {
    let request = context.client()?.post("/gantry/prune").json(&plan_request(parts, listed.clone()))?;
    let answer: Value = context.wait(async { Ok(request.fetch().await?) })?;
    for (kind, _) in parts.iter().filter(|(kind, _)| !kind.word.is_empty()) {
        let lines: Vec<String> = if kind.word == IMAGES.word {
            answer.at("ImagesDeleted").items().iter().map(line).collect()
        } else {
            let things = answer.at("Things").items().iter().filter(|thing| thing.at("Kind").as_str() == kind.word);
            // As in Docker, networks are told by their names.
            let name = |thing: &Value| match kind.word {
                "network" => thing.at("Names").texts().join(", "),
                _ => thing.at("Id").as_str().to_owned(),
            };
            things.map(name).collect()
        };
        tell(context, kind.title, &lines);
    }
    let kept = dry_run::kept_lines(answer.at("Kept").items());
    if !kept.is_empty() {
        context.print(&format!("Kept:\n{kept}\n"));
    }
    Ok(answer.at("SpaceReclaimed").as_i64())
}

/// Removes one kind and tells what is gone; gives the bytes that this freed.
fn prune(context: &Context, kind: Kind, filters: &[&str]) -> Result<i64, Failure> {
    let request = context.client()?.post(kind.path).text("filters", &filter::query(filters));
    let answer: Value = context.wait(async { Ok(request.fetch().await?) })?;
    let lines: Vec<String> = answer.at(kind.member).items().iter().map(line).collect();
    tell(context, kind.title, &lines);
    Ok(answer.at("SpaceReclaimed").as_i64())
}

fn tell(context: &Context, title: &str, lines: &[String]) {
    if !lines.is_empty() {
        context.line(title);
        lines.iter().for_each(|line| context.line(line));
        context.line("");
    }
}

fn line(item: &Value) -> String {
    match (item.at("Untagged").as_str(), item.at("Deleted").as_str()) {
        ("", "") => item.as_str().to_owned(),
        ("", deleted) => format!("deleted: {deleted}"),
        (untagged, _) => format!("untagged: {untagged}"),
    }
}
