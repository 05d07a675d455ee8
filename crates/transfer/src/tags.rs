//! The tags of a repository, without pulling any.

use types::Reference;

use crate::config::Registries;
use crate::registry::Registry;
use crate::{Credentials, Error};

/// All tags of a repository on its registry, or on the first mirror that has it; in the registry's order.
///
/// # Errors
/// Docker's texts, see [`Error`].
pub async fn tags(
    repository: &Reference,
    credentials: Option<&Credentials>,
    registries: &Registries,
) -> Result<Vec<String>, Error> {
    let mut first = None;
    for place in registries.places(repository.domain()) {
        let found = async {
            let registry = Registry::connect(&place, repository, credentials, registries).await?;
            registry.tags().await
        };
        match found.await {
            Ok(tags) => return Ok(tags),
            // What a mirror says counts only when the registry itself does not answer.
            Err(error) if !place.mirror && !matches!(error, Error::Connect { .. }) => return Err(error),
            Err(error) => first = first.or(Some(error)),
        }
    }
    Err(first.unwrap_or(Error::Canceled))
}
