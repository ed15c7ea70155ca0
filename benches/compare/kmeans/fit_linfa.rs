//! K-means of linfa on demand, for `compare`. See `benches::on_demand` for what it reads and answers.
//!
//! `fit_linfa POINTS START`   (as many threads as the environment variable `RAYON_NUM_THREADS` says)

use benches::{
    Failure,
    on_demand::{inertia, load_f32, serve},
};
use linfa::{
    DatasetBase,
    traits::{Fit as _, Predict as _},
};
use linfa_clustering::{KMeans, KMeansInit};
use ndarray_0_16::{Array2, Ix2};
use std::{path::Path, time::Instant};

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [points, start] = arguments.as_slice() else { return Err("usage: fit_linfa POINTS START".into()) };
    let load = |path: &String| -> Result<Array2<f32>, Failure> {
        let matrix = load_f32(Path::new(path))?;
        Ok(Array2::from_shape_vec(Ix2(matrix.rows(), matrix.d()), matrix.into_values())?)
    };
    let (points, start) = (DatasetBase::from(load(points)?), load(start)?);
    serve(|iterations| {
        let kmeans = KMeans::params(start.nrows())
            .init_method(KMeansInit::Precomputed(start.clone()))
            .n_runs(1)
            .max_n_iterations(iterations.into())
            // It has to be above 0; so it ends when no centroid moves, as the others do.
            .tolerance(f32::MIN_POSITIVE);
        let begun = Instant::now();
        let model = kmeans.fit(&points)?;
        let labels = model.predict(points.records());
        let time = begun.elapsed();
        if labels.len() != points.records().nrows() {
            return Err("not every row has a label".into());
        }
        let values = |matrix: &Array2<f32>| matrix.iter().copied().collect::<Vec<_>>();
        // Its own is that of the labels before the last step.
        Ok((time, inertia(&values(points.records()), &values(model.centroids()), start.ncols())))
    })
}
