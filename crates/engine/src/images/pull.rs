//! `docker pull`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use transfer::{Credentials, Progress, PullRequest};
use types::{Platform, Reference};

use super::ImageProgress;
use super::transport::Steps;
use crate::engine::Engine;
use crate::error::Error;

/// Steps in flight: a client that reads slowly slows a pull down only when it is this far behind.
const IN_FLIGHT: usize = 1024;
/// How long the hub may take to hand out `hello-world` before the built-in copy is taken.
const HUB_PATIENCE: Duration = Duration::from_secs(15);

impl Engine {
    /// Pulls an image. The pull ends when the receiver is dropped.
    ///
    /// `hello-world` comes from the hub when that answers, and otherwise from inside this program.
    pub fn image_pull(
        self: &Arc<Self>,
        reference: Reference,
        platform: Option<Platform>,
        credentials: Option<Credentials>,
    ) -> Steps {
        let (sender, receiver) = mpsc::channel(IN_FLIGHT);
        let engine = Arc::clone(self);
        tokio::spawn(async move {
            let request = PullRequest {
                reference: reference.with_default_tag(),
                platform,
                credentials,
                insecure_registries: engine.live().insecure_registries.clone(),
            };
            tokio::select! {
                result = engine.pull_or_built_in(request, &sender) => {
                    if let Err(error) = result {
                        // A client that left does not need the answer.
                        let _ = sender.send(Err(error)).await;
                    }
                }
                () = sender.closed() => {}
            }
        });
        receiver
    }

    async fn pull_or_built_in(
        self: &Arc<Self>,
        request: PullRequest,
        sender: &mpsc::Sender<Result<ImageProgress, Error>>,
    ) -> Result<(), Error> {
        let reference = request.reference.clone();
        let steps = sender.clone();
        // Steps are for display: one that finds no room is left out, and later ones tell more.
        let progress = move |step| drop(steps.try_send(Ok(ImageProgress::Pull(step))));
        let pull = transfer::pull(&self.store, request, progress);
        let pulled = if is_hello_world(&reference) {
            match tokio::time::timeout(HUB_PATIENCE, pull).await {
                Ok(Ok(pulled)) => Ok(pulled),
                Ok(Err(_)) | Err(_) => return self.load_built_in(&reference, sender).await,
            }
        } else {
            pull.await
        }?;
        let image = self.store.image(&pulled.id).ok();
        let name = reference.familiar();
        self.image_event("pull", &name, &reference.familiar_name(), image.as_deref());
        Ok(())
    }

    async fn load_built_in(
        self: &Arc<Self>,
        reference: &Reference,
        sender: &mpsc::Sender<Result<ImageProgress, Error>>,
    ) -> Result<(), Error> {
        let engine = Arc::clone(self);
        let newer = self
            .blocking(move || {
                let present = engine.find_image("hello-world:latest").ok().map(|image| image.id);
                let id = engine.store.load_hello_world()?;
                engine.image_event("load", &id.to_string(), "hello-world:latest", None);
                Ok(present != Some(id))
            })
            .await?;
        tracing::info!("the hub does not answer; took the hello-world image that ships with this program");
        let status = Progress::Status { reference: reference.familiar(), newer };
        let _ = sender.send(Ok(ImageProgress::Pull(status))).await;
        Ok(())
    }
}

fn is_hello_world(reference: &Reference) -> bool {
    reference.domain() == "docker.io"
        && reference.path() == "library/hello-world"
        && reference.tag() == Some("latest")
        && reference.digest().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hubs_latest_hello_world_is_built_in() {
        let is = |text: &str| text.parse().map(Reference::with_default_tag).is_ok_and(|r| is_hello_world(&r));
        assert!(is("hello-world") && is("docker.io/library/hello-world:latest"));
        assert!(!is("hello-world:linux") && !is("127.0.0.1:5000/hello-world") && !is("user/hello-world"));
    }
}
