//! [`label`] and [`count`]: which rows belong to which of given centroids, and how many; the last step of a fit, and all of a
//! prediction.

use crate::{
    centred::Centred,
    jobs::{label::Label, tally::Tally},
    kernel::{assign::assign, isa::Isa, pack::Packed},
    numeric::{exact::ExactSum, scalar::Scalar},
    session::{Data, Session},
};
use mapreduce_core::{Engine, Error, RowBlock};

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
    let inertia = add_labels(&mut labels, centroids, centred.d(), data, session)?;
    let mut counts = vec![0; centroids.len() / centred.d()];
    for &label in &labels {
        counts[label as usize] += 1;
    }
    let weights = centred.weigh(&labels, counts.len());
    Ok(Labelling { labels, counts, weights, inertia: centred.cost(inertia.value()) })
}

/// Adds the labels of rows of `d` columns to others, in their order. Returns the sum of their squared distances.
pub(crate) fn add_labels<T: Scalar, E: Engine>(
    labels: &mut Vec<i32>,
    centroids: &Vec<f64>,
    d: usize,
    data: &Data<'_, T>,
    session: &mut Session<'_, E>,
) -> Result<ExactSum, Error> {
    let mut inertia = ExactSum::new();
    // One partition, keyed by the first row: the pairs come in the order of the rows.
    for (_, labelled) in session.run(&Label::<T>::new(d), centroids, data)?.pairs {
        labels.extend_from_slice(&labelled.labels);
        inertia += &labelled.inertia;
    }
    Ok(inertia)
}

/// The labels of a few centred rows of `d` columns (row-major), as they are among all rows.
pub(crate) fn label_some<T: Scalar>(rows: &[T], d: usize, centroids: &[f64]) -> Vec<usize> {
    let in_t: Vec<T> = centroids.iter().map(|&x| T::from_f64(x)).collect();
    let mut labels = vec![0; rows.len() / d];
    let block = RowBlock { width: d, values: rows };
    assign(Isa::detect(), &Packed::new(&in_t, d), block, &mut labels, None);
    labels.into_iter().map(|label| label as usize).collect()
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
