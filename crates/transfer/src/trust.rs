//! TLS with the authorities of one registry's certificate directory.
//!
//! What people put there is often the registry's own certificate, made by `openssl req -x509`, which calls itself an
//! authority. Strict verifiers refuse such a one at the end of a chain; Docker takes it, and so do we: a certificate
//! that was put there is trusted as it is, for the names in it.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, DigitallySignedStruct, InconsistentKeys, SignatureScheme};
use rustls_platform_verifier::Verifier;

/// What a registry's directory holds, as PEM texts.
#[derive(Default)]
pub(crate) struct Trust {
    /// Authorities.
    pub(crate) authorities: Vec<CertificateDer<'static>>,
    /// Who we are: a chain and its key.
    pub(crate) identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

/// Trusts the machine's authorities, the registry's, and the very certificates of the directory.
#[derive(Debug)]
struct Pinned {
    inner: Verifier,
    own: Vec<CertificateDer<'static>>,
    /// The configuration says not to look.
    blind: bool,
}

impl Trust {
    /// Adds the authorities of a PEM text.
    ///
    /// # Errors
    /// Why it is none.
    pub(crate) fn add_authorities(&mut self, pem: &[u8]) -> Result<(), String> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        self.authorities.extend(found.map_err(|error| error.to_string())?);
        Ok(())
    }

    /// Sets who we are.
    ///
    /// # Errors
    /// Why the texts are no certificate and key.
    pub(crate) fn set_identity(&mut self, certificate: &[u8], key: &[u8]) -> Result<(), String> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
        let chain = chain.map_err(|error| error.to_string())?;
        if chain.is_empty() {
            return Err("tls: failed to find any PEM data in certificate input".to_owned());
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| error.to_string())?;
        self.identity = Some((chain, key));
        Ok(())
    }

    /// The client side of TLS with all that. `blind` takes every certificate of the other side.
    ///
    /// # Errors
    /// When a certificate or key is of no use.
    pub(crate) fn client_config(self, blind: bool) -> Result<ClientConfig, String> {
        let provider = Arc::new(default_provider());
        let own = self.authorities.clone();
        let inner = Verifier::new_with_extra_roots(self.authorities, Arc::clone(&provider));
        let inner = inner.map_err(|error| error.to_string())?;
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| error.to_string())?;
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(Pinned { inner, own, blind }));
        match self.identity {
            Some((chain, key)) => Ok(builder.with_client_cert_resolver(Arc::new(identity(chain, key)?))),
            None => Ok(builder.with_no_client_auth()),
        }
    }
}

/// A certificate and its key. Certificates of version 1, which `openssl x509 -req` makes, are not ours to judge: the
/// registry takes them.
fn identity(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<SingleCertAndKey, String> {
    let key = default_provider().key_provider.load_private_key(key).map_err(|error| error.to_string())?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            Err("tls: private key does not match public key".to_owned())
        }
        _ => Ok(certified.into()),
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.blind {
            return Ok(ServerCertVerified::assertion());
        }
        if self.own.iter().any(|own| own.as_ref() == end_entity.as_ref()) {
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            return Ok(ServerCertVerified::assertion());
        }
        self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
