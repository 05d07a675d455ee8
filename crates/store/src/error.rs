//! What can go wrong here. Texts that reach users are Docker's.

use std::io;
use std::path::{Path, PathBuf};

use types::{Digest, ErrorKind, InvalidDigest, InvalidReference, Kind};

use crate::DiffId;

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call on a path failed.
    #[error("{action} {}", .path.display())]
    Io {
        /// The verb, for example `open`.
        action: &'static str,
        /// What it was applied to.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A system call on a path of a container failed. The text is whole, as Docker tells it.
    #[error("{action} {path}: {}", go_text(reason))]
    InContainer {
        /// The verb, for example `lstat`.
        action: &'static str,
        /// As the container knows it.
        path: String,
        /// The system's answer, already in the text.
        reason: io::Error,
    },
    /// A path that is not in the container.
    #[error("no such file or directory")]
    NoSuchPath,
    /// What is to be extracted into is no directory.
    #[error("extraction point is not a directory")]
    ExtractionPoint,
    /// A directory of a writable layer whose content is elsewhere (overlay's `redirect_dir` and `metacopy`).
    #[error(
        "cannot read the layer: {0} was renamed or copied by reference; load overlay with redirect_dir=off and metacopy=off"
    )]
    Redirected(String),
    /// The disk is full.
    #[error("{action} {}: no space left on device", .path.display())]
    NoSpace {
        /// The verb, for example `write`.
        action: &'static str,
        /// What it was applied to.
        path: PathBuf,
    },
    /// Reading the incoming stream failed.
    #[error("read the incoming stream")]
    Stream(#[source] io::Error),
    /// No image of that name or id.
    #[error("No such image: {0}")]
    NoSuchImage(String),
    /// The image is there, but for another machine.
    #[error(
        "image with reference {image} was found but its platform ({actual}) does not match the specified platform ({platform})"
    )]
    OtherPlatform {
        /// The name as given.
        image: String,
        /// The machine it is for.
        actual: String,
        /// What was asked for.
        platform: String,
    },
    /// The image name is malformed.
    #[error(transparent)]
    Reference(#[from] InvalidReference),
    /// A digest is malformed.
    #[error(transparent)]
    Digest(#[from] InvalidDigest),
    /// The content of a layer is not what its digest says.
    #[error("filesystem layer verification failed for digest {0}")]
    LayerVerification(Digest),
    /// A layer of an archive unpacks to something else than its image says.
    #[error("invalid diffID for layer {index}: expected \"{expected}\", got \"{found}\"")]
    DiffId {
        /// Which layer of the image, from the bottom; 0 where that is not known.
        index: usize,
        /// As the image says.
        expected: DiffId,
        /// As unpacked.
        found: DiffId,
    },
    /// The configuration document and the manifest disagree about the number of layers.
    #[error("invalid manifest, layers length mismatch: expected {expected}, got {actual}")]
    LayerCount {
        /// In the manifest.
        actual: usize,
        /// In the configuration.
        expected: usize,
    },
    /// A record or document does not parse.
    #[error("invalid {what}: {reason}")]
    Document {
        /// Which document.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The archive is not one that `load` or `import` takes.
    #[error("{0}")]
    Archive(ArchiveProblem),
    /// More layers than overlay mounts take.
    #[error("max depth exceeded")]
    MaxDepth,
    /// No layer with this chain id.
    #[error("layer does not exist: {0}")]
    NoSuchLayer(String),
    /// No container layer for this container.
    #[error("no such container layer: {0}")]
    NoSuchContainerLayer(String),
    /// The container has a layer already.
    #[error("mount name already exists: {0}")]
    ContainerLayerExists(String),
    /// The image cannot be removed.
    #[error("conflict: unable to {verb} {name} ({remedy}) - {reason}")]
    RemoveConflict {
        /// `remove repository reference` or `delete`.
        verb: &'static str,
        /// Name or short id.
        name: String,
        /// `must force` or `cannot be forced`.
        remedy: &'static str,
        /// Why.
        reason: String,
    },
    /// The storage driver is not one of ours.
    #[error("graphdriver {0:?} is not supported: use overlay2 or vfs")]
    UnknownDriver(String),
    /// overlay2 was asked for and the kernel or file system cannot do it.
    #[error("driver not supported: overlay2 cannot be mounted on {}; use vfs", .0.display())]
    OverlayUnavailable(PathBuf),
    /// No volume of that name.
    #[error("get {0}: no such volume")]
    NoSuchVolume(String),
    /// Characters that volume names may not have.
    #[error(
        "create {0}: {0:?} includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
    )]
    VolumeName(String),
    /// The volume name is one character long.
    #[error("create {0}: volume name is too short, names should be at least two alphanumeric characters")]
    VolumeNameTooShort(String),
    /// A container uses it.
    #[error("remove {name}: volume is in use - [{}]", .users.join(", "))]
    VolumeInUse {
        /// The volume.
        name: String,
        /// Container ids.
        users: Vec<String>,
    },
    /// Somebody uses it, or works with it.
    #[error("{action} {name}: volume is in use - [{}]", .users.join(", "))]
    VolumeBusy {
        /// What was to be done.
        action: &'static str,
        /// The volume.
        name: String,
        /// By whom: names of containers, or what is done with it.
        users: Vec<String>,
    },
    /// The name is taken.
    #[error("create {0}: a volume of this name exists: remove it or choose another name")]
    VolumeExists(String),
    /// There are files in it that would have to go.
    #[error("restore {0}: the volume is not empty: choose another one, or use --force to replace what is in it")]
    VolumeNotEmpty(String),
    /// Its files are on a device, which cannot be exchanged.
    #[error(
        "restore {0}: the driver options of the volume say where its files are, and they cannot be replaced as a whole there: restore into a volume without such options"
    )]
    VolumeBacked(String),
    /// What a plugin has is not ours to change.
    #[error(
        "{action} {name}: the volume belongs to the driver {driver:?}: only volumes of the local driver can be {action}d"
    )]
    VolumeOfPlugin {
        /// What was to be done.
        action: &'static str,
        /// The volume.
        name: String,
        /// Its driver.
        driver: String,
    },
    /// Neither `local` nor a plugin of this machine.
    #[error("create {volume}: error looking up volume plugin {driver}: plugin {driver:?} not found")]
    VolumeDriver {
        /// The volume that it should have made.
        volume: String,
        /// Its name.
        driver: String,
    },
    /// Another driver has a volume of that name.
    #[error("create {name}: driver '{driver}' already has volume '{name}': volume name must be unique")]
    VolumeConflict {
        /// The volume.
        name: String,
        /// Whose it is.
        driver: String,
    },
    /// The plugin that had a volume of that name does not answer.
    #[error(
        "create {name}: found reference to volume '{name}' in driver '{driver}', but got an error while checking the driver: {reason}: volume name must be unique"
    )]
    VolumeUnsure {
        /// The volume.
        name: String,
        /// Whose it is.
        driver: String,
        /// Why it cannot be asked.
        reason: String,
    },
    /// Containers use it, and its plugin does not have it any more.
    #[error(
        "create {name}: found references to volume '{name}' in driver '{driver}' but the volume was not found in the driver -- you may need to remove containers referencing this volume or force remove the volume to re-create it: volume name must be unique"
    )]
    VolumeLost {
        /// The volume.
        name: String,
        /// Whose it was.
        driver: String,
    },
    /// A plugin refused, or did not answer. The text is whole, as Docker tells it.
    #[error("{what}: {reason}")]
    VolumePlugin {
        /// What was to be done.
        what: String,
        /// The plugin's words, or why there are none.
        reason: String,
    },
    /// What a container writes cannot be limited here.
    #[error(
        "--storage-opt is supported only for overlay over xfs with 'pquota' mount option, or over ext4 with the features 'project' and 'quota' and the mount option 'prjquota': {0}"
    )]
    NoLayerLimit(String),
    /// Options that the local driver does not have, or not so.
    #[error("create {name}: {reason}")]
    VolumeOption {
        /// The volume.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// What backs a volume cannot be mounted. The text is whole, as Docker tells it.
    #[error("error while mounting volume '{}': {reason}", .path.display())]
    VolumeMount {
        /// The volume's directory.
        path: PathBuf,
        /// What was tried, and the system's answer.
        reason: String,
    },
    /// A part of a volume or image that is not there. The text is whole, as Docker tells it.
    #[error("cannot access path {}: {}", .path.display(), go_text(reason))]
    Subpath {
        /// The whole path.
        path: PathBuf,
        /// The system's answer, already in the text.
        reason: io::Error,
    },
    /// A part of a volume or image that leads out of it.
    #[error("path concatenation escapes the base directory, base: {}, subpath: {subpath}", .base.display())]
    SubpathEscapes {
        /// What it should be a part of.
        base: PathBuf,
        /// The part.
        subpath: String,
    },
}

