//! [`SplitCache`]: what tasks have left about a split for later tasks on it.

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
pub struct SplitCache(HashMap<TypeId, Box<dyn Any + Send>>);

impl SplitCache {
    /// Drops what is in the cache. That runs code of the mappers that put it there; a panic in it is swallowed, where
    /// a plain drop would pass it on.
    pub fn discard(self) {
        for value in self.0.into_values() {
            // Nobody sees what the drop has left half-done.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(value)));
        }
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take<C: Send + 'static>(&mut self) -> Option<Box<C>> {
        self.0.remove(&TypeId::of::<C>())?.downcast().ok()
    }

    pub(super) fn put<C: Send + 'static>(&mut self, value: Box<C>) {
        self.0.insert(TypeId::of::<C>(), value);
    }
}

impl fmt::Debug for SplitCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SplitCache").field("values", &self.0.len()).finish()
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
        cache.put(Box::new(Panics));
        cache.put(Box::new(held.clone()));
        cache.put(Box::new([Some(Panics), None]));
        cache.discard();
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
