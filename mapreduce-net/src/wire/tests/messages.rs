//! Every message, and what becomes of it when its bytes are damaged.

use crate::{NodeId, wire::message::*};
use mapreduce_core::{
    Block, CodecError, Counters, FailureKind, JobId, SplitInfo, TaskFailure, codec,
    engine::{SharedPart, StagedFile},
    schedule::{AttemptId, Round, TaskId, TaskReport},
};
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};

/// Checks that a message survives the way, and that its bytes can be cut off, lengthened and changed without a panic.
pub(crate) fn check<T: Serialize + DeserializeOwned>(message: &T) {
    let bytes = encode(message);
    let again: T = codec::decode(&bytes).unwrap();
    assert_eq!(encode(&again), bytes);
    for cut in 0..bytes.len() {
        assert!(codec::decode::<T>(&bytes[..cut]).is_err(), "cut off at {cut}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(matches!(codec::decode::<T>(&longer), Err(CodecError::Trailing { .. })));
    for at in 0..bytes.len() {
        for put in (0..8).map(|bit| bytes[at] ^ 1 << bit).chain([0xfb, 0xfc, 0xfd, 0xff]) {
            let mut changed = bytes.clone();
            changed[at] = put;
            arbitrary::<T>(&changed);
        }
    }
}

/// What can be read can be said.
fn arbitrary<T: Serialize + DeserializeOwned>(bytes: &[u8]) {
    if let Ok(message) = codec::decode::<T>(bytes) {
        let bytes = encode(&message);
        assert_eq!(encode(&codec::decode::<T>(&bytes).unwrap()), bytes);
    }
}

fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec::encode(message, &mut bytes).unwrap();
    bytes
}

fn node() -> NodeId {
    NodeId::from_bytes([0xa5; 16])
}

fn record() -> Record {
    Record {
        node: node(),
        version: 1 << 40,
        left: true,
        addresses: vec!["10.0.0.1:7000".to_owned(), "[fe80::1]:1".to_owned()],
        threads: 8,
        jobs: vec![job()],
        build: "0.1.0".to_owned(),
    }
}

fn job() -> JobId {
    JobId { name: "word count".to_owned(), version: 3, schema: u64::MAX }
}

fn attempt(task: TaskId) -> AttemptId {
    AttemptId { round: Round(4), task, number: 2 }
}

fn failure() -> TaskFailure {
    let fields = (FailureKind::Panic, "split 3", Some(17u64), "index out of bounds");
    codec::decode(&encode(&fields)).unwrap()
}

fn stored() -> Payload {
    Payload::Stored { hash: u128::MAX / 3, bytes: 1 << 33 }
}

fn inline() -> Payload {
    Payload::Inline(Block::from(vec![1, 2, 3]))
}

fn commands() -> Vec<Command> {
    let round = Box::new(BeginRound {
        job: 1,
        round: Round(0),
        id: job(),
        params: inline(),
        shared: stored(),
        partitions: 300,
        dataset: 9,
        shape: Block::from(vec![7; 300]),
        files: Some(stored()),
        splits: 9,
        segment_bytes: 16 << 20,
        inline_bytes: 65_536,
        staging: Some(Block::from(vec![8; 40])),
    });
    let pieces = vec![(1u32, 5..1u64 << 50)];
    let split: SplitInfo = codec::decode(&encode(&(pieces, 1u64 << 20, Some(1u64 << 34)))).unwrap();
    let (map, reduce) = (attempt(TaskId::Map(3)), attempt(TaskId::Reduce(4)));
    vec![
        Command::Ping { number: 251 },
        Command::BeginRound(round),
        Command::Start { job: 1, attempt: map, work: Work::Map { split, fingerprint: Some(0) } },
        Command::Start { job: 1, attempt: reduce, work: Work::Reduce },
        Command::Sources { job: 1, round: Round(4), sources: inline() },
        Command::SourceLost { job: 1, round: Round(4), node: node() },
        Command::Cancel { job: 1, attempt: map },
        Command::Discard { job: 1, attempt: map },
        Command::EndRound { job: 1, round: Round(4) },
        Command::DropDataset { dataset: 9 },
        Command::Released,
    ]
}

fn answers() -> Vec<Answer> {
    let mut counters = Counters::default();
    counters.add("words", 5);
    counters.add("lines", u64::MAX);
    let completed = |output| {
        Answer::Completed(Box::new(Completed {
            job: 1,
            attempt: attempt(TaskId::Map(3)),
            report: TaskReport { records: 1, bytes: 2, checksum: 3 },
            processed: 300,
            counters: counters.clone(),
            spilled_bytes: 1 << 40,
            run_us: 70_000,
            output,
        }))
    };
    let file =
        |name: &str| StagedFile { name: name.to_owned(), records: 1 << 20, bytes: 1 << 33, checksum: 7 };
    let inline = InlineRun { partition: 0, pairs: 2, bytes: Block::from(vec![0; 20]) };
    let staged = SharedPart { part: file("_attempt reduce 3"), sides: vec![(0, file("side"))] };
    let failed = |failure| Answer::Failed { job: 1, attempt: attempt(TaskId::Reduce(4)), failure };
    vec![
        Answer::Welcome { threads: 8, slots: 16, jobs: vec![job(), job()] },
        Answer::Busy { drivers: 4 },
        Answer::Pong { number: 251 },
        Answer::Grant { slots: 0 },
        completed(OutputPlace::Inline(vec![inline])),
        completed(OutputPlace::Peer),
        completed(OutputPlace::Files(staged)),
        failed(AttemptFailure::Task { failure: failure(), permanent: true }),
        failed(AttemptFailure::Node { message: "/tmp: no space left".to_owned() }),
        failed(AttemptFailure::FetchFailed { from: node(), message: "reset".to_owned() }),
        failed(AttemptFailure::Cancelled),
        Answer::Draining,
    ]
}

fn requests() -> Vec<Request> {
    let outputs = (0..300).map(|split| (split, 1)).collect();
    vec![
        Request::Split { dataset: 9, split: 70_000 },
        Request::Stored { hash: 5 },
        Request::Runs { driver: node(), job: 1, round: Round(4), partition: 2, outputs },
        Request::Reduced { job: 1, attempt: attempt(TaskId::Reduce(4)) },
    ]
}

#[test]
fn openings_survive_damage() {
    let hello = Hello { your_address: "192.0.2.1:7000".to_owned(), table: vec![record(), record()] };
    check(&Open::Membership(hello.clone()));
    check(&Open::Session { name: "host/17".to_owned() });
    for request in requests() {
        check(&Open::Fetch(request));
    }
    check(&Open::Relay { to: node() });
    check(&Open::Relayed { from: node(), from_member: true });
    check(&Gossip::Hello(hello));
    check(&Gossip::Table(vec![record()]));
}

#[test]
fn sessions_survive_damage() {
    for command in commands() {
        check(&ToPeer { epoch: 1 << 63, command });
    }
    for answer in answers() {
        check(&FromPeer { epoch: 7, answer });
    }
    check(&vec![Source { node: node(), outputs: vec![(1, 2), (3, 4)] }]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_a_message_panic(bytes in prop::collection::vec(prop_oneof![0u8..12, any::<u8>()], 0..300)) {
        arbitrary::<Open>(&bytes);
        arbitrary::<Hello>(&bytes);
        arbitrary::<Gossip>(&bytes);
        arbitrary::<Record>(&bytes);
        arbitrary::<Payload>(&bytes);
        arbitrary::<ToPeer>(&bytes);
        arbitrary::<Command>(&bytes);
        arbitrary::<BeginRound>(&bytes);
        arbitrary::<Work>(&bytes);
        arbitrary::<Vec<Source>>(&bytes);
        arbitrary::<FromPeer>(&bytes);
        arbitrary::<Answer>(&bytes);
        arbitrary::<Completed>(&bytes);
        arbitrary::<InlineRun>(&bytes);
        arbitrary::<AttemptFailure>(&bytes);
        arbitrary::<Request>(&bytes);
    }
}
