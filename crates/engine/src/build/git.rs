//! Contexts that are git repositories: `https://host/x.git#ref:directory`. The work is git's own; it gets an empty
//! configuration, no terminal, and only the protocols that fetch from other machines.

use std::path::{Component, Path};
use std::process::{Command, Stdio};

use store::Scratch;

use crate::error::Error;

/// A repository, and what of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Repository {
    url: String,
    reference: String,
    directory: String,
}

impl Repository {
    /// `None` for the address of something else.
    pub(super) fn parse(address: &str) -> Option<Self> {
        let (url, fragment) = address.split_once('#').unwrap_or((address, ""));
        let is_web = url.starts_with("http://") || url.starts_with("https://");
        let is_git = ["git://", "ssh://", "git@"].iter().any(|prefix| url.starts_with(prefix));
        let is_github = url.starts_with("github.com/");
        if !(is_git || is_github || (is_web && url.ends_with(".git"))) {
            return None;
        }
        let (reference, directory) = fragment.split_once(':').unwrap_or((fragment, ""));
        let url = if is_github { format!("https://{url}") } else { url.to_owned() };
        Some(Self { url, reference: reference.to_owned(), directory: directory.to_owned() })
    }

    /// Fetches it; gives the context's directory below the scratch directory.
    pub(super) fn clone_into(&self, scratch: &Scratch) -> Result<String, Error> {
        let refused = |text: &str| Error::BuildContext(format!("unable to prepare context: {text}"));
        if self.reference.starts_with('-') || self.url.starts_with('-') {
            return Err(refused("a reference or an address cannot begin with a dash"));
        }
        let wanted = if self.reference.is_empty() { "HEAD" } else { &self.reference };
        let work = scratch.path().join("work");
        std::fs::create_dir(&work).map_err(Error::file("create", &work))?;
        git(&work, &["init", "--quiet"])?;
        git(&work, &["remote", "add", "origin", "--", &self.url])?;
        if git(&work, &["fetch", "--quiet", "--depth", "1", "origin", "--", wanted]).is_ok() {
            git(&work, &["checkout", "--quiet", "FETCH_HEAD"])?;
        } else {
            // Not every server gives a single commit by its name.
            git(&work, &["fetch", "--quiet", "--tags", "origin"])?;
            let branch = format!("origin/{wanted}");
            git(&work, &["checkout", "--quiet", "--detach", wanted])
                .or_else(|_| git(&work, &["checkout", "--quiet", "--detach", &branch]))?;
        }
        git(&work, &["submodule", "update", "--init", "--recursive", "--depth=1"])?;
        let below = Path::new(self.directory.trim_start_matches('/'));
        if below.components().any(|part| matches!(part, Component::ParentDir)) {
            return Err(refused("the directory leads out of the repository"));
        }
        let full = work.join(below).canonicalize().map_err(Error::file("open", below))?;
        let root = work.canonicalize().map_err(Error::file("open", &work))?;
        if !full.starts_with(&root) || !full.is_dir() {
            return Err(refused(&format!("{}: not a directory of the repository", self.directory)));
        }
        Ok(Path::new("work").join(below).display().to_string())
    }
}

fn git(directory: &Path, arguments: &[&str]) -> Result<(), Error> {
    let mut command = Command::new("git");
    command
        .args(["-c", "protocol.allow=never", "-c", "protocol.https.allow=always", "-c", "protocol.http.allow=always"])
        .args(["-c", "protocol.git.allow=always", "-c", "protocol.ssh.allow=always", "-c", "core.hooksPath=/dev/null"])
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .env_remove("GIT_DIR")
        .env("HOME", directory)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes");
    let output = command.output().map_err(|error| {
        Error::BuildContext(format!("unable to prepare context: git is needed for this address: {error}"))
    })?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let verb = arguments.first().copied().unwrap_or_default();
    Err(Error::BuildContext(format!("unable to prepare context: git {verb}: {}", text.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_repositories_are_told_from_others() {
        let parsed = |text: &str| Repository::parse(text).map(|it| (it.url, it.reference, it.directory));
        let expected = |url: &str, reference: &str, directory: &str| {
            Some((url.to_owned(), reference.to_owned(), directory.to_owned()))
        };
        assert_eq!(parsed("https://h/x.git"), expected("https://h/x.git", "", ""));
        assert_eq!(parsed("https://h/x.git#v1:sub"), expected("https://h/x.git", "v1", "sub"));
        assert_eq!(parsed("git@h:x.git#:sub"), expected("git@h:x.git", "", "sub"));
        assert_eq!(parsed("github.com/a/b"), expected("https://github.com/a/b", "", ""));
        assert_eq!(parsed("https://h/x.tar.gz"), None);
        assert_eq!(parsed("foo"), None);
    }
}
