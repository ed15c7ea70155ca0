//! The kernel's `map_split` against the textbook's `map`, one pair for each row.

use super::{
    ENGINE,
    data::{Table, blobs, integers},
};
use kmeans_job::{
    jobs::{
        assign::Assign,
        lloyd::{Centroids, Cluster, Lloyd, MOVED, Step},
        rows::{CentredRows, CentredSlice},
    },
    numeric::{grid::Grid, scalar::Scalar},
};
use mapreduce_core::{Output, prelude::*};

/// A round of Lloyd's algorithm, row by row.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "T: Scalar")]
struct Textbook<T>(Lloyd<T>);

struct RowByRow<T: Scalar>(Assign<T>);

impl<T: Scalar> Mapper for RowByRow<T> {
    type Input = CentredRows<T>;
    type Key = u32;
    type Value = Cluster<T>;

    fn map(&self, row: &[T], out: &mut impl Emit<u32, Cluster<T>>) -> Result {
        self.0.map(row, out)
    }
}

impl<T: Scalar> Job for Textbook<T> {
    const NAME: &'static str = "textbook";
    type Shared = Centroids;
    type Mapper = RowByRow<T>;
    type Combiner = Sum;
    type Reducer = Fold<Sum>;

    fn mapper(&self, shared: &Centroids) -> Result<RowByRow<T>> {
        self.0.mapper(shared).map(RowByRow)
    }

    fn combiner(&self) -> Sum {
        Sum
    }

    fn reducer(&self, _: &Centroids) -> Result<Fold<Sum>> {
        Ok(Fold(Sum))
    }
}

/// Index, count and sums of each cluster that has rows or has lost some, and the counter of moved rows.
type Clusters<S> = (Vec<(u32, i64, Vec<S>)>, u64);

fn clusters<T: Scalar, J>(output: Output<J>) -> Clusters<T::Sum>
where
    J: Job<Mapper: Mapper<Key = u32, Value = Cluster<T>>, Combiner = Sum, Reducer = Fold<Sum>>,
{
    let pairs = output.pairs.into_iter().map(|(k, cluster)| (k, cluster.count, cluster.sums.into_vec()));
    // Row by row, a cluster may lose what it gains.
    let is_something = |sum: &T::Sum| *sum != T::Sum::default();
    let pairs = pairs.filter(|(_, count, sums)| *count != 0 || sums.iter().any(is_something));
    (pairs.collect(), output.counters.get(MOVED))
}

fn assert_map_is_map_split<T: Scalar>(table: &Table, rounds: &[Vec<f64>]) {
    for weights in [None, Some(0), Some(3)] {
        for steps in [[Step::Assign; 2], [Step::Change; 2], [Step::Change, Step::Assign]] {
            for are_near in [false, true] {
                assert_map_is_map_split_in::<T>(table, weights, are_near, rounds, steps, 3000);
            }
        }
    }
}

/// With weights of some bits behind the point or without; the steps take turns.
fn assert_map_is_map_split_in<T: Scalar>(
    table: &Table,
    weights: Option<u8>,
    are_near: bool,
    rounds: &[Vec<f64>],
    steps: [Step; 2],
    split_bytes: u64,
) {
    let (d, n) = (table.d, table.rows() as u64);
    let magnitude = table.values.iter().fold(0.0_f64, |max, x| max.max(x.abs()));
    let (grid, width) = match weights {
        None => (Grid::<T>::new(&vec![magnitude; d], n), d),
        Some(bits) => (Grid::weighted(&vec![magnitude; d], bits, 8 * n), d + 1),
    };
    let rows = table.values.chunks(d).enumerate().flat_map(|(i, row)| {
        let weight = weights.map(|bits| (i % 7) as f64 / f64::from(1 << bits));
        row.iter().copied().chain(weight)
    });
    let values: Vec<T> = rows.map(T::from_f64).collect();
    let lloyd = Lloyd { grid, weights_are_copies: weights == Some(0), are_near };
    let dataset =
        || Dataset::with_split_bytes(CentredSlice::new(&values, width).unwrap(), split_bytes).unwrap();
    let kept = dataset();
    for (round, current) in rounds.iter().enumerate() {
        let previous = round.checked_sub(1).map(|before| rounds[before].clone()).unwrap_or_default();
        let shared = Centroids { current: current.clone(), previous, step: steps[round % 2] };
        let textbook = clusters::<T, _>(ENGINE.run(&Textbook(lloyd.clone()), &shared, &dataset()).unwrap());
        if weights.is_none() && (shared.step == Step::Assign || round == 0) {
            assert_eq!(textbook.0.iter().map(|cluster| cluster.1).sum::<i64>(), n as i64);
        }
        let how = format!("{weights:?}, near: {are_near}, {:?} in round {round}", shared.step);
        let with_cache = clusters::<T, _>(ENGINE.run(&lloyd, &shared, &kept).unwrap());
        assert_eq!(with_cache, textbook, "{how}");
        let without = clusters::<T, _>(ENGINE.run(&lloyd, &shared, &dataset()).unwrap());
        assert_eq!(without, textbook, "{how} with nothing cached");
    }
}

