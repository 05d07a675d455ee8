//! `list` and `state`.

use anyhow::bail;

use crate::arguments::{Flag, Parsed};
use crate::record::{Record, Status, all};
use crate::{Global, report};

/// Flags of `list`.
pub(crate) const FLAGS: &[Flag] = &[Flag::value("format", Some('f')), Flag::switch("quiet", Some('q'))];

/// Lists the containers.
pub(crate) fn list(global: &Global, parsed: &Parsed) -> anyhow::Result<u8> {
    let records = all(global)?;
    if parsed.is_set("quiet") {
        let ids: String = records.iter().map(|record| format!("{}\n", record.id)).collect();
        report::print(&ids)?;
        return Ok(0);
    }
    let rows: Vec<(Record, Status)> =
        records.into_iter().map(|record| (record.clone(), record.status(global))).collect();
    match parsed.last("format").unwrap_or("table") {
        "json" => {
            let rows: Vec<_> = rows.iter().map(|(record, status)| row(record, *status)).collect();
            report::print_json(&rows, false)?;
        }
        "table" => report::print(&table(&rows))?,
        other => bail!("invalid format option {other:?}"),
    }
    Ok(0)
}

/// Shows the state of one container.
pub(crate) fn state(global: &Global, parsed: &Parsed) -> anyhow::Result<u8> {
    let record = Record::load(global, parsed.id()?)?;
    report::print_json(&row(&record, record.status(global)), true)?;
    Ok(0)
}

/// The specification's state and what runc adds to it.
fn row(record: &Record, status: Status) -> serde_json::Value {
    let mut value = serde_json::to_value(record.state(status)).unwrap_or_default();
    value["rootfs"] = record.rootfs.to_string_lossy().into();
    value["created"] = record.created.clone().into();
    value["owner"] = "".into();
    value
}

fn table(rows: &[(Record, Status)]) -> String {
    let header = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned);
    let cells = rows.iter().map(|(record, status)| {
        let pid = if *status == Status::Stopped { 0 } else { record.pid };
        let bundle = record.bundle.display().to_string();
        [
            record.id.clone(),
            pid.to_string(),
            status.as_str().to_owned(),
            bundle,
            record.created.clone(),
            "root".to_owned(),
        ]
    });
    let rows: Vec<[String; 6]> = std::iter::once(header).chain(cells).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).max(8) + 3;
    let mut text = String::new();
    for row in &rows {
        for (column, cell) in row.iter().enumerate() {
            let width = if column == 5 { 0 } else { width(column) };
            text.push_str(&format!("{cell:<width$}"));
        }
        text.push('\n');
    }
    text
}
