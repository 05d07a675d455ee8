//! `/containers/{id}/stats`.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use engine::{ContainerStats, StatsReader};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use crate::body::ResponseBody;
use crate::call::Call;
use crate::encode;
use crate::failure::Failure;
use crate::respond::{self, Outcome};

/// Between two readings.
const PERIOD: Duration = Duration::from_secs(1);

/// One reading a second until the client leaves or the container is gone; or a single one, which comes after a
/// first one a second earlier, unless `one-shot` does without.
pub(crate) async fn stats(call: Call) -> Outcome {
    let stream = call.query.flag_or("stream", true);
    let one_shot = call.since(41) && call.query.flag("one-shot");
    if stream && one_shot {
        return Err(Failure::invalid("cannot have stream=true and one-shot=true"));
    }
    let mut reader = call.engine.stats(&call.name)?;
    if stream {
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(send_all(reader, sender));
        return Ok(respond::stream("application/json", ResponseBody::Stream(receiver)));
    }
    let gone = || Failure::from(engine::Error::NoSuchContainer(call.name.clone()));
    let first = reader.next().await?.ok_or_else(gone)?;
    if one_shot || first.current.is_none() {
        return respond::ok(&encode::stats(&first));
    }
    sleep(PERIOD).await;
    let second = reader.next().await?.ok_or_else(gone)?;
    respond::ok(&encode::stats(&second))
}

async fn send_all(mut reader: StatsReader, sender: mpsc::Sender<Bytes>) {
    let mut ticks = interval_at(Instant::now(), PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut gone = pin!(reader.gone());
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            // At once, not at the next reading: clients take the end of the stream for the end of the container.
            () = &mut gone => return,
            () = sender.closed() => return,
        }
        match reader.next().await {
            Ok(Some(stats)) => {
                if sender.send(line(&stats)).await.is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "stats end early");
                return;
            }
        }
    }
}

fn line(stats: &ContainerStats) -> Bytes {
    let mut text = serde_json::to_vec(&encode::stats(stats)).unwrap_or_default();
    text.push(b'\n');
    text.into()
}
