//! `POST /containers/{id}/attach` and the same over a websocket.

use engine::AttachRequest;

use crate::call::Call;
use crate::hijack::{self, DetachKeys, Handshake, Session};
use crate::respond::Outcome;

pub(crate) async fn attach(call: Call) -> Outcome {
    let detach_keys = DetachKeys::parse(call.query.text("detachKeys").unwrap_or_default())?;
    let request = AttachRequest {
        stream: call.query.flag("stream"),
        stdin: call.query.flag("stdin"),
        stdout: call.query.flag("stdout"),
        stderr: call.query.flag("stderr"),
        logs: call.query.flag("logs"),
    };
    let reads_input = request.stdin;
    let attached = call.engine.attach(&call.name, request).await?;
    let detach_keys = reads_input.then_some(detach_keys);
    let session = Session { io: attached.io, tty: attached.tty, detach_keys, relay: attached.relay };
    Ok(hijack::answer(call, session))
}

/// `GET /containers/{id}/attach/ws`. Clients before API 1.42 get all streams.
pub(crate) async fn websocket(mut call: Call) -> Outcome {
    let detach_keys = DetachKeys::parse(call.query.text("detachKeys").unwrap_or_default())?;
    let all = !call.since(42);
    let request = AttachRequest {
        stream: call.query.flag("stream"),
        stdin: all || call.query.flag("stdin"),
        stdout: all || call.query.flag("stdout"),
        stderr: all || call.query.flag("stderr"),
        logs: call.query.flag("logs"),
    };
    // As in Docker, a container that there is not is told before a handshake that is none.
    call.engine.inspect(&call.name, false).await?;
    let handshake = Handshake::read(&mut call)?;
    let attached = call.engine.attach(&call.name, request).await?;
    let detach_keys = request.stdin.then_some(detach_keys);
    handshake.answer(Session { io: attached.io, tty: attached.tty, detach_keys, relay: attached.relay })
}
