//! Points from memory: every shape they come in gives the same clusters.

use super::{data::blobs, fit};
use kmeans_job::{
    IntoPoints, KMeans,
    data::{Matrix, Points},
};

#[test]
fn points_of_every_shape_give_the_same_clusters() {
    let table = blobs(90, 3, 4, 0.5, 1);
    let rows: Vec<[f64; 3]> = table.values.as_chunks().0.to_vec();
    let array: &[[f64; 3]; 90] = rows.as_slice().try_into().unwrap();
    let options = KMeans::builder().k(4);
    let expected = fit(table.f64(), &options).unwrap();
    let same = |points: Result<Points, _>| {
        let found = fit(points.unwrap(), &options).unwrap();
        assert_eq!((&found.model, &found.labels), (&expected.model, &expected.labels));
    };
    same((&table.values[..], 3).into_points());
    same((table.values.clone(), 3).into_points());
    same(table.matrix().into_points());
    same((&table.matrix()).into_points());
    same((&table.f64()).into_points());
    same(rows.as_slice().into_points());
    same((&rows).into_points());
    same(array.into_points());
    let single: Vec<f32> = table.values.iter().map(|&x| x as f32).collect();
    assert_eq!((&single[..], 3).into_points().unwrap(), table.f32());
    assert_eq!(Matrix::new(90, 3, single).unwrap().into_points().unwrap(), table.f32());
}

#[cfg(feature = "ndarray")]
mod of_ndarray {
    use super::*;
    use kmeans_job::data::ShapeError;
    use ndarray::{Array2, ShapeBuilder as _, s};

    #[test]
    fn matrices_of_any_layout_are_read_row_by_row() {
        let table = blobs(60, 3, 4, 0.5, 1);
        let rows = Array2::from_shape_vec((60, 3), table.values.clone()).unwrap();
        let expected = table.f64();
        assert_eq!(rows.view().into_points().unwrap(), expected);
        assert_eq!((&rows).into_points().unwrap(), expected);

        let mut columns = Array2::zeros((60, 3).f());
        columns.assign(&rows);
        assert!(!columns.is_standard_layout());
        assert_eq!(columns.view().into_points().unwrap(), expected);
        assert_eq!(columns.into_points().unwrap(), expected);

        let every_other = table.pick((0..60).step_by(2)).f64();
        assert_eq!(rows.slice(s![..;2, ..]).into_points().unwrap(), every_other);
        let reversed = table.pick((0..60).rev()).f64();
        assert_eq!(rows.slice(s![..;-1, ..]).into_points().unwrap(), reversed);
        let single = rows.mapv(|x| x as f32);
        assert_eq!(single.t().t().into_points().unwrap(), table.f32());
        assert_eq!(rows.clone().slice_move(s![7..9, ..]).into_points().unwrap(), table.pick(7..9).f64());
        assert_eq!(rows.into_points().unwrap(), expected);
    }

    #[test]
    fn views_are_clustered_and_labelled() {
        let table = blobs(60, 3, 4, 0.5, 1);
        let rows = Array2::from_shape_vec((60, 3), table.values.clone()).unwrap();
        let fit = fit(rows.view(), &KMeans::builder().k(4)).unwrap();
        assert_eq!(fit.model.predict(rows.slice(s![10.., ..])).unwrap().labels, fit.labels[10..]);
        assert_eq!(fit.model.transform(&rows).unwrap().rows(), 60);
    }

    #[test]
    fn empty_matrices_are_refused() {
        assert_eq!(Array2::<f32>::zeros((0, 3)).into_points(), Err(ShapeError::NoRows));
        assert_eq!(Array2::<f32>::zeros((3, 0)).view().into_points(), Err(ShapeError::NoColumns));
    }
}
