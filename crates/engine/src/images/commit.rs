//! `docker commit`: what a container has written, as an image.

use std::sync::Arc;

use serde_json::{Value, json};
use store::{ChildImage, ImageId};
use types::Reference;

use super::changes::apply_changes;
use crate::container::{Container, Held};
use crate::engine::Engine;
use crate::error::{Error, StateConflict};
use crate::model::{ContainerConfig, ContainerState};

/// What to commit, and as what.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// Name or id of the container.
    pub container: String,
    /// The name the image gets.
    pub reference: Option<Reference>,
    /// Commit message.
    pub comment: String,
    /// Who made it.
    pub author: String,
    /// Freeze the container meanwhile.
    pub pause: bool,
    /// Dockerfile instructions that edit the configuration.
    pub changes: Vec<String>,
    /// The configuration; `None` takes the container's.
    pub config: Option<ContainerConfig>,
}

// === impl Engine ===

impl Engine {
    /// Makes an image of a container.
    ///
    /// # Errors
    /// [`Error::NoSuchContainer`], [`crate::error::Invalid::Change`], `Conflict` for a container that is dead.
    pub async fn commit(self: &Arc<Self>, request: Commit) -> Result<ImageId, Error> {
        let container = self.containers.find(&request.container)?;
        if matches!(container.status().state, ContainerState::Dead(_)) {
            return Err(StateConflict::CommitDead(container.spec.id.to_string()).into());
        }
        let own = image_config(&container.spec.config);
        let mut config = request.config.as_ref().map_or_else(|| own.clone(), image_config);
        apply_changes(&request.changes, &mut config)?;
        merge(&mut config, &own);
        let engine = Arc::clone(self);
        // A client that leaves must not leave the container frozen: the work goes on without it.
        let work = tokio::spawn(async move {
            let mut held = Held::default();
            if request.pause {
                held.freeze(&container).await?;
            }
            let result = engine.commit_now(&container, request, config).await;
            held.thaw().await?;
            result
        });
        work.await.map_err(|_| Error::ShuttingDown)?
    }

    async fn commit_now(
        self: &Arc<Self>,
        container: &Arc<Container>,
        request: Commit,
        config: store::ContainerConfig,
    ) -> Result<ImageId, Error> {
        let (engine, from) = (Arc::clone(self), Arc::clone(container));
        let Commit { reference, comment, author, .. } = request;
        let spec = Arc::clone(&container.spec);
        let name = reference.map(Reference::with_default_tag);
        let shown = name.as_ref().map(Reference::familiar).unwrap_or_default();
        let child = ChildImage {
            names: name.iter().cloned().collect(),
            parent: spec.image.map(ImageId),
            config,
            author,
            comment: comment.clone(),
            created_by: spec.config.cmd.iter().flatten().cloned().collect::<Vec<_>>().join(" "),
            engine_version: crate::system::VERSION.to_owned(),
            other: vec![
                ("container".to_owned(), Value::String(spec.id.to_string())),
                ("container_config".to_owned(), container_config(&spec.config)),
            ],
        };
        let id = self
            .blocking(move || {
                let lease = engine.store.lease();
                let layer = engine.store.commit_layer(&lease, &from.spec.id)?;
                let id = engine.store.put_child_image(&lease, layer.as_ref(), child)?;
                if let Some(name) = &name {
                    // Somebody may have removed it by now.
                    let image = engine.store.image(&id).ok();
                    engine.image_event("tag", &id.to_string(), &name.familiar(), image.as_deref());
                }
                Ok(id)
            })
            .await?;
        let attributes = [("comment", comment.as_str()), ("imageID", &id.to_string()), ("imageRef", &shown)];
        self.container_event(container, "commit", &attributes);
        Ok(id)
    }
}

fn empty() -> Value {
    Value::Object(serde_json::Map::new())
}

