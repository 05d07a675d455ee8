//! The filters of `ps`. Semantics: Docker's `daemon/list`.

use std::collections::BTreeSet;

use jiff::Timestamp;
use regex_lite::Regex;
use types::Digest;

use super::{Filters, InvalidFilter, any, bad, check_keys, label, labels_match, truth};
use crate::model::{ContainerState, ContainerSummary, PortKey, Protocol};

const KEYS: [&str; 15] = [
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "isolation",
    "is-task",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
];
const HEALTH: [&str; 4] = ["none", "starting", "healthy", "unhealthy"];
const STATES: [&str; 7] = ["created", "running", "paused", "restarting", "removing", "exited", "dead"];

/// The filters of `ps`, checked.
#[derive(Debug, Default)]
pub struct ContainerFilter {
    ids: Vec<Regex>,
    names: Vec<Regex>,
    labels: Vec<(String, Option<String>)>,
    states: Vec<String>,
    exit_codes: Vec<i32>,
    health: Vec<String>,
    volumes: Vec<String>,
    networks: Vec<String>,
    published: Vec<PortRange>,
    exposed: Vec<PortRange>,
    is_task: Option<bool>,
    /// Images, each standing for itself and for what was built on it; `None` when not asked for.
    ancestors: Option<BTreeSet<Digest>>,
    before: Option<Timestamp>,
    since: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug)]
struct PortRange {
    first: u16,
    last: u16,
    protocol: Protocol,
}

/// What the names in a filter stand for.
pub trait Lookup {
    /// Its errors.
    type Error: From<InvalidFilter>;
    /// When the named container was created.
    ///
    /// # Errors
    /// When there is no such container.
    fn created(&self, container: &str) -> Result<Timestamp, Self::Error>;
    /// The named image and all that were built on it; empty when there is no such image.
    fn descendants(&self, image: &str) -> BTreeSet<Digest>;
}

impl ContainerFilter {
    /// Checks every key and value.
    ///
    /// # Errors
    /// [`InvalidFilter`], or what `lookup` says about a container that does not exist.
    pub fn parse<L: Lookup>(filters: &Filters, lookup: &L) -> Result<Self, L::Error> {
        check_keys(filters, &KEYS)?;
        let mut parsed = Self::default();
        for (key, value) in filters.iter().flat_map(|(key, values)| values.iter().map(move |value| (key, value))) {
            match key.as_str() {
                "before" => parsed.before = Some(lookup.created(value)?),
                "since" => parsed.since = Some(lookup.created(value)?),
                "ancestor" => parsed.ancestors.get_or_insert_default().extend(lookup.descendants(value)),
                _ => parsed.take(key, value)?,
            }
        }
        Ok(parsed)
    }

    fn take(&mut self, key: &str, value: &str) -> Result<(), InvalidFilter> {
        match key {
            "id" => self.ids.push(pattern("id", value)?),
            "name" => self.names.push(pattern("name", value)?),
            "label" => self.labels.push(label(value)),
            "status" if STATES.contains(&value) => self.states.push(value.to_owned()),
            "status" => return Err(InvalidFilter::Status(value.to_owned())),
            "exited" => self.exit_codes.push(value.parse().map_err(|_| bad("exited", value))?),
            "health" if HEALTH.contains(&value) => self.health.push(value.to_owned()),
            "health" => return Err(InvalidFilter::Health(value.to_owned())),
            "volume" => self.volumes.push(value.to_owned()),
            "network" => self.networks.push(value.to_owned()),
            "publish" => self.published.push(port_range("publish", value)?),
            "expose" => self.exposed.push(port_range("expose", value)?),
            "is-task" => self.is_task = Some(truth("is-task", value)?),
            _ => {}
        }
        Ok(())
    }

    /// Whether stopped containers are meant although `all` was not asked for.
    #[must_use]
    pub fn implies_all(&self) -> bool {
        !self.states.is_empty()
    }

    /// Whether the container passes.
    #[must_use]
    pub fn matches(&self, container: &ContainerSummary) -> bool {
        let health = container.health.as_ref().map_or("none", |health| health.status.word());
        self.matches_identity(container)
            && self.matches_state(&container.state, health)
            && self.matches_surroundings(container)
    }

    fn matches_identity(&self, container: &ContainerSummary) -> bool {
        let spec = &container.spec;
        let slashed = format!("/{}", container.name);
        any(&self.ids, |id| id.is_match(spec.id.as_str()))
            && any(&self.names, |name| name.is_match(&container.name) || name.is_match(&slashed))
            && labels_match(&self.labels, |key| spec.config.labels.get(key).map(String::as_str))
            && self.before.is_none_or(|before| spec.created < before)
            && self.since.is_none_or(|since| spec.created > since)
            && self.ancestors.as_ref().is_none_or(|images| spec.image.is_some_and(|image| images.contains(&image)))
            && self.is_task != Some(true)
    }

    fn matches_state(&self, state: &ContainerState, health: &str) -> bool {
        let exit = state.exit().filter(|exit| exit.started_at.is_some()).map(|exit| exit.code);
        any(&self.states, |wanted| wanted == state.word())
            && any(&self.exit_codes, |code| exit == Some(*code))
            && any(&self.health, |wanted| wanted == health)
    }

    fn matches_surroundings(&self, container: &ContainerSummary) -> bool {
        let spec = &container.spec;
        let on_network = |wanted: &String| {
            container.networks.iter().any(|(name, endpoint)| {
                name == wanted || (!endpoint.network_id.is_empty() && endpoint.network_id.starts_with(wanted.as_str()))
            })
        };
        let mounts = |wanted: &String| {
            spec.mounts.iter().any(|mount| {
                let source = if mount.name.is_empty() { &mount.source } else { &mount.name };
                mount.destination == *wanted || source == wanted
            })
        };
        // By the host's port, as Docker does, hence only while it is published.
        let published = |range: &PortRange| {
            let bound =
                container.ports.iter().flat_map(|(key, bindings)| bindings.iter().map(|(_, port)| (*key, *port)));
            bound.into_iter().any(|(key, port)| range.contains(PortKey { port, ..key }))
        };
        any(&self.networks, on_network)
            && any(&self.volumes, mounts)
            && any(&self.published, published)
            && any(&self.exposed, |range| spec.config.exposed_ports.iter().any(|port| range.contains(*port)))
    }
}

impl PortRange {
    fn contains(self, key: PortKey) -> bool {
        key.protocol == self.protocol && (self.first..=self.last).contains(&key.port)
    }
}

fn pattern(key: &'static str, text: &str) -> Result<Regex, InvalidFilter> {
    Regex::new(text).map_err(|_| bad(key, text))
}

fn port_range(key: &'static str, text: &str) -> Result<PortRange, InvalidFilter> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let number = |port: &str| port.parse::<u16>().map_err(|_| bad(key, text));
    let protocol = match protocol.to_ascii_lowercase().as_str() {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        _ => return Err(bad(key, text)),
    };
    Ok(PortRange { first: number(first)?, last: number(last)?, protocol })
}

#[cfg(test)]
mod tests;
