//! `start`: from a stored container to a running one.
//!
//! [`observe`] reads the world, [`oci`] decides without touching it, this file carries out: network, files,
//! monitor. What was done is undone in reverse when a later step fails. Everything here blocks.

mod connect;
mod devices;
mod exec;
mod files;
mod images;
mod mounts;
mod namespaces;
mod observe;
mod oci;
mod process;
mod propagation;
mod remap;
mod resources;
mod rootfs_file;
mod security;
mod users;

use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Arc;

use jiff::Timestamp;
use monitor::client::Spawned;
use monitor::protocol::{self, AttachOptions, Failure, FailureKind, Filter, Reply, Request, RootfsPlan, StartPlan};
use network::EndpointRecord;
use sys::seqpacket::SeqPacket;
use types::ErrorKind;

use crate::cdi;
use crate::container::{Container, Status};
use crate::engine::Engine;
use crate::error::Error;
use crate::model::ContainerSpec;
use crate::undo::Undo;

pub(crate) use connect::{attach_request, joined_container, port_requests};
pub(crate) use exec::plan_exec;
pub(crate) use files::{HostResolvConf, ndots_set, own_names, refresh_resolv_conf};
pub(crate) use mounts::release_shared_memory;
pub(crate) use remap::check as check_user_namespace;
pub(crate) use resources::change as change_limits;
pub(crate) use rootfs_file::is_file as image_has_file;
pub(crate) use security::{Filters, check as check_security};
pub(crate) use users::ids as user_ids;

/// A container that runs.
#[derive(Debug)]
pub(crate) struct StartedRun {
    /// Connection to the monitor; the start is the only exchange on it so far.
    pub socket: SeqPacket,
    /// The monitor, to be reaped when it has ended.
    pub child: Child,
    /// First process, in the host's numbering.
    pub pid: i32,
    /// Field 22 of `/proc/<pid>/stat`.
    pub start_time: u64,
    /// Just before it ran: no line of its log is older, so `logs --since` its start shows them all.
    pub since: Timestamp,
    /// Places on networks, where the container has its own.
    pub endpoints: Vec<EndpointRecord>,
}

/// Starts the container; `waiting` are streams attached before.
///
/// # Errors
/// [`Error::StartFailed`] when the process could not be made or executed; others when its surroundings could not.
/// Nothing is left behind on failure.
pub(crate) fn start(
    engine: &Engine,
    container: &Container,
    waiting: Vec<(AttachOptions, OwnedFd)>,
) -> Result<StartedRun, Error> {
    let status = container.status();
    // They must run: nothing is made otherwise.
    let linked = engine.linked(&status)?;
    let spec = &*with_links(engine, container.current_spec(), &status);
    let log = crate::log::plan(engine, spec, &container.name())?;
    let mut undo = Undo::default();
    let rootfs = engine.store.rootfs(&spec.id)?;
    propagation::check(&spec.mounts)?;
    let observed = observe::observe(engine, spec, &rootfs)?;
    let connection = connect::connect(engine, container, &observed, &mut undo)?;
    engine.open_links(&connection.endpoints, &linked)?;
    let files = files::write(engine, spec, &connection, &linked, &observed.resolv_conf)?;
    let shm = mounts::shared_memory(engine, spec, &mut undo)?;
    let staged = images::stage(engine, spec)?;
    let volumes = hold_volumes(engine, spec, &mut undo)?;
    let sources = oci::Sources { files: &files, shm: shm.as_deref(), images: &staged, volumes: &volumes };
    let mut oci = oci::plan(spec, &observed, &connection, &sources, &rootfs)?;
    cdi::apply(&mut oci, &observed.cdi)?;
    let filter = engine.filters.for_container(&spec.host, &observed.capabilities)?;

    let run = engine.paths.run(&spec.id);
    // A monitor that died without its daemon may have left one.
    remove_run(&run)?;
    std::fs::create_dir(&run).map_err(Error::file("create", &run))?;
    undo.push({
        let run = run.clone();
        move || remove_run(&run)
    });
    images::make_places(&staged)?;
    let map = observed.remap.is_some();
    let mut rootfs_mounts = if map { remap::rootfs_mounts(&rootfs) } else { rootfs.mounts };
    images::insert(&staged, map, &mut rootfs_mounts);
    let (attached, streams): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
    let plan = StartPlan {
        container_id: spec.id.to_string(),
        run_dir: run,
        spec: oci,
        seccomp: filter.map(|filter| Filter(filter.to_vec())),
        rootfs: RootfsPlan { mounts: rootfs_mounts, path: rootfs.target },
        log,
        tty: spec.config.tty,
        size: spec.host.console_size,
        open_stdin: spec.config.open_stdin,
        stdin_once: spec.config.stdin_once,
        init: observed.init.is_some(),
        attached,
    };
    let Spawned { socket, mut child } = engine.monitors.take()?;
    let since = Timestamp::now();
    match hand_over(&socket, spec, plan, &streams) {
        Ok((pid, start_time)) => {
            undo.disarm();
            Ok(StartedRun { socket, child, pid, start_time, since, endpoints: connection.endpoints })
        }
        Err(error) => {
            // Without a connection it ends by itself.
            drop(socket);
            let _ = child.wait();
            Err(error)
        }
    }
}

