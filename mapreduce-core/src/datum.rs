//! Values: what may be emitted, stored and broadcast.

use std::{
    any::{Any, TypeId},
    borrow::Cow,
};

use serde::{Serialize, Serializer, de::DeserializeOwned};

use crate::{
    codec::{self, CodecError},
    schema::{Column, ColumnKind, Schema},
};

/// Anything that can be emitted as a value.
///
/// Every owned serde type is one already: `#[derive(Clone, Serialize, Deserialize)]` is all that a value type needs.
/// `str` and `[u8]` are data as well, so that a mapper may emit a slice of its record without a copy; they are encoded
/// as the bytes they are, and decoded by borrowing.
///
/// A job gives the same bytes in every run only if its values do: a `HashMap` iterates in another order in every
/// process, so emit a `BTreeMap` instead.
///
/// # Examples
///
/// ```
/// use mapreduce_core::Datum;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
/// struct Mean {
///     sum: f64,
///     count: u64,
/// }
///
/// let mean = Mean { sum: 1.5, count: 3 };
/// let mut bytes = Vec::new();
/// Datum::encode(&mean, &mut bytes)?;
/// assert_eq!(*Mean::decode(&bytes)?, mean);
///
/// let mut line = Vec::new();
/// mean.write_text(&mut line)?;
/// assert_eq!(line, br#"{"sum":1.5,"count":3}"#);
/// # Ok::<(), mapreduce_core::CodecError>(())
/// ```
///
/// A type that borrows cannot be stored, and is refused:
///
/// ```compile_fail
/// fn emit<V: mapreduce_core::Datum + ?Sized>(_: &V) {}
/// let word = String::from("word");
/// emit::<&str>(&word.as_str());
/// ```
pub trait Datum: ToOwned<Owned: Send + Sync> + Send + Sync + 'static {
    /// Appends the encoding of the value to `out`; on an error `out` is as it was.
    ///
    /// # Errors
    ///
    /// See [`codec::encode`].
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), CodecError>;

    /// The value that the whole of `bytes` encodes.
    ///
    /// # Errors
    ///
    /// See [`codec::decode`]; for `str`, that the bytes are not UTF-8.
    fn decode(bytes: &[u8]) -> Result<Cow<'_, Self>, CodecError>;

    /// Appends what a text part file holds for the value; on an error `out` is as it was.
    ///
    /// Strings, byte strings and chars stand as they are (a tab or line feed in them is not escaped), `()` is nothing,
    /// and everything else is compact JSON, so that numbers and bools are plain. A float alone that JSON has no word
    /// for is written `NaN`, `inf` or `-inf`; inside a larger value it is `null`.
    ///
    /// # Errors
    ///
    /// [`CodecError::Text`] if JSON cannot hold the value: a map whose keys are neither strings nor numbers.
    fn write_text(&self, out: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Hands the value to a serializer of another format, for structured part files. A byte string goes as bytes.
    ///
    /// # Errors
    ///
    /// Those of the serializer.
    fn serialize_to<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;

    /// The columns that values of the type take in a table.
    fn columns() -> Vec<Column>;

    /// Adds what the type looks like on the wire to `schema`.
    fn schema(schema: &mut Schema);

    /// Whether this is `()`, the value of those who emit keys only, or the key of those who emit values only: a text writer
    /// leaves it out, and the tab.
    fn is_unit() -> bool {
        false
    }
}

impl<T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static> Datum for T {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        codec::encode(self, out)
    }

    #[inline]
    fn decode(bytes: &[u8]) -> Result<Cow<'_, Self>, CodecError> {
        codec::decode(bytes).map(Cow::Owned)
    }

    fn write_text(&self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        // These compare type ids, which are constants: each instance of this function keeps one branch.
        let any: &dyn Any = self;
        if let Some(string) = any.downcast_ref::<String>() {
            out.extend_from_slice(string.as_bytes());
        } else if let Some(bytes) = any.downcast_ref::<Vec<u8>>() {
            out.extend_from_slice(bytes);
        } else if let Some(char) = any.downcast_ref::<char>() {
            out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
        } else if Self::is_unit() {
        } else if let Some(word) = not_finite(any) {
            out.extend_from_slice(word.as_bytes());
        } else {
            let start = out.len();
            if let Err(error) = serde_json::to_writer(&mut *out, self) {
                out.truncate(start);
                return Err(CodecError::text::<T>(error.to_string()));
            }
        }
        Ok(())
    }

    fn serialize_to<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let any: &dyn Any = self;
        match any.downcast_ref::<Vec<u8>>() {
            Some(bytes) => serializer.serialize_bytes(bytes),
            None => self.serialize(serializer),
        }
    }

    fn columns() -> Vec<Column> {
        match TypeId::of::<T>() == TypeId::of::<Vec<u8>>() {
            true => Column::single(ColumnKind::Bytes),
            false => Column::all_of::<T>(),
        }
    }

    fn schema(schema: &mut Schema) {
        schema.serde_type::<T>();
    }

    #[inline]
    fn is_unit() -> bool {
        TypeId::of::<T>() == TypeId::of::<()>()
    }
}

impl Datum for str {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(self.as_bytes());
        Ok(())
    }

    #[inline]
    fn decode(bytes: &[u8]) -> Result<Cow<'_, Self>, CodecError> {
        match str::from_utf8(bytes) {
            Ok(text) => Ok(Cow::Borrowed(text)),
            Err(error) => Err(CodecError::decode::<str>(bytes.len(), error.to_string())),
        }
    }

    fn write_text(&self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(self.as_bytes());
        Ok(())
    }

    fn serialize_to<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }

    fn columns() -> Vec<Column> {
        Column::single(ColumnKind::Text)
    }

    fn schema(schema: &mut Schema) {
        schema.text("raw str");
    }
}

impl Datum for [u8] {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(self);
        Ok(())
    }

    #[inline]
    fn decode(bytes: &[u8]) -> Result<Cow<'_, Self>, CodecError> {
        Ok(Cow::Borrowed(bytes))
    }

    fn write_text(&self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(self);
        Ok(())
    }

    fn serialize_to<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self)
    }

    fn columns() -> Vec<Column> {
        Column::single(ColumnKind::Bytes)
    }

    fn schema(schema: &mut Schema) {
        schema.text("raw bytes");
    }
}

/// The word for a float that JSON would write as `null`.
fn not_finite(value: &dyn Any) -> Option<&'static str> {
    let float = match value.downcast_ref::<f32>() {
        Some(&float) => f64::from(float),
        None => *value.downcast_ref::<f64>()?,
    };
    match float {
        f64::INFINITY => Some("inf"),
        f64::NEG_INFINITY => Some("-inf"),
        float if float.is_nan() => Some("NaN"),
        _ => None,
    }
}
