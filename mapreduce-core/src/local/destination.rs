//! Where reduce tasks write: back to the program, or part files.

use crate::{
    Job, Memory, OutputKeyOf, OutputValueOf, Result,
    exec::{OutputRun, Run, WholeWriter},
    output::{PartWriter, StagedPart, Staging},
    schedule::{AttemptId, TaskReport},
};

/// Where the reduce attempts of a round write, each for itself. What an attempt has written counts only if it commits.
pub(super) trait Destination<J: Job>: Sync {
    /// What an attempt writes to.
    type Writer: WholeWriter<OutputKeyOf<J>, OutputValueOf<J>>;
    /// What an attempt leaves: the output of one partition.
    type Part: Send + 'static;

    fn open(&self, attempt: AttemptId) -> Result<Self::Writer>;
    fn close(&self, writer: Self::Writer) -> Result<(Self::Part, TaskReport)>;
}

/// Back to the program, encoded.
pub(super) struct ToProgram(pub(super) Memory);

impl<J: Job> Destination<J> for ToProgram {
    type Writer = OutputRun;
    type Part = Run;

    fn open(&self, _: AttemptId) -> Result<OutputRun> {
        OutputRun::new::<J>(&self.0)
    }

    fn close(&self, writer: OutputRun) -> Result<(Run, TaskReport)> {
        let run = writer.finish()?;
        let report = TaskReport { records: run.pairs(), bytes: run.byte_len(), checksum: run.checksum() };
        Ok((run, report))
    }
}

impl<J: Job> Destination<J> for Staging {
    type Writer = PartWriter;
    type Part = StagedPart;

    fn open(&self, attempt: AttemptId) -> Result<PartWriter> {
        Staging::open::<J>(self, &attempt.to_string())
    }

    fn close(&self, writer: PartWriter) -> Result<(Self::Part, TaskReport)> {
        let part = writer.finish()?;
        let report = part.report();
        Ok((part, report))
    }
}
