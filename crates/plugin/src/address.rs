//! Where plugins are found: sockets in one directory, files that name an address in two others.

use std::collections::BTreeSet;
use std::fmt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::PluginError;

/// Where to look.
#[derive(Clone, Debug)]
pub struct Directories {
    /// `<name>.sock` or `<name>/<name>.sock`.
    pub sockets: PathBuf,
    /// `<name>.spec` or `<name>.json`, or in a directory of that name.
    pub specifications: Vec<PathBuf>,
}

/// How a plugin is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Unix(PathBuf),
    /// `host:port`.
    Tcp(String),
}

/// A `.json` file.
#[derive(Deserialize)]
struct Specification {
    #[serde(default, rename = "Addr")]
    address: String,
    #[serde(default, rename = "TLSConfig")]
    tls: Option<serde_json::Value>,
}

impl Default for Directories {
    /// Docker's own.
    fn default() -> Self {
        Self {
            sockets: "/run/docker/plugins".into(),
            specifications: vec!["/etc/docker/plugins".into(), "/usr/lib/docker/plugins".into()],
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

impl Directories {
    /// The address of a plugin.
    pub(crate) fn find(&self, name: &str) -> Result<Address, PluginError> {
        let missing = || PluginError::Missing(name.to_owned());
        // A name is one component of a path.
        if name.is_empty() || matches!(name, "." | "..") || name.contains(['/', '\0']) {
            return Err(missing());
        }
        let is_socket = |path: &PathBuf| path.metadata().is_ok_and(|found| found.file_type().is_socket());
        if let Some(path) = places(&self.sockets, name, "sock").into_iter().find(is_socket) {
            return Ok(Address::Unix(path));
        }
        let files = self
            .specifications
            .iter()
            .flat_map(|directory| places(directory, name, "spec").into_iter().chain(places(directory, name, "json")));
        let path = files.into_iter().find(|path| path.is_file()).ok_or_else(missing)?;
        read(&path).map_err(|reason| PluginError::BadSpecification {
            name: name.to_owned(),
            path: path.display().to_string(),
            reason,
        })
    }
}

impl Directories {
    /// The names of all that is there, in the order of the alphabet.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        let kinds = self.specifications.iter().map(|directory| (directory, &["spec", "json"][..]));
        for (directory, extensions) in std::iter::once((&self.sockets, &["sock"][..])).chain(kinds) {
            let Ok(entries) = std::fs::read_dir(directory) else { continue };
            for entry in entries.flatten() {
                let path = entry.path();
                let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
                let named = path.extension().is_some_and(|found| extensions.iter().any(|known| found == *known));
                // What is in a directory of the plugin's name is found by that name.
                match entry.file_name().into_string() {
                    Ok(name) if !named && path.is_dir() => drop(names.insert(name)),
                    _ if named => drop(names.insert(stem.to_owned())),
                    _ => {}
                }
            }
        }
        names
    }
}

fn places(directory: &Path, name: &str, extension: &str) -> [PathBuf; 2] {
    let file = format!("{name}.{extension}");
    [directory.join(&file), directory.join(name).join(file)]
}

fn read(path: &Path) -> Result<Address, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    if path.extension().is_none_or(|extension| extension != "json") {
        return parse(text.trim());
    }
    let found: Specification = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    if found.tls.is_some_and(|tls| tls != serde_json::Value::Null) {
        return Err("plugins over TLS (TLSConfig) are not supported; name a unix:// or tcp:// address alone".to_owned());
    }
    parse(&found.address)
}

fn parse(text: &str) -> Result<Address, String> {
    match text.split_once("://") {
        Some(("unix", path)) if path.starts_with('/') => Ok(Address::Unix(path.into())),
        Some(("tcp" | "http", address)) if address.contains(':') => {
            Ok(Address::Tcp(address.trim_end_matches('/').to_owned()))
        }
        Some((scheme @ ("unix" | "tcp" | "http"), _)) => Err(format!("{text:?} is no address of the kind {scheme}")),
        _ => Err(format!("{text:?} is no address: it begins with unix:// or tcp://")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_a_socket_or_a_file_that_names_one() {
        let root = tempfile::tempdir().expect("directory");
        let (sockets, specs) = (root.path().join("run"), root.path().join("etc"));
        std::fs::create_dir_all(sockets.join("deep")).expect("made");
        std::fs::create_dir_all(&specs).expect("made");
        let here = Directories { sockets: sockets.clone(), specifications: vec![specs.clone()] };
        let _first = std::os::unix::net::UnixListener::bind(sockets.join("first.sock")).expect("bound");
        let _deep = std::os::unix::net::UnixListener::bind(sockets.join("deep/deep.sock")).expect("bound");
        std::fs::write(sockets.join("file.sock"), "").expect("written");
        std::fs::write(specs.join("second.spec"), "tcp://127.0.0.1:9000\n").expect("written");
        std::fs::write(specs.join("third.json"), r#"{"Name":"third","Addr":"unix:///a.sock"}"#).expect("written");
        std::fs::write(specs.join("tls.json"), r#"{"Addr":"tcp://h:1","TLSConfig":{}}"#).expect("written");
        std::fs::write(specs.join("bad.spec"), "nonsense").expect("written");
        let found = |name: &str| here.find(name).map(|address| address.to_string());
        assert_eq!(found("first").expect("found"), format!("unix://{}", sockets.join("first.sock").display()));
        assert_eq!(found("deep").expect("found"), format!("unix://{}", sockets.join("deep/deep.sock").display()));
        assert_eq!(found("second").expect("found"), "tcp://127.0.0.1:9000");
        assert_eq!(found("third").expect("found"), "unix:///a.sock");
        for name in ["tls", "bad"] {
            assert!(matches!(found(name), Err(PluginError::BadSpecification { .. })), "{name}");
        }
        assert!(here.names().iter().eq(["bad", "deep", "file", "first", "second", "third", "tls"]));
        for name in ["file", "none", "../run/first", ""] {
            assert!(matches!(found(name), Err(PluginError::Missing(_))), "{name}");
        }
    }
}
