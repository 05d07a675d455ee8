//! The copy loops of a session. A session ends when the process's side ends, when the detach keys are typed, or when
//! the client is gone; the end of the client's input alone only closes stdin.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustix::event::{PollFd, PollFlags, poll};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

use super::{Scanner, Session, Socket};
use crate::body::RequestBody;

pub(super) const BUFFER: usize = 64 * 1024;
/// How often a silent session looks whether its client still exists.
const ALIVE_INTERVAL: Duration = Duration::from_secs(2);

/// How soon and how late it is looked again whether the head is taken.
const HEAD_FIRST_LOOK: Duration = Duration::from_micros(40);
const HEAD_LAST_LOOK: Duration = Duration::from_millis(1);
/// How long output waits for a client that has not taken the head of the answer.
const HEAD_TAKEN_WITHIN: Duration = Duration::from_millis(200);

/// Why the input direction ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum InputEnd {
    /// No more input; output goes on.
    Eof,
    /// The detach keys were typed.
    Detached,
    /// The process takes no more input; output goes on.
    Refused,
}

/// Serves a session on the connection itself. `early` is what the client sent right behind its request.
pub(super) async fn both_ways(client: Socket, early: Bytes, session: Session) {
    let _relay = session.relay;
    let (from_process, to_process) = session.io.into_split();
    let scanner = session.detach_keys.filter(|_| session.tty).map(Scanner::new);
    let result = match client {
        Socket::Unix(mut stream) => {
            let (probe, head) = (probe(&stream), probe(&stream));
            let (reader, writer) = stream.split();
            exchange(reader, writer, early, scanner, (from_process, to_process), (probe, head)).await
        }
        Socket::Tcp(mut stream) => {
            let probe = probe(&stream);
            let (reader, writer) = stream.split();
            // What TCP calls taken is acknowledged late and says nothing about the client.
            exchange(reader, writer, early, scanner, (from_process, to_process), (probe, None)).await
        }
        Socket::Tls(stream) => {
            let probe = probe(stream.get_ref().0);
            let (reader, writer) = tokio::io::split(stream);
            exchange(reader, writer, early, scanner, (from_process, to_process), (probe, None)).await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "attached client went away");
    }
}

/// A second descriptor of the connection, to ask whether the client has closed it altogether.
fn probe(stream: &impl std::os::fd::AsFd) -> Option<OwnedFd> {
    rustix::io::fcntl_dupfd_cloexec(stream, 3).ok()
}

async fn exchange(
    mut reader: impl tokio::io::AsyncRead + Unpin,
    mut writer: impl tokio::io::AsyncWrite + Unpin,
    early: Bytes,
    scanner: Option<Scanner>,
    process: (OwnedReadHalf, OwnedWriteHalf),
    (probe, head): (Option<OwnedFd>, Option<OwnedFd>),
) -> io::Result<()> {
    let (mut from_process, to_process) = process;
    let input = async {
        let mut input = Input::new(to_process, scanner);
        let mut end = input.pass(&early).await;
        let mut buffer = vec![0; BUFFER];
        while end.is_none() {
            end = match reader.read(&mut buffer).await {
                Ok(0) | Err(_) => Some(InputEnd::Eof),
                Ok(count) => input.pass(&buffer[..count]).await,
            };
        }
        if end == Some(InputEnd::Detached) {
            return;
        }
        input.close().await;
        // Drain what nobody wants, so that the end of the connection is seen.
        while end == Some(InputEnd::Refused) && reader.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
        drop(buffer);
        until_gone(probe).await;
    };
    let output = async {
        let mut buffer = vec![0; BUFFER];
        let mut head = head;
        loop {
            let count = from_process.read(&mut buffer).await?;
            if let Some(head) = head.take() {
                head_taken(head).await;
            }
            if count == 0 {
                return writer.shutdown().await;
            }
            writer.write_all(&buffer[..count]).await?;
            // A secret stream keeps what does not fill its record.
            writer.flush().await?;
        }
    };
    tokio::select! {
        result = output => result,
        () = input => Ok(()),
    }
}

