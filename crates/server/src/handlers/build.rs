//! `POST /build`.

use bytes::Bytes;
use engine::{BuildContext, BuildEvent, BuildSteps};
use hyper::header::HeaderName;
use tokio::sync::mpsc;

use super::images::reader;
use crate::body::ResponseBody;
use crate::call::Call;
use crate::peer::Peer;
use crate::respond::{self, Outcome};
use crate::{decode, encode};

/// Credentials by registry.
const REGISTRY_CONFIG: HeaderName = HeaderName::from_static("x-registry-config");

pub(crate) async fn build(mut call: Call) -> Outcome {
    let context = BuildContext::Archive(Box::new(reader(&mut call)));
    let request = decode::build(&call.query, call.version, call.header(REGISTRY_CONFIG), context)?;
    let quiet = call.query.flag("q");
    let peer = call.peer.take();
    let steps = tokio::select! {
        steps = call.engine.build(request) => steps?,
        () = left(peer.as_ref()) => return Ok(respond::empty(hyper::StatusCode::OK)),
    };
    let (sender, receiver) = mpsc::channel::<Bytes>(64);
    tokio::spawn(async move {
        // What is dropped here calls the build off.
        tokio::select! {
            () = pass_on(steps, quiet, &sender) => {}
            () = left(peer.as_ref()) => {}
            () = sender.closed() => {}
        }
    });
    Ok(respond::stream("application/json", ResponseBody::Stream(receiver)))
}

/// For ever when nobody can be watched.
async fn left(peer: Option<&Peer>) {
    match peer {
        Some(peer) => peer.left().await,
        None => std::future::pending().await,
    }
}

/// A quiet build tells its image, or all it would have told when it fails.
async fn pass_on(mut steps: BuildSteps, quiet: bool, sender: &mpsc::Sender<Bytes>) {
    let mut held = Vec::new();
    while let Some(step) = steps.recv().await {
        let lines = match step {
            Ok(BuildEvent::Built(image)) if quiet => encode::built_quietly(&image.to_string()),
            Ok(BuildEvent::Tagged(_)) if quiet => continue,
            Ok(event) if quiet => {
                held.push(encode::build_event(event));
                continue;
            }
            Ok(event) => encode::build_event(event),
            Err(error) => [held.concat().into(), encode::build_failed(error)].concat().into(),
        };
        if sender.send(lines).await.is_err() {
            return;
        }
    }
}
