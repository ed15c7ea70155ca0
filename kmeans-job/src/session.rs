//! [`Session`]: how the jobs of one fit or prediction are run.

use crate::numeric::scalar::Scalar;
use mapreduce_core::{
    Cancel, Dataset, Engine, Error, Input, InputOf, Iterated, Iterative, Job, Local, Options, Output, Report,
    RowSlice,
};

/// The engine, the options, and the sum of what was done.
pub(crate) struct Session<'e> {
    engine: &'e Local,
    options: Options,
    split_bytes: Option<u64>,
    /// What the jobs so far have done together.
    pub(crate) report: Report,
}

impl<'e> Session<'e> {
    pub(crate) fn new(engine: &'e Local, cancel: &Cancel, split_bytes: Option<u64>) -> Self {
        let options = Options {
            // A few clusters are reduced in no time: more partitions would only cost more tasks.
            partitions: Some(1),
            // Iterations have a bound of their own.
            rounds_max: u32::MAX,
            cancel: cancel.clone(),
            ..Options::default()
        };
        Self { engine, options, split_bytes, report: Report::default() }
    }

    /// Whether the caller has asked for an end: for work between jobs that takes long.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.options.cancel.is_cancelled()
    }

    pub(crate) fn dataset<'v, T: Scalar>(
        &self,
        values: &'v [T],
        d: usize,
    ) -> Result<Dataset<RowSlice<T, &'v [T]>>, Error> {
        let rows = RowSlice::new(values, d)?;
        match self.split_bytes {
            Some(bytes) => Dataset::with_split_bytes(rows, bytes),
            None => Dataset::new(rows),
        }
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
        let iterated = self.engine.iterate_with(job, data, &self.options)?;
        self.report.merge(&iterated.report);
        Ok(iterated)
    }
}
