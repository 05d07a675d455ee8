//! Raw HTTP/1.1 over a unix socket: small, so that a measurement or a test sees the engine and not a library.

use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

/// A keep-alive connection to an engine.
pub struct Connection {
    path: PathBuf,
    version: String,
    stream: Option<BufReader<UnixStream>>,
}

/// An answer with its whole body.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status code.
    pub status: u16,
    /// Header names in lower case, with their values, in order.
    pub headers: Vec<(String, String)>,
    /// The body, without transfer coding.
    pub body: Vec<u8>,
}

/// A request with headers of its own.
#[derive(Clone, Debug, Default)]
pub struct Request<'a> {
    /// Method.
    pub method: &'a str,
    /// Path and query, behind the version.
    pub path: &'a str,
    /// Headers; a body without a `Content-Type` among them is JSON.
    pub headers: &'a [(String, String)],
    /// Body.
    pub body: Option<String>,
    /// Chunked coding, without a length.
    pub chunked: bool,
}

enum Length {
    None,
    Exactly(u64),
    Chunked,
    UntilClose,
}

// === impl Connection ===

impl Connection {
    /// A connection that is opened by the first request. Paths get the prefix `/v1.41`.
    pub fn new(socket: &Path) -> Self {
        Self { path: socket.to_owned(), version: "/v1.41".to_owned(), stream: None }
    }

    /// Uses another prefix than `/v1.41`; an empty text for none.
    pub fn with_version(socket: &Path, version: &str) -> Self {
        Self { version: version.to_owned(), ..Self::new(socket) }
    }

    /// Sends one request and reads the whole answer, whatever its status.
    pub fn request(&mut self, method: &str, path: &str, body: Option<&Value>) -> io::Result<Answer> {
        let text = body.map(Value::to_string);
        let mut bytes = Vec::new();
        let answer = self.exchange(method, path, text.as_deref(), |chunk| bytes.extend_from_slice(chunk))?;
        Ok(Answer { body: bytes, ..answer })
    }

    /// Sends one request and hands the body to `sink` piece by piece; `Answer::body` stays empty.
    pub fn exchange(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&str>,
        mut sink: impl FnMut(&[u8]),
    ) -> io::Result<Answer> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.open()?,
        };
        stream.get_mut().write_all(self.head(method, path, body).as_bytes())?;
        let (answer, length) = read_head(&mut stream, method)?;
        let keep = read_body(&mut stream, length, &mut sink)?;
        if keep && answer.header("connection") != Some("close") {
            self.stream = Some(stream);
        }
        Ok(answer)
    }

    /// Sends a request with headers of its own and reads the whole answer.
    pub fn send(&mut self, request: &Request<'_>) -> io::Result<Answer> {
        let mut head = format!("{} {}{} HTTP/1.1\r\n", request.method, self.version, request.path);
        let named = |name: &str| request.headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
        if !named("host") {
            head += "Host: localhost\r\n";
        }
        for (name, value) in request.headers.iter().filter(|(_, value)| !value.is_empty()) {
            head += &format!("{name}: {value}\r\n");
        }
        match &request.body {
            Some(_) if !named("content-type") => head += "Content-Type: application/json\r\n",
            _ => {}
        }
        match &request.body {
            Some(body) if request.chunked => {
                head += &format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
            }
            Some(body) => head += &format!("Content-Length: {}\r\n\r\n{body}", body.len()),
            None if request.method == "POST" => head += "Content-Length: 0\r\n\r\n",
            None => head += "\r\n",
        }
        let mut stream = self.open()?;
        stream.get_mut().write_all(head.as_bytes())?;
        let (mut answer, mut length) = read_head(&mut stream, request.method)?;
        while answer.status == 100 {
            (answer, length) = read_head(&mut stream, request.method)?;
        }
        let mut body = Vec::new();
        read_body(&mut stream, length, &mut |piece| body.extend_from_slice(piece))?;
        Ok(Answer { body, ..answer })
    }

    /// Like `request`, but demands one of 200, 201, 204, 304 and gives the JSON body (null when empty).
    #[track_caller]
    pub fn call(&mut self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let answer = self.request(method, path, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let text = String::from_utf8_lossy(&answer.body);
        assert!(matches!(answer.status, 200 | 201 | 204 | 304), "{method} {path}: {} {text}", answer.status);
        serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
    }

    fn open(&self) -> io::Result<BufReader<UnixStream>> {
        let stream = UnixStream::connect(&self.path)?;
        stream.set_read_timeout(Some(Duration::from_secs(120)))?;
        Ok(BufReader::with_capacity(1 << 17, stream))
    }

    fn head(&self, method: &str, path: &str, body: Option<&str>) -> String {
        let version = &self.version;
        let mut head = format!("{method} {version}{path} HTTP/1.1\r\nHost: localhost\r\n");
        match body {
            Some(text) => {
                head += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{text}", text.len());
            }
            // `POST` without a length would be read as chunked by nobody, but some servers insist.
            None if method == "POST" => head += "Content-Length: 0\r\n\r\n",
            None => head += "\r\n",
        }
        head
    }
}

// === impl Answer ===

impl Answer {
    /// The first header of that (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

fn read_head(stream: &mut BufReader<UnixStream>, method: &str) -> io::Result<(Answer, Length)> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(|| bad("status line"))?;
    let mut headers = Vec::new();
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Err(bad("headers"));
        }
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let answer = Answer { status, headers, body: Vec::new() };
    let length = match (answer.header("transfer-encoding"), answer.header("content-length")) {
        _ if method == "HEAD" || matches!(status, 100 | 204 | 304) => Length::None,
        (Some(coding), _) if coding.eq_ignore_ascii_case("chunked") => Length::Chunked,
        (_, Some(length)) => Length::Exactly(length.parse().map_err(|_| bad("content-length"))?),
        _ => Length::UntilClose,
    };
    Ok((answer, length))
}

/// Reads a body; says whether the connection can be used again.
fn read_body(stream: &mut BufReader<UnixStream>, length: Length, sink: &mut dyn FnMut(&[u8])) -> io::Result<bool> {
    match length {
        Length::None => Ok(true),
        Length::Exactly(length) => copy(stream, length, sink).map(|()| true),
        Length::UntilClose => loop {
            let piece = stream.fill_buf()?;
            if piece.is_empty() {
                return Ok(false);
            }
            sink(piece);
            let used = piece.len();
            stream.consume(used);
        },
        Length::Chunked => loop {
            let mut line = String::new();
            stream.read_line(&mut line)?;
            let size = line.trim_end().split(';').next().unwrap_or_default();
            let size = u64::from_str_radix(size, 16).map_err(|_| bad("chunk size"))?;
            copy(stream, size, sink)?;
            stream.read_exact(&mut [0; 2])?;
            if size == 0 {
                return Ok(true);
            }
        },
    }
}

fn copy(stream: &mut BufReader<UnixStream>, mut left: u64, sink: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    while left > 0 {
        let piece = stream.fill_buf()?;
        if piece.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let used = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        sink(&piece[..used]);
        stream.consume(used);
        left -= used as u64;
    }
    Ok(())
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("malformed {what}"))
}
