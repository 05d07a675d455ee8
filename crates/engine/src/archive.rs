//! `docker cp`: files of a container as archives, in and out.
//!
//! A container that runs is reached through its process's root, so that everything mounted into it is seen. One that
//! does not run is mounted for the moment, where nobody else sees it.

use std::fs::File;
use std::io::{Read, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use store::files::{self, Extract, PathStat};
use store::{Access, ChainId, Shift, ViewMount, ViewSource};
use tokio::sync::{OwnedMutexGuard, mpsc, oneshot};

use crate::container::Container;
use crate::engine::Engine;
use crate::error::{Error, Invalid};
use crate::images::ChannelWriter;
use crate::model::{ContainerSpec, ContainerState, MountPoint, NamespaceMode};
use crate::start;

/// A file or directory on its way out.
#[derive(Debug)]
pub struct Archive {
    /// About what the path leads to.
    pub stat: PathStat,
    /// The tar stream.
    pub content: mpsc::Receiver<Bytes>,
}

/// How to put an archive into a container.
#[derive(Clone, Copy, Debug, Default)]
pub struct PutArchive {
    /// A directory may not become something else, nor the other way round.
    pub keep_kinds: bool,
    /// Everything gets the container's user as its owner, when it has one.
    pub copy_owner: bool,
}

/// A container's files, as the work on them finds them.
struct Files<'a> {
    root: BorrowedFd<'a>,
    shift: Option<Shift>,
    running: bool,
}

/// The unread rest of a refused upload that is read all the same, so that the client comes to read the refusal.
const REST: u64 = 256 * 1024;

// === impl Engine ===

impl Engine {
    /// Tells what a path in a container leads to.
    ///
    /// # Errors
    /// [`Error::NoSuchContainer`], [`Error::NoSuchPath`].
    pub async fn archive_stat(self: &Arc<Self>, name: &str, path: &str) -> Result<PathStat, Error> {
        let container = self.containers.find(name)?;
        let (engine, wanted) = (Arc::clone(self), path.to_owned());
        let found = self.blocking(move || {
            engine.with_files(&container, Access::Read, |files| Ok(files::locate(files.root, &wanted)?.stat()))
        });
        found.await.map_err(|error| named(error, name, path))
    }

    /// Reads a file or directory of a container.
    ///
    /// # Errors
    /// As [`Self::archive_stat`]; a failure later ends the stream early and is logged.
    pub async fn archive_get(self: &Arc<Self>, name: &str, path: &str) -> Result<Archive, Error> {
        let container = self.containers.find(name)?;
        let (engine, wanted) = (Arc::clone(self), path.to_owned());
        let (answer, found) = oneshot::channel();
        let (mut writer, content) = ChannelWriter::new();
        tokio::task::spawn_blocking(move || {
            let mut answer = Some(answer);
            let result = engine.with_files(&container, Access::Read, |files| {
                let located = files::locate(files.root, &wanted)?;
                if let Some(answer) = answer.take() {
                    engine.container_event(&container, "archive-path", &[]);
                    // A client that left is noticed by the writer.
                    let _ = answer.send(Ok(located.stat()));
                }
                located.pack(&mut writer, files.shift)?;
                writer.flush().map_err(Error::file("write", "the archive"))
            });
            match (result, answer.take()) {
                (Ok(()), _) => {}
                (Err(error), Some(answer)) => drop(answer.send(Err(error))),
                (Err(error), None) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(container = container.spec.id.as_str(), error, "an archive ended early");
                }
            }
        });
        let stat = found.await.map_err(|_| Error::ShuttingDown)?.map_err(|error| named(error, name, path))?;
        Ok(Archive { stat, content })
    }

    /// Extracts an archive, plain or compressed, into a directory of a container.
    ///
    /// # Errors
    /// As [`Self::archive_stat`]; [`Invalid`] for what cannot be written; what a bad archive or the file system
    /// refuses. What was extracted before a failure stays.
    pub async fn archive_put(
        self: &Arc<Self>,
        name: &str,
        path: &str,
        options: PutArchive,
        mut archive: impl Read + Send + 'static,
    ) -> Result<(), Error> {
        let container = self.containers.find(name)?;
        let (engine, wanted) = (Arc::clone(self), path.to_owned());
        let done = self.blocking(move || {
            let result = engine.with_files(&container, Access::Write, |files| {
                let destination = files::destination(files.root, &wanted)?;
                check_writable(&container.spec, &destination.path, files.running)?;
                let owner = if options.copy_owner { owner(files.root, &container.spec)? } else { None };
                let extract = Extract { keep_kinds: options.keep_kinds, owner, shift: files.shift };
                Ok(files::extract(files.root, &destination, extract, &mut archive)?)
            });
            match &result {
                Ok(()) => engine.container_event(&container, "extract-to-dir", &[]),
                Err(_) => drop(std::io::copy(&mut archive.take(REST), &mut std::io::sink())),
            }
            result
        });
        done.await.map_err(|error| named(error, name, path))
    }

    fn with_files<T: Send>(
        &self,
        container: &Container,
        access: Access,
        work: impl FnOnce(&Files<'_>) -> Result<T, Error> + Send,
    ) -> Result<T, Error> {
        let spec = &container.spec;
        let (root, _stopped) = reach(container, access);
        let Some(root) = root else {
            let mounts = self.view_mounts(spec);
            let view = |root: BorrowedFd<'_>| work(&Files { root, shift: None, running: false });
            return self.store.with_view(&spec.id, access, &mounts, view)?;
        };
        // Its mounts map the ids of its users, and show everybody else the host's.
        let remap = self.config.userns_remap.filter(|_| spec.host.userns_mode != NamespaceMode::Host);
        let shift = remap.map(|remap| Shift { uid: remap.uid, gid: remap.gid, size: remap.size });
        let files = Files { root: root.as_fd(), shift, running: true };
        match shift {
            Some(shift) if access == Access::Write => {
                let owned = sys::file_ids::with_file_ids(shift.uid, shift.gid, || work(&files));
                owned.map_err(Error::file("write as the root of", spec.id.as_str()))?
            }
            _ => work(&files),
        }
    }

    /// What is mounted into a container whenever it runs, but for what begins empty then.
    fn view_mounts(&self, spec: &ContainerSpec) -> Vec<ViewMount> {
        let mut mounts: Vec<ViewMount> = [
            ("/etc/resolv.conf", self.paths.resolv_conf(&spec.id)),
            ("/etc/hostname", self.paths.hostname(&spec.id)),
            ("/etc/hosts", self.paths.hosts(&spec.id)),
        ]
        .into_iter()
        .filter(|(destination, source)| {
            source.exists() && !spec.mounts.iter().any(|point| point.destination == *destination)
        })
        .map(|(destination, source)| ViewMount {
            source: ViewSource::Path(source),
            subpath: String::new(),
            destination: destination.to_owned(),
            read_only: false,
        })
        .collect();
        let source = |point: &MountPoint| match (point.kind.as_str(), &point.image) {
            ("bind", _) => Some(ViewSource::Path(point.source.clone().into())),
            ("volume", _) => Some(ViewSource::Volume(point.name.clone())),
            (_, Some(image)) => Some(ViewSource::Image(image.top.map(ChainId))),
            _ => None,
        };
        mounts.extend(spec.mounts.iter().filter_map(|point| {
            Some(ViewMount {
                source: source(point)?,
                subpath: point.subpath.clone(),
                destination: point.destination.clone(),
                read_only: !point.rw,
            })
        }));
        mounts.sort_by_key(|mount| Path::new(&mount.destination).components().count());
        mounts
    }
}

