//! Images.

use std::collections::BTreeMap;

use api::container::DriverData;
use api::image::{Config, DeleteItem, HistoryItem, Inspect, Metadata, RootFs, Summary};
use api::{ApiVersion, Empty};
use engine::model::image::{GraphDriverData, Image, ImageConfig, Removed};
use engine::{HistoryEntry, ImageDetails, ListedImage};
use jiff::Timestamp;

use super::registry::manifest_summary;
use super::{or_null, time};

/// Encodes an entry of `GET /images/json`.
#[must_use]
pub fn image_summary(listed: &ListedImage, version: ApiVersion) -> Summary {
    let image = &listed.image;
    let (mut tags, mut digests) = (listed.tags.clone(), listed.digests.clone());
    if version < ApiVersion(43) && tags.is_empty() && digests.is_empty() {
        tags.push("<none>:<none>".to_owned());
        digests.push("<none>@<none>".to_owned());
    }
    let size = bytes(image.size);
    let containers = i64::try_from(listed.containers).unwrap_or(i64::MAX);
    let created = image.config.created.as_deref().and_then(|text| text.parse::<Timestamp>().ok());
    Summary {
        containers: if version < ApiVersion(51) { -1 } else { containers },
        created: created.map_or(0, Timestamp::as_second),
        id: image.id.to_string(),
        labels: or_null(labels(image)),
        parent_id: image.parent.map(|parent| parent.to_string()).unwrap_or_default(),
        repo_digests: digests,
        repo_tags: tags,
        shared_size: listed.shared_size.map_or(-1, bytes),
        size,
        virtual_size: if version < ApiVersion(44) { size } else { 0 },
        manifests: listed.manifest.as_ref().map(|manifest| vec![manifest_summary(image, manifest)]),
    }
}

/// Encodes `GET /images/{name}/json`.
#[must_use]
pub fn image_details(details: &ImageDetails, version: ApiVersion) -> Inspect {
    let image = &details.image;
    let config = &image.config;
    let familiar = |names: &[types::Reference]| names.iter().map(types::Reference::familiar).collect();
    let created = config.created.clone().or_else(|| (version < ApiVersion(44)).then(|| time::ZERO.to_owned()));
    let size = bytes(image.size);
    // Gone since API 1.45; where an image was committed from a container, clients still look for it.
    let container = config.other.get("container").and_then(text).filter(|id| !id.is_empty());
    let shows_container = version < ApiVersion(45) || container.is_some();
    Inspect {
        id: image.id.to_string(),
        repo_tags: familiar(&image.repo_tags),
        repo_digests: familiar(&image.repo_digests),
        parent: image.parent.map(|parent| parent.to_string()).unwrap_or_default(),
        comment: comment(config),
        created: created.unwrap_or_default(),
        container: shows_container.then(|| container.unwrap_or_default()),
        container_config: shows_container.then(|| container_config(config)),
        docker_version: config.docker_version.clone(),
        author: config.author.clone(),
        architecture: config.architecture.clone(),
        variant: config.variant.clone().unwrap_or_default(),
        os: config.os.clone(),
        os_version: String::new(),
        size,
        virtual_size: if version < ApiVersion(44) { size } else { 0 },
        graph_driver: DriverData { data: graph(&details.graph_driver), name: details.driver.to_owned() },
        root_fs: RootFs {
            kind: config.rootfs.kind.clone(),
            layers: config.rootfs.diff_ids.iter().map(ToString::to_string).collect(),
        },
        metadata: Metadata { last_tag_time: image.last_tag_time.clone().unwrap_or_else(|| time::ZERO.to_owned()) },
        config: image_config(image, version),
        manifests: details.manifest.as_ref().map(|manifest| vec![manifest_summary(image, manifest)]),
    }
}

fn image_config(image: &Image, version: ApiVersion) -> Config {
    let config = &image.config.config;
    let set = |keys: &indexmap::IndexMap<String, serde_json::Value>| -> BTreeMap<String, Empty> {
        keys.keys().map(|key| (key.clone(), Empty {})).collect()
    };
    // Members of a container's configuration that images never had, but that stood here up to API 1.49.
    let (no, none) = ((version < ApiVersion(50)).then_some(false), (version < ApiVersion(50)).then(String::new));
    Config {
        attach_stderr: no,
        attach_stdin: no,
        attach_stdout: no,
        cmd: config.cmd.clone(),
        domainname: none.clone(),
        entrypoint: config.entrypoint.clone(),
        env: or_null(config.env.clone()),
        exposed_ports: set(&config.exposed_ports),
        healthcheck: config.healthcheck.as_ref().map(|check| api::container::Healthcheck {
            test: check.test.clone(),
            interval: check.interval,
            timeout: check.timeout,
            start_period: check.start_period,
            start_interval: check.start_interval,
            retries: check.retries,
        }),
        hostname: none.clone(),
        image: none,
        labels: or_null(labels(image)),
        on_build: or_null(config.on_build.clone()),
        open_stdin: no,
        shell: config.shell.clone(),
        stdin_once: no,
        stop_signal: config.stop_signal.clone().unwrap_or_default(),
        tty: no,
        user: config.user.clone(),
        volumes: or_null(set(&config.volumes)),
        working_dir: config.working_dir.clone(),
        args_escaped: false,
    }
}

/// Encodes `GET /images/{name}/history`.
#[must_use]
pub fn history(entries: Vec<HistoryEntry>) -> Vec<HistoryItem> {
    let encode = |entry: HistoryEntry| HistoryItem {
        comment: entry.comment,
        created: entry.created.map_or(0, Timestamp::as_second),
        created_by: entry.created_by,
        id: entry.id,
        size: bytes(entry.size),
        tags: or_null(entry.tags),
    };
    entries.into_iter().map(encode).collect()
}

/// Encodes a line of `DELETE /images/{name}`.
#[must_use]
pub fn removed(step: Removed) -> DeleteItem {
    match step {
        Removed::Untagged(name) => DeleteItem { untagged: name, ..DeleteItem::default() },
        Removed::Deleted(digest) => DeleteItem { deleted: digest.to_string(), ..DeleteItem::default() },
    }
}

/// An image that was committed says in its history what it is about.
fn comment(config: &ImageConfig) -> String {
    let last = || config.history.last().map(|step| step.comment.clone()).unwrap_or_default();
    if config.comment.is_empty() { last() } else { config.comment.clone() }
}

fn text(value: &serde_json::Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// The configuration of the container that an image was committed from.
fn container_config(config: &ImageConfig) -> api::container::Config {
    let stored = config.other.get("container_config").cloned();
    stored.and_then(|stored| serde_json::from_value(stored).ok()).unwrap_or_default()
}

fn labels(image: &Image) -> BTreeMap<String, String> {
    image.config.config.labels.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn graph(data: &GraphDriverData) -> Option<BTreeMap<String, String>> {
    let pairs = [
        ("LowerDir", &data.lower_dir),
        ("MergedDir", &data.merged_dir),
        ("UpperDir", &data.upper_dir),
        ("WorkDir", &data.work_dir),
    ];
    let present = pairs.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.clone()?)));
    or_null(present.collect())
}

fn bytes(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
