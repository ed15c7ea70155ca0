//! What peers say they have written for a job, and what the driver makes of it.

use super::*;
use crate::wire::message::InlineRun;
use mapreduce_core::{
    Error, Format, Written, codec,
    engine::{SharedPart, StagedFile},
    exec::Run,
    prelude::{
        Dataset, Deserialize, Emit, Identity, ItemSlice, Items, Mapper, NoCombiner, Options, PartFiles,
        Result as JobResult, Serialize, SimpleJob,
    },
};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// A job that no peer of these tests runs: they say what it has left.
#[derive(Clone, Serialize, Deserialize)]
struct Numbers;

impl Mapper for Numbers {
    type Input = Items<u64>;
    type Key = u64;
    type Value = u64;
    fn map(&self, n: &u64, out: &mut impl Emit<u64, u64>) -> JobResult {
        out.emit(n, n)
    }
}

impl SimpleJob for Numbers {
    const NAME: &'static str = "numbers";
    type Combiner = NoCombiner;
    type Reducer = Identity;
}

/// What a peer says of the map attempt, and then of one reduce attempt after the other, in the driver's folder.
type Script = Box<dyn FnMut(AttemptId, Option<&Path>) -> OutputPlace + Send>;

/// A peer that says of attempts what it is told to.
async fn act(mut served: Served, mut script: Script) {
    served.say(Answer::Welcome { threads: 1, slots: 1, jobs: vec![JobId::of::<Numbers>()] }).await;
    let mut folder: Option<PathBuf> = None;
    while let Ok(Some(ToPeer { command, .. })) = served.reader.next().await {
        match command {
            Command::Ping { number } => served.say(Answer::Pong { number }).await,
            Command::BeginRound(begin) => {
                folder = begin.staging.map(|staging| {
                    let (folder, _, _): (String, u128, Format) = codec::decode(&staging).unwrap();
                    folder.into()
                });
            }
            Command::Start { job, attempt, .. } => {
                let output = script(attempt, folder.as_deref());
                let mut report = TaskReport::default();
                if let OutputPlace::Inline(runs) = &output {
                    let run = Run::from_bytes(runs[0].bytes.to_vec(), runs[0].pairs).unwrap();
                    report.checksum = run.checksum();
                }
                let completed = Completed {
                    job,
                    attempt,
                    report,
                    processed: 1,
                    counters: Counters::default(),
                    spilled_bytes: 0,
                    run_us: 1,
                    output,
                };
                served.say(Answer::Completed(Box::new(completed))).await;
            }
            _ => {}
        }
    }
}

/// A pool of one such peer.
async fn scripted(script: Script) -> Pool {
    let (member, client) = pool();
    let mut peer = FakePeer::offering(&member, Vec::new(), JobId::of::<Numbers>());
    let options = PoolOptions { inline_bytes: 0, no_peers_timeout: Duration::from_millis(200), ..options() };
    let connecting = tokio::spawn({
        let address = peer.address();
        async move { connect(&client, vec![address], options).await.unwrap() }
    });
    let served = peer.asked().await;
    tokio::spawn(async move {
        act(served, script).await;
        drop(peer);
    });
    within(connecting).await.unwrap()
}

/// The job's output, in a folder of its own.
async fn write(pool: &Pool, parent: &TempDir) -> Result<Written, Error> {
    let to = PartFiles::new(parent.path().join("out")).on_shared_storage(true);
    let data = Arc::new(Dataset::new(ItemSlice::new(vec![1u64])).unwrap());
    let options = Options { partitions: Some(1), ..Options::default() };
    within(pool.submit_write(Numbers, (), data, to, options).unwrap().wait()).await
}

fn name(attempt: AttemptId) -> String {
    format!("_attempt {attempt}")
}

fn claim(name: impl Into<String>, bytes: u64) -> SharedPart {
    SharedPart { part: StagedFile { name: name.into(), records: 1, bytes, checksum: 9 }, sides: Vec::new() }
}

