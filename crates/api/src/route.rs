//! The routes of the Engine API as data, and how a path finds its route.
//!
//! A pattern is made of literal words and parameters: `{id}` takes one word, `{name*}` takes one or more words (image
//! names contain slashes); a second parameter takes one word too. Every pattern may be prefixed with `/v1.MINOR`.

use crate::version::{ApiVersion, VersionError};

/// HTTP methods that routes use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are their names")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
}

/// What a route asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the table below says which route each one is")]
pub enum Operation {
    Ping,
    Version,
    Info,
    Events,
    DiskUsage,
    ContainerList,
    ContainerCreate,
    ContainerInspect,
    ContainerTop,
    ContainerLogs,
    ContainerStart,
    ContainerStop,
    ContainerRestart,
    ContainerKill,
    ContainerPause,
    ContainerUnpause,
    ContainerRename,
    ContainerUpdate,
    ContainerResize,
    ContainerAttach,
    ContainerWait,
    ContainerRemove,
    ContainerStats,
    ContainerChanges,
    ContainerExport,
    ContainerArchiveStat,
    ContainerArchiveGet,
    ContainerArchivePut,
    ContainerAttachWebsocket,
    ContainerCommit,
    ContainerPrune,
    ExecCreate,
    ExecStart,
    ExecInspect,
    ExecResize,
    ImageList,
    ImageCreate,
    ImageLoad,
    ImageSave,
    ImageInspect,
    ImageHistory,
    ImageTag,
    ImageRemove,
    ImagePrune,
    ImagePush,
    ImageSearch,
    Distribution,
    /// Our own: the check of the data root.
    Fsck,
    /// Our own: puts bridges, rules and switches right.
    NetworkRepair,
    /// Our own: which rule admits or drops.
    FirewallExplain,
    /// Our own: what takes space below the data root.
    Usage,
    /// Our own: the budget of images.
    Gc,
    /// Our own: whose a path below the data root is.
    Why,
    /// Our own: what a prune would remove.
    PrunePlan,
    /// Our own: a prune of what was listed before.
    PruneListed,
    /// Our own: what a removal by name would remove.
    RemovalPlan,
    /// Beyond Docker: which layers are here.
    LayersPresent,
    /// Beyond Docker: what distinguishes two images.
    ImageDiff,
    /// Beyond Docker: a client's manifest list goes to its registry.
    ManifestPush,
    /// Beyond Docker: a volume as an archive.
    VolumeBackup,
    /// Beyond Docker: a volume from an archive or from another volume.
    VolumeRestore,
    /// Beyond Docker: a volume with the files of another one.
    VolumeClone,
    /// Beyond Docker: the same, of one moment.
    VolumeSnapshot,
    /// Beyond Docker: another name for a volume.
    VolumeRename,
    /// Beyond Docker: what volumes take on the disk.
    VolumeSizes,
    Auth,
    VolumeList,
    VolumeCreate,
    VolumeInspect,
    VolumeRemove,
    VolumePrune,
    NetworkList,
    NetworkInspect,
    NetworkCreate,
    NetworkRemove,
    NetworkConnect,
    NetworkDisconnect,
    NetworkPrune,
    PluginList,
    /// Any question about one plugin: there are none.
    PluginOther,
    Build,
    BuildPrune,
    /// Part of a swarm, which this engine never joins: 503.
    Swarm,
    /// Saving and restoring processes, which this engine does not do: 501.
    Checkpoint,
    /// Changing a volume of a swarm's storage: 503.
    ClusterVolume,
    /// Leaving a swarm that this engine is not part of.
    SwarmLeave,
    /// Known to Docker, not offered by this engine: 501.
    Unsupported,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Method.
    pub method: Method,
    /// Pattern without the version.
    pub path: &'static str,
    /// Meaning.
    pub operation: Operation,
    /// First API version whose reference names it. As in Docker, the paths of older versions lead there too.
    pub since: ApiVersion,
}

use Method::{Delete, Get, Head, Post, Put};
use Operation as O;

const fn row(method: Method, path: &'static str, operation: Operation) -> Route {
    Route { method, path, operation, since: ApiVersion::MINIMUM }
}

const fn since(minor: u16, method: Method, path: &'static str, operation: Operation) -> Route {
    Route { method, path, operation, since: ApiVersion(minor) }
}

