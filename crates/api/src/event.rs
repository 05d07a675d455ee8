//! `GET /events`.

use std::collections::BTreeMap;

use crate::wire::is_default;

wire! {
    /// `EventActor`: the subject of an event.
    pub struct Actor {
        #[serde(rename = "ID")]
        pub id: String,
        pub attributes: BTreeMap<String, String>,
    }

    /// `EventMessage`. `status`, `id` and `from` repeat the subject for clients from before API 1.22.
    pub struct Message {
        #[serde(rename = "status", skip_serializing_if = "is_default")]
        pub status: String,
        #[serde(rename = "id", skip_serializing_if = "is_default")]
        pub id: String,
        #[serde(rename = "from", skip_serializing_if = "is_default")]
        pub from: String,
        #[serde(rename = "Type")]
        pub kind: String,
        pub action: String,
        pub actor: Actor,
        #[serde(rename = "scope", skip_serializing_if = "is_default")]
        pub scope: String,
        #[serde(rename = "time", skip_serializing_if = "is_default")]
        pub time: i64,
        #[serde(rename = "timeNano", skip_serializing_if = "is_default")]
        pub time_nano: i64,
    }
}
