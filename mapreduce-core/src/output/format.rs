//! [`Format`]: what the part files of an output look like, and [`PartWriter`], which writes one of them.

use super::{
    AttemptFile, SharedStaging, StagedPart,
    attempt_file::side_name,
    csv, json_lines,
    part_file::{PartFile, WriteError},
    piece::{Chunk, PartPiece},
    table::Table,
    text,
};
use crate::{
    CodecError, Datum, Error, Job, Memory, OutputKeyOf, OutputValueOf, Result,
    exec::{PairWriter, WholeWriter},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt, io,
};

/// What part files hold for a pair.
///
/// | format | for each pair | byte strings |
/// |---|---|---|
/// | `Text` | `key<TAB>value`, not escaped; numbers in decimal, structs and other values as JSON | as they are |
/// | `Csv` | a line under a header; what needs quotes has them | as they are |
/// | `JsonLines` | `{"key":..,"value":..}` | strings; those that are not UTF-8 are an error |
/// | `Parquet` (feature `parquet`) | a row, columns as in CSV | as they are |
///
/// **CSV** has a column for each field of a struct and each part of a tuple, those of the key before those of the value.
/// A field's column has its name; others are `key`, `value`, `key_0`, `value_0`. If a name would stand twice, all are
/// preceded by `key_` or `value_`. What is nested in a column is JSON. `None` is an empty cell, an empty string is `""`;
/// where there is one column only, both are `""`, since readers pass over empty lines. Every part has the header, those without pairs too.
///
/// **Parquet** columns are numbers of up to 64 bits, bools, strings and bytes, and options of these. A job whose output has
/// others is refused before it runs.
///
/// Where the key or the value is `()`, it is left out, in text with the tab. **JSON** has no word for floats that are not finite: they are
/// `null`. In CSV and text they are `NaN`, `inf` and `-inf`.
///
/// ```
/// use mapreduce_core::{Format, PartFiles};
///
/// let table = PartFiles::new("table").with_format(Format::Csv);
/// assert_eq!(table.format(), Format::Csv);
/// assert_eq!(PartFiles::new("lines").format(), Format::Text);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Format {
    /// Lines of key, tab, value.
    #[default]
    Text,
    /// Comma-separated values with a header (RFC 4180, lines end with a line feed).
    Csv,
    /// A JSON object on each line.
    JsonLines,
    /// Parquet, compressed with Snappy.
    #[cfg(feature = "parquet")]
    Parquet,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Csv => "CSV",
            Self::JsonLines => "JSON lines",
            #[cfg(feature = "parquet")]
            Self::Parquet => "Parquet",
        })
    }
}

impl Format {
    /// Says before a job runs whether its output can be written so.
    pub(crate) fn check<J: Job>(self) -> Result<(), Error> {
        let table = Table::of::<OutputKeyOf<J>, OutputValueOf<J>>;
        let checked = match self {
            Self::Text | Self::JsonLines => Ok(()),
            Self::Csv if table().names.is_empty() => {
                Err("neither the key nor the value has a column; write text".to_string())
            }
            Self::Csv => Ok(()),
            #[cfg(feature = "parquet")]
            Self::Parquet => super::parquet::check(&table()),
        };
        checked.map_err(|message| Error::Format { job: J::NAME.to_string(), format: self, message })
    }
}

/// Writes the pairs of a reduce attempt to a part file, and its lines for side outputs to others.
pub(crate) struct PartWriter {
    part: Form,
    /// By the number of the side output. A file is made for its first line.
    sides: BTreeMap<u32, PartFile>,
    shared: Option<SharedStaging>,
}

enum Form {
    /// A format whose pairs follow one another.
    Lines(PartFile, Lines),
    #[cfg(feature = "parquet")]
    Parquet(Box<super::parquet::ParquetPart>),
}

/// A format of lines, with what it needs to know of the types.
#[derive(Clone)]
pub(super) enum Lines {
    Text,
    Csv(Table),
    Json,
}

impl Lines {
    /// Appends the line of a pair.
    #[inline]
    pub(super) fn append<K, V>(&self, out: &mut Vec<u8>, key: &K, value: &V) -> Result<(), CodecError>
    where
        K: ?Sized + Datum,
        V: ?Sized + Datum,
    {
        match self {
            Self::Text => text::append_line(out, key, value),
            Self::Csv(table) => csv::append(out, table, key, value),
            Self::Json => json_lines::append(out, key, value),
        }
    }
}

