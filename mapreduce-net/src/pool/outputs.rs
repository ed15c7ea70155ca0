//! [`Outputs`]: the map output of a round that came in messages.

use crate::wire::message::InlineRun;
use mapreduce_core::{
    Counters,
    exec::{MapOutput, Run},
};
use std::sync::Arc;

/// The map output that is here, by split.
pub(super) struct Outputs {
    by_split: Vec<Option<Arc<MapOutput>>>,
    missing: usize,
    /// All of it, once asked for.
    all: Option<Arc<[Arc<MapOutput>]>>,
    partitions: usize,
}

/// Runs in a message are not what they should be.
#[derive(Debug)]
pub(super) struct Garbage;

impl Outputs {
    pub(super) fn new(splits: usize, partitions: u32) -> Self {
        Self { by_split: vec![None; splits], missing: splits, all: None, partitions: partitions as usize }
    }

    /// Reads the runs of a message.
    pub(super) fn decode(&self, runs: Vec<InlineRun>) -> Result<MapOutput, Garbage> {
        let mut output = MapOutput {
            runs: vec![Run::default(); self.partitions],
            counters: Counters::default(),
            records: 0,
        };
        for InlineRun { partition, pairs, bytes } in runs {
            let run = output.runs.get_mut(partition as usize).ok_or(Garbage)?;
            *run = Run::from_bytes(bytes.into(), pairs).ok_or(Garbage)?;
        }
        Ok(output)
    }

    /// The map attempt of a split counts. Its output is here, or stays where it ran.
    pub(super) fn commit(&mut self, split: u32, output: Option<MapOutput>) {
        self.all = None;
        let is_here = output.is_some();
        let was_here = std::mem::replace(&mut self.by_split[split as usize], output.map(Arc::new)).is_some();
        self.missing = self.missing + usize::from(was_here) - usize::from(is_here);
    }

    /// The map output of all splits in their order, if all of it is here.
    pub(super) fn all(&mut self) -> Option<Arc<[Arc<MapOutput>]>> {
        if self.missing > 0 {
            return None;
        }
        Some(self.all.get_or_insert_with(|| self.by_split.iter().flatten().cloned().collect()).clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(partition: u32, pairs: u64, bytes: &[u8]) -> InlineRun {
        InlineRun { partition, pairs, bytes: bytes.to_vec().into() }
    }

    /// One pair of a key of one byte and a value of none.
    const PAIR: &[u8] = &[1, 0, b'k'];

    #[test]
    fn output_is_complete_when_that_of_every_split_is_here() {
        let mut outputs = Outputs::new(2, 3);
        let first = outputs.decode(vec![run(2, 1, PAIR)]).unwrap();
        assert_eq!(first.runs.iter().map(Run::pairs).collect::<Vec<_>>(), [0, 0, 1]);
        outputs.commit(0, Some(first.clone()));
        assert!(outputs.all().is_none());
        outputs.commit(1, Some(first.clone()));
        assert_eq!(outputs.all().unwrap().len(), 2);
        // It is made again, and this time stays where it was made.
        outputs.commit(1, None);
        assert!(outputs.all().is_none());
        outputs.commit(1, Some(first));
        assert!(outputs.all().is_some());
        assert!(Outputs::new(0, 1).all().unwrap().is_empty());
    }

    #[test]
    fn runs_that_are_none_are_refused() {
        let outputs = Outputs::new(1, 2);
        assert!(outputs.decode(vec![run(2, 1, PAIR)]).is_err());
        assert!(outputs.decode(vec![run(0, 2, PAIR)]).is_err());
        assert!(outputs.decode(vec![run(0, 1, &PAIR[..2])]).is_err());
    }
}
