//! From a value to the cells of a table's row: which [column](Column) gets what.

use crate::{Datum, schema::Column};
use serde::{
    Serialize, Serializer,
    ser::{Impossible, SerializeSeq, SerializeStruct, SerializeTuple, SerializeTupleStruct},
};
use std::fmt;

/// Takes the cells of a row.
pub(super) trait Cells {
    /// Takes what stands in the column of that index.
    fn cell(&mut self, index: usize, value: &(impl ?Sized + Serialize)) -> Result<(), CellError>;
}

/// Hands the cells of `value`, whose type has `columns`, to `cells`.
pub(super) fn cells<D: ?Sized + Datum>(
    value: &D,
    columns: &[Column],
    cells: &mut impl Cells,
) -> Result<(), CellError> {
    match columns {
        [] => Ok(()),
        [column] if column.name.is_empty() => cells.cell(0, &AsSerde(value)),
        _ => value.serialize_to(Row { columns, next: 0, cells }),
    }
}

/// A value for serializers.
pub(super) struct AsSerde<'a, D: ?Sized>(pub(super) &'a D);

impl<D: ?Sized + Datum> Serialize for AsSerde<'_, D> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize_to(serializer)
    }
}

/// What a cell can hold that nothing is nested in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scalar<'a> {
    Null,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Signed128(i128),
    Unsigned128(u128),
    Float32(f32),
    Float64(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

/// Hands the scalar that `value` is to `take`.
pub(super) fn scalar(
    value: &(impl ?Sized + Serialize),
    take: impl FnOnce(Scalar<'_>) -> Result<(), CellError>,
) -> Result<(), CellError> {
    value.serialize(ScalarSerializer(take))
}

/// Why a value has no cell.
#[derive(Debug)]
pub(super) struct CellError(String);

impl CellError {
    pub(super) fn new(message: impl fmt::Display) -> Self {
        Self(message.to_string())
    }
}

impl fmt::Display for CellError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CellError {}

impl serde::ser::Error for CellError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message)
    }
}

/// A type whose `Serialize` gives something else than its `Deserialize` asks for.
#[cold]
fn unlike() -> CellError {
    CellError::new("its `Serialize` and its `Deserialize` do not agree on what it consists of")
}

/// Takes the value apart into the columns.
struct Row<'a, C> {
    columns: &'a [Column],
    next: usize,
    cells: &'a mut C,
}

impl<C: Cells> Row<'_, C> {
    fn cell(&mut self, name: Option<&str>, value: &(impl ?Sized + Serialize)) -> Result<(), CellError> {
        let column = self.columns.get(self.next).ok_or_else(unlike)?;
        if name.is_some_and(|name| name != column.name) {
            return Err(unlike());
        }
        let cell = self.cells.cell(self.next, value);
        self.next += 1;
        cell.map_err(|CellError(message)| CellError(format!("{}: {message}", column.name)))
    }

    fn finish(self) -> Result<(), CellError> {
        if self.next == self.columns.len() { Ok(()) } else { Err(unlike()) }
    }
}

/// Values that nobody expects here.
macro_rules! refused {
    ($($method:ident($($argument:ty),*))*) => {$(
        fn $method(self, $(_: $argument),*) -> Result<(), CellError> {
            Err(unlike())
        }
    )*};
}

/// Compound values that nobody expects here.
macro_rules! refused_compounds {
    ($($method:ident($($argument:ty),*) -> $compound:ident)*) => {$(
        type $compound = Impossible<(), CellError>;

        fn $method(self, $(_: $argument),*) -> Result<Self::$compound, CellError> {
            Err(unlike())
        }
    )*};
}

impl<'a, C: Cells> Serializer for Row<'a, C> {
    type Ok = ();
    type Error = CellError;
    type SerializeStruct = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), CellError> {
        value.serialize(self)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, CellError> {
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, CellError> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, CellError> {
        Ok(self)
    }

    refused! {
        serialize_bool(bool) serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64) serialize_f32(f32)
        serialize_f64(f64) serialize_char(char) serialize_str(&str) serialize_bytes(&[u8]) serialize_none()
        serialize_unit() serialize_unit_struct(&'static str) serialize_unit_variant(&'static str, u32, &'static str)
    }

    fn serialize_some<T: ?Sized + Serialize>(self, _: &T) -> Result<(), CellError> {
        Err(unlike())
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), CellError> {
        Err(unlike())
    }

    refused_compounds! {
        serialize_seq(Option<usize>) -> SerializeSeq
        serialize_map(Option<usize>) -> SerializeMap
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> SerializeTupleVariant
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> SerializeStructVariant
    }
}

impl<C: Cells> SerializeStruct for Row<'_, C> {
    type Ok = ();
    type Error = CellError;

    fn serialize_field<T: ?Sized + Serialize>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), CellError> {
        self.cell(Some(name), value)
    }

    fn end(self) -> Result<(), CellError> {
        self.finish()
    }
}

