//! [`Nodes`]: an engine of several nodes in one process that have nothing in common but bytes. Jobs, broadcast values,
//! rows and output cross between driver and nodes as on a network, and nodes forget what they may.

use kmeans_job::numeric::random::uniform;
use mapreduce_core::{
    Counters, Dataset, Engine, Error, Input, InputOf, Job, JobId, Memory, Options, Registry, Report,
    SplitInfo, codec,
    engine::{RoundOutput, Rounds, ship},
    exec::{Attempt, Chunks, ErasedRound, MapInput, MapOutput, Run},
    input::{ReadError, SharedFiles, SplitCache},
    schedule::Event,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard},
};

/// The nodes. They know the jobs of a registry.
pub(crate) struct Nodes {
    registry: Registry,
    count: usize,
    faults: Faults,
    pub(crate) seed: u64,
    state: Mutex<State>,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Faults {
    /// Nothing: a split is always worked on by the same node.
    None,
    /// Splits move to other nodes, nodes forget rows and caches, and attempts that were done do not count.
    Many,
}

/// What the nodes have, and what was done.
#[derive(Default)]
struct State {
    drawn: u64,
    /// By node, dataset and split.
    kept: HashMap<(usize, u64, usize), Kept>,
    done: Done,
}

/// What a node has of a split.
#[derive(Default)]
struct Kept {
    chunks: Option<Vec<Vec<u8>>>,
    cache: SplitCache,
}

/// What was done.
#[derive(Clone, Debug, Default)]
pub(crate) struct Done {
    /// The rounds of each job, by its name.
    pub(crate) rounds: BTreeMap<String, u64>,
    /// Splits that were sent to a node, and read by a node from files.
    pub(crate) shipped: u64,
    pub(crate) opened: u64,
    /// Attempts that found a cache.
    pub(crate) cached: u64,
    /// Attempts of which the output was thrown away.
    pub(crate) discarded: u64,
    /// The bytes of map output, and the map attempts that left them, of the job that ran last.
    pub(crate) output_bytes: u64,
    pub(crate) attempts: u64,
}

impl Nodes {
    pub(crate) fn new(registry: Registry, count: usize, faults: Faults, seed: u64) -> Self {
        Self { registry, count, faults, seed, state: Mutex::default() }
    }

    pub(crate) fn done(&self) -> Done {
        self.state().done.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// True with probability `p`, if there are faults at all.
    fn chance(&self, p: f64) -> bool {
        self.faults == Faults::Many && self.draw() < p
    }

    fn draw(&self) -> f64 {
        let mut state = self.state();
        state.drawn += 1;
        uniform(self.seed, 0, state.drawn)
    }

    fn pick_node(&self, split: usize) -> usize {
        match self.chance(0.3) {
            true => (self.draw() * self.count as f64).ceil() as usize - 1,
            false => split % self.count,
        }
    }
}

impl Engine for Nodes {
    type Rounds<'e> = NodeRounds<'e>;

    fn begin<'e>(
        &'e self,
        _: &'static str,
        options: &'e Options,
        _: &'e mut dyn FnMut(Event),
    ) -> Result<NodeRounds<'e>, Error> {
        Ok(NodeRounds { nodes: self, options, report: Report::default() })
    }

    fn is_own_thread(&self) -> bool {
        false
    }
}

/// The rounds of a job.
pub(crate) struct NodeRounds<'e> {
    nodes: &'e Nodes,
    options: &'e Options,
    report: Report,
}

/// What a node is told of a map task, in bytes.
struct Told<'a> {
    round: &'a dyn ErasedRound,
    shape: &'a [u8],
    files: Option<&'a [u8]>,
}

