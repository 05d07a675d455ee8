//! What happened, for `docker events`.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// A container.
    Container,
    /// An image.
    Image,
    /// A network.
    Network,
    /// A volume.
    Volume,
    /// The daemon itself.
    Daemon,
}

impl EventKind {
    /// The API's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Image => "image",
            Self::Network => "network",
            Self::Volume => "volume",
            Self::Daemon => "daemon",
        }
    }
}

/// One event.
#[derive(Clone, Debug)]
pub struct Event {
    /// What it is about.
    pub kind: EventKind,
    /// What happened (`create`, `start`, `die`, `exec_start: sh`, …).
    pub action: String,
    /// Id of the subject.
    pub actor: String,
    /// Name, image, labels, exit code and the like.
    pub attributes: BTreeMap<String, String>,
    /// When.
    pub at: Timestamp,
}
