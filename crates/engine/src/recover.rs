//! What a daemon finds when it starts: containers that run on, ended meanwhile, or were stopped before.
//!
//! "exit.json is there" and "the monitor is gone" are ordinary observations, not errors.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use network::EndpointRecord;
use types::ContainerId;

use crate::container::{Command, Container, MonitorLink, RunEnd, StartKind, Status, at_daemon_start, exit_record};
use crate::engine::Engine;
use crate::error::Error;
use crate::health;
use crate::lifecycle::RemoveContainer;
use crate::model::{ContainerSpec, ContainerState, ExitInfo, HealthStatus};
use crate::paths::{DRAFT, Paths};
use crate::records;
use crate::start::remove_run;

/// One container on disk.
pub(crate) struct Found {
    spec: ContainerSpec,
    status: Status,
    run: Run,
}

/// What became of its last run.
enum Run {
    /// There is none.
    None,
    /// Its monitor answers.
    Alive(MonitorLink),
    /// It ended while no daemon watched.
    Ended(RunEnd),
}

// === impl Found ===

impl Found {
    /// The endpoints of a container that still runs.
    pub(crate) fn live_endpoints(&self) -> Vec<EndpointRecord> {
        if matches!(self.run, Run::Alive(_)) { self.status.endpoints.clone() } else { Vec::new() }
    }
}

/// Reads all container directories. Drafts are what a killed `create` left: removed.
pub(crate) fn observe(paths: &Paths) -> Result<Vec<Found>, Error> {
    let mut found = Vec::new();
    let directory = paths.containers();
    for entry in std::fs::read_dir(&directory).map_err(Error::file("list", &directory))?.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if name.ends_with(DRAFT) {
            tracing::info!(draft = name, "removing a container that was never completed");
            let _ = std::fs::remove_dir_all(entry.path());
            continue;
        }
        let Ok(id) = name.parse::<ContainerId>() else { continue };
        match observe_one(paths, &id) {
            Ok(container) => found.push(container),
            Err(error) => {
                // Its files stay for a person to look at; the others must not suffer.
                tracing::error!(container = id.as_str(), error = &error as &dyn std::error::Error, "skipped");
            }
        }
    }
    Ok(found)
}

fn observe_one(paths: &Paths, id: &ContainerId) -> Result<Found, Error> {
    let spec: ContainerSpec = records::read(&paths.spec(id))?;
    let mut status: Status = records::read(&paths.state(id))?;
    let run = observe_run(&paths.run(id), &status);
    let started = !matches!(status.state, ContainerState::Created);
    if started && spec.config.healthcheck.as_ref().is_some_and(|check| check.command(None).is_some()) {
        let mut known = health::read(&paths.health(id));
        if !matches!((&run, &status.state), (Run::Alive(_), ContainerState::Running { .. })) {
            known.status = HealthStatus::Unhealthy;
        }
        status.health = Some(Arc::new(known));
    }
    Ok(Found { spec, status, run })
}

fn observe_run(directory: &Path, status: &Status) -> Run {
    if let Some(record) = exit_record(directory) {
        let end = RunEnd::from_record(&record);
        // Its end may be known already: the directory goes behind the answer.
        let known = status.state.exit().is_some_and(|exit| exit.at == end.at);
        return if known { Run::None } else { Run::Ended(end) };
    }
    match MonitorLink::reconnect(directory) {
        Ok(link) => Run::Alive(link),
        // It may have ended between the two looks.
        Err(_) => match exit_record(directory) {
            Some(record) => Run::Ended(RunEnd::from_record(&record)),
            None if status.state.is_running() => Run::Ended(RunEnd::lost()),
            None => Run::None,
        },
    }
}

/// Gives every container its actor, and applies the restart policies.
pub(crate) fn adopt_all(engine: &Arc<Engine>, mut found: Vec<Found>) {
    sweep(engine, &found);
    adopt_volumes(engine, &found);
    found.sort_by_key(|container| container.spec.created);
    for container in found {
        if !finish_removal(engine, &container) {
            adopt(engine, container);
        }
    }
    resume(engine);
}

/// Removes what a killed daemon left half-made or half-removed: layers of containers that are not there, and run
/// directories whose monitor is gone.
fn sweep(engine: &Engine, found: &[Found]) {
    let log = |what: &str, error: Error| {
        tracing::warn!(what, error = &error as &dyn std::error::Error, "leftover not removed");
    };
    for id in engine.store.container_layers() {
        if !found.iter().any(|container| container.spec.id == id)
            && let Err(error) = engine.store.remove_layer(&id)
        {
            log(id.as_str(), error.into());
        }
    }
    let alive = |name: &str| {
        found.iter().any(|container| container.spec.id.as_str() == name && matches!(container.run, Run::Alive(_)))
    };
    let Ok(runs) = std::fs::read_dir(engine.paths.runs()) else { return };
    for name in runs.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        if !alive(&name)
            && let Err(error) = remove_run(&engine.paths.runs().join(&name))
        {
            log(&name, error);
        }
    }
}

/// Volumes stay for who refers to them, and what backs them stays mounted for the containers that run on.
fn adopt_volumes(engine: &Engine, found: &[Found]) {
    for container in found {
        let points = container.spec.mounts.iter().filter(|point| point.kind == "volume");
        points.for_each(|point| engine.volume_references.hold(&point.name, &container.spec.id));
    }
    let alive = found.iter().filter(|container| matches!(container.run, Run::Alive(_)));
    let used = |container: &Found| -> Vec<(String, String)> {
        let points = container.spec.mounts.iter().filter(|point| point.kind == "volume");
        points.map(|point| (point.name.clone(), container.spec.id.to_string())).collect()
    };
    let held: Vec<(String, String)> = alive.flat_map(used).collect();
    engine.store.adopt_volumes(&held);
}

