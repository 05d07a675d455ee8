//! Request and response bodies.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use engine::{LogStream, Relay};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::mpsc;

/// What we answer with: nothing, one piece, or a stream of pieces passed through as they come.
#[derive(Debug)]
pub enum ResponseBody {
    /// One piece; empty for no body.
    Full(Option<Bytes>),
    /// Pieces until the channel closes.
    Stream(mpsc::Receiver<Bytes>),
    /// The same, which may fail: the client sees the connection break off then.
    Checked(mpsc::Receiver<io::Result<Bytes>>),
    /// The same of an attached container. The body goes when all of it has been taken, and the relay with it.
    Attached(mpsc::Receiver<Bytes>, Option<Relay>),
    /// A container's log; reading it ends with the body.
    Log(LogStream),
}

impl ResponseBody {
    /// A body of known length.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::Full((!bytes.is_empty()).then_some(bytes))
    }

    /// No body.
    #[must_use]
    pub fn empty() -> Self {
        Self::Full(None)
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(pieces) | Self::Attached(pieces, _) => {
                pieces.poll_recv(context).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
            }
            Self::Checked(pieces) => pieces.poll_recv(context).map(|piece| piece.map(|bytes| bytes.map(Frame::data))),
            Self::Log(log) => log.chunks.poll_recv(context).map(|chunk| match chunk? {
                Ok(bytes) => Some(Ok(Frame::data(bytes))),
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "a log could not be read to its end");
                    None
                }
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Full(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Stream(_) | Self::Checked(_) | Self::Attached(..) | Self::Log(_) => SizeHint::default(),
        }
    }
}

/// What a client sends. Tests have it in one piece.
#[derive(Debug)]
pub enum RequestBody {
    /// From a connection.
    Incoming(Incoming),
    /// From memory.
    Full(Bytes),
}

impl RequestBody {
    /// Whether it is known that nothing comes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Incoming(body) => body.is_end_stream(),
            Self::Full(bytes) => bytes.is_empty(),
        }
    }

    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes, hyper::Error>> {
        match self {
            Self::Full(bytes) => {
                Some(Ok(std::mem::take(bytes))).filter(|piece| piece.as_ref().is_ok_and(|b| !b.is_empty()))
            }
            Self::Incoming(body) => loop {
                match body.frame().await? {
                    Err(error) => return Some(Err(error)),
                    Ok(frame) => {
                        if let Ok(bytes) = frame.into_data() {
                            return Some(Ok(bytes));
                        }
                    }
                }
            },
        }
    }
}
