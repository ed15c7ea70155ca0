//! The seam for engines: another one, of two nodes that know jobs by name only, gives what the local one gives.

#![allow(clippy::unwrap_used, reason = "what the tests call belongs to the tests")]

mod common;

use common::{
    Folder,
    control::Countdown,
    engine,
    jobs::{Columns, Index, Several, SortLines, SortRows, WordCount},
    names,
    oracle::{encoded, expect},
    probe::{Probe, numbers},
};
use mapreduce_core::{
    Dataset, Engine, Error, FailureKind, Input, InputOf, ItemSlice, Job, JobId, Memory, Options, PartFiles,
    RangePartitioner, ReadError, Registry, Report, RowFiles, RowSlice, SplitInfo, TaskFailure, TextFiles,
    codec,
    engine::{RoundOutput, Rounds, Tally, partitions, place, ship},
    exec::{Attempt, AttemptError, Chunks, ErasedRound, MapInput, MapOutput, ReducedPartition, Run},
    input::SplitCache,
    prelude::*,
    schedule::{
        Action, AttemptId, Config, Coordinator, Event, Failure, PeerId, RoundPlan, TaskId, TaskReport, Time,
        Verdict,
    },
};
use proptest::{collection::vec, prelude::*};
use std::{
    collections::{BTreeMap, VecDeque},
    fs,
    sync::Mutex,
};

const PEERS: [(PeerId, &str); 2] = [(PeerId(0), "ada"), (PeerId(1), "bob")];

/// Two nodes in one thread. What they are told is bytes, and so is what they say.
#[derive(Clone, Copy, Debug, Default)]
struct Nodes {
    /// The second node goes down with its map outputs when all maps have finished, in the first round.
    lossy: bool,
}

/// What each node has cached about the splits of a dataset.
type Caches = Mutex<BTreeMap<(PeerId, u32), SplitCache>>;

struct NodeRounds<'e> {
    nodes: Nodes,
    job: &'static str,
    options: &'e Options,
    events: &'e mut dyn FnMut(Event),
    coordinator: Coordinator,
    report: Report,
}

impl Engine for Nodes {
    type Rounds<'e> = NodeRounds<'e>;

    fn begin<'e>(
        &'e self,
        job: &'static str,
        options: &'e Options,
        events: &'e mut dyn FnMut(Event),
    ) -> Result<NodeRounds<'e>, Error> {
        let attempts_max = options.attempts_max as u16;
        let mut coordinator = Coordinator::new(Config { attempts_max, ..Config::default() });
        PEERS.iter().for_each(|(peer, _)| coordinator.handle_peer_joined(Time::ZERO, *peer, 2));
        Ok(NodeRounds { nodes: *self, job, options, events, coordinator, report: Report::default() })
    }

    fn is_own_thread(&self) -> bool {
        std::thread::current().name() == Some("node")
    }
}

fn bytes<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec::encode(value, &mut bytes).unwrap();
    bytes
}

struct Sent(Vec<Vec<u8>>, usize);

impl Chunks for Sent {
    fn next_chunk(&mut self) -> Result<Option<&[u8]>, ReadError> {
        self.1 += 1;
        Ok(self.0.get(self.1 - 1).map(Vec::as_slice))
    }
}

/// A round as a node sees it.
struct Node<'r> {
    round: &'r dyn ErasedRound,
    shape: &'r [u8],
}

impl Node<'_> {
    fn map<I: Input>(
        &self,
        data: &Dataset<I>,
        index: u32,
        cache: &mut SplitCache,
    ) -> Result<MapOutput, AttemptError> {
        let split: SplitInfo = codec::decode(&bytes(&data.splits()[index as usize])).unwrap();
        let mut chunks: Box<dyn Chunks> = match data.shared_files() {
            Some(files) => {
                let fingerprint = files.fingerprint(&split).unwrap();
                files.open(&split, fingerprint).map_err(|error| AttemptError {
                    failure: TaskFailure::new(error.kind(), error.to_string()),
                    permanent: error.is_permanent(),
                })?
            }
            None => {
                let mut chunks = Vec::new();
                ship(data, index, &mut |chunk| chunks.push(chunk.to_vec()))?;
                Box::new(Sent(chunks, 0))
            }
        };
        let attempt = &Attempt::default();
        let input = MapInput {
            index,
            splits: data.splits().len() as u32,
            split: &split,
            shape: self.shape,
            chunks: &mut *chunks,
            cache,
            attempt,
            segment_bytes: Options::default().segment_bytes,
            memory: &Memory::limited(u64::MAX),
        };
        let mut output = self.round.map(input).map_err(|mut error| {
            error.failure.place = place(data, TaskId::Map(index));
            error
        })?;
        // Over the network and back.
        for run in &mut output.runs {
            *run = Run::from_bytes(run.in_memory().unwrap().to_vec(), run.pairs()).unwrap();
        }
        Ok(output)
    }
}

