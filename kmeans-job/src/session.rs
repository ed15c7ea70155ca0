//! [`Session`]: how the jobs of one fit or prediction are run.

use crate::{
    data::{Matrix, ShareError, StoredRows},
    jobs::rows::{CentredSlice, Preparation},
    numeric::scalar::Scalar,
};
use mapreduce_core::{
    Cancel, Dataset, Engine, Error, Input, InputOf, Iterated, Iterative, Job, Options, Output, Report,
};

/// The engine, the options, and the sum of what was done.
pub(crate) struct Session<'e, E> {
    engine: &'e E,
    options: Options,
    split_bytes: Option<u64>,
    /// The file that other nodes read themselves.
    shared: Option<StoredRows>,
    /// What the jobs so far have done together.
    pub(crate) report: Report,
}

/// Rows in memory as the jobs read them.
pub(crate) type Data<'a, T> = Dataset<CentredSlice<'a, T>>;

impl<'e, E: Engine> Session<'e, E> {
    /// Jobs with splits of that size, or of one that suits the data.
    pub(crate) fn new(engine: &'e E, cancel: &Cancel, split_bytes: Option<u64>) -> Self {
        let options = Options {
            // A few clusters are reduced in no time: more partitions would only cost more tasks.
            partitions: Some(1),
            // Iterations have a bound of their own.
            rounds_max: u32::MAX,
            cancel: cancel.clone(),
            ..Options::default()
        };
        Self { engine, options, split_bytes, shared: None, report: Report::default() }
    }

    /// Lets other nodes read the rows of `matrix` from their file, in all datasets of the session.
    pub(crate) fn share<T>(&mut self, matrix: &Matrix<T>) -> Result<(), ShareError> {
        let file = matrix.stored().ok_or(ShareError::NotStored)?;
        file.check()?;
        self.shared = Some(file.clone());
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
            shared: None,
            report: Report::default(),
        }
    }

    /// The rows, `d` values each, to which `preparation` was done.
    pub(crate) fn dataset<'v, T: Scalar>(
        &self,
        values: &'v [T],
        d: usize,
        preparation: &Preparation<T>,
    ) -> Result<Data<'v, T>, Error> {
        let mut rows = CentredSlice::new(values, d)?;
        if let Some(file) = &self.shared {
            rows = rows.stored_in(file, preparation.clone())?;
        }
        let data = match self.split_bytes {
            Some(bytes) => Dataset::with_split_bytes(rows, bytes)?,
            None => Dataset::new(rows)?,
        };
        match self.shared {
            Some(_) => data.on_shared_storage(),
            None => Ok(data),
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
