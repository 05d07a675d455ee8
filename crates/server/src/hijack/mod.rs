//! Taking a connection over: attach and exec turn an HTTP exchange into a raw byte stream in both directions.
//!
//! | request says | we answer | then |
//! | --- | --- | --- |
//! | `Upgrade: tcp` | `101 UPGRADED` | bytes on the connection itself, half-closed by either side |
//! | nothing | `200 OK` | output as the response body, input from the request body |

mod copy;
mod detach;
mod socket;
mod websocket;

use api::ApiVersion;
use bytes::Bytes;
use hyper::ext::ReasonPhrase;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, UPGRADE};
use hyper::upgrade::OnUpgrade;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::body::{RequestBody, ResponseBody};
use crate::call::Call;
use crate::respond;
use crate::tolerant::Tolerant;

pub use detach::{DetachKeys, Scanner};
pub use socket::Socket;
pub use websocket::Handshake;

/// What is spoken once the connection is taken over.
#[derive(Debug)]
pub struct Session {
    /// The process's side; output arrives on it framed already, its write half is stdin.
    pub io: UnixStream,
    /// Whether the output is a terminal's, hence without frames.
    pub tty: bool,
    /// Keys that end the session without ending the process; `None` when none do.
    pub detach_keys: Option<DetachKeys>,
    /// Dropped when all output is on its way to the client.
    pub relay: Option<engine::Relay>,
}

const RAW: &str = "application/vnd.docker.raw-stream";
const MULTIPLEXED: &str = "application/vnd.docker.multiplexed-stream";

/// The content type of an output stream.
#[must_use]
pub fn content_type(tty: bool, version: ApiVersion) -> &'static str {
    if !tty && version >= ApiVersion(42) { MULTIPLEXED } else { RAW }
}

/// Answers with the session's stream. The request's body must have been read where it carries JSON.
#[must_use]
pub fn answer(call: Call, session: Session) -> Response<ResponseBody> {
    let content_type = content_type(session.tty, call.version);
    let wants_upgrade = call.headers.contains_key(UPGRADE);
    match call.upgrade {
        Some(upgrade) if wants_upgrade => {
            tokio::spawn(run(upgrade, session));
            switching_protocols(content_type)
        }
        _ => without_upgrade(call.body, session, content_type),
    }
}

fn switching_protocols(content_type: &'static str) -> Response<ResponseBody> {
    let mut response = respond::empty(StatusCode::SWITCHING_PROTOCOLS);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("tcp"));
    response.extensions_mut().insert(ReasonPhrase::from_static(b"UPGRADED"));
    response
}

async fn run(upgrade: OnUpgrade, session: Session) {
    if let Some((socket, early, _place)) = taken_over(upgrade).await {
        copy::both_ways(socket, early, session).await;
    }
}

/// The connection itself, what the client sent right behind its request, and the connection's place among those that
/// may be open.
async fn taken_over(upgrade: OnUpgrade) -> Option<(Socket, Bytes, OwnedSemaphorePermit)> {
    let upgraded = match upgrade.await {
        Ok(upgraded) => upgraded,
        // The client left between its request and our answer; the process's side closes with the session.
        Err(error) => {
            tracing::debug!(%error, "connection was not upgraded");
            return None;
        }
    };
    match upgraded.downcast::<TokioIo<Tolerant>>() {
        Ok(parts) => {
            let (socket, place) = parts.io.into_inner().into_socket();
            Some((socket, parts.read_buf, place))
        }
        Err(_) => {
            tracing::error!("an upgraded connection is not one of ours");
            None
        }
    }
}

fn without_upgrade(body: RequestBody, mut session: Session, content_type: &'static str) -> Response<ResponseBody> {
    let (sender, receiver) = mpsc::channel::<Bytes>(16);
    let relay = session.relay.take();
    tokio::spawn(copy::through_bodies(body, sender, session));
    respond::stream(content_type, ResponseBody::Attached(receiver, relay))
}