impl NodeRounds<'_> {
    fn map<I: Input>(
        &self,
        told: &Told<'_>,
        data: &Dataset<I>,
        split: usize,
        node: usize,
        count: bool,
    ) -> MapOutput {
        let info: SplitInfo = sent(&data.splits()[split]);
        let place = (node, data.id(), split);
        let mut kept = self.nodes.state().kept.remove(&place).unwrap_or_default();
        if self.nodes.chance(0.3) {
            kept.cache = SplitCache::default();
        }
        if self.nodes.chance(0.2) {
            kept.chunks = None;
        }
        let mut chunks: Box<dyn Chunks> = match told.files {
            Some(files) => {
                let fingerprint = data.shared_files().unwrap().fingerprint(&data.splits()[split]).unwrap();
                self.nodes.state().done.opened += 1;
                let files: SharedFiles = codec::decode(files).unwrap();
                files.open(&info, fingerprint).unwrap()
            }
            None => Box::new(Received {
                chunks: kept.chunks.get_or_insert_with(|| self.receive(data, split)),
                next: 0,
            }),
        };
        self.nodes.state().done.cached += u64::from(!kept.cache.is_empty());
        let cache = &mut kept.cache;
        let attempt = Attempt::of(&self.options.cancel);
        let input = MapInput {
            index: split as u32,
            splits: data.splits().len() as u32,
            split: &info,
            shape: told.shape,
            chunks: &mut *chunks,
            cache,
            attempt: &attempt,
            segment_bytes: self.options.segment_bytes,
            memory: &Memory::limited(u64::MAX),
        };
        let output = told.round.map(input).unwrap();
        drop(chunks);
        if !count {
            kept.cache.discard();
            kept.cache = SplitCache::default();
        }
        self.nodes.state().kept.insert(place, kept);
        output
    }

    /// The rows of a split at the node that gets them. They lie there as it happens, not always aligned.
    fn receive<I: Input>(&self, data: &Dataset<I>, split: usize) -> Vec<Vec<u8>> {
        let mut chunks = Vec::new();
        ship(data, split as u32, &mut |bytes| chunks.push([&[0], bytes].concat())).unwrap();
        self.nodes.state().done.shipped += 1;
        chunks
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
        let nodes = self.nodes;
        let partitions = self.options.partitions_for(data.bytes());
        let (params, shared) = (encoded(job), encoded(shared));
        let refused =
            |error| Error::Job { job: J::NAME.to_string(), step: "registry", message: format!("{error}") };
        let job = nodes.registry.get(&sent(&JobId::of::<J>())).map_err(refused)?;
        let rounds: Vec<Box<dyn ErasedRound>> =
            (0..nodes.count).map(|_| job.round(&params, &shared, partitions)).collect::<Result<_, _>>()?;
        *nodes.state().done.rounds.entry(J::NAME.to_string()).or_default() += 1;
        let (shape, files) = (encoded(&data.input().shape()), data.shared_files().map(encoded));

        let (mut outputs, mut counters, mut report) = (Vec::new(), Counters::default(), Report::default());
        for split in 0..data.splits().len() {
            if self.options.cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let told = |node: usize| Told { round: &*rounds[node], shape: &shape, files: files.as_deref() };
            let node = nodes.pick_node(split);
            if nodes.chance(0.2) {
                // A backup attempt that came too late, or a node that was lost before it could tell.
                self.map(&told(node), data, split, node, false);
                nodes.state().done.discarded += 1;
            }
            let node = nodes.pick_node(split);
            let output = self.map(&told(node), data, split, node, true);
            counters.merge(&output.counters);
            report.records += output.records;
            report.map_output_bytes += output.bytes();
            *report.tasks_by_peer.entry(format!("node {node}")).or_default() += 1;
            let runs = output.runs.iter().map(|run| {
                let bytes = run.in_memory().expect("there is memory for all runs");
                Run::from_bytes(bytes.to_vec(), run.pairs()).expect("the run of an attempt is whole")
            });
            outputs.push(runs.collect::<Vec<_>>());
        }
        let mut parts = Vec::new();
        for partition in 0..partitions {
            let runs: Vec<&Run> = outputs.iter().map(|runs| &runs[partition as usize]).collect();
            let round = &rounds[nodes.pick_node(partition as usize)];
            let reduced = round
                .reduce(partition, &runs, &Attempt::of(&self.options.cancel), &Memory::limited(u64::MAX))
                .unwrap();
            counters.merge(&reduced.counters);
            report.keys += reduced.keys;
            parts.push(reduced.run);
        }
        let mut state = nodes.state();
        (state.done.output_bytes, state.done.attempts) =
            (report.map_output_bytes, data.splits().len() as u64);
        self.report.merge(&report);
        Ok(RoundOutput { parts, counters, report })
    }

    fn into_report(self) -> Report {
        self.report
    }
}

/// What has come over the network, behind a byte of something else.
struct Received<'a> {
    chunks: &'a [Vec<u8>],
    next: usize,
}

impl Chunks for Received<'_> {
    fn next_chunk(&mut self) -> Result<Option<&[u8]>, ReadError> {
        let chunk = self.chunks.get(self.next).map(|chunk| &chunk[1..]);
        self.next += 1;
        Ok(chunk)
    }
}

fn encoded<T: serde::Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec::encode(value, &mut bytes).unwrap();
    bytes
}

/// The value as it arrives.
fn sent<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
    codec::decode(&encoded(value)).unwrap()
}
