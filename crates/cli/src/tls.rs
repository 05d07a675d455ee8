//! Whether to speak TLS, and with which certificates: flags, environment, Docker's places.

use std::path::{Path, PathBuf};

use client::Tls;

use crate::flags::Matches;
use crate::{Environment, Failure};

/// What the global flags say about TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsChoice {
    tls: bool,
    /// `None` when the flag was not given.
    verify: Option<bool>,
    authority: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

/// The files to use.
#[derive(Debug, PartialEq, Eq)]
struct Files {
    authority: Option<PathBuf>,
    certificate: PathBuf,
    key: PathBuf,
    /// The user named certificate or key, so they must be there.
    named: bool,
}

// === impl TlsChoice ===

impl TlsChoice {
    /// Of the global flags.
    #[must_use]
    pub fn of(global: &Matches) -> Self {
        let path = |name: &str| global.maybe(name).map(PathBuf::from);
        Self {
            tls: global.on("tls"),
            verify: global.given("tlsverify").then(|| global.on("tlsverify")),
            authority: path("tlscacert"),
            certificate: path("tlscert"),
            key: path("tlskey"),
        }
    }

    /// Loads the certificates; `None` when TLS is not wanted. `directory` is where the user's settings are.
    ///
    /// # Errors
    /// For files that cannot be used.
    pub fn load(&self, environment: &Environment, directory: Option<&Path>) -> Result<Option<Tls>, Failure> {
        let Some(files) = self.files(environment, directory) else { return Ok(None) };
        let there = files.named || (files.certificate.exists() && files.key.exists());
        let identity = there.then_some((files.certificate.as_path(), files.key.as_path()));
        let loaded = Tls::load(files.authority.as_deref(), identity);
        loaded.map(Some).map_err(|error| {
            Failure::Invalid(format!("Failed to initialize: unable to resolve docker endpoint: {error}"))
        })
    }

    fn files(&self, environment: &Environment, directory: Option<&Path>) -> Option<Files> {
        let from_environment = environment.filled("DOCKER_TLS_VERIFY").is_some();
        let verify = self.verify.unwrap_or(from_environment);
        // Saying anything about verification asks for TLS, as in Docker.
        let wanted =
            self.tls || self.verify.is_some() || from_environment || environment.filled("DOCKER_TLS").is_some();
        if !wanted {
            return None;
        }
        let directory = environment.filled("DOCKER_CERT_PATH").map(Path::new).or(directory).unwrap_or(Path::new("/"));
        let path = |given: &Option<PathBuf>, name: &str| given.clone().unwrap_or_else(|| directory.join(name));
        Some(Files {
            authority: verify.then(|| path(&self.authority, "ca.pem")),
            certificate: path(&self.certificate, "cert.pem"),
            key: path(&self.key, "key.pem"),
            named: self.certificate.is_some() || self.key.is_some(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(choice: &TlsChoice, variables: &[(&str, &str)]) -> Option<Files> {
        let environment = Environment::new(variables.iter().map(|(name, value)| (name.into(), value.into())));
        choice.files(&environment, Some(Path::new("/home/.docker")))
    }

    #[test]
    fn flags_and_environment_choose() {
        assert_eq!(files(&TlsChoice::default(), &[]), None);
        let variables = [("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", "/certs")];
        let found = files(&TlsChoice::default(), &variables).expect("wanted");
        assert_eq!(found.authority.as_deref(), Some(Path::new("/certs/ca.pem")));
        let plain = TlsChoice { tls: true, key: Some("/k".into()), ..TlsChoice::default() };
        let found = files(&plain, &[]).expect("wanted");
        assert_eq!((found.authority, found.named), (None, true));
        assert_eq!(
            (found.certificate.as_path(), found.key.as_path()),
            (Path::new("/home/.docker/cert.pem"), Path::new("/k"))
        );
        let unverified = TlsChoice { verify: Some(false), ..TlsChoice::default() };
        assert_eq!(files(&unverified, &[("DOCKER_TLS_VERIFY", "1")]).expect("wanted").authority, None);
    }
}
