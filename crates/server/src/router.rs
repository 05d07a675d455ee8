//! From a request to its handler and back.

use std::sync::Arc;

use api::ApiVersion;
use api::route::{self, Method, Operation};
use engine::Engine;
use futures_util::future::BoxFuture;
use hyper::upgrade::OnUpgrade;
use hyper::{HeaderMap, Request, Response, StatusCode};
use types::ErrorKind;

use crate::body::{RequestBody, ResponseBody};
use crate::call::Call;
use crate::failure::Failure;
use crate::handlers::{
    archive, attach, beyond, build, commit, containers, disk_usage, exec, fsck, host_network, images, networks,
    plugins, prune, registry, removals, stats, system, volume_verbs, volumes,
};
use crate::path;
use crate::peer::Peer;
use crate::query::{self, Query};
use crate::respond::{self, Outcome};

pub(crate) const SWARM: &str = "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.";

const CLUSTER_VOLUME: &str = "volume update only valid for cluster volumes, but swarm is unavailable";

/// Failures of older versions are plain text.
const JSON_FAILURES: ApiVersion = ApiVersion(24);

const CHECKPOINT: &str =
    "checkpoints are not supported: this engine does not save and restore the memory of running processes";

/// Answers one request.
pub async fn handle(engine: &Arc<Engine>, request: Request<RequestBody>) -> Response<ResponseBody> {
    if request.method() == hyper::Method::OPTIONS {
        // What a browser asks before it asks something of another site; without further headers it may not.
        return finished(respond::empty(StatusCode::OK));
    }
    if let Some(location) = path::clean(request.uri()) {
        return finished(respond::moved(&location));
    }
    let version = path_version(request.uri().path());
    let routed = match route(request) {
        Ok(routed) => routed,
        Err(failure) => return finished(refusal(version, failure)),
    };
    let operation = routed.operation;
    let outcome = dispatch(operation, routed.call(Arc::clone(engine))).await;
    finished(outcome.unwrap_or_else(|failure| {
        if failure.status.is_server_error() {
            tracing::warn!(?operation, status = failure.status.as_u16(), message = failure.message, "request failed");
        }
        refusal(version, failure)
    }))
}

fn refusal(version: ApiVersion, failure: Failure) -> Response<ResponseBody> {
    if version < JSON_FAILURES { respond::plain_failure(failure) } else { respond::failure(failure) }
}

/// The version that a path begins with, whether or not anything has that path; else the newest.
fn path_version(path: &str) -> ApiVersion {
    let text = path.strip_prefix("/v").and_then(|rest| rest.split('/').next());
    text.and_then(ApiVersion::parse).and_then(Result::ok).unwrap_or(ApiVersion::MAXIMUM)
}

fn finished(mut response: Response<ResponseBody>) -> Response<ResponseBody> {
    respond::finish(&mut response);
    response
}

