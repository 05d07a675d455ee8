//! A registry made by hand: it answers as a test wants, holds an answer back, and remembers what it was asked.

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::archive::{Image, sha256};
use crate::registry::certify;
use crate::served::Served;

/// What was asked.
pub struct Request {
    /// For example `GET`.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// What to say.
#[derive(Clone)]
pub struct Answer {
    /// Status line without the protocol, then headers, separated by `\r\n`.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
    /// Send only the first half, and then a byte from time to time, until the stub is opened.
    pub held: bool,
    /// Break the connection behind so many bytes of the body.
    pub cut: Option<usize>,
    /// Send the body again and again, and no length.
    pub endless: bool,
    /// Say nothing at all and close the connection.
    pub silent: bool,
}

/// A client's connection, whatever is between.
trait Connection: Read + Write + Send {}

impl<T: Read + Write + Send> Connection for T {}

type Answers = dyn Fn(&Request) -> Option<Answer> + Send + Sync;

/// The registry; its threads end with the test's process.
pub struct Stub {
    address: String,
    seen: Arc<Mutex<Vec<String>>>,
    open: Arc<AtomicBool>,
}

// === impl Answer ===

impl Answer {
    /// An answer that comes at once.
    pub fn new(head: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self { head: head.into(), body: body.into(), held: false, cut: None, endless: false, silent: false }
    }

    /// The part of a whole that a request wants: all of it, or what its `Range` names.
    pub fn ranged(request: &Request, whole: &[u8]) -> Self {
        let range = request.header("range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
        let Some((first, _)) = range else { return Self::new("200 OK", whole) };
        let first: usize = first.parse().expect("a range");
        let head = format!("206 Partial Content\r\ncontent-range: bytes {first}-{}/{}", whole.len() - 1, whole.len());
        Self::new(head, &whole[first..])
    }
}

// === impl Request ===

impl Request {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

// === impl Stub ===

impl Stub {
    /// Answers requests by method and path; what has no answer is 404.
    pub fn start(answers: impl Fn(&str, &str) -> Option<Answer> + Send + Sync + 'static) -> Self {
        Self::serving(move |request| answers(&request.method, &request.path))
    }

    /// As `start`, for answers that depend on headers or body.
    pub fn serving(answers: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static) -> Self {
        Self::listening("127.0.0.1", answers, |stream| Ok(Box::new(stream)))
    }

    /// As `serving`, with TLS at an address that no engine trusts by itself; none without openssl. `ca.crt` in
    /// `directory` is the authority.
    pub fn encrypted(
        address: &str,
        directory: &Path,
        answers: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static,
    ) -> Option<Self> {
        certify(&format!("IP:{address}"), directory)?;
        let chain = CertificateDer::pem_file_iter(directory.join("ca.crt")).expect("a certificate");
        let chain = chain.collect::<Result<Vec<_>, _>>().expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(directory.join("key.pem")).expect("a key");
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).expect("a pair");
        let config = Arc::new(config);
        Some(Self::listening(address, answers, move |stream| {
            let connection = ServerConnection::new(Arc::clone(&config)).map_err(io::Error::other)?;
            Ok(Box::new(StreamOwned::new(connection, stream)))
        }))
    }

    fn listening(
        address: &str,
        answers: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static,
        wrap: impl Fn(TcpStream) -> io::Result<Box<dyn Connection>> + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind((address, 0)).expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let stub = Self { address, seen: Arc::default(), open: Arc::default() };
        let (seen, open, answers) = (Arc::clone(&stub.seen), Arc::clone(&stub.open), Arc::new(answers));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Ok(stream) = wrap(stream) else { continue };
                let (seen, open, answers) = (Arc::clone(&seen), Arc::clone(&open), Arc::clone(&answers));
                // A client that breaks off is what some tests are about.
                std::thread::spawn(move || drop(serve(stream, &seen, &open, &*answers)));
            }
        });
        stub
    }

    /// Serves one image as `app:latest`; its layers are held until `open`.
    pub fn of_image(image: &Image) -> Self {
        let (served, config) = (Served::of(image), sha256(&image.configuration()).to_string());
        Self::serving(move |request| {
            let layer = request.path.contains("/blobs/") && !request.path.ends_with(&config);
            served.answer(request).map(|answer| Answer { held: layer, ..answer })
        })
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> &str {
        &self.address
    }

    /// Lets go what is held back.
    pub fn open(&self) {
        self.open.store(true, Ordering::SeqCst);
    }

    /// How many requests began with this, for example `GET /v2/app/blobs/`.
    pub fn count(&self, beginning: &str) -> usize {
        self.seen.lock().expect("no panic while locked").iter().filter(|line| line.starts_with(beginning)).count()
    }
}

fn serve(
    stream: Box<dyn Connection>,
    seen: &Mutex<Vec<String>>,
    open: &AtomicBool,
    answers: &Answers,
) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ');
    let mut word = || words.next().unwrap_or_default().to_owned();
    let mut request = Request { method: word(), path: word(), headers: Vec::new(), body: Vec::new() };
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        if let Some((name, value)) = header.split_once(':') {
            request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        header.clear();
    }
    read_body(&mut reader, &mut request)?;
    seen.lock().expect("no panic while locked").push(format!("{} {}", request.method, request.path));
    let stream = reader.get_mut();
    let Answer { head, body, held, cut, endless, silent } =
        answers(&request).unwrap_or_else(|| Answer::new("404 Not Found", Vec::new()));
    if silent {
        return Ok(());
    }
    if endless {
        write!(stream, "HTTP/1.1 {head}\r\nconnection: close\r\n\r\n")?;
        loop {
            stream.write_all(&body)?;
        }
    }
    write!(stream, "HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len())?;
    if request.method == "HEAD" {
        return Ok(());
    }
    if let Some(cut) = cut {
        return stream.write_all(&body[..cut]);
    }
    let mut sent = if held { body.len() / 2 } else { body.len() };
    stream.write_all(&body[..sent])?;
    while held && !open.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(50));
        // A trickle, as of a slow network.
        let next = (sent + 1).min(body.len() - 1);
        stream.write_all(&body[sent..next])?;
        sent = next;
    }
    stream.write_all(&body[sent..])
}

/// A body of a known length, or in chunks.
fn read_body(reader: &mut impl io::BufRead, request: &mut Request) -> io::Result<()> {
    if request.header("transfer-encoding") != Some("chunked") {
        let length = request.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        return reader.take(length).read_to_end(&mut request.body).map(drop);
    }
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let length = u64::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        reader.take(length).read_to_end(&mut request.body)?;
        reader.read_line(&mut line)?;
        if length == 0 {
            return Ok(());
        }
    }
}
