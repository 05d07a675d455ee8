//! One POST over HTTP/1.1, on a blocking socket, within bounds of time and size.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::address::Address;

/// What Docker says that it understands.
const ACCEPT: &str = "application/vnd.docker.plugins.v1.2+json";
/// No answer of the protocol comes near.
const LARGEST: u64 = 4 << 20;
const PAUSE: Duration = Duration::from_millis(50);

/// How long to wait.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For one that does not listen: it may be about to start again.
    pub connect: Duration,
    /// For the whole answer.
    pub answer: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { connect: Duration::from_secs(3), answer: Duration::from_secs(30) }
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// A stream whose every read ends in time.
struct Bounded<S> {
    stream: S,
    end: Instant,
}

trait Stream: Read + Write {
    fn set_patience(&self, patience: Duration) -> io::Result<()>;
}

impl Stream for UnixStream {
    fn set_patience(&self, patience: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(patience))?;
        self.set_write_timeout(Some(patience))
    }
}

impl Stream for TcpStream {
    fn set_patience(&self, patience: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(patience))?;
        self.set_write_timeout(Some(patience))
    }
}

impl<S: Stream> Read for Bounded<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(late());
        }
        self.stream.set_patience(left)?;
        self.stream.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => late(),
            _ => error,
        })
    }
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "it took too long")
}

/// Sends `body` to `/<message>` and returns the answer.
pub(crate) fn post(address: &Address, message: &str, body: &[u8], patience: Patience) -> io::Result<Answer> {
    let end = Instant::now() + patience.answer;
    match address {
        Address::Unix(path) => talk(connect(patience, || UnixStream::connect(path))?, message, body, end),
        Address::Tcp(host) => talk(connect(patience, || connect_tcp(host, patience.connect))?, message, body, end),
    }
}

fn connect_tcp(host: &str, patience: Duration) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "its address leads nowhere");
    for address in host.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// A plugin that was just started again refuses for a moment.
fn connect<S>(patience: Patience, mut attempt: impl FnMut() -> io::Result<S>) -> io::Result<S> {
    let end = Instant::now() + patience.connect;
    loop {
        match attempt() {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && Instant::now() < end => {
                std::thread::sleep(PAUSE);
            }
            done => return done,
        }
    }
}

fn talk(mut stream: impl Stream, message: &str, body: &[u8], end: Instant) -> io::Result<Answer> {
    stream.set_patience(end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1)))?;
    let head = format!(
        "POST /{message} HTTP/1.1\r\nHost: plugin\r\nAccept: {ACCEPT}\r\nContent-Type: {ACCEPT}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat())?;
    read_answer(BufReader::new(Bounded { stream, end }.take(LARGEST)))
}

fn read_answer(mut stream: impl BufRead) -> io::Result<Answer> {
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    loop {
        let first = line(&mut stream)?;
        let status = first.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse::<u16>().ok());
        let status = status.ok_or_else(|| bad("its answer is not HTTP"))?;
        let (mut length, mut chunked) = (None, false);
        loop {
            let header = line(&mut stream)?;
            let Some((name, value)) = header.split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = Some(value.trim().parse::<usize>().map_err(|_| bad("bad length"))?),
                "transfer-encoding" => chunked = value.trim().eq_ignore_ascii_case("chunked"),
                _ => {}
            }
        }
        if (100..200).contains(&status) {
            continue;
        }
        let body = match (chunked, length) {
            (true, _) => read_chunks(&mut stream)?,
            (false, Some(length)) => read_exactly(&mut stream, length)?,
            (false, None) => {
                let mut body = Vec::new();
                stream.read_to_end(&mut body)?;
                body
            }
        };
        return Ok(Answer { status, body });
    }
}

fn read_chunks(stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = line(stream)?;
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "its answer has a bad chunk"))?;
        if size == 0 {
            // Trailers, up to the empty line.
            while !line(stream)?.is_empty() {}
            return Ok(body);
        }
        body.extend(read_exactly(stream, size)?);
        line(stream)?;
    }
}

fn read_exactly(stream: &mut impl BufRead, length: usize) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    // Grows with what comes, not with what is announced.
    stream.take(length as u64).read_to_end(&mut body)?;
    if body.len() == length { Ok(body) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// One line without its end.
fn line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut text = Vec::new();
    if stream.read_until(b'\n', &mut text)? == 0 {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it hung up"));
    }
    Ok(String::from_utf8_lossy(&text).trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> io::Result<(u16, String)> {
        read_answer(text.as_bytes()).map(|answer| (answer.status, String::from_utf8_lossy(&answer.body).into_owned()))
    }

    #[test]
    fn answers_of_every_kind_are_read() {
        for (text, status, body) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}more", 200, "{}"),
            ("HTTP/1.0 500 no\r\n\r\nwhole rest", 500, "whole rest"),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n3;x\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n",
                200,
                "abcde",
            ),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n", 404, ""),
        ] {
            assert_eq!(read(text).expect(text), (status, body.to_owned()));
        }
        for text in [
            "",
            "SSH-2.0\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }
}
