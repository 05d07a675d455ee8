//! What a build is made from: a directory of files, and the Dockerfile in it.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use build::ignore::Ignore;
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags};
use store::assemble::{is_archive, sources};
use store::{Scratch, Store};

use super::BuildContext;
use super::git::Repository;
use crate::engine::Engine;
use crate::error::Error;

/// A Dockerfile is never larger.
const LIMIT: u64 = 16 << 20;
/// The name of a Dockerfile that nobody has named.
const DOCKERFILE: &str = "Dockerfile";
/// What is left out.
const DOCKERIGNORE: &str = ".dockerignore";

/// The files of a build; they go with it.
pub(super) struct Context {
    root: OwnedFd,
    /// As the user named it.
    name: String,
    text: Vec<u8>,
    scratch: Option<Scratch>,
    store: Store,
}

impl Context {
    /// Brings the files here and reads the Dockerfile.
    pub(super) async fn open(engine: &Arc<Engine>, from: BuildContext, name: &str) -> Result<Self, Error> {
        let name = if name.is_empty() { DOCKERFILE } else { name }.to_owned();
        let store = engine.store.clone();
        match from {
            BuildContext::Archive(mut archive) => {
                let open = move || {
                    let scratch = store.unpack_context(&mut archive)?;
                    Self::read(store, scratch, name, None)
                };
                engine.blocking(open).await
            }
            BuildContext::Remote(address) => match Repository::parse(&address) {
                Some(repository) => {
                    let clone = move || {
                        let scratch = store.scratch("git")?;
                        let root = repository.clone_into(&scratch)?;
                        Self::read(store, scratch, name, Some(&root))
                    };
                    engine.blocking(clone).await
                }
                None if address.starts_with("http://") || address.starts_with("https://") => {
                    let (file, scratch) = download(engine, &address).await?;
                    engine.blocking(move || Self::of_file(store, file, scratch, name)).await
                }
                None => Err(Error::BuildContext(format!("remoteURL ({address}) could not be recognized as URL"))),
            },
        }
    }

    /// An archive is a context, anything else a Dockerfile without files.
    fn of_file(store: Store, mut file: File, scratch: Scratch, name: String) -> Result<Self, Error> {
        let failed = || Error::file("read", "the context");
        file.rewind().map_err(failed())?;
        if is_archive(&mut file) {
            file.rewind().map_err(failed())?;
            let scratch = store.unpack_context(&mut file)?;
            return Self::read(store, scratch, name, None);
        }
        drop(scratch);
        file.rewind().map_err(failed())?;
        let scratch = store.scratch("context")?;
        let mut text = Vec::new();
        file.take(LIMIT).read_to_end(&mut text).map_err(failed())?;
        let path = scratch.path().join(DOCKERFILE);
        std::fs::write(&path, text).map_err(Error::file("write", &path))?;
        Self::read(store, scratch, DOCKERFILE.to_owned(), None)
    }

    /// `below`: the part of the directory that is the context.
    fn read(store: Store, scratch: Scratch, name: String, below: Option<&str>) -> Result<Self, Error> {
        let directory = match below {
            None => scratch.path().to_owned(),
            Some(below) => scratch.path().join(below),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(&directory, flags, Mode::empty())
            .map_err(io::Error::from)
            .map_err(Error::file("open", &directory))?;
        let mut found = sources::find(root.as_fd(), &escaped(&name));
        if name == DOCKERFILE && matches!(found, Err(store::Error::NoSuchPath)) {
            // As it was written long ago.
            found = sources::find(root.as_fd(), "dockerfile");
        }
        let missing = || Error::BuildContext(format!("Cannot locate specified Dockerfile: {name}"));
        let file = match found {
            Ok(found) => found.first().filter(|found| !found.is_directory()).ok_or_else(missing)?.open()?,
            Err(store::Error::NoSuchPath) => return Err(missing()),
            Err(error) => return Err(error.into()),
        };
        let mut text = Vec::new();
        file.take(LIMIT).read_to_end(&mut text).map_err(Error::file("read", &name))?;
        hide_own_files(root.as_fd(), &name)?;
        Ok(Self { root, name, text, scratch: Some(scratch), store })
    }

    /// The directory.
    pub(super) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// The Dockerfile as the user named it.
    pub(super) fn dockerfile_name(&self) -> String {
        self.name.clone()
    }

    /// Its text.
    pub(super) fn dockerfile_text(&self) -> &[u8] {
        &self.text
    }
}

/// Steps do not see the Dockerfile and the `.dockerignore` when the latter says so. Everything else it names has been
/// left out by the client, as with Docker.
fn hide_own_files(root: BorrowedFd<'_>, dockerfile: &str) -> Result<(), Error> {
    let Ok(found) = sources::find(root, DOCKERIGNORE) else { return Ok(()) };
    let Some(Ok(file)) = found.first().filter(|found| !found.is_directory()).map(sources::Found::open) else {
        return Ok(());
    };
    let mut text = Vec::new();
    file.take(LIMIT).read_to_end(&mut text).map_err(Error::file("read", DOCKERIGNORE))?;
    let ignore = Ignore::parse(&text).map_err(|error| Error::BuildContext(format!("{DOCKERIGNORE}: {error}")))?;
    for name in [DOCKERIGNORE, dockerfile].into_iter().filter(|name| ignore.ignores(name)) {
        let path = Path::new(name);
        let (Some(parent), Some(file)) = (path.parent(), path.file_name()) else { continue };
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        // No link of the context may lead to a file of somebody else.
        let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        if let Ok(parent) = rustix::fs::openat2(root, parent, flags, Mode::empty(), within) {
            // One that is not there, or a directory, is not what is meant.
            let _ = rustix::fs::unlinkat(&parent, file, AtFlags::empty());
        }
    }
    Ok(())
}

impl Drop for Context {
    fn drop(&mut self) {
        // The client waits for the end of the build, not for that of ten thousand files.
        if let Some(Err(error)) = self.scratch.take().map(|scratch| scratch.discard(&self.store)) {
            tracing::warn!(error = &error as &dyn std::error::Error, "the context of a build is still there");
        }
    }
}

/// A name is no pattern.
fn escaped(name: &str) -> String {
    let special = |letter: char| matches!(letter, '*' | '?' | '[' | '\\');
    name.chars().flat_map(|letter| special(letter).then_some('\\').into_iter().chain([letter])).collect()
}

async fn download(engine: &Arc<Engine>, address: &str) -> Result<(File, Scratch), Error> {
    let scratch = engine.store.scratch("remote")?;
    let path = scratch.path().join("content");
    let mut file =
        File::options().read(true).write(true).create_new(true).open(&path).map_err(Error::file("create", &path))?;
    let mut remote = transfer::Remote::open(address, &engine.registries()).await?;
    while let Some(piece) = remote.next().await? {
        file.write_all(&piece).map_err(Error::file("write", &path))?;
    }
    Ok((file, scratch))
}
