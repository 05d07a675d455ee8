//! `POST /build`: its many parameters.

use std::collections::BTreeMap;

use api::ApiVersion;
use api::container::{HostConfig as WireHost, Ulimit};
use api::system::AuthConfig;
use engine::model::HostConfig;
use engine::model::image::Credentials;
use engine::{BuildContext, BuildOptions, BuildRequest};
use serde::de::DeserializeOwned;
use types::Reference;

use super::{auth, host, platform};
use crate::failure::Failure;
use crate::query::Query;

/// Decodes the query; `context` is the body, `registries` the header with credentials.
///
/// # Errors
/// 400 in Docker's words.
pub fn build(
    query: &Query,
    version: ApiVersion,
    registries: &str,
    context: BuildContext,
) -> Result<BuildRequest, Failure> {
    check_unsupported(query)?;
    let text = |key: &str| query.text(key).unwrap_or_default().to_owned();
    let host = host_config(query, version)?;
    let force_remove = query.flag("forcerm");
    // Absent is yes since API 1.12.
    let remove = force_remove || query.text("rm").is_none() || query.flag("rm");
    let context = query.text("remote").map_or(context, |address| BuildContext::Remote(address.to_owned()));
    let wanted = query.text("platform").filter(|_| version >= ApiVersion(32));
    let options = BuildOptions {
        arguments: json(query, "buildargs", "error reading build args")?.unwrap_or_default(),
        target: query.text("target").map(str::to_owned),
        labels: json(query, "labels", "error reading labels")?.unwrap_or_default(),
        platform: wanted.map(str::to_owned),
    };
    Ok(BuildRequest {
        context,
        dockerfile: text("dockerfile"),
        tags: tags(query)?,
        options,
        platform: platform(wanted)?,
        no_cache: query.flag("nocache"),
        pull: query.flag("pull"),
        remove,
        force_remove,
        cache_from: json(query, "cachefrom", "error reading cache-from")?.unwrap_or_default(),
        network: host.network_mode,
        extra_hosts: host.extra_hosts,
        shm_size: host.shm_size,
        resources: host.resources,
        cgroup_parent: host.cgroup_parent,
        credentials: credentials(registries),
    })
}

fn check_unsupported(query: &Query) -> Result<(), Failure> {
    match query.text("version") {
        None | Some("1") => {}
        Some("2") => {
            let text =
                "BuildKit is not supported by this engine yet: build with DOCKER_BUILDKIT=0, or with `gantry build`";
            return Err(Failure::invalid(text));
        }
        Some(other) => return Err(Failure::invalid(format!("invalid version {other}"))),
    }
    if query.flag("squash") {
        return Err(Failure::invalid("squash is only supported with experimental mode"));
    }
    if query.text("outputs").is_some_and(|outputs| !matches!(outputs, "[]" | "null")) {
        return Err(Failure::invalid("outputs are not supported by the classic builder: the result is an image"));
    }
    if query.text("securityopt").is_some_and(|options| !matches!(options, "[]" | "null")) {
        let text = "The daemon on this platform (linux) does not support setting security options on build";
        return Err(Failure::invalid(text));
    }
    Ok(())
}

/// Limits and surroundings of the steps' containers, checked as those of any container.
fn host_config(query: &Query, version: ApiVersion) -> Result<HostConfig, Failure> {
    // As in Docker, what is no number is none.
    let number = |key: &str| query.text(key).and_then(|text| text.parse().ok()).unwrap_or_default();
    let text = |key: &str| query.text(key).unwrap_or_default().to_owned();
    let ulimits: Option<Vec<Ulimit>> = json(query, "ulimits", "error reading ulimit settings")?;
    let wire = WireHost {
        memory: number("memory"),
        memory_swap: number("memswap"),
        cpu_shares: number("cpushares"),
        cpu_period: number("cpuperiod"),
        cpu_quota: number("cpuquota"),
        cpuset_cpus: text("cpusetcpus"),
        cpuset_mems: text("cpusetmems"),
        shm_size: number("shmsize"),
        cgroup_parent: text("cgroupparent"),
        network_mode: text("networkmode"),
        isolation: text("isolation"),
        extra_hosts: Some(query.all("extrahosts").filter(|entry| !entry.is_empty()).map(str::to_owned).collect()),
        ulimits,
        ..WireHost::default()
    };
    host::decode(wire, version, &mut Vec::new())
}

