//! A registry made by hand: it answers as a test wants, holds an answer back, and remembers what it was asked.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use crate::archive::{Image, sha256};

/// What to say.
pub struct Answer {
    /// Status line without the protocol, then headers, separated by `\r\n`.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
    /// Send only the first half, and then a byte from time to time, until the stub is opened.
    pub held: bool,
}

type Answers = dyn Fn(&str, &str) -> Option<Answer> + Send + Sync;

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
        Self { head: head.into(), body: body.into(), held: false }
    }
}

// === impl Stub ===

impl Stub {
    /// Answers requests by method and path; what has no answer is 404.
    pub fn start(answers: impl Fn(&str, &str) -> Option<Answer> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let stub = Self { address, seen: Arc::default(), open: Arc::default() };
        let (seen, open, answers) = (Arc::clone(&stub.seen), Arc::clone(&stub.open), Arc::new(answers));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, open, answers) = (Arc::clone(&seen), Arc::clone(&open), Arc::clone(&answers));
                // A client that breaks off is what some tests are about.
                std::thread::spawn(move || drop(serve(stream, &seen, &open, &*answers)));
            }
        });
        stub
    }

    /// Serves one image as `app:latest`; its layers are held until `open`.
    pub fn of_image(image: &Image) -> Self {
        let config = image.configuration();
        let layers: Vec<_> = image
            .layers
            .iter()
            .map(|layer| {
                let media_type = "application/vnd.docker.image.rootfs.diff.tar.gzip";
                json!({"mediaType": media_type, "size": layer.bytes().len(), "digest": layer.digest().to_string()})
            })
            .collect();
        let manifest_type = "application/vnd.docker.distribution.manifest.v2+json";
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": manifest_type,
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "size": config.len(),
                "digest": sha256(&config).to_string(),
            },
            "layers": layers,
        })
        .to_string();
        let blobs: Vec<(String, Vec<u8>)> =
            image.layers.iter().map(|layer| (layer.digest().to_string(), layer.bytes().to_vec())).collect();
        Self::start(move |_, path| {
            if path == "/v2/" {
                return Some(Answer::new("200 OK", "{}"));
            }
            if path.starts_with("/v2/app/manifests/") {
                let digest = sha256(manifest.as_bytes());
                let head = format!("200 OK\r\ncontent-type: {manifest_type}\r\ndocker-content-digest: {digest}");
                return Some(Answer::new(head, manifest.clone()));
            }
            let digest = path.strip_prefix("/v2/app/blobs/")?;
            if digest == sha256(&config).to_string() {
                return Some(Answer::new("200 OK", config.clone()));
            }
            let (_, bytes) = blobs.iter().find(|(known, _)| known == digest)?;
            Some(Answer { held: true, ..Answer::new("200 OK", bytes.clone()) })
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

fn serve(mut stream: TcpStream, seen: &Mutex<Vec<String>>, open: &AtomicBool, answers: &Answers) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    seen.lock().expect("no panic while locked").push(format!("{method} {path}"));
    let (mut header, mut length) = (String::new(), 0);
    while reader.read_line(&mut header)? > 2 {
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
        header.clear();
    }
    io::copy(&mut reader.by_ref().take(length), &mut io::sink())?;
    let answer = answers(method, path).unwrap_or_else(|| Answer::new("404 Not Found", Vec::new()));
    let Answer { head, body, held } = answer;
    write!(stream, "HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len())?;
    if method == "HEAD" {
        return Ok(());
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
