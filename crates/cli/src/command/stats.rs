//! `stats`: what containers use, once or again and again.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use indexmap::IndexMap;

use super::common::{TABLE_FORMAT, container_path};
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::flags::{Flag, Matches};
use crate::format::list::Format;
use crate::format::text::short_id;
use crate::format::units::{binary_size, human_size};
use crate::format::value::{Row, Value};

/// `stats`.
pub static COMMAND: Command = Command {
    paths: &["container stats", "stats"],
    usage: "[OPTIONS] [CONTAINER...]",
    about: "Display a live stream of container(s) resource usage statistics",
    flags: &[&[
        Flag::switch("all", "Show all containers (default shows just running)").short('a'),
        Flag::value("format", "string", TABLE_FORMAT),
        Flag::switch("no-stream", "Disable streaming stats and only pull the first result"),
        Flag::switch("no-trunc", "Do not truncate output"),
    ]],
    interspersed: true,
    args: Args::AtLeast(0),
    run,
};

const TABLE: &str =
    "table {{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}";

const HEADER: [(&str, &str); 9] = [
    ("Container", "CONTAINER"),
    ("Name", "NAME"),
    ("ID", "CONTAINER ID"),
    ("CPUPerc", "CPU %"),
    ("MemUsage", "MEM USAGE / LIMIT"),
    ("MemPerc", "MEM %"),
    ("NetIO", "NET I/O"),
    ("BlockIO", "BLOCK I/O"),
    ("PIDs", "PIDS"),
];

/// Between two readings.
const PERIOD: Duration = Duration::from_secs(1);

/// Readings of one moment: by what the container was called, in the order of the table. `None`: it is gone.
type Readings = IndexMap<String, Option<Value>>;

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let given = m.text("format");
    let given = if given.is_empty() { context.config().stats_format.as_str() } else { given };
    let format = Format::new(given, TABLE);
    context.client()?;
    context.wait(async {
        let mut earlier = read(context, m).await?;
        if let Some((name, _)) = earlier.iter().find(|(_, reading)| reading.is_none()) {
            return Err(Failure::Invalid(format!("Error response from daemon: No such container: {name}")));
        }
        let live = !m.on("no-stream");
        if live {
            // Something to look at while the first period goes by.
            show(context, &format, m, &earlier, &HashMap::new(), live)?;
        }
        loop {
            tokio::time::sleep(PERIOD).await;
            let now = read(context, m).await?;
            let before: HashMap<&str, &Value> =
                earlier.values().flatten().map(|reading| (reading.at("id").as_str(), reading)).collect();
            show(context, &format, m, &now, &before, live)?;
            if !live || (!m.args().is_empty() && now.values().all(Option::is_none)) {
                return Ok(());
            }
            earlier = now;
        }
    })
}

/// One reading of every container that is meant now.
async fn read(context: &Context<'_>, m: &Matches) -> Result<Readings, Failure> {
    let client = context.client()?;
    let names: Vec<String> = if m.args().is_empty() {
        let listed: Value = client.get("/containers/json").flag("all", m.on("all")).fetch().await?;
        listed.items().iter().map(|container| container.at("Id").as_str().to_owned()).collect()
    } else {
        m.args().to_vec()
    };
    let readings = join_all(names.iter().map(|name| async move {
        let request = client.get(&container_path(name, "/stats")).query("stream", "0").query("one-shot", "1");
        match request.fetch::<Value>().await {
            Ok(reading) => Ok(Some(reading)),
            Err(client::Error::Daemon { status: 404, .. }) => Ok(None),
            Err(error) => Err(Failure::from(error)),
        }
    }));
    names.iter().cloned().zip(readings.await).map(|(name, reading)| Ok((name, reading?))).collect()
}

fn show(
    context: &Context<'_>,
    format: &Format,
    m: &Matches,
    now: &Readings,
    before: &HashMap<&str, &Value>,
    live: bool,
) -> Result<(), Failure> {
    // What went while the table of all is shown is no longer listed; what was asked for by name stays, without figures.
    let shown = now.iter().filter(|(_, reading)| reading.is_some() || !m.args().is_empty());
    let rows: Vec<Row> = shown
        .map(|(name, reading)| match reading {
            Some(reading) => row(name, reading, before.get(reading.at("id").as_str()).copied(), !m.on("no-trunc")),
            None => gone(name),
        })
        .collect();
    let text = format.render(&HEADER, rows)?;
    if live && context.output_is_terminal() {
        // From the upper left corner, clearing what is left of each line and of the page.
        let lines: String = text.lines().map(|line| format!("{line}\x1b[K\n")).collect();
        context.print(&format!("\x1b[H{lines}\x1b[J"));
    } else {
        context.print(&text);
    }
    Ok(())
}

fn gone(name: &str) -> Row {
    let row = Row::new("*container.statsContext").text("Container", name).text("Name", "--").text("ID", "--");
    ["CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"]
        .into_iter()
        .fold(row, |row, key| row.text(key, if key == "MemUsage" { "-- / --" } else { "--" }))
}

