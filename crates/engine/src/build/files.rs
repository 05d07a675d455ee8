//! COPY and ADD: sources are looked up and digested, then written into a layer.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::path::{Path, PathBuf};

use build::solve::{Content, Origin, Sources, Target};
use store::assemble::{Attributes, LayerWriter, digest, is_archive, place, sources};
use store::{ImageId, Layer};
use types::Digest;

use super::worker::{EngineWorker, new_directory};
use crate::error::Error;

/// What a step copies.
pub(super) struct Found {
    origin: Origin<ImageId>,
    items: Vec<Item>,
}

enum Item {
    /// A path of the origin, as it was found.
    Path {
        path: PathBuf,
        /// Unpacked into the destination.
        unpack: bool,
    },
    /// A file of ours.
    File { name: String, file: File, size: u64, mode: u32, modified: u64, unpack: bool },
}

/// A source while it is looked up: what it is, and the text of its content.
type Digested = (String, Item);

impl Found {
    pub(super) fn count(&self) -> usize {
        self.items.len()
    }
}

impl EngineWorker {
    pub(super) fn find_files(&mut self, wanted: &Sources<ImageId>) -> Result<(String, Found), Error> {
        let found = match &wanted.origin {
            Origin::Context => self.find_in(self.context.root(), wanted)?,
            Origin::Image(image) => {
                let top = self.top(image.as_ref())?;
                self.engine.store.with_image(top, |root| self.find_in(root, wanted))??
            }
        };
        let (digests, items): (Vec<String>, Vec<Item>) = found.into_iter().unzip();
        let digest = match &digests[..] {
            [only] => only.clone(),
            many => format!("multi:{}", hash(&many.join(",")).hex()),
        };
        Ok((digest, Found { origin: wanted.origin.clone(), items }))
    }

    fn find_in(&self, root: BorrowedFd<'_>, wanted: &Sources<ImageId>) -> Result<Vec<Digested>, Error> {
        let mut all = Vec::new();
        for content in &wanted.contents {
            match content {
                Content::Path(path) => {
                    for found in find_paths(root, path, wanted)? {
                        check(wanted.checksum.as_deref(), &found)?;
                        let unpack = wanted.unpack.unwrap_or(wanted.is_add) && unpacks(&found);
                        let digest = found.digest(matches!(wanted.origin, Origin::Image(_)))?;
                        all.push((digest, Item::Path { path: found.path, unpack }));
                    }
                }
                Content::Url(url) => all.push(self.download(url, wanted)?),
                Content::Inline(name, text) => all.push(self.inline(name, text)?),
            }
        }
        Ok(all)
    }

    /// A file with no name, whose space is free when it is closed.
    fn anonymous(&self) -> Result<File, Error> {
        let scratch = self.engine.store.scratch("file")?;
        let path = scratch.path().join("content");
        let options = || File::options().read(true).write(true).create_new(true).open(&path);
        options().map_err(Error::file("create", &path))
    }

    fn inline(&self, name: &str, text: &str) -> Result<Digested, Error> {
        let mut file = self.anonymous()?;
        file.write_all(text.as_bytes()).map_err(Error::file("write", name))?;
        let digest = format!("file:{}", hash(&format!("{name}\0{text}")).hex());
        let (size, modified) = (text.len() as u64, new_directory((0, 0)).modified);
        Ok((digest, Item::File { name: name.to_owned(), file, size, mode: 0o644, modified, unpack: false }))
    }

    fn download(&self, url: &str, wanted: &Sources<ImageId>) -> Result<Digested, Error> {
        let mut file = self.anonymous()?;
        let (size, modified) = self.block_on(self.fetch(url, &mut file))?;
        let digest = digest_of(&mut file)?;
        if let Some(checksum) = &wanted.checksum {
            compare(checksum, &digest)?;
        }
        let unpack = wanted.unpack == Some(true) && is_archive(&mut rewound(&file)?);
        // The name may be part of what is made, the time never is.
        let name = url.split(['?', '#']).next().and_then(|path| path.splitn(4, '/').nth(3));
        let name = name.and_then(|path| path.rsplit('/').next()).unwrap_or_default().to_owned();
        let text = format!("file:{}", hash(&format!("{name}\0{digest}")).hex());
        Ok((text, Item::File { name, file, size, mode: 0o600, modified, unpack }))
    }