/// All routes. The first row that matches counts.
#[rustfmt::skip]
pub const ROUTES: &[Route] = &[
    row(Get,    "/_ping",                        O::Ping),
    row(Head,   "/_ping",                        O::Ping),
    row(Get,    "/version",                      O::Version),
    row(Get,    "/info",                         O::Info),
    row(Get,    "/events",                       O::Events),

    row(Get,    "/containers/json",              O::ContainerList),
    row(Post,   "/containers/create",            O::ContainerCreate),
    since(25, Post, "/containers/prune",         O::ContainerPrune),
    row(Get,    "/containers/{id*}/json",        O::ContainerInspect),
    row(Get,    "/containers/{id*}/top",         O::ContainerTop),
    row(Get,    "/containers/{id*}/logs",        O::ContainerLogs),
    row(Post,   "/containers/{id*}/start",       O::ContainerStart),
    row(Post,   "/containers/{id*}/stop",        O::ContainerStop),
    row(Post,   "/containers/{id*}/restart",     O::ContainerRestart),
    row(Post,   "/containers/{id*}/kill",        O::ContainerKill),
    row(Post,   "/containers/{id*}/pause",       O::ContainerPause),
    row(Post,   "/containers/{id*}/unpause",     O::ContainerUnpause),
    row(Post,   "/containers/{id*}/rename",      O::ContainerRename),
    row(Post,   "/containers/{id*}/resize",      O::ContainerResize),
    row(Post,   "/containers/{id*}/attach",      O::ContainerAttach),
    row(Post,   "/containers/{id*}/wait",        O::ContainerWait),
    row(Delete, "/containers/{id*}/checkpoints/{checkpoint}", O::Checkpoint),
    row(Delete, "/containers/{id*}",             O::ContainerRemove),
    row(Post,   "/containers/{id*}/exec",        O::ExecCreate),
    row(Post,   "/exec/{id}/start",              O::ExecStart),
    row(Post,   "/exec/{id}/resize",             O::ExecResize),
    row(Get,    "/exec/{id}/json",               O::ExecInspect),
    row(Get,    "/containers/{id*}/changes",     O::ContainerChanges),
    row(Get,    "/containers/{id*}/export",      O::ContainerExport),
    row(Get,    "/containers/{id*}/stats",       O::ContainerStats),
    row(Get,    "/containers/{id*}/attach/ws",   O::ContainerAttachWebsocket),
    row(Post,   "/containers/{id*}/update",      O::ContainerUpdate),
    row(Head,   "/containers/{id*}/archive",     O::ContainerArchiveStat),
    row(Get,    "/containers/{id*}/archive",     O::ContainerArchiveGet),
    row(Put,    "/containers/{id*}/archive",     O::ContainerArchivePut),
    row(Get,    "/containers/{id*}/checkpoints", O::Checkpoint),
    row(Post,   "/containers/{id*}/checkpoints", O::Checkpoint),
    row(Post,   "/commit",                       O::ContainerCommit),

    row(Get,    "/images/json",                  O::ImageList),
    row(Get,    "/images/search",                O::ImageSearch),
    row(Get,    "/images/get",                   O::ImageSave),
    row(Post,   "/images/create",                O::ImageCreate),
    row(Post,   "/images/load",                  O::ImageLoad),
    since(25, Post, "/images/prune",             O::ImagePrune),
    row(Get,    "/images/{name*}/get",           O::ImageSave),
    row(Get,    "/images/{name*}/history",       O::ImageHistory),
    row(Get,    "/images/{name*}/json",          O::ImageInspect),
    row(Post,   "/images/{name*}/push",          O::ImagePush),
    row(Post,   "/images/{name*}/tag",           O::ImageTag),
    row(Delete, "/images/{name*}",               O::ImageRemove),
    since(30, Get, "/distribution/{name*}/json", O::Distribution),
    row(Post,   "/auth",                         O::Auth),
    row(Post,   "/build",                        O::Build),
    since(31, Post, "/build/prune",              O::BuildPrune),
    since(39, Post, "/build/cancel",             O::Unsupported),
    since(31, Post, "/session",                  O::Unsupported),
    since(39, Post, "/grpc",                     O::Unsupported),
    since(25, Get,  "/system/df",                O::DiskUsage),

    // Beyond Docker: under a word of our own, which no later version of its API can mean.
    row(Post,   "/gantry/fsck",                  O::Fsck),
    row(Post,   "/gantry/network/repair",        O::NetworkRepair),
    row(Get,    "/gantry/firewall/explain",      O::FirewallExplain),
    row(Get,    "/gantry/usage",                 O::Usage),
    row(Get,    "/gantry/gc",                    O::Gc),
    row(Get,    "/gantry/why",                   O::Why),
    row(Post,   "/gantry/prune",                 O::PruneListed),
    row(Post,   "/gantry/prune/plan",            O::PrunePlan),
    row(Post,   "/gantry/remove/plan",           O::RemovalPlan),
    row(Post,   "/gantry/layers/present",        O::LayersPresent),
    row(Get,    "/gantry/images/diff",           O::ImageDiff),
    row(Post,   "/gantry/manifests/push",        O::ManifestPush),
    row(Get,    "/gantry/volumes/size",          O::VolumeSizes),
    row(Get,    "/gantry/volumes/{name}/backup", O::VolumeBackup),
    row(Post,   "/gantry/volumes/{name}/restore", O::VolumeRestore),
    row(Post,   "/gantry/volumes/{name}/clone",  O::VolumeClone),
    row(Post,   "/gantry/volumes/{name}/snapshot", O::VolumeSnapshot),
    row(Post,   "/gantry/volumes/{name}/rename", O::VolumeRename),

    row(Get,    "/volumes",                      O::VolumeList),
    row(Post,   "/volumes/create",               O::VolumeCreate),
    since(25, Post, "/volumes/prune",            O::VolumePrune),
    row(Get,    "/volumes/{name*}",              O::VolumeInspect),
    since(42, Put, "/volumes/{name*}",           O::ClusterVolume),
    row(Delete, "/volumes/{name*}",              O::VolumeRemove),

    row(Get,    "/networks",                     O::NetworkList),
    row(Get,    "/networks/",                    O::NetworkList),
    row(Post,   "/networks/create",              O::NetworkCreate),
    since(25, Post, "/networks/prune",           O::NetworkPrune),
    row(Get,    "/networks/{id*}",               O::NetworkInspect),
    row(Post,   "/networks/{id*}/connect",       O::NetworkConnect),
    row(Post,   "/networks/{id*}/disconnect",    O::NetworkDisconnect),
    row(Delete, "/networks/{id*}",               O::NetworkRemove),

    row(Get,    "/swarm",                        O::Swarm),
    row(Get,    "/swarm/unlockkey",              O::Swarm),
    row(Post,   "/swarm/leave",                  O::SwarmLeave),
    row(Post,   "/swarm/{action}",               O::Swarm),
    row(Get,    "/services",                     O::Swarm),
    row(Get,    "/services/{id*}",               O::Swarm),
    row(Post,   "/services/{id*}",               O::Swarm),
    row(Delete, "/services/{id*}",               O::Swarm),
    row(Get,    "/nodes",                        O::Swarm),
    row(Get,    "/nodes/{id*}",                  O::Swarm),
    row(Post,   "/nodes/{id*}",                  O::Swarm),
    row(Delete, "/nodes/{id*}",                  O::Swarm),
    row(Get,    "/tasks",                        O::Swarm),
    row(Get,    "/tasks/{id*}",                  O::Swarm),
    since(25, Get,    "/secrets",                O::Swarm),
    since(25, Get,    "/secrets/{id*}",          O::Swarm),
    since(25, Post,   "/secrets/{id*}",          O::Swarm),
    since(25, Delete, "/secrets/{id*}",          O::Swarm),
    since(30, Get,    "/configs",                O::Swarm),
    since(30, Get,    "/configs/{id*}",          O::Swarm),
    since(30, Post,   "/configs/{id*}",          O::Swarm),
    since(30, Delete, "/configs/{id*}",          O::Swarm),
    since(25, Get,    "/plugins",                O::PluginList),
    since(25, Get,    "/plugins/privileges",     O::Unsupported),
    since(25, Post,   "/plugins/pull",           O::Unsupported),
    since(25, Post,   "/plugins/create",         O::Unsupported),
    since(25, Get,    "/plugins/{name*}/json",   O::PluginOther),
    since(25, Post,   "/plugins/{name*}/enable", O::PluginOther),
    since(25, Post,   "/plugins/{name*}/disable", O::PluginOther),
    since(25, Post,   "/plugins/{name*}/upgrade", O::PluginOther),
    since(25, Post,   "/plugins/{name*}/push",   O::PluginOther),
    since(25, Post,   "/plugins/{name*}/set",    O::PluginOther),
    since(25, Delete, "/plugins/{name*}",        O::PluginOther),
];

