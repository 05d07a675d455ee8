//! What happened lately and what happens now: a bounded history, and a channel to whoever listens.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::broadcast;

use crate::model::Event;

/// Events kept for `docker events --since`.
const HISTORY: usize = 256;
/// Events a slow listener may fall behind before it loses the oldest ones.
const BACKLOG: usize = 1024;

/// The daemon's event bus.
#[derive(Debug)]
pub struct Bus {
    history: Mutex<VecDeque<Arc<Event>>>,
    sender: broadcast::Sender<Arc<Event>>,
}

/// The past and the future of the bus, without a gap and without a repetition between them.
#[derive(Debug)]
pub struct Subscription {
    /// Events since the moment asked for, oldest first.
    pub past: Vec<Arc<Event>>,
    /// Everything after those.
    pub live: broadcast::Receiver<Arc<Event>>,
}

impl Default for Bus {
    fn default() -> Self {
        Self { history: Mutex::default(), sender: broadcast::Sender::new(BACKLOG) }
    }
}

impl Bus {
    /// Tells everybody.
    pub fn publish(&self, event: Event) {
        let event = Arc::new(event);
        let mut history = self.lock();
        if history.len() == HISTORY {
            history.pop_front();
        }
        history.push_back(Arc::clone(&event));
        // Sending fails only when nobody listens. The lock is held so that a subscriber sees each event once.
        let _ = self.sender.send(event);
    }

    /// Listens from now on, and looks back to `since` as far as the history reaches.
    #[must_use]
    pub fn subscribe(&self, since: Option<Timestamp>) -> Subscription {
        let history = self.lock();
        let past = match since {
            Some(since) => history.iter().filter(|event| event.at >= since).cloned().collect(),
            None => Vec::new(),
        };
        Subscription { past, live: self.sender.subscribe() }
    }

    /// How many are listening.
    #[must_use]
    pub fn listeners(&self) -> usize {
        self.sender.receiver_count()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Event>>> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EventKind;

    fn event(number: i64) -> Event {
        Event {
            kind: EventKind::Container,
            action: "start".to_owned(),
            actor: number.to_string(),
            attributes: std::collections::BTreeMap::new(),
            at: Timestamp::from_second(number).expect("in range"),
        }
    }

    #[test]
    fn history_is_bounded_and_past_meets_live_without_gap() {
        let bus = Bus::default();
        (0..300).for_each(|number| bus.publish(event(number)));
        let mut subscription = bus.subscribe(Some(Timestamp::UNIX_EPOCH));
        assert_eq!(subscription.past.len(), HISTORY);
        assert_eq!(subscription.past[0].actor, "44");
        bus.publish(event(300));
        assert_eq!(subscription.live.try_recv().map(|event| event.actor.clone()), Ok("300".to_owned()));
        assert!(bus.subscribe(None).past.is_empty());
        assert_eq!(bus.subscribe(Some(Timestamp::from_second(299).expect("in range"))).past.len(), 2);
    }
}
