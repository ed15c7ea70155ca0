//! [`StandIn`]: rows that stand in for those of the data in Lloyd's iterations, which come to the same sums with them in less
//! time.

use crate::{centred::Centred, data::Matrix, distinct, near, numeric::scalar::Scalar, source::Source};

/// The rows that Lloyd's iterations go through.
#[derive(Default)]
pub(crate) struct StandIn<T: Scalar> {
    /// The data in another form; nothing if it does best as it is.
    pub(crate) rows: Option<Source<T>>,
    /// Whether each row is there once, with the number of its copies behind it.
    pub(crate) weights_are_copies: bool,
    /// Whether rows that follow each other are near each other.
    pub(crate) are_near: bool,
}

impl<T: Scalar> StandIn<T> {
    /// What suits so many iterations with `k` centroids; the data itself if it is in files or `stop` asks for an end. If it
    /// `is_fixed`, it cannot be replaced.
    pub(crate) fn find(
        rows: &Centred<T>,
        k: usize,
        iterations: u32,
        is_fixed: bool,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Self {
        let Some(all) = rows.in_memory() else { return Self::default() };
        let d = rows.d();
        if is_fixed {
            return Self { are_near: near::are_near(all, d, k, iterations), ..Self::default() };
        }
        let has_weights = rows.weighing.behind > 0;
        let distinct = (!has_weights).then(|| distinct::find(all, k, iterations, stop)).flatten();
        let weights_are_copies = distinct.is_some();
        let found = distinct.as_ref().unwrap_or(all);
        let room = room_for_copies(all).saturating_sub(distinct.as_ref().map_or(0, bytes));
        let arranged = near::arrange(found, d, k, iterations, room, stop);
        let are_near = arranged.is_some() || near::are_near(found, d, k, iterations);
        Self { rows: arranged.or(distinct).map(Source::Memory), weights_are_copies, are_near }
    }
}

/// The bytes that copies of rows may take: a fit promises to need no more than 1.3 times the rows, 16 bytes each and 100 MB, half
/// of which are for the program. Of a row its label is remembered besides, and bounds on two distances.
fn room_for_copies<T: Scalar>(all: &Matrix<T>) -> u64 {
    const OF_ROW: u64 = 16;
    const OF_FIT: u64 = 50_000_000;
    let (rows, remembered) = (all.rows() as u64, (size_of::<u32>() + 2 * size_of::<T>()) as u64);
    let promised = (bytes(all) / 10 * 3).saturating_add(rows.saturating_mul(OF_ROW)).saturating_add(OF_FIT);
    promised.saturating_sub(rows.saturating_mul(remembered))
}

fn bytes<T: Scalar>(rows: &Matrix<T>) -> u64 {
    size_of_val(rows.values()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distance::Distance;

    /// Rows of one column, in ascending order or not.
    fn centred(in_order: bool) -> Centred<f32> {
        let n = 1_u32 << 15;
        let value = |i: u32| (if in_order { i } else { i.reverse_bits() >> 17 }) as f32;
        let matrix = Matrix::new(n as usize, 1, (0..n).map(value).collect()).unwrap();
        Centred::like(Source::Memory(matrix), Distance::Euclidean, &[0.0]).unwrap()
    }

    #[test]
    fn rows_that_come_in_order_are_near_each_other_also_where_they_cannot_be_replaced() {
        for is_fixed in [false, true] {
            let of = |in_order| StandIn::find(&centred(in_order), 5, 300, is_fixed, &|| false);
            let (in_order, shuffled) = (of(true), of(false));
            assert!(in_order.are_near && in_order.rows.is_none());
            assert!(!shuffled.are_near && shuffled.rows.is_none());
        }
    }

    #[test]
    fn rows_are_arranged_where_it_pays_and_they_may_be_replaced() {
        let of = |is_fixed| StandIn::find(&centred(false), 64, 300, is_fixed, &|| false);
        let (replaced, fixed) = (of(false), of(true));
        assert!(replaced.are_near && replaced.rows.is_some());
        assert!(!fixed.are_near && fixed.rows.is_none());
    }

    #[test]
    fn copies_are_not_for_rows_that_take_most_of_what_is_promised() {
        let room = |n: usize, d: usize| {
            let matrix = Matrix::<f32>::zeros(n, d).unwrap();
            (room_for_copies(&matrix), bytes(&matrix))
        };
        let (room_of_few, few) = room(1_000_000, 3);
        assert!(few <= room_of_few, "{few} {room_of_few}");
        // Not touched, so there need not be room for them here.
        let (room_of_many, many) = room(4_000_000, 8);
        assert!(many > room_of_many, "{many} {room_of_many}");
    }
}
