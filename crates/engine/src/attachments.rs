//! Pure: which networks a container is on, in which order, by which names, and which of them leads to the outside.

use std::collections::BTreeMap;

use types::ContainerId;

use crate::container::Status;
use crate::model::{ContainerSpec, EndpointRequest, NetworkMode};

/// What a container wants of its networks, by name.
pub(crate) type Attachments = BTreeMap<String, EndpointRequest>;

/// The networks a container is on now: as created, or as `connect` and `disconnect` have left them.
pub(crate) fn of(spec: &ContainerSpec, status: &Status) -> Attachments {
    match &status.attachments {
        Some(changed) => changed.clone(),
        None => as_created(spec),
    }
}

/// The networks of a container that was never connected to another one.
fn as_created(spec: &ContainerSpec) -> Attachments {
    let Some(main) = main(&spec.host.network_mode).filter(|_| !spec.config.network_disabled) else {
        return Attachments::new();
    };
    if spec.endpoints.is_empty() || matches!(spec.host.network_mode, NetworkMode::Host | NetworkMode::None) {
        let request = spec.endpoints.get(main).cloned().unwrap_or_default();
        return Attachments::from([(main.to_owned(), request)]);
    }
    spec.endpoints.clone()
}

/// The network that the mode names; none when another container's is shared.
pub(crate) fn main(mode: &NetworkMode) -> Option<&str> {
    match mode {
        NetworkMode::Bridge => Some("bridge"),
        NetworkMode::None => Some("none"),
        NetworkMode::Host => Some("host"),
        NetworkMode::Named(name) => Some(name),
        NetworkMode::Container(_) => None,
    }
}

/// In the order of attachment: the network of the mode first, the others by name.
pub(crate) fn ordered(attachments: &Attachments, mode: &NetworkMode) -> Vec<(String, EndpointRequest)> {
    let mut all: Vec<_> = attachments.iter().map(|(name, request)| (name.clone(), request.clone())).collect();
    // The sort is stable.
    all.sort_by_key(|(name, _)| Some(name.as_str()) != main(mode));
    all
}

/// The names that a network's name server answers for: the container's, its aliases, its short id, its host name.
pub(crate) fn names(spec: &ContainerSpec, name: &str, request: &EndpointRequest) -> Vec<String> {
    let mut names = vec![name.to_owned()];
    let more = request.aliases.iter().map(String::as_str).chain([spec.id.short(), spec.config.hostname.as_str()]);
    for more in more.filter(|more| !more.is_empty()) {
        if !names.iter().any(|known| known == more) {
            names.push(more.to_owned());
        }
    }
    names
}

/// A network that may lead to the outside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    /// Name.
    pub name: &'a str,
    /// What the user said.
    pub priority: i64,
    /// It leads nowhere.
    pub internal: bool,
}

/// The way to the outside: the highest priority, and then, as in Docker, the first name.
pub(crate) fn way_out<'a>(candidates: impl Iterator<Item = Candidate<'a>>) -> Option<&'a str> {
    let outside = candidates.filter(|candidate| !candidate.internal);
    outside.min_by_key(|candidate| (std::cmp::Reverse(candidate.priority), candidate.name)).map(|chosen| chosen.name)
}

/// A link on the default bridge: another container under a name of this one's choice.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Link {
    /// The other container.
    pub target: ContainerId,
    /// Its name here.
    pub alias: String,
}

/// `name[:alias]`, with the slashes that `inspect` writes.
pub(crate) fn link_words(text: &str) -> (&str, &str) {
    let (name, alias) = text.split_once(':').unwrap_or((text, text));
    let last = |word: &str| word.rfind('/').map_or(0, |at| at + 1);
    (name.trim_start_matches('/'), &alias[last(alias)..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_out_has_the_highest_priority_or_the_first_name() {
        let candidate = |name, priority, internal| Candidate { name, priority, internal };
        let out = |all: &[Candidate<'static>]| way_out(all.iter().copied());
        assert_eq!(out(&[candidate("b", 0, false), candidate("a", 0, false)]), Some("a"));
        assert_eq!(out(&[candidate("b", 1, false), candidate("a", 0, false)]), Some("b"));
        assert_eq!(out(&[candidate("b", 0, false), candidate("a", 9, true)]), Some("b"));
        assert_eq!(out(&[candidate("a", 0, true)]), None);
    }

    #[test]
    fn links_are_read_in_all_their_forms() {
        assert_eq!(link_words("db"), ("db", "db"));
        assert_eq!(link_words("db:data"), ("db", "data"));
        assert_eq!(link_words("/db:/web/data"), ("db", "data"));
    }
}
