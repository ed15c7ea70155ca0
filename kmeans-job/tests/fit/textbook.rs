//! The kernel's `map_split` against the textbook's `map`, one pair for each row.

use super::{
    ENGINE,
    data::{Table, blobs, integers},
};
use kmeans_job::{
    jobs::{
        lloyd::{Assign, Centroids, Cluster, Lloyd, MOVED, Step},
        rows::{CentredRows, CentredSlice},
    },
    numeric::{grid::Grid, scalar::Scalar},
};
use mapreduce_core::{Output, prelude::*};

/// A round of Lloyd's algorithm, row by row.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "T: Scalar")]
struct Textbook<T>(Lloyd<T>);

struct RowByRow<T>(Assign<T>);

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

/// Index, count and sums of each cluster that has rows, and the counter of moved rows.
type Clusters<S> = (Vec<(u32, u64, Vec<S>)>, u64);

fn clusters<T: Scalar, J>(output: Output<J>) -> Clusters<T::Sum>
where
    J: Job<Mapper: Mapper<Key = u32, Value = Cluster<T>>, Combiner = Sum, Reducer = Fold<Sum>>,
{
    let pairs = output.pairs.into_iter();
    (
        pairs.map(|(k, cluster)| (k, cluster.count, cluster.sums.into_vec())).collect(),
        output.counters.get(MOVED),
    )
}

fn assert_map_is_map_split<T: Scalar>(table: &Table, rounds: &[Vec<f64>]) {
    let values: Vec<T> = table.values.iter().map(|&x| T::from_f64(x)).collect();
    let magnitude = table.values.iter().fold(0.0_f64, |max, x| max.max(x.abs()));
    let lloyd = Lloyd { grid: Grid::<T>::new(&vec![magnitude; table.d], table.rows() as u64) };
    let dataset = || Dataset::with_split_bytes(CentredSlice::new(&values, table.d).unwrap(), 300).unwrap();
    let kept = dataset();
    for (round, current) in rounds.iter().enumerate() {
        let previous = round.checked_sub(1).map(|before| rounds[before].clone()).unwrap_or_default();
        let shared = Centroids { current: current.clone(), previous, step: Step::Assign };
        let textbook = clusters::<T, _>(ENGINE.run(&Textbook(lloyd.clone()), &shared, &dataset()).unwrap());
        assert_eq!(textbook.0.iter().map(|cluster| cluster.1).sum::<u64>(), table.rows() as u64);
        let with_cache = clusters::<T, _>(ENGINE.run(&lloyd, &shared, &kept).unwrap());
        assert_eq!(with_cache, textbook, "round {round}");
        let without = clusters::<T, _>(ENGINE.run(&lloyd, &shared, &dataset()).unwrap());
        assert_eq!(without, textbook, "round {round} with nothing cached");
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
fn a_cache_of_other_centroids_is_not_believed() {
    // Rounds that go back and forth: the labels kept are not always those of the round before.
    let table = integers(300, 2, 9, 3);
    let (a, b) = (table.pick([0, 1, 2]).values, table.pick([3, 4, 5]).values);
    assert_map_is_map_split::<f32>(&table, &[a.clone(), b.clone(), a.clone(), a, b]);

    let values: Vec<f64> = table.values.clone();
    let data = Dataset::with_split_bytes(CentredSlice::new(&values, 2).unwrap(), 100).unwrap();
    let lloyd = Lloyd { grid: Grid::<f64>::new(&[9.0; 2], 300) };
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
fn jobs_that_need_the_index_of_a_row_say_so_when_they_get_rows_one_by_one() {
    let values = [0.0, 1.0];
    let data = Dataset::new(CentredSlice::<f64>::new(&values, 1).unwrap()).unwrap();
    let lloyd = Lloyd { grid: Grid::<f64>::new(&[1.0], 2) };
    let step = Step::Farthest { count: 1 };
    let shared = Centroids { current: vec![0.0], previous: Vec::new(), step };
    let error = ENGINE.run(&Textbook(lloyd), &shared, &data).unwrap_err().to_string();
    assert!(error.contains("known to its split only"), "{error}");
}
