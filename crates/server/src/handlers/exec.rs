//! `/exec` and `POST /containers/{id}/exec`.

use std::io::Write as _;

use api::container::{ExecCreateRequest, ExecStartRequest, IdResponse};
use engine::{Error, ExecStart};
use hyper::StatusCode;
use tokio::net::UnixStream;

use super::containers::size;
use crate::call::Call;
use crate::failure::Failure;
use crate::hijack::{self, DetachKeys, Session};
use crate::respond::{self, Outcome};
use crate::{decode, encode};

pub(crate) async fn create(mut call: Call) -> Outcome {
    let request: ExecCreateRequest = call.json_or_default().await?;
    let config = decode::exec_config(request, call.version)?;
    let id = call.engine.exec_create(&call.name, config)?;
    respond::json(StatusCode::CREATED, &IdResponse { id: id.to_string() })
}

pub(crate) async fn start(mut call: Call) -> Outcome {
    let request: ExecStartRequest = call.json_or_default().await?;
    let side = |value: u32| u16::try_from(value).unwrap_or(u16::MAX);
    let console_size = request.console_size.filter(|_| request.tty && call.since(42));
    let options = ExecStart {
        detach: request.detach,
        raw: request.tty,
        console_size: console_size.map(|(rows, columns)| (side(rows), side(columns))),
    };
    let config = call.engine.exec_inspect(&call.name)?.config;
    let detach_keys = DetachKeys::parse(&config.detach_keys)?;
    // What the client says here decides about frames, as in Docker; what the process has was decided before.
    let tty = request.tty;
    let io = match call.engine.exec_start(&call.name, options).await {
        Ok(None) => return Ok(respond::empty(StatusCode::OK)),
        Ok(Some(stream)) => stream.io,
        // A client that asked for a stream reads the reason there, and the code in the inspection.
        Err(error @ (Error::ExecFailed { .. } | Error::Invalid(_))) if !options.detach => {
            said(&error.to_string(), tty)?
        }
        Err(error) => return Err(error.into()),
    };
    Ok(hijack::answer(call, Session { io, tty, detach_keys: config.tty.then_some(detach_keys), relay: None }))
}

/// A stream that says one line on stderr and ends.
fn said(text: &str, tty: bool) -> Result<UnixStream, Failure> {
    let line = format!("{text}\r\n");
    let failed = |error: std::io::Error| Failure::new(types::ErrorKind::System, error.to_string());
    let (mut ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(failed)?;
    if !tty {
        let length = u32::try_from(line.len()).unwrap_or(u32::MAX);
        ours.write_all(&[2, 0, 0, 0]).and_then(|()| ours.write_all(&length.to_be_bytes())).map_err(failed)?;
    }
    // One line fits into the socket's buffer.
    ours.write_all(line.as_bytes()).map_err(failed)?;
    theirs.set_nonblocking(true).map_err(failed)?;
    UnixStream::from_std(theirs).map_err(failed)
}

pub(crate) async fn inspect(call: Call) -> Outcome {
    let details = call.engine.exec_inspect(&call.name)?;
    respond::ok(&encode::exec(&details))
}

pub(crate) async fn resize(call: Call) -> Outcome {
    let (rows, columns) = size(&call)?;
    call.engine.exec_resize(&call.name, rows, columns).await?;
    Ok(respond::empty(StatusCode::OK))
}
