//! The filters of `images`.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use regex_lite::Regex;
use types::Reference;

use super::{Filters, InvalidFilter, bad, check_keys, label, labels_match, truth};

const KEYS: [&str; 6] = ["before", "dangling", "label", "reference", "since", "until"];

/// The filters of `images`, checked.
#[derive(Debug, Default)]
pub struct ImageFilter {
    dangling: Option<bool>,
    labels: Vec<(String, Option<String>)>,
    references: Vec<Regex>,
    before: Option<Timestamp>,
    since: Option<Timestamp>,
}

/// What [`ImageFilter`] looks at.
#[derive(Clone, Copy, Debug)]
pub struct ImageCandidate<'a> {
    /// When it was created, when that is known.
    pub created: Option<Timestamp>,
    /// Its labels.
    pub labels: &'a indexmap::IndexMap<String, String>,
    /// Its names, tagged and by digest.
    pub names: &'a [Reference],
}

impl ImageFilter {
    /// Checks every key and value. `created` tells when the named image was created; `now` is for relative times.
    ///
    /// # Errors
    /// [`InvalidFilter`], or what `created` says about an image that does not exist.
    pub fn parse<E: From<InvalidFilter>>(
        filters: &Filters,
        now: Timestamp,
        created: impl Fn(&str) -> Result<Timestamp, E>,
    ) -> Result<Self, E> {
        check_keys(filters, &KEYS)?;
        let mut parsed = Self::default();
        for (key, value) in filters.iter().flat_map(|(key, values)| values.iter().map(move |value| (key, value))) {
            match key.as_str() {
                "dangling" => parsed.dangling = Some(truth("dangling", value)?),
                "label" => parsed.labels.push(label(value)),
                "reference" => {
                    parsed.references.push(pattern(value).ok_or_else(|| InvalidFilter::Pattern(value.clone()))?);
                }
                "before" => parsed.before = earlier(parsed.before, created(value)?),
                "until" => {
                    let until = point_in_time(value, now).ok_or_else(|| bad("until", value))?;
                    parsed.before = earlier(parsed.before, until);
                }
                _ => parsed.since = Some(created(value)?),
            }
        }
        Ok(parsed)
    }

    /// Whether the image passes.
    #[must_use]
    pub fn matches(&self, image: ImageCandidate<'_>) -> bool {
        self.dangling.is_none_or(|dangling| dangling == image.names.is_empty())
            && labels_match(&self.labels, |key| image.labels.get(key).map(String::as_str))
            && self.before.is_none_or(|before| image.created.is_none_or(|created| created < before))
            && self.since.is_none_or(|since| image.created.is_some_and(|created| created > since))
            && (self.references.is_empty() || image.names.iter().any(|name| self.shows(name)))
    }

    /// Whether one name of an image passes the `reference` filter; the others are not shown.
    #[must_use]
    pub fn shows(&self, name: &Reference) -> bool {
        self.references.is_empty() || self.references.iter().any(|wanted| reference_matches(wanted, name))
    }
}

fn earlier(one: Option<Timestamp>, other: Timestamp) -> Option<Timestamp> {
    Some(one.map_or(other, |one| one.min(other)))
}

/// Docker's `reference.FamiliarMatch`: a shell pattern against the familiar name with and without its tag.
fn reference_matches(wanted: &Regex, name: &Reference) -> bool {
    wanted.is_match(&name.familiar()) || wanted.is_match(&name.familiar_name())
}

/// A shell pattern as Go's `path.Match` reads it: `*` and `?` stop at slashes, `[…]` is a class, `\` escapes. `None` for what is no pattern.
pub(crate) fn pattern(pattern: &str) -> Option<Regex> {
    let mut regex = String::with_capacity(pattern.len() + 8);
    regex.push('^');
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' => regex.push_str("[^/]*"),
            '?' => regex.push_str("[^/]"),
            '[' | ']' | '-' => regex.push(c),
            '\\' => regex.push_str(&regex_lite::escape(&chars.next().unwrap_or('\\').to_string())),
            other => regex.push_str(&regex_lite::escape(&other.to_string())),
        }
    }
    regex.push('$');
    Regex::new(&regex).ok()
}

/// A Unix time in seconds, an RFC 3339 time or date, or a Go duration back from `now`.
pub(super) fn point_in_time(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Timestamp::from_second(seconds).ok();
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment);
    }
    // As Docker reads it: a day or a time without a zone is this machine's.
    let local = text.parse::<DateTime>().or_else(|_| text.parse::<Date>().map(|date| date.at(0, 0, 0, 0)));
    if let Ok(local) = local {
        return Some(local.to_zoned(TimeZone::system()).ok()?.timestamp());
    }
    now.checked_sub(types::parse_go_duration(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_chosen_by_name_label_age_and_danglingness() {
        let labels = [("a".to_owned(), "1".to_owned())].into_iter().collect();
        let names: Vec<Reference> = vec!["repo/app:v1".parse().expect("valid")];
        let now = Timestamp::from_second(10_000).expect("in range");
        let image = ImageCandidate { created: Timestamp::from_second(5_000).ok(), labels: &labels, names: &names };
        let created = |name: &str| {
            name.parse().ok().and_then(|s| Timestamp::from_second(s).ok()).ok_or_else(|| bad("since", name))
        };
        for (key, value, kept) in [
            ("dangling", "false", true),
            ("dangling", "true", false),
            ("label", "a=1", true),
            ("label", "b", false),
            ("reference", "repo/app", true),
            ("reference", "repo/*:v?", true),
            ("reference", "*:v1", false),
            ("reference", "other", false),
            ("before", "5001", true),
            ("since", "4999", true),
            ("since", "5000", false),
            ("until", "1h", true),
            ("until", "2h", false),
            ("until", "1970-02-01", true),
            ("until", "1969-12-01T00:00:00", false),
        ] {
            let filters = [(key.to_owned(), vec![value.to_owned()])].into();
            let filter = ImageFilter::parse(&filters, now, created).expect("valid");
            assert_eq!(filter.matches(image), kept, "{key}={value}");
        }
        let filters = [("reference".to_owned(), vec!["[".to_owned()])].into();
        assert!(ImageFilter::parse(&filters, now, created).is_err());
    }
}