/// Says which path of which container is missing.
fn named(error: Error, container: &str, path: &str) -> Error {
    match error {
        Error::Store(store::Error::NoSuchPath) => {
            Error::NoSuchPath { path: path.to_owned(), container: container.to_owned() }
        }
        other => other,
    }
}

/// The root of its process; without one, and to be written, the guard that keeps it from being started meanwhile.
fn reach(container: &Container, access: Access) -> (Option<OwnedFd>, Option<OwnedMutexGuard<()>>) {
    let root = process_root(&container.status().state);
    if root.is_some() || access == Access::Read {
        return (root, None);
    }
    let guard = container.hold_files_blocking();
    // It may have been started while we waited.
    (process_root(&container.status().state), Some(guard))
}

/// The root of a container's first process; `None` when there is none (any more).
fn process_root(state: &ContainerState) -> Option<OwnedFd> {
    let (ContainerState::Running { pid, start_time, .. } | ContainerState::Paused { pid, start_time, .. }) = state
    else {
        return None;
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // Pins the process: if it ends, nothing below answers for a later one with its number.
    let process = openat(CWD, format!("/proc/{pid}"), flags, Mode::empty()).ok()?;
    let root = openat(&process, c"root", flags, Mode::empty()).ok()?;
    let mut stat = String::new();
    let file = openat(&process, c"stat", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    File::from(file).read_to_string(&mut stat).ok()?;
    // Field 22; the second one is the program's name, which may have spaces.
    let started: u64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    (started == *start_time).then_some(root)
}

/// Refuses what the container itself could not write either.
fn check_writable(spec: &ContainerSpec, path: &Path, running: bool) -> Result<(), Error> {
    let above = spec.mounts.iter().filter(|point| path.starts_with(&point.destination));
    match above.max_by_key(|point| point.destination.len()) {
        Some(point) if !point.rw => Err(Invalid::VolumeReadOnly.into()),
        // Memory is there only while it runs.
        Some(point) if point.kind != "tmpfs" || running => Ok(()),
        _ if spec.host.readonly_rootfs => Err(Invalid::RootfsReadOnly.into()),
        _ => Ok(()),
    }
}

/// The container's user, by its own files.
fn owner(root: BorrowedFd<'_>, spec: &ContainerSpec) -> Result<Option<(u32, u32)>, Error> {
    if spec.config.user.is_empty() {
        return Ok(None);
    }
    Ok(Some(start::user_ids(&spec.config.user, &text(root, "etc/passwd"), &text(root, "etc/group"))?))
}

/// A small regular file of the container; empty when there is none.
fn text(root: BorrowedFd<'_>, path: &str) -> String {
    const LIMIT: u64 = 4 << 20;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let Ok(file) = openat2(root, path, flags, Mode::empty(), resolve) else { return String::new() };
    let file = File::from(file);
    let mut text = String::new();
    if file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        // What is no text names no user.
        let _ = file.take(LIMIT).read_to_string(&mut text);
    }
    text
}
