//! [`label`] and [`count`]: which rows belong to which of given centroids, and how many; the last step of a fit, and all of a
//! prediction.

use crate::{
    centred::Centred,
    jobs::{label::Label, tally::Tally},
    numeric::{exact::ExactSum, scalar::Scalar},
    session::{Data, Session},
};
use mapreduce_core::{Engine, Error};

/// Labels of all rows under given centroids, and what they come to.
pub(crate) struct Labelling {
    /// Empty where they are only counted.
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

/// Counts the rows of each cluster, as [`label`] does, but no label leaves the tasks.
pub(crate) fn count<T: Scalar, E: Engine>(
    centroids: &Vec<f64>,
    centred: &Centred<T>,
    data: &Data<'_, T>,
    session: &mut Session<'_, E>,
) -> Result<Labelling, Error> {
    let weighing = centred.weighing;
    let found = session.run(&Tally::<T>::new(centred.d(), weighing.bits), centroids, data)?.pairs;
    let totals = found.into_iter().next().map(|((), totals)| totals).unwrap_or_default();
    let weights = (weighing.behind > 0).then(|| weighing.in_weights(&totals.units));
    let (counts, inertia) = (totals.counts.into_vec(), centred.cost(totals.inertia.value()));
    Ok(Labelling { labels: Vec::new(), counts, weights, inertia })
}
