//! `docker pull`.

use std::sync::Arc;
use std::time::Duration;

use sys::allocator::TrimBehind;
use transfer::{Credentials, Progress, PullRequest};
use types::{Platform, Reference};

use super::shared::{PullKey, SharedPull};
use super::transport::Steps;
use crate::engine::Engine;
use crate::error::Error;

/// How long the hub may take to hand out `hello-world` before the built-in copy is taken.
const HUB_PATIENCE: Duration = Duration::from_secs(15);

impl Engine {
    /// Pulls an image; without tag and digest, all tags of its repository. Clients that pull the same at the same time
    /// share the work, which ends when the last receiver is dropped.
    ///
    /// `hello-world` comes from the hub when that answers, and otherwise from inside this program.
    pub fn image_pull(
        self: &Arc<Self>,
        reference: Reference,
        platform: Option<Platform>,
        credentials: Option<Credentials>,
    ) -> Steps {
        let key = PullKey { reference, platform, credentials };
        let (receiver, own) = self.pulls.join(&key);
        let Some(shared) = own else { return receiver };
        let engine = Arc::clone(self);
        tokio::spawn(async move {
            let _trim = TrimBehind::default();
            tokio::select! {
                result = engine.pull_or_built_in(key, &shared) => {
                    engine.pull_is_over(&shared, result).await;
                }
                () = engine.pulls.abandoned(&shared) => {}
            }
        });
        receiver
    }

    /// Tells everybody who waited how it ended.
    async fn pull_is_over(&self, shared: &Arc<SharedPull>, result: Result<(), Error>) {
        let listeners = self.pulls.finish(shared);
        let Err(error) = result else { return };
        let error = Arc::new(error);
        for listener in listeners {
            // A client that left does not need the answer.
            let _ = listener.send(Err(Error::Shared(Arc::clone(&error)))).await;
        }
    }

    async fn pull_or_built_in(self: &Arc<Self>, key: PullKey, shared: &Arc<SharedPull>) -> Result<(), Error> {
        let (reference, platform) = (key.reference.clone(), key.platform.clone());
        let request = PullRequest {
            reference: key.reference,
            platform: key.platform,
            credentials: key.credentials,
            registries: self.registries(),
        };
        let told = Arc::clone(shared);
        let pull = transfer::pull(&self.store, request, move |step| told.tell(step));
        let pulled = if is_hello_world(&reference) {
            match tokio::time::timeout(HUB_PATIENCE, pull).await {
                Ok(Ok(pulled)) => Ok(pulled),
                Ok(Err(_)) | Err(_) => return self.load_built_in(&reference, shared).await,
            }
        } else {
            pull.await
        }?;
        for pulled in pulled {
            // An image that stands alone under its name is taken whatever it is for.
            if let Err(error @ store::Error::OtherPlatform { .. }) =
                self.find_image_for(&pulled.reference.to_string(), platform.as_ref())
            {
                tracing::warn!(%error, "the image is for another platform");
                shared.tell(Progress::Warning(error.to_string()));
            }
            let image = self.store.image(&pulled.id).ok();
            let name = pulled.reference.familiar();
            self.image_event("pull", &name, &pulled.reference.familiar_name(), image.as_deref());
        }
        Ok(())
    }

    async fn load_built_in(self: &Arc<Self>, reference: &Reference, shared: &Arc<SharedPull>) -> Result<(), Error> {
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
        let reference = reference.clone().with_default_tag().familiar();
        shared.tell(Progress::Status { reference, newer });
        Ok(())
    }
}

fn is_hello_world(reference: &Reference) -> bool {
    reference.domain() == "docker.io"
        && reference.path() == "library/hello-world"
        && reference.tag().is_none_or(|tag| tag == "latest")
        && reference.digest().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hubs_latest_hello_world_is_built_in() {
        let is = |text: &str| text.parse().is_ok_and(|reference| is_hello_world(&reference));
        assert!(is("hello-world") && is("docker.io/library/hello-world:latest"));
        assert!(!is("hello-world:linux") && !is("127.0.0.1:5000/hello-world") && !is("user/hello-world"));
    }
}
