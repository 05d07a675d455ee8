//! `--filter`.

use indexmap::IndexMap;

/// The `filters` query of the API: `{"name":{"value":true}}`. Empty when there are none.
#[must_use]
pub fn query(given: &[&str]) -> String {
    let mut filters: IndexMap<String, IndexMap<String, bool>> = IndexMap::new();
    for text in given {
        let Some((name, value)) = text.split_once('=') else { continue };
        filters.entry(name.trim().to_lowercase()).or_default().insert(value.trim().to_owned(), true);
    }
    if filters.is_empty() {
        return String::new();
    }
    serde_json::to_string(&filters).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_the_api_form() {
        assert_eq!(
            query(&["status=running", "Label=a=b", "status=paused", ""]),
            r#"{"status":{"running":true,"paused":true},"label":{"a=b":true}}"#
        );
        assert_eq!(query(&[]), "");
    }
}
