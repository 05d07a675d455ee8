//! `container prune`, `image prune`, `network prune`, `volume prune`, `system prune`.

use std::io::BufRead as _;

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
    flags: &[&[UNTIL, FORCE]],
    interspersed: true,
    args: Args::None,
    run: containers,
};

/// `image prune`.
pub static IMAGE: Command = Command {
    paths: &["image prune"],
    usage: "[OPTIONS]",
    about: "Remove unused images",
    flags: &[&[Flag::switch("all", "Remove all unused images, not just dangling ones").short('a'), UNTIL, FORCE]],
    interspersed: true,
    args: Args::None,
    run: images,
};

/// `network prune`.
pub static NETWORK: Command = Command {
    paths: &["network prune"],
    usage: "[OPTIONS]",
    about: "Remove all unused networks",
    flags: &[&[UNTIL, FORCE]],
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
}

const CONTAINERS: Kind = Kind { path: "/containers/prune", member: "ContainersDeleted", title: "Deleted Containers:" };
const NETWORKS: Kind = Kind { path: "/networks/prune", member: "NetworksDeleted", title: "Deleted Networks:" };
const VOLUMES: Kind = Kind { path: "/volumes/prune", member: "VolumesDeleted", title: "Deleted Volumes:" };
const IMAGES: Kind = Kind { path: "/images/prune", member: "ImagesDeleted", title: "Deleted Images:" };
const CACHE: Kind = Kind { path: "/build/prune", member: "CachesDeleted", title: "Deleted build cache objects:" };

fn builder(context: &Context, m: &Matches) -> Result<(), Failure> {
    let warning = if m.on("all") {
        "WARNING! This will remove all build cache."
    } else {
        "WARNING! This will remove all dangling build cache."
    };
    alone(context, m, CACHE, warning, Vec::new())
}

fn containers(context: &Context, m: &Matches) -> Result<(), Failure> {
    let warning = "WARNING! This will remove all stopped containers.";
    alone(context, m, CONTAINERS, warning, Vec::new())
}

fn images(context: &Context, m: &Matches) -> Result<(), Failure> {
    let warning = if m.on("all") {
        "WARNING! This will remove all images without at least one container associated to them."
    } else {
        "WARNING! This will remove all dangling images."
    };
    alone(context, m, IMAGES, warning, vec![dangling(m)])
}

fn networks(context: &Context, m: &Matches) -> Result<(), Failure> {
    let warning = "WARNING! This will remove all custom networks not used by at least one container.";
    if !m.on("force") && !confirmed(context, warning) {
        return Ok(());
    }
    // Networks take no space that could be told.
    prune(context, NETWORKS, &m.list("filter")).map(drop)
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
    alone(context, m, VOLUMES, warning, if all { vec!["all=true"] } else { Vec::new() })
}

fn dangling(m: &Matches) -> &'static str {
    if m.on("all") { "dangling=false" } else { "dangling=true" }
}

/// One kind of things, after a question.
fn alone(context: &Context, m: &Matches, kind: Kind, warning: &str, more: Vec<&str>) -> Result<(), Failure> {
    if !m.on("force") && !confirmed(context, warning) {
        return Ok(());
    }
    let filters: Vec<&str> = m.list("filter").into_iter().chain(more).collect();
    let reclaimed = prune(context, kind, &filters)?;
    total(context, reclaimed);
    Ok(())
}

fn system(context: &Context, m: &Matches) -> Result<(), Failure> {
    let given = m.list("filter");
    let until = given.iter().any(|filter| filter.starts_with("until="));
    if m.on("volumes") && until {
        return Err(Failure::Invalid("ERROR: The \"until\" filter is not supported with \"--volumes\"".to_owned()));
    }
    if !m.on("force") && !confirmed(context, &system_warning(m, &given)) {
        return Ok(());
    }
    let mut reclaimed = prune(context, CONTAINERS, &given)?;
    reclaimed += prune(context, NETWORKS, &given)?;
    if m.on("volumes") {
        reclaimed += prune(context, VOLUMES, &given)?;
    }
    let images: Vec<&str> = given.iter().copied().chain([dangling(m)]).collect();
    reclaimed += prune(context, IMAGES, &images)?;
    // A cache has no labels.
    let cache: Vec<&str> = given.iter().copied().filter(|filter| !filter.starts_with("label")).collect();
    reclaimed += prune(context, CACHE, &cache)?;
    total(context, reclaimed);
    Ok(())
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

/// Asks; anything but a yes is a no.
fn confirmed(context: &Context, warning: &str) -> bool {
    context.print(&format!("{warning}\nAre you sure you want to continue? [y/N] "));
    let mut answer = String::new();
    // An input that cannot be read says nothing, hence no.
    let _ = std::io::stdin().lock().read_line(&mut answer);
    answer.trim().eq_ignore_ascii_case("y")
}

/// Removes one kind and tells what is gone; gives the bytes that this freed.
fn prune(context: &Context, kind: Kind, filters: &[&str]) -> Result<i64, Failure> {
    let request = context.client()?.post(kind.path).text("filters", &filter::query(filters));
    let answer: Value = context.wait(async { Ok(request.fetch().await?) })?;
    let gone = answer.at(kind.member).items();
    if !gone.is_empty() {
        context.line(kind.title);
        gone.iter().for_each(|item| context.line(&line(item)));
        context.line("");
    }
    Ok(answer.at("SpaceReclaimed").as_i64())
}

fn line(item: &Value) -> String {
    match (item.at("Untagged").as_str(), item.at("Deleted").as_str()) {
        ("", "") => item.as_str().to_owned(),
        ("", deleted) => format!("deleted: {deleted}"),
        (untagged, _) => format!("untagged: {untagged}"),
    }
}

fn total(context: &Context, reclaimed: i64) {
    context.line(&format!("Total reclaimed space: {}", human_size(reclaimed as f64, 4)));
}
