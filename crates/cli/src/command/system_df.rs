//! `system df`: what takes space, in sums or thing by thing.

use super::common::TABLE_FORMAT;
use super::{Args, Command, image_ls, ps, system_why, volume};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};
use crate::format::list::Format;
use crate::format::units::human_size;
use crate::format::value::{Row, Value};
use crate::template::{Functions, Template};

/// `system df`.
pub static COMMAND: Command = Command {
    paths: &["system df"],
    usage: "[OPTIONS]",
    about: "Show docker disk usage",
    flags: &[&[
        Flag::value("format", "string", TABLE_FORMAT),
        Flag::switch("verbose", "Show detailed information on space usage").short('v'),
        Flag::value("why", "path", "Tell whose a path below the data root is (Gantry only)"),
    ]],
    interspersed: true,
    args: Args::None,
    run,
};

const SUMS: &str = "table {{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}";
const IMAGES: &str = "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}";
const CONTAINERS: &str =
    "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}";
const VOLUMES: &str = "table {{.Name}}\t{{.Links}}\t{{.Size}}";
const CACHE: &str =
    "table {{.ID}}\t{{.CacheType}}\t{{.Size}}\t{{.CreatedSince}}\t{{.LastUsedSince}}\t{{.UsageCount}}\t{{.Shared}}";

const EVERYTHING: &str = "table {{.Kind}}\t{{.Files}}\t{{.Apparent}}\t{{.Allocated}}";
const EVERYTHING_HEADER: [(&str, &str); 4] =
    [("Kind", "KIND"), ("Files", "FILES"), ("Apparent", "SIZE"), ("Allocated", "ON DISK")];

const HEADER: [(&str, &str); 5] =
    [("Type", "TYPE"), ("TotalCount", "TOTAL"), ("Active", "ACTIVE"), ("Size", "SIZE"), ("Reclaimable", "RECLAIMABLE")];

const CACHE_HEADER: [(&str, &str); 7] = [
    ("ID", "CACHE ID"),
    ("CacheType", "CACHE TYPE"),
    ("Size", "SIZE"),
    ("CreatedSince", "CREATED"),
    ("LastUsedSince", "LAST USED"),
    ("UsageCount", "USAGE"),
    ("Shared", "SHARED"),
];

/// One line of the sums.
#[derive(Debug, Default, PartialEq)]
struct Sum {
    total: usize,
    active: usize,
    size: i64,
    reclaimable: i64,
}

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    if let Some(path) = m.maybe("why") {
        return system_why::run(context, m, path);
    }
    let request = context.client()?.get("/system/df");
    let usage: Value = context.wait(async { Ok(request.fetch().await?) })?;
    let format = m.text("format");
    if m.on("verbose") {
        return verbose(context, format, &usage);
    }
    let rows = vec![
        row("Images", &images(&usage), true),
        row("Containers", &containers(&usage), true),
        row("Local Volumes", &volumes(&usage), true),
        row("Build Cache", &cache(&usage), false),
    ];
    context.print(&Format::new(format, SUMS).render(&HEADER, rows)?);
    if format.is_empty() { budget(context) } else { Ok(()) }
}

