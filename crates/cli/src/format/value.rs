//! Ordered values: what templates walk over and what JSON decodes into, key order kept.

use std::fmt;

use indexmap::IndexMap;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::json;
use super::number::shortest;

/// A value of a template.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Value {
    /// JSON's null, Go's nil.
    #[default]
    Nil,
    /// What a map has for a key that is not there; Go shows it in its own words.
    Missing,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// Any other number.
    Float(f64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// A decoded JSON object.
    Map(IndexMap<String, Value>),
    /// A row of one of Docker's tables: a closed set of fields.
    Row(Row),
}

/// A record with named fields; asking for another field is an error that names the type.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Row {
    /// The type as error texts name it.
    pub type_name: &'static str,
    /// Fields by name.
    pub fields: IndexMap<&'static str, Value>,
    /// What `.Label "name"` looks up.
    pub labels: IndexMap<String, String>,
}

// === impl Row ===

impl Row {
    /// An empty record.
    #[must_use]
    pub fn new(type_name: &'static str) -> Self {
        Self { type_name, ..Self::default() }
    }

    /// With a text field.
    #[must_use]
    pub fn text(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.insert(name, Value::Text(value.into()));
        self
    }

    /// With a field.
    #[must_use]
    pub fn field(mut self, name: &'static str, value: Value) -> Self {
        self.fields.insert(name, value);
        self
    }

    /// With labels for `.Label`.
    #[must_use]
    pub fn labels(mut self, labels: IndexMap<String, String>) -> Self {
        self.labels = labels;
        self
    }
}

// === impl Value ===

impl Value {
    /// The text of a text, empty otherwise.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Text(text) => text,
            _ => "",
        }
    }

    /// The whole number, 0 otherwise.
    #[must_use]
    pub fn as_i64(&self) -> i64 {
        match self {
            Self::Int(number) => i64::try_from(*number).unwrap_or(i64::MAX),
            Self::Float(number) => *number as i64,
            _ => 0,
        }
    }

    /// Whether this is `true`.
    #[must_use]
    pub fn as_bool(&self) -> bool {
        matches!(self, Self::Bool(true))
    }

    /// The items of a list, none otherwise.
    #[must_use]
    pub fn items(&self) -> &[Value] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    /// The entries of an object, none otherwise.
    pub fn entries(&self) -> impl Iterator<Item = (&String, &Value)> {
        let map = match self {
            Self::Map(map) => Some(map),
            _ => None,
        };
        map.into_iter().flatten()
    }

    /// A field of an object; nil when there is none.
    #[must_use]
    pub fn at(&self, key: &str) -> &Value {
        const NIL: &Value = &Value::Nil;
        match self {
            Self::Map(map) => map.get(key).unwrap_or(NIL),
            Self::Row(row) => row.fields.get(key).unwrap_or(NIL),
            _ => NIL,
        }
    }

    /// A field of a field of ….
    #[must_use]
    pub fn path(&self, keys: &[&str]) -> &Value {
        keys.iter().fold(self, |value, key| value.at(key))
    }

    /// The texts of a list of texts.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        self.items().iter().map(|item| item.as_str().to_owned()).collect()
    }

    /// The entries of an object of texts.
    #[must_use]
    pub fn text_map(&self) -> IndexMap<String, String> {
        self.entries().map(|(key, value)| (key.clone(), value.as_str().to_owned())).collect()
    }

    /// Go's notion of truth: not zero, not empty.
    #[must_use]
    pub fn is_true(&self) -> bool {
        match self {
            Self::Nil | Self::Missing => false,
            Self::Bool(value) => *value,
            Self::Int(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Map(map) => looks_like_struct(map) || !map.is_empty(),
            Self::Row(_) => true,
        }
    }
}

/// JSON does not say what was a Go struct and what a map. Keys of structs begin with a capital.
pub(crate) fn looks_like_struct(map: &IndexMap<String, Value>) -> bool {
    !map.is_empty() && map.keys().all(|key| key.starts_with(|c: char| c.is_ascii_uppercase()) && !key.contains('='))
}

impl fmt::Display for Value {
    /// Go's `%v`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("<nil>"),
            Self::Missing => f.write_str("<no value>"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Float(number) => f.write_str(&shortest(*number)),
            Self::Text(text) => f.write_str(text),
            Self::List(items) => {
                let texts: Vec<String> = items.iter().map(Self::to_string).collect();
                write!(f, "[{}]", texts.join(" "))
            }
            Self::Map(map) if looks_like_struct(map) => {
                let texts: Vec<String> = map.values().map(Self::to_string).collect();
                write!(f, "{{{}}}", texts.join(" "))
            }
            Self::Map(map) => {
                let mut texts: Vec<String> = map.iter().map(|(key, value)| format!("{key}:{value}")).collect();
                texts.sort_unstable();
                write!(f, "map[{}]", texts.join(" "))
            }
            Self::Row(row) => f.write_str(&json::write(&Self::Row(row.clone()), true)),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number.into())
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nil)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Int(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = IndexMap::new();
        while let Some((key, value)) = access.next_entry()? {
            map.insert(key, value);
        }
        Ok(Value::Map(map))
    }
}
