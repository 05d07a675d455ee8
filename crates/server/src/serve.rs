//! Accepting connections and speaking HTTP/1.1 on them.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine::Engine;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::watch;

use crate::body::RequestBody;
use crate::hijack::Socket;
use crate::listen::{Accepted, Access, BindError, Listen, Listener};
use crate::router;
use crate::tolerant::Tolerant;

/// How long answers in progress may take once the daemon has been asked to end.
const GRACE: Duration = Duration::from_millis(300);
/// Pause after a failed accept, which mostly means that descriptors ran out.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// The API server, bound and not yet answering.
#[derive(Debug)]
pub struct Server {
    listeners: Vec<Listener>,
}

impl Server {
    /// Binds all addresses; none stays bound when one fails. Must run inside a tokio runtime.
    ///
    /// # Errors
    /// [`BindError`] of the first address that cannot be bound.
    pub fn bind(addresses: Vec<Listen>, access: &Access) -> Result<Self, BindError> {
        let bound = addresses.into_iter().map(|listen| Listener::bind(listen, access));
        Ok(Self { listeners: bound.collect::<Result<_, _>>()? })
    }

    /// Answers until `shutdown` completes, then lets answers in progress end. `shutdown` is first polled when every
    /// address answers.
    pub async fn serve(self, engine: Arc<Engine>, shutdown: impl Future<Output = ()>) {
        let (ending, ended) = watch::channel(());
        let mut paths = Vec::new();
        for listener in self.listeners {
            paths.extend(listener.own_path().map(Path::to_owned));
            tokio::spawn(accept(listener, Arc::clone(&engine), ended.clone()));
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

async fn accept(listener: Listener, engine: Arc<Engine>, mut ended: watch::Receiver<()>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = ended.changed() => return,
        };
        match accepted {
            Ok(Accepted::Ready(socket)) => {
                tokio::spawn(connection(socket, Arc::clone(&engine), ended.clone()));
            }
            Ok(Accepted::Secret(stream, tls)) => {
                let (engine, ended) = (Arc::clone(&engine), ended.clone());
                tokio::spawn(async move {
                    if let Some(stream) = tls.accept(stream).await {
                        connection(Socket::Tls(Box::new(stream)), engine, ended).await;
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

async fn connection(socket: Socket, engine: Arc<Engine>, mut ended: watch::Receiver<()>) {
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let engine = Arc::clone(&engine);
        async move { Ok::<_, Infallible>(router::handle(&engine, request.map(RequestBody::Incoming)).await) }
    });
    let connection = http1::Builder::new()
        // Attached clients end their input and go on reading.
        .half_close(true)
        .title_case_headers(true)
        .serve_connection(TokioIo::new(Tolerant::new(socket)), service)
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