impl NodeRounds<'_> {
    /// Runs an attempt and tells the coordinator.
    fn attempt<I: Input>(
        &mut self,
        (peer, attempt): (PeerId, AttemptId),
        node: &Node<'_>,
        data: &Dataset<I>,
        outputs: &mut BTreeMap<u32, MapOutput>,
        parts: &mut BTreeMap<u32, ReducedPartition>,
        tally: &mut Tally,
    ) {
        let task = attempt.task;
        let name = PEERS[peer.0 as usize].1;
        let caches = data.attachment(1, Caches::default);
        let error = match task {
            TaskId::Map(split) => {
                let mut cache = caches.lock().unwrap().remove(&(peer, split)).unwrap_or_default();
                match node.map(data, split, &mut cache) {
                    Ok(output) => {
                        let report = TaskReport {
                            records: output.pairs(),
                            bytes: output.bytes(),
                            checksum: output.checksum(),
                        };
                        let verdict = self.coordinator.handle_completed(Time::ZERO, peer, attempt, report);
                        assert_eq!(verdict, Verdict::Commit);
                        if tally.committed(task, name, &output.counters) {
                            tally.report.records += output.records;
                            tally.report.map_output_bytes += output.bytes();
                        }
                        caches.lock().unwrap().insert((peer, split), cache);
                        outputs.insert(split, output);
                        return;
                    }
                    Err(error) => {
                        cache.discard();
                        error
                    }
                }
            }
            TaskId::Reduce(_) if outputs.len() < data.splits().len() => {
                let failure = Failure::FetchFailed { from: PEERS[1].0 };
                return self.coordinator.handle_failed(Time::ZERO, peer, attempt, failure);
            }
            TaskId::Reduce(partition) => {
                let runs: Vec<&Run> =
                    outputs.values().map(|output| &output.runs[partition as usize]).collect();
                match node.round.reduce(partition, &runs, &Attempt::default(), &Memory::limited(u64::MAX)) {
                    Ok(reduced) => {
                        let report = TaskReport {
                            records: reduced.run.pairs(),
                            bytes: reduced.run.byte_len(),
                            checksum: reduced.run.checksum(),
                        };
                        let verdict = self.coordinator.handle_completed(Time::ZERO, peer, attempt, report);
                        assert_eq!(verdict, Verdict::Commit);
                        tally.committed(task, name, &reduced.counters);
                        tally.report.keys += reduced.keys;
                        parts.insert(partition, reduced);
                        return;
                    }
                    Err(error) => error,
                }
            }
        };
        let failure = tally.attempt_failed(task, error, false);
        self.coordinator.handle_failed(Time::ZERO, peer, attempt, failure);
    }
}

