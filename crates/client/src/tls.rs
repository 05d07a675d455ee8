//! TLS to an engine: whom we trust, and who we are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// Certificates that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or does not hold what it should.
    #[error("{what} {:?}: {detail}", .path.display())]
    File {
        /// What was done with it.
        what: &'static str,
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// The parts do not fit together.
    #[error("could not set TLS up: {0}")]
    Setup(#[source] rustls::Error),
}

/// How to speak TLS to an engine.
#[derive(Clone, Debug)]
pub struct Tls {
    pub(crate) config: Arc<ClientConfig>,
}

/// Lets every engine in: TLS without `--tlsverify`, as in Docker.
#[derive(Debug)]
struct TrustAll(Arc<CryptoProvider>);

// === impl Tls ===

impl Tls {
    /// With `authority`, the engine's certificate must be signed by it and name the host; without, any will do.
    /// `identity` is our certificate and its key.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn load(authority: Option<&Path>, identity: Option<(&Path, &Path)>) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().map_err(TlsError::Setup)?;
        let builder = match authority {
            Some(path) => builder.with_root_certificates(roots(path)?),
            None => builder.dangerous().with_custom_certificate_verifier(Arc::new(TrustAll(provider))),
        };
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates("could not load X509 key pair", certificate)?;
                let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| TlsError::File {
                    what: "could not load X509 key pair",
                    path: key.to_owned(),
                    detail: error.to_string(),
                })?;
                builder.with_client_auth_cert(chain, secret).map_err(TlsError::Setup)?
            }
        };
        Ok(Self { config: Arc::new(config) })
    }
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("could not read CA certificate", path)? {
        roots.add(certificate).map_err(TlsError::Setup)?;
    }
    Ok(roots)
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |detail: String| TlsError::File { what, path: path.to_owned(), detail };
    let listed = CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))?;
    let listed: Vec<_> = listed.collect::<Result<_, _>>().map_err(|error| wrong(error.to_string()))?;
    if listed.is_empty() { Err(wrong("no certificate in the file".to_owned())) } else { Ok(listed) }
}

// === impl TrustAll ===

impl ServerCertVerifier for TrustAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
