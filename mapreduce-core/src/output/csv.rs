//! Part files of comma-separated values (RFC 4180), with a header.

use super::{
    cells::{CellError, Cells, Scalar, cells, scalar},
    json_lines::append_json,
    table::Table,
};
use crate::{
    Datum,
    codec::CodecError,
    schema::{Column, ColumnKind},
};
use serde::Serialize;

/// Appends the line with the names of the columns.
pub(super) fn append_header(out: &mut Vec<u8>, table: &Table) {
    for (i, name) in table.names.iter().enumerate() {
        separate(out, i);
        append_text(out, name.as_bytes());
    }
    out.push(b'\n');
}

/// Appends the line of a pair.
pub(super) fn append<K, V>(out: &mut Vec<u8>, table: &Table, key: &K, value: &V) -> Result<(), CodecError>
where
    K: ?Sized + Datum,
    V: ?Sized + Datum,
{
    let start = out.len();
    let mut row = CsvRow { columns: &table.key, before: 0, out };
    cells(key, &table.key, &mut row).map_err(|error| CodecError::text::<K>(error.to_string()))?;
    let mut row = CsvRow { columns: &table.value, before: table.key.len(), out };
    cells(value, &table.value, &mut row).map_err(|error| CodecError::text::<V>(error.to_string()))?;
    if out.len() == start {
        // One empty cell would be an empty line, which readers pass over.
        out.extend_from_slice(b"\"\"");
    }
    out.push(b'\n');
    Ok(())
}

struct CsvRow<'a> {
    columns: &'a [Column],
    /// Columns in front of these.
    before: usize,
    out: &'a mut Vec<u8>,
}

impl Cells for CsvRow<'_> {
    fn cell(&mut self, index: usize, value: &(impl ?Sized + Serialize)) -> Result<(), CellError> {
        separate(self.out, self.before + index);
        match self.columns[index].kind {
            ColumnKind::Nested | ColumnKind::ByteSequence => {
                let mut json = Vec::new();
                append_json(&mut json, value).map_err(CellError::new)?;
                if json != b"null" {
                    append_text(self.out, &json);
                }
                Ok(())
            }
            _ => scalar(value, |scalar| append_scalar(self.out, scalar)),
        }
    }
}

fn separate(out: &mut Vec<u8>, index: usize) {
    if index > 0 {
        out.push(b',');
    }
}

fn append_scalar(out: &mut Vec<u8>, scalar: Scalar<'_>) -> Result<(), CellError> {
    let written = match scalar {
        Scalar::Null => Ok(()),
        Scalar::Text(text) => {
            append_text(out, text.as_bytes());
            Ok(())
        }
        Scalar::Bytes(bytes) => {
            append_text(out, bytes);
            Ok(())
        }
        Scalar::Float32(value) if !value.is_finite() => append_word(out, value.into()),
        Scalar::Float64(value) if !value.is_finite() => append_word(out, value),
        Scalar::Bool(value) => serde_json::to_writer(out, &value),
        Scalar::Signed(value) => serde_json::to_writer(out, &value),
        Scalar::Unsigned(value) => serde_json::to_writer(out, &value),
        Scalar::Signed128(value) => serde_json::to_writer(out, &value),
        Scalar::Unsigned128(value) => serde_json::to_writer(out, &value),
        Scalar::Float32(value) => serde_json::to_writer(out, &value),
        Scalar::Float64(value) => serde_json::to_writer(out, &value),
    };
    written.map_err(CellError::new)
}

/// Appends the word for a float that is not finite, which JSON does not have.
fn append_word(out: &mut Vec<u8>, float: f64) -> serde_json::Result<()> {
    out.extend_from_slice(match float {
        f64::INFINITY => b"inf",
        f64::NEG_INFINITY => b"-inf",
        _ => b"NaN",
    });
    Ok(())
}

/// Appends text, in quotes where it needs them. Empty text has quotes and so differs from nothing.
fn append_text(out: &mut Vec<u8>, text: &[u8]) {
    let special = |byte: &u8| matches!(byte, b',' | b'"' | b'\n' | b'\r');
    if !text.is_empty() && !text.iter().any(special) {
        out.extend_from_slice(text);
        return;
    }
    out.push(b'"');
    for piece in text.split_inclusive(|byte| *byte == b'"') {
        out.extend_from_slice(piece);
        if piece.ends_with(b"\"") {
            out.push(b'"');
        }
    }
    out.push(b'"');
}