impl Rounds for NodeRounds<'_> {
    fn round<J, I>(
        &mut self,
        job: &J,
        shared: &J::Shared,
        data: &Dataset<I>,
    ) -> Result<RoundOutput<Run>, Error>
    where
        J: Job,
        I: Input<Records = InputOf<J>>,
    {
        let partitions = partitions::<J, I>(self.options, data)?;
        let registry = Registry::new().with::<J>().unwrap();
        let known = registry.get(&JobId::of::<J>()).unwrap();
        let round = known.round(&bytes(job), &bytes(shared), partitions)?;
        let node = Node { round: &*round, shape: &bytes(&data.input().shape()) };
        let splits = data.splits().len() as u32;
        self.coordinator.start_round(Time::ZERO, RoundPlan { splits, partitions }).unwrap();

        let (mut outputs, mut parts, mut tally) = (BTreeMap::new(), BTreeMap::new(), Tally::default());
        let mut queue = VecDeque::new();
        loop {
            while let Some(action) = self.coordinator.poll_action() {
                match action {
                    Action::Start { peer, attempt, .. } => queue.push_back((peer, attempt)),
                    Action::Cancel { attempt, .. } => queue.retain(|(_, queued)| *queued != attempt),
                    _ => {}
                }
            }
            let mut outcome = None;
            while let Some(event) = self.coordinator.poll_event() {
                tally.event(&event);
                match &event {
                    Event::RoundFinished { .. } => outcome = Some(Ok(())),
                    Event::JobFailed { error } => outcome = Some(Err(tally.error(self.job, error.clone()))),
                    Event::Cancelled => outcome = Some(Err(Error::Cancelled)),
                    Event::MapsFinished { .. } if self.nodes.lossy => {
                        self.nodes.lossy = false;
                        self.coordinator.handle_peer_lost(Time::ZERO, PEERS[1].0);
                        queue.retain(|(peer, _)| *peer != PEERS[1].0);
                    }
                    Event::OutputLost { attempt, .. } => drop(outputs.remove(&attempt.task.index())),
                    _ => {}
                }
                (self.events)(event);
            }
            match outcome {
                Some(Ok(())) => break,
                Some(Err(error)) => return Err(error),
                None if self.options.cancel.is_cancelled() => self.coordinator.cancel(Time::ZERO),
                None => {
                    if let Some(next) = queue.pop_front() {
                        self.attempt(next, &node, data, &mut outputs, &mut parts, &mut tally);
                    }
                }
            }
        }
        self.report.merge(&tally.report);
        let parts = parts.into_values().map(|reduced| reduced.run).collect();
        Ok(RoundOutput { parts, counters: tally.counters, report: tally.report })
    }

    fn into_report(self) -> Report {
        self.report
    }
}

