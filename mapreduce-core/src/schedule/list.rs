//! Doubly linked lists over indices: O(1) removal from the middle, no allocation per element.
//!
//! [`Links`] holds the neighbours of every index, [`Ends`] one list. Many lists may share one `Links` as long as an
//! index is in at most one of them; whoever owns both keeps track of which.

/// "No index": the end of a list, a task without attempt, a split without pin.
pub(super) const NONE: u32 = u32::MAX;

/// First and last element of one list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    first: u32,
    last: u32,
}

impl Ends {
    pub(super) const EMPTY: Self = Self { first: NONE, last: NONE };

    #[inline]
    pub(super) fn first(self) -> Option<u32> {
        (self.first != NONE).then_some(self.first)
    }

    #[inline]
    pub(super) fn is_empty(self) -> bool {
        self.first == NONE
    }
}

/// The neighbours of each index in the one list it is in.
#[derive(Debug, Default)]
pub(super) struct Links {
    neighbours: Vec<Neighbours>,
}

#[derive(Clone, Copy, Debug)]
struct Neighbours {
    prev: u32,
    next: u32,
}

impl Links {
    /// Makes room for indices below `len`; those that were there keep their place.
    pub(super) fn resize(&mut self, len: usize) {
        self.neighbours.resize(len, Neighbours { prev: NONE, next: NONE });
    }

    pub(super) fn push_front(&mut self, ends: &mut Ends, index: u32) {
        self.insert_after(ends, NONE, index);
    }

    pub(super) fn push_back(&mut self, ends: &mut Ends, index: u32) {
        self.insert_after(ends, ends.last, index);
    }

    /// Puts `index` behind the last element that is not `greater` than it. Cheap when it belongs near the end.
    pub(super) fn insert_sorted(&mut self, ends: &mut Ends, index: u32, greater: impl Fn(u32) -> bool) {
        let mut after = ends.last;
        while after != NONE && greater(after) {
            after = self.neighbours[after as usize].prev;
        }
        self.insert_after(ends, after, index);
    }

    /// `index` must be in the list of `ends`.
    pub(super) fn remove(&mut self, ends: &mut Ends, index: u32) {
        let Neighbours { prev, next } = self.neighbours[index as usize];
        match prev {
            NONE => ends.first = next,
            prev => self.neighbours[prev as usize].next = next,
        }
        match next {
            NONE => ends.last = prev,
            next => self.neighbours[next as usize].prev = prev,
        }
    }

    /// The elements in order. What is removed while iterating must not be the current element's successor.
    pub(super) fn iter(&self, ends: Ends) -> impl Iterator<Item = u32> + '_ {
        std::iter::successors(ends.first(), |&index| self.next(index))
    }

    #[inline]
    pub(super) fn next(&self, index: u32) -> Option<u32> {
        let next = self.neighbours[index as usize].next;
        (next != NONE).then_some(next)
    }

    #[inline]
    fn insert_after(&mut self, ends: &mut Ends, prev: u32, index: u32) {
        let next = match prev {
            NONE => std::mem::replace(&mut ends.first, index),
            prev => std::mem::replace(&mut self.neighbours[prev as usize].next, index),
        };
        match next {
            NONE => ends.last = index,
            next => self.neighbours[next as usize].prev = index,
        }
        self.neighbours[index as usize] = Neighbours { prev, next };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(links: &Links, ends: Ends) -> Vec<u32> {
        links.iter(ends).collect()
    }

    #[test]
    fn elements_leave_from_anywhere_and_the_rest_stays_in_order() {
        let (mut links, mut ends) = (Links::default(), Ends::EMPTY);
        links.resize(5);
        for index in [2, 0, 4] {
            links.push_back(&mut ends, index);
        }
        links.push_front(&mut ends, 1);
        assert_eq!(list(&links, ends), [1, 2, 0, 4]);
        links.remove(&mut ends, 0);
        assert_eq!(list(&links, ends), [1, 2, 4]);
        links.remove(&mut ends, 4);
        links.remove(&mut ends, 1);
        assert_eq!(list(&links, ends), [2]);
        links.remove(&mut ends, 2);
        assert!(ends.is_empty());
        links.push_back(&mut ends, 3);
        assert_eq!(list(&links, ends), [3]);
    }

    #[test]
    fn sorted_insertion_goes_behind_its_equals() {
        let (mut links, mut ends) = (Links::default(), Ends::EMPTY);
        let key = [10, 30, 20, 20, 5];
        links.resize(key.len());
        for index in 0..key.len() as u32 {
            links.insert_sorted(&mut ends, index, |other| key[other as usize] > key[index as usize]);
        }
        assert_eq!(list(&links, ends), [4, 0, 2, 3, 1]);
    }
}
