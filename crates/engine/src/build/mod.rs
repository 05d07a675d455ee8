//! Building images: `build::solve` walks the Dockerfile, the [`worker`] here carries its steps out with containers and
//! layers.

mod context;
pub(crate) mod convert;
mod files;
mod git;
mod images;
mod owner;
mod run;
mod worker;

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use build::Dockerfile;
use build::solve::{self, Failure, Options};
use store::ImageId;
use tokio::sync::mpsc;
use transfer::{Credentials, Progress};
use types::{Platform, Reference};

use crate::engine::Engine;
use crate::error::Error;
use crate::model::{NetworkMode, Resources};

use context::Context;
use worker::EngineWorker;

/// Steps in flight between the build and whoever listens.
const IN_FLIGHT: usize = 64;

/// Where a build's files come from.
pub enum BuildContext {
    /// An archive, plain or compressed.
    Archive(Box<dyn Read + Send>),
    /// An address: of an archive, of a Dockerfile, or of a git repository.
    Remote(String),
}

/// What to build, and how.
pub struct BuildRequest {
    /// Where files come from.
    pub context: BuildContext,
    /// Path of the Dockerfile in the context.
    pub dockerfile: String,
    /// Names the image gets.
    pub tags: Vec<Reference>,
    /// Arguments, target, labels.
    pub options: Options,
    /// The machine to build for; `None` for this one.
    pub platform: Option<Platform>,
    /// Do every step.
    pub no_cache: bool,
    /// Ask registries even for what is here.
    pub pull: bool,
    /// Remove the containers of steps that succeed.
    pub remove: bool,
    /// Remove those that fail, too.
    pub force_remove: bool,
    /// Images whose steps count as done, besides those that were built here.
    pub cache_from: Vec<String>,
    /// Network of the steps.
    pub network: NetworkMode,
    /// Lines of `/etc/hosts`.
    pub extra_hosts: Vec<String>,
    /// Bytes of `/dev/shm`; 0 for the default.
    pub shm_size: u64,
    /// Limits of the steps.
    pub resources: Resources,
    /// Parent control group; empty for the default.
    pub cgroup_parent: String,
    /// Credentials by registry, as clients name it.
    pub credentials: BTreeMap<String, Credentials>,
}

/// Something that happened in a build.
#[derive(Debug)]
pub enum BuildEvent {
    /// In its steps.
    Step(solve::Event),
    /// A base image comes.
    Pull(Progress),
    /// The build is done.
    Built(ImageId),
    /// The image got this name.
    Tagged(String),
}

/// What happens, in order; an error is the last. Dropping it calls the build off.
pub type BuildSteps = mpsc::Receiver<Result<BuildEvent, Error>>;

impl Engine {
    /// Builds an image.
    ///
    /// # Errors
    /// Before the first step: a context that cannot be read, a Dockerfile that cannot be understood.
    pub async fn build(self: &Arc<Self>, request: BuildRequest) -> Result<BuildSteps, Error> {
        let (sender, receiver) = mpsc::channel(IN_FLIGHT);
        let BuildRequest { context, dockerfile, .. } = request;
        let context = Context::open(self, context, &dockerfile).await?;
        let file = context.dockerfile_name();
        let parsed = Dockerfile::parse(&file, context.dockerfile_text())?;
        request.options.stages(&parsed).map_err(Error::BuildRequest)?;
        let settings = worker::Settings {
            platform: request.platform,
            no_cache: request.no_cache,
            pull: request.pull,
            remove: request.remove,
            force_remove: request.force_remove,
            cache_from: request.cache_from,
            network: request.network,
            extra_hosts: request.extra_hosts,
            shm_size: request.shm_size,
            resources: request.resources,
            cgroup_parent: request.cgroup_parent,
            credentials: request.credentials,
        };
        let (engine, options, tags) = (Arc::clone(self), request.options, request.tags);
        let runtime = tokio::runtime::Handle::current();
        tokio::task::spawn_blocking(move || {
            let mut worker = EngineWorker::new(Arc::clone(&engine), runtime, settings, context, sender.clone());
            let built = solve::solve(&parsed, &options, &mut worker);
            let result = built.map_err(failure).and_then(|image| engine.finish_build(image, &tags, &sender));
            if let Err(error) = result {
                // A client that left does not need the answer.
                let _ = sender.blocking_send(Err(error));
            }
        });
        Ok(receiver)
    }

    fn finish_build(
        &self,
        image: ImageId,
        tags: &[Reference],
        sender: &mpsc::Sender<Result<BuildEvent, Error>>,
    ) -> Result<(), Error> {
        let tell = |event| drop(sender.blocking_send(Ok(event)));
        tell(BuildEvent::Built(image));
        for tag in tags {
            self.store.tag(&image, tag)?;
            let found = self.store.image(&image)?;
            self.image_event("tag", &image.to_string(), &tag.familiar(), Some(&found));
            tell(BuildEvent::Tagged(tag.familiar()));
        }
        Ok(())
    }
}

/// The plain error where the failure is nothing but one.
fn failure(failure: Failure<Error>) -> Error {
    match failure {
        Failure::Plain(error) => error,
        Failure::Dockerfile(error) => Error::Dockerfile(error),
        failure => Error::Build(Box::new(failure)),
    }
}
