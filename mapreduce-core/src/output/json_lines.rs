//! Part files of JSON lines: an object for each pair.

use crate::{Datum, codec::CodecError};
use serde_json::{
    Serializer,
    ser::{CompactFormatter, Formatter},
};
use std::io;

/// Appends the line of a pair.
pub(super) fn append<K, V>(out: &mut Vec<u8>, key: &K, value: &V) -> Result<(), CodecError>
where
    K: ?Sized + Datum,
    V: ?Sized + Datum,
{
    let mut separator = b'{';
    let mut member = |name: &[u8], out: &mut Vec<u8>| {
        out.push(separator);
        out.extend_from_slice(name);
        separator = b',';
    };
    if !K::is_unit() {
        member(b"\"key\":", out);
        append_value(out, key)?;
    }
    if !V::is_unit() {
        member(b"\"value\":", out);
        append_value(out, value)?;
    }
    out.extend_from_slice(if separator == b'{' { b"{}\n" } else { b"}\n" });
    Ok(())
}

fn append_value<D: ?Sized + Datum>(out: &mut Vec<u8>, value: &D) -> Result<(), CodecError> {
    let mut serializer = Serializer::with_formatter(out, BytesAsText(CompactFormatter));
    value.serialize_to(&mut serializer).map_err(|error| CodecError::text::<D>(error.to_string()))
}

/// Appends a value as compact JSON.
pub(super) fn append_json(
    out: &mut Vec<u8>,
    value: &(impl ?Sized + serde::Serialize),
) -> Result<(), serde_json::Error> {
    value.serialize(&mut Serializer::with_formatter(out, BytesAsText(CompactFormatter)))
}

/// Compact JSON in which byte strings are strings, and not lists of numbers.
struct BytesAsText(CompactFormatter);

impl Formatter for BytesAsText {
    fn write_byte_array<W: ?Sized + io::Write>(&mut self, writer: &mut W, bytes: &[u8]) -> io::Result<()> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let at = error.valid_up_to();
            let message =
                format!("the bytes are not UTF-8 from byte {at} on, as JSON strings are; write text files");
            io::Error::new(io::ErrorKind::InvalidData, message)
        })?;
        serde_json::to_writer(writer, text).map_err(io::Error::from)
    }
}
