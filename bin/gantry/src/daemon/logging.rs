//! The daemon's log on stderr: lines for people, or JSON for machines, at a level that can be changed.

use std::fmt;

use anyhow::anyhow;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::options::Options;

/// Changes the level while the daemon runs.
pub(super) struct LogLevel(Box<dyn Fn(LevelFilter) -> anyhow::Result<()> + Send + Sync>);

/// One JSON object a line: `level`, `msg`, `time`, and the fields.
struct JsonLines;

/// Collects the fields of an event.
struct Fields<'m>(&'m mut Map<String, Value>);

// === impl LogLevel ===

impl LogLevel {
    /// Takes the level of new settings over.
    ///
    /// # Errors
    /// Only when the log is gone.
    pub(super) fn change(&self, options: &Options) -> anyhow::Result<()> {
        (self.0)(level(options))
    }
}

/// Starts the log.
///
/// # Errors
/// When there is one already.
pub(super) fn start(options: &Options) -> anyhow::Result<LogLevel> {
    let (filter, handle) = reload::Layer::new(level(options));
    let lines = tracing_subscriber::fmt::layer().with_target(false).with_ansi(false).with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    let started = if options.log_json {
        registry.with(lines.event_format(JsonLines)).try_init()
    } else {
        registry.with(lines).try_init()
    };
    started.map_err(|error| anyhow!("{error}"))?;
    Ok(LogLevel(Box::new(move |level| handle.reload(level).map_err(|error| anyhow!("{error}")))))
}

fn level(options: &Options) -> LevelFilter {
    match options.log_level.as_str() {
        _ if options.live.debug => LevelFilter::DEBUG,
        "debug" | "trace" => LevelFilter::DEBUG,
        "warn" | "warning" => LevelFilter::WARN,
        "error" | "fatal" => LevelFilter::ERROR,
        _ => LevelFilter::INFO,
    }
}

// === impl JsonLines ===

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = Map::new();
        event.record(&mut Fields(&mut line));
        let word = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warning",
            Level::INFO => "info",
            Level::DEBUG => "debug",
            Level::TRACE => "trace",
        };
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        line.insert("level".to_owned(), word.into());
        line.insert("time".to_owned(), time.into());
        writeln!(writer, "{}", Value::Object(line))
    }
}

// === impl Fields ===

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: Value) {
        let name = if field.name() == "message" { "msg" } else { field.name() };
        self.0.insert(name.to_owned(), value);
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(error) = source {
            text.push_str(&format!(": {error}"));
            source = error.source();
        }
        self.put(field, text.into());
    }
}
