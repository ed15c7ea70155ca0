//! The emitter of a map task with a combiner: a hash table that folds values in place.
//!
//! A table is worth its cost as long as it finds most keys. At fixed numbers of keys it looks at how many of the pairs
//! were of a key that was new; if that is nearly all of them, the rest of the segment is collected without looking up
//! anything, as without a combiner, and its values are folded when sorting has brought equal keys together. Either way a
//! segment ends with one value for each key, folded in the order in which they were emitted: which way was taken cannot
//! be seen in it.

use super::{
    arena::{ARENA_BYTES_MAX, Arena, place},
    entries::{Entries, Probe},
    map::{self, Collect, TaskContext},
    pool::Pool,
    segment::Segments,
    sizes::Sizes,
    sort::Slot,
};
use crate::{Combiner, Datum, Emit, Key, Partitioner, Result};
use std::{borrow::Borrow, mem};

/// The number of keys in a segment at which it is first decided whether to go on looking them up. Again at twice as
/// many, and so on.
const FIRST_LOOK: usize = 1 << 14;
/// Keys are nearly unique if of so many pairs..
const NEW_OF: u64 = 4;
/// ..so many or more had a new key.
const NEW_MIN: u64 = 3;

/// What a table works with, besides an arena.
pub(super) type Kept<O> = (Entries<O>, Vec<Slot>);

/// Keys lie encoded in an arena, once each; values stay typed until the segment ends.
pub(super) struct Table<'a, K: ?Sized, V: ?Sized + ToOwned, C> {
    task: TaskContext<'a>,
    combiner: &'a C,
    partitioner: &'a dyn Partitioner<K>,
    segments: Segments<'a>,
    segment_bytes: usize,
    entries: Entries<V::Owned>,
    /// What values hold beyond their own size.
    sizes: Sizes,
    /// Whether keys of this segment are looked up.
    folding: bool,
    /// The number of entries at which the first look is taken in a segment, and the next one.
    first_look: usize,
    next_look: usize,
    /// The pairs that had been emitted when the segment began.
    begin: u64,
    /// The pairs of a segment in which keys are not looked up.
    arena: Arena<K>,
    scratch: Vec<u8>,
    slots: Vec<Slot>,
    /// Where the arena, and entries with slots, come from and go.
    arenas: &'a Pool<Arena<K>>,
    tables: &'a Pool<Kept<V::Owned>>,
}

