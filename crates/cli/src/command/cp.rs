//! `cp`.

use std::io::{self, Read, Write};
use std::path::Path;

use base64::Engine as _;
use bytes::{Buf as _, Bytes};
use client::{Client, Method, Response, Upload};
use serde::Deserialize;
use tokio::sync::mpsc;

use super::common::{check_output_path, container_path};
use super::load::feed;
use super::{Args, Command};
use crate::Failure;
use crate::context::Context;
use crate::copy::{self, Extraction, Info, Source, split_entry};
use crate::flags::{Flag, Matches};
use crate::format::units::human_size;
use crate::stdio::output::{self, Stream};

/// `cp`.
pub static COMMAND: Command = Command {
    paths: &["container cp", "cp"],
    usage: "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-
	{program} cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
    about: "Copy files/folders between a container and the local filesystem

Use '-' as the source to read a tar archive from stdin
and extract it to a directory destination in a container.
Use '-' as the destination to stream a tar archive of a
container source to stdout.",
    flags: &[&[
        Flag::switch("archive", "Archive mode (copy all uid/gid information)").short('a'),
        Flag::switch("follow-link", "Always follow symbol link in SRC_PATH").short('L'),
        Flag::switch(
            "quiet",
            "Suppress progress output during copy. Progress output is automatically suppressed if no terminal is attached",
        )
        .short('q'),
    ]],
    interspersed: true,
    args: Args::Exactly(2),
    run,
};

/// Go's `os.FileMode` bits.
const DIRECTORY: u32 = 1 << 31;
const LINK: u32 = 1 << 27;
const DEVICE: u32 = 1 << 26;
/// Pieces in flight.
const IN_FLIGHT: usize = 4;

#[derive(Debug, Deserialize)]
struct PathStat {
    mode: u32,
    #[serde(rename = "linkTarget", default)]
    link_target: String,
}

struct Copy<'a> {
    context: &'a Context<'a>,
    client: &'a Client,
    container: &'a str,
    owners: bool,
    follow: bool,
    quiet: bool,
}

fn run(context: &Context, m: &Matches) -> Result<(), Failure> {
    let refused = |text: &str| Err(Failure::Invalid(text.to_owned()));
    let (source, destination) = (m.arg(0), m.arg(1));
    if source.is_empty() {
        return refused("source can not be empty");
    }
    if destination.is_empty() {
        return refused("destination can not be empty");
    }
    let (from, source) = copy::split_argument(source);
    let (to, destination) = copy::split_argument(destination);
    let container = match (from, to) {
        (Some(_), Some(_)) => return refused("copying between containers is not supported"),
        (None, None) => return refused("must specify at least one container source"),
        (Some(container), None) | (None, Some(container)) => container,
    };
    let work = Copy {
        context,
        client: context.client()?,
        container,
        owners: m.on("archive"),
        follow: m.on("follow-link"),
        quiet: m.on("quiet") || !context.output_is_terminal(),
    };
    context.wait(async {
        match from {
            Some(_) => work.copy_out(source, destination).await,
            None => work.copy_in(source, destination).await,
        }
    })
}