/// A path that found its route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// The row.
    pub route: &'static Route,
    /// The version of the path, or the newest.
    pub version: ApiVersion,
    /// What the parameter took, still percent-encoded; empty when the pattern has none.
    pub parameter: &'a str,
}

/// Finds the route of a raw request path. `Ok(None)` is "page not found".
///
/// # Errors
/// [`VersionError`] when the path begins with a version outside of the supported range.
pub fn find(method: Method, path: &str) -> Result<Option<Found<'_>>, VersionError> {
    let (version, path) = split_version(path)?;
    let found = ROUTES.iter().find_map(|route| {
        let parameter = if route.method == method { match_pattern(route.path, path)? } else { return None };
        Some(Found { route, version, parameter })
    });
    Ok(found)
}

fn split_version(path: &str) -> Result<(ApiVersion, &str), VersionError> {
    let unversioned = Ok((ApiVersion::MAXIMUM, path));
    let Some(rest) = path.strip_prefix("/v") else { return unversioned };
    let end = rest.find('/').unwrap_or(rest.len());
    match ApiVersion::parse(&rest[..end]) {
        None => unversioned,
        Some(version) => Ok((version?, &rest[end..])),
    }
}

/// Matches one pattern; yields what its first parameter took.
fn match_pattern<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    let Some((prefix, rest)) = pattern.split_once('{') else {
        return (pattern == path).then_some("");
    };
    let (parameter, suffix) = rest.split_once('}')?;
    if let Some((middle, _)) = suffix.split_once('{') {
        let (taken, last) = path.strip_prefix(prefix)?.split_once(middle)?;
        let words = [taken, last].iter().all(|word| !word.is_empty() && !word.contains('/'));
        return words.then_some(taken);
    }
    let taken = path.strip_prefix(prefix)?.strip_suffix(suffix)?;
    let many = parameter.ends_with('*');
    (!taken.is_empty() && (many || !taken.contains('/'))).then_some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(method: Method, path: &str) -> Option<(Operation, &str, u16)> {
        find(method, path).expect("version").map(|found| (found.route.operation, found.parameter, found.version.0))
    }

    #[test]
    fn paths_find_their_routes() {
        assert_eq!(operation(Get, "/v1.41/containers/json"), Some((O::ContainerList, "", 41)));
        assert_eq!(operation(Get, "/containers/abc/json"), Some((O::ContainerInspect, "abc", 51)));
        // A link's name: `web/db`.
        assert_eq!(operation(Get, "/containers/a/b/json"), Some((O::ContainerInspect, "a/b", 51)));
        assert_eq!(operation(Get, "/containers/a/b/attach/ws"), Some((O::ContainerAttachWebsocket, "a/b", 51)));
        assert_eq!(operation(Get, "/v1.30/images/a/b:1/json"), Some((O::ImageInspect, "a/b:1", 30)));
        assert_eq!(operation(Delete, "/images/127.0.0.1:5000/a"), Some((O::ImageRemove, "127.0.0.1:5000/a", 51)));
        assert_eq!(operation(Get, "/images/json"), Some((O::ImageList, "", 51)));
        assert_eq!(operation(Head, "/_ping"), Some((O::Ping, "", 51)));
        assert_eq!(operation(Get, "/v1.24/services"), Some((O::Swarm, "", 24)));
        assert_eq!(operation(Delete, "/containers/a/checkpoints/b"), Some((O::Checkpoint, "a", 51)));
        assert_eq!(operation(Delete, "/containers/a/checkpoints"), Some((O::ContainerRemove, "a/checkpoints", 51)));
        for (method, path) in [
            (Get, "/nothing"),
            (Post, "/containers/json"),
            (Get, "/containers//json"),
            (Get, "/vnothing/info"),
            (Get, "/"),
        ] {
            assert_eq!(operation(method, path), None, "{path}");
        }
        assert!(find(Get, "/v1.52/info").is_err());
    }

    #[test]
    fn every_pattern_has_at_most_two_parameters_and_starts_with_a_slash() {
        for route in ROUTES {
            assert!(route.path.starts_with('/') && route.path.matches('{').count() <= 2, "{}", route.path);
        }
    }
}
