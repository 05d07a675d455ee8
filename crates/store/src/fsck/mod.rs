//! `gantry system fsck`: whether the records of a data root agree with each other and with what is on the disk, and
//! what has no owner. Reads the files only, not what a running daemon remembers of them, so that it proves what the next
//! start will find.

mod images;
mod layers;
mod orphans;
mod repair;
mod volumes;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use types::{ContainerId, Digest};

use crate::driver::Driver;
use crate::paths::Paths;
use crate::{ChainId, DiffId, DriverChoice, ImageId, Result, Store, StoreConfig};

/// What is the matter with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProblemKind {
    /// It does not say what it should, or contradicts something else.
    Damaged,
    /// A record mentions it and it is not there.
    Missing,
    /// It is there and nothing mentions it. A repair removes it.
    Orphan,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// What kind.
    pub kind: ProblemKind,
    /// What it is about.
    pub path: PathBuf,
    /// What is wrong, for people.
    pub message: String,
    /// Bytes that it takes on the disk; orphans only.
    pub bytes: u64,
    /// It is gone.
    pub repaired: bool,
}

/// What was looked at, and what was found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Image configurations.
    pub images: usize,
    /// Names of images.
    pub names: usize,
    /// Image layers.
    pub layers: usize,
    /// Kept blobs.
    pub blobs: usize,
    /// Bytes whose digest was computed.
    pub hashed: u64,
    /// Containers' layers.
    pub containers: usize,
    /// Whose they are.
    pub container_ids: Vec<ContainerId>,
    /// Volumes.
    pub volumes: usize,
    /// What is wrong, sorted.
    pub problems: Vec<Problem>,
}

/// How to look.
#[derive(Clone, Copy, Debug, Default)]
pub struct FsckOptions {
    /// Read every blob and compare its digest.
    pub deep: bool,
    /// Remove what has no owner.
    pub repair: bool,
}

/// One look at everything.
pub(super) struct Examination<'a> {
    paths: &'a Paths,
    driver: Driver,
    deep: bool,
    report: Report,
    /// Layers whose records are whole.
    layers: HashMap<ChainId, layers::Found>,
    /// Contents that some layer has.
    diffs: HashSet<DiffId>,
    /// Blobs that are kept for them.
    kept: HashSet<Digest>,
    /// Every blob that a record names.
    named: HashSet<Digest>,
    images: HashSet<ImageId>,
    /// Names of directories of the storage driver that have an owner.
    slots: BTreeSet<String>,
    /// Short links that have an owner.
    links: HashSet<String>,
    containers: Vec<ContainerId>,
    /// A record could not be read: who owns a directory is then not known.
    unsure: bool,
}

/// How often something that looks wrong is looked at before it is: others are at work.
const LOOKS: usize = 3;

impl Store {
    /// Checks the whole data root while others work with it. Containers' own directories are the engine's; `known` are
    /// its containers.
    ///
    /// # Errors
    /// When a directory cannot be read at all.
    pub fn fsck(&self, options: FsckOptions, known: &dyn Fn(&ContainerId) -> bool) -> Result<Report> {
        let inner = &self.0;
        let mut report = examine(&inner.paths, inner.driver, options.deep, known);
        for _ in 1..LOOKS {
            report.problems.retain(|problem| !inner.unfinished.has(&problem.path));
            if report.problems.is_empty() {
                break;
            }
            // What was work in progress is another thing by now; what is broken still is.
            std::thread::sleep(std::time::Duration::from_millis(100));
            let again = examine(&inner.paths, inner.driver, false, known);
            let hashes = |problem: &Problem| problem.message == images::WRONG_DIGEST && problem.path.exists();
            report.problems.retain(|problem| {
                hashes(problem)
                    || again.problems.iter().any(|other| (other.kind, &other.path) == (problem.kind, &problem.path))
            });
        }
        report.problems.retain(|problem| !inner.unfinished.has(&problem.path));
        if options.repair {
            self.repair(&mut report);
        }
        Ok(report)
    }
}

/// Checks a data root that no daemon uses; the caller holds its lock. A repair opens the store, which removes what a
/// crash left.
///
/// # Errors
/// When there is no store, or it cannot be opened for a repair.
pub fn fsck_offline(
    data_root: &Path,
    driver: DriverChoice,
    options: FsckOptions,
    known: &dyn Fn(&ContainerId) -> bool,
) -> Result<Report> {
    let chosen = Driver::of_data_root(data_root, driver)
        .ok_or_else(|| crate::Error::io("find a store in", data_root, io::Error::from(io::ErrorKind::NotFound)))?;
    let paths = Paths::new(data_root, chosen.name());
    let mut report = examine(&paths, chosen, options.deep, known);
    if options.repair && !report.problems.is_empty() {
        let store = Store::open(StoreConfig { data_root: data_root.to_owned(), driver })?;
        store.repair(&mut report);
        store.settle();
    }
    Ok(report)
}

fn examine(paths: &Paths, driver: Driver, deep: bool, known: &dyn Fn(&ContainerId) -> bool) -> Report {
    let mut examination = Examination {
        paths,
        driver,
        deep,
        report: Report::default(),
        layers: HashMap::new(),
        diffs: HashSet::new(),
        kept: HashSet::new(),
        named: HashSet::new(),
        images: HashSet::new(),
        slots: BTreeSet::new(),
        links: HashSet::new(),
        containers: Vec::new(),
        unsure: false,
    };
    examination.layers();
    examination.containers(known);
    examination.blobs();
    examination.images();
    examination.names();
    examination.volumes();
    examination.orphans();
    let mut report = examination.report;
    report.container_ids = examination.containers;
    report.problems.sort();
    report.problems.dedup();
    report
}

impl Examination<'_> {
    fn damaged(&mut self, path: impl Into<PathBuf>, message: impl Into<String>) {
        self.problem(ProblemKind::Damaged, path.into(), message.into(), 0);
    }

    fn missing(&mut self, path: impl Into<PathBuf>, message: impl Into<String>) {
        self.problem(ProblemKind::Missing, path.into(), message.into(), 0);
    }

    fn orphan(&mut self, path: PathBuf, message: impl Into<String>) {
        let bytes = crate::usage::allocated(&path);
        self.problem(ProblemKind::Orphan, path, message.into(), bytes);
    }

    fn problem(&mut self, kind: ProblemKind, path: PathBuf, message: String, bytes: u64) {
        self.report.problems.push(Problem { kind, path, message, bytes, repaired: false });
    }

    /// Names in a directory. What cannot be read has no owner that we would know.
    fn list(&mut self, directory: &Path) -> Vec<String> {
        let read = std::fs::read_dir(directory).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        match read {
            Ok(entries) => {
                let mut names = Vec::new();
                for entry in entries {
                    match entry.file_name().into_string() {
                        Ok(name) => names.push(name),
                        Err(_) => self.orphan(entry.path(), "not a name that the engine gives"),
                    }
                }
                names.sort();
                names
            }
            Err(error) => {
                self.unsure = true;
                self.damaged(directory, crate::error::go_text(&error));
                Vec::new()
            }
        }
    }
}

impl Report {
    /// Nothing is wrong, or no more.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.problems.iter().all(|problem| problem.repaired)
    }
}