impl PartWriter {
    /// Begins to write pairs of `K` and `V` to a file.
    pub(crate) fn new<K, V>(to: AttemptFile) -> Result<Self>
    where
        K: ?Sized + Datum,
        V: ?Sized + Datum,
    {
        let AttemptFile { file, format, shared } = to;
        let mut file = PartFile::new(file);
        let part = match format {
            Format::Text => Form::Lines(file, Lines::Text),
            Format::JsonLines => Form::Lines(file, Lines::Json),
            Format::Csv => {
                let table = Table::of::<K, V>();
                csv::append_header(file.buffer(), &table);
                Form::Lines(file, Lines::Csv(table))
            }
            #[cfg(feature = "parquet")]
            Format::Parquet => Form::Parquet(Box::new(super::parquet::ParquetPart::new::<K, V>(file)?)),
        };
        Ok(Self { part, sides: BTreeMap::new(), shared })
    }

    /// Writes what is still buffered.
    pub(crate) fn finish(self) -> Result<StagedPart> {
        let Self { part, mut sides, shared } = self;
        let mut part = match part {
            Form::Lines(file, _) => file,
            #[cfg(feature = "parquet")]
            Form::Parquet(part) => part.finish()?,
        };
        part.flush()?;
        sides.values_mut().try_for_each(PartFile::flush)?;
        if let Some(shared) = shared {
            // Where the driver has committed or given up, nothing may be left.
            shared.check().map_err(|error| WriteError::new(part.file().path(), io::Error::other(error)))?;
        }
        let sides = sides.into_iter().map(|(output, file)| (output, file.finish())).collect();
        Ok(StagedPart { part: part.finish(), sides })
    }

    /// Writes a line for the side output of that number.
    pub(super) fn append_side(&mut self, output: u32, line: &[u8]) -> Result {
        let file = match self.sides.entry(output) {
            Entry::Occupied(file) => file.into_mut(),
            Entry::Vacant(none) => {
                let part = match &self.part {
                    Form::Lines(file, _) => file.file(),
                    #[cfg(feature = "parquet")]
                    Form::Parquet(part) => part.file(),
                };
                none.insert(PartFile::new(part.create_beside(side_name(part.name(), output))?))
            }
        };
        file.buffer().extend_from_slice(line);
        file.buffer().push(b'\n');
        Ok(file.appended(1)?)
    }
}

impl<K: ?Sized + Datum, V: ?Sized + Datum> PairWriter<K, V> for PartWriter {
    #[inline]
    fn write(&mut self, key: &K, value: &V) -> Result {
        let (file, lines) = match &mut self.part {
            Form::Lines(file, lines) => (file, lines),
            #[cfg(feature = "parquet")]
            Form::Parquet(part) => return part.append(key, value),
        };
        lines.append(file.buffer(), key, value)?;
        Ok(file.appended(1)?)
    }

    fn side(&mut self, output: u8, line: &[u8]) -> Result {
        self.append_side(output.into(), line)
    }
}

impl<K: ?Sized + Datum, V: ?Sized + Datum> WholeWriter<K, V> for PartWriter {
    type Piece = PartPiece;

    fn piece(&self, memory: &Memory) -> Result<Option<PartPiece>> {
        match &self.part {
            Form::Lines(_, lines) => PartPiece::new(lines.clone(), memory).map(Some),
            // All pairs so far decide where a row group ends.
            #[cfg(feature = "parquet")]
            Form::Parquet(_) => Ok(None),
        }
    }

    fn append(&mut self, piece: PartPiece) -> Result {
        piece.finish(|chunk| match (chunk, &mut self.part) {
            (Chunk::Lines(records, lines), Form::Lines(file, _)) => {
                file.buffer().extend_from_slice(lines);
                Ok(file.appended(records)?)
            }
            (Chunk::Side(output, line), _) => self.append_side(output.into(), line),
            #[cfg(feature = "parquet")]
            (Chunk::Lines(..), Form::Parquet(_)) => Ok(()),
        })
    }
}
