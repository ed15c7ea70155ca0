//! [`label`]: which rows belong to which of given centroids; the last step of a fit, and all of a prediction.

use crate::{
    centred::Centred,
    jobs::label::Label,
    numeric::{exact::ExactSum, scalar::Scalar},
    session::{Data, Session},
};
use mapreduce_core::{Engine, Error};

/// Labels of all rows under given centroids.
pub(crate) struct Labelling {
    pub(crate) labels: Vec<i32>,
    pub(crate) counts: Vec<u64>,
    /// What the rows of each cluster weigh, if they have weights.
    pub(crate) weights: Option<Vec<f64>>,
    pub(crate) inertia: f64,
}

/// Labels the rows. The centroids are in the coordinates of the centred rows.
pub(crate) fn label<T: Scalar, E: Engine>(
    centroids: &Vec<f64>,
    centred: &Centred<T>,
    data: &Data<'_, T>,
    session: &mut Session<'_, E>,
) -> Result<Labelling, Error> {
    let mut labels = Vec::with_capacity(centred.rows());
    let mut counts = vec![0; centroids.len() / centred.d()];
    let mut inertia = ExactSum::new();
    // One partition, keyed by the first row: the pairs come in the order of the rows.
    for (_, labelled) in session.run(&Label::<T>::new(centred.d()), centroids, data)?.pairs {
        labels.extend_from_slice(&labelled.labels);
        inertia += &labelled.inertia;
    }
    for &label in &labels {
        counts[label as usize] += 1;
    }
    let weights = centred.weigh(&labels, counts.len());
    Ok(Labelling { labels, counts, weights, inertia: centred.cost(inertia.value()) })
}
