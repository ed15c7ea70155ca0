//! The oracle: a job as a sequential fold over a map. It has no splits, coordinator, combiner, runs or merge, and
//! calls the job's own mapper, partitioner and reducer only.

use super::engines;
use mapreduce_core::{
    CodecError, Dataset, Datum, Emit, Engine, Input, InputOf, Job, Key, KeyOf, Mapper, Options, Output,
    OutputKeyOf, OutputValueOf, Partitioner, Reducer, Result, ValueOf, Values, job::Group,
};
use std::{borrow::Borrow, collections::BTreeMap};

/// Encoded pairs of an output.
pub(crate) type Encoded = Vec<(Vec<u8>, Vec<u8>)>;

/// Values by partition, then by encoded key.
struct Emitted<K: ?Sized> {
    groups: BTreeMap<(u32, Vec<u8>), Vec<Vec<u8>>>,
    partitioner: Box<dyn Partitioner<K>>,
    partitions: u32,
}

impl<K: ?Sized + Key, V: ?Sized + Datum> Emit<K, V> for Emitted<K> {
    fn emit(&mut self, key: &K, value: &V) -> Result {
        let mut encoded = Vec::new();
        Key::encode(key, &mut encoded);
        let partition = self.partitioner.partition(key, K::group(&encoded)?, self.partitions);
        self.groups.entry((partition, encoded)).or_default().push(encode(|out| value.encode(out))?);
        Ok(())
    }

    fn count(&mut self, _: &'static str, _: u64) {}
}

struct Reduced(Encoded);

impl<K: ?Sized + Datum, V: ?Sized + Datum> Emit<K, V> for Reduced {
    fn emit(&mut self, key: &K, value: &V) -> Result {
        self.0.push((encode(|out| key.encode(out))?, encode(|out| value.encode(out))?));
        Ok(())
    }

    fn count(&mut self, _: &'static str, _: u64) {}
}

struct Listed<'a>(std::slice::Iter<'a, Vec<u8>>);

impl Group for Listed<'_> {
    fn next_value(&mut self) -> Result<Option<&[u8]>> {
        Ok(self.0.next().map(Vec::as_slice))
    }
}

fn encode(write: impl FnOnce(&mut Vec<u8>) -> Result<(), CodecError>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    write(&mut bytes)?;
    Ok(bytes)
}

/// What `job` gives, partition after partition.
pub(crate) fn expect<J, I>(job: &J, shared: &J::Shared, input: &I, partitions: u32) -> Result<Encoded>
where
    J: Job,
    I: Input<Records = InputOf<J>>,
{
    let (mapper, reducer, partitioner) =
        (job.mapper(shared)?, job.reducer(shared)?, job.partitioner(shared)?);
    let mut emitted = Emitted { groups: BTreeMap::new(), partitioner, partitions };
    for split in input.splits(Some(u64::MAX))? {
        let mut blocks = input.open(&split)?;
        while let Some(block) = blocks.next_block()? {
            block.into_iter().try_for_each(|record| mapper.map(record, &mut emitted))?;
        }
    }
    let mut reduced = Reduced(Vec::new());
    let mut groups = emitted.groups.into_iter().peekable();
    while let Some(((partition, first), mut values)) = groups.next() {
        let group = KeyOf::<J>::group(&first)?;
        while let Some((_, more)) = groups
            .next_if(|((other, key), _)| *other == partition && KeyOf::<J>::group(key).unwrap() == group)
        {
            values.extend(more);
        }
        let key = <KeyOf<J> as Key>::decode(&first)?;
        let mut group = Listed(values.iter());
        reducer.reduce(key.borrow(), &mut Values::<ValueOf<J>>::new(&mut group), &mut reduced)?;
    }
    Ok(reduced.0)
}

/// The pairs of an output, encoded.
pub(crate) fn encoded<J: Job>(output: &Output<J>) -> Encoded {
    let pairs = output.pairs.iter().map(|(key, value)| {
        let key = encode(|out| <OutputKeyOf<J> as Datum>::encode(key.borrow(), out)).unwrap();
        let value = encode(|out| <OutputValueOf<J> as Datum>::encode(value.borrow(), out)).unwrap();
        (key, value)
    });
    pairs.collect()
}

/// Runs a job on 1, 2 and 7 threads, with 1, 2 and 7 partitions, for every split size, and compares each output with
/// the oracle's.
pub(crate) fn check<J, I>(job: &J, shared: &J::Shared, input: &I, split_bytes: &[u64])
where
    J: Job,
    I: Input<Records = InputOf<J>> + Clone,
{
    for partitions in [1, 2, 7] {
        let expected = expect(job, shared, input, partitions).unwrap();
        for bytes in split_bytes {
            let data = Dataset::with_split_bytes(input.clone(), *bytes).unwrap();
            for engine in engines() {
                let options = Options { partitions: Some(partitions), ..Options::default() };
                let output = encoded(&engine.run_with(job, shared, &data, &options).unwrap());
                // All pairs of both would be too much to read.
                let i = output.iter().zip(&expected).take_while(|(a, b)| a == b).count();
                assert!(
                    output == expected,
                    "{} in {} splits of {bytes} bytes, {partitions} partitions, {} threads: pair {i} is {:?} instead of {:?}",
                    J::NAME,
                    data.splits().len(),
                    engine.threads(),
                    output.get(i),
                    expected.get(i),
                );
            }
        }
    }
}