/// Runs a job on nodes, reliable and not, and on threads, and compares all with the oracle.
fn check<J, I>(job: &J, shared: &J::Shared, input: &I, split_bytes: u64)
where
    J: Job,
    I: Input<Records = InputOf<J>> + Clone,
{
    let options = Options { partitions: Some(3), ..Options::default() };
    let oracle = expect(job, shared, input, 3).unwrap();
    let data = || Dataset::with_split_bytes(input.clone(), split_bytes).unwrap();
    let local = engine().run_with(job, shared, &data(), &options).unwrap();
    assert!(encoded(&local) == oracle, "{}: local", J::NAME);
    let mut datasets = vec![data()];
    if input.files().is_some() {
        datasets.push(data().on_shared_storage().unwrap());
    }
    for data in datasets {
        for nodes in [Nodes { lossy: false }, Nodes { lossy: true }] {
            let output = nodes.run_with(job, shared, &data, &options).unwrap();
            assert!(encoded(&output) == oracle, "{}: {nodes:?}", J::NAME);
            assert_eq!(output.counters, local.counters, "{}: {nodes:?}", J::NAME);
            let totals = |report: &Report| (report.records, report.map_output_bytes, report.keys);
            assert_eq!(totals(&output.report), totals(&local.report), "{}: {nodes:?}", J::NAME);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn jobs_on_nodes_give_what_they_give_on_threads(
        texts in vec("([a-c]{1,2}|é|[ \r\n]){0,60}", 1..4),
        numbers in vec(any::<u32>(), 0..60),
        bytes in 1..100u64,
    ) {
        let folder = Folder::new();
        let files = folder.files(&texts);
        let text = TextFiles::open(&files).unwrap();
        check(&WordCount, &(), &text, bytes);
        check(&Index, &(), &text, bytes);
        check(&Several, &(), &ItemSlice::new(numbers.clone()), bytes);
        let rows = &numbers[..numbers.len() / 2 * 2];
        check(&Columns, &(), &RowSlice::new(rows, 2).unwrap(), bytes);
        let content: Vec<u8> = rows.iter().flat_map(|n| n.to_le_bytes()).collect();
        check(&SortRows, &(), &RowFiles::open(folder.file("rows", content), 0, 2).unwrap(), bytes);
        let lines = TextFiles::open_bytes(&files).unwrap();
        let sample = Dataset::new(lines.clone()).unwrap().sample(10, <[u8]>::to_vec).unwrap();
        check(&SortLines, &RangePartitioner::from_sample::<[u8]>(&sample, 3), &lines, bytes);
    }
}

/// Counts words without an o. The others, and short lines, go to side outputs.
#[derive(Clone, Serialize, Deserialize)]
struct Sift;

impl Mapper for Sift {
    type Input = Utf8Lines;
    type Key = str;
    type Value = u64;
    fn map(&self, line: &str, out: &mut impl Emit<str, u64>) -> Result {
        if line.len() < 6 {
            out.side("short", line.as_bytes())?;
        }
        line.split(' ').try_for_each(|word| out.emit(word, &1))
    }
}

#[derive(Default)]
struct WithoutO;

impl Reducer<str, u64> for WithoutO {
    type Key = str;
    type Value = u64;
    fn reduce(&self, word: &str, counts: &mut Values<'_, u64>, out: &mut impl Emit<str, u64>) -> Result {
        let mut sum = 0;
        while let Some(count) = counts.next()? {
            sum += *count;
        }
        if word.contains('o') { out.side("with-o", word.as_bytes()) } else { out.emit(word, &sum) }
    }
}

impl SimpleJob for Sift {
    const NAME: &'static str = "sift";
    const SIDE_OUTPUTS: &'static [&'static str] = &["short", "with-o"];
    type Combiner = Sum;
    type Reducer = WithoutO;
}

#[test]
fn side_outputs_of_an_engine_that_only_returns_runs_are_the_same() {
    let folder = Folder::new();
    let text = folder.file("text", "to be or not\nto be\nthat is the question\n".repeat(50));
    let data = Dataset::with_split_bytes(TextFiles::open([text]).unwrap(), 100).unwrap();
    let options = Options { partitions: Some(3), ..Options::default() };
    let by_local = engine().run_with(&Sift, &(), &data, &options).unwrap();
    assert_eq!(by_local.side("short"), vec![b"to be"; 50]);
    let mut with_o = by_local.side("with-o").to_vec();
    with_o.sort();
    assert_eq!(with_o, ["not", "or", "question", "to"].map(|word| word.as_bytes().to_vec()));
    for nodes in [Nodes { lossy: false }, Nodes { lossy: true }] {
        let by_nodes = nodes.run_with(&Sift, &(), &data, &options).unwrap();
        assert_eq!(by_nodes.pairs, by_local.pairs, "{nodes:?}");
        for output in ["short", "with-o"] {
            assert_eq!(by_nodes.side(output), by_local.side(output), "{nodes:?}");
        }
    }
    let (local, nodes) = (folder.join("local"), folder.join("nodes"));
    let by_local = engine().write(&Sift, &(), &data, &PartFiles::new(&local), &options).unwrap();
    let by_nodes = Nodes::default().write(&Sift, &(), &data, &PartFiles::new(&nodes), &options).unwrap();
    assert_eq!((by_local.parts, by_local.sides), (by_nodes.parts, by_nodes.sides));
    for name in names(&local) {
        assert_eq!(fs::read(local.join(&name)).unwrap(), fs::read(nodes.join(&name)).unwrap(), "{name}");
    }
}

#[test]
fn part_files_of_an_engine_that_only_returns_runs_are_the_same() {
    let folder = Folder::new();
    let text = folder.file("text", "to be or not\nto be\nthat is the question\n".repeat(50));
    let data = Dataset::with_split_bytes(TextFiles::open([text]).unwrap(), 100).unwrap();
    let options = Options { partitions: Some(3), ..Options::default() };
    let (local, nodes) = (folder.join("local"), folder.join("nodes"));
    let by_local = engine().write(&WordCount, &(), &data, &PartFiles::new(&local), &options).unwrap();
    let by_nodes = Nodes::default().write(&WordCount, &(), &data, &PartFiles::new(&nodes), &options).unwrap();
    assert_eq!((by_local.parts, by_local.counters), (by_nodes.parts, by_nodes.counters));
    for name in names(&local) {
        assert_eq!(fs::read(local.join(&name)).unwrap(), fs::read(nodes.join(&name)).unwrap(), "{name}");
    }
    let error = Nodes::default().write(&WordCount, &(), &data, &PartFiles::new(&nodes), &options);
    assert!(matches!(error, Err(Error::OutputExists { .. })));
    assert_eq!(folder.names(), ["local", "nodes", "text"]);
}

/// Counts how many values of each remainder it has seen, and how often a cache was there.
#[derive(Clone, Serialize, Deserialize)]
struct Cached;

impl Mapper for Cached {
    type Input = Items<u64>;
    type Key = bool;
    type Value = u64;
    fn map(&self, _: &u64, _: &mut impl Emit<bool, u64>) -> Result {
        Ok(())
    }
    fn map_split(&self, split: &mut Split<'_, Items<u64>>, out: &mut impl Emit<bool, u64>) -> Result {
        let seen = split.take_cache::<()>().is_some();
        split.put_cache(Box::new(()));
        out.emit(&seen, &1)
    }
}

impl SimpleJob for Cached {
    const NAME: &'static str = "cached";
    type Combiner = Sum;
    type Reducer = Fold<Sum>;
}

#[test]
fn caches_of_nodes_belong_to_the_dataset() {
    let data = numbers(100, 10);
    let first = Nodes::default().run(&Cached, &(), &data).unwrap();
    assert_eq!(first.pairs, [(false, 10)]);
    let second = Nodes::default().run(&Cached, &(), &data).unwrap();
    assert_eq!(second.pairs, [(true, 10)]);
}

#[test]
fn iterated_and_background_jobs_are_the_engines_own_for_free() {
    let data = std::sync::Arc::new(numbers(100, 4));
    for nodes in [Nodes { lossy: false }, Nodes { lossy: true }] {
        let iterated = nodes.iterate(&Countdown::from(3), &data).unwrap();
        assert_eq!((iterated.output, iterated.rounds), (vec![4950; 3], 3));
        assert_eq!(iterated.report.records, 300);
        // What was lost has been made again.
        let tasks: u64 = iterated.report.tasks_by_peer.values().sum();
        assert_eq!(tasks > 3 * (4 + 1), nodes.lossy, "{tasks} tasks");
        let handle = nodes.submit_iterate(Countdown::from(2), data.clone(), Options::default()).unwrap();
        assert!(handle.events().any(|event| matches!(event, Event::RoundFinished { .. })));
        assert_eq!(handle.wait().unwrap().rounds, 2);
        let handle = nodes.submit(Probe::default(), (), data.clone(), Options::default()).unwrap();
        assert_eq!(format!("{handle:?}").split(' ').next(), Some("Handle"));
        assert_eq!(handle.wait().unwrap().pairs.len(), 10);
    }
    let options = Options::default();
    options.cancel.cancel();
    let cancelled = Nodes::default().run_with(&Probe::default(), &(), &data, &options);
    assert!(matches!(cancelled, Err(Error::Cancelled)));
}

#[test]
fn an_engines_own_threads_are_kept_from_waiting_for_it() {
    let (data, folder) = (numbers(100, 4), Folder::new());
    let node = || {
        let (nodes, job) = (Nodes::default(), Probe::default());
        let to = PartFiles::new(folder.join("out"));
        assert!(matches!(nodes.run(&job, &(), &data), Err(Error::Reentrant)));
        assert!(matches!(nodes.iterate(&Countdown::from(1), &data), Err(Error::Reentrant)));
        let written = nodes.write(&job, &(), &data, &to, &Options::default());
        assert!(matches!(written, Err(Error::Reentrant)));
    };
    std::thread::scope(|scope| {
        std::thread::Builder::new().name("node".into()).spawn_scoped(scope, node).unwrap().join().unwrap();
    });
    assert_eq!(folder.names(), [""; 0]);
}

#[test]
fn failures_on_nodes_name_the_split_and_other_storage_is_the_nodes_fault() {
    let folder = Folder::new();
    let path = folder.file("text", b"good\nbad \xff\n");
    let data = Dataset::new(TextFiles::open([&path]).unwrap()).unwrap();
    let error = Nodes::default().run(&WordCount, &(), &data).unwrap_err();
    let Error::Task(error) = error else { panic!("{error}") };
    assert_eq!((error.failure.kind, error.attempts), (FailureKind::Read, 1));
    let expected = format!("{}, bytes 0 to 11", path.display());
    assert_eq!((&*error.failure.place, error.failure.record), (&*expected, None));
    assert!(error.failure.message.contains("not UTF-8 at byte 9"), "{error}");
}
