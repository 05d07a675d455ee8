//! Reading JSON as Go does: the name of a member counts in any case, of a member that comes twice the last one counts,
//! and bytes that are no text become U+FFFD.
//!
//! Clients rely on it without knowing (`CPURealtimePeriod` of the Python SDK, `detachKeys` of the command line). serde
//! compares names byte by byte, so [`from_slice`] puts a layer between `serde_json` and the types: whenever a struct is
//! read, a name that matches one of its fields only in another case becomes that field's name. Names in maps stay as
//! they are.

use std::fmt;

use serde::de::value::{StrDeserializer, StringDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};

/// Reads one JSON document.
///
/// # Errors
/// As `serde_json::from_slice`.
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> serde_json::Result<T> {
    let error = match read(bytes) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    if std::str::from_utf8(bytes).is_err() {
        return from_slice(String::from_utf8_lossy(bytes).as_bytes());
    }
    if error.to_string().starts_with("duplicate field") {
        // A map keeps the last of equal members.
        let last: serde_json::Value = serde_json::from_slice(bytes)?;
        return read(&serde_json::to_vec(&last)?);
    }
    Err(error)
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> serde_json::Result<T> {
    let mut source = serde_json::Deserializer::from_slice(bytes);
    let value = T::deserialize(AnyCase { inner: &mut source, fields: &[] })?;
    source.end()?;
    Ok(value)
}

/// Something of serde (a deserializer, a visitor, an access), inside a struct with these fields; no fields outside one.
struct AnyCase<I> {
    inner: I,
    fields: &'static [&'static str],
}

/// Reads a name and finds the field it means.
struct Name(&'static [&'static str]);

/// The field that a name means, or the name.
enum Member {
    Field(&'static str),
    Unknown(String),
}

fn wrap<I>(inner: I) -> AnyCase<I> {
    AnyCase { inner, fields: &[] }
}

// === impl Deserializer ===

macro_rules! forward {
    ($($method:ident)*) => { $(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
            self.inner.$method(wrap(visitor))
        }
    )* };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for AnyCase<D> {
    type Error = D::Error;

    forward! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64
        deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf deserialize_option
        deserialize_unit deserialize_seq deserialize_map deserialize_identifier deserialize_ignored_any
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_struct(name, fields, AnyCase { inner: visitor, fields })
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_unit_struct(name, wrap(visitor))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_newtype_struct(name, wrap(visitor))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_tuple(length, wrap(visitor))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_tuple_struct(name, length, wrap(visitor))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_enum(name, variants, wrap(visitor))
    }
}

// === impl Visitor ===

macro_rules! visit {
    ($($method:ident: $kind:ty)*) => { $(
        fn $method<E: serde::de::Error>(self, value: $kind) -> Result<V::Value, E> {
            self.inner.$method(value)
        }
    )* };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for AnyCase<V> {
    type Value = V::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        self.inner.expecting(formatter)
    }

    visit! {
        visit_bool: bool visit_i64: i64 visit_i128: i128 visit_u64: u64 visit_u128: u128 visit_f64: f64 visit_char: char
        visit_str: &str visit_borrowed_str: &'de str visit_string: String
        visit_bytes: &[u8] visit_borrowed_bytes: &'de [u8] visit_byte_buf: Vec<u8>
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(wrap(from))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, from: D) -> Result<V::Value, D::Error> {
        self.inner.visit_newtype_struct(wrap(from))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        // serde would take a list for a struct, field by field.
        if !self.fields.is_empty() {
            return Err(A::Error::invalid_type(serde::de::Unexpected::Seq, &self));
        }
        self.inner.visit_seq(wrap(access))
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(AnyCase { inner: access, fields: self.fields })
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        self.inner.visit_enum(wrap(access))
    }
}

