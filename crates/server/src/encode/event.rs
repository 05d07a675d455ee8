//! One event.

use api::event::{Actor, Message};
use engine::model::{Event, EventKind};

/// Encodes a line of `GET /events`.
#[must_use]
pub fn event(event: &Event) -> Message {
    let old = matches!(event.kind, EventKind::Container | EventKind::Image);
    let only_old = |text: &str| if old { text.to_owned() } else { String::new() };
    let image = event.attributes.get("image").filter(|_| event.kind == EventKind::Container);
    Message {
        status: only_old(&event.action),
        id: only_old(&event.actor),
        from: image.cloned().unwrap_or_default(),
        kind: event.kind.word().to_owned(),
        action: event.action.clone(),
        actor: Actor { id: event.actor.clone(), attributes: event.attributes.clone() },
        scope: "local".to_owned(),
        time: event.at.as_second(),
        time_nano: i64::try_from(event.at.as_nanosecond()).unwrap_or(i64::MAX),
    }
}
