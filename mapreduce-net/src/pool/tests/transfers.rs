//! What peers fetch of the driver, and the driver of peers.

use super::*;
use crate::{
    mesh::OpenError,
    transfer::{Blob, Body, Budget, FetchError, Opener, Refusal, fetch, serve},
    transport::Channel,
    wire::message::{Payload, Request},
};
use mapreduce_core::{Memory, exec::Run};

/// A peer opens streams to its driver on the connections that the driver made.
struct Back<'a>(&'a Mesh);

impl Opener for Back<'_> {
    async fn open(&self, to: NodeId, open: &Open) -> Result<(FrameWriter, FrameReader), OpenError> {
        self.0.open(to, Channel::Data, open).await
    }
}

async fn fetched(peer: &FakePeer, driver: NodeId, request: Request) -> Result<Vec<Blob>, FetchError> {
    let fetched = within(fetch(&Back(&peer.mesh), driver, request, &Budget::new(1 << 30))).await?;
    Ok(fetched.into_parts().0)
}

#[tokio::test]
async fn a_value_can_be_fetched_for_as_long_as_it_is_stored() {
    let (pool, peer, _served) = pair().await;
    let value: Vec<u8> = (0..200_000u32).map(|index| (index % 251) as u8).collect();
    let stored = pool.hub().store(value.clone().into());
    let Payload::Stored { hash, bytes } = stored.payload() else { panic!() };
    assert_eq!(bytes, 200_000);
    let blobs = fetched(&peer, pool.node_id(), Request::Stored { hash }).await.unwrap();
    assert_eq!(blobs.len(), 1);
    assert!(blobs[0].bytes == value);
    drop(stored);
    let error = fetched(&peer, pool.node_id(), Request::Stored { hash }).await.unwrap_err();
    assert!(matches!(error, FetchError::Refused(Refusal::Unknown { .. })), "{error}");
    // Nor does a driver have what is of peers.
    let error =
        fetched(&peer, pool.node_id(), Request::Reduced { job: 1, attempt: attempt(0) }).await.unwrap_err();
    assert!(error.to_string().contains("a driver does not have"), "{error}");
}

#[tokio::test]
async fn a_split_is_read_by_the_job_that_has_it() {
    let (pool, peer, _served) = pair().await;
    let job = Job::start(pool.hub(), 12);
    job.joined().await;
    let driver = pool.node_id();
    let request = |split| Request::Split { dataset: 12, split };
    let (blobs, ()) = tokio::join!(fetched(&peer, driver, request(3)), async {
        let Some(Message::WantSplit { dataset: 12, split: 3, reply }) = job.hear().await else { panic!() };
        assert!(!reply.is_unwanted());
        reply.answer(Ok(vec![b"one\n".to_vec(), b"two\n".to_vec()]));
    });
    let blocks: Vec<_> = blobs.unwrap().into_iter().map(|blob| (blob.index, blob.bytes)).collect();
    assert_eq!(blocks, [(0, b"one\n".to_vec()), (1, b"two\n".to_vec())]);

    let (refused, ()) = tokio::join!(fetched(&peer, driver, request(4)), async {
        assert!(matches!(job.hear().await, Some(Message::WantSplit { split: 4, .. })));
    });
    assert!(matches!(refused, Err(FetchError::Refused(Refusal::Unknown { .. }))));
    drop(job);
    let refused = fetched(&peer, driver, request(5)).await;
    assert!(matches!(refused, Err(FetchError::Refused(Refusal::Unknown { .. }))));
}

#[tokio::test]
async fn no_more_splits_are_read_at_once_than_may_be() {
    let options = PoolOptions { splits_shipped_max: 2, ..options() };
    let (pool, peer, _served) = pair_with(options).await;
    let job = Job::start(pool.hub(), 12);
    job.joined().await;
    let fetches = (0..4).map(|split| fetched(&peer, pool.node_id(), Request::Split { dataset: 12, split }));
    let [a, b, c, d] = <[_; 4]>::try_from(fetches.collect::<Vec<_>>()).ok().unwrap();
    let reader = async {
        let mut waiting = Vec::new();
        for served in 0..4 {
            while waiting.len() < 2.min(4 - served) {
                let Some(Message::WantSplit { split, reply, .. }) = job.hear().await else { panic!() };
                waiting.push((split, reply));
            }
            assert!(job.messages.try_recv().is_err());
            let (split, reply) = waiting.remove(0);
            reply.answer(Ok(vec![vec![split as u8]]));
        }
    };
    let (a, b, c, d, ()) = tokio::join!(a, b, c, d, reader);
    for (split, blobs) in (0..).zip([a, b, c, d]) {
        assert_eq!(blobs.unwrap()[0].bytes, [split]);
    }
}

fn memory() -> Memory {
    Memory::limited(1 << 20)
}

#[tokio::test]
async fn reduce_output_is_fetched_and_posted() {
    let (pool, mut peer, _served) = pair().await;
    let job = Job::start(pool.hub(), 1);
    let id = job.joined().await;
    pool.hub().fetch_reduced(id, job.guard.job, attempt(0), memory());
    let Incoming { open, writer, reader, .. } = peer.next().await;
    assert!(matches!(open, Open::Fetch(Request::Reduced { job: 1, .. })));
    let mut body = Body::new();
    body.push(0, 1, b"\x01\x02kvv".to_vec());
    within(serve(writer, reader, body)).await.unwrap();
    let Some(Message::Reduced { result: Ok(reduced), .. }) = job.hear().await else { panic!() };
    assert_eq!(reduced.into_run(), Run::from_bytes(b"\x01\x02kvv".to_vec(), 1));

    // In pieces, cut short, or of a peer that is gone.
    pool.hub().fetch_reduced(id, 1, attempt(0), memory());
    let Incoming { writer, reader, .. } = peer.next().await;
    within(serve(writer, reader, Body::new())).await.unwrap();
    pool.hub().fetch_reduced(id, 1, attempt(0), memory());
    drop(peer.next().await);
    pool.hub().fetch_reduced(PeerId(99), 1, attempt(0), memory());
    for _ in 0..3 {
        assert!(matches!(job.hear().await, Some(Message::Reduced { result: Err(_), .. })));
    }
}

#[tokio::test]
async fn a_split_that_nobody_waits_for_any_more_need_not_be_read() {
    let (pool, peer, _served) = pair_with(PoolOptions { splits_shipped_max: 1, ..options() }).await;
    let job = Job::start(pool.hub(), 12);
    job.joined().await;
    let reply = tokio::select! {
        _ = fetched(&peer, pool.node_id(), Request::Split { dataset: 12, split: 0 }) => panic!("nobody has sent it"),
        message = job.hear() => match message {
            Some(Message::WantSplit { reply, .. }) => reply,
            other => panic!("{other:?}"),
        },
    };
    // The peer has given up; the next one has its turn.
    let (blobs, ()) =
        tokio::join!(fetched(&peer, pool.node_id(), Request::Split { dataset: 12, split: 1 }), async {
            let Some(Message::WantSplit { split: 1, reply, .. }) = job.hear().await else { panic!() };
            reply.answer(Ok(vec![b"block".to_vec()]));
        });
    assert_eq!(blobs.unwrap().len(), 1);
    assert!(reply.is_unwanted());
}