/// What only Gantry tells: how images stand to their budget, where there is one.
fn budget(context: &Context) -> Result<(), Failure> {
    if context.program == "docker" {
        return Ok(());
    }
    let request = context.client()?.get("/gantry/gc");
    let gc: Value = match context.wait(async { Ok(request.fetch().await) })? {
        Ok(gc) => gc,
        Err(error) if error.is_not_found() => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if *gc.at("MaxSize") != Value::Nil {
        let [most, size, free] =
            ["MaxSize", "Size", "Reclaimable"].map(|key| human_size(gc.at(key).as_i64() as f64, 4));
        context.print(&format!(
            "\nImages take {size} on the disk of a budget of {most}; garbage collection could free {free}.\n"
        ));
    }
    Ok(())
}

fn row(kind: &str, sum: &Sum, percent: bool) -> Row {
    let reclaimable = human_size(sum.reclaimable as f64, 4);
    let share = if sum.size > 0 { sum.reclaimable * 100 / sum.size } else { 0 };
    Row::new("*formatter.diskUsageContext")
        .text("Type", kind)
        .text("TotalCount", sum.total.to_string())
        .text("Active", sum.active.to_string())
        .text("Size", human_size(sum.size as f64, 4))
        .text("Reclaimable", if percent && sum.size > 0 { format!("{reclaimable} ({share}%)") } else { reclaimable })
}

/// An image that a container uses keeps what it does not share.
fn images(usage: &Value) -> Sum {
    let list = usage.at("Images").items();
    let used = list.iter().filter(|image| image.at("Containers").as_i64() != 0);
    let own = |image: &Value| match (image.at("Size").as_i64(), image.at("SharedSize").as_i64()) {
        (-1, _) | (_, -1) => 0,
        (size, shared) => size - shared,
    };
    let size = usage.at("LayersSize").as_i64();
    let active = list.iter().filter(|image| image.at("Containers").as_i64() > 0).count();
    Sum { total: list.len(), active, size, reclaimable: size - used.map(own).sum::<i64>() }
}

fn containers(usage: &Value) -> Sum {
    let busy = |container: &Value| ["running", "paused", "restarting"].contains(&container.at("State").as_str());
    sum(usage.at("Containers").items(), |container| (busy(container), container.at("SizeRw").as_i64()))
}

fn volumes(usage: &Value) -> Sum {
    sum(usage.at("Volumes").items(), |volume| {
        let data = volume.at("UsageData");
        (data.at("RefCount").as_i64() > 0, data.at("Size").as_i64().max(0))
    })
}

fn cache(usage: &Value) -> Sum {
    sum(usage.at("BuildCache").items(), |entry| (entry.at("InUse").as_bool(), entry.at("Size").as_i64()))
}

fn sum(list: &[Value], look: impl Fn(&Value) -> (bool, i64)) -> Sum {
    let mut sum = Sum { total: list.len(), ..Sum::default() };
    for (active, size) in list.iter().map(look) {
        sum.active += usize::from(active);
        sum.size += size;
        sum.reclaimable += if active { 0 } else { size };
    }
    sum
}

fn verbose(context: &Context, format: &str, usage: &Value) -> Result<(), Failure> {
    let items = |key: &str| usage.at(key).items();
    let images: Vec<Row> = items("Images").iter().map(image_ls::first_row).collect();
    let containers: Vec<Row> = items("Containers").iter().map(container).collect();
    let volumes: Vec<Row> = items("Volumes").iter().map(volume::row).collect();
    let cached: Vec<Row> = items("BuildCache").iter().map(cache_row).collect();
    if !format.is_empty() && format != "table" {
        let list = |rows: Vec<Row>| Value::List(rows.into_iter().map(Value::Row).collect());
        let whole = Row::new("*formatter.diskUsageContext")
            .field("Images", list(images))
            .field("Containers", list(containers))
            .field("Volumes", list(volumes))
            .field("BuildCache", list(cached));
        let format = if format == "json" { "{{json .}}" } else { format };
        context.line(
            &Template::parse(format).map_err(Failure::TemplateText)?.render(&Value::Row(whole), Functions::Full)?,
        );
        return Ok(());
    }
    let table =
        |template: &str, header: &[(&'static str, &'static str)], rows| Format::new("", template).render(header, rows);
    context.print(&format!("Images space usage:\n\n{}", table(IMAGES, &image_ls::HEADER, images)?));
    context.print(&format!("\nContainers space usage:\n\n{}", table(CONTAINERS, &ps::HEADER, containers)?));
    context.print(&format!("\nLocal Volumes space usage:\n\n{}", table(VOLUMES, &volume::HEADER, volumes)?));
    let size = human_size(cache(usage).size as f64, 4);
    context.print(&format!("\nBuild cache usage: {size}\n\n{}", table(CACHE, &CACHE_HEADER, cached)?));
    everything(context)
}

/// What only Gantry tells: all that is below the data root, as `du` counts. Other engines are not asked.
fn everything(context: &Context) -> Result<(), Failure> {
    if context.program == "docker" {
        return Ok(());
    }
    let request = context.client()?.get("/gantry/usage");
    let usage: Value = match context.wait(async { Ok(request.fetch().await) })? {
        Ok(usage) => usage,
        Err(error) if error.is_not_found() => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let kinds = usage.at("Kinds").items();
    let sum = |key: &str| kinds.iter().map(|kind| kind.at(key).as_i64()).sum::<i64>();
    let row = |name: &str, files: i64, apparent: i64, allocated: i64| {
        Row::new("*formatter.usageContext")
            .text("Kind", name)
            .text("Files", files.to_string())
            .text("Apparent", human_size(apparent as f64, 4))
            .text("Allocated", human_size(allocated as f64, 4))
    };
    let of = |kind: &Value, key: &str| kind.at(key).as_i64();
    let line =
        |kind: &Value| row(kind.at("Kind").as_str(), of(kind, "Files"), of(kind, "Apparent"), of(kind, "Allocated"));
    let total = row("total", sum("Files"), sum("Apparent"), sum("Allocated"));
    let rows = kinds.iter().map(line).chain([total]).collect();
    let table = Format::new("", EVERYTHING).render(&EVERYTHING_HEADER, rows)?;
    context.print(&format!("\nData root usage (as du counts it):\n\n{table}"));
    Ok(())
}

/// As in `ps`, but the size is what the container itself takes.
fn container(container: &Value) -> Row {
    ps::row(container, true).text("Size", human_size(container.at("SizeRw").as_i64() as f64, 3))
}

fn cache_row(entry: &Value) -> Row {
    Row::new("*formatter.buildCacheContext")
        .text("ID", entry.at("ID").as_str())
        .text("CacheType", entry.at("Type").as_str())
        .text("Size", human_size(entry.at("Size").as_i64() as f64, 3))
        .text("CreatedSince", entry.at("CreatedAt").as_str())
        .text("LastUsedSince", entry.at("LastUsedAt").as_str())
        .text("UsageCount", entry.at("UsageCount").as_i64().to_string())
        .text("InUse", entry.at("InUse").as_bool().to_string())
        .text("Shared", entry.at("Shared").as_bool().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_tell_what_could_be_freed() {
        let usage: Value = serde_json::from_str(
            r#"{"LayersSize":1000,"Images":[{"Containers":1,"Size":700,"SharedSize":100},{"Containers":0,"Size":400,"SharedSize":100}],
            "Containers":[{"State":"running","SizeRw":10},{"State":"exited","SizeRw":30}],
            "Volumes":[{"UsageData":{"RefCount":0,"Size":5}},{"UsageData":{"RefCount":2,"Size":-1}}],"BuildCache":[]}"#,
        )
        .expect("valid");
        assert_eq!(images(&usage), Sum { total: 2, active: 1, size: 1000, reclaimable: 400 });
        assert_eq!(containers(&usage), Sum { total: 2, active: 1, size: 40, reclaimable: 30 });
        assert_eq!(volumes(&usage), Sum { total: 2, active: 1, size: 5, reclaimable: 5 });
        assert_eq!(row("Images", &images(&usage), true).fields["Reclaimable"].as_str(), "400B (40%)");
        assert_eq!(row("Build Cache", &cache(&usage), false).fields["Reclaimable"].as_str(), "0B");
    }
}
