//! What is removed, would be removed, or stays.

use crate::model::EventKind;

/// A kind of things that can be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ThingKind {
    /// A container.
    Container,
    /// A network.
    Network,
    /// A volume.
    Volume,
    /// An image, or names of it.
    Image,
    /// What has arrived of a blob whose download broke.
    Download,
}

/// Something that is removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thing {
    /// What kind.
    pub kind: ThingKind,
    /// Full id; of a volume its name.
    pub id: String,
    /// Its names; of an image those that it loses.
    pub names: Vec<String>,
    /// Bytes that this frees, as the kind's own operations count them; `None` where they do not.
    pub bytes: Option<u64>,
}

/// Something that stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// What.
    pub thing: Thing,
    /// Why.
    pub reason: String,
    /// It is not there.
    pub missing: bool,
}

/// What goes and what stays, each in the order of being dealt with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removals {
    /// What goes.
    pub things: Vec<Thing>,
    /// What stays although it was meant.
    pub kept: Vec<Kept>,
}

// === impl ThingKind ===

impl ThingKind {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Network => "network",
            Self::Volume => "volume",
            Self::Image => "image",
            Self::Download => "download",
        }
    }

    /// The kind of a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Container, Self::Network, Self::Volume, Self::Image, Self::Download]
            .into_iter()
            .find(|kind| kind.word() == word)
    }

    fn event(self) -> EventKind {
        match self {
            Self::Container => EventKind::Container,
            Self::Network => EventKind::Network,
            Self::Volume => EventKind::Volume,
            Self::Image | Self::Download => EventKind::Image,
        }
    }
}

// === impl Thing ===

impl Thing {
    fn is(&self, other: &Self) -> bool {
        (self.kind, &self.id) == (other.kind, &other.id)
    }

    pub(super) fn kept(self, reason: impl Into<String>) -> Kept {
        Kept { thing: self, reason: reason.into(), missing: false }
    }
}

// === impl Removals ===

impl Removals {
    /// Bytes of all that goes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.things.iter().filter_map(|thing| thing.bytes).sum()
    }

    pub(super) fn bytes_of(&self, kind: EventKind) -> u64 {
        self.things.iter().filter(|thing| thing.kind.event() == kind).filter_map(|thing| thing.bytes).sum()
    }

    pub(super) fn append(&mut self, other: Self) {
        self.things.extend(other.things);
        self.kept.extend(other.kept);
    }

    /// What of it was listed to somebody; the rest of the list stays, each with the reason.
    pub(super) fn only(self, listed: &[Thing]) -> Self {
        let mut result = Self::default();
        for mut thing in self.things {
            let Some(seen) = listed.iter().find(|seen| seen.is(&thing)) else { continue };
            let names = std::mem::take(&mut thing.names);
            let had = names.len();
            thing.names = names.into_iter().filter(|name| seen.names.contains(name)).collect();
            if had > 0 && thing.names.is_empty() {
                result.kept.push(thing.kept("it got another name meanwhile"));
            } else {
                result.things.push(thing);
            }
        }
        for seen in listed {
            let known = result.things.iter().chain(result.kept.iter().map(|kept| &kept.thing)).any(|one| one.is(seen));
            if known {
                continue;
            }
            let used = self.kept.iter().find(|kept| kept.thing.is(seen));
            let reason = used.map_or("it is gone, or was changed meanwhile", |kept| kept.reason.as_str());
            result.kept.push(Kept { thing: seen.clone(), reason: reason.to_owned(), missing: used.is_none() });
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thing(kind: ThingKind, id: &str, names: &[&str]) -> Thing {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        Thing { kind, id: id.to_owned(), names, bytes: Some(10) }
    }

    #[test]
    fn nothing_goes_that_was_not_listed() {
        use ThingKind::{Container, Image, Volume};
        let plan = Removals {
            things: vec![
                thing(Container, "new", &["new"]),
                thing(Container, "old", &["old"]),
                thing(Image, "a", &["a:1", "a:2"]),
                thing(Image, "b", &["b:1"]),
                thing(Image, "c", &[]),
            ],
            kept: vec![thing(Volume, "v", &["v"]).kept("used by web")],
        };
        let listed = [
            thing(Container, "old", &["old"]),
            thing(Container, "gone", &["gone"]),
            thing(Image, "a", &["a:1"]),
            thing(Image, "b", &[]),
            thing(Image, "c", &[]),
            thing(Volume, "v", &["v"]),
        ];
        let plan = plan.only(&listed);
        let gone: Vec<_> = plan.things.iter().map(|thing| (thing.id.as_str(), thing.names.len())).collect();
        assert_eq!(gone, [("old", 1), ("a", 1), ("c", 0)]);
        let kept: Vec<_> = plan.kept.iter().map(|kept| (kept.thing.id.as_str(), kept.reason.as_str())).collect();
        assert_eq!(
            kept,
            [
                ("b", "it got another name meanwhile"),
                ("gone", "it is gone, or was changed meanwhile"),
                ("v", "used by web")
            ]
        );
    }
}
