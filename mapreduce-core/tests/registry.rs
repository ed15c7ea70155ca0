//! Jobs known by name: found only if they are the same, and run on bytes with the same result as typed ones.

#![allow(clippy::unwrap_used, reason = "what the tests call belongs to the tests")]

mod common;

use common::{
    Folder, engine,
    jobs::{Columns, Several, SortLines, WordCount},
    oracle::{Encoded, encoded},
    probe::Probe,
};
use mapreduce_core::{
    Dataset, Error, FailureKind, Input, InputOf, ItemSlice, Job, JobId, Local, Memory, Options,
    RangePartitioner, ReadError, Records, Registry, RegistryError, RowSlice, SplitInfo, TextFiles, codec,
    exec::{Attempt, AttemptError, Chunks, ErasedRound, MapInput, MapOutput, Run},
    input::SplitCache,
    prelude::*,
};

fn registry() -> Registry {
    let registry = Registry::new().with::<WordCount>().and_then(Registry::with::<SortLines>);
    let registry = registry.and_then(Registry::with::<Columns>).and_then(Registry::with::<Several>);
    registry.and_then(Registry::with::<Probe>).unwrap()
}

fn bytes<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec::encode(value, &mut bytes).unwrap();
    bytes
}

fn round<J: Job>(job: &J, shared: &J::Shared, partitions: u32) -> Box<dyn ErasedRound> {
    let registry = registry();
    let erased = registry.get(&JobId::of::<J>()).unwrap();
    erased.round(&bytes(job), &bytes(shared), partitions).unwrap()
}

/// Blocks that were sent here.
struct Sent(std::vec::IntoIter<Vec<u8>>, Vec<u8>);

impl Sent {
    fn new(blocks: Vec<Vec<u8>>) -> Self {
        Self(blocks.into_iter(), Vec::new())
    }
}

impl Chunks for Sent {
    fn next_chunk(&mut self) -> Result<Option<&[u8]>, ReadError> {
        match self.0.next() {
            Some(block) => {
                self.1 = block;
                Ok(Some(&self.1))
            }
            None => Ok(None),
        }
    }
}

fn split() -> SplitInfo {
    SplitInfo { pieces: Vec::new(), bytes: 0, first_record: None }
}

/// Runs a map attempt over chunks, with an empty cache.
fn map(
    round: &dyn ErasedRound,
    split: &SplitInfo,
    shape: &[u8],
    chunks: &mut dyn Chunks,
) -> Result<MapOutput, AttemptError> {
    let (cache, attempt) = (&mut SplitCache::default(), &Attempt::default());
    let memory = &Memory::limited(u64::MAX);
    let segment_bytes = Options::default().segment_bytes;
    round.map(MapInput { index: 0, splits: 1, split, shape, chunks, cache, attempt, segment_bytes, memory })
}

