//! The bytes of an exec: from its pipes or terminal to one framed stream, and back.
//!
//! The monitor does not see them; the pipes go straight to the process. When the daemon dies, so does the
//! conversation, as its client's connection does.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, read, write};
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::UnixStream;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::exec::ExecEntry;
use crate::model::ExecConfig;

const BUFFER: usize = 64 * 1024;
/// How long output is awaited after the process has ended: a grandchild may hold the pipe open for ever.
const AFTERMATH: Duration = Duration::from_secs(2);

/// Our ends of an exec's pipes.
pub(crate) struct ExecStdio {
    stdin: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
}

// === impl ExecStdio ===

impl ExecStdio {
    /// Makes the pipes that the exec wants; the others are `/dev/null`. Returns the process's three ends too.
    ///
    /// # Errors
    /// pipe2(2), open(2).
    pub(crate) fn open(config: &ExecConfig, detach: bool) -> io::Result<(Self, Vec<OwnedFd>)> {
        let null = || rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
        let pipe = |wanted: bool| if wanted && !detach { pipe_with(PipeFlags::CLOEXEC).map(Some) } else { Ok(None) };
        let (stdin, theirs_in) = match pipe(config.attach_stdin)? {
            Some((reader, writer)) => (Some(writer), reader),
            None => (None, null()?),
        };
        let output = |wanted| -> io::Result<(Option<OwnedFd>, OwnedFd)> {
            Ok(match pipe(wanted)? {
                Some((reader, writer)) => (Some(reader), writer),
                None => (None, null()?),
            })
        };
        let (stdout, theirs_out) = output(config.attach_stdout)?;
        let (stderr, theirs_err) = output(config.attach_stderr)?;
        Ok((Self { stdin, stdout, stderr }, vec![theirs_in, theirs_out, theirs_err]))
    }

    /// Moves bytes until the process has ended and its output is delivered; then closes the stream.
    pub(crate) fn run(self, client: UnixStream, raw: bool, entry: Arc<ExecEntry>) {
        let (from_client, to_client) = client.into_split();
        let to_client = Arc::new(Mutex::new(to_client));
        let input = tokio::spawn(feed(from_client, self.stdin));
        let streams = [(1, self.stdout), (2, self.stderr)];
        let framing = |number| (!raw).then_some(number);
        let outputs = streams.map(|(number, fd)| tokio::spawn(pass(framing(number), fd, Arc::clone(&to_client))));
        tokio::spawn(async move {
            let delivered = async {
                for output in outputs {
                    let _ = output.await;
                }
            };
            tokio::pin!(delivered);
            tokio::select! {
                () = &mut delivered => entry.ended().await,
                () = entry.ended() => drop(timeout(AFTERMATH, delivered).await),
            }
            // A blocked write would be cancelled here as well: the process is gone and the client does not read.
            input.abort();
            let _ = to_client.lock().await.shutdown().await;
        });
    }
}

/// From the client to the process's stdin; the client's end of input is the process's.
async fn feed(mut from: OwnedReadHalf, stdin: Option<OwnedFd>) {
    let Some(mut to) = stdin.and_then(|fd| Sender::from_owned_fd(fd).ok()) else {
        // Read on all the same, so that the client's writes do not block.
        let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
        return;
    };
    // Ends when either side does; both are ordinary.
    let _ = tokio::io::copy(&mut from, &mut to).await;
}

/// Puts the head of a frame into the eight bytes before its content: number, three zeros, big-endian length. Gives what
/// is sent; without a number only the content.
fn frame(number: Option<u8>, buffer: &mut [u8], count: usize) -> &[u8] {
    let Some(number) = number else { return &buffer[8..8 + count] };
    buffer[..4].copy_from_slice(&[number, 0, 0, 0]);
    let length = u32::try_from(count).unwrap_or(u32::MAX);
    buffer[4..8].copy_from_slice(&length.to_be_bytes());
    &buffer[..8 + count]
}

/// From one of the process's streams to the client, in Docker's frames when the stream has a number.
async fn pass(number: Option<u8>, fd: Option<OwnedFd>, to: Arc<Mutex<OwnedWriteHalf>>) {
    let Some(mut from) = fd.and_then(|fd| Receiver::from_owned_fd(fd).ok()) else { return };
    let mut buffer = Vec::new();
    loop {
        // Allocated when there is something to read: most execs are quiet most of the time.
        if from.readable().await.is_err() {
            return;
        }
        buffer.resize(8 + BUFFER, 0);
        let count = match from.try_read(&mut buffer[8..]) {
            Ok(0) => return,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(_) => return,
        };
        if to.lock().await.write_all(frame(number, &mut buffer, count)).await.is_err() {
            // The client left; the process may write on into the void.
            let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
            return;
        }
    }
}

/// Moves bytes between an exec's terminal and its client until the process has ended.
///
/// # Errors
/// fcntl(2), epoll_ctl(2).
pub(crate) fn relay_terminal(
    master: OwnedFd,
    client: Option<UnixStream>,
    raw: bool,
    entry: Arc<ExecEntry>,
) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(&master)?;
    rustix::fs::fcntl_setfl(&master, flags | OFlags::NONBLOCK)?;
    #[expect(deprecated, reason = "its successor is unsafe; the descriptor is owned and never replaced here")]
    let master = Arc::new(AsyncFd::with_interest(master, Interest::READABLE | Interest::WRITABLE)?);
    let (from_client, to_client) = client.map(UnixStream::into_split).unzip();
    let input = from_client.map(|from| tokio::spawn(type_in(from, Arc::clone(&master))));
    tokio::spawn(async move {
        // Held here until the process has ended: a client takes the end of the stream for the end of the process, and
        // asks for the exit code next.
        let mut to_client = to_client;
        let shown = show(&master, (!raw).then_some(1), &mut to_client);
        tokio::pin!(shown);
        tokio::select! {
            () = &mut shown => entry.ended().await,
            () = entry.ended() => drop(timeout(AFTERMATH, &mut shown).await),
        }
        if let Some(input) = input {
            input.abort();
        }
    });
    Ok(())
}

async fn type_in(mut from: OwnedReadHalf, master: Arc<AsyncFd<OwnedFd>>) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let mut rest = &buffer[..count];
        while !rest.is_empty() {
            let Ok(mut ready) = master.writable().await else { return };
            match ready.try_io(|fd| write(fd.get_ref(), rest).map_err(io::Error::from)) {
                Ok(Ok(written)) => rest = &rest[written..],
                Ok(Err(_)) => return,
                Err(_would_block) => {}
            }
        }
    }
}

async fn show(master: &AsyncFd<OwnedFd>, number: Option<u8>, to: &mut Option<OwnedWriteHalf>) {
    let mut buffer = vec![0; 8 + BUFFER];
    loop {
        let Ok(mut ready) = master.readable().await else { return };
        let result = ready.try_io(|fd| match read(fd.get_ref(), &mut buffer[8..]) {
            // The last holder of the other side is gone: a terminal says EIO instead of an end of file.
            Err(Errno::IO) => Ok(0),
            result => result.map_err(io::Error::from),
        });
        match result {
            Ok(Ok(0) | Err(_)) => return,
            Ok(Ok(count)) => {
                if let Some(client) = to
                    && client.write_all(frame(number, &mut buffer, count)).await.is_err()
                {
                    *to = None;
                }
            }
            Err(_would_block) => {}
        }
    }
}