impl Copy<'_> {
    async fn stat(&self, path: &str) -> Result<PathStat, Failure> {
        let request = self.client.request(Method::HEAD, &container_path(self.container, "/archive"));
        path_stat(&request.query("path", path).send().await?)
    }

    /// From the container to here.
    async fn copy_out(&self, source: &str, destination: &str) -> Result<(), Failure> {
        let to_stdout = destination == "-";
        let destination = if to_stdout { "-".to_owned() } else { copy::resolve_local(destination)? };
        if !to_stdout {
            check_output_path(&destination)?;
        }
        let (source, rename) = self.followed(source).await;
        let request = self.client.get(&container_path(self.container, "/archive")).query("path", &source);
        let mut response = request.send().await?;
        let is_directory = path_stat(&response)?.mode & DIRECTORY != 0;
        if to_stdout {
            let failed = |source| Failure::Io { what: "write /dev/stdout".to_owned(), source };
            while let Some(bytes) = response.chunk().await? {
                output::write(Stream::Out, &bytes).map_err(failed)?;
            }
            return Ok(());
        }
        let source = Info { path: source, exists: true, is_directory, rename };
        let (directory, second) = copy::arrange(&source, &local_destination(&destination)?)?;
        let first = copy::Rename { old: split_entry(&source.path).1, new: source.rename.clone() };
        let renames = Some(first).filter(|_| !source.rename.is_empty()).into_iter().chain(second).collect();
        // Only who may give files away can take owners over.
        let owners = self.owners && rustix::process::geteuid().is_root();
        let plan = Extraction { directory: directory.into(), renames, owners };
        let (pieces, reader) = Pieces::channel();
        let extraction = tokio::task::spawn_blocking(move || copy::extract(&plan, reader));
        let received = receive(response, pieces).await;
        let extracted = extraction.await.unwrap_or_else(|panic| Err(panic.to_string()));
        extracted.map_err(Failure::Invalid)?;
        self.done(received?, &destination);
        Ok(())
    }

    /// What `-L` makes of a path in the container, and the name that the result keeps.
    async fn followed(&self, source: &str) -> (String, String) {
        if self.follow
            && let Ok(stat) = self.stat(source).await
            && stat.mode & LINK != 0
        {
            return copy::renamed(source, stat.link_target);
        }
        (source.to_owned(), String::new())
    }

    /// From here into the container.
    async fn copy_in(&self, source: &str, destination: &str) -> Result<(), Failure> {
        let mut target = Info { path: destination.to_owned(), ..Info::default() };
        let mut stat = self.stat(destination).await;
        if let Ok(PathStat { mode, link_target }) = &stat
            && mode & LINK != 0
        {
            target.path.clone_from(link_target);
            stat = self.stat(&target.path).await;
        }
        // What is not there may be made by the copy; whatever else is wrong, the engine will say it again.
        if let Ok(stat) = &stat {
            (target.exists, target.is_directory) = (true, stat.mode & DIRECTORY != 0);
            if stat.mode & DEVICE != 0 {
                let place = format!("{}:{destination}", self.container);
                let text = format!("destination {place:?} must be a directory or a regular file: got a device");
                return Err(Failure::Invalid(text));
            }
        }
        if source == "-" {
            if !target.is_directory {
                let place = format!("{}:{destination}", self.container);
                return Err(Failure::Invalid(format!("destination {place:?} must be a directory")));
            }
            return self.put(&target.path, feed(Box::new(io::stdin()))).await;
        }
        let info = copy::local_source(&copy::resolve_local(source)?, self.follow)?;
        let (directory, second) = copy::arrange(&info, &target)?;
        let (parent, name) = split_entry(&info.path);
        let first = copy::Rename { old: name.clone(), new: info.rename.clone() };
        let renames = Some(first).filter(|_| !info.rename.is_empty()).into_iter().chain(second).collect();
        let source = Source { directory: parent.into(), name, renames };
        let (mut writer, upload) = Upload::new();
        let packing = tokio::task::spawn_blocking(move || {
            let packed = copy::pack(&source, &mut writer);
            // A refusal that the engine has made meanwhile is the better explanation.
            let flushed = writer.flush();
            (packed.and(flushed.map_err(|error| copy::go_text(&error))), writer.total())
        });
        let answer = self.put(&directory, upload).await;
        let (packed, total) = packing.await.unwrap_or_else(|panic| (Err(panic.to_string()), 0));
        match (answer, packed) {
            (Ok(()), Ok(())) => {
                self.done(total, &format!("{}:{}", self.container, target.path));
                Ok(())
            }
            // The archive broke off here, which is why the engine did not like it.
            (_, Err(text)) if text != BROKEN => Err(Failure::Invalid(text)),
            (Err(error), _) => Err(error),
            (Ok(()), Err(text)) => Err(Failure::Invalid(text)),
        }
    }

    async fn put(&self, directory: &str, upload: Upload) -> Result<(), Failure> {
        let request = self.client.request(Method::PUT, &container_path(self.container, "/archive"));
        let request = request.query("path", directory).query("noOverwriteDirNonDir", "true");
        let request = if self.owners { request.query("copyUIDGID", "true") } else { request };
        Ok(request.upload(upload).done().await?)
    }

    fn done(&self, bytes: u64, place: &str) {
        if !self.quiet {
            self.context.complain(&format!("Successfully copied {} to {place}", human_size(bytes as f64, 3)));
        }
    }
}

/// Reads the header that every answer about a path has.
fn path_stat(response: &Response) -> Result<PathStat, Failure> {
    let header = response.header("x-docker-container-path-stat").unwrap_or_default();
    let json = base64::engine::general_purpose::STANDARD.decode(header).unwrap_or_default();
    serde_json::from_slice(&json)
        .map_err(|error| Failure::Invalid(format!("unable to decode container path stat header: {error}")))
}

/// Where a copy comes to lie here; a link is followed, even to what is not there yet.
fn local_destination(path: &str) -> Result<Info, Failure> {
    const MAX_LINKS: usize = 10;
    let failed = |path: &str, error: &io::Error| Failure::Invalid(format!("lstat {path}: {}", copy::go_text(error)));
    let mut path = path.to_owned();
    for _ in 0..=MAX_LINKS {
        match std::fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_symlink() => {
                let target = std::fs::read_link(&path).map_err(|error| failed(&path, &error))?;
                path = Path::new(&split_entry(&path).0).join(target).display().to_string();
            }
            Ok(metadata) => return Ok(Info { path, exists: true, is_directory: metadata.is_dir(), ..Info::default() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let parent = split_entry(&path).0;
                let metadata = std::fs::metadata(&parent).map_err(|error| failed(&parent, &error))?;
                if !metadata.is_dir() {
                    return Err(Failure::Invalid("not a directory".to_owned()));
                }
                return Ok(Info { path, ..Info::default() });
            }
            Err(error) => return Err(failed(&path, &error)),
        }
    }
    Err(Failure::Invalid(format!("too many symlinks in {path}")))
}

/// Passes an answer's body on to a thread; gives its length.
async fn receive(mut response: Response, pieces: mpsc::Sender<Bytes>) -> Result<u64, Failure> {
    let mut total = 0;
    while let Some(bytes) = response.chunk().await? {
        total += bytes.len() as u64;
        // The reader has ended: by its end mark, or by a failure that it tells itself.
        if pieces.send(bytes).await.is_err() {
            break;
        }
    }
    Ok(total)
}

/// A reader of what a task sends.
struct Pieces {
    pieces: mpsc::Receiver<Bytes>,
    current: Bytes,
}

impl Pieces {
    fn channel() -> (mpsc::Sender<Bytes>, Self) {
        let (sender, pieces) = mpsc::channel(IN_FLIGHT);
        (sender, Self { pieces, current: Bytes::new() })
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.current = piece,
                None => return Ok(0),
            }
        }
        let count = self.current.len().min(buffer.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

/// What the packer hears when the engine has answered before it was done.
const BROKEN: &str = "broken pipe";
