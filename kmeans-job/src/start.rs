//! The choice of start centroids.

use crate::{
    centred::Centred,
    data::Matrix,
    distance::Distance,
    error::FitError,
    jobs::{
        pick::{FetchRows, PickRows},
        sample::{Purpose, Sample},
    },
    kernel::greedy,
    numeric::{exact::ExactSum, scalar::Scalar},
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
    /// k-means++, greedy, over all rows: the first is drawn evenly; then in each step `2 + floor(ln k)` rows are drawn in
    /// proportion to their squared distance from the nearest one chosen, and the one that lowers the cost most is kept;
    /// of equals the first drawn. What scikit-learn does, but that the rows drawn in a step are distinct.
    ///
    /// It takes two passes over the rows for each cluster, and together `3 + floor(ln k)` distances a row; k-means|| takes
    /// at most ten passes in all.
    ///
    /// Source: Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
    PlusPlus,
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
/// And as many after it as there are clusters.
const STREAM_PLUS_PLUS: u64 = 0x2b2b_0000_0000; // "++"
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
        Start::Parallel => parallel(k, seed, centred, data, session),
        Start::PlusPlus => plus_plus(k, seed, centred, data, session),
        Start::Random => Ok(distinct(k, seed, centred.d(), data, session)?.concat()),
        Start::Given(points) => {
            let d = centred.d();
            if (points.rows(), points.d()) != (k, d) {
                let (found_k, found_d) = (points.rows(), points.d());
                return Err(FitError::Start { k, d, found_k, found_d });
            }
            if let (Distance::Cosine, Some(row)) = (centred.distance, zero_row(points)) {
                return Err(FitError::StartDirection { row });
            }
            let start = centred.place(points.values());
            let not_finite = points.values().iter().position(|x| !x.is_finite());
            if let Some(i) = not_finite.or_else(|| centred.out_of_reach(&start)) {
                return Err(FitError::StartValue { row: i / d, column: i % d, value: points.values()[i] });
            }
            distinct(k, seed, d, data, session)?;
            Ok(start)
        }
    }
}

/// The first row of zeros.
fn zero_row(points: &Matrix<f64>) -> Option<usize> {
    points.values().chunks_exact(points.d()).position(|row| row.iter().all(|&x| x == 0.0))
}

/// Picks `k` distinct rows at random, which there have to be in any case: else some cluster stays empty for ever.
pub(crate) fn distinct<T: Scalar, E: Engine>(
    k: usize,
    seed: u64,
    d: usize,
    data: &Data<'_, T>,
    session: &mut Session<'_, E>,
) -> Result<Vec<Vec<f64>>, FitError> {
    let picked = pick(k, seed, STREAM_RANDOM, d, data, session)?;
    match picked.len() {
        distinct if distinct < k => Err(FitError::TooFewDistinct { k, distinct }),
        _ => Ok(picked),
    }
}

fn pick<T: Scalar, E: Engine>(
    count: usize,
    seed: u64,
    stream: u64,
    d: usize,
    data: &Data<'_, T>,
    session: &mut Session<'_, E>,
) -> Result<Vec<Vec<f64>>, FitError> {
    let picked = session.run(&PickRows::<T>::new(count, seed, stream, d), &(), data)?.pairs;
    let rows = picked.into_iter().flat_map(|((), rows)| rows.into_rows());
    Ok(rows.map(|candidate| candidate.point).collect())
}

fn parallel<T: Scalar, E: Engine>(
    k: usize,
    seed: u64,
    centred: &Centred<T>,
    data: &Data<'_, T>,
    session: &mut Session<'_, E>,
) -> Result<Vec<f64>, FitError> {
    let d = centred.d();
    let mut batches = vec![pick(1, seed, STREAM_FIRST, d, data, session)?.concat()];
    for round in 0..ROUNDS {
        if !draw(&mut batches, (OVERSAMPLING * k) as u64, seed, STREAM_DRAW + round, centred, data, session)?
        {
            break;
        }
    }
    let weights = session.run(&sample(Purpose::Weigh, seed, centred), &batches, data)?.pairs;
    let weights: Vec<f64> =
        weights.iter().flat_map(|((), sampled)| sampled.weights.iter()).map(|&units| units as f64).collect();
    let candidates = batches.concat();
    let chosen = greedy::choose_until(&|| session.is_cancelled(), &candidates, &weights, d, k, seed);
    let chosen = chosen.into_iter().map(|i| candidates[i * d..][..d].to_vec()).collect();
    complete(chosen, k, seed, d, data, session)
}

/// A round over the rows.
fn sample<T: Scalar>(purpose: Purpose, seed: u64, centred: &Centred<T>) -> Sample<T> {
    Sample::new(purpose, seed, centred.d(), centred.weighing.bits)
}

