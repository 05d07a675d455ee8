//! Removing what nobody uses: what would go is planned on what there is at one moment, and nothing but the plan is
//! carried out, as far as it still may be. A dry run is the plan alone; a confirmed prune takes of a new plan only what the
//! user has seen.

mod apply;
mod images;
mod plan;
mod removal;
mod things;

use std::sync::Arc;

use jiff::Timestamp;
use store::Removed;

use crate::engine::Engine;
use crate::error::Error;
use crate::filters::{Filters, PruneFilter, truth};
use crate::model::EventKind;

use apply::Done;
pub use removal::RemovalRequest;
pub use things::{Kept, Removals, Thing, ThingKind};

/// What a prune removed.
#[derive(Clone, Debug, PartialEq)]
pub struct Pruned<T> {
    /// The removed things, in the order of their removal.
    pub removed: Vec<T>,
    /// Bytes that this freed.
    pub reclaimed: u64,
}

/// Kinds of things to prune together, each with its filters; a kind that is `None` is left alone.
#[derive(Clone, Debug, Default)]
pub struct PruneRequest {
    /// Containers that do not run.
    pub containers: Option<Filters>,
    /// Networks without containers.
    pub networks: Option<Filters>,
    /// Anonymous volumes, with `all=true` named ones too.
    pub volumes: Option<Filters>,
    /// Images without a tag, with `dangling=false` all that no container uses; and downloads that broke.
    pub images: Option<Filters>,
}

/// A request whose filters mean something.
struct Choice {
    containers: Option<PruneFilter>,
    networks: Option<PruneFilter>,
    volumes: Option<VolumeChoice>,
    images: Option<ImageChoice>,
}

/// Which volumes.
struct VolumeChoice {
    filter: PruneFilter,
    /// Not the anonymous ones alone.
    all: bool,
}

/// Which images.
struct ImageChoice {
    filter: PruneFilter,
    /// Those without a tag alone.
    dangling: bool,
    /// Chosen by age or labels, which downloads that broke do not have.
    chosen: bool,
}

// === impl Choice ===

impl Choice {
    fn parse(request: &PruneRequest) -> Result<Self, Error> {
        let now = Timestamp::now();
        let plain = |filters: &Option<Filters>| {
            filters.as_ref().map(|filters| PruneFilter::parse(filters, &["until"], now)).transpose()
        };
        let volumes = request.volumes.as_ref().map(|filters| -> Result<_, Error> {
            let filter = PruneFilter::parse(filters, &["all"], now)?;
            Ok(VolumeChoice { filter, all: switch(filters, "all", false)? })
        });
        let images = request.images.as_ref().map(|filters| -> Result<_, Error> {
            let filter = PruneFilter::parse(filters, &["dangling", "until"], now)?;
            let chosen = filters.keys().any(|key| key != "dangling");
            Ok(ImageChoice { filter, dangling: switch(filters, "dangling", true)?, chosen })
        });
        Ok(Self {
            containers: plain(&request.containers)?,
            networks: plain(&request.networks)?,
            volumes: volumes.transpose()?,
            images: images.transpose()?,
        })
    }
}

fn switch(filters: &Filters, key: &'static str, default: bool) -> Result<bool, Error> {
    match filters.get(key).and_then(|values| values.first()) {
        Some(value) => Ok(truth(key, value)?),
        None => Ok(default),
    }
}

// === impl Engine ===

impl Engine {
    /// What a prune would remove, and what of its kinds is in use; removes nothing.
    ///
    /// # Errors
    /// `InvalidParameter` for a filter that means nothing.
    pub async fn prune_plan(self: &Arc<Self>, request: &PruneRequest) -> Result<Removals, Error> {
        let choice = Choice::parse(request)?;
        let engine = Arc::clone(self);
        self.blocking(move || Ok(engine.plan_prune(&choice))).await
    }

