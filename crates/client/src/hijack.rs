//! Connections that stop being HTTP after the answer's head: attach and exec.
//!
//! The request is written by hand, because the stream after the head must half-close (end of stdin) while the
//! other direction goes on, and because old engines answer `200` instead of `101`.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::{cmp, io};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};

use crate::connection::{Connection, Opened};
use crate::response::refusal;
use crate::ssh::Ssh;
use crate::{Client, Error};

/// Longest head that is read before giving up.
const MAX_HEAD: usize = 64 * 1024;

/// A raw stream to a container's stdio.
pub struct Hijacked {
    connection: Connection,
    /// Bytes that came in the same read as the head.
    early: Vec<u8>,
    content_type: String,
}

/// What the container writes.
pub struct ReadHalf {
    early: Vec<u8>,
    inner: tokio::io::ReadHalf<Connection>,
}

/// What the container reads. `shutdown` sends the end of stdin and keeps the other direction open.
pub type WriteHalf = tokio::io::WriteHalf<Connection>;

// === impl Hijacked ===

impl Hijacked {
    /// Whether the engine says that the stream carries Docker's 8-byte frame headers; `None` when it does not say.
    #[must_use]
    pub fn multiplexed(&self) -> Option<bool> {
        match self.content_type.as_str() {
            "application/vnd.docker.multiplexed-stream" => Some(true),
            _ => None,
        }
    }

    /// Splits the stream in its two directions.
    #[must_use]
    pub fn split(self) -> (ReadHalf, WriteHalf) {
        let (inner, writer) = tokio::io::split(self.connection);
        (ReadHalf { early: self.early, inner }, writer)
    }
}

impl AsyncRead for ReadHalf {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return Pin::new(&mut self.inner).poll_read(cx, buf);
        }
        let taken = cmp::min(self.early.len(), buf.remaining());
        buf.put_slice(&self.early[..taken]);
        self.early.drain(..taken);
        Poll::Ready(Ok(()))
    }
}

pub(crate) async fn open(
    client: &Client,
    target: &str,
    headers: &[(&'static str, String)],
    body: &[u8],
) -> Result<Hijacked, Error> {
    let (host, user_agent) = (&client.host, &client.user_agent);
    let Opened { mut connection, ssh } = Connection::open(host, client.tls.as_ref()).await?;
    let mut text = format!(
        "POST {target} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {user_agent}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: {}\r\n",
        host.authority(),
        body.len()
    );
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(body);
    connection.write_all(&bytes).await.map_err(Error::Stream)?;
    connection.flush().await.map_err(Error::Stream)?;
    let (head, early) = match read_head(&mut connection, target).await {
        Ok(read) => read,
        Err(error) => return Err(ssh.map_or(error, Ssh::failure)),
    };
    let status = status_of(&head).ok_or_else(|| unexpected(target, "no status line"))?;
    if status == 101 || status == 200 {
        let content_type = header_of(&head, "content-type").unwrap_or_default();
        return Ok(Hijacked { connection, early, content_type });
    }
    let body = read_body(&mut connection, &head, early).await.map_err(Error::Stream)?;
    Err(refusal(status, &body))
}

async fn read_head(connection: &mut Connection, target: &str) -> Result<(String, Vec<u8>), Error> {
    let mut bytes = Vec::with_capacity(1024);
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let early = bytes.split_off(end + 4);
            return Ok((String::from_utf8_lossy(&bytes).into_owned(), early));
        }
        if bytes.len() > MAX_HEAD {
            return Err(unexpected(target, "the head does not end"));
        }
        if connection.read_buf(&mut bytes).await.map_err(Error::Stream)? == 0 {
            return Err(unexpected(target, "the connection was closed before the answer"));
        }
    }
}

/// Reads the body of a refusal. Engines send a length or chunks; both are short.
async fn read_body(connection: &mut Connection, head: &str, early: Vec<u8>) -> io::Result<Vec<u8>> {
    let mut body = early;
    if let Some(length) = header_of(head, "content-length").and_then(|text| text.parse::<usize>().ok()) {
        while body.len() < length && body.len() < MAX_HEAD {
            if connection.read_buf(&mut body).await? == 0 {
                break;
            }
        }
        return Ok(body);
    }
    while !body.ends_with(b"0\r\n\r\n") && body.len() < MAX_HEAD {
        if connection.read_buf(&mut body).await? == 0 {
            break;
        }
    }
    Ok(dechunk(&body))
}

fn dechunk(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|window| window == b"\r\n") {
        let digits = String::from_utf8_lossy(&body[..end]);
        let Ok(size) = usize::from_str_radix(digits.split(';').next().unwrap_or_default().trim(), 16) else { break };
        let rest = &body[end + 2..];
        if size == 0 || rest.len() < size {
            break;
        }
        whole.extend_from_slice(&rest[..size]);
        body = rest.get(size + 2..).unwrap_or_default();
    }
    whole
}

fn status_of(head: &str) -> Option<u16> {
    head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.trim().parse().ok()
}

fn header_of(head: &str, name: &str) -> Option<String> {
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

fn unexpected(target: &str, detail: &str) -> Error {
    Error::Answer { path: target.to_owned(), detail: detail.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_status_headers_and_chunks() {
        let head = "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nUpgrade: tcp\r\n\r\n";
        assert_eq!(status_of(head), Some(101));
        assert_eq!(header_of(head, "content-type").as_deref(), Some("application/vnd.docker.raw-stream"));
        assert_eq!(dechunk(b"4\r\nabcd\r\n2\r\nef\r\n0\r\n\r\n"), b"abcdef");
        assert_eq!(dechunk(b"zz"), b"");
    }
}
