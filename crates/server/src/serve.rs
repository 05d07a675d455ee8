//! Accepting connections and speaking HTTP/1.1 on them.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use engine::Engine;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::body::RequestBody;
use crate::hijack::Socket;
use crate::listen::{Accepted, Access, BindError, Listen, Listener};
use crate::peer::Peer;
use crate::router;
use crate::tolerant::Tolerant;

/// How long answers in progress may take once the daemon has been asked to end.
const GRACE: Duration = Duration::from_millis(300);
/// Pause after a failed accept, which mostly means that descriptors ran out.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Clients that are being told, with all patience, that there are too many connections; others only get the words.
const MOST_REFUSALS: usize = 64;
/// So many connections leave memory behind that is worth giving back.
const CROWD: usize = 400;
/// How long a refused client may take to read why.
const REFUSAL: Duration = Duration::from_secs(5);

const TOO_MANY: &str = r#"{"message":"too many open connections: this one is refused, so that the containers keep the descriptors they need"}"#;

/// The API server, bound and not yet answering.
#[derive(Debug)]
pub struct Server {
    listeners: Vec<Listener>,
    places: Places,
}

/// How many connections there may be, and how many more may be refused in words.
#[derive(Clone, Debug)]
struct Places {
    open: Arc<Semaphore>,
    refused: Arc<Semaphore>,
    most: usize,
    /// There were [`CROWD`] connections, and what they needed is still held by the allocator.
    crowded: Arc<AtomicBool>,
}

// === impl Places ===

impl Places {
    fn new(most: usize) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS);
        let semaphore = |most: usize| Arc::new(Semaphore::new(most));
        Self { open: semaphore(most), refused: semaphore(MOST_REFUSALS), most, crowded: Arc::default() }
    }

    fn take(&self) -> Option<OwnedSemaphorePermit> {
        if self.taken() >= CROWD {
            self.crowded.store(true, Ordering::Relaxed);
        }
        Arc::clone(&self.open).try_acquire_owned().ok()
    }

    fn taken(&self) -> usize {
        self.most - self.open.available_permits()
    }

    /// To be called when a connection has ended: gives memory back once a crowd has left.
    fn left(&self) {
        if self.taken() < CROWD / 4 && self.crowded.swap(false, Ordering::Relaxed) {
            tokio::task::spawn_blocking(sys::allocator::trim);
        }
    }
}

// === impl Server ===

impl Server {
    /// Binds all addresses; none stays bound when one fails. Of `connections` in total, those of attached clients
    /// included, no more are served at a time. Must run inside a tokio runtime.
    ///
    /// # Errors
    /// [`BindError`] of the first address that cannot be bound.
    pub fn bind(addresses: Vec<Listen>, access: &Access, connections: usize) -> Result<Self, BindError> {
        let bound = addresses.into_iter().map(|listen| Listener::bind(listen, access));
        Ok(Self { listeners: bound.collect::<Result<_, _>>()?, places: Places::new(connections) })
    }

    /// Answers until `shutdown` completes, then lets answers in progress end. `shutdown` is first polled when every
    /// address answers.
    pub async fn serve(self, engine: Arc<Engine>, shutdown: impl Future<Output = ()>) {
        let (ending, ended) = watch::channel(());
        let mut paths = Vec::new();
        for listener in self.listeners {
            paths.extend(listener.own_path().map(Path::to_owned));
            tokio::spawn(accept(listener, self.places.clone(), Arc::clone(&engine), ended.clone()));
        }
        drop(ended);
        shutdown.await;
        // Connections hold receivers; when the last one is gone, all answers have been given.
        let _ = ending.send(());
        let _ = tokio::time::timeout(GRACE, ending.closed()).await;
        for path in paths {
            if let Err(error) = std::fs::remove_file(&path)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(path = %path.display(), %error, "cannot remove the socket");
            }
        }
    }
}

async fn accept(listener: Listener, places: Places, engine: Arc<Engine>, mut ended: watch::Receiver<()>) {
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = ended.changed() => return,
        };
        let accepted = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Once, and not at each of the tries that fail alike.
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "cannot accept a connection");
                }
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        failing = false;
        let Some(place) = places.take() else {
            if let Accepted::Ready(socket) = accepted {
                refuse(socket, &places);
            }
            continue;
        };
        match accepted {
            Accepted::Ready(socket) => {
                let (places, engine, ended) = (places.clone(), Arc::clone(&engine), ended.clone());
                tokio::spawn(async move {
                    connection(Tolerant::new(socket, place), engine, ended).await;
                    places.left();
                });
            }
            Accepted::Secret(stream, tls) => {
                let (places, engine, ended) = (places.clone(), Arc::clone(&engine), ended.clone());
                tokio::spawn(async move {
                    if let Some(stream) = tls.accept(stream).await {
                        connection(Tolerant::new(Socket::Tls(Box::new(stream)), place), engine, ended).await;
                    }
                    places.left();
                });
            }
        }
    }
}

/// Says why the connection is closed.
fn refuse(mut socket: Socket, places: &Places) {
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{TOO_MANY}\n",
        TOO_MANY.len() + 1
    );
    match Arc::clone(&places.refused).try_acquire_owned() {
        Err(_) => {
            // Whether the client gets it depends on what it sent already.
            let _ = match &socket {
                Socket::Unix(stream) => stream.try_write(answer.as_bytes()),
                Socket::Tcp(stream) => stream.try_write(answer.as_bytes()),
                Socket::Tls(_) => return,
            };
        }
        Ok(place) => {
            tokio::spawn(async move {
                let told = async {
                    socket.write_all(answer.as_bytes()).await?;
                    socket.shutdown().await?;
                    // To close over unread bytes could take the answer back.
                    let mut request = [0; 4096];
                    while socket.read(&mut request).await? > 0 {}
                    io::Result::Ok(())
                };
                let _ = tokio::time::timeout(REFUSAL, told).await;
                drop(place);
            });
        }
    }
}

async fn connection(socket: Tolerant, engine: Arc<Engine>, mut ended: watch::Receiver<()>) {
    let peer = Peer::of(&socket);
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        let engine = Arc::clone(&engine);
        if let Some(peer) = &peer {
            request.extensions_mut().insert(peer.clone());
        }
        async move { Ok::<_, Infallible>(router::handle(&engine, request.map(RequestBody::Incoming)).await) }
    });
    let connection = http1::Builder::new()
        // Attached clients end their input and go on reading.
        .half_close(true)
        .title_case_headers(true)
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        _ = ended.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection broke");
    }
}
