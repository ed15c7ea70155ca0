//! Points for K-means, made from a seed, and fits of a given number of iterations.

use crate::text::Random;
use kmeans_job::{Fit, KMeans, Start, data::Matrix};
use mapreduce_core::Engine;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Points around as many centres as clusters, overlapping, so that no run converges early.
pub fn points(n: usize, d: usize, k: usize) -> Vec<f32> {
    let mut random = Random::new(7);
    let centres: Vec<f32> = (0..k * d).map(|_| random.uniform() as f32).collect();
    let mut values = Vec::with_capacity(n * d);
    for _ in 0..n {
        let centre = random.bits() as usize % k * d;
        values.extend(centres[centre..centre + d].iter().map(|c| c + random.uniform() as f32));
    }
    values
}

/// Fits with so many iterations, and with splits of that size or of one that suits the points. Gives the time of each from the second on, by the observer: from the end of one to the
/// end of the next.
///
/// # Panics
/// When the fit fails or converges early.
pub fn fit_timed(
    engine: &impl Engine,
    points: &Matrix<f32>,
    start: &Matrix<f64>,
    iterations: u32,
    split_bytes: Option<u64>,
) -> (Vec<Duration>, Fit) {
    let ends = Arc::new(Mutex::new(Vec::new()));
    let at_end = ends.clone();
    let mut options = KMeans::builder()
        .k(start.rows())
        .start(Start::Given(start.clone()))
        .max_iter(iterations)
        .tol(0.0)
        .observe(move |_| at_end.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now()));
    if let Some(bytes) = split_bytes {
        options = options.split_bytes(bytes);
    }
    let kmeans = options.build().expect("the options go together");
    let fit = kmeans.fit_on(engine, points).expect("the points are finite");
    assert_eq!(fit.model.iterations, u64::from(iterations), "the points do not converge so early");
    let ends = ends.lock().unwrap_or_else(PoisonError::into_inner);
    (ends.windows(2).map(|pair| pair[1] - pair[0]).collect(), fit)
}
