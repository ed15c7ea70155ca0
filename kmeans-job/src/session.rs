//! [`Session`]: how the jobs of one fit or prediction are run.

use crate::{
    data::{FileRows, ShareError, StoredRows},
    jobs::{
        input::CentredFiles,
        rows::{CentredRows, CentredSlice, Preparation},
    },
    numeric::scalar::Scalar,
    source::Source,
};
use mapreduce_core::{
    Cancel, Dataset, Engine, Error, Input, InputOf, Iterated, Iterative, Job, Options, Output, Report,
    SplitInfo,
};
use std::ops::RangeInclusive;

/// The engine, the options, and the sum of what was done.
pub(crate) struct Session<'e, E> {
    engine: &'e E,
    options: Options,
    split_bytes: Option<u64>,
    /// Of the sums of all clusters, which each split of an iteration gives.
    sums_bytes: u64,
    /// Whether other nodes read files themselves; and that of rows which are in memory here.
    is_shared: bool,
    shared: Option<StoredRows>,
    /// What the jobs so far have done together.
    pub(crate) report: Report,
}

/// Rows as the jobs read them.
pub(crate) type Data<'a, T> = Dataset<Centring<'a, T>>;

/// Rows in memory, which are centred there, or rows in files, which are centred as they are read.
type Centring<'a, T> = Box<dyn Input<Records = CentredRows<T>> + 'a>;

/// Segments of map output: a few numbers a cluster, and a label a row. A task has twice as much memory reserved.
const SEGMENT_BYTES: usize = 4 << 20;
/// The rows of a split of files at the most: what tasks have in memory of them besides their values is up to 16 bytes each.
const SPLIT_ROWS_MAX: u64 = 1 << 18;
/// Fewer of rows that are predicted in pieces, so that a piece is work for several threads.
const PIECE_SPLIT_ROWS_MAX: u64 = 1 << 16;
/// Else there are this many splits, of at least and at most so many bytes.
const SPLITS: u64 = 64;
const SPLIT_BYTES: RangeInclusive<u64> = 256 << 10..=64 << 20;

/// A split in memory has this many times the bytes of the sums that it gives, and no fewer than these: a task on less costs
/// more than its rows, and most on a pool. But there are at least so many splits.
const SPLIT_PER_SUMS: u64 = 4;
const SPLIT_IN_MEMORY_MIN: u64 = 1 << 20;
const SPLITS_MIN: u64 = 16;
/// Sums that are reduced as one. Few are reduced in no time: more partitions would only cost more tasks.
const PARTITION_BYTES: u64 = 128 << 10;
const PARTITIONS_MAX: u64 = 8;

impl<'e, E: Engine> Session<'e, E> {
    /// Jobs with splits of that size, or of one that suits the data.
    pub(crate) fn new(engine: &'e E, cancel: &Cancel, split_bytes: Option<u64>) -> Self {
        let options = Options {
            // Of a few values, but for iterations.
            partitions: Some(1),
            segment_bytes: SEGMENT_BYTES,
            // Iterations have a bound of their own.
            rounds_max: u32::MAX,
            cancel: cancel.clone(),
            ..Options::default()
        };
        let (sums_bytes, is_shared, shared, report) = (0, false, None, Report::default());
        Self { engine, options, split_bytes, sums_bytes, is_shared, shared, report }
    }

    /// Plans for iterations with `k` clusters of `d` columns: ahead of the datasets.
    pub(crate) fn plan_for_sums<T: Scalar>(&mut self, k: usize, d: usize) {
        self.sums_bytes = k.saturating_mul(d).saturating_mul(size_of::<T::Sum>()) as u64;
    }

    /// Lets other nodes read the rows of `source` from their files, in all datasets of the session.
    pub(crate) fn share<T: Scalar>(&mut self, source: &Source<T>) -> Result<(), ShareError> {
        match source {
            Source::Memory(matrix) => {
                let file = matrix.stored().ok_or(ShareError::NotStored)?;
                file.check()?;
                self.shared = Some(file.clone());
            }
            Source::Files(rows) if rows.input().files().is_none() => return Err(ShareError::NotStored),
            Source::Files(_) => {}
        }
        self.is_shared = true;
        Ok(())
    }