/// Writes what a good peer would.
fn good(attempt: AttemptId, folder: &Path) -> SharedPart {
    fs::write(folder.join(name(attempt)), "1\t1\n").unwrap();
    claim(name(attempt), 4)
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A peer's claim, in the driver's folder, which is in one that has a file `thesis`.
type Claim = fn(AttemptId, &Path) -> SharedPart;

const WRONG: &[(&str, Claim)] = &[
    ("a name above the folder", |_, _| claim("../thesis", 4)),
    ("the name of another attempt", |attempt, folder| {
        good(attempt, folder);
        let other = AttemptId { number: attempt.number + 1, ..attempt };
        fs::write(folder.join(name(other)), "1\t2\n").unwrap();
        let claim = claim(name(other), 4);
        // It would be in the way of that attempt.
        fs::rename(folder.join(name(other)), folder.join("_attempt of nobody")).unwrap();
        claim
    }),
    ("the marker", |_, _| claim("_shared", 64)),
    ("a name of an absolute path", |_, folder| claim(folder.join("x").to_str().unwrap(), 4)),
    ("a file that is not there", |attempt, _| claim(name(attempt), 4)),
    ("too many bytes", |attempt, folder| {
        let mut told = good(attempt, folder);
        told.part.bytes += 1;
        told
    }),
    ("too few bytes", |attempt, folder| {
        let mut told = good(attempt, folder);
        told.part.bytes -= 1;
        told
    }),
    ("a side output that there is not", |attempt, folder| {
        let mut told = good(attempt, folder);
        told.sides.push((0, StagedFile { name: format!("{} side 0", name(attempt)), ..told.part.clone() }));
        told
    }),
];

#[tokio::test]
async fn a_claim_that_is_not_true_is_the_peers_fault_and_not_committed() {
    for &(what, wrong) in WRONG {
        let parent = tempfile::tempdir().unwrap();
        fs::write(parent.path().join("thesis"), "mine").unwrap();
        let pool = scripted(Box::new(move |attempt, folder| match attempt {
            AttemptId { task: TaskId::Map(_), .. } => OutputPlace::Peer,
            AttemptId { number: 1, .. } => OutputPlace::Files(wrong(attempt, folder.unwrap())),
            attempt => OutputPlace::Files(good(attempt, folder.unwrap())),
        }))
        .await;
        let written = write(&pool, &parent).await.unwrap();
        assert_eq!(written.report.attempts_failed, 1, "{what}");
        let out = parent.path().join("out");
        assert_eq!(names(&out), ["_MANIFEST.json", "_SUCCESS", "part-00000"], "{what}");
        assert_eq!(fs::read_to_string(out.join("part-00000")).unwrap(), "1\t1\n", "{what}");
        assert_eq!((written.parts[0].bytes, written.parts[0].xxh3), (4, 9), "{what}");
        assert_eq!(names(parent.path()), ["out", "thesis"], "{what}");
        assert_eq!(fs::read_to_string(parent.path().join("thesis")).unwrap(), "mine", "{what}");
    }
}

#[tokio::test]
async fn a_peer_whose_claims_are_never_true_gets_nothing_more_to_do() {
    let parent = tempfile::tempdir().unwrap();
    let pool = scripted(Box::new(|attempt, _| match attempt.task {
        TaskId::Map(_) => OutputPlace::Peer,
        TaskId::Reduce(_) => OutputPlace::Files(claim("part-00000", 0)),
    }))
    .await;
    let error = write(&pool, &parent).await.unwrap_err().to_string();
    assert!(error.contains("no usable peer"), "{error}");
    assert!(names(parent.path()).is_empty());
}

#[tokio::test]
async fn what_nobody_has_asked_for_is_not_taken() {
    let pool = scripted(Box::new(|attempt, folder| {
        assert!(folder.is_none());
        match attempt {
            AttemptId { number: 1, .. } => OutputPlace::Files(claim(name(attempt), 4)),
            AttemptId { task: TaskId::Map(_), .. } => OutputPlace::Peer,
            _ => OutputPlace::Inline(vec![pair()]),
        }
    }))
    .await;
    let data = Arc::new(Dataset::new(ItemSlice::new(vec![1u64])).unwrap());
    let options = Options { partitions: Some(1), ..Options::default() };
    let output = within(pool.submit(Numbers, (), data, options).unwrap().wait()).await.unwrap();
    assert_eq!((output.pairs, output.report.attempts_failed), (vec![(1, 1)], 2));
}

/// The pair of 1 and 1.
fn pair() -> InlineRun {
    InlineRun { partition: 0, pairs: 1, bytes: vec![1, 1, 1, 1].into() }
}

#[tokio::test]
async fn a_peer_that_does_not_see_the_folder_has_its_output_written_by_the_driver() {
    let parent = tempfile::tempdir().unwrap();
    let pool = scripted(Box::new(|attempt, folder| {
        // It may have begun to write.
        fs::write(folder.unwrap().join(name(attempt)), "half a li").unwrap();
        match attempt.task {
            TaskId::Map(_) => OutputPlace::Peer,
            TaskId::Reduce(_) => OutputPlace::Inline(vec![pair()]),
        }
    }))
    .await;
    let written = write(&pool, &parent).await.unwrap();
    let out = parent.path().join("out");
    assert_eq!(names(&out), ["_MANIFEST.json", "_SUCCESS", "part-00000"]);
    assert_eq!(fs::read_to_string(out.join("part-00000")).unwrap(), "1\t1\n");
    let report = written.report;
    assert_eq!((report.output_records, report.output_bytes, report.keys), (1, 4, 1));
}