impl<C: Cells> SerializeTuple for Row<'_, C> {
    type Ok = ();
    type Error = CellError;

    fn serialize_element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), CellError> {
        self.cell(None, value)
    }

    fn end(self) -> Result<(), CellError> {
        self.finish()
    }
}

impl<C: Cells> SerializeTupleStruct for Row<'_, C> {
    type Ok = ();
    type Error = CellError;

    fn serialize_field<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), CellError> {
        self.cell(None, value)
    }

    fn end(self) -> Result<(), CellError> {
        self.finish()
    }
}

/// Takes one scalar.
struct ScalarSerializer<F>(F);

macro_rules! scalars {
    ($($method:ident($value:ident: $type:ty) => $scalar:expr;)*) => {$(
        fn $method(self, $value: $type) -> Result<(), CellError> {
            (self.0)($scalar)
        }
    )*};
}

impl<F: FnOnce(Scalar<'_>) -> Result<(), CellError>> Serializer for ScalarSerializer<F> {
    type Ok = ();
    type Error = CellError;
    type SerializeSeq = ByteSequence<F>;

    scalars! {
        serialize_bool(value: bool) => Scalar::Bool(value);
        serialize_i8(value: i8) => Scalar::Signed(value.into());
        serialize_i16(value: i16) => Scalar::Signed(value.into());
        serialize_i32(value: i32) => Scalar::Signed(value.into());
        serialize_i64(value: i64) => Scalar::Signed(value);
        serialize_i128(value: i128) => Scalar::Signed128(value);
        serialize_u8(value: u8) => Scalar::Unsigned(value.into());
        serialize_u16(value: u16) => Scalar::Unsigned(value.into());
        serialize_u32(value: u32) => Scalar::Unsigned(value.into());
        serialize_u64(value: u64) => Scalar::Unsigned(value);
        serialize_u128(value: u128) => Scalar::Unsigned128(value);
        serialize_f32(value: f32) => Scalar::Float32(value);
        serialize_f64(value: f64) => Scalar::Float64(value);
        serialize_char(value: char) => Scalar::Text(value.encode_utf8(&mut [0; 4]));
        serialize_str(value: &str) => Scalar::Text(value);
        serialize_bytes(value: &[u8]) => Scalar::Bytes(value);
    }

    fn serialize_none(self) -> Result<(), CellError> {
        (self.0)(Scalar::Null)
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<(), CellError> {
        value.serialize(self)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), CellError> {
        (self.0)(Scalar::Text(variant))
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), CellError> {
        value.serialize(self)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<ByteSequence<F>, CellError> {
        Ok(ByteSequence { bytes: Vec::with_capacity(len.unwrap_or(0)), take: self.0 })
    }

    refused! { serialize_unit() serialize_unit_struct(&'static str) }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), CellError> {
        Err(unlike())
    }

    refused_compounds! {
        serialize_tuple(usize) -> SerializeTuple
        serialize_tuple_struct(&'static str, usize) -> SerializeTupleStruct
        serialize_struct(&'static str, usize) -> SerializeStruct
        serialize_map(Option<usize>) -> SerializeMap
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> SerializeTupleVariant
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> SerializeStructVariant
    }
}

/// Gathers bytes that come one by one.
struct ByteSequence<F> {
    bytes: Vec<u8>,
    take: F,
}

impl<F: FnOnce(Scalar<'_>) -> Result<(), CellError>> SerializeSeq for ByteSequence<F> {
    type Ok = ();
    type Error = CellError;

    fn serialize_element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), CellError> {
        let bytes = &mut self.bytes;
        scalar(value, |scalar| match scalar {
            Scalar::Unsigned(byte) => {
                bytes.push(u8::try_from(byte).map_err(|_| unlike())?);
                Ok(())
            }
            _ => Err(unlike()),
        })
    }

    fn end(self) -> Result<(), CellError> {
        (self.take)(Scalar::Bytes(&self.bytes))
    }
}
