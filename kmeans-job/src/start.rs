//! The choice of start centroids.

use crate::{
    centred::Centred,
    data::Matrix,
    error::FitError,
    jobs::{
        pick::{FetchRows, PickRows},
        sample::{Purpose, Sample},
    },
    kernel::greedy,
    numeric::scalar::Scalar,
    session::{Data, Session},
};
use mapreduce_core::Engine;

/// How start centroids are chosen.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Start {
    /// k-means||: in a few passes candidates are drawn far from each other, then k of them chosen by weighted greedy
    /// k-means++. The default: a good start that takes about as long as ten iterations.
    ///
    /// Source: Bahmani et al., "Scalable k-means++", VLDB 2012.
    #[default]
    Parallel,
    /// k rows with distinct coordinates, at random.
    Random,
    /// These: one row for each cluster, in the coordinates of the data. They need not be rows of it, nor distinct: a
    /// cluster that gets no rows moves to the farthest one.
    Given(Matrix<f64>),
}

/// Random numbers of different purposes come from different streams.
const STREAM_RANDOM: u64 = 1;
const STREAM_FIRST: u64 = 2;
const STREAM_DRAW: u64 = 3;
/// Rounds of k-means|| that draw candidates, and how many a round draws for each cluster.
const ROUNDS: u64 = 4;
const OVERSAMPLING: usize = 2;

/// Chooses `k` start centroids, row-major, in the coordinates of the centred rows.
pub(crate) fn choose<T: Scalar, E: Engine>(
    start: &Start,
    k: usize,
    seed: u64,
    centred: &Centred<T>,
    data: &Data<'_, T>,
    session: &mut Session<'_, E>,
) -> Result<Vec<f64>, FitError> {
    match start {
        Start::Parallel => parallel(k, seed, centred.d(), data, session),
        Start::Random => Ok(distinct(k, seed, data, session)?.concat()),
        Start::Given(points) => {
            let d = centred.d();
            if (points.rows(), points.d()) != (k, d) {
                let (found_k, found_d) = (points.rows(), points.d());
                return Err(FitError::Start { k, d, found_k, found_d });
            }
            let start = centred.centre(points.values());
            if let Some(i) = centred.out_of_reach(&start) {
                return Err(FitError::StartValue { row: i / d, column: i % d, value: points.values()[i] });
            }
            distinct(k, seed, data, session)?;
            Ok(start)
        }
    }
}

/// Picks `k` distinct rows at random, which there have to be in any case: else some cluster stays empty for ever.
fn distinct<T: Scalar, E: Engine>(
    k: usize,
    seed: u64,
    data: &Data<'_, T>,
    session: &mut Session<'_, E>,
) -> Result<Vec<Vec<f64>>, FitError> {
    let picked = pick(k, seed, STREAM_RANDOM, data, session)?;
    match picked.len() {
        distinct if distinct < k => Err(FitError::TooFewDistinct { k, distinct }),
        _ => Ok(picked),
    }
}

fn pick<T: Scalar, E: Engine>(
    count: usize,
    seed: u64,
    stream: u64,
    data: &Data<'_, T>,
    session: &mut Session<'_, E>,
) -> Result<Vec<Vec<f64>>, FitError> {
    let picked = session.run(&PickRows::<T>::new(count, seed, stream), &(), data)?.pairs;
    let rows = picked.into_iter().flat_map(|((), rows)| rows.into_rows());
    Ok(rows.map(|candidate| candidate.point).collect())
}

fn parallel<T: Scalar, E: Engine>(
    k: usize,
    seed: u64,
    d: usize,
    data: &Data<'_, T>,
    session: &mut Session<'_, E>,
) -> Result<Vec<f64>, FitError> {
    let mut batches = vec![pick(1, seed, STREAM_FIRST, data, session)?.concat()];
    for round in 0..ROUNDS {
        if !draw(&mut batches, (OVERSAMPLING * k) as u64, seed, STREAM_DRAW + round, d, data, session)? {
            break;
        }
    }
    let weights = session.run(&Sample::<T>::new(Purpose::Weigh, seed, d), &batches, data)?.pairs;
    let weights: Vec<f64> =
        weights.iter().flat_map(|((), sampled)| sampled.weights.iter()).map(|&n| n as f64).collect();
    let candidates = batches.concat();
    let chosen = greedy::choose_until(&|| session.is_cancelled(), &candidates, &weights, d, k, seed);
    let mut chosen: Vec<&[f64]> = chosen.into_iter().map(|i| &candidates[i * d..][..d]).collect();
    if chosen.len() == k {
        return Ok(chosen.concat());
    }
    // So many rows coincide, or nearly do, that the candidates were too few. Any other distinct rows will do. If it
    // was a cancellation that ended the choice, this job does not start either.
    let others = distinct(k, seed, data, session)?;
    for other in &others {
        if chosen.len() < k && !chosen.contains(&other.as_slice()) {
            chosen.push(other);
        }
    }
    Ok(chosen.concat())
}

