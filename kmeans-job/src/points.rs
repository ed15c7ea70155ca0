//! [`IntoPoints`]: what can be clustered without a file.

use crate::{
    data::{Matrix, PointFiles, Points, ShapeError},
    numeric::scalar::Scalar,
};

/// What becomes points: rows of `f32` or `f64` in one of the shapes that programs have them in.
///
/// | given | taken as | copied |
/// |---|---|---|
/// | [`Points`], [`Matrix`] | they are | no: owned values are centred where they lie |
/// | `&Points`, `&Matrix` | they are | once |
/// | [`PointFiles`] | they are in their files | never: they are read whenever they are needed |
/// | `(Vec<T>, d)` | rows of `d` numbers, one after the other | no |
/// | `(&[T], d)` | rows of `d` numbers, one after the other | once |
/// | `&[[T; D]]`, `&[[T; D]; N]`, `&Vec<[T; D]>` | a row an array | once |
/// | `ndarray` matrices and views (feature `ndarray`) | rows, in any memory layout | once; an owned matrix in the standard layout not at all |
///
/// ```
/// use kmeans_job::{IntoPoints, data::ShapeError};
///
/// let rows = [[0.0_f32, 1.0], [2.0, 3.0], [4.0, 5.0]];
/// assert_eq!(rows.as_slice().into_points()?, (rows.as_flattened(), 2).into_points()?);
/// assert!(matches!((&[1.0, 2.0, 3.0][..], 2).into_points(), Err(ShapeError::Length { .. })));
/// # Ok::<(), ShapeError>(())
/// ```
pub trait IntoPoints: Send {
    /// The points. Copies are made on the threads of the rayon pool that this is called in, which for fits and predictions are
    /// those of their engine.
    ///
    /// # Errors
    /// [`ShapeError`] when there are no rows or no columns, or the last row is not whole.
    fn into_points(self) -> Result<Points, ShapeError>;
}

impl From<Matrix<f32>> for Points {
    fn from(matrix: Matrix<f32>) -> Self {
        Self::F32(matrix)
    }
}

impl From<Matrix<f64>> for Points {
    fn from(matrix: Matrix<f64>) -> Self {
        Self::F64(matrix)
    }
}

impl IntoPoints for Points {
    fn into_points(self) -> Result<Points, ShapeError> {
        Ok(self)
    }
}

impl IntoPoints for &Points {
    fn into_points(self) -> Result<Points, ShapeError> {
        match self {
            Points::F32(matrix) => matrix.into_points(),
            Points::F64(matrix) => matrix.into_points(),
            Points::Files(files) => files.into_points(),
        }
    }
}

impl IntoPoints for PointFiles {
    fn into_points(self) -> Result<Points, ShapeError> {
        Ok(Points::Files(self))
    }
}

impl IntoPoints for &PointFiles {
    fn into_points(self) -> Result<Points, ShapeError> {
        Ok(Points::Files(self.clone()))
    }
}

impl<T: Scalar> IntoPoints for Matrix<T>
where
    Points: From<Matrix<T>>,
{
    fn into_points(self) -> Result<Points, ShapeError> {
        Ok(self.into())
    }
}

impl<T: Scalar> IntoPoints for &Matrix<T>
where
    Points: From<Matrix<T>>,
{
    fn into_points(self) -> Result<Points, ShapeError> {
        let copy = Matrix::copy_of(self.rows(), self.d(), self.values())?;
        Ok(match self.stored() {
            Some(file) => copy.stored_in(file.clone()),
            None => copy,
        }
        .into())
    }
}

impl<T: Scalar> IntoPoints for (Vec<T>, usize)
where
    Points: From<Matrix<T>>,
{
    fn into_points(self) -> Result<Points, ShapeError> {
        let (values, d) = self;
        Ok(Matrix::new(rows_in(values.len(), d)?, d, values)?.into())
    }
}

impl<T: Scalar> IntoPoints for (&[T], usize)
where
    Points: From<Matrix<T>>,
{
    fn into_points(self) -> Result<Points, ShapeError> {
        let (values, d) = self;
        Ok(Matrix::copy_of(rows_in(values.len(), d)?, d, values)?.into())
    }
}

/// The rows of `d` columns that so many values are.
fn rows_in(values: usize, d: usize) -> Result<usize, ShapeError> {
    match values.checked_div(d) {
        None => Err(ShapeError::NoColumns),
        Some(_) if values == 0 => Ok(0),
        // Less than a row is no whole row, rather than none.
        Some(rows) => Ok(rows.max(1)),
    }
}

impl<T: Scalar, const D: usize> IntoPoints for &[[T; D]]
where
    Points: From<Matrix<T>>,
{
    fn into_points(self) -> Result<Points, ShapeError> {
        (self.as_flattened(), D).into_points()
    }
}

impl<T: Scalar, const D: usize, const N: usize> IntoPoints for &[[T; D]; N]
where
    Points: From<Matrix<T>>,
{
    fn into_points(self) -> Result<Points, ShapeError> {
        self.as_slice().into_points()
    }
}

impl<T: Scalar, const D: usize> IntoPoints for &Vec<[T; D]>
where
    Points: From<Matrix<T>>,
{
    fn into_points(self) -> Result<Points, ShapeError> {
        self.as_slice().into_points()
    }
}

#[cfg(feature = "ndarray")]
mod of_ndarray {
    use super::*;
    use ndarray::{Array2, ArrayView2};

    impl<T: Scalar> IntoPoints for ArrayView2<'_, T>
    where
        Points: From<Matrix<T>>,
    {
        fn into_points(self) -> Result<Points, ShapeError> {
            let (rows, d) = self.dim();
            Ok(match self.as_slice() {
                Some(values) => Matrix::copy_of(rows, d, values),
                // Row by row, whatever the strides.
                None => Matrix::new(rows, d, self.iter().copied().collect()),
            }?
            .into())
        }
    }

    impl<T: Scalar> IntoPoints for &Array2<T>
    where
        Points: From<Matrix<T>>,
    {
        fn into_points(self) -> Result<Points, ShapeError> {
            self.view().into_points()
        }
    }

    impl<T: Scalar> IntoPoints for Array2<T>
    where
        Points: From<Matrix<T>>,
    {
        fn into_points(self) -> Result<Points, ShapeError> {
            let (rows, d) = self.dim();
            if !self.is_standard_layout() {
                return self.view().into_points();
            }
            match self.into_raw_vec_and_offset() {
                (values, None | Some(0)) if values.len() == rows * d => {
                    Ok(Matrix::new(rows, d, values)?.into())
                }
                // The part of a larger matrix that was left when it was cut.
                (values, offset) => {
                    let values = values.into_iter().skip(offset.unwrap_or(0)).take(rows * d).collect();
                    Ok(Matrix::new(rows, d, values)?.into())
                }
            }
        }
    }
}