/// What is wrong with an archive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveProblem {
    /// Neither `manifest.json` nor `index.json`.
    #[error("invalid archive: does not contain a manifest.json")]
    NoManifest,
    /// The manifest names a member that is not there.
    #[error("invalid archive: {0} is missing")]
    Missing(String),
    /// A layer that the archive left out on purpose is not here.
    #[error(
        "invalid archive: {layer} is missing: it holds only what is new since {}, which must be loaded first",
        .since.join(", ")
    )]
    Base {
        /// The member.
        layer: String,
        /// The images that the archive was saved relative to.
        since: Vec<String>,
    },
    /// An entry leads out of the root.
    #[error("invalid archive: {0:?} is outside of the root")]
    Escape(String),
    /// An entry leads out of the directory that is extracted into.
    #[error("{name:?} is outside of {base:?}")]
    Outside {
        /// The entry.
        name: String,
        /// The directory.
        base: String,
    },
    /// An entry would turn a directory into something else, or the other way round.
    #[error("cannot overwrite {here} {path:?} with {there} {base:?}")]
    Kind {
        /// What is there.
        here: &'static str,
        /// Where.
        path: String,
        /// What would come.
        there: &'static str,
        /// The directory that is extracted into.
        base: String,
    },
    /// An owner that a container with mapped users does not have.
    #[error("Container ID {0} cannot be mapped to a host ID")]
    Unmapped(u32),
    /// A whiteout that names nothing that could be hidden.
    #[error("invalid archive: {} hides no name", .0.display())]
    Whiteout(PathBuf),
    /// Not a tar, or it ends in the middle.
    #[error("{0}")]
    Malformed(String),
    /// A member that has to be digest-addressed is not.
    #[error("invalid archive: {0} does not match its digest")]
    Digest(String),
    /// Compression that this engine does not read.
    #[error("unsupported compression: {0}")]
    Compression(&'static str),
    /// Nothing in it is for the wanted machine.
    #[error("no image for platform {0} found in the archive")]
    NoPlatform(String),
    /// An image for another operating system.
    #[error("cannot load {0} image on linux")]
    OperatingSystem(String),
}

