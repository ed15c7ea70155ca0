//! [`TopRows`]: the rows with the smallest keys, however the data is split.

use serde::{Deserialize, Serialize};
use std::{cmp::Ordering, ops::AddAssign};

/// A row that was chosen by its key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// What it was chosen by: smaller is better. Of equal keys the lower coordinates win, then the lower row.
    pub key: f64,
    /// Its global index.
    pub row: u64,
    /// The index of its nearest centroid, where that is known.
    pub label: u32,
    /// What it weighs; 1 if rows have no weights.
    pub weight: f64,
    /// Its coordinates; empty where only the index is asked for.
    pub point: Vec<f64>,
}

/// The `limit` rows with the smallest keys. Rows with the same (not empty) coordinates count once, as the one with
/// the smallest key.
///
/// The result is the same whichever way the rows are divided and merged.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TopRows {
    limit: u64,
    rows: Vec<Candidate>,
    /// Keys from here on need not be added: there are `limit` better ones.
    bound: Option<f64>,
}

impl TopRows {
    /// No rows yet.
    pub fn new(limit: usize) -> Self {
        Self { limit: limit as u64, rows: Vec::new(), bound: None }
    }

    /// Whether a row with this key could be among the best. If not, it need not be added.
    pub fn admits(&self, key: f64) -> bool {
        self.bound.is_none_or(|bound| key <= bound)
    }

    /// The key that a row must not exceed, once there are enough rows.
    pub fn bound(&self) -> Option<f64> {
        self.bound
    }

    /// Adds a row.
    pub fn add(&mut self, candidate: Candidate) {
        if self.limit > 0 && self.admits(candidate.key) {
            self.rows.push(candidate);
            // Sorting out twice as many rows at a time costs a constant number of comparisons per row.
            if self.rows.len() as u64 >= self.limit.saturating_mul(2) {
                self.sort_out();
            }
        }
    }

    /// The rows, best first.
    pub fn into_rows(mut self) -> Vec<Candidate> {
        self.sort_out();
        self.rows
    }

    fn sort_out(&mut self) {
        self.rows.sort_unstable_by(|a, b| by_point(a, b).then(by_key(a, b)));
        self.rows.dedup_by(|later, first| !first.point.is_empty() && by_point(later, first).is_eq());
        self.rows.sort_unstable_by(by_key);
        self.rows.truncate(self.limit as usize);
        if self.rows.len() as u64 == self.limit {
            self.bound = self.rows.last().map(|last| last.key);
        }
    }
}

impl AddAssign<&TopRows> for TopRows {
    fn add_assign(&mut self, other: &TopRows) {
        self.limit = self.limit.max(other.limit);
        for candidate in &other.rows {
            self.add(candidate.clone());
        }
    }
}

fn by_key(a: &Candidate, b: &Candidate) -> Ordering {
    a.key.total_cmp(&b.key).then_with(|| by_point(a, b)).then(a.row.cmp(&b.row))
}

fn by_point(a: &Candidate, b: &Candidate) -> Ordering {
    // Adding 0 makes 0 of -0, which is the same place.
    let mut coordinates = a.point.iter().zip(&b.point).map(|(x, y)| (x + 0.0).total_cmp(&(y + 0.0)));
    coordinates.find(|order| order.is_ne()).unwrap_or_else(|| a.point.len().cmp(&b.point.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn candidate(key: f64, row: u64, point: &[f64]) -> Candidate {
        Candidate { key, row, label: 0, weight: 1.0, point: point.to_vec() }
    }

    /// Sorts everything, then takes the first of each place.
    fn naive(mut candidates: Vec<Candidate>, limit: usize) -> Vec<Candidate> {
        let point = |c: &Candidate| c.point.iter().map(|x| (x + 0.0) as i64).collect::<Vec<_>>();
        candidates
            .sort_by(|a, b| a.key.total_cmp(&b.key).then(point(a).cmp(&point(b))).then(a.row.cmp(&b.row)));
        let mut kept: Vec<Candidate> = Vec::new();
        for candidate in candidates {
            if candidate.point.is_empty() || kept.iter().all(|other| other.point != candidate.point) {
                kept.push(candidate);
            }
        }
        kept.truncate(limit);
        kept
    }

    proptest! {
        #[test]
        fn any_division_and_order_of_merging_gives_the_best_rows(
            rows in prop::collection::vec((0..12_u8, prop::collection::vec(0..3_u8, 2)), 0..60),
            indices_only: bool,
            limit in 0..9_usize,
            cuts in prop::collection::vec(0..5_usize, 60),
            order in Just((0..5).collect::<Vec<usize>>()).prop_shuffle(),
        ) {
            let candidates: Vec<Candidate> = (0..)
                .zip(&rows)
                .map(|(row, (key, point))| {
                    // 1 and 2 stand for both zeros, which are one place.
                    let point = point.iter().map(|&x| [5.0, 0.0, -0.0][usize::from(x)]);
                    let point: Vec<f64> = if indices_only { Vec::new() } else { point.collect() };
                    candidate(f64::from(*key) - 4.0, row, &point)
                })
                .collect();
            let mut parts = vec![TopRows::new(limit); 5];
            for (candidate, &part) in candidates.iter().zip(&cuts) {
                if parts[part].admits(candidate.key) {
                    parts[part].add(candidate.clone());
                }
            }
            let mut merged = TopRows::default();
            for part in order {
                merged += &parts[part];
            }
            prop_assert_eq!(merged.into_rows(), naive(candidates, limit));
        }
    }

    #[test]
    fn of_coinciding_rows_the_smallest_key_stays_and_of_equal_keys_the_lowest_place_and_row() {
        let mut rows = TopRows::new(2);
        for (key, row, point) in
            [(3.0, 0, [1.0]), (2.0, 5, [1.0]), (2.0, 4, [1.0]), (9.0, 1, [7.0]), (9.0, 2, [6.0])]
        {
            rows.add(candidate(key, row, &point));
        }
        assert_eq!(rows.into_rows(), [candidate(2.0, 4, &[1.0]), candidate(9.0, 2, &[6.0])]);
    }

    #[test]
    fn the_bound_appears_once_there_are_enough_distinct_rows() {
        let mut rows = TopRows::new(2);
        (0..20).for_each(|row| rows.add(candidate(row as f64, row, &[0.0])));
        assert_eq!(rows.bound(), None);
        (0..4).for_each(|row| rows.add(candidate(5.0, row, &[row as f64])));
        assert_eq!(rows.bound(), Some(5.0));
        assert!(rows.admits(5.0) && !rows.admits(5.1));
    }
}