/// Draws a batch of candidates. False if every row coincides with one that is there.
fn draw<T: Scalar, E: Engine>(
    batches: &mut Vec<Vec<f64>>,
    count: u64,
    seed: u64,
    stream: u64,
    d: usize,
    data: &Data<'_, T>,
    session: &mut Session<'_, E>,
) -> Result<bool, FitError> {
    let sample = Sample::<T>::new(Purpose::Draw { count, stream }, seed, d);
    let drawn = session.run(&sample, batches, data)?.pairs;
    let rows: Vec<u64> =
        drawn.into_iter().flat_map(|((), sampled)| sampled.rows.into_rows()).map(|row| row.row).collect();
    if rows.is_empty() {
        return Ok(false);
    }
    let points = session.run(&FetchRows::<T>::new(rows), &(), data)?.pairs;
    batches.push(points.into_iter().flat_map(|(_, point)| point).collect());
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::random::uniform;
    use mapreduce_core::{Cancel, Local};

    /// The start centroids and the rows, both centred.
    fn choose_from(values: Vec<f32>, d: usize, k: usize, seed: u64, start: &Start) -> (Vec<f64>, Vec<f64>) {
        let engine = Local::new(2).unwrap();
        let matrix = Matrix::new(values.len() / d, d, values.clone()).unwrap();
        let mut session = Session::new(&engine, &Cancel::new(), Some(100));
        let Ok((centred, _)) = Centred::new(matrix, &mut session) else { panic!("the values are ordinary") };
        let data = centred.dataset(&session).unwrap();
        let chosen = choose(start, k, seed, &centred, &data, &mut session).unwrap();
        let values: Vec<f64> = values.into_iter().map(f64::from).collect();
        (chosen, centred.centre(&values))
    }

    fn values(n: u64) -> Vec<f32> {
        (0..n).map(|i| (uniform(1, 0, i) * 90.0).round() as f32).collect()
    }

    #[test]
    fn start_centroids_are_distinct_rows_of_the_data() {
        for start in [Start::Parallel, Start::Random] {
            for k in [1, 2, 7, 40] {
                let (chosen, rows) = choose_from(values(400), 2, k, 3, &start);
                assert_eq!(chosen.len(), 2 * k);
                let chosen: Vec<&[f64]> = chosen.chunks(2).collect();
                for (c, centroid) in chosen.iter().enumerate() {
                    assert!(rows.chunks(2).any(|row| row == *centroid), "{centroid:?} is no row");
                    assert!(!chosen[..c].contains(centroid), "{centroid:?} was chosen twice");
                }
            }
        }
    }

    #[test]
    fn the_choice_depends_on_the_seed_alone() {
        for start in [Start::Parallel, Start::Random] {
            let choice = |seed| choose_from(values(400), 2, 5, seed, &start).0;
            assert_eq!(choice(1), choice(1));
            assert_ne!(choice(1), choice(2));
        }
    }

    #[test]
    fn random_start_centroids_are_drawn_evenly() {
        let mut drawn = [0; 10];
        for seed in 0..500 {
            let (chosen, rows) = choose_from((0..10).map(|x| x as f32).collect(), 1, 2, seed, &Start::Random);
            for centroid in chosen {
                drawn[rows.iter().position(|row| *row == centroid).unwrap()] += 1;
            }
        }
        // 100 each, give or take five standard deviations.
        assert!(drawn.iter().all(|&n| (55..145).contains(&n)), "{drawn:?}");
    }
}