/// Names of the image, each once.
fn tags(query: &Query) -> Result<Vec<Reference>, Failure> {
    let mut tags: Vec<Reference> = Vec::new();
    for text in query.all("t").filter(|text| !text.is_empty()) {
        let reference: Reference =
            text.parse().map_err(|error: types::InvalidReference| Failure::invalid(error.to_string()))?;
        if reference.digest().is_some() {
            return Err(Failure::invalid("build tag cannot contain a digest"));
        }
        let reference = reference.with_default_tag();
        if !tags.contains(&reference) {
            tags.push(reference);
        }
    }
    Ok(tags)
}

/// A parameter that is JSON; `null` is none.
fn json<T: DeserializeOwned>(query: &Query, key: &str, context: &str) -> Result<Option<T>, Failure> {
    let Some(text) = query.text(key) else { return Ok(None) };
    api::json::from_slice(text.as_bytes()).map_err(|error| Failure::invalid(format!("{context}: {error}")))
}

/// The header `X-Registry-Config`: credentials by registry. What does not decode counts as none.
fn credentials(header: &str) -> BTreeMap<String, Credentials> {
    let decoded = auth::decoded(header).and_then(|bytes| api::json::from_slice(&bytes).ok());
    let all: BTreeMap<String, AuthConfig> = decoded.unwrap_or_default();
    all.into_iter().filter_map(|(name, auth)| Some((name, auth::credentials(auth)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(query: &str) -> Result<BuildRequest, String> {
        let query = Query::parse(query).map_err(|failure| failure.message)?;
        let context = BuildContext::Archive(Box::new(std::io::empty()));
        build(&query, ApiVersion(41), "", context).map_err(|failure| failure.message)
    }

    #[test]
    fn parameters_are_decoded() {
        let request = decoded(
            "t=a&t=b:1&t=a:latest&buildargs=%7B%22A%22%3A%22b%22%2C%22N%22%3Anull%7D&labels=%7B%22l%22%3A%22m%22%7D&memory=8388608&memswap=-1&cpushares=xx&extrahosts=h:1.2.3.4&cachefrom=%5B%22c%22%5D&target=T&rm=0&nocache=1",
        )
        .expect("valid");
        assert_eq!(request.tags.iter().map(Reference::familiar).collect::<Vec<_>>(), ["a:latest", "b:1"]);
        assert_eq!(request.options.arguments["A"].as_deref(), Some("b"));
        assert_eq!(request.options.arguments["N"], None);
        assert_eq!(request.options.labels["l"], "m");
        assert_eq!(
            (request.resources.memory, request.resources.memory_swap, request.resources.cpu_shares),
            (8 << 20, -1, 0)
        );
        assert_eq!((request.extra_hosts, request.cache_from), (vec!["h:1.2.3.4".to_owned()], vec!["c".to_owned()]));
        assert!(!request.remove && request.no_cache && request.options.target.as_deref() == Some("T"));
        assert!(decoded("").expect("valid").remove);
        assert!(decoded("rm=0&forcerm=1").expect("valid").force_remove);
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        let refused = |query: &str| decoded(query).err().expect("refused");
        assert_eq!(refused("squash=1"), "squash is only supported with experimental mode");
        assert!(refused("version=2").starts_with("BuildKit is not supported"));
        assert_eq!(refused("version=3"), "invalid version 3");
        assert_eq!(refused("t=A"), "invalid reference format: repository name (A) must be lowercase");
        assert!(refused("buildargs=xx").starts_with("error reading build args: "));
        assert!(refused("extrahosts=x").starts_with("bad format for add-host"));
    }
}
