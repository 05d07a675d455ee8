//! One attached stream: our stdin to the container, its output to ours.

use bytes::{Bytes, BytesMut};
use client::{Client, Hijacked, ReadHalf, WriteHalf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Duration, sleep};

use super::demux::Demux;
use super::detach::Detector;
use super::input::{self, Input};
use super::output::{Stream, Writer};
use super::terminal::Raw;
use crate::Failure;
use crate::context::Context;

/// Which streams are attached, and how.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Send our stdin.
    pub stdin: bool,
    /// Show its output; without it the stream is only written to.
    pub output: bool,
    /// The container has a terminal: bytes are raw, detach keys count.
    pub tty: bool,
    /// `--detach-keys`.
    pub detach_keys: String,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The stream ended.
    Closed,
    /// The user typed the detach keys.
    Detached,
}

/// A session that has begun: the terminal is raw, the input is being read.
pub struct Session {
    plan: Plan,
    reader: ReadHalf,
    writer: WriteHalf,
    input: Option<mpsc::Receiver<Input>>,
    raw: Option<Raw>,
}

impl Session {
    /// Takes over the terminal.
    ///
    /// # Errors
    /// When the terminal cannot be set to raw mode.
    pub fn begin(context: &Context, stream: Hijacked, plan: Plan) -> Result<Self, Failure> {
        let (reader, writer) = stream.split();
        let (mut raw, mut detector) = (None, None);
        if plan.stdin && plan.tty {
            raw = Raw::enter().map_err(|source| Failure::Io {
                what: "unable to setup input stream: unable to set IO streams as raw terminal".to_owned(),
                source,
            })?;
            detector = Some(Detector::new(&plan.detach_keys).or_else(|detail| {
                context.complain(&format!("invalid detach escape keys, using default: {detail}"));
                Detector::new("").map_err(Failure::Invalid)
            })?);
        }
        let input = plan.stdin.then(|| input::start(detector));
        Ok(Self { plan, reader, writer, input, raw })
    }

    /// Gives the terminal back before the end, for messages.
    pub fn abandon(self) {
        drop(self.raw);
    }

    /// Copies both ways until the output ends or the user detaches.
    ///
    /// # Errors
    /// When the stream breaks or has malformed frames.
    pub async fn run(self) -> Result<End, Failure> {
        let Self { plan, reader, writer, input, raw } = self;
        let sending = send(writer, input);
        tokio::pin!(sending);
        let receiving = receive(reader, plan.tty);
        tokio::pin!(receiving);
        let mut sent = false;
        let end = loop {
            tokio::select! {
                received = &mut receiving, if plan.output => break received.map(|()| End::Closed),
                end = &mut sending, if !sent => match end {
                    End::Detached => break Ok(End::Detached),
                    End::Closed if !plan.output => break Ok(End::Closed),
                    End::Closed => sent = true,
                },
            }
        };
        drop(raw);
        end
    }
}

/// Keeps the container's terminal at the size of ours; never returns. `path` is the resize call's.
pub async fn follow_size(context: &Context<'_>, client: &Client, path: &str) {
    let Ok(mut changes) = signal(SignalKind::window_change()) else { return std::future::pending().await };
    // The process may not have started yet: the first size is sent again for a while.
    for attempt in 1..=10 {
        if resize(context, client, path).await.is_ok() {
            break;
        }
        if attempt == 10 {
            context.complain("failed to resize tty, using default size");
        }
        sleep(Duration::from_millis(attempt * 10)).await;
    }
    while changes.recv().await.is_some() {
        let _ = resize(context, client, path).await;
    }
    std::future::pending::<()>().await;
}

/// Makes a full-screen program draw itself anew: it gets another size for a moment.
pub async fn nudge(context: &Context<'_>, client: &Client, path: &str) {
    let (rows, columns) = context.terminal_size();
    if rows > 0 || columns > 0 {
        let (rows, columns) = (u32::from(rows) + 1, u32::from(columns) + 1);
        // The right size follows; if this one is refused, nothing is lost.
        let _ = client.post(path).query("h", &rows.to_string()).query("w", &columns.to_string()).done().await;
    }
}

async fn resize(context: &Context<'_>, client: &Client, path: &str) -> Result<(), client::Error> {
    let (rows, columns) = context.terminal_size();
    if rows == 0 && columns == 0 {
        return Ok(());
    }
    client.post(path).query("h", &rows.to_string()).query("w", &columns.to_string()).done().await
}

async fn send(mut writer: WriteHalf, input: Option<mpsc::Receiver<Input>>) -> End {
    if let Some(mut input) = input {
        while let Some(piece) = input.recv().await {
            let Input::Bytes(bytes) = piece else { return End::Detached };
            // A container that closed its stdin is seen on the output side.
            if writer.write_all(&bytes).await.is_err() {
                return End::Closed;
            }
        }
    }
    let _ = writer.shutdown().await;
    End::Closed
}

async fn receive(mut reader: ReadHalf, tty: bool) -> Result<(), Failure> {
    let broken = |source| Failure::Io { what: "cannot read the container's output".to_owned(), source };
    let writer = Writer::start();
    let mut demux = Demux::default();
    let mut buffer = BytesMut::with_capacity(64 * 1024);
    loop {
        buffer.reserve(32 * 1024);
        let read = reader.read_buf(&mut buffer).await;
        match read {
            Ok(0) => break,
            // The engine resets the connection when a container dies with unread input.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(source) => return Err(broken(source)),
            Ok(_) => {}
        }
        let piece = buffer.split().freeze();
        let mut chunks: Vec<(Stream, Bytes)> = Vec::new();
        if tty {
            chunks.push((Stream::Out, piece));
        } else {
            let framed = piece.clone();
            let pushed = demux.push(&framed, |stream, payload| {
                chunks.push((stream, piece.slice_ref(payload)));
                Ok(())
            });
            pushed.map_err(broken)?;
        }
        let mut gone = false;
        for (stream, bytes) in chunks {
            gone |= !writer.send(stream, bytes).await;
        }
        if gone {
            break;
        }
    }
    writer.finish().await
}
