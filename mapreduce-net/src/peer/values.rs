//! [`Values`]: what a driver broadcasts, fetched once however often it is referred to.

use super::{Shared, failure};
use crate::{
    NodeId,
    transfer::fetch,
    wire::message::{AttemptFailure, Payload, Request},
};
use mapreduce_core::{Block, Held};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};
use tokio::sync::OnceCell;
use xxhash_rust::xxh3::xxh3_128;

/// The values of one session, by hash and length. A value is here as long as somebody has it.
#[derive(Default)]
pub(super) struct Values(Mutex<HashMap<(u128, u64), Weak<Stored>>>);

/// The bytes of a payload.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// They came in a message.
    Inline(Block<u8>),
    /// They were fetched.
    Stored(Arc<Stored>),
}

/// A value that is fetched, once it was.
#[derive(Debug, Default)]
pub(super) struct Stored(OnceCell<(Vec<u8>, Held)>);

impl Values {
    /// The bytes of a payload, if they are here.
    pub(super) fn at_hand(&self, payload: &Payload) -> Option<Value> {
        match payload {
            Payload::Inline(bytes) => Some(Value::Inline(bytes.clone())),
            Payload::Stored { hash, bytes } => {
                let stored = self.stored(*hash, *bytes);
                stored.0.initialized().then_some(Value::Stored(stored))
            }
        }
    }

    /// The bytes of a payload, from its driver if they are not here.
    pub(super) async fn get(
        &self,
        shared: &Shared,
        driver: NodeId,
        payload: Payload,
    ) -> Result<Value, AttemptFailure> {
        let (hash, bytes) = match payload {
            Payload::Inline(bytes) => return Ok(Value::Inline(bytes)),
            Payload::Stored { hash, bytes } => (hash, bytes),
        };
        let stored = self.stored(hash, bytes);
        // Whoever else wants it waits here for the same transfer.
        stored.0.get_or_try_init(|| download(shared, driver, hash, bytes)).await?;
        Ok(Value::Stored(stored))
    }

    fn stored(&self, hash: u128, bytes: u64) -> Arc<Stored> {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stored) = values.get(&(hash, bytes)).and_then(Weak::upgrade) {
            return stored;
        }
        values.retain(|_, stored| stored.strong_count() > 0);
        let stored = Arc::<Stored>::default();
        values.insert((hash, bytes), Arc::downgrade(&stored));
        stored
    }
}

impl AsRef<[u8]> for Value {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Inline(bytes) => bytes,
            Self::Stored(stored) => stored.0.get().map_or(&[], |(bytes, _)| bytes),
        }
    }
}

async fn download(
    shared: &Shared,
    driver: NodeId,
    hash: u128,
    bytes: u64,
) -> Result<(Vec<u8>, Held), AttemptFailure> {
    let fetched = fetch(shared, driver, Request::Stored { hash }, &shared.budget).await;
    let fetched = fetched.map_err(|error| failure::of_driver("a broadcast value", error))?;
    let (mut blobs, _held) = fetched.into_parts();
    match (blobs.pop(), blobs.is_empty()) {
        (Some(blob), true) if blob.bytes.len() as u64 == bytes && xxh3_128(&blob.bytes) == hash => {
            // It has to be there, whether it fits or not.
            Ok((blob.bytes, shared.memory.hold(bytes)))
        }
        _ => Err(failure::node("a broadcast value from the driver is not the one that was announced")),
    }
}
