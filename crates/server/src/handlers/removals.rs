//! Operations of our own: what a removal would remove, and a prune of what was listed before.

use api::prune::{RemovalRequest, Request};
use engine::{PruneRequest, ThingKind};

use crate::call::Call;
use crate::failure::Failure;
use crate::respond::{self, Outcome};
use crate::{decode, encode};

/// `POST /gantry/prune/plan`.
pub(crate) async fn prune_plan(mut call: Call) -> Outcome {
    let request = prune_request(&call.json().await?)?;
    respond::ok(&encode::removals(&call.engine.prune_plan(&request).await?, Vec::new()))
}

/// `POST /gantry/prune`.
pub(crate) async fn prune_listed(mut call: Call) -> Outcome {
    let body: Request = call.json().await?;
    let request = prune_request(&body)?;
    let thing = |thing: api::prune::Thing| -> Result<engine::Thing, Failure> {
        let api::prune::Thing { kind, id, names, bytes } = thing;
        Ok(engine::Thing { kind: parse_kind(&kind)?, id, names, bytes })
    };
    let listed = body.listed.into_iter().map(thing).collect::<Result<_, _>>()?;
    let (done, steps) = call.engine.prune_listed(&request, listed).await?;
    respond::ok(&encode::removals(&done, steps))
}

/// `POST /gantry/remove/plan`.
pub(crate) async fn removal_plan(mut call: Call) -> Outcome {
    let RemovalRequest { kind, names, force, volumes, keep_parents } = call.json().await?;
    let kind = parse_kind(&kind)?;
    if kind == ThingKind::Download {
        return Err(Failure::invalid("downloads are not removed by name"));
    }
    let request = engine::RemovalRequest { kind, names, force, volumes, keep_parents };
    respond::ok(&encode::removals(&call.engine.removal_plan(request).await?, Vec::new()))
}

fn prune_request(body: &Request) -> Result<PruneRequest, Failure> {
    let filters = |text: &Option<String>| {
        text.as_ref().map(|text| decode::filters(Some(text.as_str()).filter(|text| !text.is_empty()))).transpose()
    };
    Ok(PruneRequest {
        containers: filters(&body.containers)?,
        networks: filters(&body.networks)?,
        volumes: filters(&body.volumes)?,
        images: filters(&body.images)?,
    })
}

fn parse_kind(word: &str) -> Result<ThingKind, Failure> {
    ThingKind::parse(word).ok_or_else(|| Failure::invalid(format!("unknown kind of thing: {word:?}")))
}
