//! Requests as people write them.
//!
//! `curl 'http://localhost/containers/json?filters={"status":["exited"]}'` sends its double quotes as they are. RFC 3986
//! wants them encoded and our HTTP library insists; Docker's does not. So they are encoded on their way in.
//!
//! The first head of a connection must be whole [`HEAD_TIME`] after its first byte: a client that sends a letter a
//! minute would otherwise hold the connection for ever. Between requests it may rest as long as it likes.

use std::future::Future as _;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Duration, Sleep, sleep};

use crate::hijack::Socket;

const METHODS: [&[u8]; 5] = [b"GET /", b"POST /", b"DELETE /", b"PUT /", b"HEAD /"];

/// Docker gives a client as long.
const HEAD_TIME: Duration = Duration::from_secs(300);

/// Where in a request the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// An answer was begun, or nothing came yet: a request line may follow.
    Between,
    /// In a request line.
    Line,
    /// Behind it.
    Behind,
}

/// A connection whose request lines may hold double quotes.
#[derive(Debug)]
pub struct Tolerant {
    socket: Socket,
    place: Place,
    /// Read and encoded, but more than the reader had room for.
    pending: Vec<u8>,
    first: FirstHead,
    /// Its place among the connections that may be open.
    place_taken: OwnedSemaphorePermit,
}

/// How far the first head of a connection came.
#[derive(Debug)]
enum FirstHead {
    /// `blank`: its last line is empty so far. `patience` ends the wait for the rest of one that came in pieces.
    Begun {
        blank: bool,
        time: Duration,
        patience: Option<Pin<Box<Sleep>>>,
    },
    Whole,
}

// === impl FirstHead ===

impl FirstHead {
    fn within(time: Duration) -> Self {
        Self::Begun { blank: false, time, patience: None }
    }

    /// Looks for the empty line that ends a head.
    fn read(&mut self, bytes: &[u8]) {
        let Self::Begun { blank, time, patience } = self else { return };
        for byte in bytes {
            match byte {
                b'\n' if *blank => {
                    *self = Self::Whole;
                    return;
                }
                b'\n' => *blank = true,
                b'\r' => {}
                _ => *blank = false,
            }
        }
        if patience.is_none() && !bytes.is_empty() {
            *patience = Some(Box::pin(sleep(*time)));
        }
    }

    /// Whether the client took too long.
    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        match self {
            Self::Begun { patience: Some(patience), .. } => patience.as_mut().poll(context).is_ready(),
            _ => false,
        }
    }
}

// === impl Tolerant ===

impl Tolerant {
    /// Wraps a connection that nothing was read from yet.
    #[must_use]
    pub fn new(socket: Socket, place_taken: OwnedSemaphorePermit) -> Self {
        Self { socket, place: Place::Between, pending: Vec::new(), first: FirstHead::within(HEAD_TIME), place_taken }
    }

    /// The connection itself, once it is no longer spoken HTTP on; the permit is its place among the connections.
    pub fn into_socket(self) -> (Socket, OwnedSemaphorePermit) {
        (self.socket, self.place_taken)
    }

    /// Looks at what was just read; gives another text when the request line had quotes.
    fn encode(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        if self.place == Place::Between {
            let begins = METHODS.iter().any(|method| bytes.starts_with(method));
            self.place = if begins { Place::Line } else { Place::Behind };
        }
        if self.place == Place::Behind {
            return None;
        }
        let end = bytes.iter().position(|&byte| byte == b'\n');
        if end.is_some() {
            self.place = Place::Behind;
        }
        let (line, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
        if !line.contains(&b'"') {
            return None;
        }
        let pieces: Vec<&[u8]> = line.split(|&byte| byte == b'"').collect();
        let mut encoded = pieces.join(b"%22".as_slice());
        encoded.extend_from_slice(rest);
        Some(encoded)
    }

    fn hand_out(&mut self, buffer: &mut ReadBuf<'_>) {
        let count = self.pending.len().min(buffer.remaining());
        buffer.put_slice(&self.pending[..count]);
        self.pending.drain(..count);
    }
}

impl AsFd for Tolerant {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsyncRead for Tolerant {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.pending.is_empty() {
            this.hand_out(buffer);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        match Pin::new(&mut this.socket).poll_read(context, buffer) {
            Poll::Ready(result) => result?,
            Poll::Pending if this.first.is_late(context) => return Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => return Poll::Pending,
        }
        this.first.read(&buffer.filled()[before..]);
        if this.place != Place::Behind
            && let Some(encoded) = this.encode(&buffer.filled()[before..])
        {
            buffer.set_filled(before);
            this.pending = encoded;
            this.hand_out(buffer);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tolerant {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.place = Place::Between;
        Pin::new(&mut this.socket).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.place = Place::Between;
        Pin::new(&mut this.socket).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixStream;
    use tokio::sync::Semaphore;

    use super::*;

    fn tolerant(server: UnixStream) -> Tolerant {
        let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().expect("a place");
        Tolerant::new(Socket::Unix(server), permit)
    }

    #[tokio::test]
    async fn quotes_of_request_lines_are_encoded_and_those_of_bodies_are_not() {
        let (mut client, server) = UnixStream::pair().expect("a pair");
        let mut server = tolerant(server);
        let mut buffer = [0; 512];
        for (sent, got) in [
            ("GET /a?b={\"c\":1} HTTP/1.1\r\n", "GET /a?b={%22c%22:1} HTTP/1.1\r\n"),
            ("X: \"y\"\r\n\r\n", "X: \"y\"\r\n\r\n"),
        ] {
            client.write_all(sent.as_bytes()).await.expect("sent");
            let count = server.read(&mut buffer).await.expect("read");
            assert_eq!(std::str::from_utf8(&buffer[..count]), Ok(got));
        }
        server.write_all(b"answer").await.expect("written");
        for (sent, got) in [("POST /x\" HTTP/1.1\r\n\r\n{\"a\"}", "POST /x%22 HTTP/1.1\r\n\r\n{\"a\"}"), ("\"", "\"")] {
            client.write_all(sent.as_bytes()).await.expect("sent");
            let mut text = String::new();
            while text.len() < got.len() {
                let count = server.read(&mut buffer[..7]).await.expect("read");
                text += std::str::from_utf8(&buffer[..count]).expect("text");
            }
            assert_eq!(text, got);
        }
    }

    #[tokio::test]
    async fn a_head_that_does_not_come_to_its_end_is_given_up_and_a_resting_connection_is_not() {
        let (mut client, server) = UnixStream::pair().expect("a pair");
        let mut server = tolerant(server);
        server.first = FirstHead::within(Duration::from_millis(20));
        let mut buffer = [0; 512];
        client.write_all(b"GET / HTTP/1.1\r\n").await.expect("sent");
        assert_eq!(server.read(&mut buffer).await.ok(), Some(16));
        let given_up = server.read(&mut buffer).await.map_err(|error| error.kind());
        assert_eq!(given_up, Err(io::ErrorKind::TimedOut));
        let (mut client, server) = UnixStream::pair().expect("a pair");
        let mut server = tolerant(server);
        client.write_all(b"GET / HTTP/1.1\r\nA: b\r\n\r\n").await.expect("sent");
        assert_eq!(server.read(&mut buffer).await.ok(), Some(24));
        assert!(matches!(server.first, FirstHead::Whole));
    }
}