#[test]
fn the_kernel_gives_what_the_textbook_gives() {
    let line = Table::new(1, (0..500).map(|i| f64::from(i % 97) / 7.0).collect::<Vec<_>>());
    for (table, k) in [(blobs(333, 5, 9, 0.8, 1), 9), (integers(400, 2, 6, 2), 5), (line, 1)] {
        let rounds: Vec<Vec<f64>> =
            (0..4).map(|round| table.pick((0..k).map(|c| c * 7 + round * (c % 3))).values).collect();
        assert_map_is_map_split::<f32>(&table, &rounds);
        assert_map_is_map_split::<f64>(&table, &rounds);
    }
}

#[test]
fn centroids_that_move_little_leave_the_kernel_with_what_the_textbook_gives() {
    // Enough columns and centroids for bounds, and more rows than are gathered at once.
    for (table, k) in
        [(blobs(2500, 5, 12, 1.5, 1), 12), (integers(3000, 3, 4, 2), 20), (blobs(50, 3, 2, 0.1, 3), 16)]
    {
        let start = table.pick((0..k).map(|c| c * 3)).values;
        let drifting = |round: i32| -> Vec<f64> {
            let step = |i: usize| ((i * 7919 + round as usize) % 13) as f64 * 0.1 / f64::from(1 << round);
            start.iter().enumerate().map(|(i, x)| x + step(i)).collect()
        };
        let rounds: Vec<Vec<f64>> = (0..7).map(drifting).collect();
        assert_map_is_map_split::<f32>(&table, &rounds);
        assert_map_is_map_split::<f64>(&table, &rounds);
    }
}

#[test]
fn rows_in_an_order_that_leaves_suit_give_the_kernel_what_the_textbook_gives() {
    // Several leaves to a split, of few clusters each; ties on whole numbers; and rows that are all the same.
    let by_value = |mut table: Table| {
        let mut rows: Vec<Vec<f64>> = table.values.chunks(table.d).map(<[f64]>::to_vec).collect();
        rows.sort_by(|a, b| a.partial_cmp(b).unwrap());
        table.values = rows.concat();
        table
    };
    for (table, k) in [
        (by_value(blobs(3000, 2, 6, 0.2, 5)), 6),
        (by_value(integers(3000, 1, 200, 6)), 40),
        (Table::new(2, vec![1.5; 1000]), 3),
    ] {
        let pick = |round: usize| {
            table.pick((0..k).map(|c| (c * table.rows() / k + round * (c % 3)) % table.rows()))
        };
        let rounds: Vec<Vec<f64>> = (0..5).map(|round| pick(round).values).collect();
        assert_map_is_map_split::<f32>(&table, &rounds);
        assert_map_is_map_split::<f64>(&table, &rounds);
    }
}

