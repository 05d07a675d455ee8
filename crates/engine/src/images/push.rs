//! `docker push`.

use std::sync::Arc;

use store::ImageId;
use sys::allocator::TrimBehind;
use tokio::sync::mpsc;
use transfer::{Compression, Credentials, PushRequest};
use types::{Platform, Reference};

use super::ImageProgress;
use super::transport::Steps;
use crate::engine::Engine;
use crate::error::Error;

/// Steps in flight: a client that reads slowly loses steps for display only when it is this far behind.
const IN_FLIGHT: usize = 1024;

impl Engine {
    /// Pushes one tag of a repository, or all of them. The push ends when the receiver is dropped.
    pub fn image_push(
        self: &Arc<Self>,
        repository: Reference,
        tag: Option<Reference>,
        platform: Option<Platform>,
        compression: Compression,
        credentials: Option<Credentials>,
    ) -> Steps {
        let (sender, receiver) = mpsc::channel(IN_FLIGHT);
        let engine = Arc::clone(self);
        tokio::spawn(async move {
            let _trim = TrimBehind::default();
            // The channel is empty: there is room.
            let _ = sender.try_send(Ok(ImageProgress::PushingTo(repository.name())));
            let work = async {
                let tags = engine.tags_to_push(&repository, tag.as_ref(), platform.as_ref())?;
                engine.push_tags(repository, tags, compression, credentials, &sender).await
            };
            tokio::select! {
                result = work => {
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

    fn tags_to_push(
        &self,
        repository: &Reference,
        tag: Option<&Reference>,
        platform: Option<&Platform>,
    ) -> Result<Vec<(Reference, ImageId)>, Error> {
        let mut names = self.store.repository(repository);
        if names.is_empty() {
            return Err(transfer::Error::NothingToPush(repository.familiar_name()).into());
        }
        names.retain(|(name, _)| name.digest().is_none() && tag.is_none_or(|tag| tag.tag() == name.tag()));
        if let (Some(tag), true) = (tag, names.is_empty()) {
            return Err(transfer::Error::NoSuchTag(tag.familiar()).into());
        }
        for (name, _) in &names {
            self.find_image_for(&name.to_string(), platform)?;
        }
        Ok(names)
    }

    async fn push_tags(
        &self,
        repository: Reference,
        tags: Vec<(Reference, ImageId)>,
        compression: Compression,
        credentials: Option<Credentials>,
        sender: &mpsc::Sender<Result<ImageProgress, Error>>,
    ) -> Result<(), Error> {
        let names: Vec<Reference> = tags.iter().map(|(name, _)| name.clone()).collect();
        let steps = sender.clone();
        let progress = move |step| drop(steps.try_send(Ok(ImageProgress::Push(step))));
        let request = PushRequest { repository, tags, compression, credentials, registries: self.registries() };
        transfer::push(&self.store, request, progress).await?;
        for name in names {
            self.image_event("push", &name.familiar(), &name.familiar_name(), None);
        }
        Ok(())
    }
}