// === impl DeserializeSeed, SeqAccess, MapAccess, EnumAccess ===

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for AnyCase<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(wrap(from))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for AnyCase<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.inner.next_element_seed(wrap(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for AnyCase<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        if self.fields.is_empty() {
            return self.inner.next_key_seed(seed);
        }
        match self.inner.next_key_seed(Name(self.fields))? {
            Some(Member::Field(name)) => seed.deserialize(StrDeserializer::new(name)).map(Some),
            Some(Member::Unknown(name)) => seed.deserialize(StringDeserializer::new(name)).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.next_value_seed(wrap(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for AnyCase<A> {
    type Error = A::Error;
    type Variant = AnyCase<A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        let (value, variant) = self.inner.variant_seed(seed)?;
        Ok((value, wrap(variant)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for AnyCase<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.newtype_variant_seed(wrap(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.inner.tuple_variant(length, wrap(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.inner.struct_variant(fields, AnyCase { inner: visitor, fields })
    }
}

// === impl Name ===

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Member;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Member, D::Error> {
        from.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Member;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("the name of a member")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Member, E> {
        let field = self.0.iter().find(|field| **field == name);
        let field = field.or_else(|| self.0.iter().find(|field| field.eq_ignore_ascii_case(name)));
        Ok(field.map_or_else(|| Member::Unknown(name.to_owned()), |field| Member::Field(field)))
    }

    fn visit_bytes<E: serde::de::Error>(self, name: &[u8]) -> Result<Member, E> {
        self.visit_str(std::str::from_utf8(name).map_err(E::custom)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::{Config, CreateRequest, HostConfig};

    #[test]
    fn names_count_in_any_case_at_any_depth() {
        let text =
            br#"{"CPURealtimePeriod": 7, "cpushares": 3, "RESTARTPOLICY": {"NAME": "always", "maximumRetryCount": 2},
            "blkiodeviceREADiops": [{"PATH": "/dev/x", "rate": 5}], "portBindings": {"80/tcp": [{"hostport": "1"}]},
            "memory": null, "unknown": {"a": [1, 2, {"b": null}]}}"#;
        let host: HostConfig = from_slice(text).expect("readable");
        assert_eq!((host.cpu_realtime_period, host.cpu_shares, host.memory), (7, 3, 0));
        let policy = host.restart_policy;
        assert_eq!((policy.name.as_str(), policy.maximum_retry_count), ("always", 2));
        let limits = host.blkio_device_read_iops.expect("given");
        assert_eq!((limits[0].path.as_str(), limits[0].rate), ("/dev/x", 5));
    }

    #[test]
    fn names_in_maps_stay_as_they_are() {
        let config: Config =
            from_slice(br#"{"labels": {"Image": "a", "image": "b"}, "cmd": "one"}"#).expect("readable");
        let labels = config.labels.expect("given");
        assert_eq!((labels["Image"].as_str(), labels["image"].as_str()), ("a", "b"));
    }

    #[test]
    fn of_equal_members_the_last_counts_and_bytes_that_are_no_text_are_replaced() {
        let config: Config = from_slice(br#"{"Image": "a", "Image": "b"}"#).expect("readable");
        assert_eq!(config.image, "b");
        let config: Config = from_slice(b"{\"Image\": \"a\xff\"}").expect("readable");
        assert_eq!(config.image, "a\u{fffd}");
        assert!(from_slice::<Config>(b"[]").is_err(), "a list is no struct");
    }

    #[test]
    fn a_create_request_has_three_parts_in_one_object() {
        let body = br#"{"image": "a", "hostCONFIG": {"memory": 5}, "networkingconfig": {"endpointsconfig": {"N": {"aliases": ["b"]}}}}"#;
        let request: CreateRequest = from_slice(body).expect("readable");
        assert_eq!((request.config.image.as_str(), request.config.host_config.is_none()), ("a", true));
        assert_eq!(request.host_config.map(|host| host.memory), Some(5));
        let networks = request.networking_config.expect("given").endpoints_config;
        assert!(networks["N"].as_ref().is_some_and(|end| end.aliases.is_some()));
    }

    #[test]
    fn errors_are_those_of_the_reader() {
        for text in ["{\"Image\": 5}", "{\"Image\"", "{} x", "1"] {
            let expected = serde_json::from_str::<Config>(text).expect_err("wrong").to_string();
            assert_eq!(from_slice::<Config>(text.as_bytes()).expect_err("wrong").to_string(), expected);
        }
    }
}