/// Serves a session through the two bodies of an ordinary exchange.
pub(super) async fn through_bodies(mut body: RequestBody, sender: mpsc::Sender<Bytes>, session: Session) {
    let (mut from_process, to_process) = session.io.into_split();
    let scanner = session.detach_keys.filter(|_| session.tty).map(Scanner::new);
    let gone = sender.clone();
    let input = async {
        let mut input = Input::new(to_process, scanner);
        while let Some(Ok(piece)) = body.next().await {
            match input.pass(&piece).await {
                None => {}
                Some(InputEnd::Detached) => return,
                Some(_) => break,
            }
        }
        input.close().await;
        gone.closed().await;
    };
    let output = async {
        let mut buffer = BytesMut::with_capacity(BUFFER);
        while matches!(from_process.read_buf(&mut buffer).await, Ok(count) if count > 0) {
            if sender.send(buffer.split().freeze()).await.is_err() {
                return;
            }
            buffer.reserve(BUFFER);
        }
    };
    tokio::select! {
        () = output => {}
        () = input => {}
    }
}

/// The direction from the client to the process.
pub(super) struct Input {
    to_process: Option<OwnedWriteHalf>,
    scanner: Option<Scanner>,
}

impl Input {
    pub(super) fn new(to_process: OwnedWriteHalf, scanner: Option<Scanner>) -> Self {
        Self { to_process: Some(to_process), scanner }
    }

    /// Passes bytes on; `Some` when the direction has ended.
    pub(super) async fn pass(&mut self, bytes: &[u8]) -> Option<InputEnd> {
        let to_process = self.to_process.as_mut()?;
        let Some(scanner) = &mut self.scanner else {
            return to_process.write_all(bytes).await.err().map(|_| InputEnd::Refused);
        };
        let mut passed = Vec::with_capacity(bytes.len());
        let detached = scanner.feed(bytes, &mut passed);
        if to_process.write_all(&passed).await.is_err() {
            return Some(InputEnd::Refused);
        }
        detached.then_some(InputEnd::Detached)
    }

    /// Tells the process's side that no more input comes.
    async fn close(&mut self) {
        if let Some(mut to_process) = self.to_process.take() {
            // The process may have ended already.
            let _ = to_process.shutdown().await;
            // Dropping the half would shut it down as well; that has happened.
            to_process.forget();
        }
    }
}

/// Waits until the client has read the head of the answer from a unix socket.
///
/// The Python SDK reads the head through a buffer and then goes on with the bare socket: output that lies right behind
/// the head would be lost in that buffer. Docker is slow enough that it never does.
async fn head_taken(socket: OwnedFd) {
    let unread = move || sys::send_queue::unread(&socket).is_ok_and(|unread| unread > 0);
    if !unread() {
        return;
    }
    // A client that is awake reads within a fraction of a millisecond, which only a thread of its own can wait for: the
    // runtime's timers count in whole ones.
    let waited = tokio::task::spawn_blocking(move || {
        let begin = std::time::Instant::now();
        let mut pause = HEAD_FIRST_LOOK;
        while unread() && begin.elapsed() < HEAD_TAKEN_WITHIN {
            std::thread::sleep(pause);
            pause = (pause * 5 / 4).min(HEAD_LAST_LOOK);
        }
    });
    // It fails only while the daemon ends.
    let _ = waited.await;
}