/// Goes on with the removal of a container that a killed daemon had begun. Returns whether it is gone.
fn finish_removal(engine: &Engine, found: &Found) -> bool {
    let Some(removing) = found.status.removing.filter(|_| !matches!(found.run, Run::Alive(_))) else { return false };
    let container = found.spec.id.as_str();
    match engine.remove_files(&found.spec, removing.volumes) {
        Ok(()) => tracing::info!(container, "removed: an earlier daemon had begun to"),
        Err(error) => {
            tracing::error!(container, error = &error as &dyn std::error::Error, "not removed, as was begun");
            return false;
        }
    }
    true
}

fn adopt(engine: &Arc<Engine>, found: Found) {
    let Found { spec, mut status, run } = found;
    let id = spec.id.clone();
    if engine.containers.reserve(&status.name, &id).is_err() {
        // Two records with one name: only a copied directory does that. The id is a free name.
        status.name = id.to_string();
    }
    let policy = status.overrides.as_ref().map_or(spec.host.restart_policy, |overrides| overrides.restart_policy);
    let (auto_remove, build_step) = (spec.host.auto_remove, spec.build_step);
    let mut link = None;
    match run {
        Run::None => {}
        Run::Alive(alive) => {
            if !status.state.is_running() {
                // Killed between the monitor's start and the record of it.
                let (pid, start_time) = (alive.pid, alive.start_time);
                status.state = ContainerState::Running { pid, start_time, since: Timestamp::now() };
            }
            if std::mem::take(&mut status.held) {
                thaw(engine, &spec, &mut status);
            }
            link = Some(alive);
        }
        Run::Ended(end) => {
            engine.release_run(&spec, &std::mem::take(&mut status.endpoints));
            status.runs_ended += 1;
            status.state = ContainerState::Exited(ended(&status.state, end));
        }
    }
    let alive = link.is_some();
    if let Err(error) = records::rewrite(&engine.paths.state(&id), &status) {
        tracing::error!(container = id.as_str(), error = &error as &dyn std::error::Error, "state not stored");
    }
    let failed = status.state.exit().is_some_and(|exit| exit.code != 0);
    let ran = !matches!(status.state, ContainerState::Created);
    // A restart that was on its way, by whatever decision, is made now.
    let pending = matches!(status.state, ContainerState::Restarting { .. });
    let wanted = pending || at_daemon_start(policy, status.stopped_by_user, failed, status.restart_count);
    let start = !alive && ran && wanted;
    let container = engine.adopt(Arc::new(spec), status, link);
    if build_step {
        return remove_build_step(engine, &container);
    }
    if !alive && ran && (start || auto_remove) {
        tokio::spawn(async move {
            let result = if start {
                container.ask(|reply| Command::Start(StartKind::User, reply)).await
            } else {
                container.ask(|reply| Command::Remove { volumes: true, reply }).await
            };
            if let Err(error) = result {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(container = container.spec.id.as_str(), error, "not brought back");
            }
        });
    }
}

/// A step's container is of no use without its build, which has ended with the earlier daemon.
fn remove_build_step(engine: &Arc<Engine>, container: &Container) {
    let (engine, id) = (Arc::clone(engine), container.spec.id.clone());
    tokio::spawn(async move {
        let options = RemoveContainer { volumes: true, force: true };
        if let Err(error) = engine.remove(id.as_str(), options).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(container = id.as_str(), error, "the container of an interrupted build is still there");
        }
    });
}

/// Thaws what a killed daemon froze for a moment of its own.
fn thaw(engine: &Engine, spec: &ContainerSpec, status: &mut Status) {
    let thawed = engine.cgroup(spec).and_then(|cgroup| Ok(cgroup.thaw().map_err(runtime::Error::Cgroup)?));
    if let Err(error) = thawed {
        // It stays frozen, and is shown so.
        tracing::error!(container = spec.id.as_str(), error = &error as &dyn std::error::Error, "not thawed");
        return;
    }
    if let ContainerState::Paused { pid, start_time, since } = status.state {
        status.state = ContainerState::Running { pid, start_time, since };
    }
}

/// Has every container that runs do again what ended with the earlier daemon. All must be known by now: links lead to
/// others.
fn resume(engine: &Arc<Engine>) {
    for container in engine.containers.snapshot() {
        let status = container.status();
        let named = status.endpoints.iter().any(|endpoint| !endpoint.names.is_empty());
        if !status.state.is_running() || (!named && status.links.is_empty()) {
            continue;
        }
        tokio::spawn(async move {
            if let Err(error) = container.ask(Command::Resume).await {
                let error = &error as &dyn std::error::Error;
                tracing::error!(container = container.spec.id.as_str(), error, "no names are served to the container");
            }
        });
    }
}

fn ended(state: &ContainerState, end: RunEnd) -> ExitInfo {
    let started_at = match state {
        ContainerState::Running { since, .. } | ContainerState::Paused { since, .. } => Some(*since),
        _ => Some(end.at),
    };
    ExitInfo { code: end.code, at: end.at, started_at, oom_killed: end.oom_killed, error: String::new() }
}