    /// Removes what was planned before, as far as a plan of this moment has it too; tells what is gone, why the rest
    /// stays, and the steps of images' removal.
    ///
    /// # Errors
    /// `InvalidParameter` for a filter that means nothing.
    pub async fn prune_listed(
        self: &Arc<Self>,
        request: &PruneRequest,
        listed: Vec<Thing>,
    ) -> Result<(Removals, Vec<Removed>), Error> {
        let choice = Choice::parse(request)?;
        let engine = Arc::clone(self);
        let plan = self.blocking(move || Ok(engine.plan_prune(&choice).only(&listed))).await?;
        let Done { removals: done, steps } = self.apply(plan).await?;
        for (kind, asked) in [
            (EventKind::Container, request.containers.is_some()),
            (EventKind::Network, request.networks.is_some()),
            (EventKind::Volume, request.volumes.is_some()),
            (EventKind::Image, request.images.is_some()),
        ] {
            if asked {
                self.prune_event(kind, done.bytes_of(kind));
            }
        }
        Ok((done, steps))
    }

    /// Removes the containers that do not run. One that cannot be removed stays and is logged.
    ///
    /// # Errors
    /// `InvalidParameter` for a filter that means nothing.
    pub async fn prune_containers(self: &Arc<Self>, filters: &Filters) -> Result<Pruned<String>, Error> {
        let request = PruneRequest { containers: Some(filters.clone()), ..PruneRequest::default() };
        let done = self.prune(&request, EventKind::Container).await?;
        Ok(Pruned { reclaimed: done.bytes(), removed: done.things.into_iter().map(|thing| thing.id).collect() })
    }

    /// Removes images without a tag; with the filter `dangling=false` all that no container uses.
    ///
    /// # Errors
    /// `InvalidParameter` for a filter that means nothing.
    pub async fn prune_images(self: &Arc<Self>, filters: &Filters) -> Result<Pruned<Removed>, Error> {
        let request = PruneRequest { images: Some(filters.clone()), ..PruneRequest::default() };
        let plan = self.prune_plan(&request).await?;
        let done = self.apply(plan).await?;
        let reclaimed = done.removals.bytes();
        self.prune_event(EventKind::Image, reclaimed);
        Ok(Pruned { removed: done.steps, reclaimed })
    }

    /// Removes volumes that no container mounts: the anonymous ones, or with the filter `all=true` all of them.
    ///
    /// # Errors
    /// `InvalidParameter` for a filter that means nothing.
    pub async fn prune_volumes(self: &Arc<Self>, filters: &Filters) -> Result<Pruned<String>, Error> {
        let request = PruneRequest { volumes: Some(filters.clone()), ..PruneRequest::default() };
        let done = self.prune(&request, EventKind::Volume).await?;
        Ok(Pruned { reclaimed: done.bytes(), removed: done.things.into_iter().map(|thing| thing.id).collect() })
    }

    /// Removes the networks of users that nobody is on; returns their names.
    ///
    /// # Errors
    /// `InvalidParameter` for a filter that means nothing.
    pub async fn prune_networks(self: &Arc<Self>, filters: &Filters) -> Result<Vec<String>, Error> {
        let request = PruneRequest { networks: Some(filters.clone()), ..PruneRequest::default() };
        let done = self.prune(&request, EventKind::Network).await?;
        Ok(done.things.into_iter().flat_map(|thing| thing.names).collect())
    }

    /// One kind: plans, carries out, and tells by an event.
    async fn prune(self: &Arc<Self>, request: &PruneRequest, kind: EventKind) -> Result<Removals, Error> {
        let plan = self.prune_plan(request).await?;
        let done = self.apply(plan).await?.removals;
        self.prune_event(kind, done.bytes());
        Ok(done)
    }

    pub(crate) fn prune_event(&self, kind: EventKind, reclaimed: u64) {
        let attributes = [("reclaimed".to_owned(), reclaimed.to_string())].into();
        self.publish(kind, "prune", "", attributes);
    }
}
