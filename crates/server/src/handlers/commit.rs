//! `POST /commit`.

use api::container::{Config, IdResponse};
use engine::Commit;
use hyper::StatusCode;

use super::images::repository_and_tag;
use crate::call::Call;
use crate::decode;
use crate::failure::Failure;
use crate::respond::{self, Outcome};

pub(crate) async fn commit(mut call: Call) -> Outcome {
    // Clients without a configuration of their own send `null` or nothing.
    let config: Option<Config> = call.json_or_default().await?;
    let container = call.query.text("container").unwrap_or_default().to_owned();
    if container.is_empty() {
        return Err(Failure::invalid("invalid name or ID supplied: \"\""));
    }
    let reference = match call.query.text("repo") {
        None => None,
        Some(repository) => Some(repository_and_tag(repository, call.query.text("tag"))?),
    };
    let text = |key: &str| call.query.text(key).unwrap_or_default().to_owned();
    let request = Commit {
        container,
        reference,
        comment: text("comment"),
        author: text("author"),
        pause: call.query.flag_or("pause", true),
        changes: call.query.all("changes").map(str::to_owned).collect(),
        config: config.map(|config| decode::config(config, call.version)).transpose()?,
    };
    let id = call.engine.commit(request).await?;
    respond::json(StatusCode::CREATED, &IdResponse { id: id.to_string() })
}
