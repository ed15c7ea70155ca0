//! What peers ask of a driver: values by their hash, and splits of its input.

use super::{
    hub::Shared,
    mailbox::SplitReply,
    shipping::{Shipment, Shipping},
};
use crate::{
    NodeId, Role,
    mesh::{Incoming, Mesh, OpenError},
    transfer::{Body, Opener, Refusal, refuse, serve},
    transport::Channel,
    wire::{
        FrameReader, FrameWriter,
        message::{Open, Payload, Request},
    },
};
use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{sync::mpsc, task::JoinSet};
use xxhash_rust::xxh3::xxh3_128;

/// Bytes that peers may fetch by their hash.
#[derive(Default)]
pub(super) struct Store(Mutex<HashMap<u128, Entrant>>);

struct Entrant {
    bytes: Arc<[u8]>,
    /// How many [`Stored`] there are.
    keepers: usize,
}

/// Keeps bytes in the store until it is dropped. The same bytes may be kept several times over.
pub(crate) struct Stored {
    hash: u128,
    bytes: u64,
    store: Arc<Store>,
}

impl Store {
    pub(super) fn keep(store: &Arc<Self>, bytes: Arc<[u8]>) -> Stored {
        let hash = xxh3_128(&bytes);
        let stored = Stored { hash, bytes: bytes.len() as u64, store: store.clone() };
        store.entries().entry(hash).or_insert(Entrant { bytes, keepers: 0 }).keepers += 1;
        stored
    }

    fn find(&self, hash: u128) -> Option<Arc<[u8]>> {
        self.entries().get(&hash).map(|entrant| entrant.bytes.clone())
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<u128, Entrant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stored {
    /// How a message refers to it.
    pub(crate) fn payload(&self) -> Payload {
        Payload::Stored { hash: self.hash, bytes: self.bytes }
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        if let Entry::Occupied(mut entry) = self.store.entries().entry(self.hash) {
            entry.get_mut().keepers -= 1;
            if entry.get().keepers == 0 {
                entry.remove();
            }
        }
    }
}

/// Opens streams for transfers.
pub(super) struct DataStreams<'a>(pub(super) &'a Mesh);

impl Opener for DataStreams<'_> {
    async fn open(&self, to: NodeId, open: &Open) -> Result<(FrameWriter, FrameReader), OpenError> {
        self.0.open(to, Channel::Data, open).await
    }
}

/// Answers what comes in, for as long as the mesh lives. At most `splits_max` splits are in memory at once, and fewer if it is
/// tight.
pub(super) async fn serve_all(
    shared: Arc<Shared>,
    mut incoming: mpsc::Receiver<Incoming>,
    splits_max: usize,
) {
    let splits = Arc::new(Shipping::new(splits_max, shared.memory.clone()));
    let mut serving = JoinSet::new();
    loop {
        tokio::select! {
            Some(done) = serving.join_next() => {
                if let Err(error) = done {
                    tracing::error!(%error, "serving a peer panicked");
                }
            }
            next = incoming.recv() => match next {
                Some(request) => drop(serving.spawn(answer(shared.clone(), splits.clone(), request))),
                None => return,
            }
        }
    }
}

async fn answer(shared: Arc<Shared>, splits: Arc<Shipping>, incoming: Incoming) {
    let Incoming { from, role, open, mut writer, reader } = incoming;
    let request = match open {
        Open::Fetch(request) if role == Role::Member => request,
        // Dropping the stream resets it.
        open => return tracing::warn!(%from, %role, ?open, "a stream came that a driver does not serve"),
    };
    let (body, shipment) = tokio::select! {
        found = find(&shared, &splits, request) => found,
        // Nobody waits for it any more.
        _ = writer.stream().stopped() => return,
    };
    match body {
        Ok(body) => {
            if let Err(error) = serve(writer, reader, body).await {
                tracing::debug!(%from, %error, "a transfer to a peer was cut short");
            }
        }
        Err(refusal) => {
            tracing::debug!(%from, %refusal, "refused a peer");
            refuse(writer, refusal).await;
        }
    }
    drop(shipment);
}

/// What is asked for, and what counts it until it was sent.
async fn find<'a>(
    shared: &Shared,
    splits: &'a Shipping,
    request: Request,
) -> (Result<Body, Refusal>, Option<Shipment<'a>>) {
    match request {
        Request::Stored { hash } => match shared.store.find(hash) {
            Some(bytes) => (Ok(one_blob(bytes)), None),
            None => (Err(unknown(format!("the value {hash:032x}"))), None),
        },
        Request::Split { dataset, split } => {
            let mut shipment = splits.begin().await;
            (split_body(shared, dataset, split, &mut shipment).await, Some(shipment))
        }
        request @ (Request::Runs { .. } | Request::Reduced { .. }) => {
            (Err(unknown(format!("{request:?}, which a driver does not have,"))), None)
        }
    }
}

async fn split_body(
    shared: &Shared,
    dataset: u64,
    split: u32,
    shipment: &mut Shipment<'_>,
) -> Result<Body, Refusal> {
    let (reply, answer) = SplitReply::new();
    shared.roster().handle_want_split(dataset, split, reply);
    // No job uses the dataset, or the one that does is over.
    let blocks = answer.await.map_err(|_| unknown(format!("split {split} of dataset {dataset}")))??;
    shipment.has(blocks.iter().map(|block| block.len() as u64).sum());
    let mut body = Body::new();
    for (index, block) in (0..).zip(blocks) {
        body.push(index, 0, block);
    }
    Ok(body)
}

fn one_blob(bytes: Arc<[u8]>) -> Body {
    let mut body = Body::new();
    body.push(0, 0, bytes);
    body
}

fn unknown(what: String) -> Refusal {
    Refusal::Unknown { what }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.entries().iter().map(|(hash, entrant)| (hash, entrant.bytes.len())))
            .finish()
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stored({:032x}, {} bytes)", self.hash, self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_kept_until_the_last_of_those_who_keep_them() {
        let store = Arc::new(Store::default());
        let one = Store::keep(&store, b"centroids"[..].into());
        let two = Store::keep(&store, b"centroids"[..].into());
        assert_eq!((one.hash, one.payload()), (two.hash, two.payload()));
        drop(one);
        assert_eq!(store.find(two.hash).as_deref(), Some(&b"centroids"[..]));
        let hash = two.hash;
        drop(two);
        assert_eq!(store.find(hash), None);
    }
}