    /// Whether other nodes read the rows from their file.
    pub(crate) fn is_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// Whether the caller has asked for an end: for work between jobs that takes long.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.options.cancel.is_cancelled()
    }

    /// Jobs over other rows, which no node finds in a file. What they do is to be added to the [report](Self::report).
    pub(crate) fn apart(&self) -> Self {
        Self {
            engine: self.engine,
            options: self.options.clone(),
            split_bytes: self.split_bytes,
            sums_bytes: 0,
            is_shared: false,
            shared: None,
            report: Report::default(),
        }
    }

    /// The rows: to those in memory `preparation` was done, to those in files it is to be.
    pub(crate) fn dataset<'v, T: Scalar>(
        &self,
        source: &'v Source<T>,
        preparation: &Preparation<T>,
    ) -> Result<Data<'v, T>, Error> {
        self.dataset_of(source, None, preparation)
    }

    /// The same; of rows in files those of some splits alone, if they are given.
    pub(crate) fn dataset_of<'v, T: Scalar>(
        &self,
        source: &'v Source<T>,
        splits: Option<&'v [SplitInfo]>,
        preparation: &Preparation<T>,
    ) -> Result<Data<'v, T>, Error> {
        let (input, split_bytes): (Centring<'_, T>, _) = match source {
            Source::Memory(matrix) => {
                let mut rows = CentredSlice::new(matrix.values(), matrix.d())?;
                if let Some(file) = &self.shared {
                    rows = rows.stored_in(file, preparation.clone())?;
                }
                let bytes = size_of_val(matrix.values()) as u64;
                (Box::new(rows), self.split_bytes.or(self.split_bytes_in_memory(bytes)))
            }
            Source::Files(rows) => {
                let bytes = self.split_bytes.unwrap_or_else(|| split_bytes(rows));
                (Box::new(CentredFiles::new(rows.input(), splits, preparation.clone())), Some(bytes))
            }
        };
        let data = match split_bytes {
            Some(bytes) => Dataset::with_split_bytes(input, bytes)?,
            None => Dataset::new(input)?,
        };
        if self.is_shared { data.on_shared_storage() } else { Ok(data) }
    }

    /// The bytes of a split of files that are worked on some splits at a time.
    pub(crate) fn piece_split_bytes<T: Scalar>(&self, rows: &FileRows<T>) -> u64 {
        let most = row_bytes(rows).saturating_mul(PIECE_SPLIT_ROWS_MAX);
        self.split_bytes.unwrap_or_else(|| split_bytes(rows)).min(most)
    }

    /// The bytes of a split of rows in memory, if they are to be larger than usual: with large sums as many bytes would go
    /// through the shuffle as through the kernel.
    fn split_bytes_in_memory(&self, bytes: u64) -> Option<u64> {
        let usual = (bytes / SPLITS).clamp(*SPLIT_BYTES.start(), *SPLIT_BYTES.end());
        let of_sums = self.sums_bytes.saturating_mul(SPLIT_PER_SUMS);
        let wanted = of_sums.max(SPLIT_IN_MEMORY_MIN).min(bytes / SPLITS_MIN);
        (wanted > usual).then_some(wanted)
    }

    /// Runs work between jobs on the threads of the engine: see [`Engine::install`].
    pub(crate) fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.engine.install(work)
    }

    pub(crate) fn run<J, I>(
        &mut self,
        job: &J,
        shared: &J::Shared,
        data: &Dataset<I>,
    ) -> Result<Output<J>, Error>
    where
        J: Job,
        I: Input<Records = InputOf<J>>,
    {
        let output = self.engine.run_with(job, shared, data, &self.options)?;
        self.report.merge(&output.report);
        Ok(output)
    }

    pub(crate) fn iterate<T, I>(&mut self, job: &T, data: &Dataset<I>) -> Result<Iterated<T::Output>, Error>
    where
        T: Iterative,
        I: Input<Records = InputOf<T::Round>>,
    {
        let partitions = (self.sums_bytes / PARTITION_BYTES).clamp(1, PARTITIONS_MAX);
        let options = Options { partitions: Some(partitions as u32), ..self.options.clone() };
        let iterated = self.engine.iterate_with(job, data, &options)?;
        self.report.merge(&iterated.report);
        Ok(iterated)
    }
}

/// The bytes of a split of files.
fn split_bytes<T: Scalar>(rows: &FileRows<T>) -> u64 {
    let row_bytes = row_bytes(rows);
    let bytes = row_bytes.saturating_mul(rows.rows() as u64) / SPLITS;
    bytes.clamp(*SPLIT_BYTES.start(), *SPLIT_BYTES.end()).min(row_bytes.saturating_mul(SPLIT_ROWS_MAX))
}

fn row_bytes<T: Scalar>(rows: &FileRows<T>) -> u64 {
    (rows.d() * size_of::<T>()) as u64
}