/// Runs a job over the splits of `data`, whose blocks `send` encodes, the way a node does.
fn run_erased<J, I>(
    job: &J,
    shared: &J::Shared,
    data: &Dataset<I>,
    send: impl Fn(<InputOf<J> as Records>::Block<'_>) -> Vec<u8>,
) -> Encoded
where
    J: Job,
    I: Input<Records = InputOf<J>>,
{
    let partitions = 3;
    let round = round(job, shared, partitions);
    let shape = bytes(&data.input().shape());
    let mut runs: Vec<Vec<Run>> = vec![Vec::new(); partitions as usize];
    for split in data.splits() {
        let mut blocks = data.input().open(split).unwrap();
        let mut chunks = Vec::new();
        while let Some(block) = blocks.next_block().unwrap() {
            chunks.push(send(block));
        }
        let output = map(&*round, split, &shape, &mut Sent::new(chunks.clone())).unwrap();
        let again = map(&*round, split, &shape, &mut Sent::new(chunks)).unwrap();
        assert_eq!((&output.runs, output.checksum()), (&again.runs, again.checksum()));
        assert_eq!(output.bytes(), output.runs.iter().map(Run::byte_len).sum::<u64>());
        output.runs.into_iter().zip(&mut runs).for_each(|(run, runs)| runs.push(run));
    }
    let mut pairs = Vec::new();
    for (partition, runs) in runs.iter().enumerate() {
        let runs: Vec<&Run> = runs.iter().collect();
        let memory = Memory::limited(u64::MAX);
        let reduced = round.reduce(partition as u32, &runs, &Attempt::default(), &memory).unwrap().run;
        let before = pairs.len();
        let mut reader = reduced.reader();
        while let Some((key, value)) = reader.next_pair().unwrap() {
            pairs.push((key.to_vec(), value.to_vec()));
        }
        assert_eq!((pairs.len() - before) as u64, reduced.pairs());
    }
    pairs
}

fn run_typed<J, I>(engine: &Local, job: &J, shared: &J::Shared, data: &Dataset<I>) -> Encoded
where
    J: Job,
    I: Input<Records = InputOf<J>>,
{
    let options = Options { partitions: Some(3), ..Options::default() };
    encoded(&engine.run_with(job, shared, data, &options).unwrap())
}

#[test]
fn jobs_on_bytes_give_what_typed_jobs_give() {
    let folder = Folder::new();
    let text: String = (0..2_000u32).map(|i| format!("{} é{}\n", i * i % 97, i % 13)).collect();
    let path = folder.file("text", text);

    let data = Dataset::with_split_bytes(TextFiles::open([&path]).unwrap(), 1_000).unwrap();
    let erased = run_erased(&WordCount, &(), &data, |block| block.as_str().as_bytes().to_vec());
    assert!(erased == run_typed(engine(), &WordCount, &(), &data) && !erased.is_empty());

    let data = Dataset::with_split_bytes(TextFiles::open_bytes([&path]).unwrap(), 1_000).unwrap();
    let sample = data.sample(10, <[u8]>::to_vec).unwrap();
    let ranges = RangePartitioner::from_sample::<[u8]>(&sample, 3);
    let erased = run_erased(&SortLines, &ranges, &data, |block| block.as_bytes().to_vec());
    assert!(erased == run_typed(engine(), &SortLines, &ranges, &data) && !erased.is_empty());

    let numbers: Vec<u32> = (0..3_000).collect();
    let data = Dataset::with_split_bytes(RowSlice::new(&numbers, 3).unwrap(), 1_000).unwrap();

    let erased = run_erased(&Columns, &(), &data, |block| bytemuck::cast_slice(block.values).to_vec());
    assert!(erased == run_typed(engine(), &Columns, &(), &data) && !erased.is_empty());

    let data = Dataset::with_split_bytes(ItemSlice::new(&numbers), 1_000).unwrap();
    let erased = run_erased(&Several, &(), &data, |block| bytes(&block));
    assert!(erased == run_typed(engine(), &Several, &(), &data) && !erased.is_empty());
}

#[test]
fn rows_that_do_not_lie_aligned_are_the_same_rows() {
    let numbers = [1u32, 2, 3, 4];
    let mut sent = vec![0];
    sent.extend(numbers.iter().flat_map(|n| n.to_le_bytes()));
    for start in 1..5 {
        sent.insert(0, 0);
        let mut buffer = Vec::new();
        let block = Rows::<u32>::block(&2, &sent[start + 1..], &mut buffer).unwrap();
        assert_eq!((block.values, block.len(), block.is_empty()), (&numbers[..], 2, false));
    }
}

#[test]
fn parameters_that_do_not_decode_are_refused() {
    let registry = registry();
    let sort = registry.get(&JobId::of::<SortLines>()).unwrap();
    let shared = bytes(&RangePartitioner::from_sample::<str>(&["a".to_string(), "b".into()], 2));
    assert!(sort.round(&[], &shared, 2).is_ok());
    for (params, shared) in [
        (&b"surplus"[..], &shared[..]),
        (&[], &shared[..shared.len() - 1]),
        (&[], &[&shared[..], &[0]].concat()),
        (&[], &[]),
    ] {
        let error = sort.round(params, shared, 2).err().unwrap();
        assert!(matches!(error, Error::Codec(_)), "{error}");
    }
}

#[test]
fn blocks_that_do_not_decode_fail_the_attempt() {
    let sent = |blocks: &[&[u8]]| Sent::new(blocks.iter().map(|block| block.to_vec()).collect());
    let words = round(&WordCount, &(), 2);
    let error = map(&*words, &split(), &[], &mut sent(&[b"good\nlines\n", b"bad \xff"])).unwrap_err();
    assert!(error.permanent);
    let failure = error.failure;
    assert_eq!((failure.kind, failure.record), (FailureKind::Read, Some(2)));
    assert!(failure.message.starts_with("the split's records: not UTF-8 at byte 15;"), "{failure}");

    let columns = round(&Columns, &(), 2);
    let rows = |width: u64, blocks: &[&[u8]]| map(&*columns, &split(), &bytes(&width), &mut sent(blocks));
    assert_eq!(rows(2, &[&[0; 16], &[0; 8]]).unwrap().records, 3);
    for (width, len) in [(2, 12), (0, 8), (u64::MAX, 8), (u64::MAX / 4 + 1, 0)] {
        let failure = rows(width, &[&vec![0; len]]).unwrap_err().failure;
        assert_eq!(failure.kind, FailureKind::Read);
        assert!(failure.message.contains("whole number of rows"), "{failure}");
    }
    let failure = map(&*columns, &split(), b"", &mut sent(&[])).unwrap_err().failure;
    assert_eq!(failure.kind, FailureKind::Codec);

    let items = round(&Several, &(), 2);
    let failure = map(&*items, &split(), &[], &mut sent(&[&bytes(&vec![1u32])[..1]])).unwrap_err().failure;
    assert_eq!(failure.kind, FailureKind::Read);
}

#[test]
fn errors_of_a_source_fail_the_attempt() {
    struct Broken;
    impl Chunks for Broken {
        fn next_chunk(&mut self) -> Result<Option<&[u8]>, ReadError> {
            let source = std::io::ErrorKind::ConnectionReset.into();
            Err(ReadError::Io { path: "peer 7".into(), offset: 42, source })
        }
    }
    let error = map(&*round(&WordCount, &(), 2), &split(), &[], &mut Broken).unwrap_err();
    assert!(!error.permanent);
    let failure = error.failure;
    assert_eq!((failure.kind, failure.record), (FailureKind::Read, None));
    assert!(failure.message.starts_with("peer 7: cannot read at byte 42"), "{failure}");
}

/// Jobs of one name that are not the same.
mod others {
    use super::*;

    macro_rules! other {
        ($module:ident, $input:ty, $record:ty, $value:ty, $version:expr) => {
            pub(super) mod $module {
                use super::*;

                #[derive(Clone, Serialize, Deserialize)]
                pub(crate) struct Other;

                impl Mapper for Other {
                    type Input = $input;
                    type Key = u64;
                    type Value = $value;
                    fn map(&self, _: $record, _: &mut impl Emit<u64, $value>) -> Result {
                        Ok(())
                    }
                }

                impl SimpleJob for Other {
                    const NAME: &'static str = "other";
                    const VERSION: u32 = $version;
                    type Combiner = NoCombiner;
                    type Reducer = Identity;
                }
            }
        };
    }

    other!(first, Items<u64>, &u64, u64, 1);
    other!(newer, Items<u64>, &u64, u64, 2);
    other!(other_value, Items<u64>, &u64, u32, 1);
    other!(other_items, Items<u32>, &u32, u64, 1);
    other!(rows, Rows<u32>, &[u32], u64, 1);
    other!(other_rows, Rows<f32>, &[f32], u64, 1);
    other!(lines, Lines, &[u8], u64, 1);
}

#[test]
fn only_the_same_job_is_found() {
    let registry = Registry::new().with::<others::first::Other>().unwrap();
    assert_eq!(registry.get(&JobId::of::<others::first::Other>()).unwrap().id().name, "other");
    for id in [
        JobId::of::<others::newer::Other>(),
        JobId::of::<others::other_value::Other>(),
        JobId::of::<others::other_items::Other>(),
        JobId::of::<others::rows::Other>(),
        JobId::of::<others::lines::Other>(),
    ] {
        let error = registry.get(&id).err().unwrap();
        let known = JobId::of::<others::first::Other>();
        assert_eq!(error, RegistryError::Different { asked: id.clone(), known: known.clone() });
        assert!(
            error.to_string().contains(&id.to_string()) && error.to_string().contains(&known.to_string())
        );
    }
    assert_ne!(JobId::of::<others::rows::Other>().schema, JobId::of::<others::other_rows::Other>().schema);
}

#[test]
fn an_unknown_job_is_an_error_that_lists_the_known_ones() {
    let asked = JobId { name: "missing".into(), version: 3, schema: 0 };
    let error = registry().get(&asked).err().unwrap().to_string();
    assert!(error.contains("no job missing version 3 (schema 0000000000000000) here"), "{error}");
    assert!(error.contains("knows columns, probe, several, sort-lines, word-count;"), "{error}");
    let error = Registry::new().get(&asked).err().unwrap().to_string();
    assert!(error.contains("knows no job at all"), "{error}");
}

#[test]
fn a_name_is_given_once() {
    let error =
        Registry::new().with::<others::first::Other>().and_then(Registry::with::<others::newer::Other>);
    let error = error.unwrap_err();
    let (known, added) = (JobId::of::<others::first::Other>(), JobId::of::<others::newer::Other>());
    assert_eq!(error, RegistryError::NameTaken { known, added });
    assert!(error.to_string().contains("give one of them another name"), "{error}");
}

#[test]
fn a_registry_lists_its_jobs_by_name() {
    let names: Vec<String> = registry().jobs().map(|id| id.name.clone()).collect();
    assert_eq!(names, ["columns", "probe", "several", "sort-lines", "word-count"]);
    assert!(format!("{:?}", registry()).contains("word-count"));
}