/// Greedy k-means++ over all rows, in two rounds for each centroid: rows are drawn, then tried.
fn plus_plus<T: Scalar, E: Engine>(
    k: usize,
    seed: u64,
    centred: &Centred<T>,
    data: &Data<'_, T>,
    session: &mut Session<'_, E>,
) -> Result<Vec<f64>, FitError> {
    let count = 2 + libm::log(k as f64) as u64;
    let mut chosen = pick(1, seed, STREAM_FIRST, centred.d(), data, session)?;
    while chosen.len() < k {
        let stream = STREAM_PLUS_PLUS + chosen.len() as u64;
        let purpose = Purpose::Draw { count, stream, with_points: true };
        let drawn = session.run(&sample(purpose, seed, centred), &chosen, data)?.pairs;
        let mut drawn: Vec<Vec<f64>> = drawn
            .into_iter()
            .flat_map(|((), sampled)| sampled.rows.into_rows())
            .map(|candidate| candidate.point)
            .collect();
        if drawn.is_empty() {
            break;
        }
        let best = match drawn.len() {
            1 => 0,
            _ => {
                let batches: Vec<Vec<f64>> = chosen.iter().cloned().chain([drawn.concat()]).collect();
                let tried = session.run(&sample(Purpose::Try, seed, centred), &batches, data)?.pairs;
                let gains = tried.iter().flat_map(|((), sampled)| &sampled.gains).map(ExactSum::value);
                let best =
                    gains.enumerate().reduce(|best, other| if other.1 > best.1 { other } else { best });
                best.map_or(0, |(index, _)| index)
            }
        };
        chosen.push(drawn.swap_remove(best));
    }
    complete(chosen, k, seed, centred.d(), data, session)
}

/// So many rows may coincide, or nearly do, that fewer than `k` could be drawn. Any other distinct rows will do. If it
/// was a cancellation that ended the choice, this job does not start either.
fn complete<T: Scalar, E: Engine>(
    mut chosen: Vec<Vec<f64>>,
    k: usize,
    seed: u64,
    d: usize,
    data: &Data<'_, T>,
    session: &mut Session<'_, E>,
) -> Result<Vec<f64>, FitError> {
    if chosen.len() < k {
        for other in distinct(k, seed, d, data, session)? {
            if chosen.len() < k && !chosen.contains(&other) {
                chosen.push(other);
            }
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
    centred: &Centred<T>,
    data: &Data<'_, T>,
    session: &mut Session<'_, E>,
) -> Result<bool, FitError> {
    let purpose = Purpose::Draw { count, stream, with_points: false };
    let drawn = session.run(&sample(purpose, seed, centred), batches, data)?.pairs;
    let rows: Vec<u64> =
        drawn.into_iter().flat_map(|((), sampled)| sampled.rows.into_rows()).map(|row| row.row).collect();
    if rows.is_empty() {
        return Ok(false);
    }
    let points = session.run(&FetchRows::<T>::new(rows, centred.d()), &(), data)?.pairs;
    batches.push(points.into_iter().flat_map(|(_, point)| point).collect());
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{numeric::random::uniform, source::Source};
    use mapreduce_core::{Cancel, Local};

    /// The start centroids and the rows, both centred.
    fn choose_from(values: Vec<f32>, d: usize, k: usize, seed: u64, start: &Start) -> (Vec<f64>, Vec<f64>) {
        let engine = Local::new(2).unwrap();
        let matrix = Matrix::new(values.len() / d, d, values.clone()).unwrap();
        let mut session = Session::new(&engine, &Cancel::new(), Some(100));
        let source = Source::Memory(matrix);
        let Ok((centred, _)) = Centred::new(source.into(), Distance::Euclidean, &mut session) else {
            panic!("the values are ordinary")
        };
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
        for start in [Start::Parallel, Start::PlusPlus, Start::Random] {
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
        for start in [Start::Parallel, Start::PlusPlus, Start::Random] {
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

    /// Greedy k-means++ as it is told, on whole vectors. With integers all its sums are exact, so order is no matter.
    fn naive_plus_plus(rows: &[f64], d: usize, k: usize, seed: u64) -> Vec<f64> {
        let row = |i: usize| &rows[i * d..][..d];
        let distance = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum::<f64>();
        let least = |stream: u64, i: usize| uniform(seed, stream, i as u64);
        let first =
            (0..rows.len() / d).min_by(|&a, &b| least(STREAM_FIRST, a).total_cmp(&least(STREAM_FIRST, b)));
        let mut chosen = vec![row(first.unwrap()).to_vec()];
        while chosen.len() < k {
            let nearest: Vec<f64> = rows
                .chunks_exact(d)
                .map(|x| chosen.iter().map(|c| distance(x, c)).fold(f64::INFINITY, f64::min))
                .collect();
            let stream = STREAM_PLUS_PLUS + chosen.len() as u64;
            let mut keys: Vec<(f64, usize)> =
                (0..nearest.len()).map(|i| (-libm::log(least(stream, i)) / nearest[i], i)).collect();
            keys.retain(|(key, _)| key.is_finite());
            keys.sort_by(|a, b| a.0.total_cmp(&b.0));
            let mut drawn: Vec<&[f64]> = Vec::new();
            for (_, i) in keys {
                if drawn.len() < 2 + (k as f64).ln() as usize && !drawn.contains(&row(i)) {
                    drawn.push(row(i));
                }
            }
            let cost = |c: &[f64]| -> f64 {
                rows.chunks_exact(d).zip(&nearest).map(|(x, &nearest)| distance(x, c).min(nearest)).sum()
            };
            let best = drawn.into_iter().min_by(|a, b| cost(a).total_cmp(&cost(b)));
            chosen.push(best.unwrap().to_vec());
        }
        chosen.concat()
    }

    #[test]
    fn k_means_plus_plus_chooses_as_the_naive_algorithm_does() {
        for (n, d, k) in [(300, 1, 2), (400, 2, 9), (500, 3, 1), (200, 5, 30)] {
            for seed in 0..3 {
                let (chosen, rows) = choose_from(values(n * d as u64), d, k, seed, &Start::PlusPlus);
                assert_eq!(chosen, naive_plus_plus(&rows, d, k, seed), "{n} x {d}, k = {k}, seed {seed}");
            }
        }
    }
}
