//! The macro that declares a wire type, and serde helpers for Go's conventions.

use serde::{Deserialize, Deserializer, Serialize};

/// An empty object, `{}`: the value type of Docker's sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// Declares a struct in Docker's spelling whose fields may all be absent or `null`.
macro_rules! wire {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident { $( $(#[$field_meta:meta])* pub $field:ident : $kind:ty, )* }
    )*) => { $(
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "PascalCase")]
        #[allow(missing_docs, reason = "the API reference describes the fields")]
        pub struct $name {
            $(
                $(#[$field_meta])*
                #[serde(default, deserialize_with = "crate::wire::or_default")]
                pub $field: $kind,
            )*
        }
    )* };
}

/// `null` is what Go reads as the zero value.
pub(crate) fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

/// Go's `omitempty`.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
