//! [`Row`] and [`Cell`]: a row of columns, and one value of it, as serde's deserializers. [`field_names`]: the columns
//! that a type asks for.

use super::columns::Column;
use serde::{
    Deserializer,
    de::{
        DeserializeOwned, DeserializeSeed, Error as _, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
        Visitor,
        value::{Error, SeqDeserializer},
    },
    forward_to_deserialize_any,
};
use std::slice;

/// The current row of some columns: a map from their names, or a sequence.
pub(super) struct Row<'c> {
    columns: slice::Iter<'c, Column>,
    /// The column of which the name has been taken.
    named: Option<&'c Column>,
}

impl<'c> Row<'c> {
    pub(super) fn new(columns: &'c [Column]) -> Self {
        Self { columns: columns.iter(), named: None }
    }
}

impl<'de> Deserializer<'de> for Row<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(self)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(self)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_seq(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct map
        struct enum identifier ignored_any
    }
}

impl<'de> MapAccess<'de> for Row<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.named = self.columns.next();
        self.named.map(|column| seed.deserialize(column.name.as_str().into_deserializer())).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let column =
            self.named.take().ok_or_else(|| Error::custom("a value was asked for before its name"))?;
        value(column, seed)
    }
}

impl<'de> SeqAccess<'de> for Row<'_> {
    type Error = Error;

    fn next_element_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<Option<V::Value>, Error> {
        self.columns.next().map(|column| value(column, seed)).transpose()
    }
}

fn value<'de, V: DeserializeSeed<'de>>(column: &Column, seed: V) -> Result<V::Value, Error> {
    let cell = column.cell();
    seed.deserialize(cell).map_err(|error| match cell {
        Cell::Null => {
            Error::custom(format!("column `{}` is null here; make the field an `Option`", column.name))
        }
        _ => Error::custom(format!("column `{}`: {error}", column.name)),
    })
}

/// One value.
#[derive(Clone, Copy)]
pub(super) enum Cell<'a> {
    Null,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    F32(f32),
    F64(f64),
    Text(&'a [u8]),
    Bytes(&'a [u8]),
    Decimal {
        unscaled: i128,
        scale: i32,
    },
    /// What should be a decimal number, and is none or one of too many digits.
    NoDecimal(&'a [u8]),
}

impl<'a> Cell<'a> {
    /// The bytes, if it has any and they are text.
    fn text(self) -> Result<Option<&'a str>, Error> {
        match self {
            Self::Text(bytes) | Self::Bytes(bytes) => match str::from_utf8(bytes) {
                Ok(text) => Ok(Some(text)),
                Err(_) => Err(Error::invalid_value(Unexpected::Bytes(bytes), &"UTF-8; read it as bytes")),
            },
            _ => Ok(None),
        }
    }
}

impl<'de> Deserializer<'de> for Cell<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Null => visitor.visit_unit(),
            Self::Bool(value) => visitor.visit_bool(value),
            Self::Signed(value) => visitor.visit_i64(value),
            Self::Unsigned(value) => visitor.visit_u64(value),
            Self::F32(value) => visitor.visit_f32(value),
            Self::F64(value) => visitor.visit_f64(value),
            Self::Text(_) => visitor.visit_str(self.text()?.unwrap_or_default()),
            Self::Bytes(bytes) => visitor.visit_bytes(bytes),
            Self::Decimal { unscaled, scale } => visitor.visit_string(decimal(unscaled, scale)),
            Self::NoDecimal([]) => Err(Error::custom("a decimal number without bytes; make the file again")),
            Self::NoDecimal(_) => Err(Error::custom(
                "a decimal number of more digits than 128 bits hold; read it as bytes (`Vec<u8>`, big-endian), or write \
                 the column with a precision of at most 38",
            )),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.text()? {
            Some(text) => visitor.visit_str(text),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Text(bytes) | Self::Bytes(bytes) | Self::NoDecimal(bytes @ [_, ..]) => {
                visitor.visit_bytes(bytes)
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    /// A `Vec<u8>` asks for this.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Text(bytes) | Self::Bytes(bytes) | Self::NoDecimal(bytes @ [_, ..]) => {
                visitor.visit_seq(SeqDeserializer::new(bytes.iter().copied()))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            // As the text of it is read: rounded once.
            Self::Decimal { unscaled, scale } => match decimal(unscaled, scale).parse() {
                Ok(value) => visitor.visit_f64(value),
                Err(_) => self.deserialize_any(visitor),
            },
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.text()? {
            Some(text) => visitor.visit_enum(text.into_deserializer()),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 char unit unit_struct tuple_struct map struct identifier
        ignored_any
    }
}

/// A decimal number as text, with all its digits.
fn decimal(unscaled: i128, scale: i32) -> String {
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = unscaled.unsigned_abs();
    match usize::try_from(scale) {
        Ok(0) | Err(_) => format!("{unscaled}"),
        Ok(scale) => {
            let padded = format!("{digits:0>width$}", width = scale + 1);
            let (whole, fraction) = padded.split_at(padded.len() - scale);
            format!("{sign}{whole}.{fraction}")
        }
    }
}

/// The names of the fields of a struct, which it tells whoever decodes it. `None` for other types.
pub(super) fn field_names<T: DeserializeOwned>() -> Option<&'static [&'static str]> {
    let mut names = None;
    // It is told, and then stopped.
    let _ = T::deserialize(FieldNames(&mut names));
    names
}

struct FieldNames<'a>(&'a mut Option<&'static [&'static str]>);

impl<'de> Deserializer<'de> for FieldNames<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("not a struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        *self.0 = Some(fields);
        Err(Error::custom("known"))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq
        tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn decimals_keep_all_digits() {
        for (unscaled, scale, text) in [
            (0, 0, "0"),
            (0, 2, "0.00"),
            (5, 2, "0.05"),
            (-5, 2, "-0.05"),
            (12_345, 2, "123.45"),
            (-12_345, 5, "-0.12345"),
            (-7, 0, "-7"),
            (i128::MIN, 38, "-1.70141183460469231731687303715884105728"),
        ] {
            assert_eq!(decimal(unscaled, scale), text);
        }
    }
}
