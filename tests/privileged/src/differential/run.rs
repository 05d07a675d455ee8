//! Runs a script on both engines.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::accepted::Accepted;
use super::compare::{Difference, compare};
use super::normal::Normal;
use super::script::{Script, Step};
use crate::daemon::Daemon;
use crate::http::{Answer, Connection, Request};
use crate::wait::until;

/// What came out.
#[derive(Debug, Default)]
pub struct Report {
    /// Requests sent to each engine.
    pub requests: usize,
    /// Differences that the list accepts.
    pub accepted: usize,
    /// Those, with the reasons.
    pub excused: Vec<(Difference, String)>,
    /// Differences that nobody accepts.
    pub differences: Vec<Difference>,
}

/// One engine and what the script knows of it.
struct Side<'a> {
    daemon: &'a Daemon,
    /// The newest version it speaks.
    newest: u16,
    normal: Normal,
    variables: BTreeMap<String, String>,
}

/// Sends every step to both engines and compares the answers; what is found goes to the report.
///
/// # Errors
/// When an engine breaks a connection or an answer lacks what a step wants to keep.
pub fn run(
    script: &Script,
    (reference, gantry): (&Daemon, &Daemon),
    accepted: &Accepted,
    report: &mut Report,
) -> Result<()> {
    let (mut left, mut right) = (Side::new(reference)?, Side::new(gantry)?);
    for step in &script.0 {
        let context = || format!("{}: {}", step.place, step.title());
        let expected = left.perform(step).with_context(|| format!("{} (reference)", context()))?;
        let answer = right.perform(step).with_context(|| format!("{} (gantry)", context()))?;
        report.requests += 1;
        for difference in compare(step, (&expected, &left.normal), (&answer, &right.normal)) {
            match accepted.reason(&difference) {
                Some(reason) => {
                    report.accepted += 1;
                    report.excused.push((difference, reason.to_owned()));
                }
                None => report.differences.push(difference),
            }
        }
    }
    Ok(())
}

// === impl Side ===

impl<'a> Side<'a> {
    fn new(daemon: &'a Daemon) -> Result<Self> {
        let version = Connection::with_version(&daemon.socket(), "").request("GET", "/version", None)?.json();
        let newest = version["ApiVersion"].as_str().and_then(|text| text.strip_prefix("1.")?.parse().ok());
        let gateway = daemon.gateway();
        let subnet = gateway.strip_suffix(".1").unwrap_or(&gateway).to_owned();
        let known = [
            (daemon.data_root().display().to_string(), "data"),
            (daemon.exec_root().display().to_string(), "run"),
            (daemon.bridge().to_owned(), "bridge"),
            (subnet, "subnet"),
        ];
        let newest = newest.context("no API version")?;
        Ok(Self { daemon, newest, normal: Normal::new(&known), variables: BTreeMap::new() })
    }

    fn perform(&mut self, step: &Step) -> Result<Answer> {
        let answer = match &step.until {
            None => self.send(step)?,
            Some((path, wanted)) => until(&step.title(), 60, || {
                let answer = self.send(step).ok()?;
                (shown(pick(&answer.json(), path)) == *wanted).then_some(answer)
            }),
        };
        for (name, path) in &step.captures {
            let value = shown(pick(&answer.json(), path));
            anyhow::ensure!(!value.is_empty(), "nothing at {path} in {}", String::from_utf8_lossy(&answer.body));
            self.normal.learn(name, &value);
            self.variables.insert(name.clone(), value);
        }
        Ok(answer)
    }

    fn send(&self, step: &Step) -> Result<Answer> {
        let version = match step.version.strip_prefix("1.").and_then(|minor| minor.parse::<u16>().ok()) {
            // Newer than the reference: it answers as well as it can.
            Some(minor) if minor < 90 => format!("/v1.{}", minor.min(self.newest)),
            _ if step.version.is_empty() => String::new(),
            _ => format!("/v{}", step.version),
        };
        let request = Request {
            method: &step.method,
            path: &self.fill(&step.path),
            headers: &step.headers,
            body: step.body.as_deref().map(|body| self.fill(body)),
            chunked: step.chunked,
        };
        Ok(Connection::with_version(&self.daemon.socket(), &version).send(&request)?)
    }

    /// Puts values for `$name`, longest names first.
    fn fill(&self, text: &str) -> String {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let text = text.replace("$now", &format!("{}.{:09}", now.as_secs(), now.subsec_nanos()));
        let mut names: Vec<_> = self.variables.iter().collect();
        names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        names.into_iter().fold(text, |text, (name, value)| text.replace(&format!("${name}"), value))
    }
}

fn pick<'v>(value: &'v Value, path: &str) -> &'v Value {
    path.split('.').fold(value, |value, word| match word.parse::<usize>() {
        Ok(index) if value.is_array() => &value[index],
        _ => &value[word],
    })
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