/// Has what backs the container's volumes mounted, until [`Engine::release_run`]. Says where each is, by its name.
fn hold_volumes(engine: &Engine, spec: &ContainerSpec, undo: &mut Undo) -> Result<BTreeMap<String, PathBuf>, Error> {
    let mut places = BTreeMap::new();
    for point in spec.mounts.iter().filter(|point| point.kind == "volume") {
        let place = engine.store.hold_volume(&point.name, spec.id.as_str())?;
        places.insert(point.name.clone(), place);
        let (store, name, holder) = (engine.store.clone(), point.name.clone(), spec.id.clone());
        undo.push(move || store.release_volume(&name, holder.as_str()).map_err(Error::from));
        if !point.subpath.is_empty() {
            engine.store.check_part(&point.name, &point.subpath)?;
        }
    }
    Ok(places)
}

/// The specification with the variables of links before the container's own, which win.
pub(crate) fn with_links(engine: &Engine, spec: Arc<ContainerSpec>, status: &Status) -> Arc<ContainerSpec> {
    let mut variables = engine.link_environment(status);
    if variables.is_empty() {
        return spec;
    }
    let mut spec = Arc::unwrap_or_clone(spec);
    variables.append(&mut spec.config.env);
    spec.config.env = variables;
    Arc::new(spec)
}

/// Sends the plan and waits until the process runs or has failed.
fn hand_over(
    socket: &SeqPacket,
    spec: &ContainerSpec,
    plan: StartPlan,
    streams: &[OwnedFd],
) -> Result<(i32, u64), Error> {
    let gone = |_| Error::MonitorGone(spec.id.to_string());
    let descriptors: Vec<_> = streams.iter().map(OwnedFd::as_fd).collect();
    protocol::send(socket, &Request::Start(Box::new(plan)), &descriptors).map_err(gone)?;
    match protocol::receive::<Reply>(socket, &mut Vec::new()).map_err(gone)?.0 {
        Reply::Started { pid, start_time } => Ok((pid, start_time)),
        Reply::Failed(failure) if failure.kind == FailureKind::Log => {
            Err(crate::log::unreachable(spec, failure.message))
        }
        Reply::Failed(failure) => Err(start_failure(failure)),
        Reply::Error { message } => Err(Error::Monitor(message)),
        _ => Err(Error::MonitorGone(spec.id.to_string())),
    }
}

fn start_failure(failure: Failure) -> Error {
    let (code, kind) = classify(failure.kind);
    Error::StartFailed { message: failure.message, code, kind }
}

/// The error of an exec that did not start.
pub(crate) fn exec_failure(failure: Failure) -> Error {
    let (code, kind) = classify(failure.kind);
    Error::ExecFailed { message: failure.message, code, kind }
}

fn classify(kind: FailureKind) -> (i32, ErrorKind) {
    match kind {
        FailureKind::CommandNotFound => (127, ErrorKind::InvalidParameter),
        FailureKind::NotExecutable => (126, ErrorKind::InvalidParameter),
        FailureKind::User | FailureKind::Invalid => (128, ErrorKind::InvalidParameter),
        FailureKind::Mount | FailureKind::Log | FailureKind::System => (128, ErrorKind::System),
    }
}

/// Removes a monitor's run directory; none is fine.
pub(crate) fn remove_run(run: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(run) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(Error::file("remove", run)),
    }
}
