//! K-means as a library: what `fit` and `predict` promise, checked against a Lloyd anyone can check by eye.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail like the tests")]

mod against_oracle;
mod any_engine;
mod data;
mod errors;
mod extremes;
mod invariance;
mod nodes;
mod oracle;
mod prediction;
mod same_bits;
mod start;
mod textbook;

use kmeans_job::{Fit, FitError, FitOptions, Iteration, data::Points};
use mapreduce_core::Local;
use std::sync::{LazyLock, Mutex};

/// Two threads for all tests that do not care.
static ENGINE: LazyLock<Local> = LazyLock::new(|| Local::new(2).unwrap());

fn fit(points: Points, options: &FitOptions) -> Result<Fit, FitError> {
    kmeans_job::fit(&*ENGINE, points, options, &|_| {})
}

/// A fit and what was observed of it.
fn observed_fit(points: Points, options: &FitOptions) -> (Fit, Vec<Iteration>) {
    let observed = Mutex::new(Vec::new());
    let fit = kmeans_job::fit(&*ENGINE, points, options, &|&iteration| {
        observed.lock().unwrap().push(iteration);
    });
    (fit.unwrap(), observed.into_inner().unwrap())
}
