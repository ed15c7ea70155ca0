//! [`SplitCache`]: what tasks have left about a split for later tasks on it.

use crate::{Held, Memory};
use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// What tasks have left about one split: one value of each type, put there and taken by mappers
/// ([`Split::take_cache`](crate::Split::take_cache)). [`SplitCache::default`] is empty.
///
/// A map attempt is given the cache of its split, and changes it. It is put back if the attempt commits.
#[derive(Default)]
pub struct SplitCache(
    /// Nothing as long as nothing was put there: there is a cache for each of very many splits.
    Option<Box<Kept>>,
);

#[derive(Default)]
struct Kept {
    values: HashMap<TypeId, Cached>,
    /// The memory of those values whose size is known.
    held: Option<Held>,
}

struct Cached {
    value: Box<dyn Any + Send>,
    /// 0 if nobody has said.
    bytes: u64,
}

impl SplitCache {
    /// Drops what is in the cache. That runs code of the mappers that put it there; a panic in it is swallowed, where
    /// a plain drop would pass it on.
    pub fn discard(self) {
        discard(self.0.into_iter().flat_map(|kept| kept.values.into_values()));
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Counts the values whose size is known in `memory`, as long as the cache lives; or drops them if there is no room
    /// for them. To be called when an attempt has ended, where code of its mapper may run.
    ///
    /// Caches leave half of the budget, less what is reserved for running tasks, to what tasks emit.
    pub fn keep_within(&mut self, memory: &Memory) {
        let Some(Kept { values, held }) = self.0.as_deref_mut() else { return };
        *held = None;
        let bytes = values.values().fold(0, |sum: u64, cached| sum.saturating_add(cached.bytes));
        if bytes > 0 {
            *held = memory.try_hold_cache(bytes);
            if held.is_none() {
                discard(values.extract_if(|_, cached| cached.bytes > 0).map(|(_, cached)| cached));
            }
        }
    }

    fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |kept| kept.values.len())
    }

    pub(super) fn take<C: Send + 'static>(&mut self) -> Option<Box<C>> {
        self.0.as_mut()?.values.remove(&TypeId::of::<C>())?.value.downcast().ok()
    }

    pub(super) fn put<C: Send + 'static>(&mut self, value: Box<C>, bytes: u64) {
        let kept = self.0.get_or_insert_default();
        kept.values.insert(TypeId::of::<C>(), Cached { value, bytes });
    }
}

fn discard(values: impl Iterator<Item = Cached>) {
    for Cached { value, .. } in values {
        // Nobody sees what the drop has left half-done.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(value)));
    }
}

impl fmt::Debug for SplitCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SplitCache").field("values", &self.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_discarded_cache_is_dropped_whole_whatever_panics() {
        struct Panics;
        impl Drop for Panics {
            fn drop(&mut self) {
                panic!("the drop of a cached value");
            }
        }
        let held = Arc::new(());
        let mut cache = SplitCache::default();
        cache.put(Box::new(Panics), 0);
        cache.put(Box::new(held.clone()), 0);
        cache.put(Box::new([Some(Panics), None]), 0);
        cache.discard();
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[test]
    fn values_of_a_known_size_are_kept_if_they_fit() {
        let memory = Memory::limited(100);
        let cache = |bytes| {
            let mut cache = SplitCache::default();
            cache.put(Box::new(1_u8), bytes);
            cache.put(Box::new(2_u16), 0);
            cache.keep_within(&memory);
            cache
        };
        let mut first = cache(40);
        assert_eq!((memory.held_bytes(), first.len()), (40, 2));
        // Half of the budget is for others.
        let mut second = cache(11);
        assert_eq!(
            (memory.held_bytes(), second.take::<u8>(), second.take::<u16>()),
            (40, None, Some(Box::new(2)))
        );
        // What is put there anew takes the place of what was.
        assert_eq!(first.take::<u8>(), Some(Box::new(1)));
        first.put(Box::new(3_u8), 50);
        first.keep_within(&memory);
        assert_eq!((memory.held_bytes(), first.len()), (50, 2));
        first.put(Box::new(3_u8), 0);
        first.keep_within(&memory);
        assert_eq!(memory.held_bytes(), 0);
    }
}