/// Waits until the client has closed both directions; a client that only ended its input is still there.
async fn until_gone(probe: Option<OwnedFd>) {
    let Some(probe) = probe else { return std::future::pending().await };
    loop {
        let mut entry = [PollFd::new(&probe, PollFlags::empty())];
        let zero = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        let gone = poll(&mut entry, Some(&zero)).is_ok_and(|ready| ready > 0);
        if gone && entry[0].revents().intersects(PollFlags::HUP | PollFlags::ERR) {
            return;
        }
        tokio::time::sleep(ALIVE_INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hijack::DetachKeys;
    use tokio::net::UnixStream;

    fn session(io: UnixStream, tty: bool) -> Session {
        Session { io, tty, detach_keys: tty.then(DetachKeys::default), relay: None }
    }

    #[tokio::test]
    async fn end_of_input_closes_stdin_and_output_still_arrives() {
        let (client, served) = UnixStream::pair().expect("pair");
        let (io, mut process) = UnixStream::pair().expect("pair");
        let task = tokio::spawn(both_ways(Socket::Unix(served), Bytes::from_static(b"early "), session(io, false)));
        let (mut client_reader, mut client_writer) = client.into_split();
        client_writer.write_all(b"late").await.expect("write");
        client_writer.shutdown().await.expect("shutdown");
        let mut input = String::new();
        process.read_to_string(&mut input).await.expect("read");
        assert_eq!(input, "early late");
        process.write_all(b"answer").await.expect("write");
        drop(process);
        let mut output = String::new();
        client_reader.read_to_string(&mut output).await.expect("read");
        assert_eq!(output, "answer");
        task.await.expect("ends");
    }

    #[tokio::test]
    async fn output_does_not_come_before_the_head_was_read() {
        let (client, mut served) = UnixStream::pair().expect("pair");
        let (io, mut process) = UnixStream::pair().expect("pair");
        served.write_all(b"head").await.expect("write");
        process.write_all(b"output").await.expect("write");
        let task = tokio::spawn(both_ways(Socket::Unix(served), Bytes::new(), session(io, false)));
        tokio::time::sleep(Duration::from_millis(20)).await;
        let (mut reader, writer) = client.into_split();
        let mut buffer = [0; 64];
        let count = reader.read(&mut buffer).await.expect("read");
        assert_eq!(&buffer[..count], b"head");
        let count = reader.read(&mut buffer).await.expect("read");
        assert_eq!(&buffer[..count], b"output");
        drop((reader, writer, process));
        task.await.expect("ends");
    }

    #[tokio::test]
    async fn detach_keys_end_the_session_and_pass_nothing_on() {
        let (mut client, served) = UnixStream::pair().expect("pair");
        let (io, mut process) = UnixStream::pair().expect("pair");
        let task = tokio::spawn(both_ways(Socket::Unix(served), Bytes::new(), session(io, true)));
        client.write_all(b"x\x10\x11y").await.expect("write");
        task.await.expect("ends");
        let mut input = Vec::new();
        process.read_to_end(&mut input).await.expect("read");
        assert_eq!(input, b"x");
        let mut output = Vec::new();
        assert_eq!(client.read_to_end(&mut output).await.expect("read"), 0);
    }

    #[tokio::test]
    async fn a_client_that_is_gone_ends_a_silent_session() {
        let (client, served) = UnixStream::pair().expect("pair");
        let (io, _process) = UnixStream::pair().expect("pair");
        let task = tokio::spawn(both_ways(Socket::Unix(served), Bytes::new(), session(io, false)));
        drop(client);
        task.await.expect("ends");
    }

    #[tokio::test]
    async fn bodies_carry_a_session_without_upgrade() {
        let (io, mut process) = UnixStream::pair().expect("pair");
        let (sender, mut receiver) = mpsc::channel(4);
        let body = RequestBody::Full(Bytes::from_static(b"input"));
        let task = tokio::spawn(through_bodies(body, sender, session(io, false)));
        let mut input = String::new();
        process.read_to_string(&mut input).await.expect("read");
        assert_eq!(input, "input");
        process.write_all(b"output").await.expect("write");
        drop(process);
        assert_eq!(receiver.recv().await.as_deref(), Some(b"output".as_slice()));
        task.await.expect("ends");
    }
}