    /// Size, and when it was changed.
    async fn fetch(&self, url: &str, file: &mut File) -> Result<(u64, u64), Error> {
        let mut remote = transfer::Remote::open(url, &self.engine.registries()).await?;
        let modified = remote.header("last-modified").and_then(|text| {
            let time = jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_second();
            u64::try_from(time).ok()
        });
        let mut size = 0;
        loop {
            let piece = tokio::select! {
                piece = remote.next() => piece?,
                () = self.sender.closed() => return Err(Error::ShuttingDown),
            };
            let Some(piece) = piece else { return Ok((size, modified.unwrap_or_default())) };
            size += piece.len() as u64;
            file.write_all(&piece).map_err(Error::file("write", url))?;
        }
    }

    pub(super) fn copy_files(&self, parent: Option<&ImageId>, found: &Found, target: &Target) -> Result<Layer, Error> {
        let top = self.top(parent)?;
        let store = &self.engine.store;
        let work = |image: BorrowedFd<'_>| -> Result<Layer, Error> {
            let owner = match &target.owner {
                Some(text) => super::owner::resolve(image, text)?,
                None => (0, 0),
            };
            let place = place::find(image, target.path.as_ref()).map_err(copy_failed)?;
            let write = |root: BorrowedFd<'_>| {
                store.write_layer(&self.lease, top, |layer| {
                    let made = BTreeSet::new();
                    let mut copy = CopyStep { layer, image, root, place: &place, target, owner, made };
                    found.items.iter().try_for_each(|item| copy.item(item))
                })
            };
            let layer = match &found.origin {
                Origin::Context => write(self.context.root()),
                Origin::Image(source) => {
                    let source = self.top(source.as_ref())?;
                    store.with_image(source, write)?
                }
            };
            layer.map_err(copy_failed)
        };
        store.with_image(top, work)?
    }
}

/// One step's writing.
struct CopyStep<'a, 'w> {
    layer: &'a mut LayerWriter<'w>,
    /// The image below.
    image: BorrowedFd<'a>,
    /// Where paths come from.
    root: BorrowedFd<'a>,
    place: &'a place::Place,
    target: &'a Target,
    owner: (u32, u32),
    /// Directories that were written.
    made: BTreeSet<PathBuf>,
}

impl CopyStep<'_, '_> {
    fn item(&mut self, item: &Item) -> store::Result<()> {
        match item {
            Item::File { name, file, size, mode, modified, unpack } => {
                let mut file = rewound(file).map_err(|error| store::Error::Stream(std::io::Error::other(error)))?;
                if *unpack {
                    self.directories(true, (0, 0))?;
                    return self.layer.archive(self.image, &self.place.path, &mut file);
                }
                let path = self.file_path(name)?;
                let mode = self.target.mode.unwrap_or(*mode);
                let attributes = Attributes { mode, owner: self.owner, modified: *modified };
                self.layer.file(&path, attributes, *size, &mut file)
            }
            Item::Path { path, unpack } => {
                let path = path.to_string_lossy();
                let found = sources::find_exact(self.root, path.as_ref().as_ref())?;
                if *unpack {
                    self.directories(true, (0, 0))?;
                    return self.layer.archive(self.image, &self.place.path, &mut found.open()?);
                }
                let owner = (!self.target.keep_owners).then_some(self.owner);
                if found.is_directory() {
                    self.directories(false, self.owner)?;
                    return self.layer.copy(&found, &self.place.path, owner, self.target.mode);
                }
                let name = found.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let path = self.file_path(&name)?;
                self.layer.copy(&found, &path, owner, self.target.mode)
            }
        }
    }