/// One row an operation.
#[rustfmt::skip]
#[expect(clippy::too_many_lines, reason = "a table")]
fn dispatch(operation: Operation, call: Call) -> BoxFuture<'static, Outcome> {
    use Operation as O;
    match operation {
        O::Ping             => Box::pin(system::ping(call)),
        O::Version          => Box::pin(system::version(call)),
        O::Info             => Box::pin(system::info(call)),
        O::Events           => Box::pin(system::events(call)),
        O::DiskUsage        => Box::pin(disk_usage::disk_usage(call)),
        O::Fsck             => Box::pin(fsck::fsck(call)),
        O::NetworkRepair    => Box::pin(host_network::repair(call)),
        O::FirewallExplain  => Box::pin(host_network::explain(call)),
        O::Usage            => Box::pin(fsck::usage(call)),
        O::PrunePlan        => Box::pin(removals::prune_plan(call)),
        O::PruneListed      => Box::pin(removals::prune_listed(call)),
        O::RemovalPlan      => Box::pin(removals::removal_plan(call)),
        O::Gc               => Box::pin(fsck::gc(call)),
        O::Why              => Box::pin(fsck::why(call)),
        O::ContainerList    => Box::pin(containers::list(call)),
        O::ContainerCreate  => Box::pin(containers::create(call)),
        O::ContainerInspect => Box::pin(containers::inspect(call)),
        O::ContainerTop     => Box::pin(containers::top(call)),
        O::ContainerLogs    => Box::pin(containers::logs(call)),
        O::ContainerStart   => Box::pin(containers::start(call)),
        O::ContainerStop    => Box::pin(containers::stop(call)),
        O::ContainerRestart => Box::pin(containers::restart(call)),
        O::ContainerKill    => Box::pin(containers::kill(call)),
        O::ContainerPause   => Box::pin(containers::pause(call)),
        O::ContainerUnpause => Box::pin(containers::unpause(call)),
        O::ContainerRename  => Box::pin(containers::rename(call)),
        O::ContainerUpdate  => Box::pin(containers::update(call)),
        O::ContainerResize  => Box::pin(containers::resize(call)),
        O::ContainerWait    => Box::pin(containers::wait(call)),
        O::ContainerRemove  => Box::pin(containers::remove(call)),
        O::ContainerStats   => Box::pin(stats::stats(call)),
        O::ContainerChanges => Box::pin(containers::changes(call)),
        O::ContainerExport  => Box::pin(containers::export(call)),
        O::ContainerArchiveStat     => Box::pin(archive::stat(call)),
        O::ContainerArchiveGet      => Box::pin(archive::get(call)),
        O::ContainerArchivePut      => Box::pin(archive::put(call)),
        O::ContainerAttachWebsocket => Box::pin(attach::websocket(call)),
        O::ContainerCommit          => Box::pin(commit::commit(call)),
        O::ContainerPrune   => Box::pin(prune::containers(call)),
        O::ContainerAttach  => Box::pin(attach::attach(call)),
        O::ExecCreate       => Box::pin(exec::create(call)),
        O::ExecStart        => Box::pin(exec::start(call)),
        O::ExecInspect      => Box::pin(exec::inspect(call)),
        O::ExecResize       => Box::pin(exec::resize(call)),
        O::ImageList        => Box::pin(images::list(call)),
        O::ImageCreate      => Box::pin(images::create(call)),
        O::ImageLoad        => Box::pin(images::load(call)),
        O::ImageSave        => Box::pin(images::save(call)),
        O::ImageInspect     => Box::pin(images::inspect(call)),
        O::ImageHistory     => Box::pin(images::history(call)),
        O::ImageTag         => Box::pin(images::tag(call)),
        O::ImageRemove      => Box::pin(images::remove(call)),
        O::ImagePrune       => Box::pin(prune::images(call)),
        O::ImagePush        => Box::pin(registry::push(call)),
        O::ImageSearch      => Box::pin(registry::search(call)),
        O::Distribution     => Box::pin(registry::distribution(call)),
        O::Auth             => Box::pin(registry::auth(call)),
        O::ImageDiff        => Box::pin(beyond::image_diff(call)),
        O::ManifestPush     => Box::pin(beyond::manifest_push(call)),
        O::VolumeBackup     => Box::pin(volume_verbs::backup(call)),
        O::VolumeRestore    => Box::pin(volume_verbs::restore(call)),
        O::VolumeClone      => Box::pin(volume_verbs::clone(call)),
        O::VolumeSnapshot   => Box::pin(volume_verbs::snapshot(call)),
        O::VolumeRename     => Box::pin(volume_verbs::rename(call)),
        O::VolumeSizes      => Box::pin(volume_verbs::sizes(call)),
        O::LayersPresent    => Box::pin(beyond::layers_present(call)),
        O::VolumeList       => Box::pin(volumes::list(call)),
        O::VolumeCreate     => Box::pin(volumes::create(call)),
        O::VolumeInspect    => Box::pin(volumes::inspect(call)),
        O::VolumeRemove     => Box::pin(volumes::remove(call)),
        O::VolumePrune      => Box::pin(prune::volumes(call)),
        O::NetworkList      => Box::pin(networks::list(call)),
        O::NetworkInspect   => Box::pin(networks::inspect(call)),
        O::NetworkCreate    => Box::pin(networks::create(call)),
        O::NetworkRemove    => Box::pin(networks::remove(call)),
        O::NetworkConnect   => Box::pin(networks::connect(call)),
        O::NetworkDisconnect => Box::pin(networks::disconnect(call)),
        O::NetworkPrune     => Box::pin(prune::networks(call)),
        O::PluginList       => Box::pin(plugins::list(call)),
        O::PluginOther      => Box::pin(plugins::other(call)),
        O::Build            => Box::pin(build::build(call)),
        O::BuildPrune       => Box::pin(prune::build_cache(call)),
        // Refused when the request was routed.
        O::Swarm | O::SwarmLeave | O::ClusterVolume | O::Checkpoint | O::Unsupported => Box::pin(async { Err(not_found()) }),
    }
}

