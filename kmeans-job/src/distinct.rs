//! [`Distinct`]: rows of which many are equal, as fewer rows with weights.
//!
//! The pixels of a photograph have a fraction as many colours as there are pixels. Equal rows have the same label in
//! every iteration, and a row of weight 3 adds to the sums what three rows add, so Lloyd's iterations over the distinct
//! rows give the same bits in less time.

use crate::numeric::scalar::Scalar;
use foldhash::fast::FixedState;
use std::collections::HashMap;

/// The distinct ones of some rows, in the order in which they come first.
pub(crate) struct Distinct<T> {
    /// Row-major; each row is followed by its weight, the number of rows that are equal to it.
    pub(crate) values: Vec<T>,
    /// Numbers per row: one more than the rows had.
    pub(crate) width: usize,
}

/// Wider rows are seldom equal.
const COLUMNS_MAX: usize = 4;
/// Fewer rows are clustered in no time as they are.
const ROWS_MIN: usize = 1 << 15;
/// Finding an equal row takes about as long as this many multiply-adds of the assignment kernel.
const MULTIPLY_ADDS_MIN: usize = 1000;
/// Beyond, a count is not exact in `f32`.
const WEIGHT_MAX: f64 = 16_777_216.0;
/// Distinct rows among the rows looked at, in percent, beyond which the search is given up.
const DISTINCT_PERCENT_MAX: usize = 60;

impl<T: Scalar> Distinct<T> {
    /// Finds the distinct ones of `rows` (row-major, `d` numbers each) for `iterations` with `k` centroids, unless that
    /// would take longer than it saves. After each eighth of the rows it is given up if most of them were distinct.
    pub(crate) fn find(rows: &[T], d: usize, k: usize, iterations: u32) -> Option<Self> {
        let n = rows.len() / d;
        let work = k.saturating_mul(d).saturating_mul(iterations as usize);
        if d > COLUMNS_MAX || n < ROWS_MIN || work < MULTIPLY_ADDS_MIN {
            return None;
        }
        let width = d + 1;
        let part = n.div_ceil(8);
        let (mut values, mut places) = (Vec::<T>::new(), HashMap::with_hasher(FixedState::with_seed(0)));
        for (row, i) in rows.chunks_exact(d).zip(1..) {
            let mut key = [0; COLUMNS_MAX];
            key.iter_mut().zip(row).for_each(|(bits, x)| *bits = x.to_f64().to_bits());
            let place = places.entry(key).or_insert(usize::MAX);
            match values.get_mut(place.saturating_add(d)) {
                Some(weight) if weight.to_f64() < WEIGHT_MAX => *weight = T::from_f64(weight.to_f64() + 1.0),
                // Not seen yet, or so often that its row comes once more.
                _ => {
                    *place = values.len();
                    values.extend_from_slice(row);
                    values.push(T::from_f64(1.0));
                }
            }
            if i % part == 0 && values.len() / width * 100 > i * DISTINCT_PERCENT_MAX {
                return None;
            }
        }
        Some(Self { values, width })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::random::bits;

    /// Rows of few values, and how often each is there.
    fn rows(n: usize, d: usize, values: u64) -> Vec<f32> {
        (0..(n * d) as u64).map(|i| (bits(3, 0, i) % values) as f32 - 2.0).collect()
    }

    #[test]
    fn equal_rows_become_one_with_a_weight_where_the_first_was() {
        let rows = rows(ROWS_MIN + 5, 2, 9);
        let distinct = Distinct::find(&rows, 2, 100, 100).unwrap();
        assert_eq!(distinct.width, 3);
        let mut expected: Vec<[f32; 3]> = Vec::new();
        for row in rows.as_chunks::<2>().0 {
            match expected.iter_mut().find(|known| known[..2] == row[..]) {
                Some(known) => known[2] += 1.0,
                None => expected.push([row[0], row[1], 1.0]),
            }
        }
        assert_eq!(distinct.values, expected.as_flattened());
    }

    #[test]
    fn it_is_given_up_where_it_does_not_pay() {
        let few = rows(ROWS_MIN, 3, 4);
        assert!(Distinct::find(&few, 3, 16, 300).is_some());
        assert!(Distinct::find(&few[3..], 3, 16, 300).is_none(), "too few rows");
        assert!(Distinct::find(&few, 3, 2, 10).is_none(), "too little to do");
        assert!(Distinct::find(&rows(ROWS_MIN, 5, 2), 5, 16, 300).is_none(), "too many columns");
        assert!(Distinct::find(&rows(ROWS_MIN, 3, 1 << 20), 3, 16, 300).is_none(), "no two are equal");
    }
}
