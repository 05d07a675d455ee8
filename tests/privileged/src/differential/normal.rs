//! Makes equal what must differ between two engines: ids, times, paths, addresses, sizes that the machine decides.

use regex_lite::{Captures, Regex};
use serde_json::Value;

/// Members whose numbers belong to the moment or the machine; that they are numbers (and whether zero) still counts.
const NUMBERS: [&str; 30] = [
    "Created",
    "time",
    "timeNano",
    "Pid",
    "Size",
    "SizeRw",
    "SizeRootFs",
    "VirtualSize",
    "SharedSize",
    "LayersSize",
    "NFd",
    "NGoroutines",
    "NEventsListener",
    "SpaceReclaimed",
    "HostPort",
    "PublicPort",
    "usage",
    "max_usage",
    "total_usage",
    "usage_in_kernelmode",
    "usage_in_usermode",
    "system_cpu_usage",
    "rx_bytes",
    "rx_packets",
    "tx_bytes",
    "tx_packets",
    "rx_dropped",
    "current",
    "failcnt",
    "value",
];

/// Of those, the ones that may be zero on one engine only.
const MAYBE_ZERO: [&str; 8] = [
    "usage_in_kernelmode",
    "usage_in_usermode",
    "rx_bytes",
    "rx_packets",
    "tx_bytes",
    "tx_packets",
    "rx_dropped",
    "total_usage",
];

/// Lists and maps of numbers of the moment.
const COUNTERS: [&str; 3] = ["stats", "percpu_usage", "Processes"];

/// What is known of one engine.
#[derive(Debug, Default)]
pub struct Normal {
    /// Texts of this engine and what stands for them, longest first.
    known: Vec<(String, String)>,
    patterns: Vec<(Regex, &'static str)>,
}

// === impl Normal ===

impl Normal {
    /// Starts with texts that are known of an engine: its paths, its bridge, its subnet.
    #[must_use]
    pub fn new(known: &[(String, &str)]) -> Self {
        let patterns = [
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", "<time>"),
            (r"(sha256:)?\b[0-9a-f]{64}\b", "<id>"),
            (r"netns/[0-9a-f]{12}\b", "netns/<sandbox>"),
            (r"\b02:42(:[0-9a-f]{2}){4}\b", "<mac>"),
            (r"(Up|Exited \(\d+\)) (Less than a second|\d+ seconds?|1 second)( ago)?", "$1 <ago>"),
        ];
        let patterns = patterns.map(|(pattern, name)| (Regex::new(pattern).expect("a pattern"), name)).into();
        let mut normal = Self { known: Vec::new(), patterns };
        for (text, name) in known {
            normal.learn(name, text);
        }
        normal
    }

    /// From now on `text` reads `<name>`. Its first twelve characters do too when it is an id.
    pub fn learn(&mut self, name: &str, text: &str) {
        if text.len() < 4 || self.known.iter().any(|(known, _)| known == text) {
            return;
        }
        self.known.push((text.to_owned(), format!("<{name}>")));
        if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            self.known.push((text[..12].to_owned(), format!("<{name} short>")));
        }
        self.known.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
    }

    /// A text.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (known, name) in &self.known {
            text = text.replace(known.as_str(), name);
        }
        for (pattern, name) in &self.patterns {
            text = pattern
                .replace_all(&text, |found: &Captures<'_>| match &found[0] {
                    // No time at all; and the ids of images, which are the same everywhere.
                    "0001-01-01T00:00:00Z" => found[0].to_owned(),
                    whole if whole.starts_with("sha256:") => found[0].to_owned(),
                    _ => match found.get(1) {
                        Some(first) => name.replace("$1", first.as_str()),
                        None => (*name).to_owned(),
                    },
                })
                .into_owned();
        }
        text
    }

    /// A JSON value; `key` is the member it is the value of.
    #[must_use]
    pub fn json(&self, key: &str, value: &Value) -> Value {
        match value {
            Value::String(text) if NUMBERS.contains(&key) && text.parse::<u64>().is_ok() => "<number>".into(),
            Value::String(text) => self.text(text).into(),
            Value::Number(number) if NUMBERS.contains(&key) => {
                let exact = number.as_f64() == Some(0.0) && !MAYBE_ZERO.contains(&key);
                if exact { value.clone() } else { "<number>".into() }
            }
            Value::Array(_) | Value::Object(_) if COUNTERS.contains(&key) => self.counters(value),
            // What is read from a disk depends on what the machine has in memory.
            Value::Array(_) if key.starts_with("io_servic") => "<blocks>".into(),
            Value::Array(items) => {
                let mut items: Vec<Value> = items.iter().map(|item| self.json(key, item)).collect();
                // Neither has an order.
                if matches!(key, "Ports" | "RepoTags") {
                    items.sort_by_key(ToString::to_string);
                }
                if key == "Mounts" {
                    // Docker keeps them in a map.
                    items.sort_by_key(|mount| mount["Destination"].to_string());
                }
                items.into()
            }
            Value::Object(members) => {
                // Docker 23 began to tell how long a run took.
                let members = members.iter().filter(|(key, _)| *key != "execDuration");
                members.map(|(key, value)| (self.text(key), self.json(key, value))).collect()
            }
            _ => value.clone(),
        }
    }

    fn counters(&self, value: &Value) -> Value {
        match value {
            Value::Object(members) => members.keys().map(|key| (key.clone(), Value::from("<number>"))).collect(),
            Value::Array(items) => items.iter().map(|_| Value::from("<number>")).collect(),
            _ => value.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_belongs_to_one_engine_is_named() {
        let id = "ab".repeat(32);
        let mut normal = Normal::new(&[("/tmp/x/data".to_owned(), "data")]);
        normal.learn("a", &id);
        assert_eq!(normal.text(&format!("/tmp/x/data/containers/{id}")), "<data>/containers/<a>");
        assert_eq!(normal.text(&id[..12]), "<a short>");
        assert_eq!(normal.text(&"cd".repeat(32)), "<id>");
        assert_eq!(normal.text(&format!("sha256:{}", "cd".repeat(32))), format!("sha256:{}", "cd".repeat(32)));
        assert_eq!(normal.text("2026-11-21T10:00:00.123Z"), "<time>");
        assert_eq!(normal.text("0001-01-01T00:00:00Z"), "0001-01-01T00:00:00Z");
        assert_eq!(normal.text("Up 3 seconds (Paused)"), "Up <ago> (Paused)");
        assert_eq!(normal.text("Exited (7) Less than a second ago"), "Exited (7) <ago>");
        let value = json!({"Pid": 12, "Size": 0, "n": 5, "stats": {"rss": 1}});
        let expected = json!({"Pid": "<number>", "Size": 0, "n": 5, "stats": {"rss": "<number>"}});
        assert_eq!(normal.json("", &value), expected);
    }
}
