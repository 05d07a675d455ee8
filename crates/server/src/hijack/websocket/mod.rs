//! Attaching over a websocket (RFC 6455): `GET /containers/{id}/attach/ws`.
//!
//! | direction | frames |
//! | --- | --- |
//! | client to us | data frames, fragmented or not, are stdin; a ping is answered; close ends the session |
//! | we to the client | each piece of output is one binary frame (text before API 1.28), stdout and stderr without headers; close when the process has ended |

mod frame;

use std::time::Duration;

use api::ApiVersion;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use bytes::Bytes;
use hyper::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::upgrade::OnUpgrade;
use hyper::{Response, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::unix::OwnedReadHalf;
use tokio::sync::mpsc;

use self::frame::{CloseCode, Decoder, Event, Opcode};
use super::copy::{BUFFER, Input};
use super::{Scanner, Session};
use crate::body::ResponseBody;
use crate::call::Call;
use crate::failure::Failure;
use crate::respond::{self, Outcome};

/// Section 1.3: what makes the answer prove that the request was understood.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// How long a client may take to answer our close.
const FAREWELL: Duration = Duration::from_secs(2);
/// Frames in flight.
const IN_FLIGHT: usize = 4;

/// A request that can become a websocket.
#[derive(Debug)]
pub struct Handshake {
    accept: HeaderValue,
    protocol: Option<HeaderValue>,
    opcode: Opcode,
    upgrade: OnUpgrade,
}

// === impl Handshake ===

impl Handshake {
    /// Reads the client's half (section 4.2.1).
    ///
    /// # Errors
    /// 400 for a request that is none.
    pub fn read(call: &mut Call) -> Result<Self, Failure> {
        let headers = &call.headers;
        if !has_word(headers, UPGRADE, "websocket") || !has_word(headers, CONNECTION, "upgrade") {
            return Err(Failure::invalid("not websocket protocol"));
        }
        if call.header(SEC_WEBSOCKET_VERSION) != "13" {
            return Err(Failure::invalid("missing or bad WebSocket Version"));
        }
        let key = call.header(SEC_WEBSOCKET_KEY);
        let decoded = base64::engine::general_purpose::STANDARD.decode(key);
        if decoded.map_or(0, |bytes| bytes.len()) != 16 {
            return Err(Failure::invalid("challenge/response mismatch"));
        }
        let accept =
            HeaderValue::from_str(&accept(key)).map_err(|_| Failure::invalid("challenge/response mismatch"))?;
        let protocol = call.header(SEC_WEBSOCKET_PROTOCOL).split(',').next().unwrap_or_default().trim();
        let protocol = HeaderValue::from_str(protocol).ok().filter(|protocol| !protocol.is_empty());
        let opcode = if call.version < ApiVersion(28) { Opcode::Text } else { Opcode::Binary };
        let upgrade = call.upgrade.take().ok_or_else(|| Failure::invalid("not websocket protocol"))?;
        Ok(Self { accept, protocol, opcode, upgrade })
    }

    /// Answers with our half and serves the session.
    ///
    /// # Errors
    /// Never; the type is that of the handlers.
    pub fn answer(self, session: Session) -> Outcome {
        let mut response: Response<ResponseBody> = respond::empty(StatusCode::SWITCHING_PROTOCOLS);
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.accept);
        self.protocol.map(|protocol| headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol));
        tokio::spawn(run(self.upgrade, session, self.opcode));
        Ok(response)
    }
}

fn has_word(headers: &HeaderMap, name: HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|value| value.trim().eq_ignore_ascii_case(word))
}

fn accept(key: &str) -> String {
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes());
    base64::engine::general_purpose::STANDARD.encode(hash)
}

async fn run(upgrade: OnUpgrade, session: Session, opcode: Opcode) {
    if let Some((socket, early, _place)) = super::taken_over(upgrade).await {
        let (reader, writer) = tokio::io::split(socket);
        serve(reader, writer, early, session, opcode).await;
    }
}

