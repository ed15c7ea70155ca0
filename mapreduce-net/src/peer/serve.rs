//! Answers other nodes that want what attempts on this peer have left.

use super::{Shared, outputs::Outputs};
use crate::{
    NodeId, Role,
    transfer::{self, Body, Refusal, ServeError},
    wire::{FrameReader, FrameWriter, message::Request},
};
use mapreduce_core::{
    exec::Run,
    schedule::{AttemptId, Round, TaskId},
};
use std::sync::Arc;

/// Answers one request, on the stream that it came with.
pub(super) async fn serve(
    shared: Arc<Shared>,
    from: NodeId,
    role: Role,
    request: Request,
    writer: FrameWriter,
    reader: FrameReader,
) {
    match find(&shared, from, role, request) {
        Ok(body) => {
            match transfer::serve_compressed(shared.compression, writer, reader, body).await {
                Ok(()) => {}
                // Whoever has asked sees an end too early, and has the driver find another way.
                Err(error @ ServeError::Spill(_)) => {
                    tracing::warn!(node = %from, %error, "spilled data cannot be sent");
                }
                Err(error) => tracing::debug!(node = %from, %error, "data was not sent to its end"),
            }
        }
        Err(what) => {
            tracing::debug!(node = %from, what, "refused a request");
            transfer::refuse(writer, Refusal::Unknown { what }).await;
        }
    }
}

/// What was asked for; what is not there, in words, if it is not.
fn find(shared: &Shared, from: NodeId, role: Role, request: Request) -> Result<Body, String> {
    match request {
        Request::Runs { driver, job, round, partition, outputs } => {
            // Map output is for peers, and for whose it is. For others it is not there.
            let allowed = role == Role::Member || from == driver;
            let shelf = shared.shelves.of(driver).filter(|_| allowed);
            let shelf = shelf.ok_or_else(|| format!("map output for {driver}"))?;
            runs(&shelf, job, round, partition, &outputs)
        }
        Request::Reduced { job, attempt } => {
            let run = match attempt.task {
                TaskId::Reduce(partition) => shared
                    .shelves
                    .of(from)
                    .and_then(|shelf| shelf.reduced(job, attempt.round, (partition, attempt.number))),
                TaskId::Map(_) => None,
            };
            let run = run.ok_or_else(|| described(job, attempt))?;
            let mut body = Body::new();
            body.push_run(attempt.task.index(), Run::clone(&run));
            Ok(body)
        }
        Request::Split { .. } | Request::Stored { .. } => {
            Err("what drivers have, which a peer does not,".into())
        }
    }
}

fn runs(
    shelf: &Outputs,
    job: u64,
    round: Round,
    partition: u32,
    outputs: &[(u32, u32)],
) -> Result<Body, String> {
    let mut body = Body::new();
    for &(split, number) in outputs {
        let attempt = || described(job, AttemptId { round, task: TaskId::Map(split), number });
        let output = shelf.map(job, round, (split, number)).ok_or_else(attempt)?;
        let run = output.runs.get(partition as usize);
        let run = run.ok_or_else(|| format!("partition {partition} of {}", attempt()))?;
        if run.pairs() > 0 {
            body.push_run(split, run.clone());
        }
    }
    Ok(body)
}

fn described(job: u64, attempt: AttemptId) -> String {
    format!("the output of {attempt} in {} of job {job}", attempt.round)
}
