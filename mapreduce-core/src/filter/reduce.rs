//! The filter `reduce`: sorted lines of pairs in, lines of output out.

use super::{
    FilterError, FilterOptions, Reduced,
    form::{Gathered, LineForm},
    sorted::{LineGroup, SortedLines},
};
use crate::{
    Counters, Datum, Emit, Job, Key, KeyOf, Reducer, Result, ValueOf, Values,
    counters::TaskCounters,
    exec::{describe_key, guard, set_up},
    output::append_line,
};
use std::{
    borrow::Borrow,
    io::{Read, Write},
};

/// Runs the reducer of a job over the lines of [`map`](super::map), sorted by their bytes, and writes its output as part
/// files of text have it: key, tab, value ([`Datum::write_text`]). See the [module](super) for the lines. Of a job without a
/// reducer the output is what the mapper has emitted, in that order.
///
/// The values of a key are read as the reducer asks for them: they may be more than fit into memory.
///
/// # Errors
/// Where the lines are not sorted, not whole or not all, with the number of the line; [`FilterError::Task`] where the job's
/// own code fails; when the reducer cannot be made, or the output cannot be written. Part of the output may have been
/// written then.
pub fn reduce<J: Job>(
    job: &J,
    shared: &J::Shared,
    input: impl Read,
    output: impl Write,
    options: &FilterOptions,
) -> Result<Reduced, FilterError> {
    super::refuse_side_outputs::<J>()?;
    let reducer = set_up::<J, _>("reducer", || job.reducer(shared))?;
    let mut lines = SortedLines::new(input, LineForm::of::<J>(options), options);
    let mut out =
        TextLines { out: Gathered::new(output), lines: 0, counters: TaskCounters::default(), error: None };
    let (mut keys, mut first) = (0, Vec::new());
    while lines.peek()? {
        let line = lines.line();
        first.clear();
        first.extend_from_slice(lines.key());
        let key =
            <KeyOf<J>>::decode(&first).map_err(|reason| FilterError::Decode { line, part: "key", reason })?;
        let mut values = LineGroup::<KeyOf<J>, _>::new(&mut lines, &first, J::Reducer::ENABLED)?;
        let reduced = guard(
            || reducer.reduce(key.borrow(), &mut Values::<ValueOf<J>>::new(&mut values), &mut out),
            || {
                let mut place = format!("line {line}, key ");
                describe_key(&first, &mut place);
                place
            },
            || None,
        );
        // Their own words come first: the reducer's error is a consequence, if it has one at all.
        if let Some(error) = values.error.take().or(out.error.take()) {
            return Err(error);
        }
        reduced.map_err(|error| FilterError::Task(error.failure))?;
        values.finish()?;
        keys += u64::from(J::Reducer::ENABLED);
    }
    let TextLines { out, lines, counters, .. } = out;
    out.finish()?;
    Ok(Reduced { keys, lines, counters: Counters::from(counters) })
}

/// Writes the output as text.
struct TextLines<W> {
    out: Gathered<W>,
    lines: u64,
    counters: TaskCounters,
    /// Why a pair could not be written. The reducer hears of it, and may not say so.
    error: Option<FilterError>,
}

impl<W: Write> TextLines<W> {
    fn write<K: ?Sized + Datum, V: ?Sized + Datum>(&mut self, key: &K, value: &V) -> Result<(), FilterError> {
        append_line(&mut self.out.bytes, key, value)?;
        self.lines += 1;
        self.out.line_ended()
    }
}

impl<K: ?Sized + Datum, V: ?Sized + Datum, W: Write> Emit<K, V> for TextLines<W> {
    #[inline]
    fn emit(&mut self, key: &K, value: &V) -> Result {
        self.write(key, value).map_err(|error| {
            let message = error.to_string();
            self.error.get_or_insert(error);
            message.into()
        })
    }

    fn count(&mut self, counter: &'static str, n: u64) {
        self.counters.add(counter, n);
    }
}