/// Three loops, so that none waits for another: a process that writes before it reads must not stop.
async fn serve(
    mut reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
    early: Bytes,
    session: Session,
    opcode: Opcode,
) {
    let (from_process, to_process) = session.io.into_split();
    let scanner = session.detach_keys.filter(|_| session.tty).map(Scanner::new);
    let (frames, mut outgoing) = mpsc::channel::<Vec<u8>>(IN_FLIGHT);
    let reader = &mut reader;
    let exchange = async move {
        let input = Input::new(to_process, scanner);
        let (code, client_closed) = tokio::select! {
            () = send_output(from_process, session.tty, opcode, &frames) => (CloseCode::Normal, false),
            ended = receive_input(&mut *reader, &early, input, &frames) => ended,
        };
        // The client may be gone.
        let _ = frames.send(frame::close(code)).await;
        drop(frames);
        if !client_closed {
            let mut rest = [0; 1024];
            let farewell = async { while reader.read(&mut rest).await.is_ok_and(|count| count > 0) {} };
            let _ = tokio::time::timeout(FAREWELL, farewell).await;
        }
    };
    let write = async {
        while let Some(frame) = outgoing.recv().await {
            if writer.write_all(&frame).await.is_err() {
                return;
            }
        }
        let _ = writer.shutdown().await;
    };
    tokio::join!(exchange, write);
}

async fn send_output(mut from_process: OwnedReadHalf, tty: bool, opcode: Opcode, frames: &mpsc::Sender<Vec<u8>>) {
    let mut payload = Payload::default();
    let mut buffer = vec![0; BUFFER];
    while let Ok(count @ 1..) = from_process.read(&mut buffer).await {
        let piece = &buffer[..count];
        let bytes = if tty { piece.to_vec() } else { payload.of(piece) };
        if !bytes.is_empty() && frames.send(frame::encode(opcode, &bytes)).await.is_err() {
            return;
        }
    }
}

/// Why it ended, and whether the client has said that it ends.
async fn receive_input(
    reader: &mut (impl AsyncRead + Unpin),
    early: &[u8],
    mut input: Input,
    frames: &mpsc::Sender<Vec<u8>>,
) -> (CloseCode, bool) {
    let mut decoder = Decoder::default();
    let mut buffer = vec![0; BUFFER];
    let mut bytes = early;
    loop {
        let Ok(events) = decoder.feed(bytes) else { return (CloseCode::ProtocolError, false) };
        for event in events {
            match event {
                // What the process takes no more is dropped; its output goes on.
                Event::Data(bytes) => {
                    if input.pass(&bytes).await == Some(super::copy::InputEnd::Detached) {
                        return (CloseCode::Normal, false);
                    }
                }
                Event::Ping(payload) => {
                    if frames.send(frame::encode(Opcode::Pong, &payload)).await.is_err() {
                        return (CloseCode::Normal, true);
                    }
                }
                Event::Close => return (CloseCode::Normal, true),
            }
        }
        bytes = match reader.read(&mut buffer).await {
            Ok(count @ 1..) => &buffer[..count],
            _ => return (CloseCode::Normal, true),
        };
    }
}

/// Takes Docker's frame headers out of a stream.
#[derive(Debug, Default)]
struct Payload {
    head: Vec<u8>,
    left: usize,
}

impl Payload {
    fn of(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        let mut payload = Vec::with_capacity(bytes.len());
        while !bytes.is_empty() {
            if self.left == 0 {
                let (part, rest) = bytes.split_at(bytes.len().min(8 - self.head.len()));
                self.head.extend_from_slice(part);
                bytes = rest;
                if let [_, _, _, _, length @ ..] = &self.head[..]
                    && self.head.len() == 8
                {
                    self.left = length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
                    self.head.clear();
                }
                continue;
            }
            let (part, rest) = bytes.split_at(bytes.len().min(self.left));
            payload.extend_from_slice(part);
            self.left -= part.len();
            bytes = rest;
        }
        payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_header_is_the_one_of_the_specification() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn payloads_come_without_headers_in_any_pieces() {
        let stream = b"\x01\0\0\0\0\0\0\x02ab\x02\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\x03cde";
        for piece in [1, 3, 9, stream.len()] {
            let mut payload = Payload::default();
            let whole: Vec<u8> = stream.chunks(piece).flat_map(|piece| payload.of(piece)).collect();
            assert_eq!(whole, b"abcde", "{piece}");
        }
    }
}
