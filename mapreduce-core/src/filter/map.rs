//! The filter `map`: records in, lines of pairs out.

use super::{
    Beginning, FilterError, FilterOptions, FromStream, Mapped,
    chunks::RecordChunks,
    form::{LineForm, LineWriter},
    from_stream::INPUT,
};
use crate::{
    Counters, InputOf, Job, Options, SplitInfo,
    exec::{Attempt, MapTask, Round},
    input::{Blocks, ReadError, SplitCache},
};
use std::io::{Read, Write};

/// Runs the mapper of a job over the records that `input` has: lines, or what [`FromStream`] says, and writes what it emits, combined as far as the job has a
/// combiner, to `output`. See the [module](super) for the lines.
///
/// The input is worked on in pieces of [`FilterOptions::piece_bytes`]: [`Mapper::map_split`](crate::Mapper::map_split) is
/// called once for each, and what it has emitted is written before the next is read. What of that does not fit into
/// [`FilterOptions::memory`] goes to temporary files meanwhile.
///
/// # Errors
/// [`FilterError::Task`] with the number of the record where the job's own code fails, counted from 1 in all of the input;
/// when a part of the job cannot be made, the input cannot be read or the output cannot be written.
pub fn map<J>(
    job: &J,
    shared: &J::Shared,
    mut input: impl Read,
    output: impl Write,
    options: &FilterOptions,
) -> Result<Mapped, FilterError>
where
    J: Job,
    InputOf<J>: FromStream,
{
    super::refuse_side_outputs::<J>()?;
    let inputs = <InputOf<J>>::INPUTS;
    if options.input >= inputs {
        return Err(FilterError::NoInput { input: options.input, inputs });
    }
    let round = Round::new(job, shared, 1)?;
    let mut chunks = RecordChunks::new(&mut input as &mut dyn Read);
    let opened = Beginning::open::<InputOf<J>>(&mut chunks, options, J::NAME)?;
    let mut lines = LineWriter::new(output, LineForm::of::<J>(options), options.split);
    let (mut records, mut counters) = (0, Counters::default());
    let attempt = Attempt::default();
    let segment_bytes = Options::default().segment_bytes;
    let _reserved = options.memory.reserve_tasks(segment_bytes, 1)?;
    let mut ended = false;
    while !ended {
        let split = SplitInfo { pieces: Vec::new(), bytes: options.piece_bytes, first_record: None };
        let mut cache = SplitCache::default();
        let task = MapTask {
            index: 0,
            splits: 1,
            split: &split,
            cache: &mut cache,
            attempt: &attempt,
            segment_bytes,
            memory: &options.memory,
        };
        let piece = Piece::<InputOf<J>, _> {
            chunks: &mut chunks,
            opened: &opened,
            left: options.piece_bytes.max(1),
            ended: &mut ended,
            buffer: Default::default(),
        };
        let mapped = round.map(task, move || Ok(Box::new(piece)), || INPUT.to_owned());
        cache.discard();
        let mapped = mapped.map_err(|error| {
            let record = error.failure.record.map(|record| records + record);
            FilterError::Task(error.failure.with_record(record))
        })?;
        for run in &mapped.runs {
            let mut pairs = run.reader();
            while let Some((key, value)) = pairs.next_pair()? {
                lines.pair(key, value)?;
            }
        }
        records += mapped.records;
        counters.merge(&mapped.counters);
    }
    let pairs = lines.finish(options.end)?;
    Ok(Mapped { records, pairs, counters })
}

/// A part of the input: the split of one attempt.
struct Piece<'a, R: FromStream, S> {
    chunks: &'a mut RecordChunks<S>,
    opened: &'a R::Opened,
    /// Bytes until the end of the piece.
    left: u64,
    /// Whether the end of the input has come.
    ended: &'a mut bool,
    buffer: R::Buffer,
}

impl<R: FromStream, S: Read> Blocks<R> for Piece<'_, R, S> {
    fn next_block(&mut self) -> Result<Option<R::Block<'_>>, ReadError> {
        if self.left == 0 || *self.ended {
            return Ok(None);
        }
        let end = self.chunks.end();
        let taken = self.chunks.take(self.left);
        let taken = taken.map_err(|source| ReadError::Io { path: INPUT.to_owned(), offset: end, source })?;
        let Some((records, offset)) = taken else {
            *self.ended = true;
            return Ok(None);
        };
        self.left = self.left.saturating_sub(records.len() as u64);
        let block = R::read(self.opened, records, &mut self.buffer);
        block.map(Some).map_err(|error| error.within(INPUT, offset))
    }
}
