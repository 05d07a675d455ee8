//! The progress stream of pull, push, load, import and build: one JSON object a line (`JSONMessage`).

use serde_json::value::RawValue;

use crate::wire::is_default;

wire! {
    /// `ProgressDetail`. Written `{}` when nothing is known.
    pub struct ProgressDetail {
        #[serde(rename = "current", skip_serializing_if = "is_default")]
        pub current: i64,
        #[serde(rename = "total", skip_serializing_if = "is_default")]
        pub total: i64,
        #[serde(rename = "start", skip_serializing_if = "is_default")]
        pub start: i64,
        #[serde(rename = "hidecounts", skip_serializing_if = "is_default")]
        pub hide_counts: bool,
        #[serde(rename = "units", skip_serializing_if = "is_default")]
        pub units: String,
    }

    /// `ErrorDetail`.
    pub struct ErrorDetail {
        #[serde(rename = "code", skip_serializing_if = "is_default")]
        pub code: i64,
        #[serde(rename = "message", skip_serializing_if = "is_default")]
        pub message: String,
    }
}

/// One line of a progress stream.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs, reason = "the API reference describes the fields")]
#[serde(default)]
pub struct Message {
    #[serde(skip_serializing_if = "is_default")]
    pub stream: String,
    #[serde(skip_serializing_if = "is_default")]
    pub status: String,
    #[serde(rename = "progressDetail", skip_serializing_if = "Option::is_none")]
    pub progress_detail: Option<ProgressDetail>,
    #[serde(skip_serializing_if = "is_default")]
    pub progress: String,
    #[serde(skip_serializing_if = "is_default")]
    pub id: String,
    #[serde(rename = "errorDetail", skip_serializing_if = "Option::is_none")]
    pub error_detail: Option<ErrorDetail>,
    #[serde(skip_serializing_if = "is_default")]
    pub error: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aux: Option<Box<RawValue>>,
}