fn row(name: &str, reading: &Value, before: Option<&Value>, trunc: bool) -> Row {
    let id = reading.at("id").as_str();
    let short = |id: &str| if trunc { short_id(id).to_owned() } else { id.to_owned() };
    let memory = reading.at("memory_stats");
    let (used, limit) = (used_memory(memory), memory.at("limit").as_i64() as f64);
    let share = if limit > 0.0 { used / limit * 100.0 } else { 0.0 };
    let (received, sent) = network(reading);
    let (read, written) = block(reading);
    let pair = |left: f64, right: f64| format!("{} / {}", human_size(left, 3), human_size(right, 3));
    Row::new("*container.statsContext")
        .text("Container", if name == id { short(id) } else { name.to_owned() })
        .text("Name", reading.at("name").as_str().trim_start_matches('/'))
        .text("ID", short(id))
        .text("CPUPerc", format!("{:.2}%", before.map_or(0.0, |before| processor(before, reading))))
        .text("MemUsage", format!("{} / {}", binary_size(used), binary_size(limit)))
        .text("MemPerc", format!("{share:.2}%"))
        .text("NetIO", pair(received, sent))
        .text("BlockIO", pair(read, written))
        .text("PIDs", reading.path(&["pids_stats", "current"]).as_i64().to_string())
}

/// Percent of one processor between two readings.
fn processor(before: &Value, now: &Value) -> f64 {
    let delta = |path: [&str; 3]| now.path(&path).as_i64() as f64 - before.path(&path).as_i64() as f64;
    let used = delta(["cpu_stats", "cpu_usage", "total_usage"]);
    let whole = now.path(&["cpu_stats", "system_cpu_usage"]).as_i64() as f64
        - before.path(&["cpu_stats", "system_cpu_usage"]).as_i64() as f64;
    let online = match now.path(&["cpu_stats", "online_cpus"]).as_i64() {
        0 => now.path(&["cpu_stats", "cpu_usage", "percpu_usage"]).items().len() as f64,
        online => online as f64,
    };
    // A run that began anew counts from zero.
    if used > 0.0 && whole > 0.0 { used / whole * online * 100.0 } else { 0.0 }
}

/// Memory without the cache that the kernel gives back first; on version 1 and 2 of control groups.
fn used_memory(memory: &Value) -> f64 {
    let usage = memory.at("usage").as_i64();
    let inactive = ["total_inactive_file", "inactive_file"];
    let cache = inactive.iter().map(|key| memory.path(&["stats", key]).as_i64()).find(|bytes| *bytes > 0).unwrap_or(0);
    (if cache < usage { usage - cache } else { usage }) as f64
}

fn network(reading: &Value) -> (f64, f64) {
    let sum = |key: &str| reading.at("networks").entries().map(|(_, one)| one.at(key).as_i64()).sum::<i64>() as f64;
    (sum("rx_bytes"), sum("tx_bytes"))
}

fn block(reading: &Value) -> (f64, f64) {
    let entries = reading.path(&["blkio_stats", "io_service_bytes_recursive"]).items();
    let sum = |operation: &str| {
        let these = entries.iter().filter(|entry| entry.at("op").as_str().eq_ignore_ascii_case(operation));
        these.map(|entry| entry.at("value").as_i64()).sum::<i64>() as f64
    };
    (sum("read"), sum("write"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(text: &str) -> Value {
        serde_json::from_str(text).expect("valid")
    }

    #[test]
    fn figures_are_computed_as_docker_does() {
        let before = reading(r#"{"cpu_stats":{"cpu_usage":{"total_usage":100},"system_cpu_usage":1000}}"#);
        let now = reading(
            r#"{"id":"0123456789abcdef","name":"/web","pids_stats":{"current":3},
            "cpu_stats":{"cpu_usage":{"total_usage":350},"system_cpu_usage":2000,"online_cpus":2},
            "memory_stats":{"usage":3145728,"limit":10485760,"stats":{"total_inactive_file":1048576}},
            "networks":{"eth0":{"rx_bytes":1000,"tx_bytes":2},"eth1":{"rx_bytes":500}},
            "blkio_stats":{"io_service_bytes_recursive":[{"op":"Read","value":5},{"op":"read","value":6},{"op":"write","value":7}]}}"#,
        );
        let row = row("web", &now, Some(&before), true);
        let text = |key: &str| row.fields[key].as_str().to_owned();
        assert_eq!(text("ID"), "0123456789ab");
        assert_eq!((text("Container"), text("Name")), ("web".to_owned(), "web".to_owned()));
        assert_eq!(text("CPUPerc"), "50.00%");
        assert_eq!((text("MemUsage"), text("MemPerc")), ("2MiB / 10MiB".to_owned(), "20.00%".to_owned()));
        assert_eq!(
            (text("NetIO"), text("BlockIO"), text("PIDs")),
            ("1.5kB / 2B".to_owned(), "11B / 7B".to_owned(), "3".to_owned())
        );
    }

    #[test]
    fn a_run_that_began_anew_uses_nothing_yet() {
        let one = |total: i64| {
            reading(&format!(
                r#"{{"cpu_stats":{{"cpu_usage":{{"total_usage":{total}}},"system_cpu_usage":{},"online_cpus":1}}}}"#,
                1000 + total
            ))
        };
        assert!(processor(&one(100), &one(5)).abs() < f64::EPSILON);
    }
}
