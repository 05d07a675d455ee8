//! The filters of `prune`.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::images::point_in_time;
use super::{Filters, InvalidFilter, bad, check_keys, label, labels_match};

/// The keys that all kinds of things have.
const LABEL_KEYS: [&str; 2] = ["label", "label!"];

/// Which of the unused things to remove.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct PruneFilter {
    labels: Vec<(String, Option<String>)>,
    without: Vec<(String, Option<String>)>,
    until: Option<Timestamp>,
}

impl PruneFilter {
    /// Checks every key and value; `keys` are those that the kind of thing has besides labels. `now` is for
    /// relative times.
    ///
    /// # Errors
    /// [`InvalidFilter`].
    pub(crate) fn parse(filters: &Filters, keys: &[&str], now: Timestamp) -> Result<Self, InvalidFilter> {
        check_keys(filters, &[&LABEL_KEYS, keys].concat())?;
        let values = |key: &str| filters.get(key).map_or(&[][..], Vec::as_slice);
        let until = match values("until") {
            [] => None,
            [text] => Some(point_in_time(text, now).ok_or_else(|| bad("until", text))?),
            many => return Err(bad("until", &many.join(","))),
        };
        let labels = |key: &str| values(key).iter().map(|text| label(text)).collect();
        Ok(Self { labels: labels("label"), without: labels("label!"), until })
    }

    /// Whether what was made at that time with these labels is meant.
    pub(crate) fn matches<'a>(&self, created: Option<Timestamp>, value_of: impl Fn(&str) -> Option<&'a str>) -> bool {
        let old = self.until.is_none_or(|until| created.is_none_or(|created| created <= until));
        let spared = !self.without.is_empty() && labels_match(&self.without, &value_of);
        old && !spared && labels_match(&self.labels, &value_of)
    }

    /// As [`Self::matches`], with labels as a map.
    pub(crate) fn matches_map(&self, created: Option<Timestamp>, labels: &BTreeMap<String, String>) -> bool {
        self.matches(created, |key| labels.get(key).map(String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_chosen_by_label_and_age() {
        let now = Timestamp::from_second(10_000).expect("in range");
        let created = Timestamp::from_second(5_000).ok();
        let labels = BTreeMap::from([("keep".to_owned(), "yes".to_owned())]);
        for (key, value, chosen) in [
            ("label", "keep", true),
            ("label", "keep=no", false),
            ("label", "other", false),
            ("label!", "keep", false),
            ("label!", "keep=no", true),
            ("until", "1h", true),
            ("until", "2h", false),
        ] {
            let filters = Filters::from([(key.to_owned(), vec![value.to_owned()])]);
            let filter = PruneFilter::parse(&filters, &["until"], now).expect("valid");
            assert_eq!(filter.matches_map(created, &labels), chosen, "{key}={value}");
        }
        for (key, value) in [("foo", "x"), ("until", "zz")] {
            let filters = Filters::from([(key.to_owned(), vec![value.to_owned()])]);
            assert!(PruneFilter::parse(&filters, &["until"], now).is_err(), "{key}={value}");
        }
    }
}
