//! The filter `map`: records in, lines of pairs out.

use super::{
    Beginning, FilterError, FilterOptions, FromStream, Mapped,
    chunks::RecordChunks,
    form::{LineForm, LineWriter},
    from_stream::INPUT,
};
use crate::{
    Counters, Error, FailureKind, InputOf, Job, Memory, Options, SplitInfo, TaskFailure,
    exec::{Attempt, MapTask, Round},
    input::{Blocks, ReadError, SplitCache},
    memory::TaskMemory,
};
use std::io::{Read, Write};

/// Runs the mapper of a job over the records that `input` has, lines or what [`FromStream`] says, and writes what it emits,
/// combined as far as the job has a combiner, to `output`. See the [module](super) for the lines.
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
    let mut chunks = RecordChunks::new(&mut input as &mut dyn Read, options.line_bytes_max);
    let opened = Beginning::open::<InputOf<J>>(&mut chunks, options, J::NAME)?;
    let mut lines = LineWriter::new(output, LineForm::of::<J>(options), options.split);
    let (mut records, mut counters) = (0, Counters::default());
    let attempt = Attempt::default();
    let (segment_bytes, _reserved) = reserve(&options.memory)?;
    let unreadable = |error: ReadError, records: u64| {
        let failure = TaskFailure::new(FailureKind::Read, error.to_string()).with_place(INPUT);
        FilterError::Task(failure.with_record(Some(records).filter(|records| *records > 0)))
    };
    // A piece has a record at least: a mapper is not called for none, as it is not for an input without splits.
    while chunks.is_more().map_err(|error| unreadable(error, records))? {
        let mut left = options.piece_bytes.max(1);
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
            left: &mut left,
            buffer: Default::default(),
        };
        let mapped = round.map(task, move || Ok(Box::new(piece)), || INPUT.to_owned());
        cache.discard();
        let mapped = mapped.map_err(|error| {
            let record = error.failure.record.map(|record| records + record);
            FilterError::Task(error.failure.with_record(record))
        })?;
        // What the mapper did not ask for is not for its next call, which is as for another split.
        while left > 0
            && let Some((passed_over, _)) =
                chunks.take(left).map_err(|error| unreadable(error, records + mapped.records))?
        {
            left = left.saturating_sub(passed_over.len() as u64);
        }
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

/// The smallest segments that a small budget is used for.
const SEGMENT_BYTES_MIN: usize = 64 << 10;

/// Memory for one task, and the size of its segments: the default, or the largest half, quarter and so on that fits.
fn reserve(memory: &Memory) -> Result<(usize, TaskMemory), FilterError> {
    let mut segment_bytes = Options::default().segment_bytes;
    loop {
        match memory.reserve_tasks(segment_bytes, 1) {
            Err(Error::MemoryTooSmall { .. }) if segment_bytes / 2 >= SEGMENT_BYTES_MIN => segment_bytes /= 2,
            Err(Error::MemoryTooSmall { budget_bytes, needed_bytes }) => {
                return Err(FilterError::MemoryTooSmall { budget_bytes, needed_bytes });
            }
            reserved => return Ok((segment_bytes, reserved?)),
        }
    }
}

/// A part of the input: the split of one attempt.
struct Piece<'a, R: FromStream, S> {
    chunks: &'a mut RecordChunks<S>,
    opened: &'a R::Opened,
    /// Bytes until the end of the piece.
    left: &'a mut u64,
    buffer: R::Buffer,
}

impl<R: FromStream, S: Read> Blocks<R> for Piece<'_, R, S> {
    fn next_block(&mut self) -> Result<Option<R::Block<'_>>, ReadError> {
        if *self.left == 0 {
            return Ok(None);
        }
        let Some((records, offset)) = self.chunks.take(*self.left)? else { return Ok(None) };
        *self.left = self.left.saturating_sub(records.len() as u64);
        let block = R::read(self.opened, records, &mut self.buffer);
        block.map(Some).map_err(|error| error.within(INPUT, offset))
    }
}
