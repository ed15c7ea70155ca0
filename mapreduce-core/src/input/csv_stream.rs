//! CSV records that come as a stream: what its beginning says of them.

use super::{
    CsvOptions, CsvShape,
    csv_files::{names, refused},
    csv_reader::{Growing, first_record_of},
};
use crate::Error;

/// What messages call a header that is given apart from the records.
const HEADER: &str = "the header that was given";

impl CsvShape {
    /// Looks at a stream of which nothing has been read: what it takes to read its records, and where those begin. The
    /// names of the fields are those of `header`, if it is given, and otherwise of the first record, if `options` say that
    /// it is one. A stream without a record need not have a header either.
    pub(crate) fn of_stream(
        stream: &mut impl Growing,
        options: &CsvOptions,
        header: Option<&str>,
    ) -> Result<(Self, usize), Error> {
        let dialect = options.dialect()?;
        let first = first_record_of(stream, dialect)?;
        let (at, fields) = match &first {
            None => (stream.bytes().len() as u64, None),
            Some(first) if options.header && header.is_none() => (first.end, Some(first.record.len() as u64)),
            Some(first) => (first.start, Some(first.record.len() as u64)),
        };
        let shape = |names: Option<Vec<String>>, fields| Self { names, fields, dialect };
        let shape = match (header, first) {
            (Some(header), _) => {
                let given = first_record_of(&mut Given { header, read: false }, dialect)?;
                let given = given.ok_or_else(|| refused(HEADER, "has no names; name the fields".into()))?;
                let names = names(given.record).map_err(|message| refused(HEADER, message))?;
                let fields = Some(names.len() as u64);
                shape(Some(names), fields)
            }
            (None, Some(first)) if options.header => {
                shape(Some(names(first.record).map_err(|message| refused(stream.place(), message))?), fields)
            }
            (None, None) if options.header => shape(Some(Vec::new()), fields),
            (None, _) => shape(None, fields),
        };
        // No stream is longer than what has been read of it.
        Ok((shape, usize::try_from(at).unwrap_or(usize::MAX)))
    }
}

/// A header that is there as a whole.
struct Given<'a> {
    header: &'a str,
    read: bool,
}

impl Growing for Given<'_> {
    fn bytes(&self) -> &[u8] {
        if self.read { self.header.as_bytes() } else { &[] }
    }

    fn read_more(&mut self) -> Result<bool, super::ReadError> {
        Ok(!std::mem::replace(&mut self.read, true))
    }

    fn place(&self) -> &str {
        HEADER
    }
}