#[test]
fn rows_of_many_columns_that_come_one_cluster_after_the_other_give_the_kernel_what_the_textbook_gives() {
    // Of three centroids or some more, a few come into question for several leaves on end; the last leaf is a short one.
    let mixed = blobs(1203, 11, 3, 0.3, 8);
    let table = mixed.pick((0..3).flat_map(|cluster| (cluster..1203).step_by(3)));
    // With 40, so many that bounds are kept where they save more.
    for k in [3, 9, 12, 40] {
        let drifting = |round: i32| -> Vec<f64> {
            let start = table.pick((0..k).map(|c| c * 1203 / k + 5)).values;
            let step = |i: usize| ((i * 7919 + round as usize) % 13) as f64 * 0.05 / f64::from(1 << round);
            start.iter().enumerate().map(|(i, x)| x + step(i)).collect()
        };
        let rounds: Vec<Vec<f64>> = (0..5).map(drifting).collect();
        for (weights, steps) in [
            (None, [Step::Change, Step::Change]),
            (Some(0), [Step::Assign, Step::Change]),
            (Some(3), [Step::Assign, Step::Assign]),
        ] {
            assert_map_is_map_split_in::<f32>(&table, weights, true, &rounds, steps, 40_000);
            assert_map_is_map_split_in::<f64>(&table, weights, true, &rounds, steps, 40_000);
        }
    }
}

#[test]
fn a_cache_of_other_centroids_is_not_believed() {
    // Rounds that go back and forth: the labels kept are not always those of the round before.
    let table = integers(300, 2, 9, 3);
    let (a, b) = (table.pick([0, 1, 2]).values, table.pick([3, 4, 5]).values);
    assert_map_is_map_split::<f32>(&table, &[a.clone(), b.clone(), a.clone(), a, b]);

    let values: Vec<f64> = table.values.clone();
    let data = Dataset::with_split_bytes(CentredSlice::new(&values, 2).unwrap(), 100).unwrap();
    let lloyd = Lloyd { grid: Grid::<f64>::new(&[9.0; 2], 300), weights_are_copies: false, are_near: false };
    let centroids = |rows: [usize; 3]| table.pick(rows).values;
    let moved = |current: Vec<f64>, previous: Vec<f64>| {
        let shared = Centroids { current, previous, step: Step::Assign };
        ENGINE.run(&lloyd, &shared, &data).unwrap().counters.get(MOVED)
    };
    assert_eq!(moved(centroids([0, 1, 2]), Vec::new()), 300);
    let expected = moved(centroids([3, 4, 5]), centroids([6, 7, 8]));
    // The same question again, when the labels of [3, 4, 5] are kept.
    assert_eq!(moved(centroids([3, 4, 5]), centroids([6, 7, 8])), expected);
    assert_eq!(moved(centroids([3, 4, 5]), centroids([3, 4, 5])), 0);
}

#[test]
fn sums_that_were_kept_on_another_grid_are_not_believed() {
    let values: Vec<f64> = (0..1000).map(|i| f64::from(i) / 8.0).collect();
    let centroids = vec![10.0, 60.0, 110.0];
    let shared = Centroids { current: centroids.clone(), previous: centroids, step: Step::Assign };
    let lloyd = |magnitude: f64| Lloyd {
        grid: Grid::<f64>::new(&[magnitude], 1000),
        weights_are_copies: false,
        are_near: true,
    };
    let dataset = || Dataset::new(CentredSlice::new(&values, 1).unwrap()).unwrap();
    let kept = dataset();
    // A second round makes what a third one adds up.
    for magnitude in [125.0, 125.0, 125.0, 4000.0, 4000.0, 4000.0] {
        let found = clusters::<f64, _>(ENGINE.run(&lloyd(magnitude), &shared, &kept).unwrap());
        let fresh = clusters::<f64, _>(ENGINE.run(&lloyd(magnitude), &shared, &dataset()).unwrap());
        assert_eq!(found.0, fresh.0, "{magnitude}");
    }
}

#[test]
fn jobs_that_need_the_index_of_a_row_say_so_when_they_get_rows_one_by_one() {
    let values = [0.0, 1.0];
    let data = Dataset::new(CentredSlice::<f64>::new(&values, 1).unwrap()).unwrap();
    let lloyd = Lloyd { grid: Grid::<f64>::new(&[1.0], 2), weights_are_copies: false, are_near: false };
    let step = Step::Farthest { count: 1 };
    let shared = Centroids { current: vec![0.0], previous: Vec::new(), step };
    let error = ENGINE.run(&Textbook(lloyd), &shared, &data).unwrap_err().to_string();
    assert!(error.contains("known to its split only"), "{error}");
}
