//! What needs only a registry: logging in, looking at an image there, searching.

use std::path::PathBuf;
use std::sync::Arc;

use regex_lite::Regex;
use transfer::{Credentials, Found, Proxies, Registries, RemoteImage};
use types::{Digest, Reference};

use crate::engine::Engine;
use crate::error::Error;
use crate::filters::{Filters, InvalidFilter, bad, check_keys, pattern, truth};

/// Where certificates for registries are, Docker's place and our own.
const CERTIFICATES: [&str; 2] = ["/etc/docker/certs.d", "/etc/gantry/certs.d"];
/// Results of a search that names no number.
const SEARCH_LIMIT: usize = 25;
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

    /// Pushes a manifest list, of media type `media_type`, whose images are on the same registry; gives its digest.
    ///
    /// # Errors
    /// `InvalidParameter` for images elsewhere, `Unauthorized`, or that the registry does not answer.
    pub async fn registry_push_list(
        &self,
        name: Reference,
        media_type: String,
        list: Vec<u8>,
        images: Vec<Reference>,
        credentials: Option<Credentials>,
    ) -> Result<Digest, Error> {
        let registries = self.registries();
        let request = transfer::PushListRequest { name, media_type, list, images, credentials, registries };
        Ok(transfer::push_list(request).await?)
    }

    /// Searches the hub, its mirrors, or the registry that the term begins with. A term with a pattern for tags, as in
    /// `debian:12*`, finds these tags of that repository; without a limit all of them.
    ///
    /// # Errors
    /// `InvalidParameter` for a filter or pattern that means nothing, or that nothing answers.
    pub async fn registry_search(
        &self,
        term: &str,
        limit: Option<usize>,
        filters: &Filters,
        credentials: Option<&Credentials>,
    ) -> Result<Vec<Found>, Error> {
        let filter = SearchFilter::parse(filters)?;
        let registries = self.registries();
        let found = match repository_and_pattern(term)? {
            None => transfer::search(term, limit.unwrap_or(SEARCH_LIMIT), credentials, &registries).await?,
            Some((repository, tag)) => {
                let mut tags = transfer::tags(&repository, credentials, &registries).await?;
                // Registries have no order that would mean something.
                tags.sort_by_cached_key(|tag| numbers_apart(tag));
                let found = tags.iter().filter(|name| tag.is_match(name)).take(limit.unwrap_or(usize::MAX));
                found.map(|tag| found_tag(&repository, tag)).collect()
            }
        };
        Ok(found.into_iter().filter(|found| filter.matches(found)).collect())
    }
}

/// A term that names a repository and a pattern for its tags.
fn repository_and_pattern(term: &str) -> Result<Option<(Reference, Regex)>, InvalidFilter> {
    let Some((name, tag)) = term.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')) else { return Ok(None) };
    let Ok(repository) = name.parse::<Reference>() else { return Ok(None) };
    let tag = pattern(tag).ok_or_else(|| InvalidFilter::Tag(term.to_owned()))?;
    Ok(Some((repository, tag)))
}

/// A key by which `12.9` comes before `12.10`: a text's runs of digits count as numbers.
fn numbers_apart(text: &str) -> Vec<(String, u64)> {
    let mut parts = vec![(String::new(), 0u64)];
    let mut digits = false;
    for c in text.chars() {
        let last = parts.len() - 1;
        match c.to_digit(10) {
            Some(digit) => {
                parts[last].1 = parts[last].1.saturating_mul(10).saturating_add(digit.into());
                digits = true;
            }
            None if digits => {
                parts.push((c.to_string(), 0));
                digits = false;
            }
            None => parts[last].0.push(c),
        }
    }
    parts
}

fn found_tag(repository: &Reference, tag: &str) -> Found {
    Found {
        name: format!("{}:{tag}", repository.familiar_name()),
        is_official: repository.domain() == "docker.io" && repository.path().starts_with("library/"),
        ..Found::default()
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
    fn a_term_may_name_tags() {
        let tags = |term: &str| repository_and_pattern(term).map(|found| found.map(|(name, _)| name.familiar_name()));
        assert_eq!(tags("debian:12*"), Ok(Some("debian".to_owned())));
        assert_eq!(tags("127.0.0.1:5000/a/b:*"), Ok(Some("127.0.0.1:5000/a/b".to_owned())));
        assert_eq!((tags("debian"), tags("127.0.0.1:5000/a"), tags("A b:c")), (Ok(None), Ok(None), Ok(None)));
        assert!(tags("debian:[").is_err());
    }

    #[test]
    fn tags_are_sorted_by_their_numbers() {
        let mut tags = ["latest", "12.10", "9", "12.9", "12", "12.9-slim", "12-slim"];
        tags.sort_by_cached_key(|tag| numbers_apart(tag));
        assert_eq!(tags, ["9", "12", "12-slim", "12.9", "12.9-slim", "12.10", "latest"]);
    }

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