impl Error {
    pub(crate) fn io(action: &'static str, path: impl AsRef<Path>, source: impl Into<io::Error>) -> Self {
        let (path, source) = (path.as_ref().to_owned(), source.into());
        if source.raw_os_error() == Some(rustix::io::Errno::NOSPC.raw_os_error()) {
            return Self::NoSpace { action, path };
        }
        Self::Io { action, path, source }
    }
}

/// The system's words as Go writes them: without the number, beginning small.
pub(crate) fn go_text(error: &io::Error) -> String {
    types::go_words(&error.to_string())
}

impl Kind for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Archive(ArchiveProblem::NoPlatform(_)) => ErrorKind::NotFound,
            Self::NoSuchImage(_)
            | Self::OtherPlatform { .. }
            | Self::NoSuchVolume(_)
            | Self::VolumeDriver { .. }
            | Self::NoSuchContainerLayer(_)
            | Self::NoSuchPath => ErrorKind::NotFound,
            Self::Reference(_)
            | Self::ExtractionPoint
            | Self::Digest(_)
            | Self::VolumeName(_)
            | Self::VolumeNameTooShort(_)
            | Self::NoLayerLimit(_)
            | Self::VolumeOption { .. } => ErrorKind::InvalidParameter,
            Self::RemoveConflict { .. }
            | Self::VolumeInUse { .. }
            | Self::VolumeBusy { .. }
            | Self::VolumeExists(_)
            | Self::VolumeNotEmpty(_)
            | Self::VolumeBacked(_)
            | Self::VolumeOfPlugin { .. }
            | Self::VolumeConflict { .. }
            | Self::VolumeUnsure { .. }
            | Self::VolumeLost { .. }
            | Self::ContainerLayerExists(_) => ErrorKind::Conflict,
            _ => ErrorKind::System,
        }
    }
}
