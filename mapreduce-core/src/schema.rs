//! Schemas: what a type looks like on the wire, as text and as a hash.
//!
//! Two programs may exchange values of a type if both give it the same schema. It is taken from the structure that the
//! type's `Deserialize` asks for, so it is the same for every compiler and platform, and changes whenever a field is
//! added, dropped, renamed, moved or given another type.
//!
//! | text | what it stands for |
//! |---|---|
//! | `bool` `u8` .. `i128` `f32` `f64` `char` `str` `bytes` `()` | a scalar; `usize` is `u64`, a `String` is `str` |
//! | `T?`, `[T]`, `[K=>V]` | an option, a sequence, a map |
//! | `(A,B)`, `(A*3)` | a tuple; an array or tuple of three alike |
//! | `Name{a:A,b:B}`, `Name(A)`, `Name;` | a struct with fields, with parts, with nothing |
//! | `Name<A;\|B(T)>` | an enum and its variants |
//! | `^Name` | a recursive type, inside itself |
//! | `_` | what could not be seen, because `Deserialize` refused every value it was shown before |
//!
//! Key encodings, which are not serde's, have texts of their own, close to these.

mod columns;
mod node;
mod probe;

pub use columns::{Column, ColumnKind};

use std::fmt;

use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::{datum::Datum, key::Key};

/// Sets schema hashes apart from every other use of the hash. Part of the protocol: never change it.
const SEED: u64 = u64::from_be_bytes(*b"schema\0\x01");

/// The wire form of one or more types, as a canonical text.
///
/// # Examples
///
/// ```
/// use mapreduce_core::Schema;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Serialize, Deserialize)]
/// struct Mean {
///     sum: f64,
///     count: usize,
/// }
///
/// let schema = Schema::of::<Vec<Mean>>();
/// assert_eq!(schema.as_str(), "[Mean{sum:f64,count:u64}]");
/// assert_ne!(schema.hash(), Schema::of::<Mean>().hash());
/// ```
///
/// The schema of a job is those of its types, each with a label:
///
/// ```
/// use mapreduce_core::{Datum, Key, Schema};
///
/// let mut schema = Schema::new();
/// schema.text("key=");
/// <str as Key>::schema(&mut schema);
/// schema.text(" value=");
/// <u64 as Datum>::schema(&mut schema);
/// assert_eq!(schema.as_str(), "key=str value=u64");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schema {
    text: String,
}

impl Schema {
    /// A schema of nothing yet.
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

    /// Appends `text` as it is: a label, a separator, the name of a hand-written encoding.
    pub fn text(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Appends the structure of a serde type, whose `Deserialize` is run on made-up values to see it.
    ///
    /// Every variant of an enum is visited, and a recursive type is followed once round. A `Deserialize` that refuses
    /// the made-up values hides what it would have asked for next, which is then `_` in the text; numbers are made up as
    /// 1, strings as `"1"`, byte strings as empty.
    pub fn serde_type<T: DeserializeOwned>(&mut self) {
        probe::probe::<T>().write(&mut self.text);
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The hash of the text: xxh3 with a seed of its own.
    pub fn hash(&self) -> u64 {
        xxh3_64_with_seed(self.text.as_bytes(), SEED)
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}
