//! `POST /containers/{id}/attach`.

use engine::AttachRequest;

use crate::call::Call;
use crate::hijack::{self, DetachKeys, Session};
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
    let session = Session { io: attached.io, tty: attached.tty, detach_keys: reads_input.then_some(detach_keys) };
    Ok(hijack::answer(call, session))
}
