//! `gantry system fsck`: the store's check, and beside it containers' and networks' records.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use store::{DriverChoice, FsckOptions, Problem, ProblemKind, Report, Usage, UsageKind};
use types::ContainerId;

use crate::container::Status;
use crate::engine::Engine;
use crate::error::Error;
use crate::model::ContainerSpec;
use crate::paths::{DRAFT, Paths};
use crate::records;

/// What is being created or removed is another thing after so long.
const PAUSE: Duration = Duration::from_millis(150);

impl Engine {
    /// Checks all records and files below the data root while others work with them, and with `repair` removes what has
    /// no owner.
    ///
    /// # Errors
    /// When the store cannot be read at all.
    pub async fn fsck(self: &Arc<Self>, options: FsckOptions) -> Result<Report, Error> {
        let engine = Arc::clone(self);
        self.blocking(move || {
            let known = |id: &ContainerId| engine.containers.is_known(id) || engine.paths.spec(id).exists();
            let mut report = engine.store.fsck(options, &known)?;
            let mut found = examine(&engine.paths, &engine.store.container_layers());
            if !found.is_empty() {
                std::thread::sleep(PAUSE);
                let again = examine(&engine.paths, &engine.store.container_layers());
                found.retain(|problem| again.contains(problem));
            }
            found.retain(|problem| !draft_owner(&problem.path).is_some_and(|id| engine.containers.is_known(&id)));
            if options.repair {
                for problem in found.iter_mut().filter(|problem| problem.kind == ProblemKind::Orphan) {
                    problem.repaired = engine.store.remove_later(&problem.path).is_ok();
                }
            }
            report.problems.extend(found);
            Ok(report)
        })
        .await
    }

    /// Everything below the data root by kind, as `du` counts.
    ///
    /// # Errors
    /// When the daemon is shutting down.
    pub async fn usage(self: &Arc<Self>) -> Result<Vec<(UsageKind, Usage)>, Error> {
        let engine = Arc::clone(self);
        self.blocking(move || Ok(engine.store.usage())).await
    }
}

/// The same for a data root that no daemon uses; the caller holds its lock.
///
/// # Errors
/// When there is no store, or it cannot be opened for a repair.
pub fn fsck_offline(data_root: &Path, driver: DriverChoice, options: FsckOptions) -> Result<Report, Error> {
    let paths = Paths::new(data_root, Path::new("/nonexistent"));
    let mut report = store::fsck_offline(data_root, driver, options, &|id| paths.spec(id).exists())?;
    let mut found = examine(&paths, &report.container_ids);
    if options.repair {
        for problem in found.iter_mut().filter(|problem| problem.kind == ProblemKind::Orphan) {
            let path = &problem.path;
            let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
            problem.repaired = removed.is_ok();
        }
    }
    report.problems.extend(found);
    Ok(report)
}

/// Looks at the containers' and networks' directories; `layers` are the containers that have one in the store.
fn examine(paths: &Paths, layers: &[ContainerId]) -> Vec<Problem> {
    let mut found = Vec::new();
    for path in list(&paths.containers(), &mut found) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if draft_owner(&path).is_some() {
            found.push(problem(ProblemKind::Orphan, &path, "a container that was never completed"));
            continue;
        }
        let Ok(id) = name.parse::<ContainerId>() else {
            found.push(problem(ProblemKind::Damaged, &path, "not the directory of a container"));
            continue;
        };
        record::<ContainerSpec>(&paths.spec(&id), &mut found);
        record::<Status>(&paths.state(&id), &mut found);
        if !layers.contains(&id) {
            found.push(problem(ProblemKind::Missing, &path, "the container's layer"));
        }
    }
    let networks = paths.containers().with_file_name("network");
    for directory in [networks.join("config"), networks.join("driver"), networks] {
        // A data root may be older than the kind of network.
        for path in list(&directory, &mut Vec::new()) {
            network(&path, &mut found);
        }
    }
    for problem in found.iter_mut().filter(|problem| problem.kind == ProblemKind::Orphan) {
        problem.bytes = store::allocated(&problem.path);
    }
    found
}

/// The record of a network, whose name is the network's id; that of the predefined ones has three.
fn network(path: &Path, found: &mut Vec<Problem>) {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if name.starts_with(".tmp-") {
        found.push(problem(ProblemKind::Orphan, path, "left by the replacement of a record"));
        return;
    }
    let Some(id) = name.strip_suffix(".json") else { return };
    match records::read::<serde_json::Value>(path) {
        Ok(network) if id != "networks" && names_another(&network, id) => {
            found.push(problem(ProblemKind::Damaged, path, "is about another network"));
        }
        Ok(_) => {}
        Err(_) => record::<serde_json::Value>(path, found),
    }
}

/// Whether a record says of which network it is, and that is another one.
fn names_another(network: &serde_json::Value, id: &str) -> bool {
    network.get("id").and_then(serde_json::Value::as_str).is_some_and(|own| own != id)
}

/// The container whose incomplete directory this is.
fn draft_owner(path: &Path) -> Option<ContainerId> {
    path.file_name()?.to_str()?.strip_suffix(DRAFT)?.parse().ok()
}

fn list(directory: &Path, found: &mut Vec<Problem>) -> Vec<std::path::PathBuf> {
    match std::fs::read_dir(directory) {
        Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
        Err(error) => {
            found.push(problem(ProblemKind::Damaged, directory, &error.to_string()));
            Vec::new()
        }
    }
}

fn record<T: DeserializeOwned>(path: &Path, found: &mut Vec<Problem>) {
    if let Err(error) = records::read::<T>(path) {
        let reason = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        let kind = if path.exists() { ProblemKind::Damaged } else { ProblemKind::Missing };
        found.push(problem(kind, path, &reason));
    }
}

fn problem(kind: ProblemKind, path: &Path, message: &str) -> Problem {
    Problem { kind, path: path.to_owned(), message: message.to_owned(), bytes: 0, repaired: false }
}
