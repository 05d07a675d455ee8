//! The options of a log driver by name, with Go's and Docker's words for values that mean nothing.

use std::collections::BTreeMap;

use super::info::Info;
use super::{BUFFER, tag};
use crate::model::LogConfig;

/// Options that every driver has.
const COMMON: [&str; 6] =
    ["mode", "max-buffer-size", "cache-disabled", "cache-max-size", "cache-max-file", "cache-compress"];

/// A container's log driver and its options.
#[derive(Clone, Copy)]
pub(super) struct Options<'a> {
    driver: &'a str,
    values: &'a BTreeMap<String, String>,
}

// === impl Options ===

impl<'a> Options<'a> {
    pub(super) fn new(log: &'a LogConfig) -> Self {
        Self { driver: &log.driver, values: &log.options }
    }

    pub(super) fn driver(&self) -> &'a str {
        self.driver
    }

    /// The value as written; `None` when it is not given.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.values.get(name).map(String::as_str)
    }

    /// As Go's `strconv.ParseBool`.
    pub(super) fn flag(&self, name: &str) -> Option<Result<bool, String>> {
        self.text(name).map(|text| match text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            // Docker takes an empty one for absent.
            "" if name == "cache-disabled" => Ok(false),
            _ if name == "cache-disabled" => Err(format!("invalid value for option {name}: {text}")),
            _ => Err(format!("strconv.ParseBool: parsing {text:?}: invalid syntax")),
        })
    }

    /// As Go's `strconv.Atoi`.
    pub(super) fn number(&self, name: &str) -> Option<Result<i64, String>> {
        let bad = |text| format!("strconv.Atoi: parsing {text:?}: invalid syntax");
        self.text(name).map(|text| text.parse().map_err(|_| bad(text)))
    }

    /// Refuses options that neither this driver nor every driver has.
    pub(super) fn only(&self, own: &[&str]) -> Result<(), String> {
        match self.unknown(own) {
            Some(name) => Err(format!("unknown log opt '{name}' for {} log driver", self.driver)),
            None => Ok(()),
        }
    }

    /// The first option that neither this driver nor every driver has.
    pub(super) fn unknown(&self, own: &[&str]) -> Option<&'a str> {
        self.values.keys().map(String::as_str).find(|name| !own.contains(name) && !COMMON.contains(name))
    }

    /// Checks what every driver has.
    pub(super) fn check_mode(&self) -> Result<(), String> {
        let mode = self.text("mode").unwrap_or_default();
        if !["", "blocking", "non-blocking"].contains(&mode) {
            return Err(format!("logger: logging mode not supported: {mode}"));
        }
        if self.text("max-buffer-size").is_some() && mode != "non-blocking" {
            return Err("logger: max-buffer-size option is only supported with 'mode=non-blocking'".to_owned());
        }
        self.non_blocking()?;
        self.flag("cache-disabled").map_or(Ok(()), |flag| flag.map(drop))
    }

    /// The bytes that may wait when the container must not.
    pub(super) fn non_blocking(&self) -> Result<Option<u64>, String> {
        if self.text("mode") != Some("non-blocking") {
            return Ok(None);
        }
        let size = self.text("max-buffer-size").map_or(Ok(BUFFER), |text| size(text, 1024));
        size.map(Some).map_err(|error| format!("error parsing option max-buffer-size: {error}"))
    }

    /// The `tag` template filled in, or `default` filled in.
    pub(super) fn tag(&self, info: &Info, default: &str) -> Result<String, String> {
        let template = self.text("tag").filter(|text| !text.is_empty()).unwrap_or(default);
        tag::expand(template, info).map_err(|error| initialising(&error))
    }

    /// The `tag` template filled in, when there is one and it is not empty.
    pub(super) fn given_tag(&self, info: &Info) -> Result<Option<String>, String> {
        Ok(Some(self.tag(info, "")?).filter(|tag| !tag.is_empty()))
    }
}

/// Docker finds some mistakes only when it starts the container, and says so.
pub(super) fn initialising(error: &str) -> String {
    format!("failed to initialize logging driver: {error}")
}

/// `10m`, `20kB`, `1.5g`, as go-units reads them: powers of 1000 (`FromHumanSize`) or of 1024 (`RAMInBytes`).
pub(super) fn size(text: &str, unit: u64) -> Result<u64, String> {
    types::parse_size(text, unit).map_err(|error| error.to_string())
}
