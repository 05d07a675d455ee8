//! Request lines as people write them.
//!
//! `curl 'http://localhost/containers/json?filters={"status":["exited"]}'` sends its double quotes as they are. RFC 3986
//! wants them encoded and our HTTP library insists; Docker's does not. So they are encoded on their way in.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::hijack::Socket;

const METHODS: [&[u8]; 5] = [b"GET /", b"POST /", b"DELETE /", b"PUT /", b"HEAD /"];

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
}

// === impl Tolerant ===

impl Tolerant {
    /// Wraps a connection that nothing was read from yet.
    #[must_use]
    pub fn new(socket: Socket) -> Self {
        Self { socket, place: Place::Between, pending: Vec::new() }
    }

    /// The connection itself, once it is no longer spoken HTTP on.
    #[must_use]
    pub fn into_socket(self) -> Socket {
        self.socket
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

impl AsyncRead for Tolerant {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.pending.is_empty() {
            this.hand_out(buffer);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.socket).poll_read(context, buffer))?;
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
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixStream;

    use super::*;

    #[tokio::test]
    async fn quotes_of_request_lines_are_encoded_and_those_of_bodies_are_not() {
        let (mut client, server) = UnixStream::pair().expect("a pair");
        let mut server = Tolerant::new(Socket::Unix(server));
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
}
