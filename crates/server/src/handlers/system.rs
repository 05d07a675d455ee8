//! `/_ping`, `/version`, `/info`, `/events`.

use std::sync::Arc;

use bytes::Bytes;
use engine::model::Event;
use engine::{EventFilter, Subscription};
use hyper::header::{CACHE_CONTROL, HeaderName, HeaderValue, PRAGMA};
use jiff::Timestamp;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};

use crate::body::ResponseBody;
use crate::call::Call;
use crate::failure::Failure;
use crate::respond::{self, Outcome};
use crate::{decode, encode};

pub(crate) async fn ping(_: Call) -> Outcome {
    // The HTTP layer leaves the body out of the answer to HEAD.
    let mut response = respond::stream("text/plain; charset=utf-8", ResponseBody::full("OK"));
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store, must-revalidate"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(HeaderName::from_static("builder-version"), HeaderValue::from_static("1"));
    headers.insert(HeaderName::from_static("swarm"), HeaderValue::from_static("inactive"));
    Ok(response)
}

pub(crate) async fn version(call: Call) -> Outcome {
    respond::ok(&encode::version(&call.engine.version().await?))
}

pub(crate) async fn info(call: Call) -> Outcome {
    let info = call.engine.info().await?;
    respond::ok(&encode::info(info, call.version))
}

/// What is over is sent first, then what happens, until `until` or until the client leaves.
pub(crate) async fn events(call: Call) -> Outcome {
    let now = Timestamp::now();
    let since = decode::seconds_and_nanos(call.query.text("since"), now)?;
    let until = decode::seconds_and_nanos(call.query.text("until"), now)?;
    if let (Some(since), Some(until)) = (since, until)
        && since > until
    {
        let word = |key: &str| call.query.text(key).unwrap_or_default();
        let (since, until) = (word("since"), word("until"));
        return Err(Failure::invalid(format!("`since` time ({since}) cannot be after `until` time ({until})")));
    }
    let filter = EventFilter::parse(decode::filters(call.query.text("filters"))?)?;
    let Subscription { past, live } = call.engine.events.subscribe(since);
    let (sender, receiver) = mpsc::channel::<Bytes>(64);
    tokio::spawn(async move {
        let wanted = |event: &Event| filter.matches(event) && until.is_none_or(|until| event.at <= until);
        for event in past.iter().filter(|event| wanted(event)) {
            if sender.send(line(event)).await.is_err() {
                return;
            }
        }
        tokio::select! {
            () = pass_on(live, wanted, &sender) => {}
            () = wait_until(until, now) => {}
            () = sender.closed() => {}
        }
    });
    Ok(respond::stream("application/json", ResponseBody::Stream(receiver)))
}

/// Ends when the client has left.
async fn pass_on(
    mut live: broadcast::Receiver<Arc<Event>>,
    wanted: impl Fn(&Event) -> bool,
    sender: &mpsc::Sender<Bytes>,
) {
    loop {
        match live.recv().await {
            Ok(event) if !wanted(&event) => {}
            Ok(event) => {
                if sender.send(line(&event)).await.is_err() {
                    return;
                }
            }
            Err(RecvError::Lagged(lost)) => tracing::warn!(lost, "a slow client lost events"),
            Err(RecvError::Closed) => return,
        }
    }
}

/// For ever when there is no such time.
async fn wait_until(until: Option<Timestamp>, now: Timestamp) {
    let Some(until) = until else { return std::future::pending().await };
    let left = std::time::Duration::try_from(until.duration_since(now)).unwrap_or_default();
    tokio::time::sleep(left).await;
}

fn line(event: &Event) -> Bytes {
    // An event is texts and numbers; it always encodes.
    let mut text = serde_json::to_vec(&encode::event(event)).unwrap_or_default();
    text.push(b'\n');
    text.into()
}
