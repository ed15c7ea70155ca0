//! [`Outputs`]: what the map tasks of a round have left, until it is reduced.

use crate::{
    Key, Memory,
    exec::{MapSegments, Run, fold},
};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The tasks of so many neighbouring splits are a group: as many as leave little more around their pairs than fits into
/// the innermost caches of a processor.
const GROUP: usize = 256;

/// The output of each committed map task, by groups. A group that has all of its outputs can be [folded](Self::fold).
pub(super) struct Outputs {
    groups: Vec<Mutex<Group>>,
    splits: usize,
    partitions: u32,
}

/// What the tasks of a group have left.
#[derive(Default)]
struct Group {
    /// In the order of the splits: a place for each, or, once they are folded, for all of them.
    outputs: Vec<Option<MapSegments>>,
    committed: usize,
}

/// A group that has all of its outputs, while others have not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Complete(usize);

impl Outputs {
    /// For so many splits and partitions.
    pub(super) fn new(splits: u32, partitions: u32) -> Self {
        let splits = splits as usize;
        let groups = (0..splits.div_ceil(GROUP)).map(|_| Mutex::default()).collect();
        Self { groups, splits, partitions }
    }

    /// Takes the output of a task, of which one attempt commits. Gives its group if that lacks no other and is to be folded:
    /// not the last group, as reduce tasks wait for nothing but that.
    pub(super) fn put(&self, split: u32, output: MapSegments) -> Option<Complete> {
        let (index, place) = (split as usize / GROUP, split as usize % GROUP);
        let tasks = (self.splits - index * GROUP).min(GROUP);
        let mut group = lock(&self.groups[index]);
        if group.outputs.is_empty() {
            group.outputs.resize_with(tasks, || None);
        }
        group.outputs[place] = Some(output);
        group.committed += 1;
        let last = index + 1 == self.groups.len();
        (group.committed == tasks && !last).then_some(Complete(index))
    }

    /// Makes one output of those of a group, which are sorted by keys of type `K`, if that is [worth it](fold).
    pub(super) fn fold<K: ?Sized + Key>(&self, Complete(index): Complete, memory: &Memory) {
        let mut group = lock(&self.groups[index]);
        let outputs: Vec<&MapSegments> = group.outputs.iter().flatten().collect();
        // Whatever cannot be folded stays as it is.
        if let Ok(Some(folded)) = fold::<K>(memory, &outputs, self.partitions) {
            group.outputs = vec![Some(folded)];
        }
    }

    /// The runs of a partition, in the order of the splits. Waits for groups that are being folded.
    pub(super) fn runs(&self, partition: u32) -> Vec<Run> {
        let mut runs = Vec::new();
        for group in &self.groups {
            let group = lock(group);
            runs.extend(group.outputs.iter().flatten().flat_map(|output| output.runs(partition)));
        }
        runs
    }
}

fn lock(group: &Mutex<Group>) -> MutexGuard<'_, Group> {
    group.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::SegmentWriter;

    /// What a task leaves that has emitted its split to one of two partitions.
    fn output(memory: &Memory, split: u32) -> MapSegments {
        let mut writer = SegmentWriter::new(memory, 2, 10).unwrap();
        writer.push(split % 2, b"key", &split.to_le_bytes()).unwrap();
        MapSegments { segments: vec![writer.finish().unwrap()], partitions: 2, ..MapSegments::default() }
    }

    /// The splits whose output is in a partition, in its order, and how many runs that is.
    fn splits(outputs: &Outputs, partition: u32) -> (Vec<u32>, usize) {
        let (runs, mut splits) = (outputs.runs(partition), Vec::new());
        for run in &runs {
            let mut reader = run.reader();
            while let Some((_, value)) = reader.next_pair().unwrap() {
                splits.push(u32::from_le_bytes(value.try_into().unwrap()));
            }
        }
        (splits, runs.len())
    }

    #[test]
    fn outputs_keep_the_order_of_the_splits_whether_they_are_folded_or_not() {
        let memory = Memory::limited(1 << 30);
        let count = 2 * GROUP as u32 + 9;
        let outputs = Outputs::new(count, 2);
        // The last ones first.
        let complete: Vec<_> =
            (0..count).rev().filter_map(|split| outputs.put(split, output(&memory, split))).collect();
        assert_eq!(complete, [Complete(1), Complete(0)]);
        let expected = |partition| (0..count).filter(|split| split % 2 == partition).collect::<Vec<_>>();
        let single = [0, 1].map(|partition| splits(&outputs, partition));
        assert_eq!(single, [0, 1].map(|partition| (expected(partition), expected(partition).len())));
        let before = memory.held_bytes();
        outputs.fold::<[u8]>(complete[1], &memory);
        let folded = [0, 1].map(|partition| splits(&outputs, partition));
        let runs = |splits: &[u32]| 1 + splits.len() - GROUP / 2;
        assert_eq!(folded, [0, 1].map(expected).map(|splits| (splits.clone(), runs(&splits))));
        assert!(memory.held_bytes() < before);
    }

    #[test]
    fn a_group_without_room_for_all_of_it_stays_as_it_is() {
        let memory = Memory::limited(1 << 30);
        let outputs = Outputs::new(GROUP as u32 + 1, 2);
        let complete = (0..=GROUP as u32).find_map(|split| outputs.put(split, output(&memory, split)));
        let before = [0, 1].map(|partition| splits(&outputs, partition));
        let _all = memory.hold(1 << 30);
        outputs.fold::<[u8]>(complete.unwrap(), &memory);
        assert_eq!([0, 1].map(|partition| splits(&outputs, partition)), before);
    }

    #[test]
    fn a_round_without_splits_leaves_nothing() {
        assert!(Outputs::new(0, 1).runs(0).is_empty());
    }
}