    /// Where a file of that name goes; the directories above it are made.
    fn file_path(&mut self, name: &str) -> store::Result<PathBuf> {
        if !self.place.is_directory && !self.target.path.ends_with('/') {
            for parent in &self.place.missing {
                make(self.layer, &mut self.made, parent, self.owner)?;
            }
            return Ok(self.place.path.clone());
        }
        if name.is_empty() {
            let text = "cannot determine filename: the source names none and the destination is a directory";
            return Err(store::Error::Document { what: "source".to_owned(), reason: text.to_owned() });
        }
        self.directories(true, self.owner)?;
        Ok(self.place.path.join(name))
    }

    /// Makes the destination a directory. Those above it belong to root when it is one that is copied.
    fn directories(&mut self, all: bool, owner: (u32, u32)) -> store::Result<()> {
        if self.place.is_directory {
            return Ok(());
        }
        if self.place.exists {
            return Err(place::in_the_way("mkdir", &self.place.path));
        }
        for parent in &self.place.missing {
            make(self.layer, &mut self.made, parent, if all { owner } else { (0, 0) })?;
        }
        make(self.layer, &mut self.made, &self.place.path, owner)
    }
}

fn make(
    layer: &mut LayerWriter<'_>,
    made: &mut BTreeSet<PathBuf>,
    path: &Path,
    owner: (u32, u32),
) -> store::Result<()> {
    if !made.insert(path.to_owned()) {
        return Ok(());
    }
    layer.directory(path, new_directory(owner))
}

fn copy_failed(error: store::Error) -> Error {
    let mut text = format!("failed to copy files: {error}");
    if let Some(source) = std::error::Error::source(&error) {
        text = format!("{text}: {source}");
    }
    Error::BuildFiles(text)
}

/// What a path or pattern of the Dockerfile means below the root.
fn find_paths(root: BorrowedFd<'_>, path: &str, wanted: &Sources<ImageId>) -> Result<Vec<sources::Found>, Error> {
    let in_context = matches!(wanted.origin, Origin::Context);
    let mut depth = 0i32;
    for part in path.split('/') {
        depth += match part {
            "" | "." => 0,
            ".." => -1,
            _ => 1,
        };
        if in_context && depth < 0 {
            return Err(Error::BuildFiles(format!("forbidden path outside the build context: {path} ()")));
        }
    }
    sources::find(root, path).map_err(|error| match error {
        store::Error::NoSuchPath => {
            let shown = path.trim_start_matches("./").trim_start_matches('/').trim_end_matches('/');
            let hint = if in_context { "file not found in build context or excluded by .dockerignore: " } else { "" };
            Error::BuildFiles(format!("{hint}stat {shown}: file does not exist"))
        }
        store::Error::Document { reason, .. } => Error::BuildFiles(reason),
        error => error.into(),
    })
}

fn unpacks(found: &sources::Found) -> bool {
    !found.is_directory() && found.open().is_ok_and(|mut file| is_archive(&mut file))
}

/// Holds a file of the context against `--checksum`.
fn check(checksum: Option<&str>, found: &sources::Found) -> Result<(), Error> {
    match checksum {
        None => Ok(()),
        Some(checksum) => compare(checksum, &digest_of(&mut found.open()?)?),
    }
}

fn compare(checksum: &str, found: &Digest) -> Result<(), Error> {
    let wanted: Digest = checksum.parse().map_err(|error| Error::BuildFiles(format!("{error}: {checksum}")))?;
    if wanted == *found {
        return Ok(());
    }
    Err(Error::BuildFiles(format!("digest mismatch {found}: {wanted}")))
}

fn digest_of(file: &mut File) -> Result<Digest, Error> {
    file.rewind().map_err(Error::file("read", "the file"))?;
    let digest = digest(file)?;
    file.rewind().map_err(Error::file("read", "the file"))?;
    Ok(digest)
}

/// The same file from its beginning, with a position of its own.
fn rewound(file: &File) -> Result<File, Error> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    File::open(&path).map_err(Error::file("open", &path))
}

fn hash(text: &str) -> Digest {
    store::assemble::digest_of_text(text)
}