impl<'a, K, V, C> Table<'a, K, V, C>
where
    K: ?Sized + Key,
    V: ?Sized + Datum,
    C: Combiner<K, V>,
{
    pub(super) fn new(
        task: TaskContext<'a>,
        combiner: &'a C,
        partitioner: &'a dyn Partitioner<K>,
        segments: Segments<'a>,
        arenas: &'a Pool<Arena<K>>,
        tables: &'a Pool<Kept<V::Owned>>,
    ) -> Self {
        let segment_bytes = segments.segment_bytes().clamp(1, ARENA_BYTES_MAX);
        let (entries, slots) = tables.take_or(|| (Entries::new(segment_bytes), Vec::new()));
        Self {
            task,
            combiner,
            partitioner,
            segments,
            segment_bytes,
            entries,
            sizes: Sizes::default(),
            folding: true,
            first_look: FIRST_LOOK,
            next_look: FIRST_LOOK,
            begin: 0,
            arena: arenas.take_or(|| Arena::new(segment_bytes)),
            scratch: Vec::new(),
            slots,
            arenas,
            tables,
        }
    }

    #[inline]
    fn take(&mut self, key: &K, value: &V) -> Result {
        if !self.folding {
            return self.collect(key, value);
        }
        let probe = Probe::new(key, &mut self.scratch);
        let Some(at) = self.entries.find::<K>(probe) else { return self.insert(key, value) };
        self.combiner.combine(key, self.entries.value(at), value);
        if mem::needs_drop::<V::Owned>() && self.sizes.folded(at, value, &mut self.scratch)? {
            return self.resize(at);
        }
        Ok(())
    }

    /// Adds a key that the table does not hold.
    fn insert(&mut self, key: &K, value: &V) -> Result {
        let probe = Probe::new(key, &mut self.scratch);
        let mut word = [0; 8];
        let encoded = probe.encoded::<K>(&mut word);
        let partition = map::partition(self.partitioner, key, encoded, self.segments.partitions())?;
        let length = if K::WIDTH.is_some() { 0 } else { encoded.len() };
        let length = place(0, length, "key")?;
        self.entries.insert(probe, length, partition, value.to_owned());
        if mem::needs_drop::<V::Owned>() {
            self.resize(self.entries.len() - 1)?;
        }
        if self.entries.len() == self.next_look {
            self.look()?;
        }
        self.cut_if_full()
    }

    /// Finds out how large a value is that may hold memory elsewhere.
    #[cold]
    fn resize(&mut self, at: usize) -> Result {
        self.scratch.clear();
        Borrow::<V>::borrow(&*self.entries.value(at)).encode(&mut self.scratch)?;
        self.sizes.set(at, self.scratch.len());
        self.cut_if_full()
    }

    /// Decides whether the rest of the segment is looked up.
    #[cold]
    fn look(&mut self) -> Result {
        self.next_look *= 2;
        let pairs = self.task.pairs() - self.begin + 1;
        if (self.entries.len() as u64) * NEW_OF < pairs * NEW_MIN {
            return Ok(());
        }
        self.folding = false;
        for (key, value, partition) in self.entries.iter() {
            self.arena.push_encoded::<V>(key, value.borrow(), partition)?;
        }
        self.forget();
        Ok(())
    }

    /// Adds a pair without looking up its key.
    #[inline]
    fn collect(&mut self, key: &K, value: &V) -> Result {
        let (partitioner, partitions) = (self.partitioner, self.segments.partitions());
        let partition = |encoded: &[u8]| map::partition(partitioner, key, encoded, partitions);
        self.arena.push(key, value, partition)?;
        self.cut_if_full()
    }

    #[inline]
    fn cut_if_full(&mut self) -> Result {
        let held = match self.folding {
            true => self.entries.held_bytes() + self.sizes.held_bytes(),
            false => self.arena.held_bytes(),
        };
        if held >= self.segment_bytes { self.cut() } else { Ok(()) }
    }

    /// Ends the segment.
    #[cold]
    fn cut(&mut self) -> Result {
        if self.folding {
            self.write_entries()?;
            self.forget();
        } else {
            self.write_arena()?;
            self.arena.clear();
        }
        self.folding = true;
        self.next_look = self.first_look;
        self.begin = self.task.pairs() + 1;
        Ok(())
    }

    fn forget(&mut self) {
        self.entries.clear();
        self.sizes.clear();
    }

    fn write_entries(&mut self) -> Result {
        let estimate = self.entries.pair_bytes(K::WIDTH.unwrap_or(0)) + self.sizes.value_bytes();
        let mut writer = self.segments.begin(estimate)?;
        let scratch = &mut self.scratch;
        let partitions = self.segments.partitions();
        self.entries.each_sorted::<K>(&mut self.slots, partitions, |partition, key, value| {
            scratch.clear();
            Borrow::<V>::borrow(value).encode(scratch)?;
            Ok(writer.push(partition, key, scratch)?)
        })?;
        Ok(self.segments.end(writer)?)
    }

    fn write_arena(&mut self) -> Result {
        self.arena.sort(self.segments.partitions());
        let mut writer = self.segments.begin(self.arena.pair_bytes())?;
        let mut pairs = self.arena.pairs().peekable();
        let mut word = [0; 8];
        while let Some(pair) = pairs.next() {
            let mut same = || pairs.next_if(|next| next.has_key_of(&pair)).map(|next| next.value);
            let value = match same() {
                None => pair.value,
                Some(second) => {
                    let more = std::iter::once(second).chain(std::iter::from_fn(same));
                    self.scratch.clear();
                    fold(self.combiner, pair.key(&mut word), pair.value, more, &mut self.scratch)?;
                    &self.scratch
                }
            };
            writer.push(pair.partition, pair.key(&mut word), value)?;
        }
        Ok(self.segments.end(writer)?)
    }
}

/// Folds encoded values and appends the encoding of the result.
fn fold<'v, K, V, C>(
    combiner: &C,
    key: &[u8],
    first: &[u8],
    more: impl Iterator<Item = &'v [u8]>,
    out: &mut Vec<u8>,
) -> Result
where
    K: ?Sized + Key,
    V: ?Sized + Datum,
    C: Combiner<K, V>,
{
    let key = K::decode(key)?;
    let mut folded = V::decode(first)?.into_owned();
    for value in more {
        combiner.combine(key.borrow(), &mut folded, V::decode(value)?.borrow());
    }
    Ok(Borrow::<V>::borrow(&folded).encode(out)?)
}

impl<K, V, C> Emit<K, V> for Table<'_, K, V, C>
where
    K: ?Sized + Key,
    V: ?Sized + Datum,
    C: Combiner<K, V>,
{
    #[inline]
    fn emit(&mut self, key: &K, value: &V) -> Result {
        let taken = self.take(key, value);
        self.task.emitted(taken)
    }

    fn count(&mut self, counter: &'static str, n: u64) {
        self.task.counters.add(counter, n);
    }

    fn side(&mut self, output: &'static str, line: &[u8]) -> Result {
        self.task.side(output, line)
    }
}

impl<'a, K, V, C> Collect<'a> for Table<'a, K, V, C>
where
    K: ?Sized + Key,
    V: ?Sized + Datum,
    C: Combiner<K, V>,
{
    fn finish(mut self) -> Result<(Segments<'a>, TaskContext<'a>)> {
        match self.folding {
            true if self.entries.len() > 0 => self.write_entries()?,
            false if !self.arena.is_empty() => self.write_arena()?,
            _ => {}
        }
        self.entries.clear();
        self.arena.clear();
        self.tables.put_back((self.entries, self.slots));
        self.arenas.put_back(self.arena);
        Ok((self.segments, self.task))
    }
}

#[cfg(test)]
mod tests;
