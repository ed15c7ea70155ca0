//! [`Csv`]: records of CSV files as serde types, and how they are decoded.

use super::{ReadError, Records, csv_parser::Parser};
use crate::Schema;
use csv::ByteRecord;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{any::type_name, marker::PhantomData};

/// Records that are values of `T`: a struct whose fields have the names in the header of the file (`serde(rename)` helps
/// where they cannot), or a tuple if there is no header. Fields are read as the crate `csv` does it: numbers, `true` and
/// `false`, strings; an empty field is `None` for an `Option`. Columns that the struct does not have are left out.
///
/// A record with more or fewer fields than the header, a field that does not parse, text that is not UTF-8 and quotes
/// that are not closed are errors ([`ReadError::BadRecord`]) that name the file, the line and the field. Empty lines are
/// skipped.
pub struct Csv<T>(PhantomData<fn() -> T>);

/// What it takes to read CSV records besides their bytes: the same for all files of an input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CsvShape {
    /// The names of the fields, if the files have a header.
    pub(super) names: Option<Vec<String>>,
    /// How many fields a record has. `None` if there is no record at all.
    pub(super) fields: Option<u64>,
    pub(crate) dialect: Dialect,
}

/// The rules of a CSV file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dialect {
    pub(crate) delimiter: u8,
    /// Records may go on in the next line, inside quotes.
    pub(crate) multiline: bool,
}

/// Where the records of a block are decoded to. It is used again for the next one.
pub struct CsvBuffer<T> {
    records: Vec<T>,
    /// Made for this shape.
    decoder: Option<(CsvShape, Decoder)>,
}

impl<T> Default for CsvBuffer<T> {
    fn default() -> Self {
        Self { records: Vec::new(), decoder: None }
    }
}

impl<T: Send + Sync + DeserializeOwned + 'static> Records for Csv<T> {
    type Record<'a> = &'a T;
    type Block<'a> = &'a [T];
    type Shape = CsvShape;
    type Buffer = CsvBuffer<T>;

    fn block<'a>(
        shape: &CsvShape,
        bytes: &'a [u8],
        buffer: &'a mut CsvBuffer<T>,
    ) -> Result<&'a [T], ReadError> {
        let CsvBuffer { records, decoder } = buffer;
        records.clear();
        // Taken out, so that one which has failed, and stands within quotes perhaps, is not used again.
        let (shape, mut decoding) = match decoder.take() {
            Some((made_for, decoding)) if made_for == *shape => (made_for, decoding),
            _ => (shape.clone(), Decoder::new(shape)),
        };
        decoding.decode(&shape, bytes, records)?;
        *decoder = Some((shape, decoding));
        Ok(records)
    }

    fn schema(schema: &mut Schema) {
        schema.text("csv records ");
        schema.serde_type::<T>();
    }
}

struct Decoder {
    parser: Parser,
    header: Option<ByteRecord>,
    record: ByteRecord,
}

impl Decoder {
    fn new(shape: &CsvShape) -> Self {
        let header = shape.names.as_ref().map(|names| ByteRecord::from(names.clone()));
        Self { parser: Parser::new(shape.dialect), header, record: ByteRecord::new() }
    }

    fn decode<T: DeserializeOwned>(
        &mut self,
        shape: &CsvShape,
        bytes: &[u8],
        records: &mut Vec<T>,
    ) -> Result<(), ReadError> {
        let mut at = 0;
        while let Some(start) = self.parser.next(bytes, &mut at)? {
            self.record.clear();
            self.parser.fields().for_each(|field| self.record.push_field(field));
            let found = self.record.len() as u64;
            if let Some(expected) = shape.fields
                && found != expected
            {
                return Err(bad_record(start, wrong_fields(shape, expected, found)));
            }
            let record = self.record.deserialize(self.header.as_ref());
            records.push(
                record.map_err(|error| bad_record(start, unparsable::<T>(shape, &self.record, &error)))?,
            );
        }
        Ok(())
    }
}

/// An error of the record that begins at byte `offset` of a block.
pub(super) fn bad_record(offset: usize, message: String) -> ReadError {
    ReadError::BadRecord { path: "records".into(), line: None, offset: offset as u64, message }
}

fn wrong_fields(shape: &CsvShape, expected: u64, found: u64) -> String {
    let delimiter = char::from(shape.dialect.delimiter);
    let those_of = match &shape.names {
        Some(names) => format!("the header has {expected} ({})", names.join(", ")),
        None => format!("the first record has {expected}"),
    };
    format!(
        "the record has {found} fields, but {those_of}; a field with {delimiter:?} in it has to be in double quotes"
    )
}

/// How much of a field a message quotes.
const QUOTED_CHARS: usize = 40;

/// What serde says about a record, with the name and the content of the field.
fn unparsable<T>(shape: &CsvShape, record: &ByteRecord, error: &csv::Error) -> String {
    let csv::ErrorKind::Deserialize { err, .. } = error.kind() else { return error.to_string() };
    let said = err.kind();
    let Some(field) = err.field().and_then(|field| usize::try_from(field).ok()) else {
        return match &shape.names {
            Some(names) => format!("{said}; the header has {}", names.join(", ")),
            None => format!("{said}; without a header records are tuples"),
        };
    };
    let name = match shape.names.as_ref().and_then(|names| names.get(field)) {
        Some(name) => format!("field `{name}`"),
        None => format!("field {}", field + 1),
    };
    let content = String::from_utf8_lossy(record.get(field).unwrap_or_default());
    let mut quoted: String = content.chars().take(QUOTED_CHARS).collect();
    if quoted.len() < content.len() {
        quoted.push_str("...");
    }
    format!(
        "{name} is {quoted:?}: {said}; correct it, or give the field of `{}` another type",
        type_name::<T>()
    )
}
