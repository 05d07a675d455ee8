//! What needs only a registry: logging in, looking at an image there, searching.

use std::path::PathBuf;
use std::sync::Arc;

use transfer::{Credentials, Found, Proxies, Registries, RemoteImage};
use types::Reference;

use crate::engine::Engine;
use crate::error::Error;
use crate::filters::{Filters, InvalidFilter, bad, check_keys, truth};

/// Where certificates for registries are, Docker's place and our own.
const CERTIFICATES: [&str; 2] = ["/etc/docker/certs.d", "/etc/gantry/certs.d"];
/// The filters of `search`.
const SEARCH_KEYS: [&str; 3] = ["is-automated", "is-official", "stars"];

impl Engine {
    /// How registries are reached, as configured now.
    pub(crate) fn registries(&self) -> Arc<Registries> {
        let live = self.live();
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let proxies = &self.config.proxies;
        Arc::new(Registries {
            insecure: live.insecure_registries.clone(),
            mirrors: live.registry_mirrors.clone(),
            host_mirrors: live.host_mirrors.clone(),
            health: Arc::clone(&self.mirror_health),
            certificates: CERTIFICATES.iter().map(PathBuf::from).collect(),
            downloads: count(live.max_concurrent_downloads),
            uploads: count(live.max_concurrent_uploads),
            attempts: live.max_download_attempts,
            patience: Registries::default().patience,
            proxies: Proxies {
                http: proxies.http.clone(),
                https: proxies.https.clone(),
                none_for: proxies.none_for.clone(),
            },
        })
    }

    /// Tries credentials on a registry; gives the token that stands for the password, where there is one.
    ///
    /// # Errors
    /// `Unauthorized`, or that the registry does not answer.
    pub async fn registry_login(&self, server: &str, credentials: &Credentials) -> Result<String, Error> {
        Ok(transfer::login(server, credentials, &self.registries()).await?)
    }

    /// Looks at an image on its registry.
    ///
    /// # Errors
    /// `NotFound`, `Unauthorized`, or that the registry does not answer.
    pub async fn registry_inspect(
        &self,
        reference: &Reference,
        credentials: Option<&Credentials>,
    ) -> Result<RemoteImage, Error> {
        Ok(transfer::inspect(reference, credentials, &self.registries()).await?)
    }

    /// Searches the hub, its mirrors, or the registry that the term begins with.
    ///
    /// # Errors
    /// `InvalidParameter` for a filter that means nothing, or that nothing answers.
    pub async fn registry_search(
        &self,
        term: &str,
        limit: usize,
        filters: &Filters,
        credentials: Option<&Credentials>,
    ) -> Result<Vec<Found>, Error> {
        let filter = SearchFilter::parse(filters)?;
        let found = transfer::search(term, limit, credentials, &self.registries()).await?;
        Ok(found.into_iter().filter(|found| filter.matches(found)).collect())
    }
}

/// The filters of `search`, checked.
#[derive(Debug, Default)]
struct SearchFilter {
    official: Option<bool>,
    automated: Option<bool>,
    stars: i64,
}

impl SearchFilter {
    fn parse(filters: &Filters) -> Result<Self, InvalidFilter> {
        check_keys(filters, &SEARCH_KEYS)?;
        let one = |key: &'static str| -> Result<Option<bool>, InvalidFilter> {
            match filters.get(key).map(Vec::as_slice) {
                None | Some([]) => Ok(None),
                Some([value]) => truth(key, value).map(Some).map_err(|_| bad(key, &format!("[{value}]"))),
                Some(values) => Err(bad(key, &format!("[{}]", values.join(" ")))),
            }
        };
        let mut filter = Self { official: one("is-official")?, automated: one("is-automated")?, stars: 0 };
        for value in filters.get("stars").into_iter().flatten() {
            let stars: i64 = value.parse().map_err(|_| bad("stars", value))?;
            filter.stars = filter.stars.max(stars);
        }
        Ok(filter)
    }

    fn matches(&self, found: &Found) -> bool {
        self.official.is_none_or(|wanted| wanted == found.is_official)
            && self.automated.is_none_or(|wanted| wanted == found.is_automated)
            && found.star_count >= self.stars
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_results_are_chosen() {
        let found = Found { star_count: 10, is_official: true, ..Found::default() };
        for (key, value, kept) in [
            ("stars", "10", Ok(true)),
            ("stars", "11", Ok(false)),
            ("is-official", "true", Ok(true)),
            ("is-official", "false", Ok(false)),
            ("is-automated", "true", Ok(false)),
            ("stars", "x", Err("invalid filter 'stars=x'")),
            ("is-official", "x", Err("invalid filter 'is-official=[x]'")),
            ("other", "x", Err("invalid filter 'other'")),
        ] {
            let filters = [(key.to_owned(), vec![value.to_owned()])].into();
            let result = SearchFilter::parse(&filters).map(|filter| filter.matches(&found));
            assert_eq!(result.map_err(|error| error.to_string()), kept.map_err(str::to_owned), "{key}={value}");
        }
    }
}
