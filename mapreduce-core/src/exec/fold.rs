//! [`fold`]: makes one segment of the small outputs of map tasks whose splits are neighbours.
//!
//! A task that leaves a few pairs leaves far more around them: where they lie, how many there are, what of the budget they
//! hold. Of very many such tasks all of that no longer fits into the caches of the processor. A merge reads the runs of
//! neighbours as if they were one, in the order of the splits, so it makes no difference to what is reduced when they
//! become one.

use super::{
    Attempt,
    map::MapSegments,
    merge::Merge,
    segment::{Segment, SegmentWriter},
};
use crate::{Key, Memory, Result};

/// More bytes than these are not copied: what is around them is little beside them.
const FOLDED_BYTES_MAX: u64 = 64 << 10;

/// What `outputs` are together, which are sorted by keys of type `K` and come in the order of the splits. `None` if that is
/// not little, does not all lie in memory, has no room there once more, or has lines for side outputs beside it.
pub(crate) fn fold<K: ?Sized + Key>(
    memory: &Memory,
    outputs: &[&MapSegments],
    partitions: u32,
) -> Result<Option<MapSegments>> {
    let (mut runs, mut bytes) = (Vec::with_capacity(outputs.len()), 0);
    for output in outputs {
        for (partition, run) in output.segments.iter().flat_map(Segment::runs) {
            bytes += run.byte_len();
            if run.in_memory().is_none() || bytes > FOLDED_BYTES_MAX {
                return Ok(None);
            }
            runs.push((partition, run));
        }
        if output.sides.is_some() {
            return Ok(None);
        }
    }
    // Those of a partition stay in the order of the splits.
    runs.sort_by_key(|(partition, _)| *partition);
    let Some(mut writer) = SegmentWriter::in_memory(memory, partitions, bytes as usize) else {
        return Ok(None);
    };
    let attempt = Attempt::default();
    for of_partition in runs.chunk_by(|(a, _), (b, _)| a == b) {
        let readers = of_partition.iter().map(|(_, run)| run.reader());
        Merge::by_key::<K>(readers, &attempt)?.drain(of_partition[0].0, &mut writer)?;
    }
    Ok(Some(MapSegments { segments: vec![writer.finish()?], partitions, ..MapSegments::default() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::Run;
    use proptest::{collection::vec, prelude::*};

    /// Partition, key and value.
    type Pairs = Vec<(u32, Vec<u8>, Vec<u8>)>;

    /// What a task leaves that has emitted these in one segment.
    fn output(memory: &Memory, mut pairs: Pairs) -> MapSegments {
        pairs.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        let mut writer = SegmentWriter::new(memory, 5, 100).unwrap();
        pairs.iter().for_each(|(partition, key, value)| writer.push(*partition, key, value).unwrap());
        MapSegments { segments: vec![writer.finish().unwrap()], partitions: 5, ..MapSegments::default() }
    }

    fn folded<K: ?Sized + Key>(memory: &Memory, outputs: &[MapSegments]) -> Option<MapSegments> {
        fold::<K>(memory, &outputs.iter().collect::<Vec<_>>(), 5).unwrap()
    }

    /// Compares what tasks leave that emit these keys with sorting them, and each value is another one.
    fn check<K: ?Sized + Key>(keys: Vec<Vec<(u32, Vec<u8>)>>) {
        let memory = Memory::limited(1 << 30);
        let mut all = Pairs::new();
        let mut outputs = Vec::new();
        for (task, keys) in keys.into_iter().enumerate() {
            let value = |i| format!("task {task} pair {i}").into_bytes();
            let pairs: Pairs = keys.into_iter().enumerate().map(|(i, (p, key))| (p, key, value(i))).collect();
            outputs.push(output(&memory, pairs.clone()));
            all.extend(pairs);
        }
        let folded = folded::<K>(&memory, &outputs).unwrap();
        drop(outputs);
        all.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        for partition in 0..5 {
            let mut pairs = all.iter().filter(|pair| pair.0 == partition);
            for run in folded.runs(partition) {
                let mut reader = run.reader();
                while let Some((key, value)) = reader.next_pair().unwrap() {
                    let pair = pairs.next().unwrap();
                    assert_eq!((key, value), (&pair.1[..], &pair.2[..]));
                }
            }
            assert_eq!(pairs.next(), None);
        }
        drop(folded);
        assert_eq!(memory.held_bytes(), 0);
    }

    proptest! {
        #[test]
        fn a_fold_has_the_pairs_of_all_sorted_those_of_a_key_in_the_order_of_the_tasks(
            tasks in vec(vec((0..5u32, vec(0..3u8, 0..20)), 0..6), 0..12),
        ) {
            check::<[u8]>(tasks);
        }

        #[test]
        fn keys_of_fixed_width_are_folded_as_well(tasks in vec(vec((0..5u32, 0..9u16), 0..6), 0..12)) {
            let encoded = |keys: Vec<(u32, u16)>| keys.into_iter().map(|(p, key)| (p, key.to_be_bytes().to_vec()));
            check::<u16>(tasks.into_iter().map(|keys| encoded(keys).collect()).collect());
        }
    }

    #[test]
    fn what_is_large_in_a_file_beside_pairs_or_without_room_is_left_alone() {
        let memory = Memory::limited(1 << 30);
        let pair = |len| vec![(1, vec![7], vec![0; len])];
        let small = || output(&memory, pair(10));
        let half = || output(&memory, pair(FOLDED_BYTES_MAX as usize / 2));
        assert!(folded::<[u8]>(&memory, &[small(), half()]).is_some());
        assert!(folded::<[u8]>(&memory, &[half(), small(), half()]).is_none());
        let spilled = output(&Memory::limited(0), pair(10));
        assert!(folded::<[u8]>(&memory, &[small(), spilled]).is_none());
        let lines = MapSegments { sides: Some(Run::default()), ..small() };
        assert!(folded::<[u8]>(&memory, &[small(), lines]).is_none());
        let outputs = [small(), small()];
        let _all = memory.hold(1 << 30);
        assert!(folded::<[u8]>(&memory, &outputs).is_none());
    }
}
