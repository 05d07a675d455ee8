//! TLS for the TCP listeners: our certificate, and who may connect.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long a client may take to agree on a key; one that only connects holds nothing for longer.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// First byte of a TLS handshake (RFC 8446, section 5.1).
const HANDSHAKE_RECORD: u8 = 22;
/// The answer Docker's users know for `http://` where `https://` is spoken.
const PLAIN: &[u8] = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// Certificates that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate or its key cannot be read.
    #[error("could not load X509 key pair (cert: {:?}, key: {:?}): {detail}", .certificate.display(), .key.display())]
    KeyPair {
        /// Path of the certificate.
        certificate: PathBuf,
        /// Path of the key.
        key: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// The authority of the clients cannot be read.
    #[error("could not read CA certificate {:?}: {detail}", .path.display())]
    Authority {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
}

/// What a TLS listener needs.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
}

// === impl Tls ===

impl Tls {
    /// Loads our certificate (PEM, with its chain) and key. With `clients`, only clients with a certificate that this
    /// authority signed get in.
    ///
    /// # Errors
    /// [`TlsError`] for files that cannot be read or do not fit.
    pub fn load(certificate: &Path, key: &Path, clients: Option<&Path>) -> Result<Self, TlsError> {
        let pair =
            |detail: String| TlsError::KeyPair { certificate: certificate.to_owned(), key: key.to_owned(), detail };
        let chain = certificates(certificate).map_err(&pair)?;
        let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| pair(format!("{}: {error}", key.display())))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| pair(error.to_string()))?;
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let authority = |detail: String| TlsError::Authority { path: path.to_owned(), detail };
                let mut roots = RootCertStore::empty();
                for root in certificates(path).map_err(authority)? {
                    roots.add(root).map_err(|error| authority(error.to_string()))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|error| authority(error.to_string()))?)
            }
        };
        let config = builder.with_single_cert(chain, secret).map_err(|error| pair(error.to_string()))?;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    /// Agrees on a key with the client. `None` when it went away or does not get in; it was told.
    pub(crate) async fn accept(&self, mut stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        let mut first = [0];
        let shake = async {
            if stream.peek(&mut first).await? == 1 && first[0] != HANDSHAKE_RECORD {
                return refuse_plain(&mut stream).await.map(|()| None);
            }
            self.acceptor.accept(stream).await.map(Some)
        };
        match tokio::time::timeout(HANDSHAKE, shake).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::debug!(%error, "TLS handshake error");
                None
            }
            Err(_) => None,
        }
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// Says what is wrong and reads what the client still sends: closing over unread bytes would take the answer back.
async fn refuse_plain(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(PLAIN).await?;
    stream.shutdown().await?;
    let mut rest = [0; 4096];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let named = |detail: String| format!("{}: {detail}", path.display());
    let listed = CertificateDer::pem_file_iter(path).map_err(|error| named(error.to_string()))?;
    let listed: Vec<_> = listed.collect::<Result<_, _>>().map_err(|error| named(error.to_string()))?;
    if listed.is_empty() { Err(named("no certificate in the file".to_owned())) } else { Ok(listed) }
}
