//! K-means as a library: what `fit` and `predict` promise, checked against a Lloyd anyone can check by eye.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail like the tests")]

mod against_oracle;
mod any_engine;
mod bisecting;
mod bisecting_files;
mod choosing;
mod cosine;
mod data;
mod errors;
mod extremes;
mod files;
mod input;
mod invariance;
mod mini_batch;
mod near;
mod nodes;
mod oracle;
mod overflow;
mod pieces;
mod prediction;
mod properties;
mod same_bits;
mod start;
mod textbook;
mod weights;

use kmeans_job::{Fit, FitError, IntoPoints, Iteration, KMeansBuilder};
use mapreduce_core::{Engine, Local};
use std::sync::{LazyLock, mpsc};

/// Two threads for all tests that do not care.
static ENGINE: LazyLock<Local> = LazyLock::new(|| Local::new(2).unwrap());

fn fit(points: impl IntoPoints, options: &KMeansBuilder) -> Result<Fit, FitError> {
    fit_on(&*ENGINE, points, options)
}

fn fit_on(engine: &impl Engine, points: impl IntoPoints, options: &KMeansBuilder) -> Result<Fit, FitError> {
    options.clone().build().unwrap().fit_on(engine, points)
}

/// A fit and what was observed of it.
fn observed_fit(points: impl IntoPoints, options: &KMeansBuilder) -> (Fit, Vec<Iteration>) {
    observed_fit_on(&*ENGINE, points, options)
}

fn observed_fit_on(
    engine: &impl Engine,
    points: impl IntoPoints,
    options: &KMeansBuilder,
) -> (Fit, Vec<Iteration>) {
    let (tell, told) = mpsc::channel();
    let options = options.clone().observe(move |&iteration| tell.send(iteration).unwrap());
    let fit = fit_on(engine, points, &options).unwrap();
    // But for the time that each took, the same every time.
    (fit, told.try_iter().map(|iteration| Iteration { seconds: 0.0, ..iteration }).collect())
}
