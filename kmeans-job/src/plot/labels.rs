//! The clusters of the points of a sample, found by the model.

use super::{PlotError, Sample};
use crate::{
    centred::Centred,
    data::{Dtype, Matrix},
    error::DataError,
    labelling::label_some,
    model::Model,
    numeric::scalar::Scalar,
    source::Source,
};

/// The cluster of each point of a sample: those that a fit of its points gives them.
pub(super) fn of_sample(sample: &Sample, model: &Model) -> Result<Vec<usize>, PlotError> {
    match model.dtype {
        Dtype::F32 => nearest::<f32>(sample, model),
        Dtype::F64 => nearest::<f64>(sample, model),
    }
}

fn nearest<T: Scalar>(sample: &Sample, model: &Model) -> Result<Vec<usize>, PlotError> {
    let (rows, d) = (sample.rows.len(), sample.d);
    // They were elements before.
    let values = sample.values.iter().map(|&x| T::from_f64(x)).collect();
    let centred = Matrix::new(rows, d, values)
        .map_err(|error| PlotError::Draw { problem: error.to_string() })
        .and_then(|matrix| {
            Centred::like(Source::Memory(matrix), model.distance, &model.shift).map_err(not_of_the_fit)
        })?;
    let centroids = centred.centre(&model.centroids.concat());
    Ok(label_some(centred.in_memory().map_or(&[][..], Matrix::values), d, &centroids))
}

/// Points of f64 that f32 has no room for.
fn not_of_the_fit(error: DataError) -> PlotError {
    match error {
        DataError::NotFinite { row, column } => {
            PlotError::NotFinite { row: row as usize + 1, column: column as usize + 1 }
        }
        error => PlotError::Draw { problem: error.to_string() },
    }
}
