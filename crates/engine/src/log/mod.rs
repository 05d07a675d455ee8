//! Log drivers and their options: from `--log-driver` and `--log-opt` to what the monitor is told.
//!
//! Options are checked when the container is created, in Docker's words. The lines of every driver but `none` are also
//! kept in a file, so that they can be read here: the log itself (`json-file`, `local`) or a copy of what a collector
//! gets.

mod address;
mod attributes;
mod file;
mod fluentd;
mod gelf;
mod info;
mod journald;
mod options;
mod syslog;
mod tag;

use std::collections::BTreeMap;
use std::path::PathBuf;

use logs::{Format, LogPlan, RemoteOptions};

use crate::engine::Engine;
use crate::error::{Error, Invalid};
use crate::model::{ContainerSpec, LogConfig};
use crate::paths::Paths;
use info::Info;
use options::Options;

/// The drivers there are, as `docker info` lists them.
pub const DRIVERS: [&str; 6] = ["fluentd", "gelf", "journald", "json-file", "local", "syslog"];

/// What waits in memory for a collector before the container waits, in bytes.
const BUFFER: u64 = 1 << 20;

/// What a driver's options mean.
enum Parsed {
    File(file::FileSettings),
    Syslog(syslog::Settings),
    Journald,
    Gelf(gelf::Settings),
    Fluentd(fluentd::Settings),
}

/// Completes what a container left open with the daemon's default driver and options, as Docker does.
pub(crate) fn complete(log: &mut LogConfig, defaults: &LogConfig) {
    if log.driver.is_empty() {
        log.driver.clone_from(&defaults.driver);
    }
    let same = log.driver == defaults.driver;
    for (name, value) in &defaults.options {
        if same || (log.driver != "none" && name.starts_with("cache-")) {
            log.options.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
}

/// Checks driver and options, templates and expressions included.
///
/// # Errors
/// [`Invalid::Log`].
pub(crate) fn check(log: &LogConfig) -> Result<(), Error> {
    let checked = (|| {
        let options = Options::new(log);
        if log.driver == "none" {
            return Ok(());
        }
        options.check_mode()?;
        let info = Info::example();
        match parse(&options)? {
            Parsed::File(_) => {}
            _ => drop(cache(&options, PathBuf::new())?),
        }
        attributes::of(&options, &info)?;
        options.tag(&info, "").map(drop)
    })();
    checked.map_err(|message| Invalid::Log(message).into())
}

/// Checks what the daemon gives to containers that name no driver. An unknown driver is told when it is used.
///
/// # Errors
/// [`Invalid::Log`].
pub fn check_defaults(driver: &str, options: &BTreeMap<String, String>) -> Result<(), Error> {
    if !DRIVERS.contains(&driver) {
        return Ok(());
    }
    check(&LogConfig { driver: driver.to_owned(), options: options.clone() })
}

/// What is said of a collector that could not be reached when the container started.
pub(crate) fn unreachable(spec: &ContainerSpec, message: String) -> Error {
    let Some(dial) = message.split_once(": dial ").map(|(_, dial)| dial).filter(|_| spec.host.log.driver == "gelf")
    else {
        return Error::LogDriver(message);
    };
    // `tcp HOST:PORT: why`
    let address = dial.split(' ').nth(1).map_or("", |address| address.trim_end_matches(':'));
    Error::LogDriver(options::initialising(&format!("gelf: cannot connect to GELF endpoint: {address} dial {dial}")))
}

fn parse(options: &Options<'_>) -> Result<Parsed, String> {
    Ok(match options.driver() {
        "json-file" => Parsed::File(file::json(options)?),
        "local" => Parsed::File(file::local(options)?),
        "syslog" => Parsed::Syslog(syslog::parse(options)?),
        "journald" => {
            options.only(&["labels", "labels-regex", "env", "env-regex", "tag"])?;
            Parsed::Journald
        }
        "gelf" => Parsed::Gelf(gelf::parse(options)?),
        "fluentd" => Parsed::Fluentd(fluentd::parse(options)?),
        other => return Err(format!("error looking up logging plugin {other}: plugin \"{other}\" not found")),
    })
}

/// What the monitor of a container is told. Looks up the collector's name.
///
/// # Errors
/// [`Error::LogDriver`].
pub(crate) fn plan(engine: &Engine, spec: &ContainerSpec, name: &str) -> Result<LogPlan, Error> {
    if spec.host.log.driver == "none" {
        return Ok(LogPlan::default());
    }
    plan_of(&engine.paths, spec, name).map_err(Error::LogDriver)
}

fn plan_of(paths: &Paths, spec: &ContainerSpec, name: &str) -> Result<LogPlan, String> {
    let options = Options::new(&spec.host.log);
    let info = Info::of(spec, name);
    let drop_beyond = options.non_blocking()?;
    let path = paths.log(spec);
    let remote = match parse(&options)? {
        Parsed::File(settings) => {
            let mut attrs = attributes::of(&options, &info)?;
            if let Some(tag) = options.given_tag(&info)? {
                attrs.insert("tag".to_owned(), tag);
            }
            return Ok(LogPlan { file: Some(settings.at(path, attrs)), remote: None, drop_beyond });
        }
        Parsed::Syslog(settings) => settings.remote(&options, &info)?,
        Parsed::Journald => journald::remote(&options, &info)?,
        Parsed::Gelf(settings) => settings.remote(&options, &info)?,
        Parsed::Fluentd(settings) => settings.remote(&options, &info)?,
    };
    Ok(LogPlan { file: cache(&options, path)?, remote: Some(remote), drop_beyond })
}

/// The copy of what a collector gets, in Docker's form; `None` when it is switched off.
fn cache(options: &Options<'_>, path: PathBuf) -> Result<Option<logs::FileOptions>, String> {
    if options.flag("cache-disabled").unwrap_or(Ok(false))? {
        return Ok(None);
    }
    Ok(Some(file::cache(options)?.at(path, Default::default())))
}

/// The file that a container's log can be read from.
pub(crate) fn readable(paths: &Paths, spec: &ContainerSpec) -> Option<(PathBuf, Format)> {
    let options = Options::new(&spec.host.log);
    let path = paths.log(spec);
    match options.driver() {
        "none" => None,
        "json-file" => Some((path, Format::Json)),
        "local" => Some((path, Format::Local)),
        _ if matches!(options.flag("cache-disabled"), Some(Ok(true))) => None,
        _ => Some((path, Format::Local)),
    }
}

/// A collector that is not there makes the container wait only while it is connected.
fn remote(driver: logs::Driver, addresses: Vec<logs::Address>) -> RemoteOptions {
    let retry = logs::Retry { first: 200, longest: 5000, limit: None };
    RemoteOptions { driver, addresses, lazy: false, retry, patient: false, buffer: BUFFER, buffer_entries: None }
}

#[cfg(test)]
mod tests;
