//! What a driver keeps of failed attempts, and says when it gives up.

use mapreduce_core::{
    FailureKind, TaskFailure,
    engine::Tally,
    exec::AttemptError,
    schedule::{Failure, JobError, TaskId},
};
use std::time::Duration;

#[test]
fn a_tally_keeps_the_last_failure_of_each_task() {
    let (map, reduce) = (TaskId::Map(1), TaskId::Reduce(0));
    let failed = |kind, message: &str| AttemptError {
        failure: TaskFailure::new(kind, message).with_place("words.txt"),
        permanent: kind == FailureKind::Codec,
    };
    let mut tally = Tally::default();
    let told = tally.attempt_failed(map, failed(FailureKind::User, "first"), false);
    assert_eq!(told, Failure::task("error (words.txt): first"));
    let told = tally.attempt_failed(map, failed(FailureKind::Codec, "second"), false);
    assert_eq!(told, Failure::permanent("cannot decode (words.txt): second"));
    // These are not the task's.
    let told = tally.attempt_failed(map, failed(FailureKind::Storage, "other"), false);
    assert_eq!(told, Failure::node("other storage (words.txt): other"));
    assert_eq!(tally.attempt_failed(map, failed(FailureKind::Cancelled, "x"), false), Failure::Cancelled);
    assert_eq!(tally.attempt_failed(map, failed(FailureKind::User, "x"), true), Failure::Cancelled);
    tally.overran(reduce, Duration::from_secs(2), "partition 0".into());

    let exhausted = |task| JobError::AttemptsExhausted { task, failures: 4, last: "said last".into() };
    for (error, expected) in [
        (exhausted(map), "job words: map 1 failed 4 times: cannot decode (words.txt): second"),
        (
            exhausted(reduce),
            "job words: reduce 0 failed 4 times: deadline passed (partition 0): took longer than 2s",
        ),
        (exhausted(TaskId::Map(7)), "job words: map 7 failed 4 times: error (map 7): said last"),
        (
            JobError::Permanent { task: TaskId::Map(8), message: "never".into() },
            "job words: map 8 failed at once: error (map 8): never",
        ),
        (
            JobError::PeersLost { task: map, peers: 3 },
            "job words: map 1 was running on 3 peers as they were lost;",
        ),
    ] {
        let message = tally.error("words", error).to_string();
        assert!(message.starts_with(expected), "{message}");
    }
}