/// A request that found its route.
struct Routed {
    operation: Operation,
    version: ApiVersion,
    name: String,
    query: Query,
    headers: HeaderMap,
    body: RequestBody,
    upgrade: Option<OnUpgrade>,
    peer: Option<Peer>,
}

impl Routed {
    fn call(self, engine: Arc<Engine>) -> Call {
        let Self { version, name, query, headers, body, upgrade, peer, .. } = self;
        Call { engine, version, name, query, headers, body, upgrade, peer }
    }
}

/// Finds the route and refuses what needs no engine to be refused.
fn route(mut request: Request<RequestBody>) -> Result<Routed, Failure> {
    let upgrade = request.extensions_mut().remove::<OnUpgrade>();
    let peer = request.extensions_mut().remove::<Peer>();
    let (head, body) = request.into_parts();
    let method = match head.method {
        hyper::Method::GET => Method::Get,
        hyper::Method::HEAD => Method::Head,
        hyper::Method::POST => Method::Post,
        hyper::Method::PUT => Method::Put,
        hyper::Method::DELETE => Method::Delete,
        _ => return Err(not_found()),
    };
    let found = route::find(method, head.uri.path()).map_err(|error| Failure::invalid(error.to_string()))?;
    let found = found.ok_or_else(not_found)?;
    match found.route.operation {
        Operation::Swarm => return Err(Failure::new(ErrorKind::Unavailable, SWARM)),
        Operation::Checkpoint => return Err(Failure::new(ErrorKind::NotImplemented, CHECKPOINT)),
        Operation::ClusterVolume => return Err(Failure::new(ErrorKind::Unavailable, CLUSTER_VOLUME)),
        Operation::SwarmLeave => return Err(Failure::new(ErrorKind::Unavailable, "This node is not part of a swarm")),
        Operation::Unsupported => return Err(Failure::unsupported(&format!("{} {}", head.method, found.route.path))),
        _ => {}
    }
    Ok(Routed {
        operation: found.route.operation,
        version: found.version,
        name: query::decode(found.parameter, false),
        query: Query::parse(head.uri.query().unwrap_or_default())?,
        headers: head.headers,
        body,
        upgrade,
        peer,
    })
}

fn not_found() -> Failure {
    Failure { status: StatusCode::NOT_FOUND, message: "page not found".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http_body_util::BodyExt as _;

    fn request(method: &str, uri: &str) -> Request<RequestBody> {
        let builder = Request::builder().method(method).uri(uri);
        builder.body(RequestBody::Full(Bytes::new())).expect("valid")
    }

    async fn refusal(method: &str, uri: &str) -> (u16, String) {
        let failure = route(request(method, uri)).err().expect("refused");
        let response = finished(respond::failure(failure));
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.headers()["api-version"], "1.51");
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("whole").to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    #[tokio::test]
    async fn what_has_no_route_is_refused_in_dockers_words() {
        for (method, uri, status, body) in [
            ("GET", "/nope", 404, "{\"message\":\"page not found\"}\n"),
            ("PUT", "/info", 404, "{\"message\":\"page not found\"}\n"),
            ("PATCH", "/info", 404, "{\"message\":\"page not found\"}\n"),
            (
                "GET",
                "/v1.99/info",
                400,
                "{\"message\":\"client version 1.99 is too new. Maximum supported API version is 1.51\"}\n",
            ),
            (
                "GET",
                "/v1.41/services",
                503,
                "{\"message\":\"This node is not a swarm manager. Use \\\"docker swarm init\\\" or \\\"docker swarm join\\\" to connect this node to swarm and try again.\"}\n",
            ),
            (
                "POST",
                "/v1.41/build/cancel",
                501,
                "{\"message\":\"POST /build/cancel is not supported by this engine yet\"}\n",
            ),
        ] {
            assert_eq!(refusal(method, uri).await, (status, body.to_owned()), "{method} {uri}");
        }
    }

    #[test]
    fn parameters_and_queries_are_decoded() {
        let Ok(routed) = route(request("DELETE", "/v1.30/images/a%2Fb%3Ac?force=1&noprune=false")) else {
            panic!("no route")
        };
        assert_eq!(
            (routed.operation, routed.version, routed.name.as_str()),
            (Operation::ImageRemove, ApiVersion(30), "a/b:c")
        );
        assert!(routed.query.flag("force") && !routed.query.flag("noprune"));
    }
}
