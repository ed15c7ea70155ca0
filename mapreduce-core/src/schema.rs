//! Schemas: what a type looks like on the wire, as text and as a hash.

use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::{datum::Datum, key::Key};

/// What a type looks like on the wire.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schema {
    text: String,
}

impl Schema {
    /// An empty schema.
    pub fn new() -> Self {
        Self::default()
    }
    /// The schema of a value type.
    pub fn of<T: Datum + ?Sized>() -> Self {
        let mut schema = Self::new();
        T::schema(&mut schema);
        schema
    }
    /// The schema of a key type.
    pub fn of_key<K: Key + ?Sized>() -> Self {
        let mut schema = Self::new();
        K::schema(&mut schema);
        schema
    }
    /// Appends text.
    pub fn text(&mut self, text: &str) {
        self.text.push_str(text);
    }
    /// Appends what a serde type looks like.
    pub fn serde_type<T: DeserializeOwned>(&mut self) {
        self.text(std::any::type_name::<T>());
    }
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
    /// The hash of the text.
    pub fn hash(&self) -> u64 {
        xxh3_64_with_seed(self.text.as_bytes(), 0)
    }
}
