//! The filters of `events`. Semantics: Docker's `daemon/events`.

use super::{Filters, InvalidFilter, any, check_keys, label, labels_match};
use crate::model::Event;

const KEYS: [&str; 14] = [
    "config",
    "container",
    "daemon",
    "event",
    "image",
    "label",
    "network",
    "node",
    "plugin",
    "scope",
    "secret",
    "service",
    "type",
    "volume",
];

/// The filters of `events`, checked.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    filters: Filters,
    labels: Vec<(String, Option<String>)>,
}

impl EventFilter {
    /// Checks every key.
    ///
    /// # Errors
    /// [`InvalidFilter`].
    pub fn parse(mut filters: Filters) -> Result<Self, InvalidFilter> {
        check_keys(&filters, &KEYS)?;
        let labels = filters.remove("label").unwrap_or_default();
        Ok(Self { filters, labels: labels.iter().map(|text| label(text)).collect() })
    }

    /// Whether the event passes.
    #[must_use]
    pub fn matches(&self, event: &Event) -> bool {
        let attribute = |key: &str| event.attributes.get(key).map(String::as_str);
        let name = attribute("name").unwrap_or_default();
        let begins = |wanted: &String| event.actor.starts_with(wanted.as_str()) || name.starts_with(wanted.as_str());
        let subjects = ["container", "daemon", "network", "node", "plugin", "secret", "config", "service", "volume"];
        // `exec_create: sh` is found as `exec_create`.
        let action = event.action.split(':').next().unwrap_or_default();
        any(self.values("event"), |wanted| *wanted == event.action || wanted == action)
            && any(self.values("type"), |wanted| wanted == event.kind.word())
            && any(self.values("scope"), |wanted| wanted == "local")
            && subjects.iter().all(|subject| any(self.values(subject), begins))
            && any(self.values("image"), |wanted| matches_image(wanted, event))
            && labels_match(&self.labels, attribute)
    }

    fn values(&self, key: &str) -> &[String] {
        self.filters.get(key).map_or(&[], Vec::as_slice)
    }
}

/// By id, by name, and by name without its tag; for a container, the name of its image.
fn matches_image(wanted: &str, event: &Event) -> bool {
    let key = if event.kind == crate::model::EventKind::Image { "name" } else { "image" };
    let name = event.attributes.get(key).map(String::as_str).unwrap_or_default();
    let untagged = name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(name, |(name, _)| name);
    wanted == event.actor || wanted == name || wanted == untagged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EventKind;

    #[test]
    fn events_are_chosen_by_action_kind_subject_image_and_label() {
        let event = Event {
            kind: EventKind::Container,
            action: "exec_create: sh".to_owned(),
            actor: "abc123".to_owned(),
            attributes: [("name", "web"), ("image", "nginx:1.27"), ("tier", "front")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            at: jiff::Timestamp::UNIX_EPOCH,
        };
        let passes = |pairs: &[(&str, &str)]| {
            let mut filters = Filters::new();
            for (key, value) in pairs {
                filters.entry((*key).to_owned()).or_default().push((*value).to_owned());
            }
            EventFilter::parse(filters).map(|filter| filter.matches(&event))
        };
        assert_eq!(passes(&[]), Ok(true));
        assert_eq!(passes(&[("event", "exec_create"), ("type", "container"), ("container", "we")]), Ok(true));
        assert_eq!(passes(&[("image", "nginx"), ("label", "tier=front")]), Ok(true));
        assert_eq!(passes(&[("event", "die"), ("event", "start")]), Ok(false));
        assert_eq!(passes(&[("label", "tier"), ("label", "other")]), Ok(false));
        assert_eq!(passes(&[("nonsense", "x")]), Err(InvalidFilter::Key("nonsense".to_owned())));
    }
}