/// The part of a container's configuration that images have.
fn image_config(config: &ContainerConfig) -> store::ContainerConfig {
    store::ContainerConfig {
        user: config.user.clone(),
        exposed_ports: config.exposed_ports.iter().map(|port| (port.to_string(), empty())).collect(),
        env: config.env.clone(),
        entrypoint: config.entrypoint.clone(),
        cmd: config.cmd.clone(),
        volumes: config.volumes.iter().map(|path| (path.clone(), empty())).collect(),
        working_dir: config.working_dir.clone(),
        labels: config.labels.clone().into_iter().collect(),
        stop_signal: config.stop_signal.map(|signal| signal.to_string()),
        stop_timeout: config.stop_timeout,
        healthcheck: config.healthcheck.as_ref().map(|check| store::Healthcheck {
            test: check.test.clone(),
            interval: check.interval,
            timeout: check.timeout,
            start_period: check.start_period,
            start_interval: check.start_interval,
            retries: check.retries,
        }),
        shell: config.shell.clone(),
        on_build: config.on_build.clone(),
        other: std::collections::BTreeMap::new(),
    }
}

/// The whole of it, as old clients look at it in the image.
fn container_config(config: &ContainerConfig) -> Value {
    let mut whole = image_config(config);
    let own = [
        ("Hostname", json!(config.hostname)),
        ("Domainname", json!(config.domainname)),
        ("AttachStdin", json!(config.attach_stdin)),
        ("AttachStdout", json!(config.attach_stdout)),
        ("AttachStderr", json!(config.attach_stderr)),
        ("Tty", json!(config.tty)),
        ("OpenStdin", json!(config.open_stdin)),
        ("StdinOnce", json!(config.stdin_once)),
        ("Image", json!(config.image)),
    ];
    whole.other.extend(own.map(|(key, value)| (key.to_owned(), value)));
    // Its maps have texts as keys, so it always encodes.
    serde_json::to_value(whole).unwrap_or_default()
}

/// What a configuration leaves open comes from the container.
fn merge(config: &mut store::ContainerConfig, own: &store::ContainerConfig) {
    let inherit = |text: &mut String, from: &String| {
        if text.is_empty() {
            text.clone_from(from);
        }
    };
    inherit(&mut config.user, &own.user);
    inherit(&mut config.working_dir, &own.working_dir);
    for (key, value) in &own.exposed_ports {
        config.exposed_ports.entry(key.clone()).or_insert_with(|| value.clone());
    }
    for (key, value) in &own.volumes {
        config.volumes.entry(key.clone()).or_insert_with(|| value.clone());
    }
    for (key, value) in &own.labels {
        config.labels.entry(key.clone()).or_insert_with(|| value.clone());
    }
    let name = |variable: &str| variable.split('=').next().unwrap_or_default().to_owned();
    let missing = own.env.iter().filter(|variable| !config.env.iter().any(|set| name(set) == name(variable)));
    let missing: Vec<String> = missing.cloned().collect();
    config.env.extend(missing);
    if config.entrypoint.as_ref().is_none_or(Vec::is_empty) {
        if config.cmd.as_ref().is_none_or(Vec::is_empty) {
            config.cmd.clone_from(&own.cmd);
        }
        if config.entrypoint.is_none() {
            config.entrypoint.clone_from(&own.entrypoint);
        }
    }
    config.stop_signal = config.stop_signal.take().or_else(|| own.stop_signal.clone());
    config.stop_timeout = config.stop_timeout.or(own.stop_timeout);
    config.healthcheck = config.healthcheck.take().or_else(|| own.healthcheck.clone());
    config.shell = config.shell.take().or_else(|| own.shell.clone());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_open_comes_from_the_container() {
        let words = |words: &[&str]| Some(words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>());
        let own = store::ContainerConfig {
            user: "web".to_owned(),
            env: vec!["A=1".to_owned(), "B=2".to_owned()],
            entrypoint: words(&["/run"]),
            cmd: words(&["x"]),
            ..Default::default()
        };
        let mut config = store::ContainerConfig { env: vec!["B=3".to_owned()], ..Default::default() };
        merge(&mut config, &own);
        assert_eq!((config.user.as_str(), &config.env[..]), ("web", &["B=3".to_owned(), "A=1".to_owned()][..]));
        assert_eq!((config.entrypoint, config.cmd), (words(&["/run"]), words(&["x"])));
        // A new entrypoint does not go with an old command.
        let mut config = store::ContainerConfig { entrypoint: words(&["/new"]), ..Default::default() };
        merge(&mut config, &own);
        assert_eq!((config.entrypoint, config.cmd), (words(&["/new"]), None));
    }
}
